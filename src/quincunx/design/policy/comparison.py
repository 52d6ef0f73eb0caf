"""Policies side by side, on the same parameters and the same noise: what adaptivity is worth."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.design.estimate import EIG
from quincunx.design.found import mean_and_se, settled
from quincunx.design.policy.rollout import PolicyLike
from quincunx.design.policy.total import campaign_of, judged
from quincunx.errors import UsageError
from quincunx.model import Simulator
from quincunx.notebook import from_repr
from quincunx.values import as_key, register, save

__all__ = ["PolicyComparison", "compare_policies"]


@register("policy_comparison")
@dataclass(frozen=True, eq=False, repr=False)
class PolicyComparison:
    """Total informations of P policies, by name, and the contributions (P, n) of the campaigns from which differences have their errors.

    >>> eig = EIG(1.0, 0.1, None, None, None, None, "sequential contrastive", 2, 10, None)
    >>> PolicyComparison(("a", "b"), (eig, eig), np.array([[1.0, 2.0], [0.0, 2.0]])).difference("a", "b")
    (0.5, 0.5)
    """

    kind: ClassVar[str]

    names: tuple[str, ...]
    eigs: tuple[EIG, ...]
    rows: Float[np.ndarray, "p n"]

    def __getitem__(self, name: str) -> EIG:
        return self.eigs[self._number(name)]

    def difference(self, one: str, other: str) -> tuple[float, float]:
        """By how many nats `one` teaches more than `other`, and the standard error of that: of differences, campaign by campaign.

        Where a bracket is open all are compared by their lower bounds. Raises `UsageError` for a name that is not there.
        """
        return mean_and_se(self.rows[self._number(one)] - self.rows[self._number(other)])

    def _number(self, name: str) -> int:
        if name not in self.names:
            raise UsageError(f"got policy {name!r}; expected one of {', '.join(self.names)}")
        return self.names.index(name)

    def to_dict(self) -> dict[str, Any]:
        """The informations by name, and the differences to the last one, as plain numbers."""
        last = self.names[-1]
        return {
            name: {**eig.to_dict(), f"more than {last}": list(self.difference(name, last))}
            for name, eig in zip(self.names, self.eigs, strict=True)
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to one file; `quincunx.load` reads it back."""
        return save(self, path)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        return {"names": list(self.names), "eigs": [eig.to_dict() for eig in self.eigs]}, {"rows": self.rows}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "PolicyComparison":
        """The inverse of `to_state`."""
        return cls(tuple(spec["names"]), tuple(EIG.from_state(one, {}) for one in spec["eigs"]), arrays["rows"])

    def __repr__(self) -> str:
        last, wide = self.names[-1], max(map(len, self.names))
        lines = [f"total information in nats, {self.rows.shape[1]} campaigns"]
        for name, eig in zip(self.names, self.eigs, strict=True):
            low, high = (
                "?" if end is None else f"{end:.4g} +- {error:.2g}"
                for end, error in ((eig.lower, eig.lower_se), (eig.upper, eig.upper_se))
            )
            gap, error = self.difference(name, last)
            more = "" if name == last else f"; {gap:+.3g} +- {error:.2g} against {last}"
            lines.append(f"  {name:<{wide}}  at least {low}, at most {high}{more}")
        return "\n".join(lines)

    _repr_html_ = from_repr


def compare_policies(
    simulator: Simulator,
    policies: Mapping[str, PolicyLike],
    *,
    rounds: int | None = None,
    events: int | None = None,
    n: int = 512,
    inner: int = 8192,
    key: PRNGKeyArray | int,
) -> PolicyComparison:
    """The total information of several policies at the same number of experiments, paired: the last one is the baseline. Arguments and errors: as `total_eig`.

    Adaptivity that does not beat the best fixed designs is common: compare with `train_policy(..., designs="static")` and `RandomDesigns`.

    Raises:
        UsageError: for policies of different numbers of rounds or events, and as `total_eig`.

    >>> import jax, jax.numpy as jnp, numpyro.distributions as dist, types, quincunx as qx
    >>> def log_likelihood(theta, x, design):
    ...     return jax.scipy.stats.norm.logpdf(x[0], design["d"] * theta["a"], 0.5)
    >>> @qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=types.SimpleNamespace(log_likelihood=log_likelihood))
    ... def line(theta, *, key, design):
    ...     return design["d"] * theta["a"] + 0.5 * jax.random.normal(key)
    >>> both = compare_policies(line, {"steep": lambda history: {"d": 2.0}, "flat": lambda history: {"d": 1.0}}, rounds=1, n=256, inner=256, key=0)
    >>> gap, error = both.difference("steep", "flat")                         # 0.5 log 17/5 = 0.6119
    >>> bool(abs(gap - 0.6119) < 3 * error)
    True
    """
    if not policies:
        raise UsageError("got no policies; expected at least one, by name")
    known = [campaign_of(policy, rounds, events) for policy in policies.values() if rounds or hasattr(policy, "rounds")]
    if len(set(known)) != 1:
        raise UsageError(
            f"got campaigns of (rounds, events) {sorted(set(known))}; expected one for all policies; pass rounds= and events="
        )
    shape = known[0]
    found = [judged(simulator, policy, *shape, n, inner, as_key(key)) for policy in policies.values()]
    is_open = settled(found)
    eigs = tuple(one.eig(open_bracket=is_open) for one in found)
    return PolicyComparison(tuple(policies), eigs, np.stack([one.rows(is_open) for one in found]))
