"""Learning: functionals, networks, flows, and the one loop that fits them. Knows arrays, never simulators."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["functionals", "networks", "flows"],
    submod_attrs={
        "build": ["build", "kinds", "register", "skeleton"],
        "fit": ["Fit", "FitSettings", "fit"],
        "scale": ["Scale"],
        "surrogate": ["Surrogate"],
    },
)
