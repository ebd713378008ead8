"""`cem load`: customers, inventory and measurements of a real operator, through the components' public addresses.

Every load can be repeated: what is there already is compared, and only what differs is sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import httpx

from cem import files, mapping
from cem.deliver import Collection, Delivered, Document, reason
from cem.instance import InstanceError
from cem.screen import Screen
from cem.target import Target

CUSTOMERS = "tmf-api/customerManagement/v5/customer"
ASSESSMENTS = "tmf-api/riskManagement/v4/partyRoleRiskAssessment"
MEASUREMENTS = "tmf-api/performanceMeasurement/v1/measurement"
MEASUREMENT_FILE = "tmf-api/performanceMeasurement/v1/file"
COLLECTIONS = {
    "product": "tmf-api/productInventoryManagement/v5/product",
    "service": "tmf-api/serviceInventoryManagement/v5/service",
    "resource": "tmf-api/resourceInventoryManagement/v4/resource",
}
"""Where a resource of TMF637, TMF638, TMF639 belongs, by the end of its @type (PhysicalResource, ...)."""

PAST = "past"
"""Status of customers who are there to learn from: churn-prediction assesses none of them."""

PART_BYTES = 4 * 1024 * 1024
ROWS_PER_REQUEST = 10_000
SHOWN = 10
_QUIET_S = 120.0

Told = Callable[[int], None]


# --- customers -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Customers:
    """A CSV file as TMF629 customers. `faults`: rows that could not be read, as sentences."""

    payloads: list[dict[str, Any]]
    faults: list[str]
    unmapped: tuple[str, ...]
    labelled: int
    """How many say whether they left."""


def customer_mapping(name: str) -> mapping.CustomerMapping:
    """A mapping that ships with cem by its name, or a file. Error: InstanceError."""
    shipped = resources.files("cem") / "mappings"
    entry = shipped / f"{name.replace('-', '_')}.yaml"
    try:
        if entry.is_file():
            with resources.as_file(entry) as path:
                return mapping.read(files.structure(path))
        path = Path(name)
        if not path.is_file():
            names = sorted(e.name.removesuffix(".yaml") for e in shipped.iterdir() if e.name.endswith(".yaml"))
            raise InstanceError(f"{name} is neither a file nor a mapping that is here: {', '.join(names)}.")
        return mapping.read(files.structure(path))
    except mapping.MappingError as e:
        raise InstanceError(f"mapping {name}: {e}.") from e


def customers(path: Path, by: mapping.CustomerMapping) -> Customers:
    """The rows of a file. Error: InstanceError when the mapping does not fit the file."""
    header, rows = files.table(path)
    try:
        unmapped = mapping.unmapped(by, header)
    except mapping.MappingError as e:
        raise InstanceError(f"{path}: {e}.") from e
    payloads: list[dict[str, Any]] = []
    faults: list[str] = []
    first: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        try:
            payload = mapping.customer(by, row, number)
        except mapping.RowError as e:
            faults.append(str(e))
            continue
        if payload["id"] in first:
            faults.append(f"row {number}: {payload['id']} stands in row {first[payload['id']]} already")
            continue
        first[payload["id"]] = number
        payloads.append(payload)
    labelled = sum(any(c["usage"] == mapping.Usage.OUTCOME for c in p["characteristic"]) for p in payloads)
    return Customers(payloads, faults, unmapped, labelled)


async def load_customers(client: httpx.AsyncClient, base: str, given: Customers, screen: Screen) -> Delivered:
    """Bring customers into the TMF629 API at `base`, and say what became of them."""
    collection = Collection(client, f"{base}/{CUSTOMERS}")
    with screen.phase("customers loaded"), screen.progress("customers", len(given.payloads)) as bar:
        delivered = await collection.deliver(given.payloads, bar.reach)
    _say(screen, "customers", delivered, given.faults)
    screen.line(f"in TMF629 now: {await collection.total():,} customers ({collection.url})")
    return delivered


async def train(target: Target, given: Customers, screen: Screen) -> None:
    """A model of the customers whose outcome is known, and an assessment of everybody who is there to stay."""
    assert target.train is not None
    with screen.phase("model trained"):
        await target.train(given.labelled)
    present = [p["id"] for p in given.payloads if p.get("status") != PAST]
    await assessed(target.client, target.address("churn-prediction"), len(present), screen)


async def assessed(client: httpx.AsyncClient, churn: str, wanted: int, screen: Screen) -> int:
    """Wait until so many customers have a risk assessment; how many assessments there are.

    Error: InstanceError when nothing has moved for two minutes.
    """
    collection = Collection(client, f"{churn}/{ASSESSMENTS}")
    with screen.phase("customers assessed"), screen.progress("assessments", wanted) as bar:
        count, quiet_s = await collection.total(), 0.0
        while count < wanted:
            if quiet_s > _QUIET_S:
                raise InstanceError(f"{count:,} of {wanted:,} customers are assessed, and no more for two minutes.")
            await asyncio.sleep(0.5)
            before, count = count, await collection.total()
            quiet_s = 0.0 if count != before else quiet_s + 0.5
            bar.reach(count)
    screen.line(f"in TMF696 now: {count:,} risk assessments ({collection.url})")
    return count


# --- inventory -----------------------------------------------------------------------------------------------


def collection_of(document: Document, kind: str | None) -> str:
    """Which collection a resource of an inventory belongs to. Error: InstanceError."""
    told = kind or str(document.get("@type") or document.get("@baseType") or "").lower()
    for name in COLLECTIONS:
        if told.endswith(name):
            return name
    raise InstanceError(
        f"{document.get('id', 'an item')}: its @type {document.get('@type')!r} says not whether it is a product, "
        "a service or a resource; say it with --kind."
    )


async def load_inventory(
    client: httpx.AsyncClient, url: str, documents: Sequence[Document], kind: str | None, screen: Screen
) -> bool:
    """Post TMF637, TMF638 and TMF639 resources. `url` is a base (before /tmf-api) or one collection itself."""
    groups: dict[str, list[Document]] = {}
    if "/tmf-api/" in url:
        groups[url.rstrip("/")] = list(documents)
    else:
        order = {name: f"{url.rstrip('/')}/{path}" for name, path in COLLECTIONS.items()}
        for document in documents:
            groups.setdefault(order[collection_of(document, kind)], []).append(document)
    well = True
    for address, group in groups.items():
        name = address.rsplit("/", 1)[1]
        with screen.phase(f"{name} loaded"), screen.progress(name, len(group)) as bar:
            delivered = await Collection(client, address).deliver(group, bar.reach)
        _say(screen, name, delivered, ())
        if delivered.renamed:
            screen.line(
                f"{delivered.renamed:,} got another id than in the file: this API lets the server choose. "
                "References to them by the ids of the file do not hold, and a second load doubles them.",
                "yellow",
            )
        well = well and not delivered.refused
    return well


# --- measurements --------------------------------------------------------------------------------------------


@dataclass
class Measured:
    """What service-quality said of a file."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    errors: list[str] = field(default_factory=list)

    def add(self, answer: Mapping[str, Any], line: int = 0) -> None:
        """One answer; `line` is what the lines it counts begin after."""
        self.accepted += answer["accepted"]
        self.duplicates += answer["duplicates"]
        self.rejected += answer["rejected"]
        for error in answer.get("errors") or ():
            at = error.get("line")
            where = f"line {at + line}" if at is not None else f"row {error.get('index', -1) + 1 + line}"
            what = ": ".join(str(error[k]) for k in ("element", "attribute", "reason") if error.get(k))
            self.errors.append(f"{where}: {what}")


async def load_measurements(
    client: httpx.AsyncClient, base: str, path: Path, by: Mapping[str, Any] | None, screen: Screen
) -> bool:
    """Send one file: 3GPP PM XML and CSV as they are, to be read by service-quality; JSON and NDJSON as rows."""
    result = Measured()
    name = path.name.lower().removesuffix(".gz")
    with screen.phase(f"{path.name} loaded"):
        if name.endswith((".json", ".ndjson", ".jsonl")):
            await _rows(client, f"{base}/{MEASUREMENTS}", files.documents(path), result, screen)
        else:
            await _file(client, f"{base}/{MEASUREMENT_FILE}", path, by, result, screen)
    screen.line(
        f"{path.name}: {result.accepted:,} accepted, {result.duplicates:,} already there, {result.rejected:,} rejected"
    )
    _some(screen, result.errors)
    return result.rejected == 0


async def _rows(
    client: httpx.AsyncClient, url: str, rows: Sequence[Document], result: Measured, screen: Screen
) -> None:
    with screen.progress("measurements", len(rows)) as bar:
        for begin in range(0, len(rows), ROWS_PER_REQUEST):
            chunk = rows[begin : begin + ROWS_PER_REQUEST]
            content = "\n".join(json.dumps(row) for row in chunk)
            answer = await client.post(url, content=content, headers={"Content-Type": "application/x-ndjson"})
            result.add(_accepted(answer), begin)
            bar.add(len(chunk))


async def _file(
    client: httpx.AsyncClient, url: str, path: Path, by: Mapping[str, Any] | None, result: Measured, screen: Screen
) -> None:
    data = files.content(path)
    params = {"mapping": json.dumps(by)} if by else {}
    if data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        answer = await client.post(url, params=params, content=data, headers={"Content-Type": "application/xml"})
        result.add(_accepted(answer))
        return
    with screen.progress("bytes", len(data)) as bar:
        for part in files.parts(data, PART_BYTES):
            answer = await client.post(url, params=params, content=part.content, headers={"Content-Type": "text/csv"})
            result.add(_accepted(answer), part.line - 2)  # the part has its header on line 1
            bar.add(len(part.content))


def _accepted(answer: httpx.Response) -> Mapping[str, Any]:
    if not answer.is_success:
        raise InstanceError(f"service-quality refused the file: {reason(answer)}.")
    body: Mapping[str, Any] = answer.json()
    return body


# --- what is told --------------------------------------------------------------------------------------------


def _say(screen: Screen, name: str, delivered: Delivered, faults: Sequence[str]) -> None:
    screen.line(
        f"{name}: {delivered.created:,} created, {delivered.changed:,} changed, "
        f"{delivered.unchanged:,} already there, {len(delivered.refused) + len(faults):,} refused"
    )
    _some(screen, [*faults, *(f"{id}: {why}" for id, why in delivered.refused.items())])


def _some(screen: Screen, troubles: Sequence[str]) -> None:
    for trouble in troubles[:SHOWN]:
        screen.line(f"  {trouble}", "yellow")
    if len(troubles) > SHOWN:
        screen.line(f"  and {len(troubles) - SHOWN:,} more", "yellow")
