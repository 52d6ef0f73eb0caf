"""The lab book: what is written down of a run while it goes on, so that it survives whatever happens."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "artefacts": ["Artefact"],
        "book": ["Book"],
        "coordinator": ["Coordinator"],
        "fingerprint": ["fingerprint", "likelihood_fingerprint"],
        "leases": ["Lease"],
        "notes": ["Event", "Failure"],
        "opening": ["begin_book", "migrate_book", "open_book"],
        "owner": ["new_owner"],
        "planned": ["Round"],
        "provenance": ["Origin", "Provenance"],
        "reading": ["Reading", "read_book"],
        "recovery": ["Recovery"],
        "standing": ["Holder", "Standing", "standing"],
    },
)
