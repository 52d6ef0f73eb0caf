from .data import read_observation as read_observation
from .paired import pair_told as pair_told
from .sharded import ShardedSimulations as ShardedSimulations
from .shards import Shard as Shard
from .shards import read_shard as read_shard
from .shards import write_shard as write_shard
from .simulate import simulate as simulate
from .simulations import Simulations as Simulations
from .stream import Stream as Stream

__all__: list[str]
