"""The judge of the chaos run finds each kind of loss; and a short run, with real kills, loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from chaos_judgement import Committed, Document, Record, Stored, figures, judge, records

Story = tuple[list[Record], list[Record], Stored]


def sent(r: int, op: str, **about: object) -> Record:
    return {"at": float(r), "kind": "sent", "r": r, "op": op, **about}


def answer(r: int, status: int, id: str | None = None, revision: int | None = None) -> Record:
    return {"at": r + 0.5, "kind": "answer", "r": r, "status": status, "id": id, "revision": revision, "said": None}


def heard(event: str, id: str, kind: str, value: int | None, path: str = "/heard") -> Record:
    return {"at": 100.0, "path": path, "event": event, "kind": kind, "id": id, "value": value}


def story() -> Story:
    """Two customers: one made by key and at the second try, then changed twice, of which one was not acknowledged; one
    deleted. A late subscription. One event was heard twice."""
    journal = [
        sent(1, "POST", value=1, kinds=["Create"], key="key-1", attempt=1),
        {"at": 1.2, "kind": "lost", "r": 1, "error": "ReadError"},
        sent(2, "POST", value=1, kinds=["Create"], key="key-1", attempt=2),
        answer(2, 201, "a", 1),
        sent(3, "PATCH", value=3, kinds=["AttributeValueChange", "StateChange"], id="a"),
        answer(3, 200, "a", 2),
        sent(4, "PATCH", value=4, kinds=["AttributeValueChange"], id="a"),
        answer(4, 503),
        sent(5, "HUB", join=1),
        answer(5, 201, "hub"),
        sent(6, "POST", value=6, kinds=["Create"], key="key-6", join=1, attempt=1),
        answer(6, 201, "b", 1),
        sent(7, "DELETE", value=7, kinds=["Delete"], id="b", attempt=1),
        answer(7, 204),
        {"at": 8.0, "kind": "kill", "n": 1, "victim": "postgres", "killed": "1", "in_flight": 50},
    ]
    events = [
        Committed(1, "e1", "a", "Create", 1, "d1"),
        Committed(2, "e2", "a", "AttributeValueChange", 3, "d3"),
        Committed(3, "e3", "a", "StateChange", 3, "d3"),
        Committed(4, "e4", "b", "Create", 6, "d6"),
        Committed(5, "e5", "a", "AttributeValueChange", 4, "d4"),
        Committed(6, "e6", "b", "Delete", 6, "d6"),
    ]
    ears = [
        heard("e1", "a", "Create", 1),
        heard("e4", "b", "Create", 6),
        heard("e2", "a", "AttributeValueChange", 3),
        heard("e1", "a", "Create", 1),
        heard("e3", "a", "StateChange", 3),
        heard("e6", "b", "Delete", None),
        heard("e5", "a", "AttributeValueChange", 4),
        heard("e4", "b", "Create", 6, "/join/1"),
    ]
    stored = Stored({"a": Document(3, 4, "d4")}, events, {"a": 3, "b": 2}, {"key-1": "a", "key-6": "b"})
    return journal, ears, stored


def broken(journal: list[Record], ears: list[Record], stored: Stored) -> set[str]:
    return {c.name for c in judge(journal, ears, stored, 50) if c.failures}


def test_a_story_without_loss_breaks_no_promise() -> None:
    assert broken(*story()) == set()
    assert all(c.examined for c in judge(*story(), 50))


def test_the_figures_tell_what_was_tried_and_what_became_of_it() -> None:
    told = figures(*story())
    assert (told["changes acknowledged"], told["changes not acknowledged, happened"]) == (4, 1)
    assert (told["events committed"], told["events heard"], told["events heard again"]) == (6, 7, 1)
    assert told["in flight at a kill, least"] == 50


def without_document(s: Story) -> Story:
    return s[0], s[1], replace(s[2], documents={})


def with_an_older_document(s: Story) -> Story:
    return s[0], s[1], replace(s[2], documents={"a": Document(1, 1, "d1")})


def with_the_deleted_document(s: Story) -> Story:
    return s[0], s[1], replace(s[2], documents={**s[2].documents, "b": Document(1, 6, "d6")})


def without_an_event_of_an_acknowledged_change(s: Story) -> Story:
    return s[0], s[1], replace(s[2], events=[e for e in s[2].events if e.event != "e3"])


def deaf_to_an_acknowledged_change(s: Story) -> Story:
    return s[0], [h for h in s[1] if h["event"] != "e3"], s[2]


def deaf_to_a_change_that_was_not_acknowledged(s: Story) -> Story:
    return s[0], [h for h in s[1] if h["event"] != "e5"], s[2]


def with_another_id_for_a_duplicate(s: Story) -> Story:
    return s[0], [*s[1], heard("e9", "a", "Create", 1)], s[2]


def with_an_event_of_nothing(s: Story) -> Story:
    return s[0], [*s[1], heard("e9", "c", "Create", 9)], s[2]


def with_two_events_in_the_wrong_order(s: Story) -> Story:
    ears = [h for h in s[1] if h["event"] != "e2"]
    return s[0], [heard("e2", "a", "AttributeValueChange", 3) if h["event"] == "e5" else h for h in ears] + [
        heard("e5", "a", "AttributeValueChange", 4)
    ], s[2]  # fmt: skip


def with_a_revision_given_twice(s: Story) -> Story:
    return [answer(3, 200, "a", 1) if r["kind"] == "answer" and r["r"] == 3 else r for r in s[0]], s[1], s[2]


def with_two_resources_for_a_key(s: Story) -> Story:
    events = [*s[2].events, Committed(7, "e7", "c", "Create", 1, "d1")]
    documents = {**s[2].documents, "c": Document(1, 1, "d1")}
    stored = replace(s[2], events=events, documents=documents, audited={**s[2].audited, "c": 1})
    return s[0], [*s[1], heard("e7", "c", "Create", 1)], stored


def without_the_memory_of_a_key(s: Story) -> Story:
    return s[0], s[1], replace(s[2], keys={"key-6": "b"})


def with_a_document_without_events(s: Story) -> Story:
    return s[0], s[1], replace(s[2], documents={**s[2].documents, "c": Document(1, 9, "d9")})


def with_a_document_that_is_not_its_last_event(s: Story) -> Story:
    return s[0], s[1], replace(s[2], documents={"a": Document(3, 4, "other")})


def without_an_audit_row(s: Story) -> Story:
    return s[0], s[1], replace(s[2], audited={"a": 2, "b": 2})


def deaf_late_subscription(s: Story) -> Story:
    return s[0], [h for h in s[1] if h["path"] != "/join/1"], s[2]


def with_something_undelivered(s: Story) -> Story:
    return s[0], s[1], replace(s[2], waiting=1)


def with_a_dead_letter(s: Story) -> Story:
    return s[0], s[1], replace(s[2], dead=1)


def with_a_delivery_of_nobody(s: Story) -> Story:
    return s[0], s[1], replace(s[2], ownerless=1)


def with_an_answer_without_reason(s: Story) -> Story:
    return [*s[0], sent(9, "PATCH", value=9, kinds=["AttributeValueChange"], id="a"), answer(9, 404)], s[1], s[2]


def with_too_few_in_flight(s: Story) -> Story:
    return [r | {"in_flight": 49} if r["kind"] == "kill" else r for r in s[0]], s[1], s[2]


DOCUMENTS = "acknowledged changes are in the documents"
COMMITTED = "acknowledged changes are among the committed events"
ACKNOWLEDGED = "events of acknowledged changes were heard"
HEARD = "committed events were heard, acknowledged or not"
ONE_ID = "what was heard is committed, under one eventId"
ORDER = "changes of one resource were heard in their order"
REVISIONS = "revisions count each acknowledged change once"
ONCE = "no resource was made twice, one for each key"
WHOLE = "no document without its events, nor the reverse"
LATE = "a late subscription heard what came after it"
LEFT = "nothing is left undelivered, dead or without owner"
REASON = "no answer but for a reason"


@pytest.mark.parametrize(
    ("damage", "promise"),
    [
        (without_document, DOCUMENTS),
        (with_an_older_document, DOCUMENTS),
        (with_the_deleted_document, DOCUMENTS),
        (without_an_event_of_an_acknowledged_change, COMMITTED),
        (deaf_to_an_acknowledged_change, ACKNOWLEDGED),
        (deaf_to_a_change_that_was_not_acknowledged, HEARD),
        (with_another_id_for_a_duplicate, ONE_ID),
        (with_an_event_of_nothing, ONE_ID),
        (with_two_events_in_the_wrong_order, ORDER),
        (with_a_revision_given_twice, REVISIONS),
        (with_two_resources_for_a_key, ONCE),
        (without_the_memory_of_a_key, ONCE),
        (with_a_document_without_events, WHOLE),
        (with_a_document_that_is_not_its_last_event, WHOLE),
        (without_an_audit_row, WHOLE),
        (deaf_late_subscription, LATE),
        (with_something_undelivered, LEFT),
        (with_a_dead_letter, LEFT),
        (with_a_delivery_of_nobody, LEFT),
        (with_an_answer_without_reason, REASON),
        (with_too_few_in_flight, "at least 50 requests were in flight at each kill"),
    ],
)
def test_each_kind_of_loss_is_found(damage: Callable[[Story], Story], promise: str) -> None:
    assert promise in broken(*damage(story()))


def test_an_unacknowledged_change_may_not_have_happened() -> None:
    journal, ears, stored = story()
    stored = replace(
        stored,
        documents={"a": Document(2, 3, "d3")},
        events=[e for e in stored.events if e.event != "e5"],
        audited={"a": 2, "b": 2},
    )
    assert broken(journal, [h for h in ears if h["event"] != "e5"], stored) == set()


def test_a_line_that_a_kill_has_cut_is_not_a_record(tmp_path: Path) -> None:
    file = tmp_path / "heard.log"
    file.write_bytes(b'\n{"event":"e1"}\n{"event":"e\n{"event":"e2"}\n')
    assert [r["event"] for r in records(file)] == ["e1", "e2"]


def chaos(*arguments: str) -> subprocess.Popen[str]:
    program = str(Path(__file__).with_name("chaos.py"))
    return subprocess.Popen([sys.executable, program, *arguments], stdout=subprocess.PIPE, text=True)


def test_a_short_run_loses_nothing(tmp_path: Path) -> None:
    outcome = tmp_path / "chaos.json"
    arguments = ("--kills", "3", "--victims", "serve", "relay", "postgres", "--serves", "1", "--seconds-per-kill", "1")
    with chaos(*arguments, "--seed", "7", "--json", str(outcome)) as run:
        assert run.stdout is not None
        printed = run.stdout.read()
    assert run.returncode == 0, printed
    told = json.loads(outcome.read_text())
    assert [check["name"] for check in told["checks"] if check["failures"]] == []
    assert {kill["victim"] for kill in told["kills"]} == {"serve", "relay", "postgres"}
    assert all(kill["in_flight"] >= 50 for kill in told["kills"])
    assert told["figures"]["changes acknowledged"] > 50
    assert printed.rstrip().endswith("passed, 0 failed")


def test_an_interrupted_run_leaves_no_process() -> None:
    run = chaos("--kills", "1", "--victims", "relay", "--serves", "1")
    with run:
        assert run.stdout is not None
        assert run.stdout.readline().startswith("kill  1/1")
        family = psutil.Process(run.pid).children(recursive=True)
        os.kill(run.pid, signal.SIGINT)
        assert "interrupted" in run.stdout.read()
    assert run.returncode == 130
    assert len(family) > 5
    assert [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
