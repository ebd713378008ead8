"""The tables of the kernel: one per document resource, and those of events, idempotency and audit."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    ARRAY,
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
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from tmfkit import sql
from tmfkit.query import names_of
from tmfkit.resource import Resource

_NOW = func.now()


def document_table(metadata: MetaData, resource: Resource) -> Table:
    """id, document, revision. Ids sort by code point, whatever the server's collation."""
    name = resource.table
    table = Table(
        name,
        metadata,
        Column("id", Text(collation="C"), primary_key=True),
        Column("doc", JSONB, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("updated_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    )
    Index(f"ix_{name}_doc", table.c.doc, postgresql_using="gin", postgresql_ops={"doc": "jsonb_path_ops"})
    names = names_of(resource.model, *resource.extensions)
    paths = []
    for dotted in resource.index:
        path = names(dotted)
        if path is None:
            raise ValueError(f"{resource.name}: index on {dotted}, which is no attribute")
        paths.append(path)
    sql.declared_indexes(table, paths)
    return table


@dataclass(frozen=True)
class KernelTables:
    outbox: Table
    subscription: Table
    delivery: Table
    inbox: Table
    following: Table
    idempotency: Table
    audit: Table
    secret: Table
    elsewhere: Table


def kernel_tables(metadata: MetaData) -> KernelTables:
    outbox = Table(
        "outbox",
        metadata,
        Column("seq", BigInteger, Identity(), primary_key=True),
        Column("event_id", Text, nullable=False),
        Column("api", Text, nullable=False),
        Column("resource", Text, nullable=False),
        Column("resource_id", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("doc", JSONB, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False, server_default=_NOW),
        Column("traceparent", Text),
        Column("relayed_at", DateTime(timezone=True)),
    )
    Index("ix_outbox_unrelayed", outbox.c.seq, postgresql_where=text("relayed_at IS NULL"))
    Index("ix_outbox_relayed_at", outbox.c.relayed_at, postgresql_where=text("relayed_at IS NOT NULL"))
    subscription = Table(
        "subscription",
        metadata,
        Column("id", Text, primary_key=True),
        Column("api", Text, nullable=False),
        Column("version", Text, nullable=False),
        Column("callback", Text, nullable=False),
        Column("query", Text, nullable=False),
        Column("base_url", Text, nullable=False),
        Column("doc", JSONB, nullable=False),
        Column("append_event_name", Boolean, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
        UniqueConstraint("api", "version", "callback", "query", name="uq_subscription"),
    )
    delivery = Table(
        "delivery",
        metadata,
        Column("id", BigInteger, Identity(), primary_key=True),
        Column("subscription_id", Text, nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("key", Text, nullable=False),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
        Column("dead_at", DateTime(timezone=True)),
        Column("error", Text),
    )
    Index(
        "ix_delivery_pending",
        delivery.c.subscription_id,
        delivery.c.seq,
        unique=True,
        postgresql_where=text("dead_at IS NULL"),
    )
    Index("ix_delivery_seq", delivery.c.seq)
    inbox = Table(
        "inbox",
        metadata,
        Column("follow", Text, primary_key=True),
        Column("event_id", Text, primary_key=True),
        Column("received_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    )
    Index("ix_inbox_received_at", inbox.c.received_at)
    following = Table(
        "following",
        metadata,
        Column("name", Text, primary_key=True),
        Column("hub_id", Text, nullable=False),
        Column("backfilled_at", DateTime(timezone=True)),
        Column("backfilled_count", Integer),
    )
    idempotency = Table(
        "idempotency",
        metadata,
        Column("subject", Text, primary_key=True),
        Column("path", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("request_hash", Text, nullable=False),
        Column("resource_id", Text, nullable=False),
        Column("response", Text, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    )
    Index("ix_idempotency_created_at", idempotency.c.created_at)
    audit = Table(
        "audit",
        metadata,
        Column("seq", BigInteger, Identity(), primary_key=True),
        Column("at", DateTime(timezone=True), nullable=False, server_default=_NOW),
        Column("subject", Text, nullable=False),
        Column("operation", Text, nullable=False),
        Column("resource", Text, nullable=False),
        Column("resource_id", Text, nullable=False),
        Column("attributes", ARRAY(Text)),
        Column("trace_id", Text),
    )
    Index("ix_audit_at", audit.c.at)
    secret = Table(
        "secret",
        metadata,
        Column("name", Text, primary_key=True),
        Column("value", Text, nullable=False),
    )
    elsewhere = Table(
        "elsewhere",
        metadata,
        Column("resource", Text, primary_key=True),
        Column("id", Text, primary_key=True),
        Column("remote_id", Text, nullable=False),
        Column("revision", Integer, nullable=False),
    )
    Index("ix_elsewhere_remote_id", elsewhere.c.resource, elsewhere.c.remote_id)
    return KernelTables(outbox, subscription, delivery, inbox, following, idempotency, audit, secret, elsewhere)
