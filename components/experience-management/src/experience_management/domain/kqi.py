"""From measured KPIs to the key quality indicators of an index: under which names a KQI is measured, in which unit, and
the opinion models that make a MOS of delay, loss, stalling and page time.

A KPI comes as the statistics of one window (Window). A KQI can be read off it at a level: its mean, the decile that
is worse for its user, the one that is better, or what the place was used to before (baseline).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from experience_management.domain import qoe
from experience_management.domain.index import KQIS, Kqi

Z10 = 1.2815515655446004
"""90 % quantile of the normal distribution: how many standard deviations a decile lies from the mean."""

# unit -> (dimension, size in the dimension's base unit)
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
        "kbit/s": ("rate", 1e3),
        "kbps": ("rate", 1e3),
        "Mbit/s": ("rate", 1e6),
        "Mbps": ("rate", 1e6),
        "Gbit/s": ("rate", 1e9),
        "Gbps": ("rate", 1e9),
    }
)


def factor(unit: str, into: str) -> float | None:
    """What turns a value in `unit` into one in `into`; None when the two do not measure the same."""
    if unit == into:
        return 1.0
    given, wanted = _UNITS.get(unit.replace(" ", "")), _UNITS.get(into)
    if given is None or wanted is None or given[0] != wanted[0]:
        return None
    return given[1] / wanted[1]


@dataclass(frozen=True, slots=True)
class Window:
    """Statistics of one KPI at one resource in one window of time: n values, their mean and deciles, the instant of the
    newest, and mean and standard deviation of the time before (baseline). What is not known is None."""

    kpi: str
    unit: str
    n: int
    mean: float | None
    p10: float | None
    p90: float | None
    last_observed_at: datetime
    baseline_mean: float | None = None
    baseline_sd: float | None = None


class Level(StrEnum):
    """Where in a window a KQI is read: its mean, or the decile that is worse or better for its user."""

    MEAN = "mean"
    WORSE = "worse"
    BETTER = "better"


def baseline_of(window: Window) -> Window | None:
    """The baseline as a window of its own: mean, and deciles mean -+ 1.28 sd of a normal distribution. None without."""
    if window.baseline_mean is None:
        return None
    spread = Z10 * (window.baseline_sd or 0.0)
    return Window(
        window.kpi,
        window.unit,
        window.n,
        window.baseline_mean,
        window.baseline_mean - spread,
        window.baseline_mean + spread,
        window.last_observed_at,
    )


_OWN = (
    Kqi("throughput_mbit_s", "Mbit/s"),
    Kqi("stall_ratio", "ratio"),
    Kqi("page_load_time_s", "s"),
    Kqi("start_time_s", "s"),
)
KNOWN: Mapping[str, Kqi] = MappingProxyType({**{kqi.name: kqi for kqi in _OWN}, **KQIS})
"""Every KQI that an index may use here."""

_THROUGHPUT = ("throughput_mbit_s", "throughput_mbps", "throughput_kbit_s", "DRB.UEThpDl")
MEASURED_AS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "latency_ms": ("latency_ms", "DRB.AirIfDelayDl"),
        "loss_ratio": ("loss_ratio", "packet_loss_ratio", "DRB.PacketLossRateUl", "DRB.F1UpacketLossRateDl"),
        # A packet later than its delay budget counts as lost where the budget is a promise (3GPP TS 23.501, 5.7.3.4).
        "packet_error_ratio": ("packet_error_ratio", "Thing.DeadlineMissRatio"),
        "throughput_mbit_s": _THROUGHPUT,
        "throughput_mbps": _THROUGHPUT,
        "availability_ratio": ("availability_ratio", "Thing.Availability"),
        "success_ratio": ("success_ratio", "Voice.CallSetupSuccessRatio", "DRBAccessibility"),
        "stall_ratio": ("stall_ratio", "Video.StallRatio"),
        "page_load_time_s": ("page_load_time_s", "Web.PageSessionTime"),
        "start_time_s": ("start_time_s", "Video.StartTime"),
        "voice.mos": ("voice.mos", "mos"),
        "video.mos": ("video.mos", "mos"),
        "web.mos": ("web.mos", "mos"),
    }
)
"""Names of the KPIs that measure a KQI, the first that has data counts; one not listed is measured under its name."""

_BOUNDS = {"ratio": (0.0, 1.0), "%": (0.0, 100.0), "MOS": (1.0, 5.0), "1..7": (1.0, 7.0)}


@dataclass(frozen=True, slots=True)
class Models:
    """What the opinion models need and no cell measures.

    codec             voice codec (domain.qoe.CODECS)
    fixed_delay_ms    mouth-to-ear delay beside the measured one: codec, jitter buffer, core
    stall_length_s    mean length of one stall, where only the stalled share of the time is measured
    web_context       what users are used to (domain.qoe.WEB_CONTEXTS)
    """

    codec: str = "EVS-SWB-24.4"
    fixed_delay_ms: float = 60.0
    stall_length_s: float = 3.0
    web_context: str = "medium"


@dataclass(frozen=True, slots=True)
class Reading:
    """A KQI at one level, in its own unit, with the number of values behind it and the instant of the newest."""

    value: float
    n: int
    last_observed_at: datetime


Windows = Mapping[str, Window]


def read(
    kqi: str, windows: Windows, level: Level, models: Models, *, higher_is_better: bool, kpi: str | None = None
) -> Reading | None:
    """A KQI from the windows of the KPIs of one place (by name), None when nothing of it is measured.

    `kpi` names the KPI to take instead of those of MEASURED_AS. A MOS that is not measured is made by its model: voice
    from latency and loss (ITU-T G.107 family), video from the stalled share of the time, web from the page time.
    """
    if kqi not in KNOWN:
        return None
    if kpi is not None:
        return _measured(kqi, (kpi,), windows, level, higher_is_better)
    names = MEASURED_AS.get(kqi, (kqi,))
    return _measured(kqi, names, windows, level, higher_is_better) or _modelled(kqi, windows, level, models)


def _measured(
    kqi: str, names: tuple[str, ...], windows: Windows, level: Level, higher_is_better: bool
) -> Reading | None:
    unit = KNOWN[kqi].unit
    for name in names:
        window = windows.get(name)
        if window is None or window.mean is None:
            continue
        scale = factor(window.unit, unit)
        if scale is None:
            continue
        low, high = (window.p10, window.p90) if higher_is_better else (window.p90, window.p10)
        decile = {Level.MEAN: window.mean, Level.WORSE: low, Level.BETTER: high}[level]
        value = scale * (window.mean if decile is None else decile)
        least, most = _BOUNDS.get(unit, (0.0, math.inf))
        return Reading(min(max(value, least), most), window.n, window.last_observed_at)
    return None


def _modelled(kqi: str, windows: Windows, level: Level, models: Models) -> Reading | None:
    def of(name: str) -> Reading | None:
        return _measured(name, MEASURED_AS[name], windows, level, higher_is_better=False)

    if kqi == "voice.mos":
        latency, loss = of("latency_ms"), of("loss_ratio")
        if latency is None or loss is None:
            return None
        opinion = qoe.voice(qoe.CODECS[models.codec], latency.value + models.fixed_delay_ms, loss.value)
        return _reading(opinion, latency, loss)
    if kqi == "video.mos":
        stalled = of("stall_ratio")
        if stalled is None:
            return None
        return _reading(qoe.video(stalled.value / models.stall_length_s, models.stall_length_s), stalled)
    if kqi == "web.mos":
        session = of("page_load_time_s")
        return None if session is None else _reading(qoe.web(session.value, models.web_context), session)
    return None


def _reading(opinion: qoe.Opinion, *made_of: Reading) -> Reading | None:
    if opinion.mos is None:
        return None
    return Reading(opinion.mos, min(one.n for one in made_of), min(one.last_observed_at for one in made_of))
