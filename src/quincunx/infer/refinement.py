"""Importance refinement: a learned posterior made exact where the likelihood is known."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.infer.misspecification import Misspecification
from quincunx.infer.posterior import Posterior, paired_theta
from quincunx.infer.potential import constrained
from quincunx.infer.reading import Observation
from quincunx.infer.run import Run
from quincunx.infer.samplers.importance import importance
from quincunx.model import Prior
from quincunx.values import as_key

LogLikelihood = Callable[[dict[str, Array], Any], Array]
"""(theta by name, one point; x) -> log p(x | theta), in JAX."""


class RefinedPosterior(Posterior):
    """A learned posterior reweighted by w = p(x_o | theta) p(theta) / q(theta | x_o) and resampled.

    Its density is the exact one up to its normalisation, and its diagnostics have `pareto_k` (trust below 0.7), `ess` and
    `log_evidence`. It refers to the likelihood's code, so it cannot be saved; the posterior that it refines can.
    """

    proposal: Posterior
    log_likelihood: LogLikelihood = eqx.field(static=True)
    oversample: int = eqx.field(static=True)

    @property
    def prior(self) -> Prior:
        """The prior."""
        return self.proposal.prior

    @property
    def observation(self) -> Observation:
        """The observation."""
        return self.proposal.observation

    @property
    def misspecification(self) -> Misspecification | None:
        """How the observation compares with the simulations."""
        return self.proposal.misspecification

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the simulations."""
        return self.proposal.notes

    def run(self, n: int, *, key: PRNGKeyArray | int) -> Run:
        """n draws resampled from `oversample` times as many; warns with `SamplerWarning` if the weights are too uneven."""
        key = as_key(key)
        run = self.proposal.run(self.oversample * n, key=key)
        log_q = np.asarray(self.proposal.log_prob_flat(run.theta))
        u, log_det = _unconstrain(self.prior, run.theta)
        draws = importance(
            _Target(self.log_likelihood),
            (self.prior, _arrays(self.x_o)),
            proposal_sample=u,
            proposal_log_prob=log_q + np.asarray(log_det),
            n=n,
            key=key,
        )
        diagnostics = {**draws.diagnostics, "sampler": "importance"}
        return Run(constrained(self.prior, draws.u), diagnostics, (*run.warnings, *draws.warnings))

    def log_prob_flat(self, theta: Float[Array, "n d"]) -> Float[Array, " n"]:
        """log p(x_o | theta) + log p(theta), the exact posterior up to its normalisation."""
        return _joint(self.log_likelihood, self.prior, theta, _arrays(self.x_o))

    def given(self, x_new: Any, *, design: Any = None) -> "RefinedPosterior":
        """The refined posterior for another observation."""
        return RefinedPosterior(self.proposal.given(x_new, design=design), self.log_likelihood, self.oversample)

    def sample_many(self, n: int, x: Any, *, key: PRNGKeyArray | int, design: Any = None) -> dict[str, Array]:
        """n draws for each of a batch of observations, one after another."""
        keys = jax.random.split(as_key(key), len(jax.tree.leaves(x)[0]))
        draws = [
            self.given(jax.tree.map(lambda a, i=i: a[i], x), design=design).sample(n, key=k) for i, k in enumerate(keys)
        ]
        return {name: jnp.stack([d[name] for d in draws]) for name in self.names}

    def log_prob_many(self, theta: dict[str, Any], x: Any, *, design: Any = None) -> Float[Array, "..."]:
        """The exact unnormalised density over a batch of observations."""
        rows, single = paired_theta(self.prior, theta)
        value = jnp.stack(
            [
                _joint(self.log_likelihood, self.prior, jnp.asarray(row), jax.tree.map(lambda a, i=i: a[i], x))
                for i, row in enumerate(rows)
            ]
        )
        return value[:, 0] if single else value


def refine(posterior: Posterior, log_likelihood: LogLikelihood, *, oversample: int = 10) -> RefinedPosterior:
    """Reweigh a learned posterior by a known likelihood, for draws as good as their Pareto-k says.

    `log_likelihood(theta, x)` takes one theta by name and the observation, and is written in JAX.

    >>> import jax, numpyro.distributions as dist, quincunx as qx
    >>> @qx.simulator(qx.Prior(mu=dist.Normal(0.0, 1.0)))
    ... def bell(theta, *, key):
    ...     return theta["mu"] + 0.5 * jax.random.normal(key, (2,))
    >>> from quincunx.learn import FitSettings
    >>> rough = qx.infer(bell, [0.5, 0.7], budget=500, key=0, density="gaussian", settings=FitSettings(epochs=10))
    >>> exact = refine(rough, lambda theta, x: -0.5 * jax.numpy.sum(((x - theta["mu"]) / 0.5) ** 2))
    >>> draws = exact.sample(1000, key=1)["mu"]     # the truth is 1.2 / 2.25 = 0.533
    >>> bool(abs(draws.mean() - 0.533) < 0.06)
    True
    """
    return RefinedPosterior(posterior, log_likelihood, oversample)


def _arrays(x: Any) -> Any:
    return {name: jnp.asarray(value) for name, value in x.items()} if isinstance(x, dict) else jnp.asarray(x)


class _Target(eqx.Module):
    """log p(x_o | theta(u)) + log p(u), with prior and observation as data."""

    log_likelihood: LogLikelihood = eqx.field(static=True)

    def __call__(self, u: Float[Array, " du"], data: Any) -> Float[Array, ""]:
        prior, x = data
        return self.log_likelihood(prior.unflatten(prior.to_constrained(u)), x) + prior.log_prob_unconstrained(u)


@eqx.filter_jit
def _unconstrain(prior: Prior, theta: Array) -> tuple[Array, Array]:
    u = prior.to_unconstrained(theta)
    return u, prior.log_det(u)


@eqx.filter_jit
def _joint(log_likelihood: LogLikelihood, prior: Prior, theta: Array, x: Any) -> Array:
    value = jax.vmap(lambda row: log_likelihood(prior.unflatten(row), x))(theta)
    log_prior = prior.log_prob_flat(theta)
    return jnp.where(jnp.isneginf(log_prior), -jnp.inf, value + log_prior)
