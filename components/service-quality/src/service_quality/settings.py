"""What an operator may set for service quality, beside what every component has."""

from __future__ import annotations

from pydantic import Field

from tmfkit import Settings

DAY_S = 86_400.0


class ServiceQualitySettings(Settings):
    """Times of measurements are data time: the newest measurement is "now", except where the clock is named."""

    measurement_retention_s: float = Field(
        90 * DAY_S, ge=8 * DAY_S, description="measurements are kept so long; baselines read the last week"
    )
    measurement_future_limit_s: float = Field(
        300.0,
        ge=0,
        le=36_500 * DAY_S,
        description="how far ahead of the clock a measurement may lie; large where time is simulated",
    )
    measurement_age_limit_s: float = Field(
        3660 * DAY_S,
        gt=0,
        le=36_500 * DAY_S,
        description="measurements older by the clock are refused: each week is a partition",
    )
    summary_window_s: float = Field(1800.0, gt=0, description="window of kpiSummary when a caller names none")
    summary_baseline_s: float = Field(
        7 * DAY_S, gt=0, description="time before the window that its baseline is made of; a week has every hour"
    )
    topology_ttl_s: float = Field(600.0, gt=0, description="how long the resource inventory's topology is believed")
    topology_characteristics: list[str] = Field(
        ["site", "du", "area", "region", "cluster", "slice"],
        description="resourceCharacteristic names that say where a measured resource belongs",
    )
    topology_downward: list[str] = Field(
        ["contains", "hasPart", "hasChild", "parentOf", "includes", "composedOf", "supports", "carries", "hosts"],
        description="relationshipType words that lead to a resource below; all others lead to one above",
    )
    inventory_patience_s: float = Field(
        5.0, gt=0, description="a problem is raised without its impact when inventories take longer; it follows later"
    )
    problem_gap_s: float = Field(
        900.0, ge=0, description="violations of one root that start within this of one another are one problem"
    )
    problem_quiet_s: float = Field(
        0.0, ge=0, description="data time without violation before a problem is resolved, beyond their own hysteresis"
    )
    problem_close_after_s: float = Field(
        3600.0, ge=0, description="data time after which a resolved problem is closed; until then it can come back"
    )
    affected_limit: int = Field(
        5000, ge=1, description="services and subjects listed in a problem; affectedNumberOfServices counts all"
    )
