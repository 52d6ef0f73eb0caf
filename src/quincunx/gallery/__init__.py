"""The gallery: worked science problems, each with a simulator, a prior, observations, and what is exactly known.

>>> from quincunx import gallery
>>> "two_moons" in gallery.names()
True
>>> gallery.load("two_moons").prior.names
('theta',)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "catalogue": ["load", "names", "table"],
        "problem": ["Gold", "Problem", "Truth"],
    },
)
