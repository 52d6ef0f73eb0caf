"""The loop: propose, approve, measure, update on all data, check, stop or go on, with all of it in the lab book."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "history": ["Experiment", "History"],
        "knowledge": ["Knowledge"],
        "emulating": ["emulator"],
        "learning": ["learn_likelihood"],
        "loop": ["Loop"],
        "measuring": ["mock"],
        "rehearsal": ["Rehearsal", "rehearse"],
    },
)
