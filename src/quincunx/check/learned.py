"""What a learned ratio says of simulations: log r^ and its gradient in theta, in the places where gold has its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from quincunx.check.mined import Mined
from quincunx.errors import InvalidSimulations
from quincunx.infer.ratio_to import RatioTo
from quincunx.model import Outcome, Prior

__all__ = ["Learned"]

STEP = 0.1
"""The step of the gradient's finite difference in units of 1 / sd(gradient): its error is of fourth order in it."""

_SHARE = 0.05
_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class Learned:
    """A learned ratio at one theta, asked about outcomes given as columns.

    >>> import numpyro.distributions as dist
    >>> prior = Prior(mu=dist.Normal(0.0, 1.0))
    >>> ratio = RatioTo.of(lambda theta, x: theta["mu"] * x[:, 0] - theta["mu"] ** 2 / 2, prior, {"mu": 0.0})
    >>> learned = Learned(ratio, np.array([0.5]), Outcome.of(np.zeros(1)), None)
    >>> told = learned.told(np.array([[0.0], [2.0]]), gradient=True)
    >>> told.log_ratio.tolist(), told.score.round(3).tolist()
    ([-0.125, 0.875], [[-0.5], [1.5]])
    """

    ratio: RatioTo
    theta: Float[np.ndarray, " dim"]
    outcome: Outcome
    design: Mapping[str, Any] | None

    def told(self, x: Float[np.ndarray, "n F"], *, gradient: bool = False) -> Mined:
        """log r^(x | theta), with 0 as the reference's part, and grad_theta log r^ where asked for (else zero).

        Raises:
            InvalidSimulations: if log r^ or its gradient is NaN or infinite.
        """
        log_ratio = self._numerator(self.theta, x) - self.ratio.denominator(self._outcomes(x), design=self.design)
        _refuse("log r^", log_ratio)
        slope = self._gradient(x) if gradient else np.zeros((len(x), len(self.theta)))
        _refuse("grad log r^", slope)
        return Mined(x, log_ratio, np.zeros(len(x)), slope)

    def _gradient(self, x: Float[np.ndarray, "n F"]) -> Float[np.ndarray, "n dim"]:
        lengths = _within(self.ratio.prior, self.theta)
        found = self._difference(x, lengths)
        finer = np.minimum(lengths, STEP / np.maximum(found.std(axis=0), 1e-300))
        return found if np.array_equal(finer, lengths) else self._difference(x, finer)

    def _difference(
        self, x: Float[np.ndarray, "n F"], lengths: Float[np.ndarray, " dim"]
    ) -> Float[np.ndarray, "n dim"]:
        found = []
        for axis, length in zip(np.eye(len(lengths)), lengths, strict=True):
            # The step that single precision takes is the one to divide by.
            ends = [(self.theta + by * length * axis).astype(np.float32).astype(float) for by in (1, -1, 2, -2)]
            up, down, far_up, far_down = (self._numerator(end, x) for end in ends)
            near = (up - down) / np.sum(np.abs(ends[0] - ends[1]))
            far = (far_up - far_down) / np.sum(np.abs(ends[2] - ends[3]))
            found.append((4 * near - far) / 3)
        return np.stack(found, axis=1)

    def _numerator(self, theta: Float[np.ndarray, " dim"], x: Float[np.ndarray, "n F"]) -> Float[np.ndarray, " n"]:
        return self.ratio.numerator(np.tile(theta, (len(x), 1)), self._outcomes(x), design=self.design)

    def _outcomes(self, x: Float[np.ndarray, "n F"]) -> Any:
        return self.outcome.unflatten(x.astype(np.float32))


def _within(prior: Prior, theta: Float[np.ndarray, " dim"]) -> Float[np.ndarray, " dim"]:
    """A twentieth of the prior's spread in each parameter, halved until the farther step stays in its support."""
    starts = _SHARE * np.maximum(np.asarray(prior.sample_flat(4096, key=0), float).std(axis=0), 1e-300)
    found = []
    for i, axis in enumerate(np.eye(len(theta))):
        lengths = starts[i] * 0.5 ** np.arange(_HALVINGS)
        inside = [
            np.isfinite(np.asarray(prior.log_prob_flat(theta + 2 * lengths[:, None] * s * axis))) for s in (1, -1)
        ]
        found.append(lengths[int(np.argmax(inside[0] & inside[1]))])
    return np.array(found)


def _refuse(said: str, values: np.ndarray) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        raise InvalidSimulations(
            f"{said} is NaN or infinite for {int(bad.reshape(len(values), -1).any(axis=1).sum())} of {len(values)} finite outcomes; expected "
            "finite numbers; look at the ratio there, or at parameters on the edge of the prior"
        )
