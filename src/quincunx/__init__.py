"""Quincunx: from a simulator and an observation to a checked answer.

The names below are the public door. Nothing heavy is imported until one of them is used, and no global JAX flag is
ever changed.

>>> import quincunx as qx
>>> "simulate" in dir(qx)
True
"""

import lazy_loader as _lazy

from quincunx._version import __version__ as __version__

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ = [*__all__, "__version__"]
