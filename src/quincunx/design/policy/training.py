"""Learn a policy before the first experiment, by the one training loop."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from quincunx.design.density import density_of, has_density
from quincunx.design.policy.objective import Campaign, CriticBound, TotalInformation
from quincunx.design.policy.policy import Policy
from quincunx.design.policy.rollout import roll_out
from quincunx.design.policy.rule import NetworkRule, RandomDesigns
from quincunx.design.space import Space
from quincunx.errors import NoDensity, UsageError
from quincunx.learn import FitSettings, Scale, Surrogate, build, fit
from quincunx.learn.fit import Progress
from quincunx.model import Simulator
from quincunx.model.outcome import flatten_outcome
from quincunx.values import as_key

__all__ = ["train_policy"]

PILOT = 1024
"""How many campaigns at random designs the scales of outcomes are taken from."""
EPOCH = 64
"""Steps between two looks at the validation loss."""


def train_policy(
    simulator: Simulator,
    space: Space,
    *,
    rounds: int,
    events: int = 1,
    designs: Literal["adaptive", "static", "random"] = "adaptive",
    method: Literal["auto", "likelihood", "infonce", "nwj"] = "auto",
    gradient: Literal["auto", "pathwise", "score"] = "auto",
    steps: int = 2000,
    outer: int = 128,
    inner: int = 1024,
    learning_rate: float = 1e-3,
    width: int = 128,
    key: PRNGKeyArray | int,
    progress: Progress | None = None,
) -> Policy:
    """The policy of highest total expected information over `rounds` experiments of `events` events, in a space of intervals (2103.02438, 2111.02329).

    Args:
        designs: "adaptive", from all that was measured; "static", decided beforehand, for the same bound; "random", uniform, where only a critic is learned.
        method: "likelihood" (sequential PCE), or for outcomes without one "infonce" and "nwj" with a critic; "auto" takes the likelihood if there is one.
        gradient: "pathwise", through outcomes that move smoothly with the designs and the noise; "score" for those that jump, which needs a likelihood; "auto"
        looks whether outcomes move.
        steps, outer, inner: steps of Adam along a cosine, campaigns in each, and contrastive draws, which a batch shares; the bound's ceiling is log(inner + 1).

    Raises:
        UsageError: for a simulator that is no JAX function of one simulation, or a space with levels or constraints. NoDensity: for a likelihood or a score
        that there is not.

    >>> import jax, jax.numpy as jnp, numpyro.distributions as dist, types, quincunx as qx
    >>> def log_likelihood(theta, x, design):
    ...     return jax.scipy.stats.norm.logpdf(x[0], design["d"] * theta["a"], 0.5)
    >>> @qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=types.SimpleNamespace(log_likelihood=log_likelihood))
    ... def line(theta, *, key, design):
    ...     return design["d"] * theta["a"] + 0.5 * jax.random.normal(key)
    >>> policy = train_policy(line, Space(d=(0.0, 1.0)), rounds=2, steps=200, outer=32, inner=32, width=8, learning_rate=0.02, key=0)
    >>> first = policy.propose()                                              # the steepest line, whatever was measured
    >>> bool(first["d"] > 0.9), bool(policy.propose([(first, [0.3])])["d"] > 0.9)
    (True, True)
    """
    _refuse(simulator, space, rounds, events, designs, method, gradient)
    k_pilot, k_pool, k_fit = jax.random.split(as_key(key), 3)
    chosen = ("likelihood" if has_density(simulator) else "infonce") if method == "auto" else method
    if designs == "random" and chosen == "likelihood":
        raise UsageError(
            "got random designs with a likelihood, which leave nothing to learn; take RandomDesigns(space)"
        )
    density = density_of(simulator) if chosen == "likelihood" else None
    pilot = roll_out(simulator, RandomDesigns(space), rounds=1, events=1, n=PILOT, key=k_pilot)
    ok = pilot.finite
    x_scale = Scale.fit(np.asarray(flatten_outcome(pilot.x, 2))[ok, 0])
    moves = _outcomes_move(simulator, pilot.theta[ok][:64], {name: d[ok][:64, 0] for name, d in pilot.designs.items()})
    jumps = gradient == "score" or (gradient == "auto" and not moves.all())
    if density is None and (gradient == "score" or (jumps and not moves.any())):
        raise NoDensity(
            f"got simulator '{simulator.name}', whose outcomes jump and have no log_likelihood; expected one of them to be otherwise: a policy is learned "
            "through outcomes that move smoothly with the designs, or by a likelihood; pass simulator(..., tractable=)"
        )
    validation = min(512, 4 * outer)
    steps_each = min(EPOCH, steps)
    pool = jnp.asarray(simulator.prior.sample_flat(steps_each * outer + validation, key=k_pool), jnp.float32)
    spec = _spec(space.dim, x_scale.size, rounds, designs, width)
    shape = NetworkRule.of(build(spec, key=k_fit), x_scale, space)
    campaign = Campaign(
        simulator, x_scale, shape.low, shape.span, space.names, rounds, events, inner, jumps and density is not None
    )
    scales = {"x": x_scale}
    functional: TotalInformation | CriticBound
    if density is None:
        scales["theta"] = Scale.fit(np.asarray(pool))
        functional = CriticBound(campaign, scales["theta"], chosen == "nwj")
        critic = {
            "kind": "history_critic",
            "theta_size": simulator.prior.dim,
            "event_size": space.dim + x_scale.size,
            "width": width,
        }
        spec = {"kind": "criticised_policy", "policy": spec, "critic": critic}
    else:
        functional = TotalInformation(campaign, density)
    epochs = -(-steps // steps_each)
    settings = FitSettings(
        epochs=epochs, batch_size=outer, learning_rate=learning_rate, weight_decay=0.0, clip=1.0, validation=validation / len(pool), patience=epochs,
    )  # fmt: skip
    done = fit(
        functional, lambda k: build(spec, key=k), {"theta": pool}, key=k_fit, settings=settings, progress=progress
    )
    surrogate = Surrogate.of(done, spec, "total_information" if density is not None else chosen, scales)
    return Policy(
        surrogate, space, simulator.describe(_one(pilot.x)), designs, rounds, events, simulator.name, simulator.prior.columns,
    )  # fmt: skip


def _spec(design_size: int, x_size: int, rounds: int, designs: str, width: int) -> dict[str, Any]:
    if designs == "adaptive":
        return {
            "kind": "history_policy",
            "design_size": design_size,
            "event_size": design_size + x_size,
            "width": width,
        }
    if designs == "static":
        return {"kind": "fixed_designs", "design_size": design_size, "rounds": rounds}
    return {"kind": "uniform_designs", "design_size": design_size}


def _one(x: Any) -> Any:
    return jax.tree.map(lambda a: np.asarray(a[0, 0]), x)


def _outcomes_move(simulator: Simulator, theta: Any, designs: dict[str, Any]) -> np.ndarray:
    """Which numbers of an outcome have a derivative in the design, anywhere among the rows."""

    def slope(point: Array, design: dict[str, Array], key: PRNGKeyArray) -> Array:
        named = simulator.prior.unflatten(point)
        by_name = jax.jacfwd(lambda d: flatten_outcome(simulator.caller.run_one(named, key, d), 0))(design)
        return jnp.stack([jnp.abs(part) for part in by_name.values()]).max(axis=0)

    keys = jax.random.split(jax.random.key(0), len(theta))
    each = jax.jit(jax.vmap(slope))(jnp.asarray(theta), jax.tree.map(jnp.asarray, designs), keys)
    return np.asarray(jnp.max(each, axis=0) > 0)


def _refuse(
    simulator: Simulator, space: Space, rounds: int, events: int, designs: str, method: str, gradient: str
) -> None:
    if simulator.kind != "jax" or simulator.batched:
        raise UsageError(
            f"got simulator '{simulator.name}'; expected a JAX function of one simulation (with the keyword key), through which a policy is learned; "
            "choose designs one at a time with choose()"
        )
    if len(space.continuous) != space.dim or space.constraints:
        raise UsageError(
            f"got {space!r}; expected intervals only, without constraints; choose designs one at a time with choose()"
        )
    known = {
        "designs": (designs, ("adaptive", "static", "random")),
        "method": (method, ("auto", "likelihood", "infonce", "nwj")),
        "gradient": (gradient, ("auto", "pathwise", "score")),
    }
    for name, (got, expected) in known.items():
        if got not in expected:
            raise UsageError(f"got {name}={got!r}; expected one of {', '.join(expected)}")
    if rounds < 1 or events < 1:
        raise UsageError(f"got rounds={rounds}, events={events}; expected at least one of each")
