"""One conjugate problem and one small fit of every method, shared by the tests of this room."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.infer import FMPE, NLE, NPE, NPSE, NRE, Ratio
from quincunx.learn import FitSettings

N = 3000
NOISE = 0.5
GAUSSIAN = {"kind": "gaussian", "width": 16, "depth": 1}
SMALL = {"width": 32, "depth": 1}
PLAIN = FitSettings(epochs=25, batch_size=150, patience=1000)
AVERAGED = FitSettings(epochs=60, batch_size=150, patience=1000, ema=0.99, weight_decay=0.0)
METHODS = {
    "npe": NPE(density=GAUSSIAN, members=2, settings=PLAIN),
    "nle": NLE(density=GAUSSIAN, members=2, settings=PLAIN),
    "nre": NRE(network=SMALL, settings=PLAIN),
    "ratio": Ratio(network=SMALL, settings=PLAIN),
    "fmpe": FMPE(network=SMALL, settings=AVERAGED, steps=8),
    "npse": NPSE(network=SMALL, settings=AVERAGED, steps=16),
}


@qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0), b=dist.Normal(0.0, 1.0), units={"a": "m"}))
def conjugate(theta, *, key):
    """x = (a, b) + 0.5 noise, so that the posterior is N(0.8 x, 0.2)."""
    return jnp.stack([theta["a"], theta["b"]]) + NOISE * jax.random.normal(key, (2,))


class Conjugate:
    """The problem's simulations, truth, and fits made once."""

    simulator = conjugate
    prior = conjugate.prior
    n = N

    def __init__(self):
        self.sims = qx.simulate(conjugate, N, key=0)
        self.fresh = qx.simulate(conjugate, 200, key=1)
        self.x_o = np.array([0.5, -0.3], np.float32)
        self._fits = {}

    def fit(self, method: str):
        if method not in self._fits:
            self._fits[method] = METHODS[method].fit(self.sims, self.prior, key=2)
        return self._fits[method]

    @staticmethod
    def truth(x, events=1):
        """Mean and standard deviation of the exact posterior, for the mean of some events."""
        precision = 1.0 + events / NOISE**2
        return np.asarray(x) * (events / NOISE**2) / precision, precision**-0.5


@pytest.fixture(scope="session")
def problem():
    return Conjugate()
