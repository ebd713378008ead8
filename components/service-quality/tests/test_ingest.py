"""The door and the ledger: good rows kept, bad ones named, each id once whatever happens, and what can be read back."""

from __future__ import annotations

import asyncio
import random
import re
import statistics
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from service_quality import retention
from service_quality.main import component
from tmfkit import migrate
from tmfkit.testing import Running, assert_tmf_error, running
from tmfkit.testing_issuer import Issuer

Row = dict[str, Any]
NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
BASE = "/service-quality/tmf-api/performanceMeasurement/v1"
MEASUREMENT = f"{BASE}/measurement"
NDJSON = {"content-type": "application/x-ndjson"}


def row(minute: int = 0, **changes: Any) -> Row:
    at = datetime(2026, 11, 9, tzinfo=UTC) + timedelta(minutes=minute)
    given = {"resource": "cell-001", "service": "video", "kpi": "DRB.UEThpDl", "value": 12.5, "unit": "Mbit/s"}
    return {**given, "observedAt": at.isoformat(), "granularityS": 300, "source": "ran", **changes}


def batch(size: int) -> list[Row]:
    return [row(5 * (i // 4), resource=f"cell-{i % 4:03d}", value=i) for i in range(size)]


def lines(rows: list[Any]) -> bytes:
    return b"\n".join(orjson.dumps(one) for one in rows)


def kept(app: Running) -> list[tuple[int, int]]:
    """(measurements, keys) in the ledger."""
    counted = app.sql("SELECT (SELECT count(*) FROM measurement), (SELECT count(*) FROM measurement_key)")
    return [tuple(r) for r in counted]


def test_good_rows_are_kept_and_bad_ones_are_named(app: Running) -> None:
    rows: list[Any] = [row(0), row(5, value="fast"), row(10), "no row", row(15, observedAt="yesterday", id="m4")]
    answer = app.post(MEASUREMENT, rows)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "accepted": 2,
        "duplicates": 0,
        "rejected": 3,
        "errors": [
            {"index": 1, "id": None, "attribute": "value", "reason": "a number is required"},
            {"index": 3, "id": None, "attribute": "", "reason": "a measurement is a JSON object"},
            {"index": 4, "id": "m4", "attribute": "observedAt", "reason": "not an RFC 3339 instant"},
        ],
    }
    refused = app.sql("SELECT attribute, reason, rows FROM rejection ORDER BY id")
    assert [tuple(r) for r in refused] == [
        ("value", "a number is required", 1),
        ("", "a measurement is a JSON object", 1),
        ("observedAt", "not an RFC 3339 instant", 1),
    ]


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        ({"value": None}, "value"),
        ({"value": True}, "value"),
        ({"value": "12.5"}, "value"),
        ({"value": -1}, "value"),
        ({"value": {"amount": 5}}, "value"),
        ({"unit": "ms"}, "unit"),
        ({"unit": 5}, "unit"),
        ({"granularityS": -300}, "granularityS"),
        ({"granularityS": "soon"}, "granularityS"),
        ({"resource": ""}, "resource"),
        ({"resource": "cell\x00"}, "resource"),
        ({"service": ["video"]}, "service"),
        ({"kpi": "k" * 300}, "kpi"),
        ({"observedAt": "2026-11-09T00:00:00"}, "observedAt"),
        ({"observedAt": "2026-11-10T12:05:01Z"}, "observedAt"),
        ({"observedAt": "1990-01-01T00:00:00Z"}, "observedAt"),
        ({"id": ""}, "id"),
    ],
)
def test_an_odd_value_is_refused_under_its_attribute(app: Running, change: Row, attribute: str) -> None:
    answer = app.post(MEASUREMENT, [row(), row(5, **change)])
    told = answer.json()
    assert (told["accepted"], told["rejected"]) == (1, 1), told
    assert (told["errors"][0]["index"], told["errors"][0]["attribute"]) == (1, attribute)


def test_the_same_id_counts_once_within_a_batch_and_over_batches(app: Running) -> None:
    first = app.post(MEASUREMENT, [row(0, id="a"), row(0, id="a", value=99), row(5, id="b")]).json()
    again = app.post(MEASUREMENT, [row(10, id="a"), row(15, id="c")]).json()
    assert (first["accepted"], first["duplicates"]) == (2, 1)
    assert (again["accepted"], again["duplicates"]) == (1, 1)
    assert [m["value"] for m in app.get(f"{MEASUREMENT}?from=2026-11-09T00:00:00Z").json()] == [12.5, 12.5, 12.5]
    assert kept(app) == [(3, 3)]


def test_without_an_id_what_was_measured_where_and_when_is_the_id(app: Running) -> None:
    told = row(0)
    shifted = {**told, "observedAt": "2026-11-09T01:00:00+01:00", "value": 12500, "unit": "kbit/s"}
    assert app.post(MEASUREMENT, [told]).json()["accepted"] == 1
    assert app.post(MEASUREMENT, [shifted]).json()["duplicates"] == 1
    (shown,) = app.get(MEASUREMENT).json()
    assert app.post(MEASUREMENT, [{**told, "id": shown["id"]}]).json()["duplicates"] == 1


def test_ndjson_is_taken_line_by_line(app: Running) -> None:
    body = lines([row(0)]) + b"\n\nnot json\n" + lines([row(5)]) + b'\n{"half":'
    answer = app.request("POST", MEASUREMENT, content=body, headers=NDJSON).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 2)
    assert [(e["index"], e["reason"]) for e in answer["errors"]] == [
        (1, "the line is not JSON"), (3, "the line is not JSON")
    ]  # fmt: skip


@pytest.mark.parametrize("number", [b"1e400", b"NaN", b"-Infinity", b"1" + b"0" * 400])
def test_a_number_that_is_none_spoils_its_line_only(app: Running, number: bytes) -> None:
    bad = orjson.dumps(row(5, value="X")).replace(b'"X"', number)
    answer = app.request("POST", MEASUREMENT, content=lines([row(0)]) + b"\n" + bad, headers=NDJSON).json()
    assert (answer["accepted"], answer["rejected"]) == (1, 1)


def test_a_body_in_many_small_pieces_is_the_same_body(app: Running) -> None:
    body = lines(batch(200))

    async def pieces() -> Any:
        for at in range(0, len(body), 97):
            yield body[at : at + 97]

    answer = app.request("POST", MEASUREMENT, content=pieces(), headers=NDJSON)
    assert answer.json()["accepted"] == 200


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b'[{"resource": "cell-001",', "application/json", 400),
        (b'{"resource": "cell-001"}', "application/json", 400),
        (b"", "application/json", 400),
        (b"12", "application/json", 400),
        (b"<rows/>\n<rows/>", "application/x-ndjson", 400),
        (b"x" * 1_200_000, "application/x-ndjson", 400),
        (b"[]", "text/csv", 415),
        (b"[" + b" " * (9 * 1024 * 1024) + b"]", "application/json", 413),
    ],
)
def test_a_body_that_is_no_batch_stores_nothing(app: Running, body: bytes, media: str, status: int) -> None:
    answer = app.request("POST", MEASUREMENT, content=body, headers={"content-type": media})
    assert_tmf_error(answer, status)
    assert kept(app) == [(0, 0)]
    assert app.sql("SELECT count(*) FROM rejection")[0][0] == 0


def test_an_ndjson_body_over_its_limit_stores_nothing() -> None:
    with running(component, clock=lambda: NOW, max_body_bytes=2000) as app:

        async def pieces() -> Any:
            for one in batch(100):
                yield orjson.dumps(one) + b"\n"

        assert_tmf_error(app.request("POST", MEASUREMENT, content=lines(batch(100)), headers=NDJSON), 413)
        assert_tmf_error(app.request("POST", MEASUREMENT, content=pieces(), headers=NDJSON), 413)
        assert kept(app) == [(0, 0)]


def test_a_batch_that_died_can_be_sent_again(app: Running) -> None:
    """The connection is killed in the middle of the transaction; the sender does not know, and sends again."""
    rows = batch(40)
    assert app.post(MEASUREMENT, rows[:1]).json()["accepted"] == 1

    async def killed() -> int:
        async with app.ctx.database.pool.acquire() as other, other.transaction():
            await other.execute("LOCK TABLE measurement_key IN EXCLUSIVE MODE")
            sent = asyncio.create_task(app.client.post(MEASUREMENT, json=rows))
            while not await app.ctx.database.fetchval(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock' LIMIT 1"
            ):
                await asyncio.sleep(0.01)
            return (await sent).status_code

    assert app.loop.run(killed()) >= 500
    assert kept(app) == [(1, 1)]
    assert (again := app.post(MEASUREMENT, rows).json())["accepted"] == 39, again
    assert app.post(MEASUREMENT, rows).json() == {"accepted": 0, "duplicates": 40, "rejected": 0, "errors": []}
    assert kept(app) == [(40, 40)]


def test_batches_at_once_with_the_same_ids_store_each_once(app: Running) -> None:
    rows = batch(400)
    shuffled = [random.Random(seed).sample(rows, len(rows)) for seed in range(6)]

    async def at_once() -> list[Any]:
        return await asyncio.gather(*(app.client.post(MEASUREMENT, json=some) for some in shuffled))

    answers = app.loop.run(at_once())
    assert [a.status_code for a in answers] == [200] * 6
    assert sum(a.json()["accepted"] for a in answers) == 400
    assert sum(a.json()["duplicates"] for a in answers) == 2000
    assert kept(app) == [(400, 400)]


def test_two_components_on_one_database_agree_on_series_and_weeks(app: Running) -> None:
    url = app.settings.database_url
    with running(component, clock=lambda: NOW, database_url=url) as other:
        answers: list[Any] = []
        threads = [
            threading.Thread(target=lambda one=one: answers.append(one.post(MEASUREMENT, batch(80)).json()))
            for one in (app, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(a["accepted"] + a["duplicates"] for a in answers) == [80, 80]
        assert sum(a["accepted"] for a in answers) == 80
        assert app.sql("SELECT count(*) FROM series")[0][0] == 4


def test_an_indicator_is_kept_in_the_unit_of_its_first_measurement(app: Running) -> None:
    rows = [row(0), row(5, value=9000, unit="kbit/s"), row(10, unit=None, value=7), row(15, unit="s")]
    told = app.post(MEASUREMENT, rows).json()
    assert (told["accepted"], told["errors"][0]["attribute"]) == (3, "unit")
    assert [(m["value"], m["unit"]) for m in app.get(MEASUREMENT).json()] == [
        (12.5, "Mbit/s"), (9.0, "Mbit/s"), (7.0, "Mbit/s")
    ]  # fmt: skip
    own = [row(0, kpi="Own.Index", unit="points"), row(5, kpi="Own.Index", unit="ms")]
    assert [e["attribute"] for e in app.post(MEASUREMENT, own).json()["errors"]] == ["unit"]


def test_a_full_percentage_in_another_unit_is_still_plausible(app: Running) -> None:
    rows = [row(0, kpi="DRB.PacketLossRateUl", value=100.0, unit="%"), row(0, kpi="RSR", value=1.0, unit="ratio")]
    assert app.post(MEASUREMENT, rows).json()["accepted"] == 2


def test_measurements_are_found_by_what_they_are_of(app: Running) -> None:
    rows = [
        row(m, resource=c, service=s) for m in range(0, 60, 5) for c in ("cell-001", "cell-002") for s in ("a", "b")
    ]
    app.post(MEASUREMENT, rows)
    found = app.get(MEASUREMENT, params={"resource": "cell-002", "service": "a,b", "from": "2026-11-09T00:30:00Z"})
    assert (found.status_code, found.headers["x-total-count"]) == (200, "12")
    assert {(m["resource"], m["service"]) for m in found.json()} == {("cell-002", "a"), ("cell-002", "b")}
    assert min(m["observedAt"] for m in found.json()) == "2026-11-09T00:30:00Z"
    until = app.get(MEASUREMENT, params={"to": "2026-11-09T01:05:00+01:00", "limit": 100}).json()
    assert [m["observedAt"] for m in until] == ["2026-11-09T00:00:00Z"] * 4
    page = app.get(f"{MEASUREMENT}?limit=10")
    joined = page.json()
    while "next" in page.links:
        assert page.status_code == 206
        page = app.get(page.links["next"]["url"])
        joined += page.json()
    assert joined == app.get(f"{MEASUREMENT}?limit=100").json()
    assert len({m["id"] for m in joined}) == 48
    assert app.get(f"{MEASUREMENT}?kpi=none").json() == []


@pytest.mark.parametrize(("query", "attribute"), [("from=now", "from"), ("to=2026-11-09", "to"), ("limit=-1", "limit")])
def test_a_question_that_is_not_understood_is_a_400(app: Running, query: str, attribute: str) -> None:
    assert attribute in str(assert_tmf_error(app.get(f"{MEASUREMENT}?{query}"), 400)["attribute"])


def test_a_summary_is_of_the_last_half_hour_of_data_against_the_week_before(app: Running) -> None:
    week = [row(-60 * h, value=10.0 + h % 2) for h in range(1, 100)]
    app.post(MEASUREMENT, [*week, *(row(5 * i, value=20.0 + i) for i in range(9)), row(0, resource="cell-002")])
    (told,) = app.get(f"{BASE}/kpiSummary", params={"service": "video", "resource": "cell-001,cell-009"}).json()
    before = [one["value"] for one in week] + [20.0, 21.0, 22.0]
    assert told.pop("baselineSd") == pytest.approx(statistics.stdev(before))
    assert told.pop("baselineMean") == pytest.approx(statistics.mean(before))
    assert told == {
        "resource": "cell-001", "service": "video", "kpi": "DRB.UEThpDl", "unit": "Mbit/s",
        "n": 6, "mean": 25.5, "p10": 23.0, "p90": 28.0, "last": 28.0, "lastObservedAt": "2026-11-09T00:40:00Z",
    }  # fmt: skip
    span = {"resource": "cell-001", "from": "2026-11-08T20:00:00Z", "to": "2026-11-08T23:30:00Z"}
    (then,) = app.get(f"{BASE}/kpiSummary", params=span).json()
    assert (then["n"], then["last"], then["lastObservedAt"]) == (4, 11.0, "2026-11-08T23:00:00Z")


def test_only_who_may_can_send_and_read() -> None:
    with Issuer() as issuer:
        oidc: Any = {"auth_mode": "oidc", "oidc_issuer": issuer.url, "oidc_audience": issuer.audience}
        with running(component, clock=lambda: NOW, **oidc) as app:
            writer = {"authorization": f"Bearer {issuer.token('ran', ['performanceMeasurement:measurement:create'])}"}
            reader = {"authorization": f"Bearer {issuer.token('noc', ['performanceMeasurement:*:list'])}"}
            assert_tmf_error(app.post(MEASUREMENT, [row()]), 401)
            assert_tmf_error(app.post(MEASUREMENT, [row()], headers=reader), 403)
            assert app.post(MEASUREMENT, [row()], headers=writer).json()["accepted"] == 1
            assert_tmf_error(app.get(MEASUREMENT, headers=writer), 403)
            assert_tmf_error(app.get(f"{BASE}/kpiSummary", headers=writer), 403)
            assert len(app.get(MEASUREMENT, headers=reader).json()) == 1


def test_old_weeks_go_with_their_keys_and_do_not_come_back(app: Running) -> None:
    old = [row(-60 * 24 * 7 * w) for w in range(14, 18)]
    app.post(MEASUREMENT, [*old, row(0)])
    app.sql("UPDATE series SET watermark = $1", datetime(2026, 11, 9, tzinfo=UTC))
    app.loop.run(retention.due(app.ctx))
    assert [m["observedAt"] for m in app.get(MEASUREMENT).json()] == ["2026-11-09T00:00:00Z"]
    assert kept(app) == [(1, 1)]
    again = app.post(MEASUREMENT, [*old, row(0)]).json()
    assert (again["accepted"], again["duplicates"], again["rejected"]) == (0, 1, 4)
    app.loop.run(retention.due(app.ctx))
    url = app.settings.database_url.get_secret_value()
    assert asyncio.run(migrate.differences(url, component.schema)) == []


def test_the_counts_are_shown_as_metrics(app: Running) -> None:
    app.post(MEASUREMENT, [row(0), row(0), row(5, value=None)])
    shown = app.get("/metrics").text
    for outcome in ("accepted", "duplicate", "rejected"):
        assert re.search(rf'service_quality_measurements_total{{outcome="{outcome}"}} [1-9]', shown)
