"""What is believed about the parameters before the experiment: named, with exact maps to unconstrained space."""

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike, Float, Num, PRNGKeyArray

from quincunx.errors import NameMismatch, ShapeMismatch, UnsupportedPrior
from quincunx.model import arithmetic
from quincunx.model.distributions import distribution_from_state, distribution_to_state
from quincunx.model.region import Region
from quincunx.model.transforms import Probit, Transform, transform_for
from quincunx.model.truncated import truncate
from quincunx.notebook import card
from quincunx.values import as_key, pack, register, unpack

__all__ = ["Prior", "check_names"]

Theta = Mapping[str, Num[ArrayLike, "..."]]


def check_names(got: Sequence[str], expected: Sequence[str], what: str) -> None:
    """Refuse names that differ from the expected ones, saying which and guessing what was meant.

    Raises:
        NameMismatch: naming every missing and unknown name.

    >>> check_names(["beta"], ["beta"], "parameters")
    """
    missing = [name for name in expected if name not in got]
    unknown = [name for name in got if name not in expected]
    if not missing and not unknown:
        return
    guesses = {name: get_close_matches(name, missing, 1, 0.5) for name in unknown}
    hints = [f"rename '{name}' to '{guess[0]}'" for name, guess in guesses.items() if guess]
    said = [f"missing {missing}"] * bool(missing) + [f"unknown {unknown}"] * bool(unknown)
    raise NameMismatch(
        f"got {what} {sorted(got)}; expected {list(expected)}; {', '.join(said)}; "
        + ("; ".join(hints) if hints else "use exactly the expected names")
    )


@register("prior")
class Prior(eqx.Module):
    """A joint prior p(theta) over named parameters, independent between names and free within them.

    Any continuous NumPyro distribution may stand for a name: a scalar, a vector with `to_event` or correlations, a
    simplex. Flat arrays hold the names in the order given. Unconstrained space has one exact map per parameter:
    identity on the line, the logarithm on half-lines, the probit of the rescaled interval on intervals (so a uniform
    box becomes exactly N(0, 1)), and NumPyro's bijection for tied numbers. Everything works over leading axes, under
    `jit` and `vmap`.

    Raises:
        UnsupportedPrior: for a discrete or improper distribution, or one without a map to unconstrained space.
        NameMismatch: for units of parameters which do not exist.

    >>> import numpyro.distributions as dist
    >>> prior = Prior(beta=dist.LogNormal(-0.9, 0.5), gamma=dist.Uniform(0.0, 1.0), units={"beta": "1/day"})
    >>> prior
    Prior of 2 parameters, 2 numbers
      name   shape  distribution  support   units
      beta   ()     LogNormal     (0, inf)  1/day
      gamma  ()     Uniform       [0, 1]
    >>> prior.sample(3, key=0)["beta"].shape
    (3,)
    """

    kind: ClassVar[str]

    names: tuple[str, ...] = eqx.field(static=True)
    blocks: tuple[dist.Distribution, ...]
    transforms: tuple[Transform, ...]
    unit_pairs: tuple[tuple[str, str], ...] = eqx.field(static=True)
    region: Region | None

    def __init__(
        self,
        distributions: Mapping[str, Any] | None = None,
        /,
        *,
        units: Mapping[str, str] | None = None,
        **named: Any,
    ):
        given = {**(distributions or {}), **named}
        if not given:
            raise UnsupportedPrior("got no parameters; expected at least one; write Prior(name=dist.Normal(0.0, 1.0))")
        blocks, maps = [], []
        for name, distribution in given.items():
            if not isinstance(distribution, dist.Distribution):
                raise UnsupportedPrior(
                    f"parameter '{name}' is a {type(distribution).__name__}; expected a distribution; "
                    f"use numpyro.distributions, for example Prior({name}=dist.Uniform(0.0, 1.0))"
                )
            # A batch of independent numbers under one name is one vector-valued parameter.
            whole = distribution.to_event() if distribution.batch_shape else distribution
            blocks.append(whole)
            maps.append(transform_for(name, whole))
        units = dict(units or {})
        unknown = [name for name in units if name not in given]
        if unknown:
            raise NameMismatch(f"got units of {unknown}; expected some of {list(given)}; use the parameters' names")
        self.names = tuple(given)
        self.blocks = tuple(blocks)
        self.transforms = tuple(maps)
        self.unit_pairs = tuple(units.items())
        self.region = None

    @property
    def distributions(self) -> dict[str, dist.Distribution]:
        """The distribution of each name."""
        return dict(zip(self.names, self.blocks))

    @property
    def units(self) -> dict[str, str]:
        """The unit of each name which has one."""
        return dict(self.unit_pairs)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of one draw of each name."""
        return {name: tuple(block.event_shape) for name, block in zip(self.names, self.blocks)}

    @property
    def dim(self) -> int:
        """How many numbers one flat draw has."""
        return sum(t.size for t in self.transforms)

    @property
    def unconstrained_dim(self) -> int:
        """How many numbers one unconstrained draw has; fewer than `dim` where numbers are tied."""
        return sum(t.unconstrained_size for t in self.transforms)

    @property
    def probits(self) -> np.ndarray:
        """Which unconstrained numbers are probits of bounded ones, (unconstrained_dim,) of bool.

        >>> import numpyro.distributions as dist
        >>> Prior(a=dist.Uniform(0.0, 1.0), b=dist.Normal(0.0, 1.0)).probits.tolist()
        [True, False]
        """
        return np.concatenate([np.full(t.unconstrained_size, isinstance(t, Probit)) for t in self.transforms])

    @property
    def columns(self) -> tuple[str, ...]:
        """A name for each flat number: `a` for a scalar, `v[0]`, `v[1]` for a vector, `m[0,1]` for a matrix."""
        return tuple(column for name, shape in self.shapes.items() for column in columns_of(name, shape))

    @property
    def low(self) -> np.ndarray:
        """The lowest value of each flat number, -inf where there is none."""
        return np.concatenate([t.bounds()[0] for t in self.transforms])

    @property
    def high(self) -> np.ndarray:
        """The highest value of each flat number, inf where there is none."""
        return np.concatenate([t.bounds()[1] for t in self.transforms])

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """(low, high) of each flat number, as pictures take them.

        >>> Prior(a=dist.Uniform(0.0, 1.0), b=dist.Normal(0.0, 1.0)).bounds
        [(0.0, 1.0), (-inf, inf)]
        """
        return [(float(low), float(high)) for low, high in zip(self.low, self.high, strict=True)]

    def sample(
        self, n: int | tuple[int, ...] | None = None, *, key: int | np.integer | PRNGKeyArray
    ) -> dict[str, Float[Array, "..."]]:
        """Draw theta: one draw without `n`, else `n` of them along the first axis.

        >>> import numpyro.distributions as dist
        >>> sorted(Prior(a=dist.Normal(0.0, 1.0)).sample(key=0))
        ['a']
        """
        return arithmetic.sample(self, as_key(key), () if n is None else n if isinstance(n, tuple) else (n,))

    def sample_flat(self, n: int, *, key: int | np.integer | PRNGKeyArray) -> Float[Array, "n dim"]:
        """Draw `n` flat draws."""
        return self.flatten(self.sample(n, key=key))

    def check(self, theta: Theta) -> tuple[int, ...]:
        """Return the leading axes of named parameters.

        Raises:
            NameMismatch: for missing or unknown names.
            ShapeMismatch: for a parameter whose last axes are not those of the prior, or leading axes that differ.
        """
        check_names(list(theta), self.names, "parameters")
        leading: dict[str, tuple[int, ...]] = {}
        for name, shape in self.shapes.items():
            got = tuple(jnp.shape(theta[name]))
            if got[len(got) - len(shape) :] != shape or len(got) < len(shape):
                raise ShapeMismatch(
                    f"got parameter '{name}' of shape {got}; expected {shape}, after any leading axes; reshape it"
                )
            leading[name] = got[: len(got) - len(shape)]
        if len(set(leading.values())) > 1:
            raise ShapeMismatch(
                f"got leading axes {leading}; expected the same for every parameter; broadcast them first"
            )
        return next(iter(leading.values()))

    def flatten(self, theta: Theta) -> Float[Array, "*batch dim"]:
        """Named to flat, in the order of `columns`."""
        leading = self.check(theta)
        return arithmetic.flatten(tuple(jnp.asarray(theta[name]) for name in self.names), len(leading))

    def unflatten(self, flat: Num[ArrayLike, "*batch dim"]) -> dict[str, Float[Array, "..."]]:
        """Flat to named.

        Raises:
            ShapeMismatch: if the last axis is not `dim` long.
        """
        return dict(zip(self.names, arithmetic.unflatten(self._flat(flat), tuple(self.shapes.values()))))

    def log_prob(self, theta: Theta) -> Float[Array, "*batch"]:
        """log p(theta), -inf outside the support."""
        return self.log_prob_flat(self.flatten(theta))

    def log_prob_flat(self, flat: Num[ArrayLike, "*batch dim"]) -> Float[Array, "*batch"]:
        """log p(theta) of flat parameters, -inf outside the support."""
        return arithmetic.log_prob(self, self._flat(flat))

    def to_unconstrained(self, flat: Num[ArrayLike, "*batch dim"]) -> Float[Array, "*batch unconstrained_dim"]:
        """u = T(theta); a value at the very edge of an interval is taken 1e-6 of the width inside."""
        return arithmetic.to_unconstrained(self, self._flat(flat))

    def to_constrained(self, u: Num[ArrayLike, "*batch unconstrained_dim"]) -> Float[Array, "*batch dim"]:
        """theta = T^-1(u), inside the support for every real u."""
        return arithmetic.to_constrained(self, self._unconstrained(u))

    def log_det(self, u: Num[ArrayLike, "*batch unconstrained_dim"]) -> Float[Array, "*batch"]:
        """log |det d theta / d u| at u."""
        return arithmetic.log_det(self, self._unconstrained(u))

    def log_prob_unconstrained(self, u: Num[ArrayLike, "*batch unconstrained_dim"]) -> Float[Array, "*batch"]:
        """log p(theta(u)) + log |det d theta / d u|, the density of u.

        >>> import numpyro.distributions as dist, jax.numpy as jnp
        >>> round(float(Prior(a=dist.Uniform(-3.0, 5.0)).log_prob_unconstrained(jnp.zeros(1))), 4)
        -0.9189
        """
        return arithmetic.log_prob_unconstrained(self, self._unconstrained(u))

    def truncate(self, **bounds: tuple[Any, Any]) -> "Prior":
        """The prior restricted to bounds, renormalised: `prior.truncate(beta=(0.1, None))`.

        Raises:
            NameMismatch: for a name the prior does not have.
            UnsupportedPrior: if nothing is left inside the bounds, or the parameter cannot be truncated.

        >>> import numpyro.distributions as dist
        >>> Prior(a=dist.Normal(0.0, 1.0)).truncate(a=(-1.0, 1.0)).high
        array([1.])
        """
        if self.region is not None:
            raise UnsupportedPrior(
                "got a prior that is restricted to where simulations succeed; expected one that is not; truncate it first, and "
                "restrict it then"
            )
        unknown = [name for name in bounds if name not in self.names]
        if unknown:
            raise NameMismatch(
                f"got bounds for {unknown}; expected some of {list(self.names)}; use the parameters' names"
            )
        blocks = {
            name: truncate(name, block, *bounds[name]) if name in bounds else block
            for name, block in self.distributions.items()
        }
        return Prior(blocks, units=self.units)

    def within(self, region: Region) -> "Prior":
        """The prior restricted to a region of unconstrained space, renormalised by the region's share of its mass.

        `quincunx.restrict` makes one from simulations of which some have failed. Draws are drawn again until they are inside; the maps to
        and from unconstrained space stay those of the whole prior, and the density is minus infinity at what they lead outside.

        Raises:
            UnsupportedPrior: if it is restricted already.
        """
        if self.region is not None:
            raise UnsupportedPrior(
                "got a prior that is restricted already; expected the whole one; restrict that, from all simulations"
            )
        return eqx.tree_at(lambda prior: prior.region, self, region, is_leaf=lambda leaf: leaf is None)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        arrays: dict[str, np.ndarray] = {}
        specs = []
        for i, (name, block) in enumerate(self.distributions.items()):
            spec, own = distribution_to_state(name, block)
            specs.append({"name": name, "spec": spec})
            arrays.update({f"{i}/{path}": array for path, array in own.items()})
        region = None
        if self.region is not None:
            region, own = pack(self.region, "region")
            arrays |= own
        return {"parameters": specs, "units": self.units, "region": region}, arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Prior":
        blocks = {}
        for i, entry in enumerate(spec["parameters"]):
            start = f"{i}/"
            own = {path[len(start) :]: array for path, array in arrays.items() if path.startswith(start)}
            blocks[entry["name"]] = distribution_from_state(entry["spec"], own)
        prior = cls(blocks, units=spec["units"])
        # Files that were written before priors could be restricted say nothing of a region.
        region = spec.get("region")
        return prior if region is None else prior.within(unpack(region, arrays, "region"))

    def _flat(self, flat: Any) -> Array:
        flat = arithmetic.floating(jnp.asarray(flat))
        if flat.ndim == 0 or flat.shape[-1] != self.dim:
            raise ShapeMismatch(
                f"got flat parameters of shape {flat.shape}; expected (..., {self.dim}) for {self.columns}; "
                "reshape them"
            )
        return flat

    def _unconstrained(self, u: Any) -> Array:
        u = arithmetic.floating(jnp.asarray(u))
        if u.ndim == 0 or u.shape[-1] != self.unconstrained_dim:
            raise ShapeMismatch(
                f"got unconstrained parameters of shape {u.shape}; expected (..., {self.unconstrained_dim}); "
                "reshape them"
            )
        return u

    def rows(self) -> list[tuple[str, ...]]:
        """Headings, then a row of text for each parameter: name, shape, distribution, support, units."""
        rows: list[tuple[str, ...]] = [("name", "shape", "distribution", "support", "units")]
        for name, block, transform in zip(self.names, self.blocks, self.transforms):
            rows.append(
                (name, str(tuple(block.event_shape)), _title(block), _range(transform), self.units.get(name, ""))
            )
        return rows

    def __repr__(self) -> str:
        rows = self.rows()
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows]
        several = "s" if len(self.names) > 1 else ""
        numbers = "number" if self.dim == 1 else "numbers"
        restricted = [] if self.region is None else [f"  {self.region.note}"]
        return "\n".join([f"Prior of {len(self.names)} parameter{several}, {self.dim} {numbers}", *lines, *restricted])

    def _repr_html_(self) -> str:
        head, *body = self.rows()
        restricted = [] if self.region is None else [self.region.note]
        return card(repr(self).splitlines()[0], head=head, body=body, warnings=restricted)


def columns_of(name: str, shape: Sequence[int]) -> tuple[str, ...]:
    """A name for each number of an array: `a`, `v[0]`, `m[0,1]`.

    >>> columns_of("v", (2,))
    ('v[0]', 'v[1]')
    """
    if math.prod(shape) == 1 and len(shape) == 0:
        return (name,)
    return tuple(f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(*shape))


def _title(block: dist.Distribution) -> str:
    inner = block
    while isinstance(inner, dist.Independent | dist.ExpandedDistribution):
        inner = inner.base_dist
    cut = "TruncatedDistribution"
    name = type(inner).__name__
    return f"Truncated{type(inner.base_dist).__name__}" if name.endswith(cut) or name == "Truncated" else name


def _range(transform: Transform) -> str:
    low, high = transform.bounds()
    if np.all(low == low[0]) and np.all(high == high[0]):
        left = "(-inf" if np.isinf(low[0]) else f"({low[0]:g}" if np.isinf(high[0]) else f"[{low[0]:g}"
        right = "inf)" if np.isinf(high[0]) else f"{high[0]:g})" if np.isinf(low[0]) else f"{high[0]:g}]"
        return f"{left}, {right}"
    return "varies"
