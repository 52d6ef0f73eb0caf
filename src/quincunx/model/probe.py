"""The look at a simulator before it is run: what it returns, and the mistakes that would spoil what is learned."""

import time
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.errors import (
    AllSimulationsFailed,
    BatchAxisError,
    ConstantColumnWarning,
    PromotionWarning,
    QuincunxError,
    QuincunxWarning,
    SimulationFailed,
    SimulatorError,
    SomeFailed,
)
from quincunx.model.caller import rng_from_key
from quincunx.model.outcome import Outcome, flatten_outcome
from quincunx.model.prior import Prior
from quincunx.model.simulator import Question, Simulator
from quincunx.values import as_key

__all__ = ["Look", "check_values", "look", "probe", "said_by"]

_MISTAKES = (NameError, AttributeError, TypeError, ImportError, SyntaxError)
"""Exceptions that mean a mistake in the program rather than parameters at which a simulation fails."""

_TRIES = 100
_PATIENCE_SECONDS = 10.0
_TWO_BATCHES = (5, 7)


@dataclass(frozen=True)
class Look:
    """What one look tells: the outcome, the traced program of one simulation (in JAX only), and notes to pass on."""

    outcome: Outcome
    program: Any = field(default=None, compare=False)
    notes: tuple[str, ...] = ()


def probe(
    simulator: Simulator,
    *,
    key: int | np.integer | PRNGKeyArray,
    design: Mapping[str, Any] | Prior | None = None,
) -> Outcome:
    """Try a simulator on a few draws from its prior and say what it returns.

    Raises:
        NameMismatch: if it asks for parameters its prior does not have.
        SimulatorError: if it cannot be called, or returns something that is not an array or a dict of arrays.
        ShapeMismatch: if outcomes are not real numbers of one shape.
        BatchAxisError: if a batched function gives a wrong number of outcomes, or mixes simulations with one another.
        AllSimulationsFailed: if no trial gives a finite outcome.

    Warns with `PromotionWarning` when single numbers or integers are converted, with `ConstantColumnWarning` for
    numbers that never change.

    >>> import numpyro.distributions as dist
    >>> from quincunx.model import wrap
    >>> prior = Prior(mu=dist.Normal(0.0, 1.0))
    >>> probe(wrap(lambda theta, *, key: theta["mu"] + jax.random.normal(key, (2,)), prior), key=0)
    Outcome(x: (2,))
    """
    key = as_key(key)
    settings = one_design(design, key)
    seen = look(simulator, key=key, design=settings)
    n = 32 if simulator.kind == "jax" else 3
    theta = simulator.prior.sample(n, key=jax.random.fold_in(key, 1))
    keys = jax.random.split(jax.random.fold_in(key, 2), n)
    if simulator.kind == "jax":
        x = simulator.batch(theta, keys=keys, design=_rows(settings, n))
        check_values(np.asarray(flatten_outcome(x, 1)), seen.outcome, simulator.name)
    return seen.outcome


def look(simulator: Simulator, *, key: PRNGKeyArray, design: Mapping[str, Any] | None) -> Look:
    """The static part of `probe`: trace a JAX function, or call a plain one as often as it takes to get one outcome.

    `design` is that of one simulation. Errors and warnings as `probe`, except those about values.
    """
    simulator.caller.check_design(design)
    seen = _trace(Question(simulator, design)) if simulator.kind == "jax" else _try(simulator, key, design)
    for note in seen.notes:
        warnings.warn(note, PromotionWarning, stacklevel=3)
    if simulator.batched:
        _check_batch_axis(simulator, key, design)
    return seen


def one_design(design: Mapping[str, Any] | Prior | None, key: PRNGKeyArray) -> dict[str, Any] | None:
    """The settings of one simulation, drawn where they are given as a prior."""
    if isinstance(design, Prior):
        return design.sample(key=jax.random.fold_in(key, 3))
    return None if design is None else dict(design)


def check_values(x: Float[np.ndarray, "n dim"], outcome: Outcome, name: str) -> None:
    """Look at flat outcomes: refuse if not one is finite, warn of columns that never change.

    Raises:
        AllSimulationsFailed: naming the columns that are never finite.
    """
    finite = np.isfinite(x)
    rows = finite.all(axis=1)
    if len(x) and not rows.any():
        never = [outcome.columns[i] for i in np.flatnonzero(~finite.any(axis=0))[:5]]
        where = f"{never} never finite" if never else "no column never finite, but no row finite in every column"
        raise AllSimulationsFailed(
            f"simulator '{name}' gave NaN or infinity in all of {len(x)} simulations ({where}); expected finite "
            "outcomes; "
            "call it once at a known parameter and look for log or division of zero, or a wrong prior"
        )
    # A thousand rows settle nearly every column; only those still constant are looked at in full.
    few = x[:1000][rows[:1000]]
    if rows.sum() < 2:
        return
    suspects = np.flatnonzero((few == few[:1]).all(axis=0)) if len(few) else np.arange(x.shape[1])
    constant = [i for i in suspects if np.ptp(x[rows, i]) == 0]
    if constant:
        shown = ", ".join(f"{outcome.columns[i]} = {x[rows, i][0]:g}" for i in constant[:5])
        more = f" and {len(constant) - 5} more" if len(constant) > 5 else ""
        warnings.warn(
            f"simulator '{name}' gave the same value in all of {int(rows.sum())} simulations for {shown}{more}; "
            "expected "
            "outcomes that vary; these carry no information: leave them out, or check that parameters and "
            "randomness reach them",
            ConstantColumnWarning,
            stacklevel=3,
        )


def said_by(error: BaseException) -> str:
    """One line about an exception: its type, what it says, and the line of the user's code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename.rsplit('/', 1)[-1]}, line {frames[-1].lineno})" if frames else ""
    text = (str(error).splitlines() or [""])[0][:300]
    return f"{type(error).__name__}: {text}{where}"


@lru_cache(maxsize=128)
def _trace(question: Question) -> Look:
    simulator, design = question.simulator, question.design
    theta = jax.eval_shape(lambda key: simulator.prior.sample(key=key), jax.random.key(0))
    notes: list[str] = []

    def one(theta: Any, key: Any, design: Any) -> Any:
        return simulator.caller.run_one(theta, key, design)

    def several(theta: Any, keys: Any, design: Any) -> Any:
        return simulator.caller.run_batch(theta, keys, design)

    try:
        raw_notes = _raw_notes(simulator, theta, design)
        notes += raw_notes
        if not simulator.batched:
            program, x = jax.make_jaxpr(one, return_shape=True)(theta, jax.random.key(0), design)
            return Look(simulator.describe(x), program, tuple(notes))
        shapes = {}
        for n in _TWO_BATCHES:
            stacked = {name: jax.ShapeDtypeStruct((n, *s.shape), s.dtype) for name, s in theta.items()}
            keys = jax.random.split(jax.random.key(0), n)
            program, x = jax.make_jaxpr(several, return_shape=True)(stacked, keys, _rows(design, n))
            shapes[n] = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), x)
    except QuincunxError:
        raise
    except Exception as error:
        raise _refusal(simulator, error) from error
    first, second = (shapes[n] for n in _TWO_BATCHES)
    if jax.tree.map(lambda a: a.shape, first) != jax.tree.map(lambda a: a.shape, second):
        raise BatchAxisError(
            f"simulator '{simulator.name}' returned outcomes of shapes {jax.tree.map(lambda a: a.shape, first)} "
            "in a batch of "
            f"{_TWO_BATCHES[0]} and {jax.tree.map(lambda a: a.shape, second)} in a batch of {_TWO_BATCHES[1]}; "
            "expected one "
            "shape; only the first axis may be the batch"
        )
    return Look(simulator.describe(second), program, tuple(notes))


def _raw_notes(simulator: Simulator, theta: Any, design: Any) -> list[str]:
    """What will be converted, said once at the door."""
    keys = jax.random.key(0)
    if simulator.batched:
        n = _TWO_BATCHES[0]
        theta = {name: jax.ShapeDtypeStruct((n, *s.shape), s.dtype) for name, s in theta.items()}
        keys, design = jax.random.split(keys, n), _rows(design, n)

    seen: list[Any] = []

    def call(theta: Any, keys: Any, design: Any) -> int:
        seen.append(simulator.caller.call(theta, keys, design))
        return 0

    jax.eval_shape(call, theta, keys, design)
    return _notes(simulator, seen[0])


def _notes(simulator: Simulator, raw: Any) -> list[str]:
    notes = []
    told = simulator.caller.told
    raw = raw if told is None else told.rest(raw, simulator.name)
    entries = raw.items() if isinstance(raw, Mapping) else [("outcome", raw)]
    for name, value in entries:
        shape, dtype = np.shape(value), getattr(value, "dtype", None)
        if len(shape) == int(simulator.batched):
            notes.append(
                f"simulator '{simulator.name}' returns a single number as {name}; it is kept as an array of "
                "shape (1,); "
                "return shape (1,) to say so yourself"
            )
        if dtype is not None and (jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.bool_)):
            notes.append(
                f"simulator '{simulator.name}' returns {name} as {dtype}; it is kept as float32, exact up to "
                "16,777,216; "
                "return floats to say so yourself"
            )
    return notes


def _try(simulator: Simulator, key: PRNGKeyArray, design: Mapping[str, Any] | None) -> Look:
    started, said = time.monotonic(), []
    for attempt in range(_TRIES):
        inner = jax.random.fold_in(key, attempt)
        theta = {name: np.asarray(value) for name, value in simulator.prior.sample(key=inner).items()}
        rows = {name: value[None] for name, value in theta.items()} if simulator.batched else theta
        settings = _rows(design, 1) if simulator.batched else design

        def call(rows: Any = rows, settings: Any = settings, inner: Any = inner) -> Any:
            rng = rng_from_key(inner)
            return simulator.caller.call(rows, [rng] if simulator.batched else rng, settings)

        tick = time.monotonic()
        try:
            raw = call()
        except (SimulationFailed, SomeFailed) as error:
            said.append(str(error))
            if _out_of_patience(started, attempt):
                break
            continue
        except QuincunxError:
            raise
        except _MISTAKES as error:
            raise _refusal(simulator, error) from error
        except (Exception, SystemExit) as error:
            said.append(said_by(error))
            if _out_of_patience(started, attempt):
                break
            continue
        cost = time.monotonic() - tick
        x = simulator.caller.tidy(raw, 1 if simulator.batched else None)
        one = jax.tree.map(lambda a: a[0], x) if simulator.batched else x
        if (told := simulator.caller.told) is not None:
            told.read(raw, 1 if simulator.batched else None, told.shapes(simulator.prior), simulator.name)
        if cost < 1.0:
            _check_repeats(simulator, x, call)
        return Look(simulator.describe(one), None, tuple(_notes(simulator, raw)))
    raise AllSimulationsFailed(
        f"simulator '{simulator.name}' failed in all of {len(said)} trials "
        f"({'; '.join(dict.fromkeys(said[:3]))}); expected "
        "at least one outcome; call it once at a known parameter, and check the prior's range"
    )


def _out_of_patience(started: float, attempt: int) -> bool:
    return time.monotonic() - started > _PATIENCE_SECONDS and attempt >= 4


def _check_repeats(simulator: Simulator, x: Any, call: Any) -> None:
    try:
        again = simulator.caller.tidy(call(), 1 if simulator.batched else None)
    except (Exception, SystemExit):
        return
    same = jax.tree.leaves(
        jax.tree.map(lambda a, b: a.shape == b.shape and np.array_equal(a, b, equal_nan=True), x, again)
    )
    if not all(same):
        warnings.warn(
            f"simulator '{simulator.name}' gave another outcome for the same parameters and the same random "
            "numbers; expected "
            "the same; draw every random number from `rng`, never from numpy.random or random, or runs cannot "
            "be repeated",
            QuincunxWarning,
            stacklevel=4,
        )


def _refusal(simulator: Simulator, error: BaseException) -> SimulatorError:
    shapes = ", ".join(f"{name} {shape}" for name, shape in simulator.prior.shapes.items())
    return SimulatorError(
        f"simulator '{simulator.name}' raised {said_by(error)} when called with parameters of shapes {shapes}; "
        "expected an "
        "outcome; call it once by hand with these shapes and mend the line named"
    )


def _check_batch_axis(simulator: Simulator, key: PRNGKeyArray, design: Mapping[str, Any] | None) -> None:
    """Run seven simulations together, backwards, and the first five alone: each must come out the same."""
    few, n = _TWO_BATCHES
    theta = simulator.prior.sample(n, key=jax.random.fold_in(key, 4))
    keys = jax.random.split(jax.random.fold_in(key, 5), n)

    def run(rows: np.ndarray) -> np.ndarray:
        some = {name: value[rows] for name, value in theta.items()}
        return np.asarray(flatten_outcome(simulator.batch(some, keys=keys[rows], design=_rows(design, len(rows))), 1))

    forward, everything = np.arange(n), None
    try:
        everything = run(forward)
        backwards, alone = run(forward[::-1])[::-1], run(forward[:few])
    except (SimulationFailed, SomeFailed):
        return
    except QuincunxError:
        raise
    except Exception as error:
        if simulator.kind == "host" and not isinstance(error, _MISTAKES):
            # One row that fails fails the batch; the engine takes such a batch apart.
            return
        raise _refusal(simulator, error) from error
    if everything.shape[1:] != alone.shape[1:]:
        raise BatchAxisError(
            f"simulator '{simulator.name}' returned outcomes of {everything.shape[1]} numbers in a batch of {n} and "
            f"{alone.shape[1]} in a batch of {few}; expected the same; only the first axis may be the batch"
        )
    for other, what in ((backwards, "the order of the batch is reversed"), (alone, f"only the first {few} are run")):
        both = everything[: len(other)]
        scale = np.nanmax(np.abs(everything), axis=0, initial=0.0, where=np.isfinite(everything))
        close = np.isclose(both, other, rtol=1e-3, atol=1e-4 * scale + 1e-12, equal_nan=True)
        changed = np.flatnonzero(~close.all(axis=1))
        # One row may flip a comparison by rounding; a mix-up changes nearly all.
        if len(changed) > 1:
            raise BatchAxisError(
                f"simulator '{simulator.name}' changes {len(changed)} of {len(other)} outcomes when {what}; "
                "expected outcome i "
                "to depend on parameters i and random key i alone; look for a reshape or sum over the first "
                "axis, or for "
                "randomness shared by the batch"
            )


def _rows(design: Mapping[str, Any] | None, n: int) -> dict[str, np.ndarray] | None:
    """The settings of one simulation repeated n times, whatever their own length."""
    if design is None:
        return None
    arrays = {name: np.asarray(value) for name, value in design.items()}
    return {name: np.broadcast_to(array, (n, *array.shape)) for name, array in arrays.items()}
