"""Derivatives of solutions of differential equations with respect to a few parameters."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float


def forward_sensitivities(solve: Callable[[Float[Array, " d"]], Array]) -> Callable[[Float[Array, " d"]], Array]:
    """Let a function that only knows forward-mode differentiation be used under `jax.grad` as well.

    The tangent is J(theta) @ dtheta with J from `jacfwd`. J does not depend on dtheta: JAX can transpose the product,
    and a gradient costs d forward sensitivities: cheap when d is a handful, and no checkpoints are stored.

    >>> import jax, jax.numpy as jnp
    >>> cube = forward_sensitivities(lambda theta: theta**3)
    >>> jax.grad(lambda theta: cube(theta).sum())(jnp.array([1.0, 2.0]))
    Array([ 3., 12.], dtype=float32)
    """

    @jax.custom_jvp
    def solution(theta: Float[Array, " d"]) -> Array:
        return solve(theta)

    @solution.defjvp
    def _tangent(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        (theta,), (direction,) = primals, tangents
        return solution(theta), jax.jacfwd(solve)(theta) @ direction

    return solution
