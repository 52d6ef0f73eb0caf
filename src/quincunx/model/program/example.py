"""A program small enough for examples: a drifting walk of three steps, seen through noise."""

import numpyro
import numpyro.distributions as dist
from numpyro.contrib.control_flow import scan

from quincunx.model.prior import Prior
from quincunx.model.program.decorator import program

__all__ = ["walk"]


@program(Prior(drift=dist.Normal(0.0, 1.0)), observed="x", observables=["end"])
def walk(theta):
    """z_t ~ N(drift, 1) for three steps, x ~ N(sum z, 1): x | drift ~ N(3 drift, 4)."""

    def step(position, _):
        position = position + numpyro.sample("z", dist.Normal(theta["drift"], 1.0))
        return position, None

    end, _ = scan(step, 0.0, None, length=3)
    return numpyro.sample("x", dist.Normal(end, 1.0))
