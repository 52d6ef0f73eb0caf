"""A yes or no whose threshold is chosen: the smallest experiment that can be designed."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from scipy import special, stats

from quincunx.gallery.catalogue import entry
from quincunx.gallery.enumeration import finite_information
from quincunx.gallery.problem import Problem
from quincunx.gallery.settings import grid_truth, settings_of
from quincunx.model import Prior, simulator

_DEFAULT = {"level": 1.0}
_END = 8.0


def problem(*, width: float = 0.5, events: int = 5) -> Problem:
    """theta ~ N(0, 1), and each answer is x ~ Bernoulli(sigmoid((theta - level) / width)), 0 or 1, of shape (1,).

    An observation is a set of `events` answers at one level. The design is {"level": -3 to 3}, 1 by default; `outcomes` are 0 and 1.
    With p the chance of a yes the score is (x - p) / width and the Fisher information p (1 - p) / width^2. The best first level is 0, by symmetry;
    the expected information gain of one answer is the sum over both of an integral over theta by Gauss and Legendre (textbook: the
    quantal response, Finney 1947).

    >>> round(problem().truth.eig({"level": 0.0}), 6)
    0.231138
    """
    prior = Prior(theta=dist.Normal(0.0, 1.0))

    def logit_of(theta: dict, design: dict | None) -> Float[Array, ""]:
        return (theta["theta"] - settings_of(design, _DEFAULT)["level"]) / width

    def log_likelihood(theta: dict, x: Float[Array, "*events 1"], design: dict | None = None) -> Float[Array, ""]:
        logit = logit_of(theta, design)
        return jnp.sum(x * jax.nn.log_sigmoid(logit) + (1 - x) * jax.nn.log_sigmoid(-logit))

    def fisher(theta: dict, design: dict | None = None) -> Float[Array, "1 1"]:
        p = jax.nn.sigmoid(logit_of(theta, design))
        return (p * (1 - p) / width**2).reshape(1, 1)

    def eig(design: dict) -> float:
        nodes, weights = np.polynomial.legendre.leggauss(400)
        theta = _END * nodes
        logit = (theta - float(settings_of(design, _DEFAULT)["level"])) / width
        log_p = np.stack([special.log_expit(-logit), special.log_expit(logit)], axis=1)
        return finite_information(log_p, weights * stats.norm.pdf(theta))

    truth = grid_truth(prior, log_likelihood, -_END, _END, fisher=fisher, eig=eig)

    @simulator(prior, name="threshold", observables=["yes"], tractable=truth)
    def simulate(theta, *, key, design=None):
        answer = jax.random.uniform(key, (1,)) < jax.nn.sigmoid(logit_of(theta, design))
        return answer.astype(jnp.float32)

    return Problem(
        entry("threshold"),
        simulate,
        truth,
        {"theta": jnp.asarray(0.5)},
        events=events,
        space={"level": (-3.0, 3.0)},
        default_design=_DEFAULT,
        outcomes=np.array([[0.0], [1.0]]),
    )
