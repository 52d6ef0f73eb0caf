"""Answers from a summary: outcomes are compressed to their score, and another method learns from that."""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import UsageError
from quincunx.infer.estimator import Estimator, posterior_from_state, shared_state, state_of
from quincunx.infer.local_score import LocalScore
from quincunx.infer.misspecification import Familiarity, Misspecification
from quincunx.infer.posterior import Posterior
from quincunx.infer.reading import Observation, Reader
from quincunx.infer.run import Run
from quincunx.learn import Surrogate
from quincunx.model import Outcome, Prior
from quincunx.run import Simulations
from quincunx.values import pack, register, unpack

SUMMARY = "score"


@register("summarised_estimator")
class SummarisedEstimator(Estimator):
    """An estimator of some method over the learned scores t(x): it reads outcomes, compresses them and hands them on."""

    kind: ClassVar[str] = "summarised_estimator"

    prior: Prior
    surrogate: Surrogate
    reader: Reader
    familiarity: Familiarity
    method: dict[str, Any]
    notes: tuple[str, ...]
    summary: LocalScore
    inner: Estimator

    def close(self, observation: Observation, misspecification: Misspecification) -> "SummarisedPosterior":
        """The posterior for an observation that has been read and tested."""
        return SummarisedPosterior(self, observation, misspecification)

    def compressed(self, x: Any, *, design: Any = None) -> Float[np.ndarray, "..."]:
        """The scores of a batch of observations, as the inner estimator takes them: (B, dim), or (B, n, dim) for sets."""
        return self.summary.score(x, design=design)

    def log_likelihood(self, theta: dict[str, Any], x: Any, *, design: Any = None) -> Float[Array, "..."]:
        """What the inner estimator makes of the scores: its log p(t | theta) or log-ratio (see `PotentialEstimator.log_likelihood`).

        Raises:
            UsageError: if the inner method learns no likelihood.
        """
        if not hasattr(self.inner, "log_likelihood"):
            raise UsageError(
                f"got '{self.inner.method['method']}' after the summary, which learns a posterior; expected nle, nre or ratio for "
                "likelihoods; choose one by then="
            )
        return self.inner.log_likelihood(theta, self.compressed(x, design=design), design=design)

    def log_ratio(
        self, theta: dict[str, Any], reference: dict[str, Any], x: Any, *, design: Any = None
    ) -> Float[Array, "..."]:
        """log p(t(x) | theta) / p(t(x) | reference) over a batch of observations."""
        return self.log_likelihood(theta, x, design=design) - self.log_likelihood(reference, x, design=design)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        spec, arrays = super().to_state()
        for name in ("summary", "inner"):
            spec[name], more = pack(getattr(self, name), name)
            arrays |= more
        return spec, arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "SummarisedEstimator":
        """The inverse of `to_state`."""
        parts = {name: unpack(spec[name], arrays, name) for name in ("summary", "inner")}
        return cls(**shared_state(spec, arrays), **parts)


@register("summarised_posterior")
class SummarisedPosterior(Posterior):
    """p(theta | t(x_o)): the inner method's posterior given the scores of the observation."""

    kind: ClassVar[str] = "summarised_posterior"

    estimator: SummarisedEstimator
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

    @property
    def inner(self) -> Posterior:
        """The inner method's posterior."""
        seen = self.observation
        scores = self.estimator.summary.score_of(seen.events, seen.settings)
        inner = self.estimator.inner
        read = inner.reader.read(scores[0] if seen.n == 1 else scores, design=self.design)
        return inner.close(read, inner.familiarity.test(read.events))

    def run(self, n: int, *, key: PRNGKeyArray | int) -> Run:
        """n draws with their diagnostics, by the inner posterior."""
        return self.inner.run(n, key=key)

    def log_prob_flat(self, theta: Float[Array, "n d"]) -> Float[Array, " n"]:
        """The inner posterior's log-density."""
        return self.inner.log_prob_flat(theta)

    def given(self, x_new: Any, *, design: Any = None) -> Posterior:
        """The posterior for another observation; its settings are those of this one unless given."""
        return self.estimator.posterior(x_new, design=self.design if design is None else design)

    def sample_many(self, n: int, x: Any, *, key: PRNGKeyArray | int, design: Any = None) -> dict[str, Array]:
        """n draws for each of a batch of observations: x has a leading axis B, the draws have (B, n, ...)."""
        return self.inner.sample_many(n, self._compressed(x, design), key=key, design=design)

    def log_prob_many(self, theta: dict[str, Any], x: Any, *, design: Any = None) -> Float[Array, "..."]:
        """The inner posterior's log-density over a batch of observations."""
        return jnp.asarray(self.inner.log_prob_many(theta, self._compressed(x, design), design=design))

    def _compressed(self, x: Any, design: Any) -> np.ndarray:
        return self.estimator.compressed(x, design=self.design if design is None else design)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        return state_of(self)

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> Posterior:
        """The inverse of `to_state`."""
        return posterior_from_state(spec, arrays)


def summarise(sims: Simulations, summary: LocalScore) -> Simulations:
    """The same simulations with the learned score in the place of each outcome, for any method.

    Rows that failed keep their status, with NaN as score.

    >>> import quincunx as qx
    >>> from quincunx.learn import FitSettings
    >>> board = qx.gallery.load("galton_uniform")
    >>> at = qx.simulate(board.simulator, theta={"theta": np.full(500, 0.5, np.float32)}, gold=True, key=0)
    >>> from quincunx.infer.local_score import learn_score
    >>> learned = learn_score(at, board.prior, key=0, settings=FitSettings(epochs=2))
    >>> summarise(qx.simulate(board.simulator, 100, key=1), learned).x.shape
    (100, 1)
    """
    flat = np.asarray(sims.x_flat(), np.float32)
    settings = summary.reader.simulated_design(sims)
    if sims.events:
        settings = np.repeat(settings, flat.shape[1], axis=0)
    rows = flat.reshape(-1, flat.shape[-1])
    scores = summary.score_of(np.nan_to_num(rows, posinf=0.0, neginf=0.0), settings)
    scores[~np.isfinite(rows).all(axis=1)] = np.nan
    columns = [f"{SUMMARY} of {column}" for column in summary.prior.columns]
    x = scores.reshape(*flat.shape[:-1], -1)
    outcome = Outcome.of(np.empty(x.shape[-1]), observables=columns)
    return dataclasses.replace(sims, x=x, outcome=outcome)
