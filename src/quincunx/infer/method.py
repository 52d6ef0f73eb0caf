"""What a method of inference is: options in, an estimator out; and the methods by name."""

import abc
import dataclasses
import difflib
import importlib
from typing import Any, ClassVar

from jaxtyping import PRNGKeyArray

from quincunx.errors import UnknownMethod
from quincunx.infer.estimator import Estimator
from quincunx.learn import FitSettings
from quincunx.learn.fit import Progress
from quincunx.model import Prior, Reference, Simulator
from quincunx.notebook import from_fields
from quincunx.run import Simulations

_HOMES = {
    "npe": ("quincunx.infer.npe", "NPE"),
    "nle": ("quincunx.infer.nle", "NLE"),
    "nre": ("quincunx.infer.nre", "NRE"),
    "ratio": ("quincunx.infer.ratio", "Ratio"),
    "fmpe": ("quincunx.infer.fmpe", "FMPE"),
    "npse": ("quincunx.infer.npse", "NPSE"),
    "auto": ("quincunx.infer.auto", "Auto"),
    "carl": ("quincunx.infer.gold_ratios", "CARL"),
    "rolr": ("quincunx.infer.gold_ratios", "ROLR"),
    "alice": ("quincunx.infer.gold_ratios", "ALICE"),
    "cascal": ("quincunx.infer.gold_ratios", "CASCAL"),
    "rascal": ("quincunx.infer.gold_ratios", "RASCAL"),
    "alices": ("quincunx.infer.gold_ratios", "ALICES"),
    "scandal": ("quincunx.infer.scandal", "SCANDAL"),
    "sally": ("quincunx.infer.sally", "SALLY"),
    "sallino": ("quincunx.infer.sally", "SALLINO"),
}


class Method(abc.ABC):
    """Options of one method of inference; every subclass is a frozen dataclass and final."""

    name: ClassVar[str]
    members: int | None
    embedding: Any
    x_scale: str
    screen: bool = False
    settings: FitSettings | None
    sampler: str

    @abc.abstractmethod
    def fit(
        self, sims: Simulations, prior: Prior, *, key: PRNGKeyArray | int, progress: Progress | None = None
    ) -> Estimator:
        """Learn from simulations; the estimator answers for any observation afterwards."""

    @property
    def default_settings(self) -> FitSettings:
        """How its networks are trained when `settings` is None."""
        return FitSettings()

    def members_for(self, n: int) -> int:
        """How many networks learn from n simulations."""
        return self.members or 1

    @property
    def takes_sets(self) -> bool:
        """Whether the networks read whole sets of events, which then must be simulated as such."""
        return self.name in ("npe", "fmpe", "npse", "auto")

    @property
    def density_of_cells(self) -> bool:
        """Whether its density gives whole numbers probabilities, so that nothing need be added to them."""
        return False

    def mines(self, prior: Prior) -> bool | Reference:
        """What gold its simulations must carry: none, the joint score, or the joint ratio to a reference too (see `simulate`)."""
        return False

    def before(self, simulator: Simulator, budget: int, *, key: PRNGKeyArray, **settings: Any) -> "tuple[Method, int]":
        """Whatever the method wants simulated besides draws from the prior: the method with it, and the budget that is left."""
        return self, budget

    def describe(self) -> dict[str, Any]:
        """The method's name and options as JSON, for files and reports."""
        return {"method": self.name, **{k: v for k, v in _plain(self).items() if v is not None}}

    _repr_html_ = from_fields


def method_names() -> tuple[str, ...]:
    """The names that `method=` accepts."""
    return tuple(_HOMES)


def method_named(method: str | Method, **options: Any) -> Method:
    """A method by its name (in any case), or the method itself.

    Raises:
        UnknownMethod: if no method has that name.

    >>> method_named("NPE").name
    'npe'
    """
    if isinstance(method, Method):
        return dataclasses.replace(method, **options) if options else method
    wanted = str(method).lower()
    if wanted not in _HOMES:
        near = difflib.get_close_matches(wanted, _HOMES, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "choose one of those, or pass a method object such as NPE()"
        raise UnknownMethod(f"got method '{method}'; expected one of {', '.join(_HOMES)}; {hint}")
    module, cls = _HOMES[wanted]
    return getattr(importlib.import_module(module), cls)(**options)


def _plain(value: Any) -> Any:
    if isinstance(value, Simulations):
        return f"{len(value)} simulations"
    if isinstance(value, FitSettings) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value
