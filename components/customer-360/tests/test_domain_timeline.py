"""A customer's timeline is the same however its entries came; what holds now is told with source and age."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from customer_360.domain.timeline import Entry, Timeline, between, folded, states

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


def entry(
    minute: int, slot: str = "experience", reference: str = "r1", recorded: int | None = None, value: str = "80"
) -> Entry:
    return Entry(
        slot=slot,
        reference=reference,
        occurred_at=NOON + timedelta(minutes=minute),
        recorded_at=NOON + timedelta(minutes=minute if recorded is None else recorded),
        source="experience-management",
        title="experience index",
        value=value,
    )


def minutes(timeline: Timeline) -> list[int]:
    return [int((one.occurred_at - NOON).total_seconds() // 60) for one in timeline.entries]


def test_entries_stand_the_newest_first() -> None:
    assert minutes(folded(Timeline(), [entry(1), entry(9), entry(5)])) == [9, 5, 1]


def test_a_late_entry_falls_into_its_place_and_is_not_the_latest() -> None:
    timeline = folded(folded(Timeline(), [entry(1), entry(9, value="40")]), [entry(5, recorded=60)])
    assert minutes(timeline) == [9, 5, 1]
    assert timeline.latest == (entry(9, value="40"),)
    assert timeline.entries[1].came_late(3000)
    assert not timeline.entries[1].came_late(3300)


def test_a_repeated_entry_stands_once() -> None:
    timeline = folded(Timeline(), [entry(1), entry(1), entry(1, recorded=30)])
    assert len(timeline.entries) == 1


def test_the_version_recorded_last_stays() -> None:
    corrected = entry(1, recorded=30, value="50")
    assert folded(Timeline(), [corrected, entry(1)]).entries == (corrected,)
    assert folded(folded(Timeline(), [entry(1)]), [corrected]).entries == (corrected,)


def test_the_length_is_bounded_and_what_was_dropped_is_told() -> None:
    timeline = folded(Timeline(), [entry(minute) for minute in range(10)], limit=3)
    assert minutes(timeline) == [9, 8, 7]
    assert timeline.truncated
    assert not folded(Timeline(), [entry(1)], limit=3).truncated


def test_the_latest_state_of_a_slot_outlives_its_entry() -> None:
    old = entry(-900, slot="bill", reference="b1")
    timeline = folded(Timeline(), [old, *(entry(minute) for minute in range(10))], limit=3)
    assert old not in timeline.entries
    assert timeline.latest == (old, entry(9))
    assert folded(timeline, [entry(11)], limit=3).latest == (old, entry(11))


def test_what_holds_is_told_with_source_age_and_freshness() -> None:
    timeline = folded(Timeline(), [entry(0), entry(0, slot="bill", reference="b1"), entry(30, slot="risk")])
    now = states(timeline, NOON + timedelta(minutes=20), {"experience": 900.0})
    assert (now["experience"].age_s, now["experience"].fresh, now["experience"].ahead) == (1200.0, False, False)
    assert (now["bill"].age_s, now["bill"].fresh) == (1200.0, True)
    assert (now["risk"].age_s, now["risk"].fresh, now["risk"].ahead) == (0.0, True, True)
    assert now["bill"].source == "experience-management"
    assert now["bill"].entry == entry(0, slot="bill", reference="b1")
    assert "journey" not in now


def test_a_span_of_time_is_half_open() -> None:
    timeline = folded(Timeline(), [entry(0), entry(5), entry(10)])
    found = between(timeline, NOON, NOON + timedelta(minutes=10))
    assert [one.occurred_at.minute for one in found] == [5, 0]


ENTRIES = st.lists(
    st.builds(
        lambda minute, slot, reference, delay, value, silent: replace(
            entry(minute, slot, reference, minute + delay, value), value=None if silent else value
        ),
        st.integers(0, 6),
        st.sampled_from("ab"),
        st.sampled_from("xy"),
        st.integers(0, 3),
        st.sampled_from("123"),
        st.booleans(),
    ),
    max_size=14,
)


@given(ENTRIES, st.integers(1, 6), st.randoms(use_true_random=False), st.integers(0, 14))
@settings(deadline=None)
def test_order_batches_and_repetition_make_no_difference(
    entries: list[Entry], limit: int, random: Any, cut: int
) -> None:
    whole = folded(Timeline(), entries, limit)
    shuffled = list(entries)
    random.shuffle(shuffled)
    in_parts = folded(folded(Timeline(), shuffled[:cut], limit), shuffled[cut:], limit)
    assert in_parts == whole
    assert folded(whole, entries, limit) == whole


@given(ENTRIES, st.integers(1, 6))
@settings(deadline=None)
def test_a_timeline_is_ordered_bounded_and_holds_each_entry_once(entries: list[Entry], limit: int) -> None:
    timeline = folded(Timeline(), entries, limit)
    instants = [one.occurred_at for one in timeline.entries]
    assert instants == sorted(instants, reverse=True)
    assert len(instants) <= limit
    assert len({one.identity for one in timeline.entries}) == len(instants)
    assert {one.slot for one in timeline.latest} == {one.slot for one in entries}
    for latest in timeline.latest:
        assert latest.occurred_at == max(one.occurred_at for one in entries if one.slot == latest.slot)
