"""Every way to be refused or warned, by name.

Each message says what was got, what was expected and what to do about it. Nothing here imports anything heavy, so that
the command line can catch these classes without loading JAX.
"""

from collections.abc import Mapping
from typing import Any

from quincunx.errors.warned import (
    AsymptoticWarning,
    CalibrationWarning,
    ConstantColumnWarning,
    EnsembleSpreadWarning,
    FailureWarning,
    FewSimulationsWarning,
    MisspecificationWarning,
    PromotionWarning,
    QuincunxWarning,
    RecoveryWarning,
    SamplerWarning,
)

__all__ = [
    "AllSimulationsFailed",
    "AlreadyTold",
    "AsymptoticWarning",
    "BatchAxisError",
    "CalibrationWarning",
    "CannotTravel",
    "ChecksumMismatch",
    "CommandNotFound",
    "ConstantColumnWarning",
    "CorruptFile",
    "DataFileError",
    "DesignOutsideSpace",
    "DirectDependence",
    "DiskFull",
    "DuplicateSite",
    "EnsembleSpreadWarning",
    "ExecutorBroken",
    "ExperimentFailed",
    "FailureWarning",
    "FewSimulationsWarning",
    "ImproperBelief",
    "Interrupted",
    "InvalidSimulations",
    "LeaseLost",
    "LedgerBusy",
    "LedgerUnreachable",
    "LoopStopped",
    "MissingExtra",
    "MisspecificationWarning",
    "MovingSupport",
    "NameMismatch",
    "NetworkFolder",
    "NoDensity",
    "NoGold",
    "NoTruth",
    "NonFiniteGold",
    "NonFiniteObservation",
    "NotApproved",
    "NotEnumerable",
    "OutputNotEmpty",
    "OutsideReference",
    "PromotionWarning",
    "QuincunxError",
    "QuincunxWarning",
    "ReadOnlyFolder",
    "ReadOnlyStudio",
    "RecoveryWarning",
    "SamplerWarning",
    "SchemaTooNew",
    "SchemaTooOld",
    "ScratchError",
    "SecondCoordinator",
    "ShapeMismatch",
    "SimulationFailed",
    "SimulatorChanged",
    "SimulatorError",
    "SomeFailed",
    "TooFewSimulations",
    "TooManyAssignments",
    "TooManyFailures",
    "TruncatedFile",
    "UnexplainedData",
    "UnknownKind",
    "UnknownMethod",
    "UnknownPlaceholder",
    "UnknownProblem",
    "UnknownRun",
    "Unnormalised",
    "UnsafeFile",
    "UnsupportedPrior",
    "UnusedParameter",
    "UsageError",
    "ZeroProbability",
]


class QuincunxError(Exception):
    """Anything Quincunx refuses.

    >>> str(NameMismatch("got 'a'; expected 'b'; rename it"))
    "got 'a'; expected 'b'; rename it"
    >>> issubclass(NameMismatch, QuincunxError)
    True
    """


class NameMismatch(QuincunxError):
    """Names of parameters, observables, columns or settings that do not agree."""


class ShapeMismatch(QuincunxError):
    """An array whose shape or dtype is not the one expected."""


class BatchAxisError(QuincunxError):
    """A simulator that mixes up its batch axis: a wrong length, or an outcome that depends on its neighbours."""


class NonFiniteObservation(QuincunxError):
    """An observation that holds NaN or infinity."""


class UnsupportedPrior(QuincunxError):
    """A prior that is discrete, has no known map to unconstrained space, or cannot be written down."""


class AllSimulationsFailed(QuincunxError):
    """Not a single simulation gave a finite outcome."""


class SimulatorError(QuincunxError):
    """A simulator that cannot be called, or that raises wherever it is called."""


class CannotTravel(QuincunxError):
    """A simulator that other processes cannot be given: a lambda, a local function, or one of a notebook or a script."""


class CommandNotFound(QuincunxError):
    """A program, a file of code or a container engine that is not there, found out before anything is run."""


class ScratchError(QuincunxError):
    """A directory for the files of simulations that cannot be written to: read-only, or on a full disk."""


class UnknownPlaceholder(QuincunxError):
    """A placeholder in a template which stands for nothing, or a brace that is not one."""


class SimulationFailed(QuincunxError):
    """One simulation that ended without an outcome, which is data: it is kept, counted and never tried with a new seed.

    `outcome` is one of failed, signal, timeout, oom, bad_output, lost and cancelled; `stderr` the end of what it said.

    >>> error = SimulationFailed("failed", "exit code 3", "singular matrix")
    >>> error.outcome, str(error)
    ('failed', 'failed: exit code 3; it said: singular matrix')
    """

    def __init__(self, outcome: str, detail: str, stderr: str = ""):
        super().__init__(outcome, detail, stderr)
        self.outcome, self.detail, self.stderr = outcome, detail, stderr

    def __str__(self) -> str:
        return f"{self.outcome}: {self.detail}" + (f"; it said: {self.stderr}" if self.stderr else "")


class SomeFailed(QuincunxError):
    """A batch in which some simulations failed: `x` holds the outcomes of all, NaN where `failures`, by row, has one, or
    is None where none has an outcome.

    >>> error = SomeFailed([[1.0], [float("nan")]], {1: SimulationFailed("timeout", "no result within 5 s")})
    >>> str(error)
    '1 of a batch failed; the first: timeout: no result within 5 s'
    """

    def __init__(self, x: Any, failures: Mapping[int, SimulationFailed]):
        super().__init__(x, failures)
        self.x, self.failures = x, failures

    def __str__(self) -> str:
        return f"{len(self.failures)} of a batch failed; the first: {next(iter(self.failures.values()))}"


class TooFewSimulations(QuincunxError):
    """Fewer simulations than anything can be learned from."""


class TooManyFailures(QuincunxError):
    """More failed simulations than a run allows; all of them are kept, and the run can be resumed."""


class InvalidSimulations(QuincunxError):
    """Failed simulations handed to a method that cannot account for them."""


class DataFileError(QuincunxError):
    """A data file that is missing, unreadable, or has a missing column or a text cell where a number belongs."""


class OutputNotEmpty(QuincunxError):
    """An output directory that already holds something, which is never overwritten silently."""


class UnknownMethod(QuincunxError):
    """A method's name that is not one of the registered ones."""


class UnknownProblem(QuincunxError):
    """A gallery problem's name that is not one of the shipped ones."""


class UnknownKind(QuincunxError):
    """A kind of value or network that no loaded module registers."""


class SchemaTooNew(QuincunxError):
    """A file written under a newer schema than this version reads."""


class SchemaTooOld(QuincunxError):
    """A lab book of an older schema, to be migrated before it is used."""


class UnsafeFile(QuincunxError):
    """A file that would have to execute code to be read (a pickle, an object array)."""


class CorruptFile(QuincunxError):
    """A file that is damaged, cut short, or not one of ours."""


class TruncatedFile(CorruptFile):
    """A file that ends before it should: its writer was killed, or a copy was cut short."""


class ChecksumMismatch(CorruptFile):
    """A file whose bytes are not those that were written."""


class DiskFull(QuincunxError):
    """A disk or a quota without room for what is to be written; what was written before stays whole."""


class ReadOnlyFolder(QuincunxError):
    """A folder in which nothing may be written."""


class NetworkFolder(QuincunxError):
    """A SQLite lab book on a network file system, where its locks and its shared memory do not work."""


class LedgerBusy(QuincunxError):
    """A lab book that another process kept locked for longer than anyone should wait."""


class LedgerUnreachable(QuincunxError):
    """A database server that does not answer, or lets nobody in."""


class UnknownRun(QuincunxError):
    """A lab book, a run, a round or an artefact that is not there."""


class ExecutorBroken(QuincunxError):
    """Workers that end again and again before any work is done; what is done is kept, and the run can be resumed."""


class SecondCoordinator(QuincunxError):
    """A second coordinator on a run that has one already."""


class LeaseLost(QuincunxError):
    """A lease that ran out and was given to another worker, or whose batch is done."""


class SimulatorChanged(QuincunxError):
    """A simulator whose code is not the one that made the run's earlier simulations."""


class MissingExtra(QuincunxError):
    """An optional dependency that is not installed.

    >>> str(MissingExtra("bench"))
    "this needs the optional extra 'bench', which is not installed; run: pip install 'quincunx[bench]'"
    """

    def __init__(self, extra: str, what: str = "this"):
        self.extra = extra
        super().__init__(
            f"{what} needs the optional extra '{extra}', which is not installed; run: pip install 'quincunx[{extra}]'"
        )


class ReadOnlyStudio(QuincunxError):
    """Something was to be done in a studio that only shows."""


class UsageError(QuincunxError):
    """A call or a command whose arguments make no sense together."""


class NoTruth(QuincunxError):
    """A truth asked of a problem which does not know it."""


class Interrupted(QuincunxError):
    """Work stopped by Ctrl-C, with what is done kept and the command that goes on from there.

    >>> error = Interrupted("stopped after 300 of 1000 simulations", resume="quincunx resume out")
    >>> error.resume
    'quincunx resume out'
    >>> str(error)
    'stopped after 300 of 1000 simulations; to go on: quincunx resume out'
    """

    def __init__(self, message: str = "interrupted", *, resume: str | None = None):
        self.resume = resume
        super().__init__(message if resume is None else f"{message}; to go on: {resume}")


class DirectDependence(QuincunxError):
    """An outcome that depends on the parameters otherwise than through a program's draws: joint ratio and score know nothing of it."""


class DuplicateSite(QuincunxError):
    """Two draws of a program that go by one name."""


class MovingSupport(QuincunxError):
    """A draw whose range of possible values depends on the parameters: its joint ratio and score are wrong, not just noisy."""


class NoGold(QuincunxError):
    """Gold asked of a simulator that tells nothing of its inside, or simulations that carry none."""


class DesignOutsideSpace(QuincunxError):
    """Settings of an experiment that are not in the space of those it can be run at."""


class ImproperBelief(QuincunxError):
    """A belief that is no probability distribution, of which an experiment could teach infinitely much."""


class NoDensity(QuincunxError):
    """A density that is needed, of outcomes or of parameters, and that nobody has written down or learned."""


class NonFiniteGold(QuincunxError):
    """A joint score or ratio that is NaN or infinite."""


class NotEnumerable(QuincunxError):
    """A latent draw with infinitely many values, where all of them were to be added up."""


class OutsideReference(QuincunxError):
    """Parameters under which something can happen that the reference of a ratio says cannot."""


class UnexplainedData(QuincunxError):
    """Data that are impossible at every parameter of the prior."""


class NotApproved(QuincunxError):
    """Data while no experiment is awaited, without the settings at which they were measured."""


class LoopStopped(QuincunxError):
    """A loop that has stopped, or waits for somebody to look at a failed check."""


class ExperimentFailed(QuincunxError):
    """An experiment that raised an error, or was not done in time."""


class AlreadyTold(QuincunxError):
    """The same data told twice."""


class TooManyAssignments(QuincunxError):
    """More combinations of latent values than can be added up one by one."""


class Unnormalised(QuincunxError):
    """A program whose density is not that of what it draws: it has a factor, a scaled site, or a plate with rows left out."""


class UnusedParameter(QuincunxError):
    """A parameter on which no draw of a simulator depends."""


class ZeroProbability(QuincunxError):
    """A condition that has probability zero."""
