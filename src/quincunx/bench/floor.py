"""What no number of simulations gives back: the error of the exact ratio of the exact score at one theta."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from quincunx import gallery
from quincunx.bench.gold import PROBLEMS, truth_of
from quincunx.errors import UsageError
from quincunx.run import simulate

_EVENTS = 400_000
_EACH = 100


def score_floor(problem: str, *, events: int = _EVENTS) -> float:
    """The mean squared error of log r that is left when x is reduced to t(x), its exact score at the reference theta_1 (1805.00020):

        E_theta E_{x ~ p(x | theta_1)} [log r(x | theta) - log r(t(x) | theta)]^2,   r(t | theta) = E[r(x | theta) | t, theta_1],

    over the same theta as the benchmark's errors. The conditional mean is that of a hundred events of neighbouring t, which is right to about a
    hundredth, or over equal values of t where outcomes are discrete. 0 where the score is sufficient.

    Raises:
        UsageError: for a problem of more than one parameter, whose intervals would be boxes.

    >>> score_floor("gaussian", events=40_000) < 1e-3
    True
    """
    name, choices, at = PROBLEMS[problem]
    worked = gallery.load(name, **choices)
    if worked.prior.dim != 1:
        raise UsageError(f"got '{problem}' with {worked.prior.dim} parameters; expected one; choose another problem")
    (parameter,) = worked.prior.names
    log_likelihood = worked.truth.log_likelihood
    theta = {parameter: np.full(events, at[parameter], np.float32)}
    x = jnp.asarray(simulate(worked.simulator, theta=theta, key=2**20 + 2).x)
    _, points, _ = truth_of(worked, at)

    @jax.jit
    def looked_at(x: Any) -> tuple[Any, Any]:
        def one(event: Any) -> tuple[Any, Any]:
            def along(value: Any) -> Any:
                return log_likelihood({parameter: value}, event)

            here = jnp.asarray(at[parameter], jnp.float32)
            return jax.grad(along)(here), jax.vmap(along)(jnp.asarray(points[parameter])) - along(here)

        return jax.lax.map(one, x, batch_size=1000)

    score, log_ratio = (np.asarray(part, np.float64) for part in looked_at(x))
    known, which = np.unique(score, return_inverse=True)
    if len(known) > len(score) ** 0.5:
        edges = np.quantile(score, np.linspace(0, 1, events // _EACH + 1)[1:-1])
        which = np.searchsorted(edges, score)
    count = np.bincount(which)
    errors = []
    for column in log_ratio.T:
        told = np.bincount(which, np.exp(column)) / np.maximum(count, 1)
        errors.append(np.mean((column - np.log(told)[which]) ** 2))
    return float(np.mean(errors))
