"""The one training loop: minimise a functional over a network, members of an ensemble side by side."""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from quincunx.learn.compiler import quick_jit
from quincunx.learn.flat import Layout, layout_of, unflatten
from quincunx.learn.interrupt import interruption
from quincunx.notebook import from_fields
from quincunx.values import register


class FitSettings(eqx.Module):
    """How a network is trained; every field has a default that suits ten thousand simulations.

    `epochs` None gives 60, or as many as make `min_steps` steps. The rate warms up over `warmup` of the steps to
    `learning_rate` and falls to zero along a cosine. `weight_decay` acts on matrices, not on biases. `patience` ends the
    run when no member's validation loss has improved for so many epochs. With `ema` above 0 the parameters validated and returned are an
    exponential moving average (for losses that are noisy by construction).
    """

    epochs: int | None = None
    min_steps: int = 2000
    batch_size: int | None = None
    learning_rate: float = 2e-3
    warmup: float = 0.05
    weight_decay: float = 1e-2
    clip: float = 5.0
    validation: float = 0.1
    patience: int = 20
    ema: float = 0.0

    def resolved(self, n: int) -> "FitSettings":
        """The same with batch size and epochs filled in for n rows."""
        n_train = n - self.validation_rows(n)
        batch = self.batch_size or (200 if n <= 20_000 else 512 if n <= 200_000 else 2048)
        batch = max(1, min(batch, n_train))
        steps = max(1, n_train // batch)
        epochs = self.epochs or max(min(60, max(4, 60 * 20_000 // n)), -(-self.min_steps // steps))
        return eqx.tree_at(lambda s: (s.epochs, s.batch_size), self, (epochs, batch), is_leaf=lambda leaf: leaf is None)

    def validation_rows(self, n: int) -> int:
        """How many of n rows are held out."""
        return max(1, min(int(round(self.validation * n)), 20_000))

    _repr_html_ = from_fields


@register("fit-state")
class FitState(eqx.Module):
    """Everything that training needs to go on: where each member is, its best so far, the losses, and the epoch.

    Saves to a file; a run resumed from it ends on the same bits as one that never stopped.
    """

    parameters: Float[Array, "*m p"]
    average: Float[Array, "*m p"]
    optimiser: tuple[Array, ...]
    best: Float[Array, "*m p"]
    best_loss: Float[Array, "*m"]
    best_epoch: Int[Array, "*m"]
    train: Float[Array, "*m epochs"]
    validation: Float[Array, "*m epochs"]
    epoch: Int[Array, "*m"]

    def to_state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """What a file holds of it."""
        arrays = {name: np.asarray(getattr(self, name)) for name in _STATE_ARRAYS}
        arrays |= {f"optimiser/{i}": np.asarray(leaf) for i, leaf in enumerate(self.optimiser)}
        return {"optimiser": len(self.optimiser)}, arrays

    @classmethod
    def from_state(cls, spec: dict, arrays: dict[str, np.ndarray]) -> "FitState":
        """The inverse of `to_state`."""
        leaves = tuple(jnp.asarray(arrays[f"optimiser/{i}"]) for i in range(spec["optimiser"]))
        return cls(optimiser=leaves, **{name: jnp.asarray(arrays[name]) for name in _STATE_ARRAYS})

    _repr_html_ = from_fields


_STATE_ARRAYS = ("parameters", "average", "best", "best_loss", "best_epoch", "train", "validation", "epoch")


class Fit(eqx.Module):
    """A trained ensemble: the network's arrays with a leading member axis, and how it got there."""

    model: PyTree
    history: dict[str, np.ndarray]
    best_epoch: np.ndarray
    best_loss: np.ndarray
    stopped: str = eqx.field(static=True)
    cpu_seconds: float = eqx.field(static=True)
    state: FitState

    @property
    def members(self) -> int:
        """How many networks were trained side by side."""
        return len(self.best_epoch)

    @property
    def epochs(self) -> int:
        """How many epochs were run."""
        return len(self.history["train"])

    _repr_html_ = from_fields


Progress = Callable[[dict[str, Any]], None]


def fit(
    functional: Callable[..., Float[Array, ""]],
    build: Callable[[PRNGKeyArray], eqx.Module],
    data: dict[str, PyTree],
    *,
    key: PRNGKeyArray,
    settings: FitSettings | None = None,
    members: int = 1,
    progress: Progress | None = None,
    state: FitState | None = None,
    block: int = 1,
) -> Fit:
    """Minimise `functional` over the networks that `build` makes.

    `data` is a dict of arrays (or pytrees) with one leading axis of rows, already scaled; `functional(model, batch,
    key=)` is a mean loss over a batch of them. Every member has its own initialisation, its own validation rows and its
    own order of batches. An epoch is one compiled scan on the device and one synchronisation with the host; the ragged
    last batch of an epoch is left out (another permutation brings its rows back). The parameters returned are those of each member's
    best validation loss. Rows that belong together come in blocks of `block` one after another: such a block is held out as a whole or not
    at all, and no more of its rows are looked at than would be held out one by one. Ctrl-C ends the epoch under way and returns the
    best so far, with `stopped == "interrupted"`; a second one does so at once. A `state` from an earlier
    `Fit` with the same arguments goes on from there, to the same bits as if it had never stopped.

    >>> import equinox as eqx, jax, jax.numpy as jnp
    >>> x = jnp.linspace(-1, 1, 256)[:, None]
    >>> loss = lambda model, batch, *, key: jnp.mean((jax.vmap(model)(batch["x"]) - 3 * batch["x"]) ** 2)
    >>> result = fit(loss, lambda k: eqx.nn.Linear(1, 1, key=k), {"x": x}, key=jax.random.key(0),
    ...              settings=FitSettings(epochs=50, batch_size=32, learning_rate=0.1, weight_decay=0.0))
    >>> bool(abs(result.model.weight[0, 0, 0] - 3) < 0.01)
    True
    """
    started = time.process_time()
    data = jax.tree.map(jnp.asarray, data)
    n = len(jax.tree.leaves(data)[0])
    settings = (settings or FitSettings()).resolved(n)
    k_init, k_split, k_train = jax.random.split(key, 3)
    static, layout, parameters, buffers = _members(build, k_init, members)
    if state is None:
        state = _start(parameters, layout, settings)
    held_out, training = _split(k_split, n, members, settings, block)
    size = min(int(settings.batch_size or 1), training.shape[1])
    batches = (members, training.shape[1] // size, size)
    keys = jax.random.split(k_train, members)
    epochs = int(settings.epochs or 0)
    epoch, stopped = int(state.epoch[0]), "budget"
    with interruption() as asked, suppress(KeyboardInterrupt):
        while epoch < epochs:
            stopped = "interrupted"
            order = _shuffled(jax.random.fold_in(k_split, epoch), training)[:, : batches[1] * batches[2]]
            state = _epoch(
                functional, static, layout, settings, data, order.reshape(batches), held_out, buffers, keys, state
            )
            epoch += 1
            best_epoch = int(np.asarray(state.best_epoch).max())
            if progress is not None:
                progress(_report(state, epoch, settings, time.process_time() - started))
            if asked() and epoch < epochs:
                break
            stopped = "budget"
            if epoch - best_epoch > settings.patience:
                stopped = "patience"
                break
    done = slice(0, epoch)
    return Fit(
        _assemble(static, layout, buffers, state.best),
        {"train": np.asarray(state.train).T[done], "validation": np.asarray(state.validation).T[done]},
        np.asarray(state.best_epoch),
        np.asarray(state.best_loss),
        stopped,
        time.process_time() - started,
        state,
    )


def _members(build, key, members):
    """Arrays of all members, stacked: float ones as rows of a matrix, the others as buffers; and what they share."""
    floats, buffers = _initialise(build, jax.random.split(key, members))
    static = eqx.filter(eqx.filter_eval_shape(build, key), lambda leaf: not isinstance(leaf, jax.ShapeDtypeStruct))
    one = jax.tree.map(lambda leaf: leaf[0], floats)
    return static, layout_of(one), _rows(floats), buffers


@quick_jit
def _initialise(build, keys):
    # one compiled call: run operation by operation, an initialisation costs more than some trainings
    arrays = eqx.filter(eqx.filter_vmap(build)(keys), eqx.is_array)
    return eqx.partition(arrays, eqx.is_inexact_array)


def _rows(floats):
    leaves = [np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(floats)]
    return jnp.asarray(np.concatenate(leaves, axis=1))


def _shuffled(key: PRNGKeyArray, rows: np.ndarray) -> np.ndarray:
    """Every row of indices in an order of its own; on the host, because a sort is slow to compile."""
    generator = np.random.Generator(np.random.Philox(key=np.asarray(jax.random.key_data(key), np.uint64)[:2]))
    return generator.permuted(rows, axis=1)


def _split(
    key: PRNGKeyArray, n: int, members: int, settings: FitSettings, block: int
) -> tuple[Int[np.ndarray, "m held"], Int[np.ndarray, "m rest"]]:
    """The rows that each member holds out and those it trains on.

    >>> held, rest = _split(jax.random.key(0), 40, 1, FitSettings(), 4)
    >>> held.shape, rest.shape, len({int(row) // 4 for row in held[0]})
    ((1, 4), (1, 36), 1)
    """
    block = block if n >= 2 * block else 1
    blocks = n // block
    order = _shuffled(key, np.tile(np.arange(blocks, dtype=np.int32), (members, 1)))
    if block == 1:
        held_out, training = np.split(order, [settings.validation_rows(n)], axis=1)
        return held_out, training
    out = min(max(1, int(round(settings.validation * blocks))), blocks - 1)
    rows = (order[:, :, None] * block + np.arange(block, dtype=np.int32)).reshape(members, -1)
    held_out, training = np.split(rows, [out * block], axis=1)
    # the first rows of a shuffled whole, so that every block is looked at
    return _shuffled(jax.random.fold_in(key, n), held_out)[:, : settings.validation_rows(n)], training


def _assemble(static, layout, buffers, parameters):
    """The stacked model from its parts."""
    floats = jax.vmap(partial(unflatten, layout))(parameters)
    return eqx.combine(floats, buffers, static)


def _optimiser(layout: Layout, settings: FitSettings, steps: int) -> optax.GradientTransformation:
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, settings.learning_rate, int(settings.warmup * steps), max(2, steps)
    )
    return optax.chain(
        optax.clip_by_global_norm(settings.clip),
        optax.scale_by_adam(),
        # the mask multiplies the flat vector: biases and gains do not decay
        optax.stateless(lambda g, p: g + settings.weight_decay * layout.matrix_mask() * p),
        optax.scale_by_learning_rate(schedule),
    )


def _start(parameters, layout, settings) -> FitState:
    members = len(parameters)
    optimiser = tuple(jax.tree.leaves(jax.vmap(_optimiser(layout, settings, 1).init)(parameters)))
    # with a dtype of their own: weakly typed ones, which no epoch returns, would have every epoch after the first compiled anew
    never = jnp.full((members, settings.epochs), jnp.nan, parameters.dtype)
    zero = jnp.zeros(members, jnp.int32)
    infinite = jnp.full(members, jnp.inf, parameters.dtype)
    return FitState(parameters, parameters, optimiser, parameters, infinite, zero, never, never, zero)


@quick_jit
def _epoch(functional, static, layout, settings, data, order, held_out, buffers, keys, state) -> FitState:
    """One pass of every member over its training rows, and its validation loss."""
    steps = order.shape[1]
    optimiser = _optimiser(layout, settings, steps * settings.epochs)

    def take(indices):
        return jax.tree.map(lambda leaf: leaf[indices], data)

    def member(order, held_out, buffers, key, state):
        def loss(parameters, batch, key, inference=False):
            model = eqx.combine(unflatten(layout, parameters), buffers, static)
            return functional(eqx.nn.inference_mode(model, inference), batch, key=key)

        def step(carry, scanned):
            parameters, average, optimiser_state = carry
            indices, key = scanned
            value, gradient = jax.value_and_grad(loss)(parameters, take(indices), key)
            # one batch with an infinite loss must not end a run: its gradient is left out and the loss shows it
            gradient = jnp.where(jnp.isfinite(gradient), gradient, 0.0)
            update, optimiser_state = optimiser.update(gradient, optimiser_state, parameters)
            parameters = parameters + update
            average = settings.ema * average + (1 - settings.ema) * parameters
            return (parameters, average, optimiser_state), value

        step_keys = jax.random.split(jax.random.fold_in(key, state.epoch), steps)
        structure = jax.tree.structure(jax.eval_shape(optimiser.init, state.parameters))
        carry = (state.parameters, state.average, jax.tree.unflatten(structure, state.optimiser))
        carry, losses = jax.lax.scan(step, carry, (order, step_keys))
        parameters, average, optimiser_state = carry
        # the same noise at every epoch, so that validation losses of noisy functionals can be compared
        validation = loss(average, take(held_out), key, inference=True)
        better = validation < state.best_loss
        return FitState(
            parameters,
            average,
            tuple(jax.tree.leaves(optimiser_state)),
            jnp.where(better, average, state.best),
            jnp.where(better, validation, state.best_loss),
            jnp.where(better, state.epoch + 1, state.best_epoch),
            state.train.at[state.epoch].set(jnp.mean(losses)),
            state.validation.at[state.epoch].set(validation),
            state.epoch + 1,
        )

    return jax.vmap(member)(order, held_out, buffers, keys, state)


def _report(state, epoch, settings, seconds) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "epochs": settings.epochs,
        "train": float(jnp.mean(state.train[:, epoch - 1])),
        "validation": float(jnp.mean(state.validation[:, epoch - 1])),
        "best": float(jnp.mean(state.best_loss)),
        "cpu_seconds": seconds,
        "remaining_seconds": seconds / epoch * (settings.epochs - epoch),
    }
