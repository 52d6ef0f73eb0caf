"""A cartoon of e+ e- -> mu+ mu-: an angle whose asymmetry grows with one coupling, in a beam whose energy is chosen."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike, Float

from quincunx.errors import UsageError
from quincunx.gallery.angular import angular_draw, angular_fisher, angular_information, angular_log_prob
from quincunx.gallery.catalogue import entry
from quincunx.gallery.problem import Problem
from quincunx.gallery.settings import grid_truth, settings_of
from quincunx.model import Prior, simulator

_DEFAULT = {"energy": 47.0}
_NODES = 500


def problem(*, low: float = 0.5, high: float = 1.5, clip: bool = True, events: int = 20) -> Problem:
    """Cosines c of the muon's angle, theta ~ U(low, high) the Fermi constant over its nominal value, at a beam energy in GeV:

        p(c | theta, energy) = max(1 + c^2 + A c, 0) / Z,   A = 2 theta tanh(10 (2 energy - 90) / 90),

    an observation being a set of `events` cosines of shape (events, 1). The design is {"energy": 40 to 50}, 47 by default; at 45 nothing
    can be learnt. Beyond |A| = 2, so for theta above 1 far from 45 GeV, the formula is negative somewhere: there the density is cut at
    zero and normalised exactly, where c is impossible, and the Fisher information is infinite. `clip=False` refuses priors that
    reach beyond theta = 1, such as the default; `low=0.2, high=1.0` never needs clipping. An event is one uniform number through the
    exact quantile function, so outcomes can be differentiated in theta and energy. From a notebook of 2017 on the loop of experiments.

    Raises:
        UsageError: for clip=False with `high` above 1.

    >>> toy = problem()
    >>> round(toy.truth.eig({"energy": 50.0}), 5), toy.truth.eig({"energy": 45.0})
    (0.03708, 0.0)
    """
    if not clip and high > 1.0:
        raise UsageError(
            f"got clip=False with theta up to {high}; expected at most 1, beyond which the density would be negative; "
            "write low=0.2, high=1.0, or clip=True"
        )
    prior = Prior(theta=dist.Uniform(low, high))

    def asymmetry_of(theta: dict, design: dict | None) -> Float[Array, ""]:
        return toy_asymmetry(theta["theta"], settings_of(design, _DEFAULT)["energy"])

    def log_likelihood(theta: dict, x: Float[Array, "*events 1"], design: dict | None = None) -> Float[Array, ""]:
        return jnp.sum(angular_log_prob(x.reshape(-1), asymmetry_of(theta, design)))

    def fisher(theta: dict, design: dict | None = None) -> Float[Array, "1 1"]:
        slope = jax.grad(lambda value: asymmetry_of({"theta": value}, design))(jnp.asarray(theta["theta"], float))
        return (slope**2 * angular_fisher(asymmetry_of(theta, design))).reshape(1, 1)

    def eig(design: dict) -> float:
        energy = float(settings_of(design, _DEFAULT)["energy"])
        theta = low + (np.arange(_NODES) + 0.5) / _NODES * (high - low)
        values = 2 * theta * np.tanh(10 * (2 * energy - 90) / 90)
        return angular_information(values, np.full(_NODES, 1 / _NODES))

    truth = grid_truth(prior, log_likelihood, low, high, fisher=fisher, eig=eig)

    @simulator(prior, name="weinberg_toy", observables=["cosine"], tractable=truth)
    def simulate(theta, *, key, design=None):
        return angular_draw(asymmetry_of(theta, design), (1,), key=key)

    return Problem(
        entry("weinberg_toy"),
        simulate,
        truth,
        {"theta": min(1.0, high)},
        events=events,
        space={"energy": (40.0, 50.0)},
        default_design=_DEFAULT,
    )


def toy_asymmetry(theta: Float[ArrayLike, "..."], energy: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
    """A = 2 theta tanh(10 (2 energy - 90) / 90), the energy in GeV.

    >>> toy_asymmetry(1.0, 47.0)
    Array(0.834643, dtype=float32, weak_type=True)
    """
    return 2 * jnp.asarray(theta) * jnp.tanh(10 * (2 * jnp.asarray(energy) - 90) / 90)
