"""Neural likelihood estimation: the likelihood of one event, as a conditional density."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.infer.densities import conditional_spec, settings_for
from quincunx.infer.indirect import PotentialEstimator
from quincunx.infer.method import Method
from quincunx.infer.preparation import Preparation, scaled
from quincunx.infer.scoring import fit_potential, whole_columns
from quincunx.learn import FitSettings
from quincunx.learn.build import Spec
from quincunx.learn.fit import Progress
from quincunx.learn.flows import describe_columns
from quincunx.learn.functionals import NegativeLogDensity
from quincunx.model import Prior
from quincunx.run import Simulations
from quincunx.values import as_key


@dataclass(frozen=True)
class NLE(Method):
    """Minimise -E log q(x | theta): the minimiser is the likelihood of one event, whatever theta was drawn from (1805.07226).

    The posterior is proportional to prod_i q(x_i | theta) p(theta), for any number of independent events, and times p(valid | theta) for each
    where some simulations failed. `density` is one of those of `NPE` or "mixed", which gives whole numbers probabilities and the other
    columns densities: the one for counts. With the others, columns of whole numbers are spread over their unit cell by U(0, 1) noise in training
    and read at its middle. `members`, `x_scale`, `screen` and `settings` are as for `NPE`; `sampler` is "auto", "smc", "nuts" or "slice".
    """

    name: ClassVar[str] = "nle"

    density: Spec | str = "affine"
    members: int = 1
    x_scale: str = "auto"
    screen: bool = False
    settings: FitSettings | None = None
    sampler: str = "auto"

    @property
    def density_of_cells(self) -> bool:
        """Whether whole numbers get probabilities."""
        return counts_cells(self.density)

    @property
    def default_settings(self) -> FitSettings:
        """How its density is trained when `settings` is None."""
        return settings_for(self.density)

    def fit(
        self, sims: Simulations, prior: Prior, *, key: PRNGKeyArray | int, progress: Progress | None = None
    ) -> PotentialEstimator:
        """Learn q(x | theta) from simulations. Raises as `NPE.fit`."""

        def plan(prepared):
            spec, data = likelihood_data(prepared, self.density)
            return NegativeLogDensity(), "negative_log_density", spec, data, "vector", ()

        return fit_potential(self, sims, prior, plan=plan, term="likelihood", key=as_key(key), progress=progress)


def counts_cells(density: Spec | str) -> bool:
    """Whether a density gives whole numbers probabilities.

    >>> counts_cells("mixed"), counts_cells({"kind": "autoregressive"})
    (True, False)
    """
    return (density if isinstance(density, str) else density.get("kind")) == "mixed"


def likelihood_data(prepared: Preparation, density: Spec | str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The specification of q(x | theta) for prepared single events, and its data: x as "y", theta and the settings as "c"."""
    design = np.asarray(scaled(prepared.scales["design"], prepared.rows.design))
    condition = np.concatenate([prepared.theta, design], axis=1)
    x = np.asarray(scaled(prepared.scales["x"], prepared.rows.x[:, 0]))
    if counts_cells(density):
        kept, whole = prepared.scales["x"].kept, whole_columns(prepared.rows.x)
        columns = describe_columns(x, whole if kept is None else whole[np.asarray(kept)])
        density = {**({"kind": "mixed"} if isinstance(density, str) else density), "columns": columns}
    spec = conditional_spec(density, dim=x.shape[1], condition_dim=condition.shape[1], embedding=None)
    return spec, {"y": x, "c": condition}
