"""Running simulators, and the data that come of it."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "data": ["read_observation"],
        "paired": ["pair_told"],
        "sharded": ["ShardedSimulations"],
        "shards": ["Shard", "read_shard", "write_shard"],
        "simulate": ["simulate"],
        "simulations": ["Simulations"],
        "stream": ["Stream"],
    },
)
