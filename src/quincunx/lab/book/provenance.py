"""Where something comes from: figure, posterior, network, shards, and at the root the simulator, its version and the run's key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from quincunx.errors import UnknownRun
from quincunx.lab.book import schema
from quincunx.lab.book.artefacts import Artefact
from quincunx.lab.book.ledger import Ledger
from quincunx.notebook import from_fields, from_repr

__all__ = ["Origin", "Provenance", "provenance"]

_SOME = 500


@dataclass(frozen=True)
class Origin:
    """Simulations at the root: a round's number and design, how many were used, and by which simulator under which key they were made."""

    round: int
    shards: int
    simulations: int
    simulator: str
    version: str
    fingerprint: str
    key: str
    design: Mapping[str, Any]

    _repr_html_ = from_fields


@dataclass(frozen=True, repr=False)
class Provenance:
    """An artefact and all it was made from: `artefacts` by hash, `parents` of each, and the `origins` of the shards among them."""

    sha256: str
    artefacts: Mapping[str, Artefact]
    parents: Mapping[str, tuple[str, ...]]
    origins: tuple[Origin, ...]

    def __repr__(self) -> str:
        lines: list[str] = []
        self._tell(self.sha256, 0, lines, set())
        for origin in self.origins:
            many = f"{origin.simulations} simulations in {origin.shards} shards"
            lines.append(
                f"{many}: round {origin.round} of {origin.simulator} {origin.version}, code {origin.fingerprint[:12]}, "
                f"key {origin.key}" + (f", design {dict(origin.design)}" if origin.design else "")
            )
        return "\n".join(lines)

    def _tell(self, sha256: str, depth: int, lines: list[str], told: set[str]) -> None:
        artefact = self.artefacts[sha256]
        if artefact.kind == "shard" and depth:
            return
        again = sha256 in told
        told.add(sha256)
        lines.append(f"{'  ' * depth}{artefact.kind} {sha256[:12]} {artefact.path}{' (above)' if again else ''}")
        for parent in () if again else self.parents.get(sha256, ()):
            self._tell(parent, depth + 1, lines, told)

    _repr_html_ = from_repr


def provenance(ledger: Ledger, sha256: str) -> Provenance:
    """Everything that an artefact was made from, directly or through others.

    Raises:
        UnknownRun: if there is no such artefact.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> from quincunx.lab.book.artefacts import keep
    >>> figure = keep(ledger, b"<svg/>", "figure", parents=[keep(ledger, b"abc", "network")])
    >>> [kept.kind for kept in provenance(ledger, figure).artefacts.values()]
    ['figure', 'network']
    """
    links, table = schema.parent, schema.artifact
    parents: dict[str, tuple[str, ...]] = {}
    found: dict[str, Artefact] = {}
    ahead = [sha256]
    with ledger.database.read() as connection:
        while ahead:
            some, ahead = ahead[:_SOME], ahead[_SOME:]
            asked = select(table).where(table.c.run_id == ledger.run, table.c.sha256.in_(some))
            for row in connection.execute(asked):
                found[row.sha256] = Artefact(row.sha256, row.kind, row.path, json.loads(row.facts), row.created)
            made = select(links).where(links.c.run_id == ledger.run, links.c.child.in_(some)).order_by(links.c.parent)
            for row in connection.execute(made):
                parents[row.child] = (*parents.get(row.child, ()), row.parent)
            waiting = set(ahead)
            ahead += [
                p
                for p in dict.fromkeys(p for c in some for p in parents.get(c, ()))
                if p not in found and p not in waiting
            ]
    if sha256 not in found:
        raise UnknownRun(f"got '{sha256}'; expected the SHA-256 of an artefact of run '{ledger.name}'; see artefacts()")
    return Provenance(sha256, found, parents, _origins(ledger, found))


def _origins(ledger: Ledger, found: Mapping[str, Artefact]) -> tuple[Origin, ...]:
    counts: dict[int, list[int]] = {}
    for artefact in found.values():
        if artefact.kind == "shard":
            counts.setdefault(int(artefact.facts["round"]), []).append(int(artefact.facts["rows"]))
    run, made, round_ = schema.run, schema.simulator, schema.round_
    asked = (
        select(round_.c.round, round_.c.design, made.c.name, made.c.version, made.c.fingerprint, run.c.key)
        .join(made, made.c.id == round_.c.simulator_id)
        .join(run, run.c.id == round_.c.run_id)
        .where(round_.c.run_id == ledger.run)
        .order_by(round_.c.round)
    )
    with ledger.database.read() as connection:
        rows = connection.execute(asked).all()
    return tuple(
        Origin(
            row.round,
            len(counts[row.round]),
            sum(counts[row.round]),
            row.name,
            row.version,
            row.fingerprint,
            row.key,
            json.loads(row.design),
        )
        for row in rows
        if row.round in counts
    )
