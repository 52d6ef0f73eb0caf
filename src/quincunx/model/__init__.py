"""What a scientist writes: named priors, and simulators."""

# Imported here and now: a function and its module share a name, and whichever is set last on the package wins.
from quincunx.model.assay import assay as assay
from quincunx.model.command import Command as Command
from quincunx.model.command import Container as Container
from quincunx.model.command import Input as Input
from quincunx.model.command import Output as Output
from quincunx.model.command import command as command
from quincunx.model.command import instrument as instrument
from quincunx.model.command import snakemake as snakemake
from quincunx.model.gold import Gold as Gold
from quincunx.model.outcome import Outcome as Outcome
from quincunx.model.outcome import flatten_outcome as flatten_outcome
from quincunx.model.prior import Prior as Prior
from quincunx.model.probe import probe as probe
from quincunx.model.program import LatentPosterior as LatentPosterior
from quincunx.model.program import Program as Program
from quincunx.model.program import Trace as Trace
from quincunx.model.program import program as program
from quincunx.model.reference import Reference as Reference
from quincunx.model.simulator import Simulator as Simulator
from quincunx.model.simulator import simulator as simulator
from quincunx.model.simulator import wrap as wrap
from quincunx.model.told import Told as Told

__all__ = [
    "Command",
    "Container",
    "Gold",
    "Input",
    "LatentPosterior",
    "Outcome",
    "Output",
    "Prior",
    "Program",
    "Reference",
    "Simulator",
    "Told",
    "Trace",
    "assay",
    "command",
    "instrument",
    "flatten_outcome",
    "probe",
    "program",
    "simulator",
    "snakemake",
    "wrap",
]
