"""Exact likelihoods and latent posteriors of programs whose latent draws have finitely many values: every combination is added up."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from quincunx.errors import (
    NameMismatch,
    NotEnumerable,
    ShapeMismatch,
    TooManyAssignments,
    UsageError,
    ZeroProbability,
)
from quincunx.model.program import moves
from quincunx.model.program.execution import Site
from quincunx.notebook import from_fields
from quincunx.values import as_key

__all__ = ["LIMIT", "LatentPosterior", "Layout", "log_evidence", "posterior_of"]

LIMIT = 2**20
"""So many combinations of latent values are added up at most: twenty draws with two values each."""
_BLOCK = 4096


@dataclass(frozen=True)
class Layout:
    """How combinations of values are numbered: number n holds for the k-th of all latent numbers the choice (n // stride_k) % radix_k.

    >>> site = Site("z", "Bernoulli", False, True, (2,), (0.0, 1.0), True)
    >>> Layout((site,)).values(jnp.asarray(2))
    {'z': Array([1., 0.], dtype=float32)}
    """

    sites: tuple[Site, ...]

    @property
    def radices(self) -> np.ndarray:
        """How many choices each latent number has."""
        counts = [[len(site.choices or ())] * math.prod(site.shape) for site in self.sites]
        return np.asarray([count for one in counts for count in one], np.int64)

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return math.prod(int(radix) for radix in self.radices)

    def digits(self, number: Int[Array, "*n"]) -> Int[Array, "*n k"]:
        """Which choice each latent number has, in combinations given by number."""
        below = np.concatenate([np.cumprod(self.radices[::-1])[::-1][1:], [1]]) if len(self.radices) else self.radices
        return (number[..., None] // jnp.asarray(below, jnp.int32)) % jnp.asarray(self.radices, jnp.int32)

    def split(self, numbers: Array) -> dict[str, Array]:
        """One array over all latent numbers, (..., k), as arrays by address."""
        parts, first = {}, 0
        for site in self.sites:
            size = math.prod(site.shape)
            parts[site.address] = numbers[..., first : first + size].reshape((*numbers.shape[:-1], *site.shape))
            first += size
        return parts

    def values(self, number: Int[Array, "*n"]) -> dict[str, Array]:
        """The values of combinations given by number."""
        chosen = self.split(self.digits(number))
        return {site.address: jnp.asarray(site.choices)[chosen[site.address]] for site in self.sites}


class LatentPosterior(eqx.Module):
    """p(z | x, theta) over all combinations z of latent values; `log_probs[n]` is that of combination n, `log_evidence` is log p(x | theta).

    >>> import numpyro, numpyro.distributions as dist
    >>> from quincunx.model.prior import Prior
    >>> from quincunx.model.program.decorator import program
    >>> @program(Prior(p=dist.Uniform(0.0, 1.0)), observed="x")
    ... def mixture(theta):
    ...     z = numpyro.sample("z", dist.Bernoulli(theta["p"]))
    ...     numpyro.sample("x", dist.Normal(4.0 * z - 2.0, 1.0))
    >>> posterior = mixture.program.latent_posterior({"p": 0.5}, 0.5)
    >>> posterior.marginals()["z"]                           # P(z = 1 | x) = sigmoid(4 x)
    Array([0.11920291, 0.880797  ], dtype=float32)
    """

    log_probs: Float[Array, " n"]
    log_evidence: Float[Array, ""]
    layout: Layout = eqx.field(static=True)

    def __len__(self) -> int:
        return self.layout.size

    def values(self, number: Any) -> dict[str, Array]:
        """The latent values of combinations given by number."""
        return self.layout.values(jnp.asarray(number))

    def marginals(self) -> dict[str, Float[Array, "..."]]:
        """For each site the probabilities of its choices, one more axis than the site, in the order of `Site.choices`."""
        probs = jnp.exp(self.log_probs)
        digits = self.layout.digits(jnp.arange(len(self)))
        found = {}
        for site in self.layout.sites:
            own = self.layout.split(digits)[site.address].reshape(len(self), -1)
            each = [probs @ (own == choice) for choice in range(len(site.choices or ()))]
            found[site.address] = jnp.stack(each, -1).reshape((*site.shape, len(each)))
        return found

    def most_probable(self, n: int = 1) -> tuple[dict[str, Array], Float[Array, " m"]]:
        """The n most probable combinations, (values with a leading axis of n, their probabilities)."""
        log_probs, numbers = jax.lax.top_k(self.log_probs, min(n, len(self)))
        return self.values(numbers), jnp.exp(log_probs)

    def sample(self, n: int, *, key: int | np.integer | PRNGKeyArray) -> dict[str, Array]:
        """n independent exact draws of the latents."""
        return self.values(jax.random.categorical(as_key(key), self.log_probs, shape=(n,)))

    _repr_html_ = from_fields


def log_evidence(program: Any, theta: dict[str, Array], x: Any, design: dict[str, Array] | None) -> Float[Array, ""]:
    """log p(x | theta) = log sum_z p(x, z | theta), minus infinity where no z leads to x.

    x is an outcome or, by name, the values of the observed sites. What a program returns must then be those values: one array for one site, a
    dictionary with the sites' names for several; latent draws that show in the outcome are compared with it.

    Raises:
        NotEnumerable: for a latent draw that has infinitely many values.
        TooManyAssignments: for more than `LIMIT` combinations.
        UsageError: for an outcome from which the values of the observed sites cannot be told.
    """
    return _sum(program, theta, x, design)[0]


def posterior_of(program: Any, theta: dict[str, Array], x: Any, design: dict[str, Array] | None) -> LatentPosterior:
    """p(z | x, theta) = p(x, z | theta) / p(x | theta).

    Raises:
        ZeroProbability: outside of `jit`, if no combination of latent values leads to x.
        NotEnumerable, TooManyAssignments, UsageError: as `log_evidence`.
    """
    total, terms, layout = _sum(program, theta, x, design)
    if not isinstance(total, jax.core.Tracer) and np.isneginf(total):
        raise ZeroProbability(
            f"got an outcome that program '{program.name}' cannot have at these parameters: none of the {layout.size} combinations of its latent "
            "draws leads to it; expected one with positive probability; correct the outcome, or look at the supports of the sites"
        )
    return LatentPosterior(terms - total, total, layout)


def _sum(program: Any, theta: Any, x: Any, design: Any) -> tuple[Array, Array, Layout]:
    bare, held = program.apart()
    said = {name: jnp.asarray(value) for name, value in x.items()} if isinstance(x, Mapping) else jnp.asarray(x)
    for name, value in said.items() if isinstance(said, dict) else [("x", said)]:
        moves.refuse_nan(name, value)
    total, anyhow, terms, layout = _summed(bare, theta, said, design, held)
    observed = [name for name in program.observed if name not in held]
    if observed and not isinstance(total, jax.core.Tracer) and np.isneginf(total) and not np.isneginf(anyhow):
        raise UsageError(
            f"program '{program.name}' returns something else than the values of its observed sites {observed}; expected an outcome "
            "from which they can be told; give them by name, {'site': value}, or return them as they are"
        )
    return total, terms, layout


@eqx.filter_jit
def _summed(program: Any, theta: Any, x: Any, design: Any, held: dict[str, Array]) -> Any:
    """log p(x), the same without comparing outcomes, the (n,) terms, and how they are numbered."""
    shape = jax.eval_shape(lambda t, d, h: moves.run(program, t, d, jax.random.key(0), h), theta, design, held)
    data, compared = _data(program, x, shape, held)
    layout = _layout(program.name, [s for s in shape.sites if not s.observed and s.address not in held])

    def term(number: Array) -> tuple[Array, Array]:
        trace = moves.run(program, theta, design, None, {**held, **data, **layout.values(number)})
        return trace.log_prob, _agrees(trace.result, x) if compared else jnp.asarray(True)

    size = layout.size
    block = min(size, _BLOCK)
    numbers = jnp.arange(-(-size // block) * block).reshape(-1, block)
    # A gradient computes each block again rather than keeping what every loop in it went through.
    terms, agree = jax.tree.map(lambda a: a.reshape(-1)[:size], jax.lax.map(jax.checkpoint(jax.vmap(term)), numbers))
    kept = jnp.where(agree, terms, -jnp.inf)
    return jax.nn.logsumexp(kept), jax.nn.logsumexp(terms), kept, layout


def _layout(name: str, latents: list[Site]) -> Layout:
    for site in latents:
        if site.choices is None:
            raise NotEnumerable(
                f"program '{name}' draws '{site.address}' from a {site.family}, which has infinitely many values; expected latent draws with "
                "finitely many (Bernoulli, Categorical, Binomial, DiscreteUniform); condition on it, name it in observed=..., or use "
                "an inference method"
            )
    layout = Layout(tuple(latents))
    if layout.size > LIMIT:
        raise TooManyAssignments(
            f"program '{name}' has {layout.size:.3g} combinations of latent values; expected at most {LIMIT}; condition on some of its sites, "
            "make it smaller, or use an inference method"
        )
    return layout


def _data(program: Any, x: Any, shape: Any, held: Mapping[str, Any]) -> tuple[dict[str, Array], bool]:
    """The values of the observed sites in an outcome, and whether the outcome is to be compared with what the program returns."""
    sites = {site.address: site for site in shape.sites if site.observed and site.address not in held}
    if isinstance(x, dict):
        outcome = set(shape.result) if isinstance(shape.result, dict) else None
        if set(x) not in (outcome, set(sites)) or not set(sites) <= set(x):
            raise NameMismatch(
                f"got an outcome with the names {sorted(x)}; expected the observed sites {sorted(sites)}, or an outcome of "
                f"program '{program.name}' that has them by name; give one value for each"
            )
        return {name: _shaped(x[name], site) for name, site in sites.items()}, set(x) == outcome
    if isinstance(shape.result, dict) or len(sites) > 1:
        raise UsageError(
            f"got an array as an outcome of program '{program.name}', which has the observed sites {sorted(sites)}; expected a dictionary; "
            "give {'site': value} with one value for each"
        )
    return {name: _shaped(x, site) for name, site in sites.items()}, True


def _shaped(value: Array, site: Site) -> Array:
    if value.size != math.prod(site.shape):
        raise ShapeMismatch(
            f"got a value of shape {value.shape} for the site '{site.address}'; expected {site.shape}; give one number for each of its draws"
        )
    return value.reshape(site.shape)


def _agrees(result: Any, x: Any) -> Bool[Array, ""]:
    """Whether an outcome is the one looked for, up to rounding."""
    got, wanted = (jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(one)]) for one in (result, x))
    if got.shape != wanted.shape:
        raise ShapeMismatch(
            f"got an outcome of {wanted.size} numbers; expected {got.size}; give one as the program returns it"
        )
    return jnp.all(jnp.abs(got - wanted) <= 1e-5 * jnp.maximum(1.0, jnp.abs(wanted)))
