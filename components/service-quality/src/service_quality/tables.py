"""The rows of service quality: the ledger of measurements, and what the flows remember between two runs."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

metadata = MetaData()
_AT = DateTime(timezone=True)

series = Table(
    "series",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("service", Text, nullable=False),
    Column("kpi", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("watermark", _AT),  # newest observed_at that evaluation has seen
    Column("granularity_s", Integer, nullable=False, server_default=text("0")),
    Column("traceparent", Text),  # of the batch that touched it last
    UniqueConstraint("service", "kpi", "resource", name="uq_series"),
)
"""One indicator of one service at one resource."""

indicator = Table("indicator", metadata, Column("kpi", Text, primary_key=True), Column("unit", Text, nullable=False))
"""The unit in which values of an indicator are kept: that of its first measurement. It never changes."""

measurement = Table(
    "measurement",
    metadata,
    Column("series_id", Integer, nullable=False),
    Column("observed_at", _AT, nullable=False),
    Column("value", Float, nullable=False),
    Column("granularity_s", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("key", Uuid, nullable=False),
    Column("id", Text),  # the sender's, where it is not the key itself
    postgresql_partition_by="RANGE (observed_at)",
)
"""Appended only. Partitions measurement_pYYYYMMDD hold the week that begins on that Monday, UTC."""
Index("ix_measurement_series", measurement.c.series_id, measurement.c.observed_at)

measurement_key = Table(
    "measurement_key",
    metadata,
    Column("key", Uuid, primary_key=True),
    Column("observed_at", _AT, nullable=False),
)
"""Each id that was taken, so that it is taken once; a partitioned table cannot be unique over its partitions."""
Index("ix_measurement_key_observed_at", measurement_key.c.observed_at, postgresql_using="brin")

rejection = Table(
    "rejection",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("at", _AT, nullable=False, server_default=func.now()),
    Column("attribute", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("example", Text),
)
"""What was refused: one row per batch, attribute and reason."""
Index("ix_rejection_at", rejection.c.at)

horizon = Table(
    "horizon",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("until", _AT, nullable=False),
    CheckConstraint("id = 1", name="ck_horizon"),
)
"""Measurements before this instant are gone, and their keys with them: such a row is refused from then on."""

arrival = Table(
    "arrival",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("traceparent", Text),
    Column("series", ARRAY(Integer), nullable=False),
    Column("newest", ARRAY(_AT), nullable=False),
    Column("granularity_s", ARRAY(Integer), nullable=False),
)
"""Batches that evaluation has not seen; consumed in the transaction of its verdicts."""

watched = Table(
    "watched",
    metadata,
    Column("id", Text, primary_key=True),
    Column("revision", Text, nullable=False),
)
"""Which revision of an objective or threshold job was applied to all its series."""

breach = Table(
    "breach",
    metadata,
    Column("violation_id", Text, primary_key=True),
    Column("watch_id", Text, nullable=False),
    Column("series_id", Integer, nullable=False),
    Column("better", Text, nullable=False),  # which way the indicator is better: higher, lower, near
    Column("started_at", _AT, nullable=False),
    Column("raised_at", _AT, nullable=False),
    Column("cleared_at", _AT),
    Column("traceparent", Text),  # of the batch that raised it, then of the one that cleared it
    Column("problem_id", Text),
    Column("impact_known", Boolean, nullable=False, server_default=text("false")),
    Column("referred", Boolean, nullable=False, server_default=text("false")),  # the violation names its problem
)
"""The flows' side of a ServiceLevelViolation: at most one is open per objective and series."""
Index(
    "uq_breach_open",
    breach.c.watch_id,
    breach.c.series_id,
    unique=True,
    postgresql_where=text("cleared_at IS NULL"),
)
Index("ix_breach_problem", breach.c.problem_id)

cause = Table(
    "cause",
    metadata,
    Column("problem_id", Text, primary_key=True),
    Column("dimension", Text, nullable=False),
    Column("elements", ARRAY(Text), nullable=False),
    Column("located", Boolean, nullable=False),
    Column("started_at", _AT, nullable=False),
    Column("last_started_at", _AT, nullable=False),
    Column("resolved_at", _AT),
    Column("open", Boolean, nullable=False),
)
"""The flows' side of a ServiceProblem: its root, until it is closed."""
Index("ix_cause_open", cause.c.problem_id, postgresql_where=text("open"))
