"""Programs in any language as simulators: declared as plain data, run without a shell, and watched."""

from quincunx.model.command.container import Container as Container
from quincunx.model.command.declaration import Command as Command
from quincunx.model.command.given import Input as Input
from quincunx.model.command.instrument import instrument as instrument
from quincunx.model.command.output import Output as Output
from quincunx.model.command.simulator import command as command
from quincunx.model.command.snakefile import snakemake as snakemake

__all__ = ["Command", "Container", "Input", "Output", "command", "instrument", "snakemake"]
