"""The answer of a study: learned from what its run holds, kept in the lab book with what it was made from."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx import values
from quincunx._verb import make_callable
from quincunx.errors import UsageError
from quincunx.infer import Posterior, infer, method_named
from quincunx.infer.learning import no_part_training
from quincunx.lab.book import Book
from quincunx.lab.book.fingerprint import fingerprint
from quincunx.lab.drawn import keep_drawn
from quincunx.lab.report.provenance import fingerprint as hash_of
from quincunx.lab.study import Study
from quincunx.run import Simulations

__all__ = ["POSTERIOR", "answer", "answered"]

POSTERIOR = "posterior"
"""What kind of artefact a posterior is in the lab book."""

# Apart from the keys of rounds, which count from 0.
_ANSWER = 0x616E7377
_BEFORE = 0x62656672


def answer(
    book: Book,
    study: Study,
    *,
    key: PRNGKeyArray | None = None,
    pictures: bool = True,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> tuple[Posterior, str]:
    """The posterior of a study's experiment from all that its run holds, and its SHA-256 in the book.

    It is learned once: while simulations, observation and method are the same, the one that is kept is given back. Its parents in the book
    are the shards. By default the key follows from the run's. A method that wants simulations besides those from the prior, as SALLY does at its
    reference, makes them here, half as many as the run holds, with keys of their own. With `pictures` the book keeps what shows the answer, too:
    some thousand draws, and a few data simulated at them (see `keep_drawn`).

    Raises:
        UsageError: if the study has no experiment. UnknownRun: if the run holds no simulations.
        DataFileError, NameMismatch, ShapeMismatch, NonFiniteObservation: if the observation cannot be read.
        AllSimulationsFailed, TooFewSimulations: if there is nothing to learn from.
        Interrupted: if Ctrl-C ended the training, of which nothing is kept, or what comes after it.

    >>> import tempfile, numpyro.distributions as dist, quincunx as qx
    >>> from quincunx.learn import FitSettings
    >>> bell = qx.wrap(lambda theta, *, rng: rng.normal(theta["mu"], 1.0, 2), qx.Prior(mu=dist.Normal(0.0, 1.0)), name="bell")
    >>> study = Study(bell, [0.3, 0.1], method=qx.NPE(density="gaussian", settings=FitSettings(epochs=2)))
    >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
    >>> _ = qx.lab.carry_out(book, bell, 300, workers=0)
    >>> posterior, sha256 = answer(book, study)
    >>> answer(book, study)[1] == sha256
    True
    """
    x_o = study.observation()
    if x_o is None:
        raise UsageError(
            f"got a study of {study.simulator.name} without an experiment; expected an observation to be explained; write "
            "experiment= in the study, or give one: quincunx infer RUN --data FILE"
        )
    run = book.shards()
    facts = {
        "made from": hash_of([np.array([shard.sha256 for shard in run.shards]).astype("S64")]),
        "observation": hash_of([np.asarray(x_o[name]) for name in sorted(x_o)] if isinstance(x_o, dict) else [x_o]),
        "method": method_named(study.method).describe(),
        "simulations": len(run),
        "simulator": fingerprint(study.simulator),
    }
    sha256 = answered(book, **facts)
    if sha256 is not None:
        posterior = values.load(book.artefact_file(sha256))
    else:
        posterior = _learned(book, study, x_o, run.load(), key, progress)
        sha256 = book.artefact(posterior, POSTERIOR, parents=[shard.sha256 for shard in run.shards], facts=facts)
    if pictures:
        keep_drawn(book, study, posterior, sha256)
    return posterior, sha256


def _learned(
    book: Book,
    study: Study,
    x_o: Any,
    sims: Simulations,
    key: PRNGKeyArray | None,
    progress: Callable[[dict[str, Any]], None] | None,
) -> Posterior:
    method = method_named(study.method)
    # A part of a training, kept, would be taken for the answer ever after.
    with no_part_training():
        ready, _ = method.before(study.simulator, len(sims), key=jax.random.fold_in(book.key, _BEFORE))
        return infer(
            study.simulator,
            x_o,
            method=ready,
            sims=sims,
            key=jax.random.fold_in(book.key, _ANSWER) if key is None else key,
            progress=_noting(book, progress),
        )


def _noting(book: Book, progress: Callable[[dict[str, Any]], None] | None) -> Callable[[dict[str, Any]], None]:
    """Write every epoch's losses into the book as they come, for whoever looks on."""

    def tell(news: dict[str, Any]) -> None:
        if {"epoch", "train", "validation"} <= news.keys():
            book.measure(int(news["epoch"]), train=float(news["train"]), validation=float(news["validation"]))
        if progress is not None:
            progress(news)

    return tell


def answered(book: Book, **facts: Any) -> str | None:
    """The SHA-256 of the last posterior in the book of which all these facts are told, or None.

    >>> import tempfile, quincunx as qx
    >>> answered(qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)) is None
    True
    """
    fitting = [
        kept.sha256
        for kept in book.artefacts(POSTERIOR)
        if all(kept.facts.get(name) == value for name, value in facts.items())
    ]
    return fitting[-1] if fitting else None


# The function and its module share a name: whichever of them `quincunx.lab.answer` is, it can be called.
make_callable(__name__, answer)
