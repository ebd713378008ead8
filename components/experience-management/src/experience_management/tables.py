"""The ledger of experience management: problems, whom they hit on which service, and what was observed meanwhile.

A problem's generation grows with every event that changes what is to be scored; an impact is done when it carries the
generation of its problem. That is how a flow that was interrupted goes on where it stopped.

A message on its way has a row for each receiver: initial (waits), inProgress (handed to the gateway, no answer known
yet), or how it ended. The rows go when the message is at its end: its document has them then.
"""

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
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

problem = Table(
    "problem",
    metadata,
    Column("id", Text(collation="C"), primary_key=True),
    Column("href", Text),
    Column("status", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("content", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("evaluated_generation", Integer, nullable=False, server_default=text("0")),
    Column("evaluated_at", DateTime(timezone=True)),
    Column("waiting_for", Text),
    Column("traceparent", Text),
    Column("received_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
Index("ix_problem_open", problem.c.evaluated_at, postgresql_where=text("open"))
Index("ix_problem_due", problem.c.id, postgresql_where=text("evaluated_generation < generation"))

affected_service = Table(
    "affected_service",
    metadata,
    Column("problem_id", Text(collation="C"), ForeignKey("problem.id", ondelete="CASCADE"), primary_key=True),
    Column("service_id", Text(collation="C"), primary_key=True),
    Column("href", Text),
    Column("looked_up_at", DateTime(timezone=True)),
    Column("found", Boolean),
)
Index("ix_affected_service_unknown", affected_service.c.problem_id, postgresql_where=text("looked_up_at IS NULL"))

impact = Table(
    "impact",
    metadata,
    Column("problem_id", Text(collation="C"), ForeignKey("problem.id", ondelete="CASCADE"), primary_key=True),
    Column("service_id", Text(collation="C"), primary_key=True),
    Column("subject_id", Text(collation="C"), primary_key=True),
    Column("subject_type", Text, primary_key=True),
    Column("referred_type", Text),
    Column("subject_href", Text),
    Column("subject_name", Text),
    Column("role", Text),
    Column("owners", JSONB, nullable=False),
    Column("kind", Text, nullable=False),
    Column("resources", ARRAY(Text), nullable=False),
    Column("generation", Integer, nullable=False, server_default=text("0")),
    Column("outcome", Text),
)
Index("ix_impact_due", impact.c.problem_id, impact.c.generation)
Index("ix_impact_subject", impact.c.subject_id, impact.c.service_id)

observation = Table(
    "observation",
    metadata,
    Column("resource", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("kpi", Text, primary_key=True),
    Column("last_observed_at", DateTime(timezone=True), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("mean", Double),
    Column("p10", Double),
    Column("p90", Double),
    Column("last", Double),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
Index("ix_observation_recorded_at", observation.c.recorded_at)

baseline = Table(
    "baseline",
    metadata,
    Column("problem_id", Text(collation="C"), ForeignKey("problem.id", ondelete="CASCADE"), primary_key=True),
    Column("resource", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("kpi", Text, primary_key=True),
    Column("mean", Double, nullable=False),
    Column("sd", Double),
)

shipped_specification = Table(
    "shipped_specification",
    metadata,
    Column("id", Text, primary_key=True),
    Column("shipped_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

message_delivery = Table(
    "message_delivery",
    metadata,
    Column("message_id", Text(collation="C"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("next_try_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    Column("reason", Text),
)
Index("ix_message_delivery_due", message_delivery.c.next_try_at, postgresql_where=text("state = 'initial'"))

intent_answer = Table(
    "intent_answer",
    metadata,
    Column("intent_id", Text(collation="C"), primary_key=True),
    Column("expression", Text, nullable=False),
    Column("answered_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
