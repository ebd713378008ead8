"""What a POST performs: an assessment of one customer (TMF696), a recommendation for one (TMF680), in its own
transaction and at once."""

from __future__ import annotations

from datetime import datetime

from churn_prediction import artefact, documents, offers, score
from churn_prediction.documents import FAILED, Judgement
from tmfkit import Transaction
from tmfkit.database import new_id
from tmfkit.types import Document

NO_MODEL = "no model is in service: train one first"
NOT_ENOUGH_DATA = "not enough data: no model in service assesses the risk of a {subject}"
NO_CUSTOMER = "no customer with this id whom the model could assess is known here"

SUBJECTS = (
    ("shoppingCart", "shopping cart"),
    ("productOrder", "product order"),
    ("productOffering", "product offering"),
)


async def assess(tx: Transaction, doc: Document) -> Document:
    """PartyRoleRiskAssessment: the customer that partyRole names is assessed now; else the status is Failed and
    statusReason says why."""
    active = await artefact.active(tx)
    if active is None:
        return {**doc, "status": FAILED, "statusReason": NO_MODEL}
    terms = await offers.kept(tx)
    now: datetime = await tx.fetchval("SELECT now()")
    judged = await score.judge(tx, active, terms, [doc["partyRole"]["id"]], now)
    if not judged:
        return {**doc, "status": FAILED, "statusReason": NO_CUSTOMER}
    found = documents.assessment(judged[0], active, terms)
    party = {**found.pop("partyRole"), **doc["partyRole"]}
    doc = {"id": new_id(), **doc, **found, "partyRole": party}
    await score.remember(tx, active, [(doc["id"], judged[0])])
    return doc


async def without_a_model(_tx: Transaction, doc: Document) -> Document:
    """An assessment that no model is there for: kept with the status Failed and why, without a result."""
    subject = next(words for name, words in SUBJECTS if name in doc)
    if "partyRole" in doc:
        subject += " in the hands of a party role"
    return {**doc, "status": FAILED, "statusReason": NOT_ENOUGH_DATA.format(subject=subject)}


async def recommend(tx: Transaction, doc: Document) -> Document:
    """QueryProductRecommendation: the best offer for the customer that relatedParty names, or none and why. It rests on
    the newest assessment; where something has changed since, on one that is made now."""
    customer_id = (doc.get("relatedParty") or {}).get("id")
    active = await artefact.active(tx)
    if active is None:
        return {**doc, "state": "terminatedWithError", "stateReason": NO_MODEL}
    terms = await offers.kept(tx)
    now: datetime = await tx.fetchval("SELECT now()")
    judged = await score.judge(tx, active, terms, [customer_id], now) if customer_id else []
    if not judged:
        return {**doc, "state": "terminatedWithError", "stateReason": NO_CUSTOMER}
    judgement: Judgement = judged[0]
    if judgement.previous is not None and judgement.unchanged:
        assessment_id = judgement.previous.id
    else:
        assessment_id = await score.publish(tx, active, terms, judgement)
        await score.remember(tx, active, [(assessment_id, judgement)])
    found = documents.recommendation(judgement, assessment_id, terms)
    party = {**found.pop("relatedParty"), **doc["relatedParty"]}
    asked: Document = {k: doc[k] for k in ("recommendationType", "instantSyncRecommendation") if k in doc}
    return {**doc, **found, **asked, "relatedParty": party}
