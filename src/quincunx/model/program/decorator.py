"""NumPyro models as simulators with a known inside."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from quincunx.errors import SimulatorError
from quincunx.model.outcome import Observables
from quincunx.model.prior import Prior
from quincunx.model.program.program import Program
from quincunx.model.simulator import Simulator

__all__ = ["program"]


def program(
    prior: Prior,
    observed: str | Sequence[str] | None = None,
    *,
    name: str | None = None,
    units: Mapping[str, str] | str | None = None,
    observables: Observables = None,
    version: str = "0",
    tractable: Any = None,
) -> Callable[[Callable[..., Any]], Simulator]:
    """Decorator: make a NumPyro model `model(theta)` or `model(theta, *, design=None)` a `Simulator` that knows its inside.

    Every draw is a `numpyro.sample` with a name; loops are `numpyro.contrib.control_flow.scan`, independent copies `numpyro.plate`, and what is
    worth writing down `numpyro.deterministic`. Parameters come from theta and are no sites. `observed` names the draws that are data: with them
    a trace says which log-probability is likelihood, and where the model returns nothing they are the outcome, one array for one name and a
    dictionary for several. Joint ratios and scores are mined from the draws' densities; `.program` gives traces and exact sums (see `Program`).

    A `numpyro.factor` is refused: it changes the density but not what is drawn.

    Raises:
        SimulatorError: for a function that does not take theta alone, or theta and `design`.

    >>> import numpyro, numpyro.distributions as dist
    >>> @program(Prior(mu=dist.Normal(0.0, 1.0)), observed="x")
    ... def bell(theta):
    ...     z = numpyro.sample("z", dist.Normal(theta["mu"], 2.0))
    ...     numpyro.sample("x", dist.Normal(z, 1.0))
    >>> bell
    Simulator(bell: jax, parameters mu)
    >>> bell.program.trace({"mu": 0.0}, key=0).addresses
    ('z', 'x')
    """

    def decorate(model: Callable[..., Any]) -> Simulator:
        taken = list(inspect.signature(model).parameters)
        if not taken or set(taken[1:]) - {"design"}:
            raise SimulatorError(
                f"got a model that takes {taken}; expected theta, and `design` if there are settings; draw with numpyro.sample, which needs no key"
            )
        chosen = observed if isinstance(observed, str) else tuple(observed or ())
        names = (chosen,) if isinstance(chosen, str) else chosen
        function = Program(model, name or getattr(model, "__name__", "program"), names, chosen)
        return Simulator(
            function, prior, name=name, units=units, observables=observables, version=version, tractable=tractable
        )

    return decorate
