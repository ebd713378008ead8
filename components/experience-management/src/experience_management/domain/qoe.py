"""Quality of experience from quality of service: published opinion models, and the score of a key quality indicator.

Formulae take and give arrays; an Opinion is one answer with its scale and whether it stands on a text that was read
(`grounded`). Opinions of different scales are different things and are never averaged. Things have no opinion: nothing
here is for them except `kqi_score`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Scale(StrEnum):
    """What an opinion score is an opinion on. 4 on one scale is not 4 on another."""

    NARROWBAND = "narrowband"
    WIDEBAND = "wideband"
    FULLBAND = "fullband"
    WEB = "web"
    VIDEO_STALLING = "videoStalling"


@dataclass(frozen=True, slots=True)
class Opinion:
    """One predicted mean opinion score, 1..5. `mos` is None where no published value allows one."""

    mos: float | None
    scale: Scale
    grounded: bool
    source: str
    r: float | None = None


@dataclass(frozen=True, slots=True)
class Codec:
    """Equipment impairment Ie at no loss and packet-loss robustness Bpl; Bpl None: no published value under loss."""

    name: str
    scale: Scale
    ie: float
    bpl: float | None
    grounded: bool
    source: str


_G113 = "ITU-T G.113 appendix I"
_CODECS = (
    Codec("G.711", Scale.NARROWBAND, 0, 4.3, True, "ITU-T G.107 defaults"),
    Codec("G.711-PLC", Scale.NARROWBAND, 0, 25.1, False, _G113),
    Codec("G.729", Scale.NARROWBAND, 10, None, True, "ITU-T G.113 table I.1"),
    Codec("G.729A-VAD", Scale.NARROWBAND, 11, 19, False, _G113),
    Codec("G.723.1-6.3", Scale.NARROWBAND, 15, 16.1, False, _G113),
    Codec("GSM-EFR", Scale.NARROWBAND, 5, 10, False, _G113),
    *(
        Codec(f"AMR-WB-{rate}", Scale.WIDEBAND, ie, None, True, "ITU-T G.113 table IV.1")
        for rate, ie in (
            ("23.85", 8), ("23.05", 1), ("19.85", 3), ("18.25", 5), ("15.85", 7),
            ("14.25", 10), ("12.65", 13), ("8.85", 26), ("6.6", 41),
        )
    ),
    *(
        Codec(f"EVS-SWB-{rate}", Scale.FULLBAND, ie, bpl, True, "ITU-T G.113 appendix V")
        for rate, ie, bpl in (
            ("48", 10.2, 9.6), ("32", 8.7, 9.3), ("24.4", 7.2, 11.4),
            ("16.4", 10.8, 10.3), ("13.2", 17.1, 11.7), ("9.6", 22.7, 13.0),
        )
    ),
)  # fmt: skip
CODECS: Mapping[str, Codec] = MappingProxyType({codec.name: codec for codec in _CODECS})


@dataclass(frozen=True, slots=True)
class Path:
    """The planning parameters of ITU-T G.107 that are not measured on a packet network, with their default values.

    Loudness ratings and levels in dB(m), `qdu` quantisation distortion units, `a` the advantage factor. `mt_ms` and
    `st` are how sensitive the conversation is to delay.
    """

    slr: float = 8.0
    rlr: float = 2.0
    stmr: float = 15.0
    ds: float = 3.0
    dr: float = 3.0
    telr: float = 65.0
    wepl: float = 110.0
    qdu: float = 1.0
    nc: float = -70.0
    nfor: float = -64.0
    ps: float = 35.0
    pr: float = 35.0
    a: float = 0.0
    mt_ms: float = 100.0
    st: float = 1.0


def _delay_impairment(delay_ms: Floats, path: Path) -> Floats:
    """Idd, the impairment by pure delay: 0 up to mT, then by log2(Ta/mT) (G.107 clause on Idd)."""
    x = np.log2(np.maximum(delay_ms, path.mt_ms) / path.mt_ms)
    n = 6.0 * path.st
    return 25.0 * ((1 + x**n) ** (1 / n) - 3.0 * (1 + (x / 3) ** n) ** (1 / n) + 2.0)


def loss_impairment(
    loss_ratio: ArrayLike, ie: float, bpl: float, burst_ratio: ArrayLike = 1.0, ie_max: float = 95.0
) -> Floats:
    """Ie_eff = Ie + (Ie_max - Ie) Ppl / (Ppl/BurstR + Bpl), Ppl in % (ITU-T G.107; Ie_max 95, in G.107.2 132)."""
    ppl = 100.0 * np.asarray(loss_ratio, dtype=np.float64)
    return ie + (ie_max - ie) * ppl / (ppl / np.asarray(burst_ratio, dtype=np.float64) + bpl)


def r_narrowband(
    delay_ms: ArrayLike,
    loss_ratio: ArrayLike,
    ie: float = 0.0,
    bpl: float = 4.3,
    burst_ratio: ArrayLike = 1.0,
    path: Path = Path(),
) -> Floats:
    """Transmission rating R, 0..100, of the full E-model: R = Ro - Is - Id - Ie_eff + A (ITU-T G.107).

    `delay_ms` is the mouth-to-ear one-way delay d; echo paths follow from it as T = Ta = d, Tr = 2d. Loss as a ratio,
    `burst_ratio` 1 for random loss. The inputs broadcast. Below 0.85 ms the published formula rises by 0.06 with delay,
    from there on it only falls.
    """
    p, d = path, np.asarray(delay_ms, dtype=np.float64)
    olr, lstr = p.slr + p.rlr, p.stmr + p.dr
    nos = p.ps - p.slr - p.ds - 100 + 0.004 * (p.ps - olr - p.ds - 14) ** 2
    pre = p.pr + 10 * math.log10(1 + 10 ** ((10 - lstr) / 10))
    nor = p.rlr - 121 + pre + 0.008 * (pre - 35) ** 2
    no = 10 * math.log10(sum(10 ** (noise / 10) for noise in (p.nc, nos, nor, p.nfor + p.rlr)))
    ro = 15 - 1.5 * (p.slr + no)

    xolr = olr + 0.2 * (64 + no - p.rlr)
    iolr = 20 * ((1 + (xolr / 8) ** 8) ** (1 / 8) - xolr / 8)
    stmro = -10 * np.log10(10 ** (-p.stmr / 10) + np.exp(-d / 4) * 10 ** (-p.telr / 10))
    ist = (
        12 * (1 + ((stmro - 13) / 6) ** 8) ** (1 / 8)
        - 28 * (1 + ((stmro + 1) / 19.4) ** 35) ** (1 / 35)
        - 13 * (1 + ((stmro - 3) / 33) ** 13) ** (1 / 13)
        + 29
    )
    q = 37 - 15 * math.log10(p.qdu)
    g = 1.07 + 0.258 * q + 0.0602 * q**2
    iq = 15 * math.log10(1 + 10 ** ((ro - 100) / 15 + 46 / 8.4 - g / 9) + 10 ** (46 / 30 - g / 40))

    roe = -1.5 * (no - p.rlr)
    terv = p.telr - 40 * np.log10((1 + d / 10) / (1 + d / 150)) + 6 * np.exp(-0.3 * d**2)
    if p.stmr < 9:
        terv = terv + ist / 2
    re = 80 + 2.5 * (terv - 14)
    idte = ((roe - re) / 2 + np.sqrt((roe - re) ** 2 / 4 + 100) - 1) * (1 - np.exp(-d))
    if p.stmr > 20:
        idte = np.sqrt(idte**2 + ist**2)
    rle = 10.5 * (p.wepl + 7) * (2 * d + 1) ** -0.25
    idle = (ro - rle) / 2 + np.sqrt((ro - rle) ** 2 / 4 + 169)

    impairments = iolr + ist + iq + idte + idle + _delay_impairment(d, p)
    rating: Floats = np.clip(ro - impairments - loss_impairment(loss_ratio, ie, bpl, burst_ratio) + p.a, 0.0, 100.0)
    return rating


def r_wideband(delay_ms: ArrayLike, ie: float, path: Path = Path()) -> Floats:
    """R of wideband speech without loss, 0..129: R = 129 - Id - Ie (ITU-T G.107.1), Id the impairment by pure delay."""
    rating: Floats = np.clip(129.0 - _delay_impairment(np.asarray(delay_ms, dtype=np.float64), path) - ie, 0.0, 129.0)
    return rating


def r_fullband(delay_ms: ArrayLike, loss_ratio: ArrayLike, ie: float, bpl: float, path: Path = Path()) -> Floats:
    """R of fullband speech, 0..148: R = 148 - 1.48 Idd - Ie_eff with Ie_max 132 (ITU-T G.107.2)."""
    idd = _delay_impairment(np.asarray(delay_ms, dtype=np.float64), path)
    rating: Floats = np.clip(148.0 - 1.48 * idd - loss_impairment(loss_ratio, ie, bpl, ie_max=132.0), 0.0, 148.0)
    return rating


def mos_from_r(r: ArrayLike) -> Floats:
    """MOS = 1 + 0.035 R + R (R-60)(100-R) 7e-6 (ITU-T G.107 annex B), held at 1 below R 6.5, where the cubic dips.

    For wideband and fullband ratings give R/1.29 and R/1.48.
    """
    rating = np.clip(np.asarray(r, dtype=np.float64), 0.0, 100.0)
    mos: Floats = np.maximum(1.0, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)
    return mos


def r_from_mos(mos: ArrayLike) -> Floats:
    """The R in 6.5..100 that `mos_from_r` turns into `mos` (1..4.5; beyond it the nearest end) (G.107 appendix I)."""
    m = np.clip(np.asarray(mos, dtype=np.float64), 1.0, 4.5)
    root = np.sqrt(np.maximum(-903522 + 1113960 * m - 202500 * m**2, 0.0))
    h = np.arctan2(15 * root, 18566 - 6750 * m) / 3
    rating: Floats = np.clip(20 / 3 * (8 - math.sqrt(226) * np.cos(h + math.pi / 3)), 6.5, 100.0)
    return rating


def good_or_better_ratio(r: float) -> float:
    """Share of users who would call it good or better: Phi((R-60)/16) (ITU-T G.107 annex B, %GoB / 100)."""
    return _phi((r - 60) / 16)


def poor_or_worse_ratio(r: float) -> float:
    """Share of users who would call it poor or worse: Phi((45-R)/16) (ITU-T G.107 annex B, %PoW / 100)."""
    return _phi((45 - r) / 16)


def _phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


# (Min, Max) session time in seconds of the contexts of ITU-T G.1030: users who expect 6, 15 or 60 s.
WEB_CONTEXTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"fast": (0.67, 13.5), "medium": (0.81, 39.0), "slow": (2.16, 155.0)}
)


def mos_web(session_time_s: ArrayLike, context: str = "fast") -> Floats:
    """MOS = 5 + 4 (ln t - ln Min) / ln(Min/Max), 1..5, t the time of a web session (ITU-T G.1030)."""
    least, most = WEB_CONTEXTS[context]
    t = np.maximum(np.asarray(session_time_s, dtype=np.float64), 1e-9)
    mos: Floats = np.clip(5 + 4 / math.log(least / most) * (np.log(t) - math.log(least)), 1.0, 5.0)
    return mos


STALL_LENGTH_PER_S = 0.15
STALL_FREQUENCY_S = 0.19 * 30


def mos_stalling(stalls_per_s: ArrayLike, stall_length_s: ArrayLike) -> Floats:
    """MOS = 3.5 exp(-beta_F F - beta_L L) + 1.5, 1.5..5: F stalls per second of video, L their mean length in seconds.

    The IQX hypothesis for stalling in its separable form, beta_F 0.19 x 30 s, beta_L 0.15 1/s (Hossfeld et al.).
    Without stalls their length means nothing.
    """
    f, length = np.asarray(stalls_per_s, dtype=np.float64), np.asarray(stall_length_s, dtype=np.float64)
    mos: Floats = 3.5 * np.exp(-STALL_FREQUENCY_S * f - STALL_LENGTH_PER_S * np.where(f > 0, length, 0.0)) + 1.5
    return mos


def kqi_score(value: ArrayLike, bad: ArrayLike, good: ArrayLike) -> Floats:
    """Score 0..100 of a key quality indicator: 100 clamp((x - bad) / (good - bad), 0, 1), in either direction.

    Piecewise-linear benchmark scoring as in ETSI TR 103 559; the limits are the deployer's. NaN stays NaN.
    """
    x, low, high = (np.asarray(given, dtype=np.float64) for given in (value, bad, good))
    score: Floats = 100.0 * np.clip((x - low) / (high - low), 0.0, 1.0)
    return score


def _usable(*values: float) -> bool:
    return all(math.isfinite(value) and value >= 0 for value in values)


def voice(codec: Codec, delay_ms: float, loss_ratio: float, burst_ratio: float = 1.0) -> Opinion:
    """The opinion on a call by the E-model of the codec's scale, from one-way delay, loss ratio and burstiness.

    Where no loss robustness is published for the codec, loss leaves no opinion. Delay above 100 ms on wideband is our
    reading of G.107.1, burstiness on fullband is in no model: both are not grounded.
    """
    model = {Scale.NARROWBAND: "ITU-T G.107", Scale.WIDEBAND: "ITU-T G.107.1"}.get(codec.scale, "ITU-T G.107.2")
    source = f"{model}, {codec.source}"
    if not _usable(delay_ms, loss_ratio, burst_ratio) or loss_ratio > 1 or burst_ratio == 0:
        return Opinion(None, codec.scale, False, source)
    if codec.bpl is None and loss_ratio > 0:
        return Opinion(None, codec.scale, False, f"{source}: no published robustness to loss")
    bpl = codec.bpl or 1.0
    if codec.scale is Scale.NARROWBAND:
        r, top = float(r_narrowband(delay_ms, loss_ratio, codec.ie, bpl, burst_ratio)), 100.0
        grounded = codec.grounded
    elif codec.scale is Scale.WIDEBAND:
        r, top = float(r_wideband(delay_ms, codec.ie)), 129.0
        grounded = codec.grounded and delay_ms <= 100
    else:
        r, top = float(r_fullband(delay_ms, loss_ratio, codec.ie, bpl)), 148.0
        grounded = codec.grounded and burst_ratio == 1
    return Opinion(float(mos_from_r(100 * r / top)), codec.scale, grounded, source, r)


def web(session_time_s: float, context: str = "fast") -> Opinion:
    """The opinion on a web session. Not grounded: the constants of G.1030 were not read at the source."""
    mos = float(mos_web(session_time_s, context)) if _usable(session_time_s) else None
    return Opinion(mos, Scale.WEB, False, f"ITU-T G.1030, {context} context")


def video(stalls_per_s: float, stall_length_s: float) -> Opinion:
    """The opinion on video that stalls; picture quality is taken as good."""
    usable = _usable(stalls_per_s, stall_length_s)
    mos = float(mos_stalling(stalls_per_s, stall_length_s)) if usable else None
    return Opinion(mos, Scale.VIDEO_STALLING, usable, "IQX stalling model, Hossfeld et al.")
