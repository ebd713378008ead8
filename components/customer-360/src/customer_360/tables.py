"""The ledger of customer 360: what happened to whom, whose view has to be made again, and which products they have."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

timeline = Table(
    "timeline",
    metadata,
    Column("customer", Text(collation="C"), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("occurred_at", DateTime(timezone=True), primary_key=True),
    Column("slot", Text, nullable=False),
    Column("version_at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("event_type", Text, nullable=False),
    Column("href", Text),
    Column("referred_type", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
)
Index("ix_timeline_reference", timeline.c.reference)
Index("ix_timeline_recorded_at", timeline.c.recorded_at)

touched = Table(
    "touched",
    metadata,
    Column("customer", Text(collation="C"), primary_key=True),
    Column("version", BigInteger, Identity(), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("traceparent", Text),
)
Index("ix_touched_at", touched.c.at)

assembled = Table(
    "assembled",
    metadata,
    Column("customer", Text(collation="C"), primary_key=True),
    Column("revision", Integer, nullable=False),
)

progress = Table(
    "progress",
    metadata,
    Column("name", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

product_view = Table(
    "product_view",
    metadata,
    Column("customer", Text(collation="C"), primary_key=True),
    Column("products", JSONB),
    Column("read_at", DateTime(timezone=True)),
    Column("wanted", Boolean, nullable=False, server_default=text("true")),
    Column("stale", Boolean, nullable=False, server_default=text("false")),
)
Index("ix_product_view_wanted", product_view.c.customer, postgresql_where=text("wanted"))
