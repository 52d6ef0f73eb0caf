"""What every posterior answers, whatever it was learned from."""

import abc
import os
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import NameMismatch, ShapeMismatch
from quincunx.infer.export import to_datatree
from quincunx.infer.misspecification import Misspecification
from quincunx.infer.posterior_card import posterior_card, posterior_text
from quincunx.infer.reading import Observation
from quincunx.infer.run import Run
from quincunx.infer.summary import Summary
from quincunx.model import Prior
from quincunx.values import as_key, save

STANDARD_DRAWS = 4000
"""How many draws `summary`, `plot` and `diagnostics` take when none are handed to them."""


class Posterior(eqx.Module):
    """p(theta | x_o): draws, density, and everything derived from them.

    Parameters travel by name; draws come as a dict of arrays with a leading axis. Whatever is random takes an explicit
    `key` (an integer will do), and the same key gives the same answer.
    """

    prior: eqx.AbstractVar[Prior]
    observation: eqx.AbstractVar[Observation]
    misspecification: eqx.AbstractVar[Misspecification | None]
    notes: eqx.AbstractVar[tuple[str, ...]]

    @abc.abstractmethod
    def run(self, n: int, *, key: PRNGKeyArray | int) -> Run:
        """n draws together with the diagnostics and warnings of the run that made them."""

    @abc.abstractmethod
    def log_prob_flat(self, theta: Float[Array, "n d"]) -> Float[Array, " n"]:
        """log p(theta | x_o) of flat parameters; minus infinity outside the prior's support."""

    @abc.abstractmethod
    def given(self, x_new: Any, *, design: Any = None) -> "Posterior":
        """The posterior for another observation by the same estimator: nothing is trained or compiled again."""

    @abc.abstractmethod
    def sample_many(self, n: int, x: Any, *, key: PRNGKeyArray | int, design: Any = None) -> dict[str, Array]:
        """n draws for each of a batch of observations: x has a leading axis B, the draws have (B, n, ...)."""

    @abc.abstractmethod
    def log_prob_many(self, theta: dict[str, Any], x: Any, *, design: Any = None) -> Float[Array, "..."]:
        """log p(theta | x) over a batch of observations: theta has (B, ...) or (B, n, ...), x has (B, ...)."""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, in order."""
        return tuple(self.prior.names)

    @property
    def x_o(self) -> Any:
        """The observation, as it was handed over."""
        return self.observation.x

    @property
    def design(self) -> dict[str, Any] | None:
        """The settings of the observation, or None."""
        return self.observation.design

    def sample(self, n: int, *, key: PRNGKeyArray | int) -> dict[str, Array]:
        """n draws of theta given x_o, by name: arrays of shape (n, ...)."""
        return named_theta(self.prior, self.run(n, key=key).theta)

    def log_prob(self, theta: dict[str, Any]) -> Float[Array, "..."]:
        """log p(theta | x_o) for parameters by name with any leading axes; minus infinity outside the support.

        Raises:
            NameMismatch: if a parameter is missing or unknown.
        """
        flat = flat_theta(self.prior, theta)
        batch = flat.shape[:-1]
        value = self.log_prob_flat(jnp.asarray(flat.reshape(-1, flat.shape[-1])))
        return jnp.asarray(np.asarray(value).reshape(batch))

    def standard_run(self) -> Run:
        """The run behind `summary`, `plot` and `diagnostics`: four thousand draws with key 0, made afresh every time."""
        return self.run(STANDARD_DRAWS, key=0)

    @property
    def diagnostics(self) -> dict[str, Any]:
        """What the sampler says about its standard run: sampler, reason it stopped, ESS, R-hat, divergences, Pareto-k."""
        return self.standard_run().diagnostics

    @property
    def warnings(self) -> tuple[str, ...]:
        """Everything to know before believing the answer, as sentences; empty if nothing is amiss."""
        test = self.misspecification
        return ((test.message(),) if test is not None and test.is_suspect else ()) + self.notes

    def summary(self, run: Run | None = None) -> Summary:
        """Mean, standard deviation, 68 % and 95 % intervals, ESS and R-hat of every parameter."""
        run = self.standard_run() if run is None else run
        return Summary.of(
            np.asarray(run.theta), columns=self.prior.columns, units=self.prior.units, ess=run.ess, r_hat=run.r_hat
        )

    def map(self, *, key: PRNGKeyArray | int = 0) -> dict[str, Array]:
        """The parameters of highest posterior density in theta-space (not invariant under reparametrisation)."""
        from quincunx.infer.mode import mode

        return mode(self, key=as_key(key))

    def marginal(self, *names: str) -> "Any":
        """The posterior of some of the parameters alone, the others integrated out."""
        from quincunx.infer.marginal import Marginal

        return Marginal(self, self._known(names))

    def conditional(self, **fixed: Any) -> "Posterior":
        """The posterior of the other parameters with some held at given values: p(b | a = value, x_o)."""
        from quincunx.infer.conditional import conditional_posterior

        self._known(tuple(fixed))
        return conditional_posterior(self, fixed)

    def plot(self, run: Run | None = None, *, truth: dict[str, Any] | None = None, **options: Any) -> Any:
        """Corner plot of the draws, with the prior behind and a truth if one is given: a Matplotlib figure."""
        from quincunx.plot import corner

        run = self.standard_run() if run is None else run
        background = self.prior.sample_flat(STANDARD_DRAWS, key=as_key(1))
        return corner(
            np.asarray(run.theta),
            list(self.prior.columns),
            **{
                "bounds": self.prior.bounds,
                "prior": np.asarray(background),
                "truth": None if truth is None else np.asarray(flat_theta(self.prior, truth)),
                **options,
            },
        )

    def to_arviz(self, n: int = STANDARD_DRAWS, *, key: PRNGKeyArray | int = 0) -> Any:
        """Posterior and prior draws and the observation as an ArviZ DataTree, with names and units."""
        k_posterior, k_prior = jax.random.split(as_key(key))
        x = self.x_o
        return to_datatree(
            {k: np.asarray(v) for k, v in self.sample(n, key=k_posterior).items()},
            prior={k: np.asarray(v) for k, v in self.prior.sample(n, key=k_prior).items()},
            observed={k: np.asarray(v) for k, v in (x.items() if isinstance(x, dict) else [("x", x)])},
            units=self.prior.units,
            attributes={"inference_library": "quincunx"},
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the posterior to one file; `quincunx.load` reads it back without the simulator."""
        return save(self, path)

    def __repr__(self) -> str:
        return posterior_text(self)

    def _repr_html_(self) -> str:
        return posterior_card(self, drawn=False)

    def _known(self, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [n for n in names if n not in self.names]
        if unknown or not names:
            raise NameMismatch(
                f"got parameter(s) {', '.join(map(repr, unknown)) or 'none'}; expected some of {', '.join(self.names)}"
            )
        return names


def flat_theta(prior: Prior, theta: dict[str, Any]) -> Float[np.ndarray, "*batch d"]:
    """Flat parameters from named ones, on the host, with every name and shape accounted for.

    Raises:
        NameMismatch: if a parameter is missing or unknown.
        ShapeMismatch: if shapes do not fit together.
    """
    arrays = {name: np.asarray(value, np.float32) for name, value in theta.items()}
    leading = prior.check(arrays)
    return np.concatenate([arrays[name].reshape(*leading, -1) for name in prior.names], axis=-1)


def named_theta(prior: Prior, flat: Float[Array | np.ndarray, "*batch d"]) -> dict[str, Array]:
    """Named parameters from flat ones; cut on the host, where that needs no compilation."""
    flat = np.asarray(flat)
    named, start = {}, 0
    for name, shape in prior.shapes.items():
        size = int(np.prod(shape, dtype=int))
        named[name] = jnp.asarray(flat[..., start : start + size].reshape(*flat.shape[:-1], *shape))
        start += size
    return named


def paired_theta(prior: Prior, theta: dict[str, Any]) -> tuple[Float[np.ndarray, "b n d"], bool]:
    """Flat parameters for a batch of observations, (B, n, d), and whether there was one for each observation."""
    flat = flat_theta(prior, theta)
    if flat.ndim not in (2, 3):
        raise ShapeMismatch(
            f"got parameters with leading axes {flat.shape[:-1]}; expected (B,) or (B, n), B being the number of observations"
        )
    return (flat[:, None], True) if flat.ndim == 2 else (flat, False)
