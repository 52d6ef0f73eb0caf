"""A prior restricted to where simulations are likely to succeed, when that is what is wanted."""

import math

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.errors import UnsupportedPrior, UsageError
from quincunx.infer.failing import failures
from quincunx.model import Prior
from quincunx.model.region import Region
from quincunx.run import Simulations
from quincunx.values import as_key

__all__ = ["restrict"]

_DRAWS = 100_000
_LEAST = 0.01


def restrict(prior: Prior, sims: Simulations, at_least: float = 0.5, *, key: PRNGKeyArray | int = 0) -> Prior:
    """The prior where P(ok | theta) > `at_least`, as learned from simulations under it of which some have failed.

    p_r(theta) = p(theta) [P(ok | theta) > t] / share, with the share of the prior's mass that is left by Monte Carlo on 100,000 draws. It is
    another prior, hence another question: it says so when it is shown and in the notes of every answer under it. Draws are
    those of the whole prior, drawn again until they are inside.

    Raises:
        UsageError: for a chance that is not between 0 and 1, or if no simulation has failed. AllSimulationsFailed: if none has worked.
        UnsupportedPrior: if it is restricted already, or less than a hundredth of its mass is left.

    >>> import numpyro.distributions as dist
    >>> whole = Prior(a=dist.Uniform(0.0, 1.0))
    >>> theta = {"a": np.linspace(0.001, 0.999, 600)}
    >>> prior = restrict(whole, Simulations.of(theta, np.where(theta["a"] > 0.8, np.nan, 1.0)[:, None]))
    >>> print(repr(prior).splitlines()[-1])
      the prior is restricted to P(ok | theta) > 0.5 as learned from 600 simulations: ...
    >>> bool(prior.sample(1000, key=0)["a"].max() < 0.85), round(float(prior.log_prob({"a": 0.4})), 1)
    (True, 0.2)
    """
    if not 0.0 < at_least < 1.0:
        raise UsageError(f"got at_least={at_least}; expected a chance between 0 and 1; write for example at_least=0.5")
    k_learn, k_share = jax.random.split(as_key(key))
    if prior.region is not None:
        raise UnsupportedPrior(
            "got a prior that is restricted already; expected the whole one; restrict that, from all simulations"
        )
    found = failures(sims, prior, key=k_learn)
    region = Region(found.surrogate, at_least, 1.0, 0.0, len(sims))
    u = prior.to_unconstrained(prior.sample_flat(_DRAWS, key=k_share))
    share = float(np.mean(np.asarray(region.contains(u))))
    if share < _LEAST:
        raise UnsupportedPrior(
            f"got {100 * share:.2g} % of the prior's mass with P(ok | theta) > {at_least:g}; expected a hundredth or more; mend the "
            "simulator, or ask for a smaller chance"
        )
    error = math.sqrt(share * (1.0 - share) / _DRAWS)
    return prior.within(Region(found.surrogate, at_least, share, error, len(sims)))
