"""True quality of experience from KPIs: one score per service, 0 (unusable) to 100 (perfect), by published formulas.

The scales differ (R, MOS, thing's need): a score is comparable with itself over time, and with others only as "how near
to perfect". A thing has no opinion: its score is how far its need is met, never a MOS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from demo_operator.domain.catalogue import (
    AVAILABILITY,
    DEADLINE_MISS,
    DELAY,
    LOSS,
    SERVICES,
    SESSION,
    SETUP,
    STALL,
    Service,
)
from demo_operator.domain.faults import Fault
from demo_operator.domain.kpi import Measurements, values
from demo_operator.domain.randomness import Floats
from demo_operator.domain.world import World

FIXED_DELAY_MS = 60.0
LOSS_ROBUSTNESS = 4.3
STALL_LENGTH_S = 3.0
CLIP_S = 30.0
WINDOW_S = 1800
WEEK_S = 604_800


def voice_rating(one_way_delay_ms: Floats, loss_percent: Floats) -> Floats:
    """Transmission rating R, 0..100: R = 94.2 - 0.024 d - 0.11 (d - 177.3) H(d - 177.3) - Ie_eff (Cole and Rosenbluth,
    ACM CCR 2001, a short form of ITU-T G.107), with Ie_eff = 95 p / (p + Bpl) of G.107 for G.711, BurstR 1, Bpl 4.3."""
    impairment = 95.0 * loss_percent / (loss_percent + LOSS_ROBUSTNESS)
    late = np.maximum(0.0, one_way_delay_ms - 177.3)
    return np.clip(94.2 - 0.024 * one_way_delay_ms - 0.11 * late - impairment, 0.0, 100.0)


def voice_score(setup_percent: Floats, loss_percent: Floats, delay_ms: Floats) -> Floats:
    """R of an established call times the score of establishing one, clamp((success - 70) / 30), in the manner of ETSI
    TR 103 559 with limits of our own. `delay_ms` is the air interface's; codec, jitter buffer and core add
    FIXED_DELAY_MS."""
    accessible = np.clip((setup_percent - 70.0) / 30.0, 0.0, 1.0)
    return voice_rating(delay_ms + FIXED_DELAY_MS, loss_percent) * accessible


def mos_score(mos: Floats) -> Floats:
    """MOS 1..5 as 0..100, linear."""
    return np.clip((mos - 1.0) * 25.0, 0.0, 100.0)


def video_mos(stalls: Floats, stall_length_s: float = STALL_LENGTH_S) -> Floats:
    """MOS of a 30 s clip with N stalls of mean length L: 3.5 exp(-(0.15 L + 0.19) N) + 1.5 (IQX of Hossfeld et al., in
    the product form commonly quoted)."""
    return 3.5 * np.exp(-(0.15 * stall_length_s + 0.19) * stalls) + 1.5


def video_score(stall_percent: Floats) -> Floats:
    """Stalled share of the time as N stalls of STALL_LENGTH_S in a 30 s clip, then the MOS as score."""
    return mos_score(video_mos(0.01 * stall_percent * CLIP_S / STALL_LENGTH_S))


def web_mos(session_s: Floats) -> Floats:
    """ITU-T G.1030, medium network context (0.81 s best, 39 s worst, as commonly quoted): MOS = 4 (ln t - ln 0.81) /
    ln(0.81 / 39) + 5, within 1..5."""
    best_s, worst_s = 0.81, 39.0
    mos = 4.0 / np.log(best_s / worst_s) * (np.log(session_s) - np.log(best_s)) + 5.0
    return np.asarray(np.clip(mos, 1.0, 5.0))


def thing_score(delay_ms: Floats, miss_percent: Floats, availability_percent: Floats) -> Floats:
    """The worst of three needs, each clamp((x - bad) / (good - bad)): delay good 30, bad 100 ms; missed deadlines good
    0.1, bad 5 %; availability good 99.95, bad 99.0 %. Limits are ours, patterned on TS 22.104."""
    delay = (100.0 - delay_ms) / 70.0
    miss = (5.0 - miss_percent) / 4.9
    up = (availability_percent - 99.0) / 0.95
    return 100.0 * np.clip(np.minimum(np.minimum(delay, miss), up), 0.0, 1.0)


def scores(measured: Measurements) -> Floats:
    """The score of every value, [time, service, cell], services in the order of catalogue.SERVICES."""
    of = measured.of
    by_service = {
        Service.VOICE: voice_score(of(Service.VOICE, SETUP), of(Service.VOICE, LOSS), of(Service.VOICE, DELAY)),
        Service.VIDEO: video_score(of(Service.VIDEO, STALL)),
        Service.BROADBAND: mos_score(web_mos(of(Service.BROADBAND, SESSION))),
        Service.TELEMETRY: thing_score(
            of(Service.TELEMETRY, DELAY), of(Service.TELEMETRY, DEADLINE_MISS), of(Service.TELEMETRY, AVAILABILITY)
        ),
    }
    return np.stack([by_service[offer.service] for offer in SERVICES], axis=1)


@dataclass(frozen=True, eq=False, slots=True)
class Experience:
    """Scores 0..100 as a customer's experience index sees them, before anyone's needs; the window is 30 min, the span
    the seven days before `as_of_s`, the baseline the four weeks before those.

    mean_7d, trend_7d (points a day, least squares over daily means), baseline: mean over the customer's service
    instances, those of their things included; min_7d: the worst window of the worst instance. All [person].
    instance_min_7d is the worst window of each instance, [instance].
    """

    as_of_s: int
    mean_7d: Floats
    min_7d: Floats
    trend_7d: Floats
    baseline: Floats
    instance_min_7d: Floats


def _per_person(world: World, of_instance: Floats) -> Floats:
    people = len(world.people)
    count = np.bincount(world.columns.customer, minlength=people)
    total = np.bincount(world.columns.customer, weights=of_instance, minlength=people)
    return np.asarray(total / count)


def experience(world: World, as_of_s: int, faults: Sequence[Fault] = ()) -> Experience:
    """What each customer has lived through before `as_of_s` (a multiple of 1800 s) under these faults; nothing at or
    after `as_of_s` enters. The baseline is sampled hourly."""
    week_start_s = as_of_s - WEEK_S
    week = scores(values(world, week_start_s, 300, WEEK_S // 300, faults))
    windows = week.reshape(-1, WINDOW_S // 300, *week.shape[1:]).mean(axis=1)
    daily = windows.reshape(7, -1, *week.shape[1:]).mean(axis=1)
    day = np.arange(7.0) - 3.0
    slope = np.tensordot(day, daily, axes=1) / float(day @ day)
    before = scores(values(world, week_start_s - 4 * WEEK_S, 3600, 4 * WEEK_S // 3600, faults)).mean(axis=0)
    at = (world.columns.service, world.columns.cell)
    worst = windows.min(axis=0)[at]
    min_7d = np.full(len(world.people), np.inf)
    np.minimum.at(min_7d, world.columns.customer, worst)
    return Experience(
        as_of_s=as_of_s,
        mean_7d=_per_person(world, windows.mean(axis=0)[at]),
        min_7d=min_7d,
        trend_7d=_per_person(world, slope[at]),
        baseline=_per_person(world, before[at]),
        instance_min_7d=worst,
    )
