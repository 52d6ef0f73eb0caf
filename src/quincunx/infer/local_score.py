"""The score at a reference point, learned from joint scores: the locally optimal summary of an outcome."""

import os
import warnings
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import ConstantColumnWarning, UsageError
from quincunx.infer.conditioning import Conditioning, plan_embedding
from quincunx.infer.ensemble import over_members
from quincunx.infer.gold_rows import MOST_SCORE, gold_of
from quincunx.infer.learning import learn
from quincunx.infer.preparation import Preparation, prepare, scaled
from quincunx.infer.reading import Reader
from quincunx.learn import FitSettings, Scale, Surrogate
from quincunx.learn.build import Spec
from quincunx.learn.fit import Progress
from quincunx.learn.functionals import JointScoreRegression
from quincunx.model import Prior
from quincunx.notebook import fields_text, from_fields
from quincunx.run import Simulations
from quincunx.values import as_key, pack, register, save, unpack

_ROWS = 16_384


@register("local_score")
class LocalScore(eqx.Module):
    """t(x) = E[t(x, z | theta_ref) | x], the gradient of log p(x | theta) at theta_ref, for single outcomes (1805.00020).

    `reference` is theta_ref, flat. Near it p(x | theta) is an exponential family with t as its statistic, whatever x is; away from it,
    what the second and higher derivatives would say is lost, and no number of events brings it back.
    """

    kind: ClassVar[str] = "local_score"

    prior: Prior
    surrogate: Surrogate
    reader: Reader
    reference: Float[np.ndarray, " dim"]
    form: str = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)

    def score(self, x: Any, *, design: Any = None) -> Float[np.ndarray, "... dim"]:
        """t(x) for outcomes with a leading axis, (N, ...), or for sets (N, k, ...): (N, dim) or (N, k, dim), in units of 1 / theta.

        Raises:
            NameMismatch, ShapeMismatch: for outcomes of another shape.
        """
        events, settings = self.reader.read_many(x, design=design)
        n, k = events.shape[:2]
        found = self.score_of(events.reshape(n * k, -1), settings.reshape(n * k, -1))
        return found.reshape(n, k, -1) if k > 1 else found

    def score_of(
        self, events: Float[np.ndarray, "n dx"], settings: Float[np.ndarray, "n dd"]
    ) -> Float[np.ndarray, "n dim"]:
        """The same for flat outcomes and their settings."""
        scales = self.surrogate.scales
        conditioning = Conditioning(scales["x"], scales["design"], self.form, self.shape)
        pieces = []
        for first in range(0, len(events), _ROWS):
            rows = slice(first, first + _ROWS)
            # one shape for all pieces but those of short inputs, which are few
            size = min(_ROWS, 1 << max(0, len(events) - 1).bit_length())
            where = np.minimum(np.arange(size) + first, len(events) - 1)
            block = _scores(self.surrogate.model, conditioning, scales["score"], events[where], settings[where])
            pieces.append(np.asarray(block)[: len(events[rows])])
        return np.concatenate(pieces)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a file; `quincunx.load` reads it back without the simulator."""
        return save(self, path)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        spec: dict[str, Any] = {"form": self.form, "shape": list(self.shape)}
        arrays: dict[str, np.ndarray] = {"reference": np.asarray(self.reference)}
        for name in ("prior", "surrogate", "reader"):
            spec[name], more = pack(getattr(self, name), name)
            arrays |= more
        return spec, arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "LocalScore":
        """The inverse of `to_state`."""
        parts = {name: unpack(spec[name], arrays, name) for name in ("prior", "surrogate", "reader")}
        return cls(**parts, reference=arrays["reference"], form=spec["form"], shape=tuple(spec["shape"]))

    __repr__ = fields_text
    _repr_html_ = from_fields


def learn_score(
    sims: Simulations,
    prior: Prior,
    *,
    key: PRNGKeyArray | int,
    members: int = 1,
    network: Spec | None = None,
    embedding: Spec | str | None = None,
    x_scale: str = "auto",
    settings: FitSettings | None = None,
    progress: Progress | None = None,
) -> LocalScore:
    """Regress the joint score on x, over simulations at one theta; members are averaged.

    `network` holds options of the "mlp" network (default: two layers of 128); an `embedding` takes its place for outcomes that are no vectors.
    Scores beyond fifty standard deviations are cut there, or a few events would decide the fit.

    Raises:
        UsageError: for simulations at more than one theta, where the regression would be of something else.
        NoGold: for simulations without joint scores. Others as `NPE.fit`.

    >>> import quincunx as qx
    >>> board = qx.gallery.load("galton_uniform")
    >>> theta = {"theta": np.full(2000, 0.5, np.float32)}
    >>> sims = qx.simulate(board.simulator, theta=theta, gold=True, key=0)
    >>> learned = learn_score(sims, board.prior, key=0, settings=FitSettings(epochs=30, learning_rate=1e-2))
    >>> bool(abs(learned.score(np.array([[14.0]]))[0, 0] - (14 - 20 * 0.5) / 0.25) < 2.0)
    True
    """
    k_order, k_fit = jax.random.split(as_key(key))
    prepared = _prepared(sims, prior, x_scale, k_order)
    raw = np.asarray(gold_of(prepared, "joint_score", method="a score")["joint_score"], np.float32)
    spread = Scale.fit(raw, names=tuple(f"score of {column}" for column in prior.columns))
    rows = prepared.rows
    form, shape, full, size = plan_embedding(
        embedding,
        shape=prepared.reader.shape,
        x_size=rows.x.shape[-1],
        design_size=rows.design.shape[-1],
        sets=False,
        theta_size=raw.shape[-1],
    )
    body = {"kind": "mlp", "in_size": size, "zero_last": True, **(network or {})} if full is None else full
    surrogate = learn(
        JointScoreRegression(),
        "joint_score_regression",
        {**body, "out_size": raw.shape[-1]},
        {"x": prepared.conditions(form, shape), "score": np.clip(scaled(spread, raw), -MOST_SCORE, MOST_SCORE)},
        scales={**prepared.scales, "score": spread},
        members=members,
        settings=settings or FitSettings(learning_rate=3e-3, weight_decay=1e-4),
        key=k_fit,
        progress=progress,
    )
    reference = np.asarray(prior.to_constrained(rows.u[0]), np.float32)
    return LocalScore(prior, surrogate, prepared.reader, reference, form, shape)


def _prepared(sims: Simulations, prior: Prior, x_scale: str, key: PRNGKeyArray) -> Preparation:
    flat = sims.theta_flat()
    if np.any(np.abs(flat - flat[:1]) > 1e-6 * (1 + np.abs(flat[:1]))):
        raise UsageError(
            "got simulations at more than one theta for a score at a reference; expected one; simulate with theta= that one, in "
            "every row, and gold=True"
        )
    with warnings.catch_warnings():
        # That theta never changes is what was asked for.
        warnings.simplefilter("ignore", ConstantColumnWarning)
        return prepare(sims, prior, x_scale=x_scale, failures_kept_out="", key=key).single_events()


@eqx.filter_jit
def _scores(model: Any, conditioning: Conditioning, scale: Scale, events: Any, settings: Any) -> Array:
    one = jax.numpy.ones(1)

    def each(x: Array, d: Array) -> Array:
        condition = conditioning(x[None], one, d[None])
        return over_members(lambda member: member(condition), model).mean(axis=0)

    return scale.inverse(jax.vmap(each)(events, settings))
