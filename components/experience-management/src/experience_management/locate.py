"""Who and what uses the services that a problem hits: looked up in the service inventory (TMF638), kept as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from experience_management import readings
from experience_management.settings import ExperienceSettings
from tmfkit import Context

SERVICES = "tmf-api/serviceInventoryManagement/v5/service"
NEEDED = "id,href,category,serviceSpecification,supportingResource,relatedParty,relatedEntity"
IDS_AT_ONCE = 100
ID_CHARACTERS_AT_ONCE = 1500


def portions(ids: Sequence[str]) -> Iterator[list[str]]:
    """The ids in lists that fit into one address."""
    portion: list[str] = []
    length = 0
    for id in ids:
        if portion and (len(portion) >= IDS_AT_ONCE or length + len(id) > ID_CHARACTERS_AT_ONCE):
            yield portion
            portion, length = [], 0
        portion.append(id)
        length += len(id) + 1
    if portion:
        yield portion


def any_of(ids: Sequence[str]) -> str:
    """Several values of one filter: TMF630 parts them by commas."""
    return ",".join(id.replace(",", "\\,") for id in ids)


async def look_up(ctx: Context[ExperienceSettings], problem_id: str) -> None:
    """Make an impact of each (subject, service) of a problem that is not known yet. Each portion is durable.
    Errors: UpstreamError when the inventory does not answer."""
    async with ctx.transaction() as tx:
        rows = await tx.fetch(
            "SELECT service_id FROM affected_service WHERE problem_id = $1 AND looked_up_at IS NULL"
            " ORDER BY service_id",
            problem_id,
        )
    for ids in portions([row["service_id"] for row in rows]):
        asked = {"id": any_of(ids), "fields": NEEDED}
        answers = [doc async for doc in ctx.upstream("serviceInventory").pages(SERVICES, asked, page_size=IDS_AT_ONCE)]
        found = {service.id: service for service in readings.each(readings.Service, answers)}
        await _keep(ctx, problem_id, ids, [found[id] for id in ids if id in found])


def owners(service: readings.Service, subject: readings.Subject) -> str:
    """Whom the subject's experience concerns beside itself, as JSON of TMF related parties."""
    return orjson.dumps(
        [
            {
                "@type": "RelatedPartyOrPartyRole",
                "role": owner.role,
                "partyOrPartyRole": {
                    "@type": "PartyRoleRef",
                    **owner.model_dump(by_alias=True, exclude_none=True, exclude={"role"}),
                },
            }
            for owner in service.owners
            if owner.id != subject.id
        ]
    ).decode()


async def _keep(
    ctx: Context[ExperienceSettings], problem_id: str, asked: Sequence[str], services: Sequence[readings.Service]
) -> None:
    impacts = [
        (
            problem_id,
            service.id,
            subject.id,
            str(subject.subjectType),
            subject.referredType,
            subject.href,
            subject.name,
            subject.role,
            owners(service, subject),
            service.kind,
            service.resources,
        )
        for service in services
        if service.kind is not None
        for subject in service.users
    ]
    async with ctx.transaction() as tx:
        await tx.executemany(
            "INSERT INTO impact (problem_id, service_id, subject_id, subject_type, referred_type, subject_href,"
            " subject_name, role, owners, kind, resources) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11)"
            " ON CONFLICT DO NOTHING",
            impacts,
        )
        await tx.execute(
            "UPDATE affected_service SET looked_up_at = $3, found = service_id = ANY($4::text[]),"
            " href = coalesce(affected_service.href, n.href) FROM unnest($4::text[], $5::text[]) AS n (id, href)"
            " WHERE problem_id = $1 AND service_id = ANY($2::text[]) AND n.id = service_id",
            problem_id, asked, ctx.now(), [s.id for s in services], [s.href for s in services],
        )  # fmt: skip
        await tx.execute(
            "UPDATE affected_service SET looked_up_at = $3, found = false"
            " WHERE problem_id = $1 AND service_id = ANY($2::text[]) AND NOT service_id = ANY($4::text[])",
            problem_id, asked, ctx.now(), [s.id for s in services],
        )  # fmt: skip
