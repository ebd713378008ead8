"""All chance in the simulator: generators named by (seed, stream) and noise addressed by counter.

A stream is drawn in order and serves what is made once (people, cells). Counter noise gives the value at any position
without the ones before it, so that history in bulk and live time in small steps agree to the last digit.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_FIELD = np.uint64(0xFFFF)
_FIELD_STEP = 1.0 / 65536.0


def _digest(seed: int, stream: str, size: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{stream}".encode(), digest_size=size).digest(), "little")


def generator(seed: int, stream: str) -> np.random.Generator:
    """The generator of one named stream: Philox4x64 (Salmon et al., SC 2011) keyed by a hash of seed and name."""
    return np.random.Generator(np.random.Philox(key=_digest(seed, stream, 16)))


def key(seed: int, stream: str) -> int:
    """The 64-bit key of one counter-noise stream."""
    return _digest(seed, stream, 8)


def hashed(stream_key: int, counter: Words) -> Words:
    """64 random bits per counter: the counter-th output of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) started at the
    key."""
    word = counter * _GAMMA
    word += np.uint64(stream_key)
    word ^= word >> np.uint64(30)
    word *= _MIX_1
    word ^= word >> np.uint64(27)
    word *= _MIX_2
    word ^= word >> np.uint64(31)
    return word


def _field(word: Words, shift: int) -> Floats:
    return ((word >> np.uint64(shift)) & _FIELD).astype(np.float64)


def noise_pair(stream_key: int, counter: Words) -> tuple[Floats, Floats]:
    """Two independent noises per counter, mean 0, variance 1, never beyond 2.45: sums of two uniforms (triangular).

    Bounded on purpose: a healthy network must not breach an objective by one draw in a hundred million.
    """
    word = hashed(stream_key, counter)
    scale = np.sqrt(6.0)
    first = (_field(word, 0) + _field(word, 16)) * (scale * _FIELD_STEP) - scale
    second = (_field(word, 32) + _field(word, 48)) * (scale * _FIELD_STEP) - scale
    return first, second


def smooth_noise(stream_key: int, slot: Ints, column: Ints, knot_slots: int) -> Floats:
    """Autocorrelated noise [slot, column], mean 0, variance 1 at every slot, clipped at 3.

    Independent values (sum of four uniforms) stand at every `knot_slots` slots; between two of them the weights are
    cos and sin of the same angle, so that the variance is 1 everywhere. Correlation is gone after two knots.
    """
    knot, phase = np.divmod(slot, knot_slots)
    first = int(knot[0])
    knots = np.arange(first, int(knot[-1]) + 2, dtype=np.int64)
    counter = (knots.astype(np.uint64)[:, None] << np.uint64(20)) + column.astype(np.uint64)[None, :]
    word = hashed(stream_key, counter)
    total = _field(word, 0) + _field(word, 16) + _field(word, 32) + _field(word, 48)
    value = (total * _FIELD_STEP - 2.0) * np.sqrt(3.0)
    angle = np.array([0.5 * np.pi * part / knot_slots for part in range(knot_slots)])
    weight_now, weight_next = np.cos(angle)[phase][:, None], np.sin(angle)[phase][:, None]
    at = knot - first
    mixed = value[at] * weight_now
    mixed += value[at + 1] * weight_next
    return np.asarray(np.clip(mixed, -3.0, 3.0))
