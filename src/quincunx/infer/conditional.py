"""The posterior of some parameters with the others held fixed."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import ShapeMismatch, UsageError
from quincunx.infer.amortised import Amortised
from quincunx.infer.direct import DirectPosterior
from quincunx.infer.indirect import PRIOR_DRAWS, PotentialPosterior, as_data
from quincunx.infer.misspecification import Misspecification
from quincunx.infer.posterior import Posterior, flat_theta, named_theta
from quincunx.infer.potential import Data, Potential, constrained, prior_start
from quincunx.infer.reading import Observation
from quincunx.infer.run import Run
from quincunx.infer.samplers import draw
from quincunx.infer.sets import one_observation
from quincunx.model import Prior
from quincunx.values import as_key, pack, register, unpack


class _Joint(eqx.Module):
    """What the density of the free coordinates is made of."""

    core: Amortised | Potential
    fixed: Float[Array, " du"]
    observation: Data
    free: tuple[int, ...] = eqx.field(static=True)


def _log_density(u: Float[Array, " f"], joint: _Joint) -> Float[Array, ""]:
    """log p(u_free, u_fixed | x_o), as a function of the free coordinates."""
    whole = joint.fixed.at[jnp.asarray(joint.free)].set(u)
    if isinstance(joint.core, Potential):
        return joint.core(whole, joint.observation)
    return joint.core.log_density(whole, joint.observation)


@register("conditional_posterior")
class ConditionalPosterior(Posterior):
    """p(b | a = value, x_o), up to its normalisation; draws come from a sampler on the joint density."""

    kind: ClassVar[str] = "conditional_posterior"

    whole: DirectPosterior | PotentialPosterior
    fixed: dict[str, np.ndarray]

    @property
    def prior(self) -> Prior:
        """The prior of the free parameters."""
        whole = self.whole.prior
        free = {name: d for name, d in whole.distributions.items() if name not in self.fixed}
        return Prior(free, units={name: unit for name, unit in whole.units.items() if name in free})

    @property
    def observation(self) -> Observation:
        """The observation."""
        return self.whole.observation

    @property
    def misspecification(self) -> Misspecification | None:
        """How the observation compares with the simulations."""
        return self.whole.misspecification

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the simulations, and what is held fixed."""
        held = ", ".join(f"{name} = {np.asarray(value).tolist()}" for name, value in self.fixed.items())
        return (*self.whole.notes, f"conditional on {held}")

    def run(self, n: int, *, key: PRNGKeyArray | int) -> Run:
        """n draws by the rule's sampler, with its diagnostics."""
        key = as_key(key)
        start = prior_start(self.prior, PRIOR_DRAWS, key)
        observation = jax.tree.map(lambda a: a[0], as_data(one_observation(self.observation)))
        joint = _Joint(self.whole.estimator.core, self._fixed_u(), observation, self._free())
        smooth = self.whole.estimator.surrogate.functional not in ("flow_matching", "denoising_score")
        draws = draw(_log_density, joint, prior_sample=start, n=n, key=key, differentiable=smooth)
        diagnostics = {"sampler": draws.sampler, **draws.diagnostics}
        return Run(constrained(self.prior, draws.u), diagnostics, draws.warnings)

    def log_prob_flat(self, theta: Float[Array, "n d"]) -> Float[Array, " n"]:
        """log of the joint posterior at the fixed values: the conditional's density up to a constant."""
        named = named_theta(self.prior, theta)
        held = {name: np.broadcast_to(value, (len(theta), *value.shape)) for name, value in self.fixed.items()}
        return self.whole.log_prob({**named, **held})

    def given(self, x_new: Any, *, design: Any = None) -> "ConditionalPosterior":
        """The same conditional for another observation."""
        return ConditionalPosterior(self.whole.given(x_new, design=design), self.fixed)

    def sample_many(self, n: int, x: Any, *, key: PRNGKeyArray | int, design: Any = None) -> dict[str, Array]:
        """n draws for each of a batch of observations, one after another with one compiled sampler."""
        keys = jax.random.split(as_key(key), len(x))
        draws = [self.given(row, design=design).sample(n, key=k) for row, k in zip(x, keys, strict=True)]
        return {name: jnp.stack([d[name] for d in draws]) for name in self.names}

    def log_prob_many(self, theta: dict[str, Any], x: Any, *, design: Any = None) -> Float[Array, "..."]:
        """The unnormalised log-density over a batch of observations."""
        batch = flat_theta(self.prior, theta).shape[:-1]
        held = {name: np.broadcast_to(value, (*batch, *value.shape)) for name, value in self.fixed.items()}
        return self.whole.log_prob_many({**theta, **held}, x, design=design)

    def _free(self) -> tuple[int, ...]:
        free: list[int] = []
        start = 0
        for name, transform in zip(self.whole.prior.names, self.whole.prior.transforms, strict=True):
            size = transform.unconstrained_size
            free += [] if name in self.fixed else range(start, start + size)
            start += size
        return tuple(free)

    def _fixed_u(self) -> Array:
        whole = self.whole.prior
        # any value inside the support will do for the free ones: they are overwritten
        inside = whole.unflatten(whole.to_constrained(jnp.zeros(whole.unconstrained_dim)))
        return whole.to_unconstrained(whole.flatten({**inside, **{k: jnp.asarray(v) for k, v in self.fixed.items()}}))

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        spec, arrays = pack(self.whole, "whole")
        return {"whole": spec, "fixed": list(self.fixed)}, {
            **arrays,
            **{f"fixed/{k}": v for k, v in self.fixed.items()},
        }

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "ConditionalPosterior":
        """The inverse of `to_state`."""
        return cls(unpack(spec["whole"], arrays, "whole"), {name: arrays[f"fixed/{name}"] for name in spec["fixed"]})


def conditional_posterior(posterior: Posterior, fixed: dict[str, Any]) -> ConditionalPosterior:
    """Hold some parameters of a posterior at given values.

    Raises:
        UsageError: if nothing is left free, or a value is outside the prior's support.
        ShapeMismatch: if a value's shape is not the parameter's.
    """
    if isinstance(posterior, ConditionalPosterior):
        return conditional_posterior(posterior.whole, {**posterior.fixed, **fixed})
    if not isinstance(posterior, DirectPosterior | PotentialPosterior):
        raise UsageError(f"got a {type(posterior).__name__}; expected a learned posterior; condition before refining")
    prior = posterior.prior
    if prior.region is not None:
        raise UsageError(
            "got a posterior whose prior is restricted to where simulations succeed, which ties its parameters to each other; expected "
            "one that is not; take the draws near the values instead"
        )
    if len(fixed) == len(prior.names):
        raise UsageError(f"got values for all of {', '.join(prior.names)}; expected at least one parameter left free")
    values = {name: np.asarray(value, np.float32) for name, value in fixed.items()}
    for name, value in values.items():
        if value.shape != tuple(prior.shapes[name]):
            raise ShapeMismatch(f"got {name} of shape {value.shape}; expected {tuple(prior.shapes[name])}")
        if not np.isfinite(float(Prior({name: prior.distributions[name]}).log_prob({name: value}))):
            raise UsageError(f"got {name} = {value.tolist()}, outside the prior's support; expected a possible value")
    return ConditionalPosterior(posterior, values)
