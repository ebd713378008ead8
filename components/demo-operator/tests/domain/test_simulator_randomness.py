"""The simulator's chance: named streams, counter noise that can be read anywhere."""

from __future__ import annotations

import numpy as np

from demo_operator.domain.randomness import generator, hashed, key, noise_pair, smooth_noise


def test_a_stream_is_named_by_seed_and_name() -> None:
    first = generator(1, "people").random(4)
    assert np.array_equal(first, generator(1, "people").random(4))
    assert not np.array_equal(first, generator(2, "people").random(4))
    assert not np.array_equal(first, generator(1, "cells").random(4))


def test_the_hash_is_splitmix64() -> None:
    # First outputs of SplitMix64 from state 1234567, as published with the reference implementation's tests.
    counter = np.arange(1, 4, dtype=np.uint64)
    assert hashed(1234567, counter).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_sample_noise_is_standard_bounded_and_independent() -> None:
    first, second = noise_pair(key(3, "noise"), np.arange(200_000, dtype=np.uint64))
    for noise in (first, second):
        assert abs(noise.mean()) < 0.01
        assert abs(noise.std() - 1.0) < 0.01
        assert np.abs(noise).max() <= np.sqrt(6.0)
        assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.01
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.01


def test_smooth_noise_is_standard_at_every_phase_and_forgets_after_two_knots() -> None:
    slot = np.arange(12 * 400, dtype=np.int64)
    noise = smooth_noise(key(3, "smooth"), slot, np.arange(60, dtype=np.int64), 12)
    by_phase = noise.reshape(400, 12, 60).std(axis=(0, 2))
    assert np.abs(by_phase - 1.0).max() < 0.03
    near = np.mean(noise[:-1] * noise[1:])
    far = np.mean(noise[:-24] * noise[24:])
    assert near > 0.95
    assert abs(far) < 0.03


def test_smooth_noise_does_not_depend_on_where_a_range_begins() -> None:
    columns = np.array([3, 17], dtype=np.int64)
    whole = smooth_noise(key(3, "smooth"), np.arange(1000, dtype=np.int64), columns, 24)
    part = smooth_noise(key(3, "smooth"), np.arange(301, 420, dtype=np.int64), columns[1:], 24)
    assert np.array_equal(whole[301:420, 1:], part)
