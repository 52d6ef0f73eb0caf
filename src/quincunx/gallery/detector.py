"""What a detector makes of an angle: limited coverage, smearing, and charges mistaken for one another."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import special

from quincunx.errors import UsageError
from quincunx.gallery.angular import angular_draw, angular_fisher, angular_information, angular_log_prob

_TRIES = 16
_NODES = 400


@dataclasses.dataclass(frozen=True)
class Detector:
    """Sees c = q c' + sigma eps where |c| < cut, of a true cosine c' with density 3/8 (1 + c'^2 + A c'), |A| <= 2.

    q is -1 with probability `misidentified` (w), else 1, and eps is N(0, 1). All that is seen stays linear in A:

        p(c | A) = (e(c) + (1 - 2 w) A o(c)) / Z,   e, o = int over c' of (1 + c'^2, c') N(c; c', sigma^2),   Z = int e over |c| < cut,

    for o is odd and a symmetric cut leaves nothing of its integral. Without smearing e = 1 + c^2 and o = c.

    Raises:
        UsageError: for a cut outside (0, 1], smearing that is negative or above 1/4, or w outside [0, 1/2].

    >>> Detector(cut=0.95, misidentified=0.01).log_prob(jnp.array([0.5, 0.99]), jnp.asarray(1.0))
    Array([-0.35...,   -inf], dtype=float32)
    """

    cut: float = 1.0
    smearing: float = 0.0
    misidentified: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.cut <= 1 and 0 <= self.smearing <= 0.25 and 0 <= self.misidentified <= 0.5):
            raise UsageError(
                f"got cut={self.cut}, smearing={self.smearing} and misidentified={self.misidentified}; expected 0 < cut <= 1, "
                "0 <= smearing <= 0.25 and 0 <= misidentified <= 0.5; correct them"
            )

    @property
    def dilution(self) -> float:
        """1 - 2 w: what is left of the asymmetry."""
        return 1 - 2 * self.misidentified

    def log_prob(self, c: Float[Array, "..."], asymmetry: Float[Array, "..."]) -> Float[Array, "..."]:
        """log p(c | A) of what is seen; -inf outside the cut."""
        diluted = self.dilution * asymmetry
        if not self.smearing:
            return angular_log_prob(c, diluted, cut=self.cut)
        even, odd = _smeared_parts(c, self.smearing)
        density = even + diluted * odd
        inside = (jnp.abs(c) <= self.cut) & (density > 0)
        return jnp.where(inside, jnp.log(jnp.where(inside, density, 1.0)) - math.log(self.whole), -jnp.inf)

    @functools.cached_property
    def whole(self) -> float:
        """Z, by Gauss and Legendre."""
        return float(self._parts_at_nodes[2] @ self._parts_at_nodes[0])

    def fisher(self, asymmetry: Float[Array, "..."]) -> Float[Array, "..."]:
        """The information of one event that is seen on A: in closed form without smearing, else by Gauss and Legendre."""
        if not self.smearing:
            return self.dilution**2 * angular_fisher(self.dilution * asymmetry, cut=self.cut)
        even, odd, weights = (jnp.asarray(part, asymmetry.dtype) for part in self._parts_at_nodes)
        density = even + self.dilution * asymmetry[..., None] * odd
        return self.dilution**2 * jnp.sum(weights * odd**2 / density, axis=-1) / self.whole

    def information(self, asymmetry: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"]) -> float:
        """I(A; c) of one event that is seen, in nats, for n values of A with weights that add up to one."""
        if not self.smearing:
            return angular_information(self.dilution * asymmetry, weights, cut=self.cut)
        even, odd, volume = self._parts_at_nodes
        density = (even + self.dilution * asymmetry[:, None] * odd) / self.whole
        mixture = weights @ density
        terms = weights @ special.xlogy(density, density) - special.xlogy(mixture, mixture)
        return max(float(volume @ terms), 0.0)

    def draw(self, asymmetry: Float[Array, ""], *, key: PRNGKeyArray) -> Float[Array, " 1"]:
        """One event that is seen."""
        if self.smearing:
            return self.smeared(asymmetry, key=key)[0]
        return angular_draw(self.dilution * asymmetry, (1,), cut=self.cut, key=key)

    def smeared(self, asymmetry: Float[Array, ""], *, key: PRNGKeyArray) -> tuple[Float[Array, " 1"], dict[str, Array]]:
        """One event that is seen, and its latents: the first of sixteen candidates inside the cut, and NaN if there is none."""
        uniforms, swaps, noise = jax.random.split(key, 3)
        true = angular_draw(asymmetry, (_TRIES,), key=uniforms)
        swapped = jax.random.uniform(swaps, (_TRIES,)) < self.misidentified
        seen = jnp.where(swapped, -true, true) + self.smearing * jax.random.normal(noise, (_TRIES,))
        inside = jnp.abs(seen) < self.cut
        first = jnp.argmax(inside)
        x = jnp.where(inside[first], seen[first], jnp.nan)
        return x[None], {"true": true[first], "swapped": swapped[first]}

    def joint_log_prob(
        self, x: Float[Array, " 1"], z: dict[str, Array], asymmetry: Float[Array, ""]
    ) -> Float[Array, ""]:
        """log p(x, z | A) of an event that is seen and its latents."""
        true, swapped = z["true"], z["swapped"]
        w = self.misidentified
        charges = jnp.where(swapped, math.log(w) if w > 0 else -jnp.inf, math.log1p(-w))
        seen = norm.logpdf(x[0], jnp.where(swapped, -true, true), self.smearing)
        # The share that is seen does not depend on A.
        return angular_log_prob(true, asymmetry) + charges + seen - math.log(self.whole / (8 / 3))

    @functools.cached_property
    def _parts_at_nodes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """e, o and weights at nodes in c, more of them towards the ends, where smearing rounds the edges off."""
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        c = self.cut * nodes
        low, high = (-1 - c) / self.smearing, (1 - c) / self.smearing
        density = [np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) for z in (low, high)]
        even, odd = _moments(c, self.smearing, special.ndtr(high) - special.ndtr(low), low, high, *density)
        return even, odd, self.cut * weights


def _smeared_parts(c: Array, sigma: float) -> tuple[Array, Array]:
    low, high = (-1 - c) / sigma, (1 - c) / sigma
    return _moments(c, sigma, norm.cdf(high) - norm.cdf(low), low, high, norm.pdf(low), norm.pdf(high))


def _moments(c, sigma, mass, low, high, at_low, at_high):
    """e and o: moments of N(c, sigma^2) cut to [-1, 1]."""
    first = at_low - at_high
    second = mass + low * at_low - high * at_high
    return mass * (1 + c**2) + 2 * c * sigma * first + sigma**2 * second, c * mass + sigma * first
