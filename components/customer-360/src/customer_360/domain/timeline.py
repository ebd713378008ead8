"""The timeline of a customer: what happened, in order, once, no longer than wanted; and what holds now, by slot.

Entries come from several senders, twice, late and out of order. Folding is a function of the set of entries: any order
and any cutting into batches end in the same timeline. The latest state of a slot outlives the entries dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

MAX_ENTRIES = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to a customer, or one state of something about it.

    `slot` is what the entry is the state of (experience of video, risk of leaving, bill); `reference` the id of the
    resource that says so; `occurred_at` when it became so there; `recorded_at` when it came here; `source` who said it.
    The same slot, reference and instant are the same entry, told by an event, by its repetition or by a later look-up.
    """

    slot: str
    reference: str
    occurred_at: datetime
    recorded_at: datetime
    source: str
    title: str
    value: str | None = None

    @property
    def identity(self) -> tuple[str, str, datetime]:
        return self.slot, self.reference, self.occurred_at

    def came_late(self, late_s: float) -> bool:
        """Whether it came here more than `late_s` after it happened."""
        return self.recorded_at - self.occurred_at > timedelta(seconds=late_s)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The entries kept, the newest first; the latest entry of every slot; and whether any entry was dropped."""

    entries: tuple[Entry, ...] = ()
    latest: tuple[Entry, ...] = ()
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class SlotState:
    """What holds in a slot, said by whom, how old it is and whether that is fresh enough to act on.

    `ahead`: it carries a time after the one asked for, so a clock is wrong; its age is 0.
    """

    slot: str
    entry: Entry
    source: str
    age_s: float
    fresh: bool
    ahead: bool


def _newest_first(entry: Entry) -> tuple[datetime, str, str]:
    return entry.occurred_at, entry.slot, entry.reference


def _last_told(entry: Entry) -> tuple[datetime, str, str, str]:
    # The text only decides between two versions that came at the same instant, so that no order can.
    return entry.recorded_at, entry.source, entry.title, entry.value or ""


def folded(timeline: Timeline, entries: Iterable[Entry], limit: int = MAX_ENTRIES) -> Timeline:
    """The timeline with more entries in it.

    Of several versions of one entry the one recorded last stays. The `limit` newest by `occurred_at` are kept, so a
    late entry falls into its place, and one older than all kept is dropped. In a slot the latest is the entry that
    occurred last. Folding in parts, in any order or twice gives what folding all at once gives.
    """
    versions: dict[tuple[str, str, datetime], Entry] = {}
    for entry in (*timeline.entries, *timeline.latest, *entries):
        held = versions.get(entry.identity)
        if held is None or _last_told(entry) > _last_told(held):
            versions[entry.identity] = entry
    ordered = sorted(versions.values(), key=_newest_first, reverse=True)
    latest: dict[str, Entry] = {}
    for entry in ordered:
        latest.setdefault(entry.slot, entry)
    return Timeline(
        entries=tuple(ordered[:limit]),
        latest=tuple(latest[slot] for slot in sorted(latest)),
        truncated=timeline.truncated or len(ordered) > limit,
    )


def states(
    timeline: Timeline, at: datetime, fresh_s: Mapping[str, float], default_fresh_s: float = 86_400.0
) -> Mapping[str, SlotState]:
    """What holds in every slot at an instant: its latest entry with source, age and freshness.

    `fresh_s` is how long a state of a slot is worth acting on, `default_fresh_s` for slots it does not name. A slot
    nothing was ever told of is absent: unknown, not empty.
    """
    found = {}
    for entry in timeline.latest:
        age_s = (at - entry.occurred_at).total_seconds()
        found[entry.slot] = SlotState(
            slot=entry.slot,
            entry=entry,
            source=entry.source,
            age_s=max(0.0, age_s),
            fresh=age_s <= fresh_s.get(entry.slot, default_fresh_s),
            ahead=age_s < 0,
        )
    return found


def between(timeline: Timeline, start: datetime, end: datetime) -> tuple[Entry, ...]:
    """The entries that occurred in [start, end), the newest first."""
    return tuple(entry for entry in timeline.entries if start <= entry.occurred_at < end)
