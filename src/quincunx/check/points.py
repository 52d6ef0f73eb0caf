"""Parameter points at which something is checked, flat and inside the prior's support."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.errors import OutsideReference, ShapeMismatch, UsageError
from quincunx.model import Prior, Reference
from quincunx.values import as_key

__all__ = ["one_point", "quantile_point", "reference_points"]


def quantile_point(prior: Prior, share: float, key: int | PRNGKeyArray) -> Float[np.ndarray, " dim"]:
    """A quantile of prior draws, coordinate by coordinate in unconstrained space, so that the point is in the support.

    >>> import numpyro.distributions as dist
    >>> bool(abs(quantile_point(Prior(a=dist.Uniform(0.0, 2.0)), 0.5, 0)[0] - 1.0) < 0.1)
    True
    """
    free = np.asarray(prior.to_unconstrained(prior.sample_flat(4096, key=as_key(key))), float)
    return np.asarray(prior.to_constrained(np.quantile(free, share, axis=0)), np.float32).astype(float)


def one_point(prior: Prior, theta: Mapping[str, Any]) -> Float[np.ndarray, " dim"]:
    """One parameter point inside the prior's support, flat.

    Raises:
        NameMismatch, ShapeMismatch: if it is no single point of this prior.
        OutsideReference: if it is outside the support.

    >>> import numpyro.distributions as dist
    >>> one_point(Prior(a=dist.Uniform(0.0, 2.0)), {"a": 1.5})
    array([1.5])
    """
    if prior.check(theta):
        raise ShapeMismatch("got several parameter points as theta; expected one; check them one by one")
    flat = np.asarray(prior.flatten(theta), float)
    if not np.isfinite(prior.log_prob(theta)):
        raise OutsideReference(f"got theta = {dict(theta)}, outside the prior's support; expected a point inside")
    return flat


def reference_points(prior: Prior, reference: Reference | Mapping[str, Any]) -> Float[np.ndarray, "K dim"]:
    """The fixed points of a reference, flat.

    Raises:
        UsageError: if every row draws its own.
        NameMismatch, ShapeMismatch: if they are no points of this prior.

    >>> import numpyro.distributions as dist
    >>> reference_points(Prior(a=dist.Uniform(0.0, 2.0)), {"a": 1.5})
    array([[1.5]])
    """
    if not isinstance(reference, Reference):
        reference = Reference.at(reference)
    if reference.drawn:
        raise UsageError(
            "got a reference that every row draws for itself; expected one or several fixed points; use Reference.at or "
            "Reference.mixture"
        )
    return np.asarray(reference.flat(prior), float)
