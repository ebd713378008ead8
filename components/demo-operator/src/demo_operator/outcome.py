"""What a loop came to: truth against found, counts and times per hop, as the JSON summary and as one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from demo_operator.chain import Candidate, Chain, Step
from demo_operator.domain.faults import Fault
from demo_operator.domain.truth import CauseScore, FaultTruth, SetScore, score, set_score
from demo_operator.memory import Operator, instant
from demo_operator.watch import Heard, related
from tmfkit.types import Document

STEP_OF = {
    "ServiceLevelViolation": "serviceLevelViolation",
    "ServiceProblem": "serviceProblem",
    "ExperienceScore": "experienceScore",
    "PartyRoleRiskAssessment": "partyRoleRiskAssessment",
    "QueryProductRecommendation": "queryProductRecommendation",
    "Customer360": "customer360",
}


ENDED = frozenset({"resolved", "closed", "cancelled", "rejected"})


class Evidence:
    """Everything heard since a moment: the newest state of each resource, and when it was first heard of.

    What an earlier fault has left behind is told apart: violations and problems count if they began since, a problem
    also if it is open; scores and assessments if they rest on such problems; customer views from when they show an
    offer that was heard of. This is judged when asked, for events of different publishers come in any order.
    """

    def __init__(self, since: datetime) -> None:
        self.since = since
        self._docs: dict[str, dict[str, Document]] = {step: {} for step in STEP_OF.values()}
        self._first: dict[str, dict[str, datetime]] = {step: {} for step in STEP_OF.values()}
        self._created: set[str] = set()
        self._shown: dict[str, dict[str, datetime]] = {}

    def add(self, heard: Heard) -> None:
        step, id = STEP_OF.get(heard.kind), heard.resource_id
        if step is None:
            return
        if heard.created:
            self._created.add(id)
        if step == "customer360":
            for offer in _ids(heard.doc, "recommendation"):
                self._shown.setdefault(id, {}).setdefault(offer, heard.at)
        self._docs[step][id] = heard.doc
        self._first[step].setdefault(id, heard.at)

    def docs(self, step: str) -> dict[str, Document]:
        """The resources of a step that count, by id."""
        found = self._docs[step]
        match step:
            case "serviceLevelViolation":
                return {id: doc for id, doc in found.items() if id in self._created}
            case "serviceProblem":
                return {id: doc for id, doc in found.items() if id in self._created or doc.get("status") not in ENDED}
            case "experienceScore":
                problems = self.docs("serviceProblem").keys()
                return {id: doc for id, doc in found.items() if _ids(doc, "cause") & problems}
            case "partyRoleRiskAssessment":
                mine = self.docs("serviceProblem").keys() | self.docs("experienceScore").keys()
                return {id: doc for id, doc in found.items() if _ids(doc, "evidence") & mine}
            case "customer360":
                offers = self._docs["queryProductRecommendation"].keys()
                return {id: doc for id, doc in found.items() if self._shown.get(id, {}).keys() & offers}
            case _:
                return found

    def count(self, step: str) -> int:
        return len(self.docs(step))

    def candidates(self, step: str) -> list[Candidate]:
        """Resources of a step in the order in which they were first heard of; offers, and views that show them, that
        rest on assessments of this loop come first."""
        docs = self.docs(step)
        first = {id: self._since(step, id) for id in docs}
        mine = self._mine() if step in ("queryProductRecommendation", "customer360") else set()
        likely = {id for id in docs if (self._shown.get(id, {}).keys() if step == "customer360" else {id}) & mine}
        ordered = sorted(docs, key=lambda id: (id not in likely, first[id]))
        return [Candidate(id, str(docs[id].get("href")), round(first[id], 3)) for id in ordered]

    def _mine(self) -> set[str]:
        """Offers that rest on assessments of this loop."""
        assessments = self.docs("partyRoleRiskAssessment").keys()
        offers = self._docs["queryProductRecommendation"]
        return {id for id, doc in offers.items() if _ids(doc, "riskAssessment") & assessments}

    def _since(self, step: str, id: str) -> float:
        """Seconds from the beginning to the first event; of a customer view, to the first that showed such an offer."""
        at = self._first[step][id]
        if step == "customer360":
            offers = self._docs["queryProductRecommendation"]
            at = min(shown for offer, shown in self._shown[id].items() if offer in offers)
        return (at - self.since).total_seconds()

    @property
    def causes(self) -> list[str]:
        """Root causes that the problems name."""
        return sorted({id for doc in self.docs("serviceProblem").values() for id in _ids(doc, "rootCauseResource")})

    def affected(self, attribute: str, role: str | None = None) -> set[str]:
        """Ids that the problems name as affected."""
        return {
            str(reference["id"])
            for doc in self.docs("serviceProblem").values()
            for reference in related(doc, attribute)
            if role is None or reference.get("role") == role
        }


def _ids(doc: Document, attribute: str) -> set[str]:
    return {str(reference["id"]) for reference in related(doc, attribute)}


def found_causes(operator: Operator, causes: Iterable[str]) -> list[str]:
    """Areas as their DU pools: the two have the same cells, so that nothing measured tells them apart."""
    pools = {area.id: str(area.du_id) for area in operator.world.network.areas}
    return sorted({pools.get(cause, cause) for cause in causes})


@dataclass(frozen=True)
class Outcome:
    """A loop that was driven to its end or its time limit."""

    seed: int
    operator: Operator
    fault: Fault
    truth: FaultTruth
    chain: Chain
    evidence: Evidence
    batches_s: Sequence[float]

    @property
    def cause(self) -> CauseScore:
        return score(found_causes(self.operator, self.evidence.causes), self.truth, self.operator.world.network)

    def line(self) -> str:
        """The outcome for people."""
        cause = self.cause
        found = ", ".join(cause.found) or "nothing"
        felt = self.sets()["subjects"]
        offers = self.evidence.count("queryProductRecommendation")
        told = f"cause found {found} ({cause.verdict}), {felt.both} of {felt.true} who feel it named, {offers} offers"
        if self.chain.closed:
            last = self.chain.steps[-1].at_s or 0.0
            return f"closed in {last:.1f} s: {told}"
        return f"not closed: {told}; " + "; ".join(self.chain.faults)

    def sets(self) -> dict[str, SetScore]:
        """Found against true. Owners of things are concerned, but do not feel anything themselves."""
        truth, evidence = self.truth, self.evidence
        things = set(truth.subject_ids) & self.operator.things.keys()
        owners = set(truth.customer_ids) - set(truth.subject_ids)
        named = evidence.affected("relatedParty", "affectedCustomer")
        scored = {str((doc.get("subject") or {}).get("id")) for doc in evidence.docs("experienceScore").values()}
        assessed = {
            str((doc.get("partyRole") or {}).get("id")) for doc in evidence.docs("partyRoleRiskAssessment").values()
        }
        named_things = evidence.affected("relatedEntity", "affectedThing")
        return {
            "subjects": set_score((named - owners) | named_things, truth.subject_ids),
            "things": set_score(named_things, things),
            "customers": set_score(named, truth.customer_ids),
            "services": set_score(evidence.affected("affectedService"), truth.service_instance_ids),
            "scored": set_score(scored, truth.subject_ids),
            "assessed": set_score(assessed, truth.customer_ids),
        }

    def document(self) -> Document:
        """The JSON summary."""
        cause, evidence = self.cause, self.evidence
        return {
            "seed": self.seed,
            "worldSeed": self.operator.terms.seed,
            "fault": fault_document(self.fault, self.truth),
            "closed": self.chain.closed,
            "notClosedBecause": list(self.chain.faults),
            "steps": [step_document(step) for step in self.chain.steps],
            "timings": timings(self.chain, self.batches_s),
            "cause": {
                "verdict": str(cause.verdict),
                "true": list(cause.true),
                "found": list(cause.found),
                "named": evidence.causes,
                "related": list(cause.related),
            },
            "affected": {name: set_document(one) for name, one in self.sets().items()},
            "counts": counts(evidence, len(self.batches_s)),
        }


def counts(evidence: Evidence, batches: int) -> Document:
    """How many resources of each step were heard of."""
    return {"measurementBatches": batches, **{step: evidence.count(step) for step in STEP_OF.values()}}


def fault_document(fault: Fault, truth: FaultTruth) -> Document:
    """The truth of a fault."""
    return {
        "id": fault.id,
        "kind": str(fault.kind),
        "causeIds": list(truth.cause_ids),
        "causeKind": None if truth.cause_kind is None else str(truth.cause_kind),
        "services": [str(service) for service in truth.services],
        "cellIds": list(truth.cell_ids),
        "subjects": len(truth.subject_ids),
        "customers": len(truth.customer_ids),
        "effects": [{"channel": str(effect.channel), "size": effect.size} for effect in fault.effects],
        "startDateTime": instant(fault.start_s),
        "endDateTime": instant(fault.end_s),
    }


def step_document(step: Step) -> Document:
    out: Document = {
        "step": step.step,
        "id": step.id,
        "href": step.href,
        "arrivedS": step.at_s,
        "names": step.names,
        "refersTo": step.refers_to,
    }
    return out if step.broken is None else {**out, "broken": step.broken}


def set_document(one: SetScore) -> Document:
    document: dict[str, Any] = asdict(one)
    return {**document, "precision": one.precision, "recall": one.recall}


def timings(chain: Chain, batches_s: Sequence[float]) -> Document:
    """Seconds since the first degraded measurement was sent, and per hop. The first hop counts from the last batch
    before the violation: what lies before is the waiting for enough bad windows, at the pace of simulated time."""
    arrived = {step.step: step.at_s for step in chain.steps if step.at_s is not None}
    hops: dict[str, float] = {}
    previous: float | None = None
    for name, at_s in arrived.items():
        if name == "serviceLevelViolation":
            previous = max((sent for sent in batches_s if sent <= at_s), default=0.0)
        if previous is not None:
            hops[name] = round(at_s - previous, 3)
        previous = at_s
    return {"arrivedS": arrived, "hopS": hops}
