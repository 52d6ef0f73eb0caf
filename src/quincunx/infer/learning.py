"""From rows to a surrogate: one call of the training loop, with what small data need."""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray, PyTree

from quincunx.errors import Interrupted, QuincunxWarning
from quincunx.learn import FitSettings, Scale, Surrogate, build, fit
from quincunx.learn.build import Spec
from quincunx.learn.fit import Progress

_HELD_OUT = 20
_CUT_SHORT = "training was interrupted"


@contextlib.contextmanager
def no_part_training() -> Iterator[None]:
    """In here a training that Ctrl-C ends is an error: where its networks would be taken for what a whole training gives.

    Raises:
        Interrupted: as soon as such a training has ended.

    >>> with no_part_training():
    ...     warnings.warn("a warning of another kind", QuincunxWarning)
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", _CUT_SHORT, QuincunxWarning)
        try:
            yield
        except QuincunxWarning as warning:
            if not str(warning).startswith(_CUT_SHORT):
                raise
            raise Interrupted("training was stopped before it was done; nothing is kept of it") from None


def learn(
    functional: eqx.Module,
    name: str,
    spec: Spec,
    data: dict[str, PyTree],
    *,
    scales: dict[str, Scale],
    members: int,
    settings: FitSettings | None,
    key: PRNGKeyArray,
    progress: Progress | None,
    block: int = 1,
) -> Surrogate:
    """Minimise a functional over the networks of a specification and keep what is needed to use them.

    Rows in blocks of `block` are held out together (see `fit`).

    With few rows more of them are held out, so that the choice of the best epoch is not a coin toss. Ctrl-C ends the
    training, not the call: the best parameters so far come back, with a warning.
    """
    n = len(jax.tree.leaves(data)[0])
    settings = settings or FitSettings()
    if settings.validation * n < _HELD_OUT:
        share = min(0.3, max(settings.validation, _HELD_OUT / n))
        settings = dataclasses.replace(settings, validation=share)
    result = fit(
        functional,
        lambda k: build(spec, key=k),
        data,
        key=key,
        settings=settings,
        members=members,
        progress=progress,
        block=block,
    )
    if result.stopped == "interrupted":
        warnings.warn(
            f"{_CUT_SHORT} after {result.epochs} epochs; the best parameters so far are used; fit again for longer",
            QuincunxWarning,
            stacklevel=3,
        )
    return Surrogate.of(result, spec, name, scales)
