"""People, the things they own, and the service instances that tie each of them to a slice and a cell.

Names, addresses and numbers are made up: mail ends in example.org (RFC 2606), phone numbers start with the unassigned
country code +999, so that no real person can be meant or reached.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from demo_operator.domain.catalogue import SERVICES, Service, SliceId
from demo_operator.domain.names import FAMILY_NAMES, GIVEN_NAMES, PHONE_MODELS, STREETS
from demo_operator.domain.network import Network, Scale, Setting
from demo_operator.domain.randomness import Floats, Ints, generator

MONTH_S = 2_629_800
"""A twelfth of a Julian year (365.25 d), in seconds."""


class Segment(StrEnum):
    VALUE = "value"
    PREMIUM = "premium"
    FAMILY = "family"
    YOUTH = "youth"
    SMALL_BUSINESS = "small_business"


class Contract(StrEnum):
    MONTHLY = "monthly"
    YEARLY = "yearly"
    TWO_YEAR = "two_year"


class PaymentMethod(StrEnum):
    DIRECT_DEBIT = "direct_debit"
    CARD = "card"
    WALLET = "wallet"
    INVOICE = "invoice"


class ThingKind(StrEnum):
    CPE = "cpe"
    CAMERA = "camera"
    PLC = "plc"


@dataclass(frozen=True, slots=True)
class Person:
    """One customer. `index` is the row in every array over people; prices are per month in the operator's currency."""

    index: int
    id: str
    given_name: str
    family_name: str
    email: str
    phone: str
    street_address: str
    area_id: str
    segment: Segment
    contract: Contract
    payment_method: PaymentMethod
    customer_since_s: int
    device_model: str
    device_since_s: int
    home_cell_id: str
    services: tuple[Service, ...]
    monthly_charge: float

    def tenure_months(self, as_of_s: int) -> float:
        """Months since the customer joined, 0 on the first day."""
        return (as_of_s - self.customer_since_s) / MONTH_S


@dataclass(frozen=True, slots=True)
class Thing:
    index: int
    id: str
    kind: ThingKind
    owner_id: str
    cell_id: str
    serial_number: str


@dataclass(frozen=True, slots=True)
class ServiceInstance:
    """One service of one subject: product > service > slice > cell. The cell is where it is mostly used, which for a
    mobile service need not be the customer's home cell."""

    id: str
    product_id: str
    service: Service
    customer_id: str
    subject_id: str
    slice_id: SliceId
    cell_id: str
    monthly_price: float
    customer_index: int
    thing_index: int


_SEGMENTS = tuple(Segment)
_SEGMENT_SHARE = (0.34, 0.16, 0.22, 0.18, 0.10)
_TAKE_UP = np.array(  # [segment, voice video broadband]
    [(0.92, 0.48, 0.78), (0.97, 0.78, 0.95), (0.94, 0.74, 0.92), (0.85, 0.86, 0.84), (0.99, 0.40, 0.96)]
)
_PRICE_FACTOR = np.array([0.85, 1.35, 1.05, 0.90, 1.30])
_CONTRACT_SHARE = np.array(  # [segment, monthly yearly two_year]
    [(0.60, 0.24, 0.16), (0.38, 0.30, 0.32), (0.42, 0.30, 0.28), (0.68, 0.22, 0.10), (0.36, 0.32, 0.32)]
)
_TENURE_SCALE_MONTHS = np.array([18.0, 30.0, 40.0])  # by contract
_PAYMENT_SHARE = (0.38, 0.27, 0.15, 0.20)
_SETTING_WEIGHT = {
    Setting.DENSE_URBAN: 1.5,
    Setting.URBAN: 1.2,
    Setting.SUBURBAN: 1.0,
    Setting.RURAL: 0.6,
    Setting.INDUSTRIAL: 0.4,
}
_ELSEWHERE_SHARE = 0.15
_PERSONAL = (Service.VOICE, Service.VIDEO, Service.BROADBAND)
_PRICE = {offer.service: offer.monthly_price for offer in SERVICES}
_PLC_PER_OWNER = 4


def _pick(rng: np.random.Generator, shares: Floats) -> Ints:
    """One choice per row of a matrix of shares that sum to 1 along the row."""
    return np.asarray(
        (rng.random(len(shares))[:, None] > np.cumsum(shares, axis=1)[:, :-1]).sum(axis=1), dtype=np.int64
    )


@dataclass(frozen=True, slots=True)
class _Usage:
    """A service before it has its id and its owner's charge is known."""

    service: Service
    cell: int
    price: float


def _people_and_usage(
    rng: np.random.Generator, scale: Scale, network: Network, as_of_s: int, cohort: str
) -> tuple[list[Person], list[list[_Usage]]]:
    count = scale.people
    segment = rng.choice(len(_SEGMENTS), count, p=_SEGMENT_SHARE)
    contract = _pick(rng, _CONTRACT_SHARE[segment])
    tenure_months = np.minimum(1.0 + rng.gamma(1.1, _TENURE_SCALE_MONTHS[contract]), 144.0)
    device_months = np.minimum(rng.gamma(2.0, 8.0, count), 60.0)
    payment = rng.choice(4, count, p=_PAYMENT_SHARE)
    weight = np.array([_SETTING_WEIGHT[cell.setting] for cell in network.cells])
    home = rng.choice(len(network.cells), count, p=weight / weight.sum())
    takes = rng.random((count, 3)) < _TAKE_UP[segment]
    takes[~takes.any(axis=1), 0] = True
    elsewhere = rng.random((count, 2)) < _ELSEWHERE_SHARE
    shift = rng.integers(1, max(2, scale.cells_per_area), (count, 2))
    price_noise = rng.uniform(0.75, 1.45, (count, 3))
    given = rng.integers(0, len(GIVEN_NAMES), count)
    family = rng.integers(0, len(FAMILY_NAMES), count)
    street = rng.integers(0, len(STREETS), count)
    house = rng.integers(1, 180, count)
    model = rng.integers(0, len(PHONE_MODELS), count)
    people: list[Person] = []
    usage: list[list[_Usage]] = []
    for at in range(count):
        place = int(home[at])
        cell = network.cells[place]
        first_of_area = place - place % scale.cells_per_area
        used: list[_Usage] = []
        for number, service in enumerate(_PERSONAL):
            if not takes[at, number]:
                continue
            where = place
            if number < 2 and elsewhere[at, number]:
                where = first_of_area + (place - first_of_area + int(shift[at, number])) % scale.cells_per_area
            discount = 0.9 if contract[at] == 2 else 1.0
            price = _PRICE[service] * _PRICE_FACTOR[segment[at]] * price_noise[at, number] * discount
            used.append(_Usage(service, where, round(float(price), 2)))
        given_name, family_name = GIVEN_NAMES[given[at]], FAMILY_NAMES[family[at]]
        number_text = f"{at + 1:05d}"
        people.append(
            Person(
                index=at,
                id=f"{cohort}-{number_text}",
                given_name=given_name,
                family_name=family_name,
                email=f"{given_name}.{family_name}.{number_text}@example.org".lower(),
                phone=f"+99955{at + 1:07d}",
                street_address=f"{house[at]} {STREETS[street[at]]}",
                area_id=cell.area_id,
                segment=_SEGMENTS[segment[at]],
                contract=tuple(Contract)[contract[at]],
                payment_method=tuple(PaymentMethod)[payment[at]],
                customer_since_s=as_of_s - int(tenure_months[at] * MONTH_S),
                device_model=PHONE_MODELS[model[at]],
                device_since_s=as_of_s - int(device_months[at] * MONTH_S),
                home_cell_id=cell.id,
                services=tuple(use.service for use in used),
                monthly_charge=0.0,
            )
        )
        usage.append(used)
    return people, usage


def _things(
    rng: np.random.Generator, scale: Scale, network: Network, people: list[Person], prefix: str
) -> list[tuple[Thing, int]]:
    """Things with their owner's row: routers in homes with broadband, cameras at homes, PLCs in an industrial cell of
    the area of the small business that owns them."""
    businesses = [person.index for person in people if person.segment is Segment.SMALL_BUSINESS] or [0]
    homes = [person.index for person in people if Service.BROADBAND in person.services] or [0]
    plc_owners = rng.choice(businesses, max(1, round(scale.things * 0.3 / _PLC_PER_OWNER)))
    industrial: dict[str, list[int]] = {}
    for cell in network.cells:
        if cell.setting is Setting.INDUSTRIAL:
            industrial.setdefault(cell.area_id, []).append(cell.index)
    plc_cell = [int(rng.choice(industrial[people[int(owner)].area_id])) for owner in plc_owners]
    things: list[tuple[Thing, int]] = []
    for at, draw in enumerate(rng.random(scale.things)):
        if draw < 0.3:
            kind, plant = ThingKind.PLC, int(rng.integers(len(plc_owners)))
            owner, cell_at = int(plc_owners[plant]), plc_cell[plant]
        else:
            kind = ThingKind.CAMERA if draw < 0.6 else ThingKind.CPE
            owner = int(rng.choice(homes))
            cell_at = network.cell_index(people[owner].home_cell_id)
        serial = f"{kind.upper()}-{int(rng.integers(10**8)):08d}"
        thing_id = f"{prefix}thing-{at + 1:05d}"
        things.append((Thing(at, thing_id, kind, people[owner].id, network.cells[cell_at].id, serial), owner))
    return things


def subscribers(
    seed: int, scale: Scale, network: Network, as_of_s: int, cohort: str
) -> tuple[tuple[Person, ...], tuple[Thing, ...], tuple[ServiceInstance, ...]]:
    """People, things and service instances of one cohort; a customer's charge is the sum of what they pay per service,
    their things' included. Ids of any cohort but `cust` carry its name in front."""
    rng = generator(seed, f"{cohort}.subscribers")
    prefix = "" if cohort == "cust" else f"{cohort}-"
    bare, usage = _people_and_usage(rng, scale, network, as_of_s, cohort)
    owned = _things(rng, scale, network, bare, prefix)
    charge = [sum(use.price for use in used) for used in usage]
    instances: list[ServiceInstance] = []
    for person, used in zip(bare, usage, strict=True):
        for use in used:
            tail = f"{use.service}-{person.index + 1:05d}"
            instances.append(
                ServiceInstance(
                    id=f"{prefix}svc-{tail}",
                    product_id=f"{prefix}prod-{tail}",
                    service=use.service,
                    customer_id=person.id,
                    subject_id=person.id,
                    slice_id=network.carried_on(use.service, use.cell),
                    cell_id=network.cells[use.cell].id,
                    monthly_price=use.price,
                    customer_index=person.index,
                    thing_index=-1,
                )
            )
    for thing, owner in owned:
        cell = network.cell_index(thing.cell_id)
        tail = f"{Service.TELEMETRY}-{thing.index + 1:05d}"
        charge[owner] += _PRICE[Service.TELEMETRY]
        instances.append(
            ServiceInstance(
                id=f"{prefix}svc-{tail}",
                product_id=f"{prefix}prod-{tail}",
                service=Service.TELEMETRY,
                customer_id=thing.owner_id,
                subject_id=thing.id,
                slice_id=network.carried_on(Service.TELEMETRY, cell),
                cell_id=thing.cell_id,
                monthly_price=_PRICE[Service.TELEMETRY],
                customer_index=owner,
                thing_index=thing.index,
            )
        )
    owns = {owner for _, owner in owned}
    people = tuple(
        replace(
            person,
            services=(*person.services, Service.TELEMETRY) if person.index in owns else person.services,
            monthly_charge=round(charge[person.index], 2),
        )
        for person in bare
    )
    return people, tuple(thing for thing, _ in owned), tuple(instances)
