"""Simulators with gold that worker processes find by their place in this file: z ~ N(mu, 4), x ~ N(z, 1)."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from quincunx.model import Gold, Prior, Told, simulator, wrap

PRIOR = Prior(mu=dist.Normal(0.0, 2.0))
PAIR = Prior(mu=dist.Normal(0.0, 1.0), width=dist.Uniform(0.5, 2.0))
POINTS = (-1.0, 0.0, 2.0)
AT = tuple({"mu": point} for point in POINTS)
TOLD = Told(score="slope", log_probs="terms", at=AT)


def trace(theta, *, key):
    hidden, noise = jax.random.normal(key, (2,))
    z = theta["mu"] + 2.0 * hidden
    return (z + noise)[None], z


def joint_log_prob(theta, x, z):
    return -((z - theta["mu"]) ** 2) / 8.0 - (x[0] - z) ** 2 / 2.0


def bell(theta, *, key):
    return trace(theta, key=key)[0]


GOLDEN = wrap(bell, PRIOR, name="golden", gold=Gold(trace, joint_log_prob))


@simulator(PRIOR, gold=Gold(trace, joint_log_prob))
def decorated(theta, *, key, design=None):
    return trace(theta, key=key)[0]


def scaled(theta, *, key, at):
    z = theta["mu"] + theta["width"] * jax.random.normal(key)
    x = z + jax.random.normal(jax.random.fold_in(key, 1), (2,))
    return x, -((z - at["mu"]) ** 2) / (2 * at["width"] ** 2) - jnp.log(at["width"])


SCALED = wrap(scaled, PAIR)


def told(mu, z):
    # A constant common to the points, far beyond what float32 can tell apart.
    return 1e6 * z - (z - np.array(POINTS)) ** 2 / 8.0, (z - mu) / 4.0


def foreign(theta, *, rng):
    z = rng.normal(theta["mu"], 2.0)
    terms, slope = told(theta["mu"], z)
    return {"x": [rng.normal(z, 1.0)], "terms": terms, "slope": slope}


def together(theta, *, rngs):
    rows = [foreign({"mu": mu}, rng=rng) for mu, rng in zip(theta["mu"], rngs)]
    return {name: np.array([row[name] for row in rows]).reshape(len(rows), -1) for name in rows[0]}


def silent(theta, *, rng):
    if theta["mu"] > 1.0:
        raise ArithmeticError("diverged")
    return foreign(theta, rng=rng)


FOREIGN = wrap(foreign, PRIOR, name="foreign", gold=TOLD)
TOGETHER = wrap(together, PRIOR, name="together", gold=TOLD)
SILENT = wrap(silent, PRIOR, name="silent", gold=TOLD)
