"""The Weinberg angle from e+ e- -> mu+ mu- around the Z pole, at tree level, at a beam energy that is chosen."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike, Float

from quincunx.errors import UsageError
from quincunx.gallery.catalogue import entry
from quincunx.gallery.detector import Detector
from quincunx.gallery.electroweak import asymmetry, cross_section
from quincunx.gallery.problem import Problem, Truth
from quincunx.gallery.settings import grid_truth, settings_of
from quincunx.model import Gold, Prior, simulator

_DEFAULT = {"energy": 47.0}
_NODES = 500


def problem(
    *,
    low: float = 0.20,
    high: float = 0.25,
    events: int = 200,
    cut: float = 1.0,
    smearing: float = 0.0,
    misidentified: float = 0.0,
) -> Problem:
    """Cosines c of the muon's angle, s2 = sin^2 theta_eff ~ U(low, high), at a beam energy in GeV:

        p(c | s2, energy) = 3/8 (1 + c^2 + A c),   A = 8/3 A_FB(s2, energy),

    with the amplitudes of photon and Z of `electroweak`; an observation is a set of `events` cosines of shape (events, 1). The design
    is {"energy": 40 to 50}, 47 by default. The charged leptons' vector coupling is (4 s2 - 1) / 2 and enters squared, so that s2 and 1/2 - s2
    cannot be told apart: the prior ends at 1/4 unless told otherwise, and starts well below every measured value.

    With a fixed number of events the best energy in this range is 40 GeV; with a fixed running time, in which `events_in` says how many
    events there are, it is the Z pole. Options describe a detector (see `Detector`): events are seen with |c| < `cut`, c is smeared by a
    normal distribution of width `smearing`, and a share `misidentified` has its charges swapped, which makes A (1 - 2 w) of A. The
    likelihood is exact for each: smearing keeps it linear in A, with two functions of c in closed form. With smearing there is gold, whose latents
    are the true cosine and whether the charges were swapped; otherwise an event is one uniform number through the exact quantile function.

    Raises:
        UsageError: for bounds outside 0 to 1/2, or as `Detector`.

    >>> pole = problem()
    >>> round(float(pole.truth.fisher({"s2": 0.2315}, {"energy": 40.0})[0, 0]), 2)
    11.17
    """
    if not 0.0 <= low < high <= 0.5:
        raise UsageError(
            f"got sin^2 theta between {low} and {high}; expected 0 <= low < high <= 1/2; give it in these bounds"
        )
    prior = Prior(s2=dist.Uniform(low, high))
    detector = Detector(cut, smearing, misidentified)

    def asymmetry_of(theta: dict, design: dict | None) -> Float[Array, ""]:
        return asymmetry(theta["s2"], settings_of(design, _DEFAULT)["energy"])

    def log_likelihood(theta: dict, x: Float[Array, "*events 1"], design: dict | None = None) -> Float[Array, ""]:
        return jnp.sum(detector.log_prob(x.reshape(-1), asymmetry_of(theta, design)))

    def fisher(theta: dict, design: dict | None = None) -> Float[Array, "1 1"]:
        slope = jax.grad(lambda value: asymmetry_of({"s2": value}, design))(jnp.asarray(theta["s2"], float))
        return (slope**2 * detector.fisher(asymmetry_of(theta, design))).reshape(1, 1)

    def eig(design: dict) -> float:
        values = low + (np.arange(_NODES) + 0.5) / _NODES * (high - low)
        asymmetries = asymmetry(values, float(settings_of(design, _DEFAULT)["energy"]))
        return detector.information(np.asarray(asymmetries, float), np.full(_NODES, 1 / _NODES))

    truth = grid_truth(prior, log_likelihood, low, high, fisher=fisher, eig=eig)
    described: dict[str, Any] = {"name": "weinberg", "observables": ["cosine"], "tractable": truth}

    def trace(theta: dict, *, key: Array, design: dict | None = None) -> tuple[Float[Array, " 1"], dict[str, Array]]:
        return detector.smeared(asymmetry_of(theta, design), key=key)

    def joint_log_prob(theta: dict, x: Float[Array, " 1"], z: dict[str, Array], design: dict | None = None) -> Array:
        return detector.joint_log_prob(x, z, asymmetry_of(theta, design))

    gold = Gold(trace, joint_log_prob) if smearing else None

    @simulator(prior, gold=gold, **described)
    def simulate(theta, *, key, design=None):
        return detector.draw(asymmetry_of(theta, design), key=key)

    return _problem(simulate, truth, events, low, high)


def _problem(simulate: Any, truth: Truth, events: int, low: float, high: float) -> Problem:
    return Problem(
        entry("weinberg"),
        simulate,
        truth,
        {"s2": float(np.clip(0.2315, low, high))},
        events=events,
        space={"energy": (40.0, 50.0)},
        default_design=_DEFAULT,
        derived=lambda theta: {"Z-pole asymmetry": pole_asymmetry(theta["s2"])},
    )


def pole_asymmetry(s2: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
    """A_FB of the Z alone at its pole, 3/4 (2 (1 - 4 s2) / (1 + (1 - 4 s2)^2))^2.

    >>> pole_asymmetry(0.2315)
    Array(0.01625, dtype=float32, weak_type=True)
    """
    vector = 1 - 4 * jnp.asarray(s2)
    return 0.75 * (2 * vector / (1 + vector**2)) ** 2


def events_in(
    luminosity: float, energy: Float[ArrayLike, "..."], *, s2: Float[ArrayLike, "..."] = 0.2315
) -> Float[Array, "..."]:
    """How many events a running time gives: the integrated luminosity, in 1/nb, times the cross section, in nb.

    An expectation (the count itself is Poisson distributed about it, and its own information on s2 is not part of the problem).

    >>> events_in(1000.0, jnp.array([40.0, 45.5938])).round()
    Array([  36., 1984.], dtype=float32)
    """
    return luminosity * cross_section(s2, energy)
