"""The operator's customers as TMF629 v5 payloads: who they are, and what its systems know of them at an instant.

Each characteristic that may be used to predict says `usage: feature` and its `group`; the outcome of an earlier base
says `usage: outcome`. `x_asOf` is the instant all features are as of. What the simulator alone knows never appears.
"""

from __future__ import annotations

from collections.abc import Iterator

from tmfkit.types import Document

from demo_operator.domain.hazard import FEATURES, Feature, Snapshot, TrainingSet, snapshot, training_set
from demo_operator.domain.subscribers import Person
from demo_operator.domain.world import World
from demo_operator.inventory import person_name
from demo_operator.memory import Operator, instant

OUTCOME = "churned"
HORIZON_DAYS = 30
GROUPS = {
    "tenure_months": "contract",
    "contract": "contract",
    "monthly_charge": "price",
    "payment_method": "contract",
    "services": "service",
    "device_age_months": "device",
    "care_contacts_30d": "care",
    "complaints_90d": "care",
    "experience_mean_7d": "network",
    "experience_min_7d": "network",
    "experience_trend_7d": "network",
    "experience_baseline": "network",
    "usage_trend": "usage",
}
"""Who in the company could act on a feature, in the words of the customer mapping."""


def _characteristic(name: str, value: float | int | str | bool, **more: str) -> Document:
    kind = {bool: "boolean", int: "integer", float: "number"}.get(type(value), "string")
    typed = f"{kind.capitalize()}Characteristic"
    return {"@type": typed, "name": name, "valueType": kind, "value": value, **more}


def _feature(feature: Feature, value: float | int | str) -> Document:
    more = {"unit": feature.unit} if feature.unit else {}
    return _characteristic(feature.name, value, usage="feature", group=GROUPS[feature.name], **more)


def _customer(person: Person, area: str, status: str, state: Snapshot) -> Document:
    known = state.record(person.index)
    return {
        "@type": "Customer",
        "id": person.id,
        "name": person_name(person),
        "status": status,
        "engagedParty": {
            "@type": "PartyRef",
            "id": f"ind-{person.id}",
            "name": person_name(person),
            "@referredType": "Individual",
        },
        "validFor": {"startDateTime": instant(person.customer_since_s)},
        "contactMedium": [
            {"@type": "EmailContactMedium", "preferred": True, "contactType": "email", "emailAddress": person.email},
            {"@type": "PhoneContactMedium", "contactType": "mobile", "phoneNumber": person.phone},
            {
                "@type": "GeographicAddressContactMedium",
                "contactType": "home",
                "street1": person.street_address,
                "city": area,
            },
        ],
        "characteristic": [
            _characteristic("segment", str(person.segment)),
            *(_feature(feature, known[feature.name]) for feature in FEATURES),
        ],
        "x_asOf": instant(state.as_of_s),
    }


def _areas(world: World) -> dict[str, str]:
    return {area.id: area.name for area in world.network.areas}


def live(operator: Operator) -> Iterator[Document]:
    """The customers of today, with their features as of the beginning of live time."""
    world = operator.world
    state, areas = snapshot(world, operator.terms.as_of_s, operator.incidents), _areas(world)
    for person in world.people:
        yield _customer(person, areas[person.area_id], "active", state)


def past(operator: Operator) -> Iterator[Document]:
    """The customers of an earlier base, with their features as of then and whether they left within 30 days after."""
    world = operator.past
    if world is None:
        return
    known: TrainingSet = training_set(world, operator.past_as_of_s, operator.incidents)
    areas = _areas(world)
    for person in world.people:
        document = _customer(person, areas[person.area_id], "past", known.state)
        left = bool(known.left_30d[person.index])
        document["characteristic"].append(_characteristic(OUTCOME, left, usage="outcome"))
        yield {**document, "x_labelFrom": instant(operator.past_as_of_s), "x_horizonDays": HORIZON_DAYS}
