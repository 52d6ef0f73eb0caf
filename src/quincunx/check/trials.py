"""Fresh simulations sent through an estimator: the one set of arrays that every calibration test reads."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.check.features import data_columns
from quincunx.errors import AllSimulationsFailed, TooFewSimulations, UsageError
from quincunx.model.design import takes_design
from quincunx.notebook import from_fields
from quincunx.run import Simulations, simulate
from quincunx.values import as_key

LIKELIHOOD_DRAWS = 19
"""So many draws of each trial have their likelihood evaluated, which may cost as much as a simulation."""

FEWEST = 20
"""Below so many usable simulations no calibration test says anything."""


@runtime_checkable
class Estimator(Protocol):
    """What can be checked: it has a prior, and draws from q(theta | x) for many x at once.

    `sample_many(n, x (B, ...), key=)` gives a dict of (B, n, ...). With `log_prob_many(theta (B, n, ...), x (B, ...))`,
    (B, n), the tests of densities run too; `x_o` and `given(x)` are used where there is an observation.
    """

    @property
    def prior(self) -> Any: ...

    def sample_many(self, n: int, x: Any, *, key: Any) -> Mapping[str, Any]: ...


class Trials(eqx.Module):
    """N pairs (theta_i, x_i) from prior and simulator, each with L draws of q(theta | x_i).

    `truth` (N, D) and `draws` (N, L, D) are flat parameters, `names` (D) their columns; `position_truth` (N, U) and
    `position_draws` (N, L, U) are the same points in unconstrained space, where distances are taken. `x` (N, F) are the
    data as columns (a set of events by its moments and quantiles). `log_q_*` are log q(theta | x_i) of truth and draws,
    `log_likelihood_*` log p(x_i | theta) of the truth and the first K draws, None where unknown. `outcomes` and
    `design` are the data and settings as they were simulated. `simulated` counts all simulations, `failed` those left
    out, in the same way as training leaves them out.
    """

    truth: Float[np.ndarray, "N D"]
    draws: Float[np.ndarray, "N L D"]
    position_truth: Float[np.ndarray, "N U"]
    position_draws: Float[np.ndarray, "N L U"]
    x: Float[np.ndarray, "N F"]
    log_q_truth: Float[np.ndarray, " N"] | None = None
    log_q_draws: Float[np.ndarray, "N L"] | None = None
    log_likelihood_truth: Float[np.ndarray, " N"] | None = None
    log_likelihood_draws: Float[np.ndarray, "N K"] | None = None
    outcomes: Any = None
    design: Any = None
    names: tuple[str, ...] = eqx.field(static=True, default=())
    simulated: int = eqx.field(static=True, default=0)
    failed: int = eqx.field(static=True, default=0)

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def draws_each(self) -> int:
        """L, the number of draws for each simulation."""
        return self.draws.shape[1]

    def __getitem__(self, rows: slice) -> "Trials":
        """Some of the pairs, as a value of the same kind."""
        return jax.tree.map(lambda leaf: leaf[rows], self)

    @classmethod
    def of(
        cls,
        truth: Float[np.ndarray, "N D"],
        draws: Float[np.ndarray, "N L D"],
        x: Float[np.ndarray, "N F"],
        *,
        log_q: tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N L"]] | None = None,
        log_likelihood: tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N K"]] | None = None,
        names: tuple[str, ...] | None = None,
    ) -> "Trials":
        """Trials from plain arrays of parameters that live on the whole real line.

        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> theta = rng.normal(size=(50, 1))
        >>> trials = Trials.of(theta, rng.normal(size=(50, 19, 1)), theta + 1.0)
        >>> len(trials), trials.draws_each, trials.names
        (50, 19, ('theta[0]',))
        """
        truth, draws = np.asarray(truth, float), np.asarray(draws, float)
        q, p = log_q or (None, None), log_likelihood or (None, None)
        names = names or tuple(f"theta[{i}]" for i in range(truth.shape[1]))
        x = np.asarray(x, float)
        return cls(truth, draws, truth, draws, x, *q, *p, x, None, tuple(names), len(truth), 0)

    _repr_html_ = from_fields


def run_trials(
    posterior: Estimator,
    simulator: Any = None,
    *,
    key: int | PRNGKeyArray,
    n: int = 300,
    draws: int = 99,
    sims: Simulations | None = None,
    design: Any = None,
    events: int | None = None,
    log_likelihood: Callable[..., Any] | None = None,
) -> Trials:
    """Simulate n pairs from the prior (or take `sims`, which must not have been trained on) and draw from q for each.

    `log_likelihood(theta, x)` of one parameter point (a dict) and one outcome, which JAX must be able to transform,
    adds the quantity log p(x | theta); terms free of theta may be missing. Where it takes `design` last, it gets each simulation's
    settings. By default it is that of `simulator.tractable`. Failed simulations are dropped and counted.

    Raises:
        UsageError: with neither a simulator nor simulations.
        AllSimulationsFailed: if nothing finite is left.
        TooFewSimulations: if fewer than 20 usable pairs are left.
    """
    k_simulate, k_draw = jax.random.split(as_key(key))
    if sims is None:
        if simulator is None:
            raise UsageError(
                "got neither a simulator nor simulations; expected one of them; pass the simulator or sims="
            )
        sims = simulate(simulator, n, key=k_simulate, design=design, events=events)
    usable = sims.valid()
    if len(usable) == 0:
        raise AllSimulationsFailed(
            f"all {len(sims)} simulations of the check failed; expected finite outcomes; look at sims.messages"
        )
    if len(usable) < FEWEST:
        raise TooFewSimulations(
            f"got {len(usable)} usable simulations of {len(sims)} for the check; expected at least {FEWEST}; raise n"
        )
    prior = posterior.prior
    x = jax.tree.map(jnp.asarray, usable.x)
    settings = {} if usable.design is None else {"design": usable.design}
    drawn = posterior.sample_many(draws, x, key=k_draw, **settings)
    if log_likelihood is None:
        log_likelihood = getattr(getattr(simulator, "tractable", None), "log_likelihood", None)
    truth = {name: jnp.asarray(usable.theta[name]) for name in drawn}
    together = {name: jnp.concatenate([truth[name][:, None], jnp.asarray(drawn[name])], axis=1) for name in drawn}
    flat = prior.flatten(together)
    position = prior.to_unconstrained(flat)
    density = getattr(posterior, "log_prob_many", None)
    log_q = None if density is None else density(together, x, **settings)
    some = {name: value[:, : LIKELIHOOD_DRAWS + 1] for name, value in together.items()}
    log_p = None if log_likelihood is None else _log_p(log_likelihood, some, x, usable.events, usable.design)
    halves = [(None, None) if v is None else (_host(v[:, 0]), _host(v[:, 1:])) for v in (log_q, log_p)]
    return Trials(
        _host(flat[:, 0]),
        _host(flat[:, 1:]),
        _host(position[:, 0]),
        _host(position[:, 1:]),
        data_columns(usable.x, sets=usable.events),
        *halves[0],
        *halves[1],
        usable.x,
        usable.design,
        tuple(prior.columns),
        len(sims),
        len(sims) - len(usable),
    )


def _host(array) -> np.ndarray:
    return np.asarray(array, dtype=float)


def _log_p(log_likelihood, theta, x, sets, design):
    takes = design is not None and takes_design(log_likelihood)
    given = {"design": jax.tree.map(jnp.asarray, dict(design))} if takes else {}

    def of_one(point, x, given):
        if sets:
            return jnp.sum(jax.vmap(lambda event: log_likelihood(point, event, **given))(x))
        return log_likelihood(point, x, **given)

    # One compiled call: every set of draws against its own data.
    return jax.jit(jax.vmap(jax.vmap(of_one, in_axes=(0, None, None))))(theta, x, given)
