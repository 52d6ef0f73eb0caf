"""The deep set: a network of a set of events, of any number, in any order."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.learn.build import register
from quincunx.learn.networks.resmlp import ResidualMLP
from quincunx.learn.networks.sets import Events, events_and_mask
from quincunx.learn.networks.start import fresh_keys


class DeepSet(eqx.Module):
    """n events of `in_size` numbers -> (out_size,): outer(mean_i inner(x_i), log n), after 1703.06114.

    Takes `{"events": (n_max, in_size), "mask": (n_max,)}` or an array (n, in_size); n may differ from call to call and
    from training. Invariant under permutations of the events and under whatever the masked rows hold. The mean, with
    log n beside it, keeps the scale of what the outer network sees the same for every n; an empty set has mean zero
    and log n = -1.

    >>> import jax, jax.numpy as jnp
    >>> net = DeepSet(in_size=2, out_size=3, width=8, key=jax.random.key(0))
    >>> x = jnp.arange(6.0).reshape(3, 2)
    >>> bool(jnp.allclose(net(x), net(x[::-1]), atol=1e-5))
    True
    """

    inner: ResidualMLP
    outer: ResidualMLP
    in_size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)

    def __init__(
        self,
        *,
        in_size: int,
        out_size: int,
        key: PRNGKeyArray,
        width: int = 64,
        depth: int = 2,
        pooled: int | None = None,
        activation: str = "silu",
    ):
        k_inner, k_outer = fresh_keys(key, 2)
        pooled = width if pooled is None else pooled
        self.inner = ResidualMLP(
            in_size=in_size, out_size=pooled, width=width, depth=depth, activation=activation, key=k_inner
        )
        self.outer = ResidualMLP(
            in_size=pooled + 1, out_size=out_size, width=width, depth=1, activation=activation, key=k_outer
        )
        self.in_size, self.out_size = in_size, out_size

    def __call__(self, x: Events) -> Float[Array, " out"]:
        """The set's embedding."""
        events, mask = events_and_mask(x)
        n = jnp.sum(mask)
        total = jnp.sum(jnp.where(mask[:, None], jax.vmap(self.inner)(events), 0.0), axis=0)
        log_n = jnp.where(n > 0, jnp.log(jnp.maximum(n, 1)), -1.0)
        return self.outer(jnp.concatenate([total / jnp.maximum(n, 1), log_n[None]]))


register("deepset")(DeepSet)
