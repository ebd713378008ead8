"""The loop in lines for people: the hour, the simulated hour, what happened, to whom by name, and where to read it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from demo_operator.domain.faults import Fault
from demo_operator.domain.truth import FaultTruth
from demo_operator.inventory import person_name, thing_name
from demo_operator.load import Say
from demo_operator.memory import Operator, instant
from demo_operator.watch import Heard, related
from tmfkit.types import Document

LINES_OF_A_KIND = 4
TITLES = {
    "ServiceLevelViolation": "level violated",
    "ServiceProblem": "problem",
    "ExperienceScore": "experience",
    "PartyRoleRiskAssessment": "churn risk",
    "QueryProductRecommendation": "offer",
    "Customer360": "customer view",
}


def _number(value: Any, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "?"


class Narrator:
    """Tells each kind of event a few times in a fault, then counts. `simulated_s` is the simulated time shown."""

    def __init__(self, operator: Operator, tell: Say) -> None:
        self.operator, self._tell = operator, tell
        self.simulated_s = operator.terms.as_of_s
        self._told: Counter[str] = Counter()
        self._counted: Counter[str] = Counter()
        self._offers: dict[str, set[str]] = {}

    def line(self, what: str, text: str, at: datetime | None = None) -> None:
        clock = (at or datetime.now()).astimezone().strftime("%H:%M:%S")
        simulated = instant(self.simulated_s)[:16].replace("T", " ")
        self._tell(f"{clock}  sim {simulated}  {what:<15} {text}")

    def begin(self) -> None:
        """A new fault: every kind of event is told again."""
        self._told.clear()
        self._counted.clear()

    def rest(self) -> None:
        """What was counted and not told since the beginning, in one line."""
        if self._counted:
            more = ", ".join(f"{count:,} more {TITLES[kind]} events" for kind, count in self._counted.items())
            self.line("and", more)
            self._counted.clear()

    def hear(self, heard: Heard) -> None:
        """One event; the first of its kind are told, the others counted."""
        text = self._text(heard)
        if text is None:
            return
        what = TITLES[heard.kind]
        if heard.kind == "ServiceLevelViolation" and heard.doc.get("state") == "cleared":
            what = "level restored"
        told = f"{heard.event_type}/{heard.doc.get('state')}/{heard.doc.get('status')}"
        if self._told[told] >= LINES_OF_A_KIND:
            self._counted[heard.kind] += 1
            return
        self._told[told] += 1
        self.line(what, f"{text}  {heard.doc.get('href', '')}", heard.at)

    def fault(self, fault: Fault, truth: FaultTruth) -> None:
        """The truth of a fault that is injected now."""
        names = {element.id: element.name for element in self.operator.world.network.elements}
        things = sum(subject in self.operator.things for subject in truth.subject_ids)
        self.line(
            "FAULT",
            f"{fault.kind.replace('_', ' ')} caused by {fault.cause_id} ({names[fault.cause_id]}): "
            f"{', '.join(fault.services)} in {len(fault.cells)} cells for {fault.duration_s // 60} min; "
            f"truly felt by {len(truth.subject_ids) - things} people and {things} things, "
            f"{len(truth.customer_ids)} customers",
        )

    def who(self, id: str | None) -> str:
        """A person, a thing with its owner, or the id where we do not know either."""
        person = self.operator.people.get(id or "")
        if person is not None:
            return f"{person_name(person)} ({id})"
        thing = self.operator.things.get(id or "")
        if thing is not None:
            return f"{thing_name(thing)} of {person_name(self.operator.people[thing.owner_id])} ({id})"
        return str(id)

    def _text(self, heard: Heard) -> str | None:
        doc = heard.doc
        match heard.kind:
            case "ServiceLevelViolation":
                return self._violation(doc)
            case "ServiceProblem":
                return self._problem(heard)
            case "ExperienceScore":
                service = (doc.get("service") or {}).get("name") or (doc.get("service") or {}).get("id")
                before = f", was {_number(doc['previousScore'], 0)}" if doc.get("previousScore") is not None else ""
                who = self.who((doc.get("subject") or {}).get("id"))
                return f"{who}: {_number(doc.get('score'), 0)} of 100 ({doc.get('band')}){before} with {service}"
            case "PartyRoleRiskAssessment":
                reasons = ", ".join(str(r.get("text") or r.get("driver")) for r in (doc.get("reasons") or [])[:2])
                who = self.who((doc.get("partyRole") or {}).get("id"))
                chance = doc.get("churnProbability")
                percent = f"{100 * chance:.1f} %" if isinstance(chance, int | float) else "not known"
                return f"{who}: {percent} to leave" + (f" ({reasons})" if reasons else "")
            case "QueryProductRecommendation":
                return self._offer(doc)
            case "Customer360":
                offers = {str(offer["id"]) for offer in related(doc, "recommendation")}
                if offers <= self._offers.get(heard.resource_id, set()):
                    return None
                self._offers[heard.resource_id] = offers
                return f"{self.who(heard.resource_id)} now shows {len(offers)} offer(s)"
            case _:
                return None

    def _violation(self, doc: Document) -> str:
        found = doc.get("violation") or {}
        where = ", ".join(str(entity["id"]) for entity in related(doc, "relatedEntity")) or "?"
        unit = found.get("unit") or ""
        return (
            f"{found.get('parameterName')} of {(doc.get('affectedService') or {}).get('id')} in {where}: "
            f"{_number(found.get('actualValue'))} {unit}, promised {found.get('operator')} "
            f"{_number(found.get('referenceValue'))} {unit}"
        )

    def _problem(self, heard: Heard) -> str:
        doc = heard.doc
        cause = ", ".join(str(resource["id"]) for resource in related(doc, "rootCauseResource")) or "not known"
        parties = [party for party in related(doc, "relatedParty") if party.get("role") == "affectedCustomer"]
        return (
            f"{doc.get('status')}: cause {cause}, {doc.get('affectedNumberOfServices') or 0} services, "
            f"{len(parties)} customers, {len(doc.get('slaViolation') or ())} violations"
        )

    def _offer(self, doc: Document) -> str:
        items = doc.get("recommendationItem") or []
        product = (items[0].get("product") or {}) if items else {}
        offering = (items[0].get("productOffering") or {}) if items else {}
        what = offering.get("name") or product.get("name") or offering.get("id") or "nothing"
        profit = doc.get("expectedProfit") or {}
        gain = f", expected profit {_number(profit.get('value'))} {profit.get('unit', '')}" if profit else ""
        who = (doc.get("relatedParty") or {}).get("id")
        return f"for {self.who(who)}: {what}{gain}"
