"""records of events

Tracking records (TMF628) and event records of problems (TMF656) are written by the database itself, with the event
that they are of: a client's change goes through the kernel, which gives a component no transaction of its own there.
"""

from collections.abc import Sequence

from alembic import op

revision: str = '8c1f4a7be035'
down_revision: str | None = '2d37fe717efd'
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INSTANT = """'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'"""


def upgrade() -> None:
    # what a record of an event holds of the resource: its own values, not what it lists, which grows without bound
    op.execute(f"""
        CREATE FUNCTION event_record(event outbox, record_id text, problem_id text, problem_name jsonb) RETURNS jsonb
        LANGUAGE sql STABLE AS $$
            SELECT jsonb_build_object(
                '@type', 'ServiceProblemEventRecord',
                'id', record_id,
                'eventType', event.resource || event.kind || 'Event',
                'eventTime', to_char(event.at AT TIME ZONE 'UTC', {INSTANT}),
                'recordTime', to_char(clock_timestamp() AT TIME ZONE 'UTC', {INSTANT}),
                'serviceProblem', jsonb_strip_nulls(jsonb_build_object(
                    '@type', 'ServiceProblemRef', '@referredType', 'ServiceProblem',
                    'id', problem_id, 'name', problem_name)),
                'notification', jsonb_build_object(
                    '@type', event.resource || event.kind || 'Event',
                    'eventId', event.event_id,
                    'eventType', event.resource || event.kind || 'Event',
                    'eventTime', to_char(event.at AT TIME ZONE 'UTC', {INSTANT}),
                    'event', jsonb_build_object(
                        lower(left(event.resource, 1)) || substr(event.resource, 2),
                        (SELECT jsonb_object_agg(key, value) FROM jsonb_each(event.doc)
                         WHERE jsonb_typeof(value) NOT IN ('array', 'object')))))
        $$
    """)
    op.execute("""
        CREATE FUNCTION keep_records() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.resource = 'ServiceProblem' THEN
                INSERT INTO service_problem_event_record (id, doc, revision)
                VALUES (NEW.event_id, event_record(NEW, NEW.event_id, NEW.resource_id, NEW.doc->'name'), 1);
            ELSIF NEW.resource = 'Alarm' THEN
                INSERT INTO service_problem_event_record (id, doc, revision)
                SELECT NEW.event_id || '.' || id, event_record(NEW, NEW.event_id || '.' || id, id, doc->'name'), 1
                FROM service_problem
                WHERE doc @> jsonb_build_object('underlyingAlarm', jsonb_build_array(
                    jsonb_build_object('id', NEW.resource_id)));
            ELSE
                INSERT INTO tracking_record (id, doc, revision)
                SELECT record->>'id', jsonb_build_object('@type', 'TrackingRecord') || record, 1
                FROM jsonb_array_elements(NEW.doc->'trackingRecord') AS record
                WHERE record ? 'id'
                ON CONFLICT DO NOTHING;
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER keep_records AFTER INSERT ON outbox FOR EACH ROW
        WHEN (NEW.resource IN ('Alarm', 'MeasurementCollectionJob', 'OnDemandCollection')
              OR (NEW.resource = 'ServiceProblem' AND NEW.kind <> 'AttributeValueChange'))
        EXECUTE FUNCTION keep_records()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER keep_records ON outbox")
    op.execute("DROP FUNCTION keep_records()")
    op.execute("DROP FUNCTION event_record(outbox, text, text, jsonb)")
