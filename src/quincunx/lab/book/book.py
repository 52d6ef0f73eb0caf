"""The lab book: the one thing that remembers a run, what was planned, done, measured and made in it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jaxtyping import PRNGKeyArray
from sqlalchemy import func, select

from quincunx.errors import UnknownRun
from quincunx.lab.book import artefacts, coordinator, leases, notes, recovery, rounds, schema
from quincunx.lab.book.coordinator import Coordinator
from quincunx.lab.book.leases import Lease
from quincunx.lab.book.owner import new_owner
from quincunx.lab.book.progress import DONE
from quincunx.lab.book.reading import Reading
from quincunx.lab.book.recovery import GRACE, Recovery
from quincunx.model.simulator import Simulator
from quincunx.notebook import from_repr
from quincunx.run.keys import key_of
from quincunx.run.sharded import ShardedSimulations
from quincunx.run.shards import Shard
from quincunx.run.simulations import Simulations

__all__ = ["Book"]


@dataclass(frozen=True, repr=False, eq=False)
class Book(Reading):
    """One run's lab book: its batches and who works on them, its shards, metrics, events and artefacts.

    It is made by `begin_book` and `open_book`, holds no state but a connection, and may be used from several threads; every
    process opens it anew or, after a fork, finds it with connections of its own.

    >>> import tempfile
    >>> import numpy as np, numpyro.distributions as dist
    >>> from quincunx.lab import begin_book
    >>> from quincunx.model import Prior, wrap
    >>> from quincunx.run import simulate, write_shard
    >>> bell = wrap(lambda theta, *, rng: rng.normal(theta["mu"], 1.0, 3), Prior(mu=dist.Normal(0.0, 1.0)), name="bell")
    >>> book = begin_book(tempfile.mkdtemp() + "/run", key=0)
    >>> book.plan(100, size=50, simulator=bell)
    2
    >>> while held := book.lease("worker", 60.0):
    ...     sims = simulate(bell, held.n, key=book.key, round=held.round, start=held.first, workers=0)
    ...     _ = book.complete(held, write_shard(sims, book.shard_folder, key=book.key, round=held.round))
    >>> book
    Book of run 'run': 2 of 2 batches done, 100 simulations, none failed
    >>> book.simulations().x.shape
    (100, 3)
    """

    recovered: Recovery

    @property
    def key(self) -> PRNGKeyArray:
        """The run's key: simulation i of round r has fold_in(fold_in(key, r), i)."""
        with self.ledger.database.read() as connection:
            return key_of(
                connection.execute(select(schema.run.c.key).where(schema.run.c.id == self.ledger.run)).scalar_one()
            )

    def use(self, simulator: Simulator, *, changed: bool = False) -> int:
        """The simulator's number in the book; its code is compared with that of the run's last one.

        Raises:
            SimulatorChanged: if it differs and `changed` does not say that this is meant; it is an event in either case.

        >>> import tempfile, quincunx as qx
        >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
        >>> simulator = qx.gallery.load("two_moons").simulator
        >>> book.use(simulator) == book.use(simulator)
        True
        """
        return rounds.use(self.ledger, simulator, changed=changed)

    def plan(
        self,
        n: int,
        *,
        size: int,
        simulator: Simulator,
        round: int = 0,
        design: Mapping[str, Any] | None = None,
        decided_by: str | None = None,
        changed: bool = False,
    ) -> int:
        """Plan simulations 0 ... n-1 of a round in batches of `size`; returns how many batches are new.

        What is planned already stays as it is, so that the same call after an interruption changes nothing, and a larger n goes on
        behind what there is.

        Raises:
            SimulatorChanged: as `use`. UsageError: for another design or simulator than the round was begun with.

        >>> import tempfile, quincunx as qx
        >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
        >>> simulator = qx.gallery.load("two_moons").simulator
        >>> [book.plan(n, size=50, simulator=simulator) for n in (100, 100, 160)]
        [2, 0, 2]
        """
        number = self.use(simulator, changed=changed)
        return rounds.plan(self.ledger, number, n, size=size, round=round, design=design, decided_by=decided_by)

    def lease(self, owner: str, duration: float, *, round: int | None = None) -> Lease | None:
        """The next batch to be done, for `duration` seconds, or None when there is none now; `new_owner()` makes good names.

        >>> import tempfile, quincunx as qx
        >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
        >>> _ = book.plan(100, size=50, simulator=qx.gallery.load("two_moons").simulator)
        >>> book.lease("Ada", 60.0).first, book.lease("Bob", 60.0).first, book.lease("Cy", 60.0)
        (0, 50, None)
        """
        return leases.lease(self.ledger, owner, duration, round=round)

    def renew(self, held: Lease, duration: float) -> Lease:
        """The same lease for `duration` seconds from now.

        Raises:
            LeaseLost: if another has the batch by now, or it is done.

        >>> import tempfile, quincunx as qx
        >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
        >>> _ = book.plan(100, size=50, simulator=qx.gallery.load("two_moons").simulator)
        >>> held = book.lease("Ada", 60.0)
        >>> book.renew(held, 600.0).until > held.until
        True
        """
        return leases.renew(self.ledger, held, duration)

    def release(self, held: Lease) -> bool:
        """Give a batch back as if it had not been begun; False if the lease was lost before.

        >>> import tempfile, quincunx as qx
        >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
        >>> _ = book.plan(100, size=50, simulator=qx.gallery.load("two_moons").simulator)
        >>> held = book.lease("Ada", 60.0)
        >>> book.release(held), book.release(held)
        (True, False)
        """
        return leases.release(self.ledger, held)

    def complete(self, batch: Lease | int, shard: Shard) -> bool:
        """Report a batch's shard; True for the first report, which counts, and False for later ones, which do no harm.

        Raises:
            DataFileError, ChecksumMismatch: if the shard's file is not there or not whole.
            UsageError: if it holds other simulations than the batch's.
        """
        return leases.complete(self.ledger, batch, shard)

    def fail(self, held: Lease, said: str, *, again: bool = False) -> bool:
        """Report that a batch cannot be done and why; with `again` another may try; False if the lease was lost before.

        >>> import tempfile, quincunx as qx
        >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
        >>> _ = book.plan(100, size=50, simulator=qx.gallery.load("two_moons").simulator)
        >>> book.fail(book.lease("Ada", 60.0), "no licence for the generator")
        True
        >>> book.state
        {'todo': 1, 'leased': 0, 'done': 0, 'failed': 1}
        """
        return leases.fail(self.ledger, held, said, again=again)

    def requeue(self, batches: list[int] | None = None) -> int:
        """Put batches back to be done: those numbered, or all that failed; returns how many."""
        return leases.requeue(self.ledger, batches)

    @contextmanager
    def coordinator(self, *, duration: float = 60.0, owner: str | None = None) -> Iterator[Coordinator]:
        """Lead the run within a block; renew in time with `.stay()`.

        Raises:
            SecondCoordinator: if another leads it.

        >>> import tempfile, quincunx as qx
        >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
        >>> with book.coordinator(duration=60.0) as leader:
        ...     until = leader.stay()
        """
        leader = Coordinator(self.ledger, owner or new_owner(), duration)
        coordinator.coordinate(self.ledger, leader.owner, duration)
        try:
            yield leader
        finally:
            coordinator.resign(self.ledger, leader.owner)

    def shards(self, round: int | None = None) -> ShardedSimulations:
        """The simulations of one round or all, in their shards: nothing is in memory until it is asked for.

        Raises:
            UnknownRun: if none is done.
        """
        table = schema.batch
        asked = select(table).where(table.c.run_id == self.ledger.run, table.c.state == DONE)
        if round is not None:
            asked = asked.where(table.c.round == round)
        with self.ledger.database.read() as connection:
            rows = connection.execute(asked).all()
        if not rows:
            which = "" if round is None else f" in round {round}"
            raise UnknownRun(
                f"run '{self.name}' has no simulations{which} yet; expected some that are done; run it first"
            )
        done = [Shard(r.shard, r.sha256, r.size, r.round, r.first, r.rows, r.failed) for r in rows]
        return ShardedSimulations.of(self.shard_folder, done)

    def simulations(self, round: int | None = None) -> Simulations:
        """The simulations of one round or all, in memory; `shards` gives those that are larger.

        Raises:
            UnknownRun: if none is done. TruncatedFile, ChecksumMismatch, DataFileError: if a shard is damaged or gone.
        """
        return self.shards(round).load()

    def note(self, event: str, *, decision: bool = False, **facts: Any) -> None:
        """Write an event down; a decision is on the disk when this returns.

        >>> import tempfile, quincunx as qx
        >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
        >>> book.note("chosen", decision=True, by="Ada")
        >>> book.events("chosen")[0].facts
        {'by': 'Ada'}
        """
        notes.note(self.ledger, event, facts, decision=decision)

    def measure(self, step: int, **values: float) -> None:
        """Write numbers down that belong to a step, such as losses.

        >>> import tempfile, quincunx as qx
        >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
        >>> book.measure(0, loss=2.0)
        >>> book.measure(1, loss=1.5)
        >>> book.metrics("loss")["loss"]["value"]
        array([2. , 1.5])
        """
        notes.measure(self.ledger, step, values)

    def artefact(
        self,
        thing: Any,
        kind: str,
        *,
        name: str | None = None,
        parents: Iterable[str] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> str:
        """Keep a file, bytes, or any value that can be saved, with the hashes of what it was made from; returns its SHA-256.

        Raises:
            DataFileError, UnknownRun, UsageError: for a path, a parent or a thing that will not do.

        >>> import tempfile, quincunx as qx
        >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
        >>> network = book.artefact(b"weights", "network")
        >>> figure = book.artefact(b"<svg/>", "figure", name="corner.svg", parents=[network])
        >>> [kept.kind for kept in book.artefacts()]
        ['network', 'figure']
        >>> print(book.provenance(figure))
        figure ... artifacts/...-corner.svg
          network ... artifacts/...-network.bin
        """
        return artefacts.keep(self.ledger, thing, kind, name=name, parents=parents, facts=facts)

    def recover(self, *, thorough: bool = False, grace: float = GRACE) -> Recovery:
        """Make the ledger and the shards agree, as on opening; with `thorough` every shard is read and hashed.

        Unfinished files and duplicates are removed when they are older than `grace` seconds.

        >>> import tempfile, quincunx as qx
        >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
        >>> bool(book.recover())
        False
        """
        return recovery.recover(self.ledger, thorough=thorough, grace=grace)

    def __repr__(self) -> str:
        table = schema.batch
        asked = select(func.coalesce(func.sum(table.c.rows), 0), func.coalesce(func.sum(table.c.failed), 0))
        with self.ledger.database.read() as connection:
            rows, failed = connection.execute(asked.where(table.c.run_id == self.ledger.run)).one()
        counts = self.state
        said = f"{failed} failed" if failed else "none failed"
        return f"Book of run '{self.name}': {counts[DONE]} of {sum(counts.values())} batches done, {rows} simulations, {said}"

    _repr_html_ = from_repr
