"""Densities defined by a differential equation: draws, and exact log-densities, by a fixed number of compiled steps.

Two families: a velocity field on t in [0, 1] (flow matching, 2305.17161) and a denoiser on noise levels (the
probability-flow equation of 2206.00364). Everything is for one example; callers vmap. A fixed grid compiles to one
scan, costs the same for every example of a batch, and never hangs.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.scipy.stats as jstats
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

Field = Callable[[Float[Array, ""], Float[Array, " d"]], Float[Array, " d"]]


def rk4_step(
    field: Callable[[Float[Array, ""], PyTree], PyTree], t: Float[Array, ""], h: Float[Array, ""], y: PyTree
) -> PyTree:
    """One step of the classical Runge-Kutta method (order 4, four evaluations) from t to t + h."""
    k1 = field(t, y)
    k2 = field(t + h / 2, _along(y, h / 2, k1))
    k3 = field(t + h / 2, _along(y, h / 2, k2))
    k4 = field(t + h, _along(y, h, k3))
    return jax.tree.map(lambda y, a, b, c, d: y + h / 6 * (a + 2 * b + 2 * c + d), y, k1, k2, k3, k4)


def integrate(
    field: Callable[[Float[Array, ""], PyTree], PyTree],
    y: PyTree,
    times: Float[Array, " s"],
) -> PyTree:
    """Solve dy/dt = field(t, y) along the grid `times` (rising or falling), from y at times[0] to times[-1], by
    Runge-Kutta steps.

    >>> import jax.numpy as jnp
    >>> bool(jnp.isclose(integrate(lambda t, y: y, jnp.array(1.0), jnp.linspace(0.0, 1.0, 11)), jnp.e, rtol=1e-5))
    True
    """

    def advance(y, ends):
        t, end = ends
        return rk4_step(field, t, end - t, y), None

    return jax.lax.scan(advance, y, (times[:-1], times[1:]))[0]


def with_divergence(field: Field) -> Callable[[Float[Array, ""], tuple], tuple]:
    """The field on (y, log-volume): the second component changes at the rate div field, the exact trace of its
    Jacobian."""

    def both(t, state):
        y, _ = state
        velocity, push = jax.linearize(lambda y: field(t, y), y)
        return velocity, jnp.trace(jax.vmap(push)(jnp.eye(y.shape[0], dtype=y.dtype)))

    return both


def velocity_times(steps: int) -> Float[Array, " s"]:
    """The grid t = 1 - (1 - u)^3, u even in [0, 1]: a narrow density takes its shape in the last moments before t =
    1."""
    return 1 - jnp.linspace(1.0, 0.0, steps + 1) ** 3


def noise_angles(
    steps: int, *, sigma_data: float = 1.0, sigma_min: float = 1e-3, sigma_max: float = 80.0
) -> Float[Array, " s"]:
    """The grid of angles arctan(sigma / sigma_data), from `sigma_max` down to `sigma_min`, spaced by the cube of even
    steps.

    >>> noise_angles(2, sigma_min=0.0, sigma_max=1.0).round(3).tolist()
    [0.785, 0.098, 0.0]
    """
    low, high = jnp.arctan(sigma_min / sigma_data), jnp.arctan(sigma_max / sigma_data)
    return low + (high - low) * jnp.linspace(1.0, 0.0, steps + 1) ** 3


def sample_velocity(field: Field, dim: int, *, key: PRNGKeyArray, steps: int = 24) -> Float[Array, " d"]:
    """One draw: noise at t = 0 carried by the field to t = 1.

    >>> import jax, jax.numpy as jnp
    >>> sample_velocity(lambda t, y: jnp.zeros_like(y), 2, key=jax.random.key(0)).shape
    (2,)
    """
    return integrate(field, jax.random.normal(key, (dim,)), velocity_times(steps))


def base_of_velocity(
    field: Field, y: Float[Array, " d"], *, steps: int = 24
) -> tuple[Float[Array, " d"], Float[Array, ""]]:
    """The noise z at t = 0 that the field carries to y at t = 1, and log|det dz/dy|."""
    return integrate(with_divergence(field), (y, jnp.zeros(())), velocity_times(steps)[::-1])


def log_prob_of_velocity(field: Field, y: Float[Array, " d"], *, steps: int = 24) -> Float[Array, ""]:
    """log q(y) = log N(z; 0, I) - integral of div field over t from 0 to 1 along the path that ends at y.

    >>> import jax.numpy as jnp
    >>> float(log_prob_of_velocity(lambda t, y: jnp.zeros_like(y), jnp.zeros(2)).round(3))
    -1.838
    """
    z, log_det = base_of_velocity(field, y, steps=steps)
    return jnp.sum(jstats.norm.logpdf(z)) + log_det


def sample_denoiser(
    denoise: Field,
    dim: int,
    *,
    key: PRNGKeyArray,
    steps: int = 24,
    sigma_data: float = 1.0,
    sigma_min: float = 1e-3,
    sigma_max: float = 80.0,
) -> Float[Array, " d"]:
    """One draw by the probability flow dy/dsigma = (y - D(sigma, y)) / sigma from sigma_max down to sigma_min
    (2206.00364).

    Solved for w = y / sqrt(sigma^2 + sigma_data^2), whose variance stays near one, against the angle a = arctan(sigma
    / sigma_data): dw/da = -F, F = (D - c_skip y) / c_out being the preconditioned network's output (2410.11081,
    section 3). Runge-Kutta steps in that form are far more accurate than Heun's in sigma at the same cost; see
    `tests/learn/test_ode.py`.
    """
    angles = noise_angles(steps, sigma_data=sigma_data, sigma_min=sigma_min, sigma_max=sigma_max)
    w = integrate(_angular_flow(denoise, sigma_data), jax.random.normal(key, (dim,)), angles)
    return w * _spread(sigma_min, sigma_data)


def base_of_denoiser(
    denoise: Field,
    y: Float[Array, " d"],
    *,
    steps: int = 24,
    sigma_data: float = 1.0,
    sigma_min: float = 1e-3,
    sigma_max: float = 80.0,
) -> tuple[Float[Array, " d"], Float[Array, ""]]:
    """The standard-normal noise z that the probability flow carries to y, and log|det dz/dy|."""
    angles = noise_angles(steps, sigma_data=sigma_data, sigma_min=sigma_min, sigma_max=sigma_max)[::-1]
    spread = _spread(sigma_min, sigma_data)
    field = with_divergence(_angular_flow(denoise, sigma_data))
    z, log_det = integrate(field, (y / spread, jnp.zeros(())), angles)
    return z, log_det - y.shape[0] * jnp.log(spread)


def log_prob_of_denoiser(
    denoise: Field,
    y: Float[Array, " d"],
    *,
    steps: int = 24,
    sigma_data: float = 1.0,
    sigma_min: float = 1e-3,
    sigma_max: float = 80.0,
) -> Float[Array, ""]:
    """log q(y) of the density blurred by N(0, sigma_min^2): log N(z; 0, I) + log|det dz/dy|."""
    z, log_det = base_of_denoiser(
        denoise, y, steps=steps, sigma_data=sigma_data, sigma_min=sigma_min, sigma_max=sigma_max
    )
    return jnp.sum(jstats.norm.logpdf(z)) + log_det


def _spread(sigma: float, sigma_data: float) -> float:
    return (sigma**2 + sigma_data**2) ** 0.5


def _angular_flow(denoise: Field, sigma_data: float) -> Field:
    def field(angle, w):
        sine, cosine = jnp.sin(angle), jnp.cos(angle)
        y = w * sigma_data / cosine
        return -(denoise(sigma_data * sine / cosine, y) - cosine**2 * y) / (sigma_data * sine)

    return field


def _along(y: PyTree, h: Float[Array, ""], k: PyTree) -> PyTree:
    return jax.tree.map(lambda y, k: y + h * k, y, k)
