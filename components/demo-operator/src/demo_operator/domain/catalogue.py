"""What the operator sells and promises: services, slices, KPIs and service level objectives, as plain tables.

Measurement names are those of 3GPP TS 28.552 where it has one (DRB.*), else our own with the service as prefix.
Units are the readable ones (Mbit/s, ms, %), not the counters' (kbit/s, 0.1 ms, 1e-6).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Service(StrEnum):
    VOICE = "voice"
    VIDEO = "video"
    BROADBAND = "broadband"
    TELEMETRY = "telemetry"


class SliceId(StrEnum):
    EMBB = "slice-embb"
    URLLC = "slice-urllc"
    MMTC = "slice-mmtc"


@dataclass(frozen=True, slots=True)
class ServiceOffer:
    """A service as it is sold: catalogue name, the 5QI its traffic is mapped to (TS 23.501 table 5.7.4-1), list
    price."""

    service: Service
    name: str
    five_qi: int
    subject: Literal["person", "thing"]
    monthly_price: float


@dataclass(frozen=True, slots=True)
class Slice:
    """A network slice; `sst` is the standardised slice/service type of TS 23.501 table 5.15.2.2-1."""

    id: SliceId
    name: str
    sst: int


@dataclass(frozen=True, slots=True)
class Kpi:
    """One measured quantity of one service. `higher_is_better` says which direction is good."""

    service: Service
    name: str
    unit: str
    higher_is_better: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Objective:
    """A service level objective in the terms of TMF657 ServiceLevelObjective.

    A value conforms when `value comparator target`, a deviation up to `tolerance` (same unit) still being allowed.
    The objective is violated when the share of conforming five-minute values in a window of `window_s` is below
    `conformance_ratio`, in more than `grace_times` consecutive windows. `warning` is the thresholdTarget.
    """

    id: str
    service: Service
    kpi: str
    unit: str
    comparator: Literal[">=", "<="]
    target: float
    warning: float
    tolerance: float
    conformance_ratio: float = 0.8
    grace_times: int = 0
    window_s: int = 1800


SERVICES: tuple[ServiceOffer, ...] = (
    ServiceOffer(Service.VOICE, "Voice over 5G", 1, "person", 15.0),
    ServiceOffer(Service.VIDEO, "Video streaming", 8, "person", 12.0),
    ServiceOffer(Service.BROADBAND, "Mobile broadband", 9, "person", 25.0),
    ServiceOffer(Service.TELEMETRY, "Industrial control and telemetry", 3, "thing", 6.0),
)
SERVICE_INDEX: dict[Service, int] = {offer.service: at for at, offer in enumerate(SERVICES)}

SLICES: tuple[Slice, ...] = (
    Slice(SliceId.EMBB, "Enhanced mobile broadband", 1),
    Slice(SliceId.URLLC, "Ultra-reliable low-latency control", 2),
    Slice(SliceId.MMTC, "Massive internet of things", 3),
)

THROUGHPUT = "DRB.UEThpDl"
DELAY = "DRB.AirIfDelayDl"
LOSS = "DRB.PacketLossRateUl"
SETUP = "Voice.CallSetupSuccessRatio"
STALL = "Video.StallRatio"
SESSION = "Web.PageSessionTime"
AVAILABILITY = "Thing.Availability"
DEADLINE_MISS = "Thing.DeadlineMissRatio"

KPIS: tuple[Kpi, ...] = (
    Kpi(Service.VOICE, SETUP, "%", True, "calls set up / calls attempted"),
    Kpi(Service.VOICE, LOSS, "%", False, "uplink packet loss of the 5QI 1 bearer"),
    Kpi(Service.VOICE, DELAY, "ms", False, "mean downlink delay over the air interface, 5QI 1"),
    Kpi(Service.VIDEO, THROUGHPUT, "Mbit/s", True, "mean downlink throughput a user sees, 5QI 8"),
    Kpi(Service.VIDEO, STALL, "%", False, "time stalled / time watched"),
    Kpi(Service.BROADBAND, THROUGHPUT, "Mbit/s", True, "mean downlink throughput a user sees, 5QI 9"),
    Kpi(Service.BROADBAND, SESSION, "s", False, "time from request to complete page, weighted session of ITU-T G.1030"),
    Kpi(Service.TELEMETRY, DELAY, "ms", False, "mean downlink delay over the air interface, 5QI 3"),
    Kpi(Service.TELEMETRY, DEADLINE_MISS, "%", False, "messages later than 50 ms or lost / messages sent"),
    Kpi(Service.TELEMETRY, AVAILABILITY, "%", True, "communication service availability, TS 22.104 annex C.3"),
)
KPI_INDEX: dict[tuple[Service, str], int] = {(kpi.service, kpi.name): at for at, kpi in enumerate(KPIS)}

OBJECTIVES: tuple[Objective, ...] = (
    Objective("slo-voice-setup", Service.VOICE, SETUP, "%", ">=", 98.0, 98.5, 0.25),
    Objective("slo-voice-loss", Service.VOICE, LOSS, "%", "<=", 1.0, 0.8, 0.1),
    Objective("slo-voice-delay", Service.VOICE, DELAY, "ms", "<=", 80.0, 60.0, 4.0),
    Objective("slo-video-throughput", Service.VIDEO, THROUGHPUT, "Mbit/s", ">=", 5.0, 7.0, 0.25),
    Objective("slo-video-stall", Service.VIDEO, STALL, "%", "<=", 2.0, 1.5, 0.25),
    Objective("slo-broadband-throughput", Service.BROADBAND, THROUGHPUT, "Mbit/s", ">=", 5.0, 7.0, 0.25),
    Objective("slo-broadband-session", Service.BROADBAND, SESSION, "s", "<=", 4.0, 3.5, 0.2),
    Objective("slo-telemetry-delay", Service.TELEMETRY, DELAY, "ms", "<=", 50.0, 40.0, 2.0),
    Objective("slo-telemetry-deadline", Service.TELEMETRY, DEADLINE_MISS, "%", "<=", 1.0, 0.5, 0.1),
    Objective("slo-telemetry-availability", Service.TELEMETRY, AVAILABILITY, "%", ">=", 99.9, 99.93, 0.01),
)
"""Targets and their reasons. Voice loss 1 %: PER of 5QI 1; voice delay 80 ms: packet delay budget of 5QI 1 (100 ms)
less 20 ms for the core (TS 23.501 table 5.7.4-1 and its notes). Telemetry delay 50 ms: packet delay budget of 5QI 3
(process monitoring); a message later than that has missed its deadline. The others are our own promises, chosen so
that a healthy busy hour keeps them with a margin and no injected fault does."""
