"""Flow-matching posterior estimation: a velocity field that carries noise to the posterior."""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import PRNGKeyArray

from quincunx.infer.amortising import fit_direct
from quincunx.infer.direct import DirectEstimator
from quincunx.infer.method import Method
from quincunx.learn import FitSettings
from quincunx.learn.build import Spec
from quincunx.learn.fit import Progress
from quincunx.learn.functionals import FlowMatching
from quincunx.model import Prior
from quincunx.run import Simulations
from quincunx.values import as_key


@dataclass(frozen=True)
class FMPE(Method):
    """Regress the velocity of straight paths from noise to theta, given x (2305.17161); draws solve dz/dt = v(t, z, x).

    Densities integrate the divergence of the field, exactly, at `d` times the cost of a draw. `alpha` puts more weight near the data,
    `steps` is the number of Runge-Kutta steps, `network` options of the "adaln" network; the rest is as for `NPE`. The loss is noisy by
    construction, so an exponential moving average of the parameters is what is kept.
    """

    name: ClassVar[str] = "fmpe"

    network: Spec | None = None
    members: int = 1
    embedding: Spec | str | None = None
    x_scale: str = "auto"
    alpha: float = 1.0
    steps: int = 24
    settings: FitSettings | None = FitSettings(ema=0.999, weight_decay=0.0, learning_rate=1e-3, patience=1000)

    def fit(
        self, sims: Simulations, prior: Prior, *, key: PRNGKeyArray | int, progress: Progress | None = None
    ) -> DirectEstimator:
        """Learn the velocity field from simulations drawn from the prior. Raises as `NPE.fit`."""

        def spec(dim: int, condition_dim: int, embedding: Spec | None) -> dict[str, Any]:
            network = {"kind": "adaln", **(self.network or {}), "dim": dim, "condition_dim": condition_dim}
            return {"kind": "velocity", "network": {**network, "embedding": embedding}, "steps": self.steps}

        return fit_direct(
            self,
            sims,
            prior,
            functional=FlowMatching(alpha=self.alpha),
            functional_name="flow_matching",
            spec=spec,
            key=as_key(key),
            progress=progress,
        )
