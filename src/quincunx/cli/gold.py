"""What --gold and --reference ask for."""

from collections.abc import Sequence
from typing import Any

from quincunx.cli.assignments import point
from quincunx.errors import UsageError

HELP_GOLD = "Mine gold too: the joint score of every row, or what the study's method needs."
HELP_REFERENCE = (
    "Mine joint ratios too, against the point NAME=VALUE[,NAME=VALUE...]; repeated, against the mixture of the points; "
    "'spread': against eight prior draws; 'each': against another prior draw for every row."
)
HELP_METHOD = (
    "npe, nle, nre, ratio, fmpe, npse, or auto; with gold alices, alice, rascal, rolr, cascal, carl, scandal, sally or sallino; "
    "by default the study's, else npe."
)

_SPREAD = "spread"
_EACH = "each"


def gold_asked(simulator: Any, *, gold: bool, references: Sequence[str], method: Any) -> Any:
    """What ``simulate`` is to mine: what the options say, else what ``method`` learns from.

    Raises:
        NoGold: for a simulator that tells nothing. NameMismatch, ShapeMismatch: for points of other parameters than the prior's.
        UsageError: for a reference that is not of the form NAME=VALUE, spread or each.

    >>> import quincunx as qx
    >>> problem = qx.gallery.load("gaussian_in_gaussian")
    >>> gold_asked(problem.simulator, gold=True, references=["theta=-0.7"], method=qx.NPE())
    Reference(theta=-0.7)
    """
    from quincunx.lab.mined import Mined
    from quincunx.run.order import gold_text

    mines = method.mines(simulator.prior)
    asked = _reference(references, simulator.prior) if references else mines if mines is not False else gold
    Mined(gold_text(asked)).check(simulator)
    return asked


def reference_point(text: str, prior: Any) -> dict[str, Any]:
    """One point of parameters from the shell.

    Raises:
        UsageError: for anything but NAME=VALUE with numbers, parted by commas. NameMismatch, ShapeMismatch: as ``gold_asked``.

    >>> import numpyro.distributions as dist, quincunx as qx
    >>> reference_point("a=1,b=[0, 2.5]", qx.Prior(a=dist.Normal(0.0, 1.0), b=dist.Normal(0.0, 1.0).expand([2]).to_event(1)))
    {'a': array(1.), 'b': array([0. , 2.5])}
    """
    import numpy as np

    example = ",".join(f"{name}=0.5" for name in prior.names)
    found = {name: np.asarray(value, float) for name, value in point(text, "--reference", example).items()}
    prior.check(found)
    return found


def _reference(texts: Sequence[str], prior: Any) -> Any:
    from quincunx.infer.gold_ratios import SPREAD
    from quincunx.model import Reference

    if {_SPREAD, _EACH} & set(texts):
        if len(set(texts)) > 1:
            raise UsageError(
                f"got the references {', '.join(texts)}; expected points, or one of spread and each alone; choose one"
            )
        return Reference.each() if texts[0] == _EACH else Reference.spread(prior, SPREAD, key=0)
    return Reference.mixture([reference_point(text, prior) for text in texts])
