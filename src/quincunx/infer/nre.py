"""Neural ratio estimation: the likelihood-to-evidence ratio of one event, by classification."""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import PRNGKeyArray

from quincunx.errors import UsageError
from quincunx.infer.conditioning import plan_embedding
from quincunx.infer.indirect import PotentialEstimator
from quincunx.infer.method import Method
from quincunx.infer.preparation import Preparation
from quincunx.infer.scoring import fit_potential
from quincunx.learn import FitSettings
from quincunx.learn.build import Spec
from quincunx.learn.fit import Progress
from quincunx.learn.functionals import RatioBalanced, RatioBinary, RatioContrastive, RatioMulticlass
from quincunx.model import Prior
from quincunx.run import Simulations
from quincunx.values import as_key


@dataclass(frozen=True)
class NRE(Method):
    """Learn log p(x | theta) / p(x) by telling joint pairs from shuffled ones; the posterior is the ratio times the prior.

    `variant` is "C" (contrastive with a class for none, 2210.06170, the default), "A" (binary, 1903.04057), "B" (multiclass, 2002.03712: right
    posteriors, but no ratio values) or "balanced" (conservative on average,
    2208.13624). `contrasts` is K, `gamma` the odds of a joint pair for C, `strength` the weight of the balance.
    Ratios of events multiply. `network` holds options of the "ratio" network; settings that varied stand beside x, so that the ratio is
    to the evidence at those settings.
    """

    name: ClassVar[str] = "nre"

    variant: str = "C"
    network: Spec | None = None
    members: int = 1
    embedding: Spec | str | None = None
    x_scale: str = "auto"
    contrasts: int = 8
    gamma: float = 1.0
    strength: float = 100.0
    settings: FitSettings | None = None
    sampler: str = "auto"

    def fit(
        self, sims: Simulations, prior: Prior, *, key: PRNGKeyArray | int, progress: Progress | None = None
    ) -> PotentialEstimator:
        """Learn the ratio from simulations drawn from the prior. Raises as `NPE.fit`."""
        functional, name = self._functional()

        def plan(prepared: Preparation) -> tuple:
            form, shape, spec = ratio_spec(prepared, self.network, self.embedding)
            data = {"theta": prepared.theta, "x": prepared.conditions(form, shape)}
            return functional, name, spec, data, form, shape

        term = "relative" if self.variant == "B" else "ratio"
        return fit_potential(self, sims, prior, plan=plan, term=term, key=as_key(key), progress=progress)

    def _functional(self) -> tuple[Any, str]:
        variants = {
            "A": (RatioBinary(), "ratio_binary"),
            "B": (RatioMulticlass(classes=self.contrasts), "ratio_multiclass"),
            "C": (RatioContrastive(contrasts=self.contrasts, gamma=self.gamma), "ratio_contrastive"),
            "balanced": (RatioBalanced(strength=self.strength), "ratio_balanced"),
        }
        if self.variant not in variants:
            raise UsageError(
                f"got NRE variant {self.variant!r}; expected one of {', '.join(variants)}; 'C' is the default"
            )
        return variants[self.variant]


def ratio_spec(
    prepared: Preparation, network: Spec | None, embedding: Spec | str | None
) -> tuple[str, tuple[int, ...], dict[str, Any]]:
    """The form of x, its shape and the specification of the ratio network for one event."""
    rows = prepared.rows
    form, shape, full, size = plan_embedding(
        embedding,
        shape=prepared.reader.shape,
        x_size=rows.x.shape[-1],
        design_size=rows.design.shape[-1],
        sets=False,
        theta_size=rows.u.shape[-1],
    )
    sizes = {"theta_size": rows.u.shape[-1], "x_size": size, "embedding": full}
    return form, shape, {"kind": "ratio", **(network or {}), **sizes}
