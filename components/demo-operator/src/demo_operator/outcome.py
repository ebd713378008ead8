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


class Evidence:
    """Everything heard since a moment: the newest state of each resource, and when it was first heard of."""

    def __init__(self, since: datetime) -> None:
        self.since = since
        self.latest: dict[str, dict[str, Document]] = {step: {} for step in STEP_OF.values()}
        self.first: dict[str, dict[str, datetime]] = {step: {} for step in STEP_OF.values()}
        self._shown: dict[str, dict[str, datetime]] = {}

    def add(self, heard: Heard) -> None:
        step = STEP_OF.get(heard.kind)
        if step is None:
            return
        if not self._counts(step, heard.doc):
            return
        if step == "customer360":
            shown = self._shown.setdefault(heard.resource_id, {})
            for offer in related(heard.doc, "recommendation"):
                shown.setdefault(str(offer["id"]), heard.at)
        self.latest[step][heard.resource_id] = heard.doc
        self.first[step].setdefault(heard.resource_id, heard.at)

    @staticmethod
    def _counts(step: str, doc: Document) -> bool:
        """Scores without a cause and assessments without evidence are not of this loop."""
        if step == "experienceScore":
            return bool(related(doc, "cause"))
        return step != "partyRoleRiskAssessment" or bool(related(doc, "evidence"))

    def candidates(self, step: str) -> list[Candidate]:
        """Resources of a step in the order in which they were first heard of; customer views count from when they show
        an offer of this loop, and only those."""
        first = self._showing() if step == "customer360" else self.first[step]
        ordered = sorted(first.items(), key=lambda item: item[1])
        return [
            Candidate(id, str(self.latest[step][id].get("href")), round((at - self.since).total_seconds(), 3))
            for id, at in ordered
        ]

    def _showing(self) -> dict[str, datetime]:
        offers = self.first["queryProductRecommendation"]
        times = {id: [at for offer, at in shown.items() if offer in offers] for id, shown in self._shown.items()}
        return {id: min(at) for id, at in times.items() if at}

    def count(self, step: str) -> int:
        return len(self._showing() if step == "customer360" else self.latest[step])

    def docs(self, step: str) -> Iterable[Document]:
        return self.latest[step].values()

    @property
    def causes(self) -> list[str]:
        """Root causes that the problems name."""
        return sorted({str(r["id"]) for doc in self.docs("serviceProblem") for r in related(doc, "rootCauseResource")})

    def affected(self, attribute: str, role: str | None = None) -> set[str]:
        """Ids that the problems name as affected."""
        return {
            str(reference["id"])
            for doc in self.docs("serviceProblem")
            for reference in related(doc, attribute)
            if role is None or reference.get("role") == role
        }


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
        scored = {str((doc.get("subject") or {}).get("id")) for doc in evidence.docs("experienceScore")}
        assessed = {str((doc.get("partyRole") or {}).get("id")) for doc in evidence.docs("partyRoleRiskAssessment")}
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
