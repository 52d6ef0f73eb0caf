"""e+ e- -> mu+ mu- by photon and Z at tree level: angular asymmetry, cross section and information on the mixing angle."""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from quincunx.gallery.angular import angular_fisher

GEV2_NB = 389379.4
"""(hbar c)^2 in nb GeV^2."""


@dataclasses.dataclass(frozen=True)
class Constants:
    """What is held fixed: masses and widths in GeV, the Fermi constant in GeV^-2.

    `coupling` says how strong the Z is against the photon: by the Fermi constant, k = sqrt2 G_F MZ^2 / (pi alpha), by the mixing
    angle, k = 1 / (s2 (1 - s2)), or k = 0: a photon alone. With `running_width` the propagator's width is s Gamma / MZ^2 (as at LEP).

    >>> Constants().mass
    91.1876
    """

    mass: float = 91.1876
    width: float = 2.4952
    alpha: float = 1 / 128.9
    fermi: float = 1.1663787e-5
    coupling: Literal["fermi", "mixing", "none"] = "fermi"
    running_width: bool = False


STANDARD = Constants()


def asymmetry(
    s2: Float[ArrayLike, "..."], energy: Float[ArrayLike, "..."], constants: Constants = STANDARD
) -> Float[Array, "..."]:
    """A in p(c) = 3/8 (1 + c^2 + A c), for s2 = sin^2 theta_eff and a beam energy in GeV: 2 (S - D) / (S + D).

    With the couplings g = (v +- a) / 2, v = -1/2 + 2 s2, a = -1/2, and M_ij = 1 + k g_i g_j s / (s - MZ^2 + i MZ Gamma), S is
    |M_LL|^2 + |M_RR|^2 and D is 2 |M_LR|^2; s is the square of twice the beam energy. Between -2 and 2 (textbook).

    >>> float(asymmetry(0.2315, 40.0))
    -1.9354
    """
    same, other = _helicities(jnp.asarray(s2), jnp.asarray(energy), constants)
    return 2 * (same - other) / (same + other)


def forward_backward(
    s2: Float[ArrayLike, "..."], energy: Float[ArrayLike, "..."], constants: Constants = STANDARD
) -> Float[Array, "..."]:
    """A_FB: the share of events with c > 0 less that with c < 0, 3/8 of `asymmetry`.

    >>> float(forward_backward(0.2315, 45.5938))
    0.0161...
    """
    return 0.375 * asymmetry(s2, energy, constants)


def cross_section(
    s2: Float[ArrayLike, "..."], energy: Float[ArrayLike, "..."], constants: Constants = STANDARD
) -> Float[Array, "..."]:
    """The total cross section in nb, (pi alpha^2 / 8 s) (8/3) (S + D), without radiation from the initial state.

    >>> float(cross_section(0.2315, 45.5938))
    1.98...
    """
    same, other = _helicities(jnp.asarray(s2), jnp.asarray(energy), constants)
    return GEV2_NB * jnp.pi * constants.alpha**2 / (3 * _squared(jnp.asarray(energy))) * (same + other)


def fisher_per_event(
    s2: Float[ArrayLike, "..."],
    energy: Float[ArrayLike, "..."],
    constants: Constants = STANDARD,
    *,
    counting: bool = False,
) -> Float[Array, "..."]:
    """The information of one event on s2, (dA/ds2)^2 times that on A (`angular_fisher`); with `counting`, of the signs of c
    alone: (dA_FB/ds2)^2 / (1 - A_FB^2).

    At A = 0 the angles say 8/3 (2 - pi/2) = 1.14 times what the signs do.

    >>> float(fisher_per_event(0.2315, 47.0))
    2.337...
    """
    s2, energy = jnp.broadcast_arrays(jnp.asarray(s2, float), jnp.asarray(energy, float))
    # Each number depends on its own s2 alone.
    value, slope = jax.jvp(lambda s2: asymmetry(s2, energy, constants), (s2,), (jnp.ones_like(s2),))
    if counting:
        return (0.375 * slope) ** 2 / (1 - (0.375 * value) ** 2)
    return slope**2 * angular_fisher(value)


def _squared(energy: Array) -> Array:
    return (2 * energy) ** 2


@functools.partial(jax.jit, static_argnames="constants")
def _helicities(s2: Array, energy: Array, constants: Constants) -> tuple[Array, Array]:
    """S and D: rates with the muon's helicity that of the electron, and the other."""
    s = _squared(energy)
    width = constants.width * (s / constants.mass if constants.running_width else constants.mass)
    # s - MZ^2 as a product, which keeps its digits near the pole.
    real = (2 * energy - constants.mass) * (2 * energy + constants.mass)
    size = real**2 + width**2
    if constants.coupling == "fermi":
        strength = jnp.asarray(2**0.5 * constants.fermi * constants.mass**2 / (jnp.pi * constants.alpha))
    else:
        strength = 1 / (s2 * (1 - s2)) if constants.coupling == "mixing" else jnp.zeros_like(s2)
    vector, axial = -0.5 + 2 * s2, -0.5
    left, right = (vector + axial) / 2, (vector - axial) / 2

    def rate(product: Array) -> Array:
        # |1 + k g_i g_j s / (real + i width)|^2.
        z = strength * product * s
        return 1 + z * (2 * real + z) / size

    return rate(left**2) + rate(right**2), 2 * rate(left * right)
