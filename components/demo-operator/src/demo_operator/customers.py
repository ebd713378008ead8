"""The operator's customers as TMF629 v5 payloads: who they are, and what its systems know of them at an instant.

Each characteristic that may be used to predict says `usage: feature` and its `group`; the outcome of an earlier base
says `usage: outcome`. `asOf` is the instant of a feature, and of the outcome the instant from which it was watched.
What the simulator alone knows never appears.
"""

from __future__ import annotations

from collections.abc import Iterator

from demo_operator.domain.hazard import FEATURES, Feature, Snapshot, TrainingSet, snapshot, training_set
from demo_operator.domain.subscribers import Person
from demo_operator.domain.world import World
from demo_operator.inventory import person_name
from demo_operator.memory import Operator, instant
from tmfkit.types import Document

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


def _feature(feature: Feature, value: float | int | str, as_of: str) -> Document:
    more = {"unit": feature.unit} if feature.unit else {}
    return _characteristic(feature.name, value, usage="feature", group=GROUPS[feature.name], asOf=as_of, **more)


def _customer(person: Person, area: str, status: str, state: Snapshot) -> Document:
    known, as_of = state.record(person.index), instant(state.as_of_s)
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
            *(_feature(feature, known[feature.name], as_of) for feature in FEATURES),
        ],
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
        watched = {"asOf": instant(operator.past_as_of_s), "horizonDays": HORIZON_DAYS}
        document["characteristic"].append({**_characteristic(OUTCOME, left, usage="outcome"), **watched})
        yield document
