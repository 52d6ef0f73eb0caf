"""The posterior of some of the parameters, the others integrated out."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.infer.posterior import STANDARD_DRAWS, Posterior, flat_theta
from quincunx.infer.summary import Summary
from quincunx.model import Prior
from quincunx.notebook import fields_text, from_fields


class Marginal(eqx.Module):
    """p(a, b | x_o) by dropping the other parameters from every draw."""

    posterior: Posterior
    names: tuple[str, ...] = eqx.field(static=True)

    @property
    def prior(self) -> Prior:
        """The prior of the parameters that are kept."""
        whole = self.posterior.prior
        units = {name: unit for name, unit in whole.units.items() if name in self.names}
        return Prior({name: whole.distributions[name] for name in self.names}, units=units)

    def sample(self, n: int, *, key: PRNGKeyArray | int) -> dict[str, Array]:
        """n draws of the parameters that are kept."""
        draws = self.posterior.sample(n, key=key)
        return {name: draws[name] for name in self.names}

    def log_prob(self, theta: dict[str, Any]) -> Float[np.ndarray, "..."]:
        """An estimate of log p(a, b | x_o): a Gaussian kernel density of four thousand draws in unconstrained space.

        Good to a few per cent in one or two dimensions, rough beyond three; draws are exact in any.
        """
        from scipy.stats import gaussian_kde

        prior = self.prior
        draws = prior.flatten(self.sample(STANDARD_DRAWS, key=0))
        kernel = gaussian_kde(np.asarray(prior.to_unconstrained(draws), float).T)
        flat = flat_theta(prior, theta)
        u = prior.to_unconstrained(flat)
        value = kernel.logpdf(np.asarray(u, float).reshape(-1, u.shape[-1]).T).reshape(flat.shape[:-1])
        inside = np.isfinite(np.asarray(prior.log_prob_flat(flat)))
        return np.where(inside, value - np.asarray(prior.log_det(u)), -np.inf)

    def summary(self) -> Summary:
        """Mean, standard deviation and intervals of the parameters that are kept."""
        prior = self.prior
        draws = np.asarray(prior.flatten(self.sample(STANDARD_DRAWS, key=0)))
        return Summary.of(draws, columns=prior.columns, units=prior.units)

    def plot(self, **options: Any) -> Any:
        """Corner plot of the parameters that are kept."""
        from quincunx.plot import corner

        draws = self.prior.flatten(self.sample(STANDARD_DRAWS, key=0))
        return corner(np.asarray(draws), list(self.prior.columns), **{"bounds": self.prior.bounds, **options})

    __repr__ = fields_text
    _repr_html_ = from_fields
