"""Posteriors that are drawn from directly: NPE, flow matching and score-based estimators."""

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import ShapeMismatch
from quincunx.infer.amortised import Amortised, draw_many, log_prob_many
from quincunx.infer.conditioning import Conditioning
from quincunx.infer.estimator import Estimator, posterior_from_state, shared_state, state_of
from quincunx.infer.misspecification import Familiarity, Misspecification
from quincunx.infer.posterior import Posterior, flat_theta, named_theta, paired_theta
from quincunx.infer.posterior_card import posterior_card
from quincunx.infer.reading import Observation, Reader
from quincunx.infer.run import Run
from quincunx.infer.sets import one_observation, padded_many
from quincunx.learn import Surrogate
from quincunx.model import Prior
from quincunx.values import as_key, register


@register("direct_estimator")
class DirectEstimator(Estimator):
    """A conditional density of theta given x, for any x: the answer is a pass through a network."""

    kind: ClassVar[str] = "direct_estimator"

    prior: Prior
    surrogate: Surrogate
    reader: Reader
    familiarity: Familiarity
    method: dict[str, Any]
    notes: tuple[str, ...]
    form: str
    shape: tuple[int, ...]

    @property
    def core(self) -> Amortised:
        """The arrays that a compiled call needs."""
        scales = self.surrogate.scales
        conditioning = Conditioning(scales["x"], scales["design"], self.form, self.shape)
        return Amortised(self.surrogate.model, scales["theta"], conditioning, self.prior)

    def close(self, observation: Observation, misspecification: Misspecification) -> "DirectPosterior":
        """The posterior for an observation that has been read and tested."""
        self.refuse_sets(observation.n)
        return DirectPosterior(self, observation, misspecification)

    def refuse_sets(self, n: int) -> None:
        """Refuse several events where the network was trained on single outcomes."""
        if n != 1 and not self.reader.sets:
            raise ShapeMismatch(
                f"got a set of {n} events for a posterior trained on single outcomes; expected one outcome of shape "
                f"{self.reader.shape}; simulate sets (simulate(..., events=n)) and fit again, or use NLE or NRE"
            )

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        spec, arrays = super().to_state()
        return {**spec, "form": self.form, "shape": list(self.shape)}, arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "DirectEstimator":
        """The inverse of `to_state`."""
        return cls(**shared_state(spec, arrays), form=spec["form"], shape=tuple(spec["shape"]))


@register("direct_posterior")
class DirectPosterior(Posterior):
    """q(theta | x_o) by a conditional density: independent draws and a normalised density, at once for many observations."""

    kind: ClassVar[str] = "direct_posterior"

    estimator: DirectEstimator
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

    def run(self, n: int, *, key: PRNGKeyArray | int) -> Run:
        """n independent draws."""
        theta = draw_many(self.estimator.core, *one_observation(self.observation), n, key=as_key(key))[0]
        return Run(jnp.asarray(theta), {"sampler": "direct", "reason": "finished"})

    def log_prob_flat(self, theta: Float[Array, "n d"]) -> Float[Array, " n"]:
        """log q(theta | x_o), normalised; minus infinity outside the prior's support."""
        return jnp.asarray(log_prob_many(self.estimator.core, theta[None], *one_observation(self.observation))[0])

    def given(self, x_new: Any, *, design: Any = None) -> Posterior:
        """The posterior for another observation; its settings are those of this one unless given."""
        return self.estimator.posterior(x_new, design=self.design if design is None else design)

    def sample_many(self, n: int, x: Any, *, key: PRNGKeyArray | int, design: Any = None) -> dict[str, Array]:
        """n draws for each of a batch of observations: x has a leading axis B, the draws have (B, n, ...)."""
        events, mask, settings = self._many(x, design)
        return named_theta(self.prior, draw_many(self.estimator.core, events, mask, settings, n, key=as_key(key)))

    def log_prob_many(self, theta: dict[str, Any], x: Any, *, design: Any = None) -> Float[Array, "..."]:
        """log q(theta | x) over a batch of observations: theta has (B, ...) or (B, n, ...), x has (B, ...)."""
        rows, single = paired_theta(self.prior, theta)
        value = log_prob_many(self.estimator.core, rows, *self._many(x, design))
        return jnp.asarray(value[:, 0] if single else value)

    def _repr_html_(self) -> str:
        return posterior_card(self, drawn=True)

    def to_base(self, theta: dict[str, Any]) -> Float[Array, "n d"]:
        """Base coordinates of theta under the first member, standard normal if the posterior is right there."""
        core, (events, mask, settings) = self.estimator.core, one_observation(self.observation)
        return core.to_base(flat_theta(self.prior, theta), events[0], mask[0], settings[0])

    def _many(self, x: Any, design: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        design = self.design if design is None else design
        events, settings = self.estimator.reader.read_many(x, design=design)
        self.estimator.refuse_sets(events.shape[1])
        return padded_many(events, settings)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        return state_of(self)

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> Posterior:
        """The inverse of `to_state`."""
        return posterior_from_state(spec, arrays)
