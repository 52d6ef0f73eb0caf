"""The lab: what is written down of a run, so that others can read and repeat it."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules=["book", "export", "loop", "report"],
    submod_attrs={
        "book": [
            "Artefact",
            "Book",
            "Coordinator",
            "Event",
            "Failure",
            "Holder",
            "Lease",
            "Origin",
            "Provenance",
            "Recovery",
            "Round",
            "Standing",
            "begin_book",
            "fingerprint",
            "migrate_book",
            "new_owner",
            "open_book",
            "standing",
        ],
        "answer": ["answer", "answered"],
        "carry_out": ["CarriedOut", "carry_out"],
        "designer": ["Designer"],
        "loop": ["Experiment", "History", "Knowledge", "Loop", "Rehearsal", "mock", "rehearse"],
        "failure_budget": ["FAILURE_BUDGET", "keep_to_budget"],
        "study": ["Study"],
        "submission": ["Submission", "submission"],
        "worker": ["Worked", "simulator_of", "work"],
        "report": [
            "CheckRow",
            "ComparisonRow",
            "ParameterRow",
            "Picture",
            "ReportContent",
            "from_run",
            "render_report",
            "write_report",
        ],
    },
)
