"""Estimators whose errors are known: the exact conjugate posterior, and ones that are wrong in one way each."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx.check import Trials
from quincunx.model import Prior, wrap

# sd of q relative to the exact posterior's, its displacement in exact sds, and whether it looks at the data
WRONGS = {
    "exact": (1.0, 0.0, True),
    "overconfident": (0.5**0.5, 0.0, True),
    "underconfident": (2.0**0.5, 0.0, True),
    "biased": (1.0, 0.45, True),
    "prior only": (2.0**0.5, 0.0, False),
}
SD = 0.5**0.5
"""theta ~ N(0, 1), x ~ N(theta, 1): theta | x ~ N(x / 2, 1 / 2), coordinate by coordinate."""


class StandIn(eqx.Module):
    """q(theta | x) = N(x / 2 + shift, scale^2 / 2), or the prior."""

    prior: Prior
    x_o: np.ndarray | None
    kind: str = eqx.field(static=True)

    def _moments(self, x):
        scale, shift, looks = WRONGS[self.kind]
        x = jnp.asarray(x, jnp.float32)
        return (x / 2 if looks else 0.0 * x) + shift * SD, scale * SD

    def sample_many(self, n, x, *, key):
        mean, sd = self._moments(x)
        noise = jax.random.normal(
            key if not isinstance(key, int) else jax.random.key(key), (len(mean), n, mean.shape[1])
        )
        return {"theta": mean[:, None] + sd * noise}

    def log_prob_many(self, theta, x):
        mean, sd = self._moments(x)
        theta = theta["theta"]
        mean = mean[:, None] if theta.ndim == 3 else mean
        return jnp.sum(-0.5 * ((theta - mean) / sd) ** 2 - jnp.log(sd * (2 * jnp.pi) ** 0.5), axis=-1)

    def given(self, x_new):
        return StandIn(self.prior, np.asarray(x_new), self.kind)


@pytest.fixture(scope="session")
def gaussian():
    """The simulator, and a maker of estimators by kind of error."""
    prior = Prior(theta=dist.Normal(jnp.zeros(2), 1.0).to_event(1))

    def gaussian(theta, *, key):
        return theta["theta"] + jax.random.normal(key, (2,))

    return wrap(gaussian, prior), lambda kind, x_o=None: StandIn(prior, x_o, kind)


@pytest.fixture(scope="session")
def make_trials() -> Callable[..., Trials]:
    """Trials of a stand-in straight from NumPy, cheap enough for hundreds of repeats."""

    def make(kind: str, seed: int, n: int = 300, draws: int = 99, dim: int = 2) -> Trials:
        rng = np.random.default_rng(seed)
        scale, shift, looks = WRONGS[kind]
        theta = rng.normal(size=(n, dim))
        x = theta + rng.normal(size=(n, dim))
        mean, sd = (x / 2 if looks else np.zeros_like(x)) + shift * SD, scale * SD
        drawn = mean[:, None] + sd * rng.normal(size=(n, draws, dim))

        def log_q(theta, mean):
            return -0.5 * np.sum(((theta - mean) / sd) ** 2, axis=-1)

        def log_p(theta, x):
            return -0.5 * np.sum((theta - x) ** 2, axis=-1)

        return Trials.of(
            theta,
            drawn,
            x,
            log_q=(log_q(theta, mean), log_q(drawn, mean[:, None])),
            log_likelihood=(log_p(theta, x), log_p(drawn, x[:, None])),
        )

    return make


@pytest.fixture(scope="session")
def nominal():
    """Whether so many alarms in so many repeats agree with a rate, at 99.9 % (only from above with `at_most`)."""
    from scipy.stats import binom

    def agrees(alarms: int, repeats: int, rate: float, *, at_most: bool = False) -> bool:
        low, high = binom.ppf(0.0005, repeats, rate), binom.ppf(0.9995, repeats, rate)
        return alarms <= high and (at_most or alarms >= low)

    return agrees
