"""What an operator may set of customer 360, beside the settings of every component."""

from __future__ import annotations

from pydantic import Field

from tmfkit import Settings

DAY_S = 86_400.0


class Customer360Settings(Settings):
    """Names in the environment are the upper-case field names."""

    timeline_limit: int = Field(100, ge=1, description="entries of a customer's timeline that are kept")
    problem_limit: int = Field(20, ge=1, description="service problems that are shown of one customer")
    product_fresh_s: float = Field(900.0, gt=0, description="products are looked up again after this time")
    experience_fresh_s: float = Field(DAY_S, gt=0, description="how long an experience score is worth acting on")
    problem_fresh_s: float = Field(DAY_S, gt=0, description="how long the state of a service problem is")
    risk_fresh_s: float = Field(7 * DAY_S, gt=0, description="how long a risk assessment is")
    recommendation_fresh_s: float = Field(7 * DAY_S, gt=0, description="how long a recommendation is")
    unknown_retention_s: float = Field(
        7 * DAY_S, gt=0, description="what is told of a customer whom we do not know is kept this long"
    )
