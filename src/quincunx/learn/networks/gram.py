"""Ratios whose dependence on theta is a polynomial, positive by construction."""

import itertools
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.build import Spec, build, register
from quincunx.learn.networks.resmlp import ResidualMLP
from quincunx.learn.networks.start import fresh_keys


class GramRatio(eqx.Module):
    """(theta (d,), x) -> (): log of m^T A(x) A(x)^T m over m^T B B^T m, m the monomials of theta up to `degree`.

    For amplitudes that are polynomials of that degree, sigma(theta) p(x | theta) = m^T G(x) m with a positive G, and sigma(theta) likewise
    (1805.00013): A(x), upper triangular, comes from a residual network, B is learned beside it. Both are the identity before
    training, that is ratio one. There is nothing to extrapolate: outside the training range the dependence on theta is still exact.

    >>> import jax
    >>> net = GramRatio(theta_size=2, x_size=3, width=8, depth=1, key=jax.random.key(0))
    >>> float(net(jnp.array([2.0, -1.0]), jnp.ones(3)))
    0.0
    """

    embedding: Any
    body: ResidualMLP
    norm: Float[Array, " p"]
    powers: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    def __init__(
        self,
        *,
        theta_size: int,
        x_size: int,
        key: PRNGKeyArray,
        degree: int = 1,
        width: int = 128,
        depth: int = 3,
        activation: str = "silu",
        embedding: Spec | None = None,
    ):
        k_embed, k_body = fresh_keys(key, 2)
        self.powers = monomials(theta_size, degree)
        m = len(self.powers)
        size = m * (m + 1) // 2
        self.embedding = None if embedding is None else build(embedding, key=k_embed)
        self.body = ResidualMLP(
            in_size=x_size,
            out_size=size,
            key=k_body,
            width=width,
            depth=depth,
            activation=activation,
            zero_last=True,
        )
        self.norm = jnp.zeros(size)

    def __call__(self, theta: Float[Array, " d"], x: PyTree) -> Float[Array, ""]:
        """The log-ratio."""
        m = jnp.stack([jnp.prod(theta ** jnp.array(power)) for power in self.powers])
        seen = x if self.embedding is None else self.embedding(x)
        return self._log_form(self.body(seen), m) - self._log_form(self.norm, m)

    def _log_form(self, entries: Float[Array, " p"], m: Float[Array, " m"]) -> Float[Array, ""]:
        size = m.shape[0]
        triangle = jnp.eye(size).at[np.triu_indices(size)].add(entries)
        # An event that no amplitude makes has ratio zero; its logarithm must still have a gradient.
        return jnp.log(jnp.sum((triangle.T @ m) ** 2) + 1e-12)


def monomials(variables: int, degree: int) -> tuple[tuple[int, ...], ...]:
    """The powers of every monomial up to a total degree, the constant first.

    >>> monomials(2, 2)
    ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
    """
    found = []
    for total in range(degree + 1):
        for chosen in itertools.combinations_with_replacement(range(variables), total):
            found.append(tuple(chosen.count(i) for i in range(variables)))
    return tuple(found)


register("gram_ratio")(GramRatio)
