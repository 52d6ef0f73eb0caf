"""The cosine of a scattering angle with density proportional to 1 + c^2 + A c, cut at zero where that is negative."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray
from scipy.special import xlogy

_STEPS = 28


def angular_log_prob(
    c: Float[ArrayLike, "..."], asymmetry: Float[ArrayLike, "..."], *, cut: float = 1.0
) -> Float[Array, "..."]:
    """log of max(1 + c^2 + A c, 0) / Z on |c| <= cut, with the exact Z; -inf outside, where the gradient is zero.

    With c_0 = (-|A| + sqrt(A^2 - 4)) / 2 for |A| > 2, else -1, the density of c sign(A) is positive from l = max(c_0, -cut) to cut, and
    Z = (cut - l) + (cut^3 - l^3) / 3 + |A| (cut^2 - l^2) / 2: 8/3 for |A| <= 2 without a cut.

    >>> angular_log_prob(jnp.array([0.0, 1.0]), jnp.array(1.0))
    Array([-0.981,  0.118], dtype=float32)
    """
    c, asymmetry = jnp.asarray(c), jnp.asarray(asymmetry)
    low, high = angular_support(asymmetry, cut=cut)
    shape = _shape(c, asymmetry)
    inside = (shape > 0) & (jnp.abs(c) <= cut)
    whole = _integral(high - low, low, asymmetry)
    return jnp.where(inside, jnp.log(jnp.where(inside, shape, 1.0)) - jnp.log(whole), -jnp.inf)


def angular_support(
    asymmetry: Float[ArrayLike, "..."], *, cut: float = 1.0
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Where the density is positive: the ends of one interval.

    >>> [round(float(end), 3) for end in angular_support(jnp.array(2.5))]
    [-0.5, 1.0]
    """
    asymmetry = jnp.asarray(asymmetry)
    size = jnp.abs(asymmetry)
    beyond = size > 2
    root = jnp.sqrt(jnp.where(beyond, size**2 - 4, 1.0))
    # (-A + sqrt(A^2 - 4)) / 2 without cancellation.
    zero = jnp.where(beyond, -2 / (size + root), -1.0)
    edge = jnp.maximum(zero, -cut)
    return jnp.where(asymmetry > 0, edge, -cut), jnp.where(asymmetry < 0, -edge, cut)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def angular_quantile(
    uniform: Float[ArrayLike, "..."], asymmetry: Float[ArrayLike, "..."], cut: float = 1.0
) -> Float[Array, "..."]:
    """The c below which lies the share `uniform` of the density: uniform numbers in [0, 1) become events.

    Solved by Newton's method, with bisection wherever a step would leave the bracket. Derivatives are those of the equation solved,
    dc/dA = (u dZ/dA - d/dA int_l^c) / (1 + c^2 + A c), so that events can be differentiated in the parameters and the design.

    >>> angular_quantile(jnp.array([0.0, 0.5, 1.0]), jnp.array(0.0))
    Array([-1.,  0.,  1.], dtype=float32)
    >>> jax.grad(angular_quantile, 1)(0.5, 0.0)                      # (1 - c^2) / 2 over 1 + c^2
    Array(0.5, dtype=float32, weak_type=True)
    """
    uniform, asymmetry = jnp.broadcast_arrays(jnp.asarray(uniform), jnp.asarray(asymmetry))
    low, high = angular_support(asymmetry, cut=cut)
    width = high - low
    target = uniform * _integral(width, low, asymmetry)

    def step(_: Any, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        left, right, d = state
        excess = _integral(d, low, asymmetry) - target
        left, right = jnp.where(excess < 0, d, left), jnp.where(excess < 0, right, d)
        slope = _shape(low + d, asymmetry)
        newton = d - excess / jnp.where(slope > 0, slope, 1.0)
        # A step that leads nowhere, at the root, must not be taken for one that leaves the bracket.
        safe = (slope > 0) & (newton >= left) & (newton <= right)
        return left, right, jnp.where(safe, newton, (left + right) / 2)

    d = jax.lax.fori_loop(0, _STEPS, step, (jnp.zeros_like(width), width, width / 2))[2]
    return low + d


@angular_quantile.defjvp
def _quantile_jvp(cut, primals, tangents):
    uniform, asymmetry = (jnp.asarray(value) for value in primals)
    c = angular_quantile(uniform, asymmetry, cut)
    low, high = angular_support(asymmetry, cut=cut)
    density = _shape(c, asymmetry)
    # Where an end of the support moves with A the density vanishes: the end itself contributes nothing.
    by_asymmetry = uniform * (high**2 - low**2) / 2 - (c**2 - low**2) / 2
    by_uniform = _integral(high - low, low, asymmetry)
    positive = density > 0
    change = by_asymmetry * tangents[1] + by_uniform * tangents[0]
    return c, jnp.where(positive, change / jnp.where(positive, density, 1.0), 0.0)


def angular_draw(
    asymmetry: Float[Array, ""], shape: tuple[int, ...] = (), *, cut: float = 1.0, key: PRNGKeyArray
) -> Float[Array, "..."]:
    """Independent events: the quantile function at uniform numbers.

    >>> angular_draw(jnp.array(1.0), (2,), key=jax.random.key(0)).shape
    (2,)
    """
    # Half a step of float32's uniform numbers up, for at 0 lies an end of the support, where there may be no density.
    return angular_quantile(jax.random.uniform(key, shape) + 2.0**-24, asymmetry, cut)


def angular_fisher(asymmetry: Float[ArrayLike, "..."], *, cut: float = 1.0) -> Float[Array, "..."]:
    """The information of one event on A, E[(d log p / dA)^2], for |A| < 2: infinite from there on, where the density has a zero.

    With k for the cut and D = sqrt(1 - A^2 / 4) it is, over the normaliser 2 k + 2 k^3 / 3,

        2 k - (A/2) log((1 + k^2 + A k) / (1 + k^2 - A k)) - (1 - A^2/2) (atan((k + A/2) / D) + atan((k - A/2) / D)) / D,

    3/8 (2 - pi/2) at A = 0 without a cut.

    >>> angular_fisher(jnp.array(0.0))
    Array(0.161, dtype=float32, weak_type=True)
    """
    asymmetry = jnp.asarray(asymmetry)
    below = jnp.abs(asymmetry) < 2
    a = jnp.where(below, asymmetry, 0.0)
    root = jnp.sqrt(1 - a**2 / 4)
    angles = jnp.arctan((cut + a / 2) / root) + jnp.arctan((cut - a / 2) / root)
    logarithm = jnp.log((1 + cut**2 + a * cut) / (1 + cut**2 - a * cut))
    whole = 2 * (cut + cut**3 / 3)
    value = (2 * cut - a / 2 * logarithm - (1 - a**2 / 2) * angles / root) / whole
    return jnp.where(below, value, jnp.inf)


def angular_information(
    asymmetry: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"], *, cut: float = 1.0, nodes: int = 1000
) -> float:
    """I(A; c) of one event in nats, for n values of A with weights that add up to one, by the midpoint rule in c and in float64.

    >>> round(angular_information(np.array([-1.0, 1.0]), np.array([0.5, 0.5])), 4)
    0.0835
    """
    c = cut * ((2 * np.arange(nodes) + 1) / nodes - 1)
    information, mixture = 0.0, np.zeros(nodes)
    for start in range(0, len(asymmetry), 100):
        rows, share = asymmetry[start : start + 100], weights[start : start + 100]
        shape = np.maximum(1 + c**2 + rows[:, None] * c, 0.0)
        # The width of a cell is left out: what follows are probabilities of cells.
        mass = shape / shape.sum(axis=1, keepdims=True)
        information += float(share @ xlogy(mass, mass).sum(axis=1))
        mixture += share @ mass
    return max(information - float(xlogy(mixture, mixture).sum()), 0.0)


def _shape(c: Array, asymmetry: Array) -> Array:
    """1 + c^2 + A c as a sum of parts that do not cancel where it vanishes."""
    sign = jnp.where(asymmetry < 0, -1.0, 1.0)
    return (1 + sign * c) ** 2 + (asymmetry - 2 * sign) * c


def _integral(d: Array, low: Array, asymmetry: Array) -> Array:
    """The integral of 1 + c^2 + A c from low to low + d, in powers of d: small where d is."""
    at_low = _shape(low, asymmetry)
    return d * (at_low + d * (low + asymmetry / 2 + d / 3))
