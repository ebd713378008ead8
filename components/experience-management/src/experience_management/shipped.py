"""The index specifications that come with the component: data, put on the shelf once, then the operator's to change.

Limits are ours. Voice: mean opinion by ITU-T G.107.2, set-up success in the manner of ETSI TR 103 559. Web: opinion by
ITU-T G.1030. Video: opinion by the IQX stalling model. Things: needs patterned on 3GPP TS 22.104, the worst one counts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from experience_management.resources import ExperienceIndexSpecification, SubjectType
from experience_management.settings import ExperienceSettings
from tmfkit import Context
from tmfkit.types import Document
from tmfkit.write import rfc3339


class Limit(NamedTuple):
    kqi: str
    unit: str
    bad: float
    good: float
    weight: float


class Shipped(NamedTuple):
    kind: str
    subject_type: SubjectType
    title: str
    limits: tuple[Limit, ...]

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.subject_type}-1.0"


_CONTROL = (
    Limit("latency_ms", "ms", 100.0, 30.0, 1.0),
    Limit("packet_error_ratio", "ratio", 0.05, 0.001, 1.0),
    Limit("availability_ratio", "ratio", 0.99, 0.9995, 1.0),
)
SHIPPED: tuple[Shipped, ...] = (
    Shipped(
        "voice",
        SubjectType.PERSON,
        "Voice calls of a person",
        (Limit("voice.mos", "MOS", 2.0, 4.3, 0.6), Limit("success_ratio", "ratio", 0.85, 0.995, 0.4)),
    ),
    Shipped(
        "video",
        SubjectType.PERSON,
        "Video watched by a person",
        (
            Limit("video.mos", "MOS", 1.8, 3.7, 0.4),
            Limit("stall_ratio", "ratio", 0.10, 0.005, 0.3),
            Limit("throughput_mbit_s", "Mbit/s", 1.5, 10.0, 0.3),
        ),
    ),
    Shipped(
        "broadband",
        SubjectType.PERSON,
        "Web and data of a person",
        (Limit("web.mos", "MOS", 2.0, 4.2, 0.6), Limit("throughput_mbit_s", "Mbit/s", 1.0, 15.0, 0.4)),
    ),
    Shipped("telemetry", SubjectType.THING, "Control and telemetry of a thing", _CONTROL),
    Shipped("industrial", SubjectType.THING, "Industrial control of a thing", _CONTROL),
    Shipped(
        "video",
        SubjectType.THING,
        "Video sent or played by a thing",
        (
            Limit("throughput_mbit_s", "Mbit/s", 1.0, 6.0, 1.0),
            Limit("stall_ratio", "ratio", 0.10, 0.005, 1.0),
        ),
    ),
    Shipped(
        "broadband",
        SubjectType.THING,
        "Data of a thing",
        (
            Limit("throughput_mbit_s", "Mbit/s", 0.5, 5.0, 1.0),
            Limit("page_load_time_s", "s", 20.0, 4.0, 1.0),
        ),
    ),
)


def document(shipped: Shipped, at: str) -> Document:
    contributors: list[dict[str, Any]] = [
        {"kqi": limit.kqi, "unit": limit.unit, "bad": limit.bad, "good": limit.good, "weight": limit.weight}
        for limit in shipped.limits
    ]
    return {
        "id": shipped.id,
        "name": f"{shipped.kind} for a {shipped.subject_type}",
        "version": "1.0",
        "description": shipped.title,
        "subjectType": str(shipped.subject_type),
        "serviceSpecification": {"id": shipped.kind, "@referredType": "ServiceSpecification"},
        "contributors": contributors,
        "weights": {"mean": 0.7, "lowDecile": 0.3},
        "minCoverage": 0.5,
        "lifecycleStatus": "Active",
        "lastUpdate": at,
    }


async def ensure(ctx: Context[ExperienceSettings]) -> None:
    """Put each shipped specification on the shelf, once in the life of the database, unless the operator has one for
    that kind of service and subject already. What was deleted or retired afterwards stays so."""
    async with ctx.transaction() as tx:
        known = {row["id"] for row in await tx.fetch("SELECT id FROM shipped_specification")}
        if all(one.id in known for one in SHIPPED):
            return
        store = tx[ExperienceIndexSpecification]
        for one in SHIPPED:
            new = await tx.fetchval(
                "INSERT INTO shipped_specification (id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1", one.id
            )
            if new is None:
                continue
            own = {"serviceSpecification.id": one.kind, "subjectType": str(one.subject_type)}
            if not await store.count(own) and await store.find(one.id) is None:
                await store.insert(document(one, rfc3339(ctx.now())))
