"""Two amplitudes: an effective theory in miniature, in which events depend on the couplings quadratically (1805.00013)."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int, PRNGKeyArray

from quincunx.gallery.catalogue import entry
from quincunx.gallery.grid import grid_log_evidence, grid_posterior_sample
from quincunx.gallery.plane import plane_log_evidence, plane_posterior_sample
from quincunx.gallery.problem import Problem, Truth
from quincunx.model import Gold, Prior, simulator

AMPLITUDES = np.zeros((2, 3, 3, 3))
"""a_hc(u, v) = sum_ij AMPLITUDES[h, c, i, j] u^i v^j: without new physics (c = 0), and what each coupling adds, in each channel h."""
AMPLITUDES[0, 0, 0, 0] = 1.0
AMPLITUDES[0, 1, 1, 0] = 1.0
AMPLITUDES[0, 2, 0, 1] = 0.5
AMPLITUDES[1, 0, 0, 0] = 0.7
AMPLITUDES[1, 1, 0, 2] = 1.0
AMPLITUDES[1, 1, 1, 0] = -0.3
AMPLITUDES[1, 2, 1, 1] = 1.0

_POWERS = np.arange(3)
_SUMS = _POWERS[:, None] + _POWERS[None, :]
_MOMENTS = np.where(_SUMS % 2 == 0, 2.0 / (_SUMS + 1), 0.0)

GRAM = np.einsum("hcij,hdkl,ik,jl->hcd", AMPLITUDES, AMPLITUDES, _MOMENTS, _MOMENTS)
"""G_h = int a_hc a_hd du dv over [-1, 1]^2: the rate of channel h is m^T G_h m with m = (1, theta_1, theta_2)."""

_BISECTIONS = 26
_NODES = 64


def problem(*, parameters: Literal[1, 2] = 2, events: int = 5, half_width: float = 1.0) -> Problem:
    """Events x = (u, v) in [-1, 1]^2 with a hidden channel h (a helicity) in {0, 1}; theta_i ~ U(-w, w), and an observation is a set of
    k events. With the amplitudes

        f_0 = 1 + theta_1 u + theta_2 v / 2,   f_1 = 0.7 + theta_1 (v^2 - 0.3 u) + theta_2 u v,
        p(x, h | theta) = f_h(x)^2 / sigma(theta),   sigma(theta) = m^T (G_0 + G_1) m,   m = (1, theta_1, theta_2).

    Channels are not seen and do not interfere, amplitudes within one do: p(x | theta) sigma(theta) is quadratic in theta, with a
    positive matrix at each x. Joint score 2 d_i f_h / f_h - d_i sigma / sigma; with h seen the Fisher information is
    4 G_ij / sigma - d_i sigma d_j sigma / sigma^2 (`complete_fisher`), without it the integral is done by Gauss and Legendre. Where an
    amplitude vanishes (|theta| above about 1/2) the joint score has no fourth moment, and ratios to such a theta no second.

    The score at theta = 0 is all that matters near 0 and loses information further out: with one parameter it keeps 0.78 of the Fisher
    information at 1/2 and 0.28 at 1 (`kept_by_local_score`). The simulator draws one event, exactly: h by its rate, u and
    v by inverting polynomials. `parameters=1` leaves theta_2 at 0.

    >>> round(float(jnp.exp(problem().truth.log_likelihood({"theta_1": 0.0, "theta_2": 0.0}, jnp.zeros(2)))), 4)
    0.25
    """
    names = ("theta_1", "theta_2")[:parameters]
    prior = Prior(**{name: dist.Uniform(-half_width, half_width) for name in names})

    def log_likelihood(theta: dict, x: Float[Array, "*events 2"]) -> Float[Array, ""]:
        weights = couplings(theta)
        rows = x.reshape(-1, 2)
        density = jnp.sum(amplitudes(weights, rows) ** 2, axis=-1) / jnp.sum(_rates(weights))
        inside = jnp.all(jnp.abs(rows) <= 1)
        return jnp.where(inside, jnp.sum(jnp.log(density)), -jnp.inf)

    def of_point(point: Float[Array, " 2"], x: Float[Array, "*events 2"]) -> Float[Array, ""]:
        return log_likelihood({"theta_1": point[0], "theta_2": point[1]}, x)

    box = ((-half_width, half_width), (-half_width, half_width))
    if parameters == 1:
        log_evidence = grid_log_evidence("theta_1", log_likelihood, -half_width, half_width)
        posterior_sample: Any = grid_posterior_sample("theta_1", log_likelihood, -half_width, half_width)
    else:
        log_evidence = plane_log_evidence(of_point, box)
        draw_points = plane_posterior_sample(of_point, box)

        def posterior_sample(n: int, x: Float[Array, "*events 2"], *, key: PRNGKeyArray) -> dict:
            return {name: jnp.asarray(column, jnp.float32) for name, column in zip(names, draw_points(n, x, key=key).T)}

    truth = Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        fisher=lambda theta: _fisher(couplings(theta))[:parameters, :parameters],
        log_posterior=lambda theta, x: log_likelihood(theta, x) + prior.log_prob(theta) - log_evidence(x),
        log_evidence=log_evidence,
        posterior_sample=posterior_sample,
    )

    def trace(theta: dict, *, key: PRNGKeyArray) -> tuple[Float[Array, " 2"], Int[Array, ""]]:
        return _draw(couplings(theta), jax.random.uniform(key, (3,)))

    def joint_log_prob(theta: dict, x: Float[Array, " 2"], z: Int[Array, ""]) -> Float[Array, ""]:
        weights = couplings(theta)
        return 2 * jnp.log(jnp.abs(amplitudes(weights, x)[z])) - jnp.log(jnp.sum(_rates(weights)))

    gold = Gold(trace, joint_log_prob)

    @simulator(prior, name="interference", observables=["u", "v"], tractable=truth, gold=gold)
    def simulate(theta, *, key, design=None):
        return trace(theta, key=key)[0]

    default = dict(zip(names, (0.4, -0.3)))
    return Problem(entry("interference"), simulate, truth, default, events=events)


def couplings(theta: dict) -> Float[Array, " 3"]:
    """m = (1, theta_1, theta_2), the second coupling zero where it is left out.

    >>> couplings({"theta_1": 0.5})
    Array([1. , 0.5, 0. ], dtype=float32)
    """
    first = jnp.asarray(theta["theta_1"])
    return jnp.stack([jnp.ones_like(first), first, jnp.asarray(theta.get("theta_2", 0.0), first.dtype)])


def amplitudes(weights: Float[Array, " 3"], x: Float[Array, "*events 2"]) -> Float[Array, "*events 2"]:
    """f_h(x) = sum_c m_c a_hc(x), for both channels along the last axis.

    >>> amplitudes(jnp.array([1.0, 1.0, 0.0]), jnp.array([0.5, 0.0]))
    Array([1.5 , 0.55], dtype=float32)
    """
    u, v = (_powers(x[..., axis]) for axis in (0, 1))
    return jnp.einsum("c,hcij,...i,...j->...h", weights, AMPLITUDES.astype(weights.dtype), u, v)


def complete_fisher(weights: Float[Array, " 3"]) -> Float[Array, "2 2"]:
    """The Fisher information of an event whose channel is seen: 4 G_ij / sigma - d_i sigma d_j sigma / sigma^2.

    >>> complete_fisher(jnp.array([1.0, 0.0, 0.0]))[0, 0]
    Array(1.414, dtype=float32)
    """
    gram = jnp.asarray(GRAM.sum(axis=0), weights.dtype)
    sigma, slope = weights @ gram @ weights, 2 * (gram @ weights)[1:]
    return 4 * gram[1:, 1:] / sigma - jnp.outer(slope, slope) / sigma**2


def kept_by_local_score(theta: float, *, bins: int = 400) -> float:
    """What share of the Fisher information on theta_1 at `theta` the score at theta_1 = 0 keeps, with theta_2 = 0.

    sum_b (int_b t p)^2 / int_b p over bins of equal probability of the local score, by quadrature; t is the score at theta.

    >>> round(kept_by_local_score(0.0), 2)
    1.0
    """
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    volume = np.outer(weights, weights).ravel()
    powers = np.einsum("hcij,ni,nj->nhc", AMPLITUDES, x[:, :1] ** _POWERS, x[:, 1:] ** _POWERS)

    def density_and_score(value: float) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        f = powers[:, :, 0] + value * powers[:, :, 1]
        rate, slope = np.sum(f**2, axis=1), 2 * np.sum(f * powers[:, :, 1], axis=1)
        sigma = rate @ volume
        return volume * rate / sigma, slope / rate - slope @ volume / sigma

    p, score = density_and_score(theta)
    local = density_and_score(0.0)[1]
    order = np.argsort(local)
    which = np.empty(len(order), int)
    which[order] = np.minimum((np.cumsum(p[order]) * bins).astype(int), bins - 1)
    mass, mean = (np.bincount(which, weights=w, minlength=bins) for w in (p, p * score))
    return float(np.sum(mean[mass > 0] ** 2 / mass[mass > 0]) / (p @ score**2))


def _rates(weights: Float[Array, " 3"]) -> Float[Array, " 2"]:
    return jnp.einsum("c,hcd,d->h", weights, GRAM.astype(weights.dtype), weights)


def _fisher(weights: Float[Array, " 3"]) -> Float[Array, "2 2"]:
    nodes, volume = (a.astype(weights.dtype) for a in np.polynomial.legendre.leggauss(_NODES))
    x = jnp.stack(jnp.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    u, v = (_powers(x[:, axis]) for axis in (0, 1))
    each = jnp.einsum("hcij,ni,nj->nhc", AMPLITUDES.astype(weights.dtype), u, v)
    f = each @ weights
    rate, sigma = jnp.sum(f**2, axis=1), jnp.sum(_rates(weights))
    slope = 2 * jnp.einsum("nh,nhc->nc", f, each)[:, 1:]
    mean = 2 * (GRAM.sum(axis=0).astype(weights.dtype) @ weights)[1:] / sigma
    per_node = jnp.outer(volume, volume).ravel() / rate / sigma
    return (slope * per_node[:, None]).T @ slope - jnp.outer(mean, mean)


def _draw(weights: Float[Array, " 3"], uniforms: Float[Array, " 3"]) -> tuple[Float[Array, " 2"], Int[Array, ""]]:
    """One event: a channel by its rate, then u and v by inverting their distribution functions, which are polynomials."""
    rates = _rates(weights)
    channel = (uniforms[0] * jnp.sum(rates) >= rates[0]).astype(jnp.int32)
    table = jnp.einsum("c,hcij->hij", weights, AMPLITUDES.astype(weights.dtype))[channel]
    # f^2 = sum table_ij table_kl u^(i+k) v^(j+l): over v first, for the margin of u.
    over_v = jnp.einsum("ij,kl,jl->ik", table, table, _MOMENTS.astype(weights.dtype))
    u = _invert(_by_power(over_v), uniforms[1])
    at_u = _powers(u) @ table
    return jnp.stack([u, _invert(_by_power(jnp.outer(at_u, at_u)), uniforms[2])]), channel


def _powers(t: Float[Array, "*batch"]) -> Float[Array, "*batch 3"]:
    return jnp.stack([jnp.ones_like(t), t, t**2], axis=-1)


def _by_power(products: Float[Array, "3 3"]) -> Float[Array, " 5"]:
    return jnp.zeros(5, products.dtype).at[_SUMS].add(products)


def _invert(density: Float[Array, " 5"], uniform: Float[Array, ""]) -> Float[Array, ""]:
    """Where the integral from -1 of sum_k density_k t^k reaches that share of its whole, by bisection."""
    powers = np.arange(1, 6)
    integral = density / powers

    def mass(t: Float[Array, ""]) -> Float[Array, ""]:
        # Horner's rule, and the value at -1.
        value = jnp.zeros_like(t)
        for coefficient in integral[::-1]:
            value = (value + coefficient) * t
        return value - jnp.sum(integral * (-1.0) ** powers)

    target = uniform * mass(jnp.ones_like(uniform))

    def halve(_: Any, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        below = mass(middle) < target
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, (-jnp.ones_like(uniform), jnp.ones_like(uniform)))
    return (low + high) / 2
