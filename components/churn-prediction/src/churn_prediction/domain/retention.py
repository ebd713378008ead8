"""Which offer, if any, is worth making: expected profit per offer under assumptions that are written down.

Without a control group nobody knows what an offer causes: the result carries causalStatus "associational" and every
number it was made of. The highest risk is not the best target (Ascarza, Journal of Marketing Research 55, 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from churn_prediction.domain import clv
from churn_prediction.domain.features import Group
from churn_prediction.domain.risk import NEGLIGIBLE, Assessment

ASSOCIATIONAL = "associational"


def _require_shares(**shares: float) -> None:
    for name, share in shares.items():
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"{name} is a probability, not {share}")


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer with what is assumed of it. Money in the currency of the assumptions, per customer.

    addresses: the driver groups it acts on; empty means any customer. provoked_churn: probability that the contact
    itself makes a customer leave who would have stayed.
    """

    id: str
    name: str
    cost: float
    contact_cost: float
    acceptance_if_leaving: float
    acceptance_if_staying: float
    stay_given_acceptance: float
    addresses: frozenset[Group] = frozenset()
    provoked_churn: float = 0.0

    def __post_init__(self) -> None:
        _require_shares(
            acceptance_if_leaving=self.acceptance_if_leaving,
            acceptance_if_staying=self.acceptance_if_staying,
            stay_given_acceptance=self.stay_given_acceptance,
            provoked_churn=self.provoked_churn,
        )


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the profit rests on besides the offer. A customer who leaves is worth 0 from then on."""

    horizon_months: int
    annual_discount_rate: float
    monthly_hazard_after_save: float
    currency: str
    source: str
    causal_status: str = ASSOCIATIONAL

    def __post_init__(self) -> None:
        _require_shares(monthly_hazard_after_save=self.monthly_hazard_after_save)

    def document(self) -> dict[str, Any]:
        return {
            "horizonMonths": self.horizon_months,
            "annualDiscountRate": self.annual_discount_rate,
            "monthlyHazardAfterSave": self.monthly_hazard_after_save,
            "currency": self.currency,
            "source": self.source,
            "causalStatus": self.causal_status,
        }


@dataclass(frozen=True, slots=True)
class Valuation:
    """One offer for one customer. The interval is that of the churn probability alone; the assumptions have none.

    expected_profit = saved_value - offer_cost - contact_cost - provoked_loss. `ruled_out` says why the offer may not be
    made whatever it earns, else empty.
    """

    offer: Offer
    expected_profit: float
    low: float
    high: float
    saved_value: float
    offer_cost: float
    contact_cost: float
    provoked_loss: float
    ruled_out: str = ""

    def document(self) -> dict[str, Any]:
        return {
            "offer": self.offer.id,
            "name": self.offer.name,
            "expectedProfit": self.expected_profit,
            "low": self.low,
            "high": self.high,
            "savedValue": self.saved_value,
            "offerCost": self.offer_cost,
            "contactCost": self.contact_cost,
            "provokedLoss": self.provoked_loss,
            "ruledOut": self.ruled_out,
        }


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The offer to make, or None with the reason in `why`; `considered` holds every offer that was valued."""

    customer_id: str
    as_of: datetime
    best: Valuation | None
    why: str
    reasons: tuple[str, ...]
    considered: tuple[Valuation, ...]
    probability: float
    clv_saved: float | None
    monthly_margin: float | None
    assumptions: Assumptions
    model_version: str

    @property
    def offer(self) -> Offer | None:
        return None if self.best is None else self.best.offer

    def document(self) -> dict[str, Any]:
        return {
            "customerId": self.customer_id,
            "asOf": self.as_of.isoformat(),
            "offer": None if self.best is None else self.best.document(),
            "why": self.why,
            "reasons": list(self.reasons),
            "considered": [valuation.document() for valuation in self.considered],
            "probability": self.probability,
            "clvSaved": self.clv_saved,
            "monthlyMargin": self.monthly_margin,
            "assumptions": self.assumptions.document(),
            "causalStatus": self.assumptions.causal_status,
            "modelVersion": self.model_version,
        }


def saved_value(monthly_margin: float, assumptions: Assumptions) -> float:
    """CLV of a customer who was about to leave and stays: finite horizon, constant hazard after the save."""
    months = assumptions.horizon_months
    alive = clv.survival([assumptions.monthly_hazard_after_save] * months)
    return clv.finite_horizon([monthly_margin] * months, alive, clv.monthly_rate(assumptions.annual_discount_rate))


def _parts(probability: float, offer: Offer, clv_saved: float) -> tuple[float, float, float, float]:
    saved = probability * offer.acceptance_if_leaving * offer.stay_given_acceptance * clv_saved
    accepts = probability * offer.acceptance_if_leaving + (1.0 - probability) * offer.acceptance_if_staying
    provoked = (1.0 - probability) * offer.provoked_churn * clv_saved
    return saved, offer.cost * accepts, offer.contact_cost, provoked


def expected_profit(probability: float, offer: Offer, clv_saved: float) -> float:
    """EP = p a_l s CLV - c_o [p a_l + (1 - p) a_s] - c_c - (1 - p) q CLV, in currency.

    p churn probability; a_l, a_s acceptance if leaving, if staying; s stay given acceptance; c_o, c_c cost of the offer
    (if accepted) and of the contact; q provoked churn. After Verbraken, Verbeke and Baesens, IEEE TKDE 25, 2013.
    """
    saved, cost, contact, provoked = _parts(probability, offer, clv_saved)
    return saved - cost - contact - provoked


def valuation(assessment: Assessment, offer: Offer, clv_saved: float) -> Valuation:
    """The offer's expected profit for this customer, and whether it acts on anything that drives the risk."""
    ends = [expected_profit(p, offer, clv_saved) for p in (assessment.low, assessment.high)]
    saved, cost, contact, provoked = _parts(assessment.probability, offer, clv_saved)
    raised = {group for group, amount in assessment.drivers.items() if amount > NEGLIGIBLE}
    misses = bool(offer.addresses) and not raised & {group.value for group in offer.addresses}
    groups = ", ".join(sorted(group.value for group in offer.addresses))
    return Valuation(
        offer,
        saved - cost - contact - provoked,
        min(ends),
        max(ends),
        saved,
        cost,
        contact,
        provoked,
        f"it acts on {groups}, which does not raise this risk" if misses else "",
    )


def recommend(
    assessment: Assessment,
    monthly_margin: float | None,
    offers: Sequence[Offer],
    assumptions: Assumptions,
    do_not_contact: str = "",
) -> Recommendation:
    """The offer of largest positive expected profit, or none and why.

    do_not_contact: why this customer may not be contacted (consent, contact pressure, ...); it outweighs any profit.
    """
    value = None if monthly_margin is None else saved_value(monthly_margin, assumptions)
    considered = () if value is None else tuple(valuation(assessment, offer, value) for offer in offers)
    possible = [v for v in considered if not v.ruled_out]
    best = max(possible, key=lambda v: v.expected_profit, default=None)
    if do_not_contact:
        best, why = None, f"not to be contacted: {do_not_contact}"
    elif value is None:
        best, why = None, "not enough data: the customer's monthly margin is unknown"
    elif best is None:
        why = "no offer acts on what drives the risk" if considered else "there is no offer"
    elif best.expected_profit <= 0.0:
        why = f"no offer earns its cost: the best, {best.offer.name}, is expected to lose {-best.expected_profit:.2f}"
        best = None
    else:
        why = f"{best.offer.name} is expected to earn {best.expected_profit:.2f} {assumptions.currency}"
    return Recommendation(
        assessment.customer_id,
        assessment.as_of,
        best,
        why,
        tuple(r.text for r in assessment.reasons if r.contribution > 0.0),
        considered,
        assessment.probability,
        value,
        monthly_margin,
        assumptions,
        assessment.model_version,
    )
