"""A learned likelihood as a simulator: draws in no time what a program would take seconds for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from quincunx.errors import UsageError
from quincunx.infer import PotentialEstimator
from quincunx.infer.ensemble import member_count, over_members
from quincunx.infer.potential import Potential
from quincunx.model import Outcome, Simulator

__all__ = ["emulator"]


@dataclass(frozen=True, eq=False)
class _Emulated:
    """x ~ q(x | theta, design), the equal mixture of an ensemble's members."""

    core: Potential
    settings: tuple[str, ...]
    outcome: Outcome

    @classmethod
    def of(cls, estimator: PotentialEstimator) -> "_Emulated":
        """With all numbers in float32: what is shared with float64 calculations must not be a constant of compiled code in float32."""
        core = jax.tree.map(lambda leaf: jnp.asarray(leaf) if eqx.is_array(leaf) else leaf, estimator.core)
        return cls(core, tuple(estimator.reader.varied), estimator.reader.outcome)

    def __call__(
        self, theta: Mapping[str, Array], *, key: PRNGKeyArray, design: Mapping[str, Any] | None = None
    ) -> Any:
        core, given = self.core, design or {}
        k_member, k_draw = jax.random.split(key)
        u = core.prior.to_unconstrained(core.prior.flatten({name: theta[name] for name in core.prior.names}))
        parts = [jnp.asarray(given[name], jnp.float32).reshape(-1) for name in self.settings]
        settings = core.conditioning.design_scale.forward(jnp.concatenate(parts) if parts else jnp.zeros(0))
        condition = jnp.concatenate([core.u_scale.forward(u), settings])
        # every member draws and one is kept: to choose the member first would copy its weights for every outcome
        draws = over_members(lambda member: member.sample(condition, key=k_draw), core.model)
        y = draws[jax.random.randint(k_member, (), 0, member_count(core.model))]
        x = core.conditioning.x_scale.inverse(y)
        # whole numbers were spread over the unit cell above them
        return self.outcome.unflatten(jnp.where(core.integers, jnp.floor(x), x))


def emulator(simulator: Simulator, estimator: Any) -> Simulator:
    """A JAX simulator with the outcomes of a learned likelihood, x ~ q(x | theta, design), in the place of a slow one.

    `Designer(estimator=learned, emulator=emulator(simulator, learned))` compares designs and checks data by its draws, so that a program runs for
    experiments alone. What designs are expected to teach is then that of q, and as right as q is. Where some simulations failed it draws
    outcomes of those that did not.

    `estimator` is what `NLE.fit` or `learn_likelihood` gives.

    Raises:
        UsageError: for an estimator of a ratio, which cannot be drawn from, or one that leaves columns of x out.

    >>> import numpyro.distributions as dist, quincunx as qx
    >>> from quincunx.learn import FitSettings
    >>> prior = qx.Prior(a=dist.Normal(0.0, 1.0))
    >>> slow = qx.wrap(lambda theta, *, rng, design: rng.normal(theta["a"] * design["d"], 0.5, 2), prior, name="slow")
    >>> sims = qx.simulate(slow, 300, key=0, design=qx.Prior(d=dist.Uniform(0.0, 1.0)))
    >>> learned = qx.NLE(density="gaussian", settings=FitSettings(epochs=2)).fit(sims, prior, key=0)
    >>> emulator(slow, learned)
    Simulator(slow, learned: jax, parameters a)
    """
    if not isinstance(estimator, PotentialEstimator) or estimator.term != "likelihood":
        what = estimator.term if isinstance(estimator, PotentialEstimator) else type(estimator).__name__
        raise UsageError(
            f"got a learned {what} of '{simulator.name}'; expected a likelihood, which alone can be drawn from; learn it with the method nle"
        )
    if estimator.surrogate.scales["x"].kept is not None:
        raise UsageError(
            f"got a likelihood of '{simulator.name}' that leaves columns of x out; expected one of whole outcomes; learn it without screen"
        )
    return Simulator(
        _Emulated.of(estimator),
        simulator.prior,
        name=f"{simulator.name}, learned",
        units=simulator.units or None,
        observables=None if estimator.reader.outcome.keyed else list(estimator.reader.columns),
        version=simulator.version,
    )
