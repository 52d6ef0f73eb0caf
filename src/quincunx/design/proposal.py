"""Both bounds for narrow posteriors: inner draws come from where the posterior of each outcome is (VNMC and ACE)."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.special import logsumexp

from quincunx.design.density import Density, above, log_each
from quincunx.design.experiment import Question, Slots
from quincunx.design.found import Found
from quincunx.design.posterior_bound import read_slots
from quincunx.errors import NoDensity
from quincunx.infer import DirectEstimator
from quincunx.infer.amortised import draw_many, log_prob_many
from quincunx.model import Prior
from quincunx.model.precision import double_scope

__all__ = ["proposal"]

STARTS, STEPS = 128, 12
"""How many draws are tried for the start of an ascent, and how many Newton steps it has."""
PRIOR_SHARE = 0.15
"""The share of inner draws from the prior, which keeps every weight below 1 / share times the likelihood."""
WIDER, DEGREES = 1.3, 5.0


def proposal(question: Question, slots: Slots, *, inner: int, estimator: Any = None) -> Found:
    """VNMC (upper) and ACE (lower) with q(theta | x) in the place of the prior (1903.05480, 1911.00294).

        upper = mean_i [ l_i - log 1/L sum_j w_ij ],    lower = mean_i [ l_i - log (w_i + sum_j w_ij) / (L + 1) ],    w = p(theta) p(x | theta) / q(theta | x)

    q is an estimator of posteriors where one is given, or else made for each outcome: a wide t distribution at the mode that Newton steps from the best of many
    prior draws lead to, mixed with the prior. Either is a function of x_i alone, so that both are bounds whatever q is. As in `nested`, l_i is
    replaced by its mean over which of the L + 1 parameters x_i came from.

    Raises:
        NoDensity: for a belief other than the prior, or a learned density, for which there is no upper bound.
    """
    prior = question.belief.prior
    if not question.belief.from_prior:
        raise NoDensity(
            "got a belief of draws whose density is not known; expected the prior, whose density weighs the proposals; use method='nested'"
        )
    if question.density is None or question.density.learned:
        raise NoDensity(
            "got no exact density; expected one: weights by a learned one bound nothing; use method='contrastive'"
        )
    x, ok = question.outcomes(slots)
    x64 = jax.tree.map(lambda a: a.astype(np.float64), x)
    if isinstance(estimator, DirectEstimator):
        log_w, r = _by_estimator(question, slots, x, x64, ok, estimator, inner)
    else:
        with double_scope():
            u = np.asarray(prior.to_unconstrained(question.outer))
            pool = np.asarray(prior.to_unconstrained(question.inner[:STARTS]))
            rows = (u, np.arange(len(u)), x64)
            log_w, r = map(
                np.asarray,
                _weighted(prior, question.density, rows, pool, slots.settings, slots.mask, question.key, inner),
            )
    with np.errstate(invalid="ignore"):
        log_sum = logsumexp(log_w, axis=1)
        share = np.exp(log_w - log_sum[:, None])
        lower = np.sum(np.where(share > 0, share * r, 0.0), axis=1) - (log_sum - np.log(inner + 1))
        upper = lower + (log_sum - np.log(inner + 1)) - (logsumexp(log_w[:, 1:], axis=1) - np.log(inner))
        ess = float(np.mean(1.0 / np.sum(share[ok] ** 2, axis=1)))
    lower, upper = np.where(ok, lower, np.nan), np.where(ok, upper, np.nan)
    said = () if ess > 10 else (f"the proposals miss the posteriors: {ess:.3g} of {inner} inner draws count",)
    return Found("proposal", lower, upper, n_inner=inner, ess=ess, warnings=said)


def _by_estimator(
    question: Question, slots: Slots, x: Any, x64: Any, ok: np.ndarray, estimator: DirectEstimator, inner: int
) -> tuple[np.ndarray, np.ndarray]:
    """log w and r = l_j - l_i (N, L + 1), the row's own first, with draws of an estimator of posteriors."""
    prior, batch = question.belief.prior, read_slots(estimator, x, ok, slots)
    drawn = draw_many(estimator.core, *batch, inner, key=jax.random.fold_in(question.key, 1))
    theta = np.concatenate([question.outer[:, None], drawn], axis=1)
    log_q = log_prob_many(estimator.core, theta, *batch).astype(np.float64)
    log_p = np.asarray(prior.log_prob_flat(theta), np.float64)
    with double_scope():
        r = np.asarray(_against_own(question.density, theta.astype(np.float64), x64, slots.settings, slots.mask))
    return r + log_p - log_q, r


@eqx.filter_jit
def _against_own(density: Density, theta: Any, x: Any, settings: Any, mask: Any) -> Array:
    settings = jax.tree.map(jnp.asarray, settings)

    def one(row: tuple[Array, Any]) -> Array:
        own = log_each(density, row[0][0], row[1], settings)
        return jax.vmap(lambda point: above(log_each(density, point, row[1], settings), own, jnp.asarray(mask)))(row[0])

    return jax.lax.map(one, (jnp.asarray(theta), jax.tree.map(jnp.asarray, x)), batch_size=64)


@eqx.filter_jit
def _weighted(
    prior: Prior, density: Density, rows: Any, pool: Any, settings: Any, mask: Any, key: PRNGKeyArray, inner: int
) -> tuple[Array, Array]:
    settings, mask, pool = jax.tree.map(jnp.asarray, settings), jnp.asarray(mask), jnp.asarray(pool)

    def one(row: tuple[Array, Array, Any]) -> tuple[Array, Array]:
        u_own, number, x = row
        own = log_each(density, prior.to_constrained(u_own), x, settings)

        def r_at(u: Array) -> Array:
            return above(log_each(density, prior.to_constrained(u), x, settings), own, mask)

        def joint(u: Array) -> Array:
            return jnp.nan_to_num(r_at(u) + prior.log_prob_unconstrained(u), nan=-jnp.inf)

        mode, scale = _laplace(joint, pool)
        k_t, k_gamma, k_which, k_prior = jax.random.split(jax.random.fold_in(key, number + 1_000_003), 4)
        z = jax.random.normal(k_t, (inner, len(mode))) / jnp.sqrt(
            jax.random.gamma(k_gamma, DEGREES / 2, (inner, 1)) / (DEGREES / 2)
        )
        from_prior = prior.to_unconstrained(prior.flatten(prior.sample(inner, key=k_prior)))
        which = jax.random.uniform(k_which, (inner, 1)) < PRIOR_SHARE
        u = jnp.concatenate([u_own[None], jnp.where(which, from_prior, mode + z @ scale.T)])
        log_prior = jax.vmap(prior.log_prob_unconstrained)(u)
        log_q = jnp.logaddexp(jnp.log(PRIOR_SHARE) + log_prior, jnp.log1p(-PRIOR_SHARE) + _log_t(u, mode, scale))
        r = jax.vmap(r_at)(u)
        return r + log_prior - log_q, r

    return jax.lax.map(one, jax.tree.map(jnp.asarray, rows), batch_size=64)


def _laplace(joint: Any, pool: Float[Array, "s k"]) -> tuple[Float[Array, " k"], Float[Array, "k k"]]:
    """The mode that damped Newton steps reach from the best of a pool, and a wider root of the covariance there."""
    gradient, curvature = jax.grad(joint), jax.hessian(joint)
    spread = jnp.var(pool, axis=0)

    def factored(u: Array) -> tuple[Array, Array]:
        h = -curvature(u)
        values, vectors = jnp.linalg.eigh(jnp.where(jnp.all(jnp.isfinite(h)), h, jnp.diag(1.0 / spread)))
        # a direction in which nothing is known is as wide as the prior
        return jnp.maximum(jnp.abs(values), 0.5 / jnp.max(spread)), vectors

    def step(_: Any, u: Array) -> Array:
        values, vectors = factored(u)
        g = jnp.nan_to_num(gradient(u))
        move = vectors @ ((vectors.T @ g) / values)
        tried = u + jnp.asarray([1.0, 0.5, 0.2, 0.05, 0.0])[:, None] * move
        return tried[jnp.argmax(jax.vmap(joint)(tried))]

    start = pool[jnp.argmax(jax.vmap(joint)(pool))]
    mode = jax.lax.fori_loop(0, STEPS, step, start)
    values, vectors = factored(mode)
    return mode, WIDER * vectors / jnp.sqrt(values)


def _log_t(u: Float[Array, "n k"], mode: Float[Array, " k"], scale: Float[Array, "k k"]) -> Float[Array, " n"]:
    """log of the multivariate t density with the given centre and root of its scale matrix."""
    k = len(mode)
    z = jnp.linalg.solve(scale, (u - mode).T).T
    front = (
        jax.scipy.special.gammaln((DEGREES + k) / 2)
        - jax.scipy.special.gammaln(DEGREES / 2)
        - 0.5 * k * jnp.log(DEGREES * jnp.pi)
    )
    return front - jnp.linalg.slogdet(scale)[1] - 0.5 * (DEGREES + k) * jnp.log1p(jnp.sum(z**2, axis=1) / DEGREES)
