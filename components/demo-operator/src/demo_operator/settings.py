"""What may be set for the demo operator: where the components are, which world is made, how fast time runs."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from tmfkit import Settings

DEPENDENCIES = {
    "serviceQuality": "http://127.0.0.1:8631/service-quality",
    "experienceManagement": "http://127.0.0.1:8632/experience-management",
    "customer360": "http://127.0.0.1:8633/customer-360",
    "churnPrediction": "http://127.0.0.1:8634/churn-prediction",
}


class DemoSettings(Settings):
    """The world's settings count when it is made; a database that holds a world keeps it."""

    port: int = Field(8635, ge=0, description="port to listen on")
    public_url: str = Field("http://127.0.0.1:8635", description="scheme and authority under which others reach us")
    dependencies: dict[str, str] = Field(
        default_factory=DEPENDENCIES.copy, description="address of each component, up to the segment before tmf-api"
    )
    upstream_timeout_s: float = Field(60.0, gt=0, description="a batch of measurements or customers takes its time")

    seed: int = Field(1, ge=0, description="of the world that is made; also of the faults unless another is given")
    scale: Literal["full", "tiny"] = Field("full", description="full: 5,000 people, 500 things, 200 cells")
    as_of: datetime | None = Field(None, description="where history ends and live time begins; default now")
    past_customers: int = Field(3000, ge=0, description="customers of an earlier base, with known outcome")
    history_weeks: int = Field(8, ge=1, description="hourly history; its last day is in five-minute steps")
    incidents_per_week: float = Field(6.0, ge=0, description="faults of the past in history and in what people felt")

    batch_rows: int = Field(10_000, ge=1, description="measurements in one request of the history")
    requests_in_flight: int = Field(3, ge=1, description="requests of the history under way at once")
    customers_per_request: int = Field(250, ge=1, le=1000)

    loop: Literal["off", "load", "live"] = Field(
        "off", description="what `serve` does by itself: only what it is told, load everything, or load and go live"
    )
    speed: float = Field(150.0, gt=0, description="simulated seconds per second in live time")
    pause_steps: int = Field(24, ge=0, description="healthy five-minute steps between two faults")
    min_customers: int = Field(8, ge=0, description="a drawn fault concerns at least so many customers, if one does")
    assessment_patience_s: float = Field(
        45.0, ge=0, description="the first assessment of everybody is waited for while it goes on at least this often"
    )
    settle_s: float = Field(2.0, ge=0, description="a loop is judged when nothing has been heard for so long")
