"""What a chain carries from step to step."""

from typing import NamedTuple

from jaxtyping import Array, Float


class TrajectoryPoints(NamedTuple):
    """Positions with the log-density and its gradient there (the fields of BlackJAX's `HMCState`)."""

    position: Float[Array, "C d"]
    logdensity: Float[Array, " C"]
    logdensity_grad: Float[Array, "C d"]


class SlicePoints(NamedTuple):
    """Positions with the log-density there."""

    position: Float[Array, "C d"]
    logdensity: Float[Array, " C"]
