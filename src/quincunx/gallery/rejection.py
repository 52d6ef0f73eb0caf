"""Rejection sampling with a bound on how long it may take."""

from collections.abc import Callable

import numpy as np

from quincunx.errors import NoTruth

_LIMIT = 50_000_000


def accepted_draws(
    propose: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]],
    n: int,
    *,
    rng: np.random.Generator,
    what: str,
) -> np.ndarray:
    """Exactly n accepted draws of `propose(rng, m)`, which returns m candidates and which of them are accepted.

    Raises:
        NoTruth: if 50 million candidates are not enough, so that an impossible observation ends in an error.

    >>> halves = lambda rng, m: ((u := rng.random(m)), u < 0.5)
    >>> bool((accepted_draws(halves, 10, rng=np.random.default_rng(0), what="halves") < 0.5).all())
    True
    """
    kept: list[np.ndarray] = []
    found = tried = 0
    m = max(2 * n, 1000)
    while found < n:
        if tried >= _LIMIT:
            raise NoTruth(
                f"got {found} of {n} exact draws of the {what} from {tried} candidates; expected more; "
                "the observation is (nearly) impossible under the model: check it against simulations"
            )
        candidates, accepted = propose(rng, m)
        kept.append(candidates[accepted])
        tried += m
        found += int(accepted.sum())
        m = min(int(1.2 * (n - found) * tried / max(found, 1)) + 1000, 1_000_000)
    return np.concatenate(kept)[:n]
