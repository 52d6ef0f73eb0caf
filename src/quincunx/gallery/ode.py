"""Ordinary differential equations of the gallery, solved by Diffrax to a tolerance that suits the precision in use."""

from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_MAX_STEPS = 1024


def solve(
    field: Callable[[Any, Any, None], Any], start: tuple[Float[Array, ""], ...], times: Float[np.ndarray, " n"]
) -> tuple[Float[Array, " n"], ...]:
    """The solution of dy/dt = field(t, y, None) at all `times`, from `start` at the first; NaN where the solver gives up.

    Tsitouras' 5(4) pair with steps chosen to relative and absolute tolerances of 3e-6 in float32, 1e-8 in float64;
    1024 steps at most. Only forward-mode differentiable (see `forward_sensitivities`).

    >>> (y,) = solve(lambda t, y, _: (-y[0],), (jnp.ones(()),), np.array([0.0, 1.0]))
    >>> y
    Array([1.        , 0.367879], dtype=float32)
    """
    tolerance = 1e-8 if start[0].dtype == jnp.float64 else 3e-6
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Tsit5(),
        t0=times[0],
        t1=times[-1],
        dt0=None,
        y0=start,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
        adjoint=diffrax.ForwardMode(),
        max_steps=_MAX_STEPS,
        throw=False,
    )
    solved = solution.result == diffrax.RESULTS.successful
    return jax.tree.map(lambda y: jnp.where(solved & jnp.isfinite(y), y, jnp.nan), solution.ys)
