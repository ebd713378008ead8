"""Rows of the demo operator: what it remembers of itself, and what it has heard from the hubs."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, MetaData, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

REMEMBERED = Table(
    "remembered",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""world, clock, milestones, parts that are loaded, the last loop: by name."""

HEARD = Table(
    "heard",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("event_type", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("doc", JSONB, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)
Index("ix_heard_at", HEARD.c.at)
"""Events as they arrived: the resource as the event carried it, and when."""
