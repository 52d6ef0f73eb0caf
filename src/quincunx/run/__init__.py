"""Running simulators, and the data that come of it."""

# Imported here and now: a function and its module share a name, and whichever is set last on the package wins.
from quincunx.run.data import read_observation as read_observation
from quincunx.run.paired import pair_told as pair_told
from quincunx.run.sharded import ShardedSimulations as ShardedSimulations
from quincunx.run.shards import Shard as Shard
from quincunx.run.shards import read_shard as read_shard
from quincunx.run.shards import write_shard as write_shard
from quincunx.run.simulate import simulate as simulate
from quincunx.run.simulations import Simulations as Simulations
from quincunx.run.stream import Stream as Stream

__all__ = [
    "Shard",
    "ShardedSimulations",
    "Simulations",
    "Stream",
    "pair_told",
    "read_observation",
    "read_shard",
    "simulate",
    "write_shard",
]
