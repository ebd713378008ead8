"""The proof that a loop closed: from the offer back to the measurement, by fetching each resource and following what it
refers to. Nothing is taken from memory but which resources were heard of, and when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from demo_operator import measurements
from demo_operator.memory import instant
from demo_operator.watch import related
from tmfkit.types import Document

Get = Callable[[str], Awaitable[Any]]
"""The JSON value at an absolute address; None if there is none."""

STEPS = (
    "measurement",
    "serviceLevelObjective",
    "serviceLevelViolation",
    "serviceProblem",
    "experienceScore",
    "partyRoleRiskAssessment",
    "queryProductRecommendation",
    "customer360",
)
_TOPS_TRIED = 8
_REFERENCES_TRIED = 40


@dataclass(frozen=True)
class Hop:
    """How a step refers to the one before it. `referred` is the @referredType of the references that count."""

    step: str
    before: str
    attribute: str
    referred: str | None = None


HOPS = (
    Hop("customer360", "queryProductRecommendation", "recommendation"),
    Hop("queryProductRecommendation", "partyRoleRiskAssessment", "riskAssessment"),
    Hop("partyRoleRiskAssessment", "experienceScore", "evidence", "ExperienceScore"),
    Hop("experienceScore", "serviceProblem", "cause", "ServiceProblem"),
    Hop("serviceProblem", "serviceLevelViolation", "slaViolation"),
    Hop("serviceLevelViolation", "serviceLevelObjective", "serviceLevelObjective"),
)


@dataclass(frozen=True)
class Candidate:
    """A resource that was heard of: where it is, and when its first event arrived (seconds since the first degraded
    measurement was sent; None if there was no event)."""

    id: str
    href: str
    at_s: float | None = None


@dataclass(frozen=True)
class Given:
    """What the loop is about: the cells and series that were degraded from `start_s` until before `until_s`, who owns
    the things, and where measurements can be read."""

    cells: frozenset[str]
    series: frozenset[tuple[str, str]]
    start_s: int
    until_s: int
    owners: Mapping[str, str]
    service_quality: str


@dataclass(frozen=True)
class Step:
    """One step with what it names as its cause. `broken` says why it does not lead to the step before."""

    step: str
    id: str
    href: str
    at_s: float | None
    names: Document
    refers_to: Document | None = None
    broken: str | None = None


@dataclass(frozen=True)
class Chain:
    """The steps that were found, in the order of STEPS."""

    steps: tuple[Step, ...]
    missing: tuple[str, ...] = field(default=())

    @property
    def closed(self) -> bool:
        return tuple(step.step for step in self.steps) == STEPS and not self.faults

    @property
    def faults(self) -> tuple[str, ...]:
        """Every reason why the loop is not closed, as sentences."""
        return (*self.missing, *(f"{step.step} {step.id}: {step.broken}" for step in self.steps if step.broken))

    def step(self, name: str) -> Step | None:
        return next((step for step in self.steps if step.step == name), None)


Heard = Mapping[str, Sequence[Candidate]]


async def trace(get: Get, heard: Heard, given: Given) -> Chain:
    """The best chain that what was heard of gives: a closed one if there is any.

    It is followed backwards from each customer view that shows an offer; without one from the last step there was.
    """
    top = next((name for name in reversed(STEPS) if heard.get(name)), None)
    if top is None:
        return Chain((), tuple(f"no {name} was heard of" for name in STEPS[2:]))
    best: Chain | None = None
    read: dict[str, Any] = {}

    async def once(href: str) -> Any:
        if href not in read:
            read[href] = await get(href)
        return read[href]

    for start in list(heard[top])[:_TOPS_TRIED]:
        chain = await _Walk(once, heard, given).from_(top, start)
        if chain.closed:
            return chain
        if best is None or len(chain.faults) < len(best.faults):
            best = chain
    assert best is not None
    return best


class _Walk:
    """One way back from one resource."""

    def __init__(self, get: Get, heard: Heard, given: Given) -> None:
        self.get, self.heard, self.given = get, heard, given
        self.steps: dict[str, Step] = {}
        self.missing: list[str] = []
        self.customer: str | None = None

    async def from_(self, top: str, start: Candidate) -> Chain:
        names_above = STEPS[STEPS.index(top) + 1 :]
        self.missing += [f"no {name} was heard of" for name in names_above]
        doc = await self._start(top, start)
        for hop in HOPS:
            if STEPS.index(hop.step) <= STEPS.index(top):
                doc = await self._before(hop, doc)
        await self._measurement()
        ordered = tuple(self.steps[name] for name in STEPS if name in self.steps)
        return Chain(ordered, tuple(self.missing))

    async def _start(self, top: str, start: Candidate) -> Document | None:
        doc = await self.get(start.href)
        if not isinstance(doc, dict) or doc.get("id") != start.id:
            self.missing.append(f"{top} {start.id} cannot be fetched at {start.href}")
            return None
        self._found(top, start, doc)
        return doc

    async def _before(self, hop: Hop, doc: Document | None) -> Document | None:
        """The document of the step before, preferably the one that is referred to."""
        if doc is not None:
            reference, found, why = await self._referred(hop, doc)
            later = self.steps[hop.step]
            if found is not None:
                self.steps[hop.step] = replace(later, refers_to={"step": hop.before, **reference})
                return found
            self.steps[hop.step] = replace(later, broken=why)
        for candidate in self.heard.get(hop.before, ()):
            other = await self.get(candidate.href)
            if isinstance(other, dict) and other.get("id") == candidate.id:
                self._found(hop.before, candidate, other)
                return other
        self.missing.append(f"no {hop.before} was found")
        return None

    async def _referred(self, hop: Hop, doc: Document) -> tuple[Document, Document | None, str]:
        """(the reference, the document it leads to, why there is none)."""
        listed = [
            (place, reference)
            for place, reference in enumerate(related(doc, hop.attribute))
            if hop.referred is None or reference.get("@referredType") == hop.referred
        ]
        if not listed:
            return {}, None, f"{hop.attribute} refers to no {hop.before}"
        known = {candidate.id: candidate for candidate in self.heard.get(hop.before, ())}
        why = f"{hop.attribute} refers to {listed[0][1]['id']}, which was not heard of"
        heard_of = [(place, reference) for place, reference in listed if str(reference["id"]) in known]
        for place, reference in heard_of[:_REFERENCES_TRIED]:
            id = str(reference["id"])
            href = str(reference.get("href") or known[id].href)
            found = await self.get(href)
            if not isinstance(found, dict) or found.get("id") != id:
                why = f"{hop.attribute} refers to {id}, which cannot be fetched at {href}"
                continue
            unsuitable = self._unsuitable(hop.before, found)
            if unsuitable:
                why = f"{hop.attribute} refers to {id}, {unsuitable}"
                continue
            self._found(hop.before, replace(known[id], href=href), found)
            single = isinstance(doc[hop.attribute], dict)
            attribute = hop.attribute if single else f"{hop.attribute}[{place}]"
            return {"attribute": attribute, "id": id, "href": reference.get("href")}, found, ""
        return {}, None, why

    def _found(self, name: str, candidate: Candidate, doc: Document) -> None:
        self.steps[name] = Step(name, candidate.id, candidate.href, candidate.at_s, named(name, doc))
        who = _customer(name, doc)
        if who is not None:
            self.customer = who

    def _unsuitable(self, name: str, doc: Document) -> str | None:
        """Why a resource is not the one this loop is about."""
        if name == "queryProductRecommendation" and doc.get("state") != "done":
            return f"whose state is {doc.get('state')}"
        who = _customer(name, doc)
        if who is not None and self.customer is not None and who != self.customer:
            return f"which is about {who}, not {self.customer}"
        if name == "experienceScore" and self.customer is not None and self.customer not in self._concerned(doc):
            return f"which is not about {self.customer}"
        if name == "serviceLevelViolation":
            return self._foreign(doc)
        return None

    def _concerned(self, score: Document) -> set[str]:
        subject = str((score.get("subject") or {}).get("id"))
        owners = {str(party["id"]) for party in related(score, "relatedParty")}
        return {subject, self.given.owners.get(subject, subject)} | owners

    def _foreign(self, violation: Document) -> str | None:
        """Why a violation is not of the degraded series in the degraded cells at that time."""
        cells = {str(entity["id"]) for entity in related(violation, "relatedEntity")}
        if not cells & self.given.cells:
            return f"which is of {', '.join(sorted(cells)) or 'no resource'}, where nothing was degraded"
        service = str((violation.get("affectedService") or {}).get("id"))
        kpi = str((violation.get("violation") or {}).get("parameterName"))
        if (service, kpi) not in self.given.series:
            return f"which is of {kpi} of {service}, which was not degraded"
        end = (violation.get("period") or {}).get("endDateTime")
        if end is not None and datetime.fromisoformat(end).timestamp() <= self.given.start_s:
            return "which was over before the fault began"
        return None

    # --- the first two steps ---

    async def _measurement(self) -> None:
        """The degraded measurements that the violation is about, and the objective's own word for them."""
        violation, objective = self.steps.get("serviceLevelViolation"), self.steps.get("serviceLevelObjective")
        if violation is None or objective is None:
            self.missing.append("no measurement can be named without a violation and its objective")
            return
        kpi, service = objective.names["kpi"], objective.names["service"]
        at = next((cell for cell in violation.names["resources"] if cell in self.given.cells), "")
        query = {
            "resource": at,
            "service": service,
            "kpi": kpi,
            "from": instant(self.given.start_s),
            "to": instant(self.given.until_s),
        }
        href = f"{self.given.service_quality}/{measurements.PATH}?{urlencode(query)}"
        rows = await self.get(href)
        degraded = [row for row in rows or () if (row.get("resource"), row.get("kpi")) == (at, kpi)]
        if not degraded:
            self.missing.append(f"no measurement of {kpi} in {at or 'a degraded cell'} can be fetched at {href}")
            return
        first = degraded[0]
        names = {
            "resource": at,
            "service": service,
            "kpi": kpi,
            "unit": first.get("unit"),
            "values": [row.get("value") for row in degraded],
        }
        self.steps["measurement"] = Step("measurement", str(first.get("id")), href, 0.0, names)
        if (service, kpi) == (violation.names["service"], violation.names["kpi"]):
            refers = {"step": "measurement", "attribute": "serviceLevelObjectiveParameter.name", "id": kpi}
            self.steps["serviceLevelObjective"] = replace(objective, refers_to=refers)
        else:
            wrong = f"is about {kpi} of {service}, its violation about {violation.names['kpi']}"
            self.steps["serviceLevelObjective"] = replace(objective, broken=wrong)


def _customer(name: str, doc: Document) -> str | None:
    """The customer a resource is about."""
    attribute = {"partyRoleRiskAssessment": "partyRole", "queryProductRecommendation": "relatedParty"}.get(name)
    if name == "customer360":
        return str(doc["id"])
    if attribute is None:
        return None
    return next((str(reference["id"]) for reference in related(doc, attribute)), None)


def _ids(doc: Document, attribute: str) -> list[str]:
    return [str(reference["id"]) for reference in related(doc, attribute)]


def named(name: str, doc: Document) -> Document:
    """What a step names as its cause and its result, in short."""
    reasons = [reason.get("driver") for reason in doc.get("reasons") or ()]
    match name:
        case "serviceLevelObjective":
            parameter = doc.get("serviceLevelObjectiveParameter") or {}
            services = _ids(parameter, "relatedEntity")
            return {
                "kpi": parameter.get("name"),
                "service": services[0] if services else None,
                "promised": f"{doc.get('conformanceComparator')} {doc.get('thresholdTarget')}",
            }
        case "serviceLevelViolation":
            found = doc.get("violation") or {}
            return {
                "resources": _ids(doc, "relatedEntity"),
                "service": (doc.get("affectedService") or {}).get("id"),
                "kpi": found.get("parameterName"),
                "actualValue": found.get("actualValue"),
                "referenceValue": found.get("referenceValue"),
            }
        case "serviceProblem":
            return {
                "rootCauseResource": _ids(doc, "rootCauseResource"),
                "slaViolations": len(doc.get("slaViolation") or ()),
                "affectedServices": doc.get("affectedNumberOfServices"),
            }
        case "experienceScore":
            return {
                "subject": (doc.get("subject") or {}).get("id"),
                "service": (doc.get("service") or {}).get("id"),
                "score": doc.get("score"),
                "previousScore": doc.get("previousScore"),
                "cause": _ids(doc, "cause"),
            }
        case "partyRoleRiskAssessment":
            return {
                "customer": _customer(name, doc),
                "churnProbability": doc.get("churnProbability"),
                "evidence": _ids(doc, "evidence"),
                "reasons": reasons,
            }
        case "queryProductRecommendation":
            return {
                "customer": _customer(name, doc),
                "offerings": [_offering(item) for item in doc.get("recommendationItem") or ()],
                "expectedProfit": doc.get("expectedProfit"),
                "reasons": reasons,
            }
        case _:
            slots = ("recommendation", "churnRisk", "experienceScore", "serviceProblem")
            return {"customer": doc["id"], **{slot: _ids(doc, slot) for slot in slots}}


def _offering(item: Document) -> str | None:
    """What an item of a recommendation offers."""
    offering = item.get("productOffering") or (item.get("product") or {}).get("productOffering") or {}
    return offering.get("name") or offering.get("id") or (item.get("product") or {}).get("name")
