"""What is known after some experiments: posterior draws that save, summarise and draw themselves."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from quincunx.design import Belief
from quincunx.infer.summary import Summary
from quincunx.model import Prior
from quincunx.notebook import card
from quincunx.values import pack, register, unpack

__all__ = ["Knowledge"]


@register("knowledge")
@dataclass(frozen=True, eq=False, repr=False)
class Knowledge:
    """p(theta | the first `told` experiments) as flat draws (n, d).

    >>> import numpyro.distributions as dist
    >>> Knowledge(Prior(mu=dist.Normal(0.0, 1.0)), np.zeros((4, 1)), 2)
    Knowledge after 2 experiments: mu = 0 +- 0
    """

    kind: ClassVar[str]

    prior: Prior
    draws: Float[np.ndarray, "n d"]
    told: int

    @property
    def belief(self) -> Belief:
        """As what the next design is chosen by."""
        return Belief(self.prior, self.draws, self.told == 0)

    def summary(self) -> Summary:
        """Mean, standard deviation, 68 % and 95 % intervals of every parameter."""
        return Summary.of(self.draws, columns=self.prior.columns, units=self.prior.units)

    def sd(self) -> dict[str, float]:
        """The standard deviation of every parameter, by flat name."""
        return dict(zip(self.prior.columns, np.std(self.draws, axis=0).tolist(), strict=True))

    def plot(self, *, truth: dict[str, Any] | None = None, **options: Any) -> Any:
        """Corner plot of the draws with the prior behind: a Matplotlib figure."""
        from quincunx.plot import corner

        return corner(
            self.draws[:4000],
            list(self.prior.columns),
            **{
                "bounds": self.prior.bounds,
                "prior": np.asarray(self.prior.sample_flat(4000, key=1)),
                "truth": None if truth is None else np.asarray(self.prior.flatten(truth)),
                **options,
            },
        )

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it; the bounds are for those who look into it without a prior."""
        prior, arrays = pack(self.prior, "prior")
        return {"prior": prior, "told": self.told}, {
            **arrays,
            "draws": self.draws,
            "bounds": np.asarray(self.prior.bounds),
        }

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Knowledge":
        """The inverse of `to_state`."""
        return cls(unpack(spec["prior"], arrays, "prior"), arrays["draws"], int(spec["told"]))

    def __repr__(self) -> str:
        said = ", ".join(
            f"{name} = {mean:.4g} +- {sd:.2g}"
            for name, mean, sd in zip(self.prior.columns, self.draws.mean(0), self.draws.std(0), strict=True)
        )
        return f"Knowledge after {self.told} experiment{'' if self.told == 1 else 's'}: {said}"

    def _repr_html_(self) -> str:
        from quincunx.plot import inline_svg

        title = repr(self)
        head, body = self.summary().table()
        few = len(self.prior.columns) <= 3
        picture = (lambda: inline_svg(self.plot(), alt=f"{title}; the prior behind.")) if few else ""
        return card(title.split(":")[0], head=head, body=body, caption=f"{len(self.draws)} draws", picture=picture)
