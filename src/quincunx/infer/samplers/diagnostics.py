"""Are the draws trustworthy? Split R-hat, effective sizes and the genealogy of a particle population (arXiv:1903.08008, arXiv:1509.00394)."""

import numpy as np
from jaxtyping import Float, Int
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtri
from scipy.stats import rankdata


def rhat(chains: Float[np.ndarray, "C n d"]) -> Float[np.ndarray, " d"]:
    """Rank-normalised split R-hat: the larger of the bulk's and the folded draws' (arXiv:1903.08008, section 4.1).

    R = sqrt((B/W + n - 1)/n) over half-chains of rank-normalised draws. 1 is converged, above 1.01 is not. NaN if a chain has fewer than four draws
    or a draw is not finite.

    >>> import numpy as np
    >>> still = np.random.default_rng(0).normal(size=(4, 500, 1))
    >>> bool(rhat(still)[0] < 1.01), bool(rhat(still + np.arange(4)[:, None, None])[0] > 1.5)
    (True, True)
    """
    chains = np.asarray(chains, np.float64)
    halves = split(chains)
    folded = np.abs(halves - np.median(halves, axis=(0, 1)))
    return np.where(
        _usable(chains),
        np.maximum(_scale_reduction(rank_normal(halves)), _scale_reduction(rank_normal(folded))),
        np.nan,
    )


def ess_bulk(chains: Float[np.ndarray, "C n d"]) -> Float[np.ndarray, " d"]:
    """Effective sample size of the rank-normalised split chains: how many independent draws would fix the centre as well.

    >>> import numpy as np
    >>> bool(3_000 < ess_bulk(np.random.default_rng(0).normal(size=(4, 1000, 1)))[0] < 5_000)
    True
    """
    chains = np.asarray(chains, np.float64)
    return np.where(_usable(chains), ess_mean(rank_normal(split(chains))), np.nan)


def ess_tail(chains: Float[np.ndarray, "C n d"]) -> Float[np.ndarray, " d"]:
    """The smaller of the effective sample sizes of the 5 % and the 95 % quantile."""
    chains = np.asarray(chains, np.float64)
    halves = split(chains)
    low, high = np.quantile(chains, [0.05, 0.95], axis=(0, 1))
    below, above = (halves <= low).astype(np.float64), (halves <= high).astype(np.float64)
    return np.where(_usable(chains), np.minimum(ess_mean(below), ess_mean(above)), np.nan)


def ess_mean(chains: Float[np.ndarray, "C n d"]) -> Float[np.ndarray, " d"]:
    """C n / tau with tau = -1 + 2 sum of Geyer's initial monotone positive sequence of combined autocorrelations (arXiv:1903.08008, equation 10 on).

    A column that never moves has effective size zero.
    """
    chains = np.asarray(chains, np.float64)
    C, n, d = chains.shape
    centred = chains - chains.mean(1, keepdims=True)
    width = next_fast_len(2 * n, real=True)
    spectrum = rfft(centred, width, axis=1)
    autocovariance = irfft(spectrum * np.conj(spectrum), width, axis=1)[:, :n].mean(0) / n
    within = autocovariance[0] * n / (n - 1)
    variance = autocovariance[0] + (chains.mean(1).var(0, ddof=1) if C > 1 else 0.0)
    moving = variance > 1e-300
    rho = 1.0 - (within - autocovariance) / np.where(moving, variance, 1.0)
    rho[0] = 1.0
    result = np.array([_ess_of_correlation(rho[:, j], C * n) for j in range(d)])
    return np.where(moving, result, 0.0)


def _ess_of_correlation(rho: Float[np.ndarray, " n"], total: int) -> float:
    n = len(rho)
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(1)
    stop = int(np.argmax(pairs <= 0)) if np.any(pairs <= 0) else len(pairs)
    monotone = np.minimum.accumulate(pairs[:stop])
    # The first even term beyond the positive sequence improves antithetic chains.
    beyond = rho[2 * stop] if 2 * stop < n and rho[2 * stop] > 0 else 0.0
    tau = max(-1.0 + 2.0 * monotone.sum() + beyond, 1.0 / np.log10(total))
    return total / tau


def ess_genealogy(value: Float[np.ndarray, "N e"], eve: Int[np.ndarray, " N"]) -> Float[np.ndarray, " e"]:
    """Effective size of a particle population from its genealogy: var(f) / V with V = sum over founders of (sum of centred f of its descendants)^2 / N^2.

    `eve` is the founder (initial particle) each particle descends from. This is the variance estimator of arXiv:1509.00394: descendants that have
    moved apart count singly, clones count once. Not above N.

    >>> import numpy as np
    >>> f = np.random.default_rng(0).normal(size=(100, 1))
    >>> bool(abs(ess_genealogy(np.repeat(f, 10, 0), np.repeat(np.arange(100), 10))[0] - 100) < 1e-6)
    True
    """
    value = np.asarray(value, np.float64)
    N = len(value)
    centred = value - value.mean(0)
    founders, line = np.unique(eve, return_inverse=True)
    sums = np.zeros((len(founders), value.shape[1]))
    np.add.at(sums, line, centred)
    variance = (sums**2).sum(0) / N**2
    spread = centred.var(0)
    return np.where(spread > 0, np.minimum(spread / np.maximum(variance, 1e-300), N), 0.0)


def family_rhat(
    rows: Float[np.ndarray, "N d"], eve: Int[np.ndarray, " N"], families: int = 4
) -> Float[np.ndarray, " d"]:
    """Split R-hat between the descendants of disjoint sets of founders, which are populations that met only in the shared tuning.

    NaN when a family has fewer than twenty members: then too few founders survive to tell.
    """
    members = [rows[eve % families == k] for k in range(families)]
    size = min(len(group) for group in members)
    if size < 20:
        return np.full(rows.shape[1], np.nan)
    stride = [np.linspace(0, len(group) - 1, size).astype(int) for group in members]
    return rhat(np.stack([group[pick] for group, pick in zip(members, stride, strict=True)]))


def rank_normal(chains: Float[np.ndarray, "C n d"]) -> Float[np.ndarray, "C n d"]:
    """Replace each value by the normal quantile of its rank over all chains, (r - 3/8)/(N + 1/4)."""
    flat = chains.reshape(-1, chains.shape[-1])
    rank = rankdata(flat, axis=0)
    return ndtri((rank - 0.375) / (len(flat) + 0.25)).reshape(chains.shape)


def split(chains: Float[np.ndarray, "C n d"]) -> Float[np.ndarray, "C2 m d"]:
    """Cut each chain in two halves; an odd middle draw is dropped."""
    half = chains.shape[1] // 2
    return np.concatenate([chains[:, :half], chains[:, chains.shape[1] - half :]], 0)


def _scale_reduction(chains: Float[np.ndarray, "C n d"]) -> Float[np.ndarray, " d"]:
    n = chains.shape[1]
    within = chains.var(1, ddof=1).mean(0)
    between = n * chains.mean(1).var(0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt((between / within + n - 1) / n)


def _usable(chains: Float[np.ndarray, "C n d"]) -> np.ndarray:
    return np.isfinite(chains).all((0, 1)) & (chains.shape[1] >= 4)
