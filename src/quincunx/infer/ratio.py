"""The parametrised likelihood ratio to a fixed reference, by one classifier for all parameters."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.errors import TooFewSimulations
from quincunx.infer.indirect import PotentialEstimator
from quincunx.infer.method import Method
from quincunx.infer.nre import ratio_spec
from quincunx.infer.preparation import Preparation
from quincunx.infer.rows import FEWEST
from quincunx.infer.scoring import fit_potential
from quincunx.learn import FitSettings
from quincunx.learn.build import Spec
from quincunx.learn.fit import Progress
from quincunx.learn.functionals import ReferenceCrossEntropy
from quincunx.model import Prior, Simulator
from quincunx.run import Simulations, simulate
from quincunx.values import as_key


@dataclass(frozen=True)
class Ratio(Method):
    """Learn log p(x | theta) / p_ref(x) by telling p(x | theta) from a reference (1506.02169): r = s / (1 - s).

    `reference` are simulations from the reference, at one theta or any other fixed distribution; or `at` names a theta where `infer` spends half
    of its budget to make them. With neither, the reference is the prior predictive p(x). `log_likelihood` of the
    estimator gives the log-ratio, and differences between two theta give their log-likelihood ratio. The other options are as for `NRE`.
    """

    name: ClassVar[str] = "ratio"

    reference: Simulations | None = None
    at: dict[str, Any] | None = None
    network: Spec | None = None
    members: int = 1
    embedding: Spec | str | None = None
    x_scale: str = "auto"
    settings: FitSettings | None = None
    sampler: str = "auto"

    def before(self, simulator: Simulator, budget: int, *, key: PRNGKeyArray, **settings: Any) -> tuple["Method", int]:
        """Simulate the reference, where `at` says from which theta, with half of the budget."""
        if self.at is None or self.reference is not None:
            return self, budget
        half = budget // 2
        theta = {name: np.broadcast_to(np.asarray(value), (half, *np.shape(value))) for name, value in self.at.items()}
        return replace(self, reference=simulate(simulator, half, theta=theta, key=key, **settings)), budget - half

    def fit(
        self, sims: Simulations, prior: Prior, *, key: PRNGKeyArray | int, progress: Progress | None = None
    ) -> PotentialEstimator:
        """Learn the ratio to the reference. Raises as `NPE.fit`."""
        k_pairs, k_fit = jax.random.split(as_key(key))
        rng = np.random.default_rng(np.asarray(jax.random.key_data(k_pairs)))

        def plan(prepared: Preparation) -> tuple:
            form, shape, spec = ratio_spec(prepared, self.network, self.embedding)
            n = len(prepared.rows.u)
            if self.reference is None:
                # a random cyclic order: every x meets the theta of another row
                order = rng.permutation(n)
                other = np.empty(n, int)
                other[order] = np.roll(order, 1)
                x, design = prepared.rows.x[other], prepared.rows.design[other]
            else:
                x, design = _reference_rows(self.reference, prepared)
            m = len(x)
            paired = np.resize(rng.permutation(n), m)
            both = replace(
                prepared.rows,
                u=np.concatenate([prepared.rows.u, prepared.rows.u[paired]]),
                x=np.concatenate([prepared.rows.x, x]),
                design=np.concatenate([prepared.rows.design, design]),
            )
            joined = replace(prepared, rows=both)
            label = np.concatenate([np.ones(n, np.float32), np.zeros(m, np.float32)])
            data = {"theta": joined.theta, "x": joined.conditions(form, shape), "label": label}
            return ReferenceCrossEntropy(odds=n / m), "reference_cross_entropy", spec, data, form, shape

        return fit_potential(self, sims, prior, plan=plan, term="ratio", key=k_fit, progress=progress)


def _reference_rows(reference: Simulations, prepared: Preparation) -> tuple[np.ndarray, np.ndarray]:
    worked = reference.valid()
    if len(worked) < FEWEST:
        raise TooFewSimulations(
            f"got {len(worked)} usable reference simulations; expected at least {FEWEST}, better as many as the others"
        )
    design = prepared.reader.simulated_design(worked)
    x = np.asarray(worked.x_flat(), np.float32)
    if worked.events:
        design = np.repeat(design, x.shape[1], axis=0)
    return x.reshape(-1, 1, x.shape[-1]), design
