"""Lower bounds on information from any critic, for simulators whose density is learned: InfoNCE and NWJ."""

import dataclasses

import numpy as np

from quincunx.design.experiment import Question, Slots
from quincunx.design.found import Found
from quincunx.design.nested import nested, row_sums

__all__ = ["contrastive", "nwj"]


def contrastive(question: Question, slots: Slots, *, inner: int) -> Found:
    """InfoNCE: mean_i [ f(theta_i, x_i) - log 1/(L+1) sum_k f(theta_k, x_i) ], k over the row's own draw and L others (1807.03748).

    A lower bound for any critic f, here a learned log-likelihood or log-ratio on pairs that are simulated afresh; its ceiling is log(L + 1). A critic
    gives no upper bound.
    """
    found = nested(question, slots, inner=inner, tolerance=float("inf"))
    assert found.lower is not None
    ceiling = float(np.log(found.n_inner + 1))
    said = () if np.nanmean(found.lower) < ceiling - 1.5 else (
        f"the bound is near its ceiling log({found.n_inner + 1}) = {ceiling:.3g} nats: the information may be much larger",
    )  # fmt: skip
    return dataclasses.replace(found, estimator="contrastive", upper=None, value=None, warnings=said)


def nwj(question: Question, slots: Slots, *, inner: int) -> Found:
    """NWJ: E_joint[f] - e^-1 E_product[e^f], a lower bound without a ceiling, and of high variance (0809.0853).

    The critic is f = 1 + log q(x | theta) - log 1/L sum_j q(x | theta_j), normalised with draws of its own, best where q is right.
    """
    (first, second), ok = row_sums(question, slots, inner=inner, chunks=2)
    with np.errstate(over="ignore", invalid="ignore"):
        rows = 1.0 - first.first - np.exp(second.first - first.first)
    return Found(
        "nwj", np.where(ok, rows, np.nan), None, n_inner=first.count, ess=first.ess(ok), pool=len(question.inner)
    )
