"""The one door: draws of a log-density, by name of sampler or by rule."""

import warnings
from typing import Literal

import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.errors import SamplerWarning, UsageError
from quincunx.infer.samplers.choose import SAMPLERS, choose_sampler
from quincunx.infer.samplers.draws import Draws
from quincunx.infer.samplers.mcmc import run_mcmc
from quincunx.infer.samplers.moves import LogDensity
from quincunx.infer.samplers.particles import run_smc, run_smc_many
from quincunx.values import as_key


def draw(
    log_density: LogDensity,
    data: PyTree,
    *,
    prior_sample: Float[Array | np.ndarray, "m d"],
    n: int,
    key: PRNGKeyArray | int,
    sampler: Literal["auto", "smc", "nuts", "slice", "smc+nuts"] = "auto",
    budget_seconds: float | None = None,
    differentiable: bool = True,
    particles: int | None = None,
    warn: bool = True,
) -> Draws:
    """n draws of exp(log_density(u, data)) on unconstrained space.

    `log_density(u (d,), data) -> ()` need not be normalised. Pass the same function object every time and let networks and observations travel
    in `data`: then a second observation of the same shape costs no compilation. `prior_sample` (m, d) says where to begin. `sampler` is
    "auto" (the rule of `choose_sampler`), "smc", "nuts", "slice", or "smc+nuts" (chains started from the particles, which keep to
    their mode). After `budget_seconds` (checked every few steps, compilation counts) or Ctrl-C, what is done is returned with the reason.

    Every complaint of the sampler is in `draws.warnings` and, if `warn`, raised as a `SamplerWarning`. Raises `UsageError` for an unknown
    sampler or when the density is zero or not finite wherever it was tried.

    >>> import jax.numpy as jnp, numpy as np
    >>> prior = np.random.default_rng(0).normal(size=(500, 1)).astype("float32")
    >>> draws = draw(_bell, jnp.array([0.5]), prior_sample=prior, n=500, key=0, sampler="slice")
    >>> draws.u.shape, abs(float(draws.u.mean()) - 0.5) < 0.2
    ((500, 1), True)
    """
    key, sample = as_key(key), _checked(prior_sample, n)
    if sampler == "auto":
        sampler = choose_sampler(sample.shape[1], differentiable=differentiable)
    if sampler not in SAMPLERS:
        raise UsageError(f"got sampler {sampler!r}; expected 'auto' or one of {', '.join(SAMPLERS)}")
    options = {"prior_sample": sample, "key": key, "budget_seconds": budget_seconds}
    if sampler in ("smc", "smc+nuts"):
        draws = run_smc(log_density, data, n=n, gradient=differentiable, particles=particles, **options)
        if sampler == "smc+nuts" and draws.diagnostics["reason"] == "finished":
            draws = run_mcmc(log_density, data, n=n, kind="nuts", starts=draws.u, chains=128, **options)
    else:
        draws = run_mcmc(log_density, data, n=n, kind=sampler, **options)
    if warn:
        for sentence in draws.warnings:
            warnings.warn(sentence, SamplerWarning, stacklevel=2)
    return draws


def draw_many(
    log_density: LogDensity,
    data: PyTree,
    *,
    prior_sample: Float[Array | np.ndarray, "m d"],
    n: int,
    key: PRNGKeyArray | int,
    axes: PyTree = 0,
    budget_seconds: float | None = None,
    differentiable: bool = True,
    particles: int | None = None,
    warn: bool = True,
) -> Draws:
    """n draws for each of B observations by tempered SMC, compiled once: `u` has shape (B, n, d), diagnostics a leading B.

    `axes` is 0 if every array in `data` counts observations along its first axis, or a tuple of 0 and None for a tuple `data` of which only some
    parts do: `draw_many(log_density, (network, x), axes=(None, 0), ...)`.
    """
    draws = run_smc_many(
        log_density,
        data,
        axes=axes,
        prior_sample=_checked(prior_sample, n),
        n=n,
        key=as_key(key),
        gradient=differentiable,
        particles=particles,
        budget_seconds=budget_seconds,
    )
    if warn:
        for sentence in draws.warnings:
            warnings.warn(sentence, SamplerWarning, stacklevel=2)
    return draws


def _bell(u: Float[Array, " d"], data: Float[Array, " d"]) -> Float[Array, ""]:
    return -0.5 * ((u - data) ** 2).sum()


def _checked(prior_sample: Float[Array | np.ndarray, "m d"], n: int) -> Float[np.ndarray, "m d"]:
    sample = np.asarray(prior_sample)
    if n < 1:
        raise UsageError(f"got n={n} draws; expected at least 1")
    good = np.isfinite(sample).all(1)
    if len(sample) < 2 or good.sum() < 2:
        raise UsageError(
            f"got {int(good.sum())} finite prior draws of {len(sample)}; expected at least 2, better a thousand"
        )
    return sample[good]
