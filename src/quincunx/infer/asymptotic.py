"""Confidence sets from the large-sample law of the likelihood ratio."""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2

from quincunx.errors import AsymptoticWarning, UsageError
from quincunx.infer.confidence import LEVELS, ConfidenceSet
from quincunx.infer.scanned import Scan

FEWEST = 5.0
"""Below so many events the law of large samples is not to be relied on."""


def asymptotic_set(scan: Scan, *, levels: Sequence[float] = LEVELS) -> ConfidenceSet:
    """{theta : q(theta) <= F^-1(level)}, F the chi-squared law with as many degrees of freedom as parameters were scanned (Wilks).

    The scan may be a `scan` or a `profile`: parameters that are maximised over cost no degree of freedom. p-values are 1 - F(q).

    Raises:
        UsageError: for a list of points, more than two parameters, or levels outside (0, 1).

    Warns with `AsymptoticWarning` with fewer than five events, or a maximum on a bound of the prior: use `neyman_set` then.

    >>> import numpyro.distributions as dist
    >>> from quincunx.infer.likelihood import Likelihood
    >>> from quincunx.infer.scanning import scan
    >>> from quincunx.model import Prior
    >>> bell = Likelihood.of(lambda theta, x: -0.1 * (x - theta["mu"]) ** 2, Prior(mu=dist.Uniform(-5.0, 5.0)))
    >>> asymptotic_set(scan(bell, np.arange(20.0) % 2 + 1, grid={"mu": np.linspace(-1.0, 4.0, 9)}))
    ConfidenceSet(asymptotic, 20 events, best at mu = 1.5)
      68.27 %  mu in [1, 2]
      95 %     mu in [0.52, 2.48]
    """
    if scan.listed or len(scan.axes) > 2:
        raise UsageError(
            "got a scan at listed points or of more than two parameters; expected a grid of one or two; use profile(over=...)"
        )
    wanted = checked_levels(levels)
    notes = []
    if scan.n < FEWEST:
        notes.append(f"{scan.n:g} events are too few for the law of large samples: use neyman_set")
    edge = [name for name in scan.best.at_bound if name.split("[")[0] in (*scan.names, *scan.profiled)]
    if edge:
        notes.append(
            f"the maximum lies on a bound of the prior in {', '.join(edge)}, where q does not follow the chi-squared law: use neyman_set"
        )
    for note in notes:
        warnings.warn(note, AsymptoticWarning, stacklevel=2)
    if not scan.best.converged:
        notes.append("the search for the maximum did not converge: q is relative to the highest grid point")
    d = len(scan.axes)
    critical = np.broadcast_to(chi2.ppf(wanted, d).reshape(-1, *[1] * scan.q.ndim), (len(wanted), *scan.q.shape))
    return ConfidenceSet(
        "asymptotic",
        scan.axes,
        scan.q,
        wanted,
        np.array(critical),
        np.zeros(critical.shape),
        chi2.sf(scan.q, d),
        scan.centre,
        scan.n,
        tuple(notes),
        scan.units,
    )


def checked_levels(levels: Sequence[float]) -> np.ndarray:
    """The levels, increasing.

    Raises:
        UsageError: if there is none, or one is outside (0, 1).

    >>> checked_levels((0.95, 0.68))
    array([0.68, 0.95])
    """
    wanted = np.sort(np.asarray(levels, np.float64).reshape(-1))
    if not wanted.size or np.any((wanted <= 0) | (wanted >= 1)):
        raise UsageError(
            f"got levels {list(levels)}; expected probabilities between 0 and 1; pass for example levels=(0.68, 0.95)"
        )
    return wanted
