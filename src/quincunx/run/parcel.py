"""A simulator as text, by which a process that knows nothing of the user's session comes by the same one."""

import base64
import io
import json
from functools import lru_cache
from typing import Any

import numpy as np

from quincunx.errors import CannotTravel, UnsupportedPrior
from quincunx.model.gold import Gold
from quincunx.model.prior import Prior
from quincunx.model.simulator import Simulator
from quincunx.model.told import Told
from quincunx.run.address import Address, Description, address_of, address_of_function, thing_at

__all__ = ["address_in", "parcel_of", "simulator_in"]


def parcel_of(simulator: Simulator) -> str:
    """A simulator as JSON: where its function is found, or all of it if it is a command; its prior, name, version, units and gold.

    Gold whose functions are found neither with the simulator nor by their own names stays behind.

    Raises:
        CannotTravel: for a lambda, a local function, a notebook's or a script's, or a prior that cannot be written down.

    >>> import numpyro.distributions as dist
    >>> parcel_of(Simulator(lambda theta, *, rng: theta["a"], Prior(a=dist.Normal(0.0, 1.0)), name="copy"))
    Traceback (most recent call last):
    quincunx.errors.CannotTravel: got the simulator 'copy', which other processes cannot find; ...
    """
    address = address_of(simulator)
    if address is None:
        where = getattr(simulator.function, "__module__", None)
        raise CannotTravel(
            f"got the simulator '{simulator.name}', which other processes cannot find; expected a named function of a module that can "
            f"be imported, not a lambda, a local function, or one of a notebook or script (it is in '{where}'); move it to a file of "
            "its own and import it from there, or run it here with workers=0"
        )
    return json.dumps(
        {
            "function": vars(address),
            "prior": _prior(simulator, address),
            "name": simulator.name,
            "version": simulator.version,
            "observables": simulator.named_observables,
            "units": simulator.named_units,
            "gold": _gold(simulator, address),
        }
    )


@lru_cache(maxsize=16)
def simulator_in(parcel: str) -> Simulator:
    """The simulator that a parcel describes, made once in each process.

    Raises:
        CannotTravel: if its function is not found here.

    >>> import quincunx as qx
    >>> simulator_in(parcel_of(qx.gallery.load("two_moons").simulator))
    Simulator(two_moons: jax, parameters theta)
    """
    told = json.loads(parcel)
    try:
        found = thing_at(address_in(parcel))
    except (ImportError, AttributeError, OSError) as error:
        raise CannotTravel(
            f"the simulator '{told['name']}' is not found here ({type(error).__name__}: {error}); expected {told['function']}; install "
            "its package, or put its file, where this process runs"
        ) from error
    function = found.function if isinstance(found, Simulator) else found
    prior = found.prior if told["prior"] is None else _prior_of(told["prior"])
    return Simulator(
        function,
        prior,
        name=told["name"],
        version=told["version"],
        observables=_frozen(told["observables"]),
        units=_frozen(told["units"]),
        gold=_gold_of(told.get("gold"), found),
    )


def address_in(parcel: str) -> Address | Description:
    """Where a parcel's function is found."""
    told = json.loads(parcel)["function"]
    return Description(**told) if "text" in told else Address(**told)


def _prior(simulator: Simulator, address: Address | Description) -> dict[str, Any] | None:
    try:
        spec, arrays = simulator.prior.to_state()
    except UnsupportedPrior as error:
        found = thing_at(address)
        if isinstance(found, Simulator) and found.prior is simulator.prior:
            return None
        raise CannotTravel(
            f"got the simulator '{simulator.name}' with a prior that cannot be written down ({error}); expected one of NumPyro's own "
            "distributions, or a simulator made by the decorator in its own module; do either, or run it here with workers=0"
        ) from error
    return {"spec": spec, "arrays": {name: _text(array) for name, array in arrays.items()}}


def _prior_of(told: dict[str, Any]) -> Prior:
    return Prior.from_state(told["spec"], {name: _array(text) for name, text in told["arrays"].items()})


def _gold(simulator: Simulator, address: Address | Description) -> dict[str, Any]:
    """How gold is found again: told in full, with the simulator, by the places of its functions, or not at all."""
    gold = simulator.gold
    if gold is None:
        return {}
    if isinstance(gold, Told):
        return {"told": gold.to_spec()}
    found = thing_at(address)
    there = found.gold if isinstance(found, Simulator) else Simulator(found, simulator.prior).gold
    if isinstance(there, Gold) and (there == gold or _places(there) == _places(gold)):
        return {"found": True}
    parts = {"trace": address_of_function(gold.trace), "joint_log_prob": address_of_function(gold.joint_log_prob)}
    return {name: vars(at) for name, at in parts.items() if at is not None} if None not in parts.values() else {}


def _places(gold: Gold) -> list[tuple[str | None, str | None]]:
    # What is built anew by a function is another object with the same names.
    parts = gold.trace, gold.joint_log_prob
    return [(getattr(part, "__module__", None), getattr(part, "__qualname__", None)) for part in parts]


def _gold_of(told: dict[str, Any] | None, found: Any) -> Gold | Told | None:
    if not told:
        return None
    if "told" in told:
        return Told(**told["told"])
    if "found" in told:
        return found.gold if isinstance(found, Simulator) else None
    return Gold(**{name: thing_at(Address(**at)) for name, at in told.items()})


def _text(array: np.ndarray) -> str:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array), allow_pickle=False)
    return base64.b64encode(stream.getvalue()).decode()


def _array(text: str) -> np.ndarray:
    return np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)


def _frozen(value: Any) -> Any:
    # The form in which a simulator keeps names and units, of which JSON made lists.
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value
