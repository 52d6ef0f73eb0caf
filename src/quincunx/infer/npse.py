"""Neural posterior score estimation: a denoiser whose probability flow carries noise to the posterior."""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import PRNGKeyArray

from quincunx.infer.amortising import fit_direct
from quincunx.infer.direct import DirectEstimator
from quincunx.infer.method import Method
from quincunx.learn import FitSettings
from quincunx.learn.build import Spec
from quincunx.learn.fit import Progress
from quincunx.learn.functionals import DenoisingScore
from quincunx.model import Prior
from quincunx.run import Simulations
from quincunx.values import as_key


@dataclass(frozen=True)
class NPSE(Method):
    """Learn E[theta | theta + sigma eps, x] at every noise level (2210.04872, 2206.00364); draws follow the probability flow.

    `steps` is the number of Heun steps between noise levels, `network` options of the "adaln" network; the rest is as for `FMPE`.
    """

    name: ClassVar[str] = "npse"

    network: Spec | None = None
    members: int = 1
    embedding: Spec | str | None = None
    x_scale: str = "auto"
    steps: int = 32
    settings: FitSettings | None = FitSettings(ema=0.999, weight_decay=0.0, learning_rate=1e-3, patience=1000)

    def fit(
        self, sims: Simulations, prior: Prior, *, key: PRNGKeyArray | int, progress: Progress | None = None
    ) -> DirectEstimator:
        """Learn the denoiser from simulations drawn from the prior. Raises as `NPE.fit`."""

        def spec(dim: int, condition_dim: int, embedding: Spec | None) -> dict[str, Any]:
            network = {"kind": "adaln", **(self.network or {}), "dim": dim, "condition_dim": condition_dim}
            return {"kind": "denoiser", "network": {**network, "embedding": embedding}, "steps": self.steps}

        return fit_direct(
            self,
            sims,
            prior,
            functional=DenoisingScore(),
            functional_name="denoising_score",
            spec=spec,
            key=as_key(key),
            progress=progress,
        )
