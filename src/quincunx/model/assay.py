"""Whether a simulator's gold can be trusted, tried on a few simulations before any is mined."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import MovingSupport, NoGold, NonFiniteGold, UnusedParameter
from quincunx.model.gold import Gold, told_by
from quincunx.model.prior import Prior
from quincunx.model.program.assay import RUNS, check_program, trials
from quincunx.model.program.program import Program
from quincunx.model.simulator import Simulator
from quincunx.values import as_key

__all__ = ["assay"]


def assay(
    simulator: Simulator, *, key: int | np.integer | PRNGKeyArray, design: Mapping[str, Any] | None = None
) -> None:
    """Try a simulator's gold on 64 simulations from the prior, each also scored at four other parameter points; nothing is returned.

    For a program, what depends on what is looked at first (see `quincunx.program`). Then, for any gold, log p(x, z | theta) and its gradient
    must be finite where (x, z) was drawn, log p(x, z | theta') must not be minus infinity elsewhere in the prior, and no component of the score
    may be zero in all simulations. Done once for a simulator, its prior and its settings (those of one simulation); after that it costs nothing.

    Raises:
        NoGold: for a simulator that tells nothing of its inside.
        NonFiniteGold: for a log-probability or score that is not finite.
        MovingSupport: for draws that are impossible under other parameters.
        UnusedParameter: for a parameter without any effect on the log-probability.
        DirectDependence, DuplicateSite, Unnormalised: for programs.

    >>> import numpyro.distributions as dist
    >>> from quincunx.model.simulator import wrap
    >>> def shifted(theta, *, key, at):
    ...     x = theta["a"] + jax.random.uniform(key)                     # x ~ U(a, a + 1)
    ...     return x, jnp.where((x >= at["a"]) & (x <= at["a"] + 1), 0.0, -jnp.inf)
    >>> assay(wrap(shifted, Prior(a=dist.Normal(0.0, 1.0))), key=0)
    Traceback (most recent call last):
    quincunx.errors.MovingSupport: in ... of 64 simulations of 'shifted' the draws are impossible under other parameters; ...
    """
    if not isinstance(simulator.gold, Gold):
        raise NoGold(
            f"simulator '{simulator.name}' tells nothing of its inside; expected gold; make it a program by @quincunx.program, or give "
            "gold=Gold(trace, joint_log_prob)"
        )
    settings = None if design is None else {name: jnp.asarray(value) for name, value in design.items()}
    _tried(_Asked(simulator, as_key(key), settings))


class _Asked:
    """A simulator and settings, compared by all that the verdict depends on but the key."""

    def __init__(self, simulator: Simulator, key: PRNGKeyArray, design: dict[str, Array] | None):
        self.simulator, self.key, self.design = simulator, key, design
        leaves, tree = jax.tree.flatten((simulator.prior, design))
        held = tuple((np.shape(leaf), np.asarray(leaf).tobytes()) for leaf in leaves)
        self.identity = simulator.caller, simulator.gold, str(tree), held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)


@lru_cache(maxsize=128)
def _tried(asked: _Asked) -> None:
    simulator, prior = asked.simulator, asked.simulator.prior
    name, gold = simulator.name, simulator.gold
    assert isinstance(gold, Gold)
    if isinstance(simulator.function, Program) and gold == simulator.function.gold:
        check_program(simulator.function, prior, asked.key, asked.design)
    log_probs, scores = (np.asarray(a) for a in _told(gold, prior, asked.key, asked.design))
    own, elsewhere = log_probs[:, 0], log_probs[:, 1:]
    if bad := int((~np.isfinite(own)).sum()):
        raise NonFiniteGold(
            f"in {bad} of {RUNS} simulations of '{name}' the log-probability is not finite where they were drawn (for example {own[~np.isfinite(own)][0]}); "
            "expected a number; look for a draw whose density is not the one it was drawn from, or for 0 * log 0"
        )
    if bad := int(np.isneginf(elsewhere).any(axis=1).sum()):
        raise MovingSupport(
            f"in {bad} of {RUNS} simulations of '{name}' the draws are impossible under other parameters; expected the same possible values "
            "whatever the parameters, because otherwise joint ratios and scores are wrong, not just noisy; look for bounds that depend on them"
        )
    for j, column in enumerate(prior.columns):
        if bad := int((~np.isfinite(scores[:, j])).sum()):
            raise NonFiniteGold(
                f"in {bad} of {RUNS} simulations of '{name}' the joint score of '{column}' is NaN or infinite; expected a number; look for a square "
                "root or logarithm at zero, or for jnp.where around one"
            )
    idle = [column for j, column in enumerate(prior.columns) if not scores[:, j].any()]
    if idle:
        raise UnusedParameter(
            f"the joint score of {idle} is zero in all of {RUNS} simulations of '{name}'; expected log-probabilities that change with each "
            "parameter; leave it out of the prior, or look for rounding, stop_gradient, or a branch that is never taken"
        )


@eqx.filter_jit
def _told(
    gold: Gold, prior: Prior, key: PRNGKeyArray, design: dict[str, Array] | None
) -> tuple[Float[Array, "n p"], Float[Array, "n dim"]]:
    def one(points: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
        x, z = gold.run(prior.unflatten(points[0]), key, design)
        log_probs, scores = told_by(gold, prior, points, x, z, design=design, scores=1)
        return log_probs, scores[0]

    return jax.vmap(one)(*trials(prior, key))
