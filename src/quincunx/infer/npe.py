"""Neural posterior estimation: the posterior itself, as a conditional density."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import PRNGKeyArray

from quincunx.infer.amortising import fit_direct
from quincunx.infer.densities import conditional_spec, settings_for
from quincunx.infer.direct import DirectEstimator
from quincunx.infer.method import Method
from quincunx.learn import FitSettings
from quincunx.learn.build import Spec
from quincunx.learn.fit import Progress
from quincunx.learn.functionals import NegativeLogDensity
from quincunx.model import Prior
from quincunx.run import Simulations
from quincunx.values import as_key


@dataclass(frozen=True)
class NPE(Method):
    """Minimise -E_{p(theta, x)} log q(theta | x): the minimiser is the posterior for every x (1605.06376, 1705.07057).

    The density lives in unconstrained space, so that no draw can leave the prior's support, and its log-density includes the
    Jacobian. `density` is "spline", "affine", "coupling" (flows), "gaussian", "mixture", "linear" (a Gaussian that hardly bends), or a specification; `members`
    networks are trained side by side and mixed equally (None: five for up to 2,000 simulations, three for up to 8,000, two for more, since
    the fewer there are the more a single network reads into them); `embedding` (a kind or a specification) reads x that is not a short vector, and sets of
    events get a deep set by themselves; `x_scale` is "auto", "zscore", "robust" or "none"; `screen`
    drops the columns of x whose ranks do not depend on theta (for long x of which most is noise).
    Failed simulations are left out, which is exact: the answer is the posterior given a finite observation.

    >>> NPE(members=3).describe()["members"]
    3
    """

    name: ClassVar[str] = "npe"

    density: Spec | str = "spline"
    members: int | None = None
    embedding: Spec | str | None = None
    x_scale: str = "auto"
    screen: bool = False
    settings: FitSettings | None = None

    @property
    def default_settings(self) -> FitSettings:
        """How its density is trained when `settings` is None."""
        return settings_for(self.density)

    def members_for(self, n: int) -> int:
        """How many networks learn from n simulations.

        >>> NPE().members_for(1000), NPE().members_for(10_000), NPE(members=1).members_for(1000)
        (5, 2, 1)
        """
        return self.members or (5 if n <= 2000 else 3 if n <= 8000 else 2)

    def fit(
        self, sims: Simulations, prior: Prior, *, key: PRNGKeyArray | int, progress: Progress | None = None
    ) -> DirectEstimator:
        """Learn q(theta | x) from simulations drawn from the prior.

        Raises:
            NameMismatch, ShapeMismatch: if prior and simulations disagree.
            AllSimulationsFailed, TooFewSimulations: if there is too little to learn from.
        """
        return fit_direct(
            self,
            sims,
            prior,
            functional=NegativeLogDensity(),
            functional_name="negative_log_density",
            spec=lambda dim, condition_dim, embedding: conditional_spec(
                self.density, dim=dim, condition_dim=condition_dim, embedding=embedding
            ),
            key=as_key(key),
            progress=progress,
        )
