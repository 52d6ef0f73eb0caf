"""The one who leads a run: a lease on the whole, so that two do not plan and decide at the same time."""

from dataclasses import dataclass

from sqlalchemy import select, update

from quincunx.errors import LeaseLost, SecondCoordinator
from quincunx.lab.book import schema
from quincunx.lab.book.clock import seconds
from quincunx.lab.book.ledger import Ledger
from quincunx.lab.book.owner import is_dead
from quincunx.notebook import from_fields

__all__ = ["Coordinator", "coordinate", "resign", "stay"]

_run = schema.run


def coordinate(ledger: Ledger, owner: str, duration: float) -> float:
    """Become a run's coordinator for `duration` seconds; returns until when, by the database's clock.

    A coordinator whose time has run out, or whose process on this machine has ended, is succeeded at once.

    Raises:
        SecondCoordinator: if there is one.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> until = coordinate(ledger, "Ada", 60.0)
    >>> coordinate(ledger, "Bob", 60.0)
    Traceback (most recent call last):
    quincunx.errors.SecondCoordinator: run 'run' has a coordinator, Ada, for 60 s more; ...
    """
    with ledger.database.write(decision=True) as connection:
        asked = select(_run.c.coordinator, (_run.c.coordinator_until - seconds()).label("left"))
        there = connection.execute(asked.where(_run.c.id == ledger.run).with_for_update()).one()
        alone = there.coordinator in (None, owner) or there.left <= 0 or is_dead(there.coordinator)
        if alone:
            values = {"coordinator": owner, "coordinator_until": seconds() + duration}
            taken = update(_run).where(_run.c.id == ledger.run).values(**values)
            return float(connection.execute(taken.returning(_run.c.coordinator_until)).scalar_one())
    raise SecondCoordinator(
        f"run '{ledger.name}' has a coordinator, {there.coordinator}, for {there.left:.0f} s more; expected none; stop that one, wait until "
        "its time has run out, or start a worker, of which there may be many"
    )


def stay(ledger: Ledger, owner: str, duration: float) -> float:
    """Remain the coordinator for `duration` seconds from now.

    Raises:
        LeaseLost: if another has become it in the meantime.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> coordinate(ledger, "Ada", 60.0) < stay(ledger, "Ada", 600.0)
    True
    """
    with ledger.database.write() as connection:
        longer = (
            update(_run)
            .where(_run.c.id == ledger.run, _run.c.coordinator == owner)
            .values(coordinator_until=seconds() + duration)
        )
        until = connection.execute(longer.returning(_run.c.coordinator_until)).scalar()
    if until is None:
        raise LeaseLost(
            f"another coordinates run '{ledger.name}' since {owner}'s time ran out; expected to be renewed in time; stop this one"
        )
    return float(until)


def resign(ledger: Ledger, owner: str) -> None:
    """Leave the run to the next; nothing happens if another leads it already.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> until = coordinate(ledger, "Ada", 60.0)
    >>> resign(ledger, "Ada")
    >>> until = coordinate(ledger, "Bob", 60.0)
    """
    with ledger.database.write() as connection:
        mine = _run.c.id == ledger.run, _run.c.coordinator == owner
        connection.execute(update(_run).where(*mine).values(coordinator=None, coordinator_until=None))


@dataclass(frozen=True)
class Coordinator:
    """The one who leads a run, for `duration` seconds at a time."""

    ledger: Ledger
    owner: str
    duration: float

    def stay(self) -> float:
        """Lead it for `duration` seconds from now; returns until when, by the database's clock.

        Raises:
            LeaseLost: if another has taken over.
        """
        return stay(self.ledger, self.owner, self.duration)

    _repr_html_ = from_fields
