"""Key performance indicators as data: name, unit, direction, plausible range and where the definition stands.

Counters and KPIs of 3GPP TS 28.552 and TS 28.554 keep their names (clause numbers read in second-hand copies of both);
the others are our own. Values are kept in the readable `unit`; `counter_unit` is what the counter of that name is
reported in. The door also takes names that are not here, with their unit as given. No rows are handled here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Direction(StrEnum):
    """Which way an indicator is better."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Kpi:
    """One indicator. `low` and `high` bound what an instrument can truly report, both ends included, in `unit`.

    `counter_unit`: the unit of the 3GPP counter, for files that carry numbers without unit.
    """

    name: str
    unit: str
    direction: Direction
    low: float
    high: float
    source: str
    title: str
    counter_unit: str | None = None


# unit -> (dimension, size in the dimension's smallest common unit)
_UNITS: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        "us": ("time", 1e-6),
        "0.1ms": ("time", 1e-4),
        "ms": ("time", 1e-3),
        "s": ("time", 1.0),
        "min": ("time", 60.0),
        "h": ("time", 3600.0),
        "ppm": ("ratio", 1e-6),
        "%": ("ratio", 1e-2),
        "percent": ("ratio", 1e-2),
        "ratio": ("ratio", 1.0),
        "1": ("ratio", 1.0),
        "bit/s": ("rate", 1.0),
        "bps": ("rate", 1.0),
        "kbit/s": ("rate", 1e3),
        "kbps": ("rate", 1e3),
        "Mbit/s": ("rate", 1e6),
        "Mbps": ("rate", 1e6),
        "Gbit/s": ("rate", 1e9),
        "Gbps": ("rate", 1e9),
        "count": ("count", 1.0),
        "1/s": ("frequency", 1.0),
        "1/min": ("frequency", 1.0 / 60.0),
        "1/h": ("frequency", 1.0 / 3600.0),
        "dBm": ("power level", 1.0),
        "dB": ("level ratio", 1.0),
        "MOS": ("opinion score", 1.0),
    }
)


def scale(unit: str, into: str) -> float | None:
    """The factor that turns a value in `unit` into one in `into`; None when the two do not measure the same."""
    if unit == into:
        return 1.0
    given, wanted = _UNITS.get(unit.replace(" ", "")), _UNITS.get(into)
    if given is None or wanted is None or given[0] != wanted[0]:
        return None
    return given[1] / wanted[1]


def units_like(unit: str) -> tuple[str, ...]:
    """Every unit that can be turned into `unit`, itself included; for the wording of a refusal."""
    known = _UNITS.get(unit)
    return tuple(name for name, (kind, _) in _UNITS.items() if known and kind == known[0]) or (unit,)


def success_ratio(succeeded: float, attempted: float) -> float | None:
    """Successes per attempt, 0..1. No attempt says nothing about success, so the answer is None, not 1."""
    return succeeded / attempted if attempted > 0 else None


def drb_accessibility_ratio(
    rrc: tuple[float, float], ng: tuple[float, float], drb: tuple[float, float]
) -> float | None:
    """Partial DRB accessibility: the product of three set-up success ratios, 0..1 (3GPP TS 28.554 clause 6.2.4).

    Each pair is (succeeded, attempted): RRC connection, NG signalling connection, DRB. None when one had no attempt.
    """
    ratios = [success_ratio(*pair) for pair in (rrc, ng, drb)]
    known = [ratio for ratio in ratios if ratio is not None]
    return math.prod(known) if len(known) == len(ratios) else None


_HIGHER, _LOWER = Direction.HIGHER, Direction.LOWER

_DEFINITIONS = (
    # 3GPP TS 28.552, gNB
    Kpi("DRB.AirIfDelayDl", "ms", _LOWER, 0, 1e5, "TS 28.552 clause 5.1.1.1.1", "Delay DL air interface", "0.1ms"),
    Kpi("DRB.AirIfDelayUl", "ms", _LOWER, 0, 1e5, "TS 28.552 clause 5.1.1.1.3", "Delay UL air interface", "0.1ms"),
    Kpi("RRU.PrbTotDl", "%", _LOWER, 0, 100, "TS 28.552 clause 5.1.1.2.1", "DL total PRB usage", "%"),
    Kpi("RRU.PrbTotUl", "%", _LOWER, 0, 100, "TS 28.552 clause 5.1.1.2.2", "UL total PRB usage", "%"),
    Kpi("DRB.UEThpDl", "Mbit/s", _HIGHER, 0, 2e4, "TS 28.552 clause 5.1.1.3.1", "Average DL UE throughput", "kbit/s"),
    Kpi("DRB.UEThpUl", "Mbit/s", _HIGHER, 0, 1e4, "TS 28.552 clause 5.1.1.3.3", "Average UL UE throughput", "kbit/s"),
    Kpi("DRB.PacketLossRateUl", "%", _LOWER, 0, 100, "TS 28.552 clause 5.1.3.1.1", "UL PDCP SDU loss", "ppm"),
    Kpi("DRB.F1UpacketLossRateDl", "%", _LOWER, 0, 100, "TS 28.552 clause 5.1.3.1.3", "DL F1-U packet loss", "ppm"),
    Kpi("DRB.PdcpPacketDropRateDl", "%", _LOWER, 0, 100, "TS 28.552 clause 5.1.3.2.1", "DL PDCP SDU drop", "ppm"),
    # 3GPP TS 28.554
    Kpi("RSR", "%", _HIGHER, 0, 100, "TS 28.554 clause 6.2.3", "Registration success rate of one network slice"),
    Kpi("DRBAccessibility", "%", _HIGHER, 0, 100, "TS 28.554 clause 6.2.4", "Partial DRB accessibility"),
    Kpi("QoSRetain_R1", "1/s", _LOWER, 0, 1e3, "TS 28.554 clause 6.5.1", "QoS flow retainability, releases per second"),
    # our own, per service
    Kpi("Voice.CallSetupSuccessRatio", "%", _HIGHER, 0, 100, "own: calls set up per call attempted", "Call set-up"),
    Kpi("Video.StallRatio", "%", _LOWER, 0, 100, "own: time stalled per time watched", "Video stalling"),
    Kpi("Video.StartTime", "s", _LOWER, 0, 600, "own: request to first picture", "Video start time"),
    Kpi("Web.PageSessionTime", "s", _LOWER, 0, 600, "own: request to complete page, ITU-T G.1030", "Web session time"),
    Kpi("Thing.Availability", "%", _HIGHER, 0, 100, "own: up-time per time, TS 22.104 annex C.3", "Availability"),
    Kpi("Thing.DeadlineMissRatio", "%", _LOWER, 0, 100, "own: messages late or lost per message", "Deadline misses"),
    # our own, any service
    Kpi("latency_ms", "ms", _LOWER, 0, 60_000, "own: one way or round trip as the source says", "Packet delay"),
    Kpi("jitter_ms", "ms", _LOWER, 0, 60_000, "own: standard deviation of the delay", "Packet delay variation"),
    Kpi("loss_ratio", "ratio", _LOWER, 0, 1, "own: packets lost per packet sent", "Packet loss"),
    Kpi("availability_ratio", "ratio", _HIGHER, 0, 1, "own: up-time per time", "Availability"),
    Kpi("success_ratio", "ratio", _HIGHER, 0, 1, "own: successes per attempt", "Session success"),
    Kpi("drop_ratio", "ratio", _LOWER, 0, 1, "own: sessions ended by the network per session", "Session drop"),
    Kpi("throughput_mbps", "Mbit/s", _HIGHER, 0, 2e4, "own: throughput of one user", "User throughput"),
    Kpi("setup_time_s", "s", _LOWER, 0, 600, "own: request to first answer", "Set-up time of a call or session"),
    Kpi("mos", "MOS", _HIGHER, 1, 5, "own: mean opinion score as measured by a probe", "Mean opinion score"),
)  # fmt: skip

CATALOGUE: Mapping[str, Kpi] = MappingProxyType({kpi.name: kpi for kpi in _DEFINITIONS})
