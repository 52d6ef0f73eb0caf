"""Running simulators, and the data that come of it."""

# Imported here and now: a function and its module share a name, and whichever is set last on the package wins.
from quincunx.run.data import read_observation as read_observation
from quincunx.run.simulate import simulate as simulate
from quincunx.run.simulations import Simulations as Simulations

__all__ = ["Simulations", "read_observation", "simulate"]
