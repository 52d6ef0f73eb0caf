"""The loop: propose, approve, measure, update on all data, check, stop or go on, with all of it in the lab book."""

from quincunx.lab.designer import Designer
from quincunx.lab.loop.history import Experiment, History
from quincunx.lab.loop.knowledge import Knowledge
from quincunx.lab.loop.loop import Loop
from quincunx.lab.loop.measuring import mock
from quincunx.lab.loop.rehearsal import Rehearsal, rehearse

__all__ = ["Designer", "Experiment", "History", "Loop", "Rehearsal", "Knowledge", "mock", "rehearse"]
