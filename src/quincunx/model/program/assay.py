"""What cannot be right in a program's gold, found by looking at what depends on what."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters.partial_eval import dce_jaxpr
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Shaped

from quincunx.errors import DirectDependence, MovingSupport, UnusedParameter, UsageError
from quincunx.model.prior import Prior
from quincunx.model.program.execution import execute

__all__ = ["RUNS", "check_program", "trials"]

RUNS = 64
"""So many simulations are tried."""
_ELSEWHERE = 4


def trials(prior: Prior, key: PRNGKeyArray) -> tuple[Float[Array, "n p dim"], Shaped[Array, " n"]]:
    """Parameter points and keys of the simulations to try: run i is made at `points[i, 0]`, the other points are those of other runs."""
    drawn = prior.sample_flat(RUNS, key=jax.random.fold_in(key, 0))
    shifts = [jnp.roll(drawn, step * RUNS // (_ELSEWHERE + 1), axis=0) for step in range(_ELSEWHERE + 1)]
    return jnp.stack(shifts, 1), jax.random.split(jax.random.fold_in(key, 1), RUNS)


def check_program(
    program: Any,
    prior: Prior,
    key: PRNGKeyArray,
    design: Mapping[str, Array] | None,
) -> None:
    """Refuse a program whose joint ratios or scores would be wrong, naming the site or the parameter.

    With the values of all sites held fixed, what depends on theta is read off the traced program: the log-probability must, for each parameter,
    and the outcome must not. Where the edges of a support do, they are compared between the points of `trials`.

    Raises:
        DuplicateSite, Unnormalised: as any look inside.
        UsageError: for a program that is conditioned, which draws from another distribution than its density.
        DirectDependence: for an outcome that depends on theta otherwise than through its draws.
        MovingSupport: for a site whose support depends on theta.
        UnusedParameter: for a parameter on which no draw depends.
    """
    shapes = jax.eval_shape(lambda key: prior.sample(key=key), key)
    written: list[str] = list(program.conditioned.values)

    def draw(theta: Mapping[str, Array]) -> dict[str, Array]:
        bare, held = program.apart()
        run, _ = execute(bare, theta, design, key, held, keep="values")
        written.extend(run.written)
        return {name: drawn.value for name, drawn in run.drawn.items()}

    values = jax.eval_shape(draw, shapes)
    if written:
        raise UsageError(
            f"got program '{program.name}', conditioned on {list(dict.fromkeys(written))}; expected one that draws all its sites, because its "
            "draws do not follow the density under the condition; take the unconditioned program for gold (and leave obs=... out of it), and "
            "give the data to inference"
        )
    used = _uses(program, shapes, values, design)
    if direct := _named(used["outcome"], prior):
        raise DirectDependence(
            f"the outcome of program '{program.name}' depends on {direct} otherwise than through its draws: with every draw held fixed, another "
            "value gives another outcome, of which the joint ratio and score know nothing; expected an outcome that follows from the draws alone; "
            "write the parameter into a distribution, as in Normal(0, theta) for theta * Normal(0, 1)"
        )
    for address in used["edges"]:
        if _named(used["edges"][address], prior) and bool(_move(program, address, prior, key, design)):
            raise MovingSupport(
                f"the site '{address}' of program '{program.name}' can take other values at other {_named(used['edges'][address], prior)}; expected a "
                "support that is the same for all parameters, because elsewhere the likelihood ratio is infinite and the score has a mean other than "
                "zero; draw from a fixed support and transform in the distribution (TransformedDistribution over the line), or smooth its edge"
            )
    unused = [name for name in sorted(prior.names) if not used["log_prob"][name]]
    if unused:
        raise UnusedParameter(
            f"no draw of program '{program.name}' depends on {unused}; expected each parameter of the prior in a distribution; use it, or leave it "
            "out of the prior"
        )


def _uses(program: Any, shapes: Any, values: Any, design: Any) -> dict[str, Any]:
    """For the log-probability, the outcome, and the edges of each support: which parameters each depends on, values being fixed."""

    def look(theta: Any, values: Any) -> dict[str, Any]:
        run, returned = execute(program.apart()[0], theta, design, None, values, edges=True)
        own = {name: drawn.value for name, drawn in run.drawn.items()}
        return {
            "edges": {name: drawn.bounds for name, drawn in run.drawn.items()},
            "log_prob": program.joint_log_prob(theta, None, values, design=design),
            "outcome": program.outcome_of(returned, own),
        }

    closed, shape = jax.make_jaxpr(look, return_shape=True)(shapes, values)
    outputs, tree = jax.tree.flatten(shape)
    names = sorted(shapes)

    def inputs(index: int) -> np.ndarray:
        wanted = [i == index for i in range(len(outputs))]
        return np.asarray(dce_jaxpr(closed.jaxpr, wanted)[1][: len(names)], bool)

    each = jax.tree.unflatten(tree, range(len(outputs)))

    def together(part: Any) -> dict[str, bool]:
        found = [inputs(index) for index in jax.tree.leaves(part)]
        return dict(zip(names, np.any(found, axis=0).tolist() if found else [False] * len(names)))

    edges = {name: together(part) for name, part in each["edges"].items()}
    return {"edges": edges, "log_prob": together(each["log_prob"]), "outcome": together(each["outcome"])}


@eqx.filter_jit
def _move(program: Any, address: str, prior: Prior, key: PRNGKeyArray, design: Any) -> Bool[Array, ""]:
    """Whether the edges of one site's support differ between parameter points at the same values of all sites."""

    def one(points: Array, key: PRNGKeyArray) -> Array:
        _, values = program.outcome_and_sites(prior.unflatten(points[0]), key=key, design=design)

        def edges(point: Array) -> Any:
            run, _ = execute(program.apart()[0], prior.unflatten(point), design, None, values, edges=True)
            return run.drawn[address].bounds

        found = jax.vmap(edges)(points)
        # The same arithmetic at another place in a vector may round otherwise.
        differs = [jnp.abs(edge - edge[:1]) > 1e-5 * jnp.maximum(1.0, jnp.abs(edge[:1])) for edge in found]
        return jnp.any(jnp.stack([jnp.any(d) for d in differs]))

    return jnp.any(jax.vmap(one)(*trials(prior, key)))


def _named(used: Mapping[str, bool], prior: Prior) -> list[str]:
    return [name for name in prior.names if used[name]]
