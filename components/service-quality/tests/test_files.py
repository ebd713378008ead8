"""Files through the door: PM XML and CSV, good rows kept, bad lines named, and nothing twice."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tmfkit.testing import Running, assert_tmf_error

FILE = "/service-quality/tmf-api/performanceMeasurement/v1/file"
MEASUREMENT = "/service-quality/tmf-api/performanceMeasurement/v1/measurement"
PM = """<?xml version="1.0" encoding="UTF-8"?>
<measCollecFile xmlns="http://www.3gpp.org/ftp/specs/archive/32_series/32.435#measCollec">
<fileHeader fileFormatVersion="32.435 V10.0"><fileSender/><measCollec beginTime="2026-11-09T10:00:00Z"/></fileHeader>
<measData><managedElement/><measInfo><granPeriod duration="PT300S" endTime="2026-11-09T10:05:00Z"/>
<measType p="1">ThpDl</measType><measType p="2">Delay</measType>
<measValue measObjLdn="GNBDUFunction=1,NRCellDU=17"><r p="1">4500</r><r p="2">NIL</r></measValue>
<measValue measObjLdn="GNBDUFunction=1,NRCellDU=18"><r p="1">many</r></measValue>
</measInfo></measData><fileFooter><measCollec endTime="2026-11-09T10:05:00Z"/></fileFooter></measCollecFile>
"""
BY = {
    "service": "video",
    "resource_rdns": ["NRCellDU"],
    "counters": {"ThpDl": {"kpi": "DRB.UEThpDl", "unit": "Mbit/s", "factor": 0.001}},
}
TABLE = """resource,service,kpi,value,unit,observedAt,granularityS
cell-1,video,DRB.UEThpDl,12.5,Mbit/s,2026-11-09T10:00:00Z,300
cell-1,video,DRB.UEThpDl,fast,Mbit/s,2026-11-09T10:05:00Z,300
cell-1,video,DRB.UEThpDl,13.5,Mbit/s,yesterday,300
cell-1,video,DRB.UEThpDl,14.5,Mbit/s,2026-11-09T10:15:00Z,300
"""


def sent(app: Running, media: str, content: str, mapping: dict[str, Any] | None = None) -> Any:
    query = "" if mapping is None else f"?mapping={quote(json.dumps(mapping))}"
    return app.post(FILE + query, content=content.encode(), headers={"content-type": media})


def test_the_results_of_a_pm_file_are_measurements_and_what_is_no_number_is_named_by_its_line(app: Running) -> None:
    answer = sent(app, "application/xml", PM, BY)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["accepted"], told["duplicates"], told["rejected"]) == (1, 0, 1)
    assert told["errors"][0]["line"] == 7
    (kept,) = app.get(MEASUREMENT).json()
    assert {k: kept[k] for k in ("resource", "service", "kpi", "value", "unit")} == {
        "resource": "17", "service": "video", "kpi": "DRB.UEThpDl", "value": 4.5, "unit": "Mbit/s",
    }  # fmt: skip


def test_a_table_that_speaks_our_names_needs_no_mapping_and_its_bad_lines_are_named(app: Running) -> None:
    told = sent(app, "text/csv", TABLE).json()
    assert (told["accepted"], told["rejected"]) == (2, 2)
    assert sorted((e["line"], e["attribute"]) for e in told["errors"]) == [(3, "value"), (4, "observedAt")]


def test_a_table_in_other_words_is_read_by_its_mapping(app: Running) -> None:
    wide = "cell;time;dl\nc-1;09.11.2026 10:00;12,5\n"
    by = {
        "columns": {"resource": "cell", "observedAt": "time"},
        "constants": {"service": "video", "granularity": 300},
        "values": {"dl": {"kpi": "DRB.UEThpDl", "unit": "Mbit/s"}},
        "delimiter": ";",
        "decimal_comma": True,
        "time_format": "%d.%m.%Y %H:%M",
        "offset_min": 60,
    }
    assert sent(app, "text/csv", wide, by).json()["accepted"] == 1
    (kept,) = app.get(MEASUREMENT).json()
    assert (kept["value"], kept["observedAt"][:16]) == (12.5, "2026-11-09T09:00")


@pytest.mark.parametrize(("media", "content", "mapping"), [("text/xml", PM, BY), ("text/csv", TABLE, None)])
def test_a_file_sent_again_adds_nothing(app: Running, media: str, content: str, mapping: dict[str, Any] | None) -> None:
    first = sent(app, media, content, mapping).json()
    again = sent(app, media, content, mapping).json()
    assert (again["accepted"], again["duplicates"]) == (0, first["accepted"])


def test_what_breaks_a_file_is_named_and_the_rows_before_it_are_kept(app: Running) -> None:
    told = sent(app, "application/xml", PM[: PM.index("</measInfo>")], BY).json()
    assert told["accepted"] == 1
    assert told["rejected"] == 2


@pytest.mark.parametrize(
    ("media", "content", "mapping", "attribute"),
    [
        ("application/xml", PM, None, "mapping.service"),
        ("application/xml", PM, {"service": "video", "speed": 1}, "mapping.speed"),
        ("application/xml", PM, {"service": "v", "counters": {"a": {"unit": "s"}}}, "mapping.counters.a.kpi"),
        ("application/xml", PM, {"service": "v", "counters": {"a": {"kpi": "a", "x": 1}}}, "mapping.counters.a.x"),
        ("text/csv", TABLE, {"columns": {"speed": "x"}}, "mapping.columns.speed"),
        ("text/csv", "a,b\n1,2\n", None, "mapping.columns.resource"),
    ],
)
def test_a_mapping_that_is_wrong_is_refused_by_the_name_of_what_is_wrong(
    app: Running, media: str, content: str, mapping: dict[str, Any] | None, attribute: str
) -> None:
    answer = sent(app, media, content, mapping)
    assert_tmf_error(answer, 400)
    assert attribute in answer.json()["message"]
    assert app.get(MEASUREMENT).json() == []


def test_a_mapping_that_is_no_object_and_a_file_of_another_kind_are_refused(app: Running) -> None:
    assert_tmf_error(app.post(FILE + "?mapping=17", content=b"", headers={"content-type": "text/csv"}), 400)
    assert_tmf_error(app.post(FILE + "?mapping=x", content=b"", headers={"content-type": "text/csv"}), 400)
    assert_tmf_error(app.post(FILE, content=b"a,\xff\n", headers={"content-type": "text/csv"}), 400)
    assert_tmf_error(app.post(FILE, content=b"{}", headers={"content-type": "application/json"}), 415)
