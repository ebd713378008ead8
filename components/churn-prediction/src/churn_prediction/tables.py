"""The ledger of churn prediction: what is known of customers and since when, and what was made of it.

Feature rows are only ever appended; the newest by `as_of` holds. What was told by a customer's characteristics and what
was derived from experience scores differ in `origin` and never overwrite one another.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
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
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

_NOW = func.now()


def _id(name: str, *, primary_key: bool = False) -> Column[str]:
    """Ids sort by code point, whatever the server's collation."""
    return Column(name, Text(collation="C"), primary_key=primary_key, nullable=False)


def _instant(name: str, *, nullable: bool = False, default: bool = False) -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=_NOW if default else None)


customer = Table(
    "customer",
    metadata,
    _id("id", primary_key=True),
    Column("name", Text),
    Column("href", Text),
    Column("status", Text),
)

feature = Table(
    "feature",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("driver_group", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("reviewed", Text, nullable=False),
    comment="What kind of thing a feature is; the first publisher decides its kind",
)

feature_row = Table(
    "feature_row",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    _id("customer_id"),
    Column("feature", Text, nullable=False),
    Column("value", Text, comment="NULL: told to be unknown since as_of"),
    Column("kind", Text, nullable=False),
    _instant("as_of"),
    Column("origin", Text, nullable=False),
)
Index("ix_feature_row_latest", feature_row.c.customer_id, feature_row.c.feature, feature_row.c.as_of, feature_row.c.seq)

outcome = Table(
    "outcome",
    metadata,
    _id("customer_id", primary_key=True),
    Column("name", Text, nullable=False),
    Column("churned", Boolean, nullable=False),
    _instant("label_from", nullable=True),
    Column(
        "told_at",
        DateTime(timezone=True),
        nullable=False,
        comment="features told later than the outcome are never learnt from",
    ),
)

protected = Table(
    "protected",
    metadata,
    _id("customer_id", primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
    comment="Personal attributes for fairness audits; nothing that predicts reads them",
)

refusal = Table(
    "refusal",
    metadata,
    Column("name", Text, primary_key=True),
    Column("why", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    _instant("last_at", default=True),
    comment="Characteristics that were not let in, and why",
)

observation = Table(
    "observation",
    metadata,
    _id("customer_id", primary_key=True),
    Column("score_id", Text, primary_key=True),
    Column("ended_at", DateTime(timezone=True), primary_key=True),
    _instant("started_at"),
    _instant("computed_at"),
    Column("service_id", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("score_href", Text),
    Column("cause", JSONB, nullable=False),
    comment="Experience scores of the last week of data time",
)
Index("ix_observation_ended_at", observation.c.ended_at)

touched = Table(
    "touched",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    _id("customer_id"),
    Column("reason", Text, nullable=False),
    Column("event_id", Text),
    Column("traceparent", Text),
    _instant("at", default=True),
    comment="Customers to assess again, and what made it so",
)

artefact = Table(
    "artefact",
    metadata,
    Column("version", Text, primary_key=True, comment="sha256 of document"),
    Column("document", Text, nullable=False, comment="canonical JSON: as text, because JSONB does not keep every byte"),
    Column("card", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("horizon_days", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("covers_all", Boolean, nullable=False, comment="everybody there was when it came has been assessed by it"),
    _instant("created_at", default=True),
)
Index("uq_artefact_active", artefact.c.active, unique=True, postgresql_where=text("active"))

assessed = Table(
    "assessed",
    metadata,
    _id("customer_id", primary_key=True),
    Column("assessment_id", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("probability", Float, nullable=False),
    Column("document", JSONB, nullable=False),
    _instant("at"),
    comment="The newest assessment of each customer, to compare the next one with",
)
Index("ix_assessed_version", assessed.c.version)

offered = Table(
    "offered",
    metadata,
    Column("recommendation_id", Text, primary_key=True),
    Column("problem_id", Text, primary_key=True, comment="empty: for no service problem"),
    _id("customer_id"),
    _instant("at"),
)
Index("ix_offered_customer", offered.c.customer_id, offered.c.at)

terms = Table(
    "terms",
    metadata,
    Column("id", SmallInteger, primary_key=True),
    Column("document", JSONB, nullable=False),
    comment="One row: offers, assumptions and addresses that the flow and a POST must agree on",
)
