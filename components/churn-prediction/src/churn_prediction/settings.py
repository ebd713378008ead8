"""What an operator may set of churn prediction, with unit and reason."""

from __future__ import annotations

from pydantic import Field

from tmfkit import Settings


class ChurnSettings(Settings):
    past_status: str = Field(
        "past", description="TMF629 status of customers who are there to learn from and are never assessed"
    )
    horizon_days: int = Field(
        30, ge=1, description="days within which the labels of training say who left; a model keeps its own"
    )
    assessment_batch: int = Field(
        250, ge=1, le=2000, description="customers assessed in one transaction: fewer lose less to a crash"
    )
    offers_file: str | None = Field(
        None, description="JSON file of offers and assumptions instead of the one in the package (its shape)"
    )
    charge_features: list[str] = Field(
        ["monthly_charge", "monthlyCharges"],
        description="feature that holds what the customer pays a month, in the currency of the offers; first found",
    )
    min_risk_rise: float = Field(
        0.01,
        ge=0,
        le=1,
        description="probability by which the risk must rise for an offer to be thought of: smaller is noise",
    )
    offer_pause_s: float = Field(
        30 * 86_400.0, ge=0, description="without a new service problem nobody is made a second offer within this time"
    )
    offer_valid_days: int = Field(14, ge=1, description="validity of a recommendation")
    owner_party: str = Field(
        "operator", description="id of the party that answers for the models (TMF915 relatedParty)"
    )
