"""What a program did: the value and the log-probability of every draw, and what came of them."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quincunx.model.program.execution import Site
from quincunx.notebook import from_repr
from quincunx.values import register

__all__ = ["Trace"]


@register("trace")
class Trace(eqx.Module):
    """One run of a program (or, under `vmap`, a batch of them): its draws by address, and its result x at theta.

    - `values[address]`: what was drawn or given; in a loop there is a leading axis, one entry for each step.
    - `log_probs[address]`: log p(value | all before, theta), summed over the site; minus infinity outside its support.
    - `sites`: for each draw, in the order of the program, its address, family, and whether it is observed.
    - `tags`: what the program named by `numpyro.deterministic`.

    log p(x, z | theta) = sum over sites = `log_prior` (latents) + `log_likelihood` (observed sites). A trace is a pytree that saves without pickle.

    >>> from quincunx.model.program.example import walk
    >>> trace = walk.program.trace({"drift": 1.0}, key=0)
    >>> trace
    Trace of 2 sites, log_prob -7.18
      address  family  kind      shape  log_prob
      z        Normal  latent    (3,)   -3.28
      x        Normal  observed  ()     -3.9
    >>> trace.addresses, sorted(trace.latents)
    (('z', 'x'), ['z'])
    """

    kind: ClassVar[str]

    sites: tuple[Site, ...] = eqx.field(static=True)
    values: dict[str, Any]
    log_probs: dict[str, Any]
    result: Any
    theta: dict[str, Any]
    design: dict[str, Any] | None
    tags: dict[str, Any]

    @property
    def addresses(self) -> tuple[str, ...]:
        """The names of the draws, in the order of the program."""
        return tuple(site.address for site in self.sites)

    @property
    def latents(self) -> dict[str, Any]:
        """The values of the draws that are not observed."""
        return {site.address: self.values[site.address] for site in self.sites if not site.observed}

    @property
    def observed(self) -> dict[str, Any]:
        """The values of the draws that are observed."""
        return {site.address: self.values[site.address] for site in self.sites if site.observed}

    @property
    def log_prob(self) -> Float[Array, "*batch"]:
        """log p(x, z | theta), the sum over all sites."""
        return self._sum([site.address for site in self.sites])

    @property
    def log_prior(self) -> Float[Array, "*batch"]:
        """The part of the latent sites."""
        return self._sum([site.address for site in self.sites if not site.observed])

    @property
    def log_likelihood(self) -> Float[Array, "*batch"]:
        """The part of the observed sites, given the latents of this trace."""
        return self._sum([site.address for site in self.sites if site.observed])

    def _sum(self, addresses: list[str]) -> Any:
        first = next(iter(self.log_probs.values()), jnp.zeros(()))
        return sum((self.log_probs[address] for address in addresses), jnp.zeros(jnp.shape(first), first.dtype))

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        keyed = isinstance(self.result, Mapping)
        groups = {
            "values": self.values,
            "log_probs": self.log_probs,
            "theta": self.theta,
            "design": self.design or {},
            "tags": self.tags,
            "result": self.result if keyed else {"": self.result},
        }
        arrays = {f"{group}/{name}": np.asarray(a) for group, named in groups.items() for name, a in named.items()}
        sites = [{**vars(site), "shape": list(site.shape)} for site in self.sites]
        return {"sites": sites, "keyed": keyed, "design": self.design is not None, "order": list(arrays)}, arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Trace":
        """The inverse of `to_state`."""
        groups: dict[str, dict[str, Any]] = {}
        for path in spec["order"]:
            group, _, name = path.partition("/")
            groups.setdefault(group, {})[name] = jnp.asarray(arrays[path])
        sites = tuple(
            Site(
                **{
                    **one,
                    "shape": tuple(one["shape"]),
                    "choices": None if one["choices"] is None else tuple(one["choices"]),
                }
            )
            for one in spec["sites"]
        )
        result = groups.get("result", {})
        return cls(
            sites,
            groups.get("values", {}),
            groups.get("log_probs", {}),
            result if spec["keyed"] else result[""],
            groups.get("theta", {}),
            groups.get("design", {}) if spec["design"] else None,
            groups.get("tags", {}),
        )

    def __repr__(self) -> str:
        batch = jnp.shape(self.log_prob)
        rows = [("address", "family", "kind", "shape", *(() if batch else ("log_prob",)))]
        for site in self.sites:
            said = () if batch else (_number(self.log_probs[site.address]),)
            rows.append((site.address, site.family, site.kind, str(site.shape), *said))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        table = ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        head = f"{batch} traces" if batch else "Trace"
        total = "" if batch else f", log_prob {_number(self.log_prob)}"
        return "\n".join([f"{head} of {len(self.sites)} sites{total}", *(table if self.sites else [])])

    _repr_html_ = from_repr


def _number(value: Any) -> str:
    return "traced" if isinstance(value, jax.core.Tracer) else f"{float(value):.3g}"
