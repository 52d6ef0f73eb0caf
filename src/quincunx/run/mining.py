"""Mining gold: simulations together with joint log-ratios and joint scores, in one compiled call a chunk."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from quincunx.errors import NoGold, NonFiniteGold, OutsideReference, UsageError
from quincunx.model.caller import Caller
from quincunx.model.gold import Gold, told_by
from quincunx.model.prior import Prior
from quincunx.model.reference import Reference
from quincunx.model.simulator import Simulator
from quincunx.model.told import Told

__all__ = ["COSTS", "Vein", "check_gold_values", "tells", "vein_of"]

# Random numbers of a row's label and the point of its reference, and of its own reference, apart from those of the simulator.
_LABEL, _OTHER = 0x6C61_6265, 0x6F74_6865

COSTS = 4
"""Mining a row takes about so many times the memory that simulating it takes."""


class Vein(eqx.Module):
    """What is to be mined of each row: the joint score alone, or the joint log-ratio to a reference too, and the latents where asked for.

    With a reference, half of the rows are drawn from it (`label` 0) and half at their own theta (`label` 1); `theta` is in either case the
    numerator of the ratio. `others` is (K, dim), None without a reference; `drawn` when each row's is drawn from the prior.
    """

    gold: Gold = eqx.field(static=True)
    prior: Prior
    others: Float[Array | np.ndarray, "k dim"] | None
    drawn: bool = eqx.field(static=True)
    latents: bool = eqx.field(static=True)
    mined: bool = eqx.field(static=True)

    def run(
        self, caller: Caller, theta: Mapping[str, Array], keys: Shaped[Array, " n"], design: Any
    ) -> tuple[Any, dict[str, Array], dict[str, Any]]:
        """(x, gold, latents) of N rows; the outcomes of rows labelled 1 are those of plain simulations, to the bit."""
        if design is None:
            return jax.vmap(lambda t, k: self._row(caller, t, k, None))(theta, keys)
        return jax.vmap(lambda t, k, d: self._row(caller, t, k, d))(theta, keys, design)

    def _row(self, caller: Caller, theta: Any, key: PRNGKeyArray, design: Any) -> tuple[Any, Any, Any]:
        own = self.prior.flatten(theta)
        points, label = own[None], jnp.ones(())
        if self.drawn or self.others is not None:
            others = self._others(key)
            # One word decides both: its lowest bit the label, the others the point.
            word = jax.random.bits(jax.random.fold_in(key, _LABEL))
            label = (word & 1).astype(own.dtype)
            # A look-up for every row would cost as much as a few nails of the board; a single point needs none.
            other = others[0] if len(others) == 1 else others[(word >> 1) % len(others)]
            at = jnp.where(label == 1, own, other)
            points, theta = jnp.concatenate([points, others]), self.prior.unflatten(at)
        raw, z = self.gold.run(theta, key, design)
        found = self._mined(points, raw, z, design, label) if self.mined else {}
        return caller.tidy(raw, None), found, named_latents(z) if self.latents else {}

    def _others(self, key: PRNGKeyArray) -> Float[Array, "k dim"]:
        if self.drawn:
            return self.prior.sample_flat(1, key=jax.random.fold_in(key, _OTHER))
        return jnp.asarray(self.others)

    def _mined(self, points: Array, x: Any, z: Any, design: Any, label: Array) -> dict[str, Array]:
        scores = 2 if self.drawn else 1
        log_probs, score = told_by(self.gold, self.prior, points, x, z, design=design, scores=scores)
        found = {"joint_score": score[0]}
        if len(points) == 1:
            return found
        others = log_probs[1:]
        reference = others[0] if len(others) == 1 else jax.nn.logsumexp(others) - jnp.log(1.0 * len(others))
        found |= {"joint_log_ratio": log_probs[0] - reference, "label": label}
        return found | ({"reference": points[1], "reference_joint_score": score[1]} if self.drawn else {})


def tells(simulator: Simulator, gold: bool | Reference, latents: bool) -> bool:
    """Whether gold is asked of a plain simulator that tells it itself; none is to be mined then.

    Raises:
        UsageError: for a reference, or latents, which such a simulator does not tell.

    >>> import numpyro.distributions as dist
    >>> tells(Simulator(lambda theta, *, rng: 0.0, Prior(a=dist.Normal(0.0, 1.0))), False, False)
    False
    """
    if not isinstance(simulator.gold, Told) or (gold is False and not latents):
        return False
    if gold is not True or latents:
        raise UsageError(
            f"got gold={gold} and latents={latents} for simulator '{simulator.name}', which tells its gold itself; expected gold=True alone; "
            "for ratios simulate at the declared points and pair them with quincunx.run.pair_told"
        )
    return True


def vein_of(simulator: Simulator, gold: bool | Reference, latents: bool, events: int | None) -> Vein | None:
    """What is to be mined, or None where nothing is asked for.

    Raises:
        NoGold: if the simulator does not tell.
        UsageError: for a ratio to a reference and sets of events.
        NameMismatch, ShapeMismatch: for a reference at other parameters than the prior's.
    """
    if gold is False and not latents:
        return None
    if not isinstance(simulator.gold, Gold):
        raise NoGold(
            f"simulator '{simulator.name}' says nothing of its inside; expected a program, a function that takes `at` and returns "
            "(x, log-probability), or gold=Gold(trace, joint_log_prob); add one, or use a method that learns from outcomes alone"
        )
    asked = gold if isinstance(gold, Reference) else None
    if asked is not None and events is not None:
        raise UsageError(
            f"got events={events} with a reference; expected single outcomes, of which some are drawn from it; leave events out: "
            "ratios of independent events multiply"
        )
    others = None if asked is None or asked.drawn else jnp.asarray(asked.flat(simulator.prior))
    drawn = asked is not None and asked.drawn
    return Vein(simulator.gold, simulator.prior, others, drawn, latents, gold is not False)


def named_latents(z: Any) -> dict[str, Array]:
    """The arrays of a pytree of latents by name: its own where it is a dict, "z" for a single array; random keys are left out.

    >>> sorted(named_latents({"wait": jnp.ones(3), "infects": jnp.zeros(3)}))
    ['infects', 'wait']
    """
    found = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(z)[0]:
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            name = ".".join(
                str(getattr(part, "key", getattr(part, "idx", getattr(part, "name", part)))) for part in path
            )
            found[name or "z"] = leaf
    return found


def check_gold_values(
    gold: Mapping[str, Any], theta: Mapping[str, Any], worked: Shaped[np.ndarray, " n"], name: str
) -> None:
    """Refuse gold that is NaN, or infinite where it must not be, in rows with a finite outcome, naming the first.

    A joint log-ratio of minus infinity is a ratio of zero, which a row of the reference may have.

    Raises:
        NonFiniteGold: for a score that is not finite, or a log-ratio that is NaN.
        OutsideReference: for a ratio that is infinite.

    >>> check_gold_values({"joint_score": np.ones((2, 1))}, {"mu": np.zeros(2)}, np.ones(2, bool), "bell")
    """
    for part in ("joint_score", "reference_joint_score", "joint_log_ratio", "log_probs"):
        if part not in gold:
            continue
        values = np.asarray(gold[part])
        finite = ~np.isnan(values) if part == "joint_log_ratio" else np.isfinite(values)
        # With sets of events, every axis after the first belongs to the row.
        bad = np.flatnonzero(~finite.reshape(len(values), -1).all(axis=1) & worked)
        if bad.size:
            raise NonFiniteGold(
                f"simulator '{name}' gives a {part.replace('_', ' ')} that is not finite in {bad.size} of {len(values)} rows, first "
                f"in row {int(bad[0])} at {_at(theta, int(bad[0]))}; expected finite ones; guard logarithms and divisions in its log-probability where "
                "they meet 0 (a jnp.where around them does not help their gradient: guard the argument)"
            )
    if "joint_log_ratio" in gold:
        infinite = np.flatnonzero(np.isposinf(np.asarray(gold["joint_log_ratio"])) & worked)
        if infinite.size:
            raise OutsideReference(
                f"simulator '{name}' gives infinite joint ratios in {infinite.size} of {len(worked)} rows, first at "
                f"{_at(theta, int(infinite[0]))}: what happened there cannot happen under the reference; choose a reference under "
                "which everything can happen, such as Reference.spread(prior, 16, key=0)"
            )


def _at(theta: Mapping[str, Any], row: int) -> str:
    return ", ".join(f"{name} = {np.asarray(value)[row].tolist()}" for name, value in theta.items())
