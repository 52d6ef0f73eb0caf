"""Posteriors from likelihood and ratio surrogates: a potential, and a sampler that explores it."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.infer.conditioning import Conditioning
from quincunx.infer.estimator import Estimator, posterior_from_state, shared_state, state_of
from quincunx.infer.misspecification import Familiarity, Misspecification
from quincunx.infer.posterior import Posterior, flat_theta, named_theta, paired_theta
from quincunx.infer.potential import (
    Data,
    Potential,
    constrained,
    log_density,
    log_joint_many,
    log_likelihood_many,
    log_ratio_many,
    prior_start,
)
from quincunx.infer.reading import Observation, Reader
from quincunx.infer.run import Run
from quincunx.infer.samplers import draw, draw_many
from quincunx.infer.sets import one_observation, padded_many
from quincunx.infer.validity import Validity
from quincunx.learn import Surrogate
from quincunx.model import Prior
from quincunx.values import as_key, pack, register, unpack

SCORED = 2048
"""How many draws are compared with the likelihoods of the simulations."""
PRIOR_DRAWS = 4096
"""How many prior draws the samplers start from."""


@register("potential_estimator")
class PotentialEstimator(Estimator):
    """A learned likelihood or ratio: any number of events multiply, and a sampler turns the product into draws.

    `low_score` is the 0.1 % quantile of the surrogate's log-likelihood over the simulations: where a posterior lives mostly below it, the
    surrogate is being read outside what it has seen.
    """

    kind: ClassVar[str] = "potential_estimator"

    prior: Prior
    surrogate: Surrogate
    reader: Reader
    familiarity: Familiarity
    method: dict[str, Any]
    notes: tuple[str, ...]
    form: str
    shape: tuple[int, ...]
    term: str
    integers: np.ndarray
    failures: Surrogate | None
    sampler: str
    low_score: float

    @property
    def core(self) -> Potential:
        """The arrays that a compiled call needs."""
        scales = self.surrogate.scales
        conditioning = Conditioning(scales["x"], scales["design"], self.form, self.shape)
        validity = None if self.failures is None else Validity.of(self.failures, max(1, self.reader.largest))
        return Potential(
            self.surrogate.model,
            scales["theta"],
            conditioning,
            jnp.asarray(self.integers),
            validity,
            self.prior,
            self.term,
        )

    def close(self, observation: Observation, misspecification: Misspecification) -> "PotentialPosterior":
        """The posterior for an observation that has been read and tested."""
        return PotentialPosterior(self, observation, misspecification)

    def log_likelihood(self, theta: dict[str, Any], x: Any, *, design: Any = None) -> Float[Array, "..."]:
        """The surrogate's log p(x | theta), or log p(x | theta) / p(x), over a batch of observations.

        theta has (B, ...) or (B, n, ...), x has (B, ...). For ratios to a reference it is log p(x | theta) / p_ref(x).
        """
        rows, single = paired_theta(self.prior, theta)
        value = log_likelihood_many(self.core, rows, padded_many(*self.reader.read_many(x, design=design)))
        return jnp.asarray(value[:, 0] if single else value)

    def log_ratio(
        self, theta: dict[str, Any], reference: dict[str, Any], x: Any, *, design: Any = None
    ) -> Float[Array, "..."]:
        """The surrogate's log p(x | theta) / p(x | reference) over a batch of observations, both points given as for `log_likelihood`.

        Where the ratio was learned in both points, it is asked at both, and not at each against a third.
        """
        if self.surrogate.spec["kind"] != "against":
            return self.log_likelihood(theta, x, design=design) - self.log_likelihood(reference, x, design=design)
        rows, single = paired_theta(self.prior, theta)
        others, _ = paired_theta(self.prior, reference)
        batch = padded_many(*self.reader.read_many(x, design=design))
        value = log_ratio_many(self.core, rows, jnp.broadcast_to(others, rows.shape), batch)
        return jnp.asarray(value[:, 0] if single else value)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        spec, arrays = super().to_state()
        failures, more = (None, {}) if self.failures is None else pack(self.failures, "failures")
        spec |= {
            "form": self.form,
            "shape": list(self.shape),
            "term": self.term,
            "failures": failures,
            "sampler": self.sampler,
            "low_score": self.low_score,
        }
        return spec, {**arrays, **more, "integers": self.integers}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "PotentialEstimator":
        """The inverse of `to_state`."""
        failures = spec["failures"]
        return cls(
            **shared_state(spec, arrays),
            form=spec["form"],
            shape=tuple(spec["shape"]),
            term=spec["term"],
            integers=arrays["integers"],
            failures=None if failures is None else unpack(failures, arrays, "failures"),
            sampler=spec["sampler"],
            low_score=spec["low_score"],
        )


@register("potential_posterior")
class PotentialPosterior(Posterior):
    """p(theta | x_o) proportional to a learned likelihood or ratio times the prior; draws come from a sampler that reports on itself.

    Densities are known up to a constant of x_o.
    """

    kind: ClassVar[str] = "potential_posterior"

    estimator: PotentialEstimator
    observation: Observation
    misspecification: Misspecification | None

    @property
    def prior(self) -> Prior:
        """The prior."""
        return self.estimator.prior

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the simulations."""
        return self.estimator.notes

    def run(self, n: int, *, key: PRNGKeyArray | int, budget_seconds: float | None = None) -> Run:
        """n draws by the estimator's sampler, with its diagnostics; warns with `SamplerWarning` when they should not be trusted."""
        key = as_key(key)
        batch = one_observation(self.observation)
        draws = draw(
            log_density,
            (self.estimator.core, jax.tree.map(lambda a: a[0], as_data(batch))),
            prior_sample=prior_start(self.prior, PRIOR_DRAWS, key),
            n=n,
            key=key,
            sampler=self.estimator.sampler,
            budget_seconds=budget_seconds,
        )
        diagnostics = {"sampler": draws.sampler, **draws.diagnostics}
        theta = constrained(self.prior, draws.u)
        return Run(theta, diagnostics, (*draws.warnings, *self._outside(np.asarray(theta), batch)))

    def log_prob_flat(self, theta: Float[Array, "n d"]) -> Float[Array, " n"]:
        """log of likelihood (or ratio) times prior; minus infinity outside the prior's support."""
        return jnp.asarray(log_joint_many(self.estimator.core, theta[None], one_observation(self.observation))[0])

    def given(self, x_new: Any, *, design: Any = None) -> Posterior:
        """The posterior for another observation; its settings are those of this one unless given."""
        return self.estimator.posterior(x_new, design=self.design if design is None else design)

    def sample_many(self, n: int, x: Any, *, key: PRNGKeyArray | int, design: Any = None) -> dict[str, Array]:
        """n draws for each of a batch of observations by tempered SMC, vectorised over them."""
        key = as_key(key)
        draws = draw_many(
            log_density,
            (self.estimator.core, as_data(self._read_many(x, design))),
            axes=(None, 0),
            prior_sample=prior_start(self.prior, PRIOR_DRAWS, key),
            n=n,
            key=key,
        )
        return named_theta(self.prior, constrained(self.prior, draws.u))

    def log_prob_many(self, theta: dict[str, Any], x: Any, *, design: Any = None) -> Float[Array, "..."]:
        """The unnormalised log-density over a batch of observations: theta has (B, ...) or (B, n, ...), x has (B, ...)."""
        rows, single = paired_theta(self.prior, theta)
        value = log_joint_many(self.estimator.core, rows, self._read_many(x, design))
        return jnp.asarray(value[:, 0] if single else value)

    def log_likelihood(self, theta: dict[str, Any]) -> Float[Array, "..."]:
        """The surrogate's log p(x_o | theta), or log-ratio, summed over events."""
        flat = flat_theta(self.prior, theta)
        rows = flat.reshape(1, -1, flat.shape[-1])
        value = log_likelihood_many(self.estimator.core, rows, one_observation(self.observation))
        return jnp.asarray(value[0].reshape(flat.shape[:-1]))

    def _read_many(self, x: Any, design: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return padded_many(*self.estimator.reader.read_many(x, design=self.design if design is None else design))

    def _outside(self, theta: np.ndarray, batch: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[str, ...]:
        if self.estimator.term != "likelihood":
            return ()
        # one row for each of many copies of the observation: the shape for which the fit compiled the likelihood
        rows = np.resize(theta, (SCORED, theta.shape[1]))[:, None]
        copies = tuple(np.broadcast_to(a, (SCORED, *a.shape[1:])) for a in batch)
        each = log_likelihood_many(self.estimator.core, rows, copies)[:, 0] / self.observation.n
        share = float(np.mean(each < self.estimator.low_score))
        if share <= 0.01:
            return ()
        return (
            f"{share:.0%} of the draws give the observation a lower likelihood than 99.9 % of the simulations have: the learned "
            "likelihood is being read outside what it has seen; check the observation, or simulate more near it",
        )

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        return state_of(self)

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> Posterior:
        """The inverse of `to_state`."""
        return posterior_from_state(spec, arrays)


def as_data(batch: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Data:
    """(events, mask, design) as the data of a potential."""
    return dict(zip(("events", "mask", "design"), map(jnp.asarray, batch), strict=True))
