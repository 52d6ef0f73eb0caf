"""The tables of the lab book: one schema for SQLite and PostgreSQL, with a version."""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "VERSION",
    "artifact",
    "batch",
    "event",
    "failure",
    "metadata",
    "metric",
    "parent",
    "round_",
    "run",
    "schema_version",
    "simulator",
]

VERSION = 1
"""The schema this package writes, and the newest it reads."""

# Times are seconds since 1970 by the database's clock; what varies in form is JSON in a text column.
metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

run = Table(
    "run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("key", Text, nullable=False),
    Column("config", Text, nullable=False),
    Column("folder", Text),
    Column("created", Double, nullable=False),
    Column("coordinator", Text),
    Column("coordinator_until", Double),
)

simulator = Table(
    "simulator",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("created", Double, nullable=False),
)

round_ = Table(
    "round",
    metadata,
    Column("run_id", ForeignKey("run.id"), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("simulator_id", ForeignKey("simulator.id"), nullable=False),
    Column("design", Text, nullable=False),
    Column("decided_by", Text),
    Column("created", Double, nullable=False),
)

batch = Table(
    "batch",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("idx", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("n", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("owner", Text),
    Column("lease_until", Double),
    Column("attempt", Integer, nullable=False),
    Column("shard", Text),
    Column("sha256", Text),
    Column("size", BigInteger),
    Column("mtime", BigInteger),
    Column("rows", Integer),
    Column("failed", Integer),
    Column("said", Text),
    Column("t_start", Double),
    Column("t_end", Double),
    ForeignKeyConstraint(["run_id", "round"], ["round.run_id", "round.round"]),
    UniqueConstraint("run_id", "round", "idx"),
    UniqueConstraint("run_id", "round", "first"),
    Index("batch_by_state", "run_id", "state", "id"),
)

failure = Table(
    "failure",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("batch_id", ForeignKey("batch.id"), nullable=False, index=True),
    Column("sim_index", BigInteger, nullable=False),
    Column("theta", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("said", Text),
)

metric = Table(
    "metric",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Double),
    Column("t", Double, nullable=False),
    Index("metric_by_name", "run_id", "name", "step"),
)

artifact = Table(
    "artifact",
    metadata,
    Column("run_id", ForeignKey("run.id"), primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("created", Double, nullable=False),
)

parent = Table(
    "parent",
    metadata,
    Column("run_id", Integer, primary_key=True),
    Column("child", Text, primary_key=True),
    Column("parent", Text, primary_key=True),
    ForeignKeyConstraint(["run_id", "child"], ["artifact.run_id", "artifact.sha256"]),
    ForeignKeyConstraint(["run_id", "parent"], ["artifact.run_id", "artifact.sha256"]),
)

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("t", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("facts", Text, nullable=False),
)
