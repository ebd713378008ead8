"""CSV of any column names is read by a mapping; a fault is named with line and column."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from service_quality.domain.measurement import Limits, Measurement, SourceFault, SourceRow, parse
from service_quality.domain.pm_csv import CsvMapping, MappingFault, ValueColumn, csv_mapping, read

LONG = CsvMapping(
    columns={
        "resource": "Cell",
        "service": "Service",
        "kpi": "KPI",
        "value": "Value",
        "unit": "Unit",
        "observedAt": "Time",
        "granularity": "Seconds",
    },
    constants={"source": "oss"},
)
LONG_FILE = """\
Cell,Service,Time,KPI,Value,Unit,Seconds
c1,video,2026-11-02T11:00:00Z,latency_ms,23.5,ms,300
c1,video,2026-11-02T11:05:00Z,latency_ms,,ms,300
"c,2",voice,2026-11-02T11:00:00Z,latency_ms,0.02,s,PT5M
"""
WIDE = CsvMapping(
    columns={"resource": "cell", "observedAt": "ts"},
    constants={"granularity": 900, "service": "mobile-data"},
    values={
        "thp": ValueColumn("DRB.UEThpDl", "kbit/s", 1000.0),
        "setup": ValueColumn("success_ratio", "%", service="voice"),
    },
    delimiter=";",
    decimal_comma=True,
    time_format="%d.%m.%Y %H:%M",
    offset_min=60,
)
WIDE_FILE = "\ufeffcell;ts;thp;setup;remark\nc1;02.11.2026 12:00;1.018,25;99,1;x\n\nc2;02.11.2026 12:00;NIL;oops;x\n"


def found(text: str, mapping: CsvMapping) -> list[SourceRow | SourceFault]:
    return list(read(text.splitlines(keepends=True), mapping))


def test_a_long_file_gives_a_row_a_value() -> None:
    items = found(LONG_FILE, LONG)
    assert items[0] == SourceRow(
        2,
        {
            "source": "oss",
            "resource": "c1",
            "service": "video",
            "observedAt": "2026-11-02T11:00:00+00:00",
            "kpi": "latency_ms",
            "value": 23.5,
            "unit": "ms",
            "granularity": 300,
        },
    )
    assert [item.line for item in items] == [2, 4]
    assert all(
        isinstance(item, SourceRow)
        and isinstance(parse(item.row, Limits(datetime(2026, 11, 3, tzinfo=UTC))), Measurement)
        for item in items
    )


def test_a_wide_file_gives_a_row_a_column() -> None:
    items = found(WIDE_FILE, WIDE)
    assert [(item.line, item.row["kpi"], item.row["service"]) for item in items if isinstance(item, SourceRow)] == [
        (2, "DRB.UEThpDl", "mobile-data"),
        (2, "success_ratio", "voice"),
    ]
    first = items[0]
    assert isinstance(first, SourceRow)
    assert first.row["value"] == pytest.approx(1_018_250)
    assert first.row["unit"] == "kbit/s"
    assert first.row["observedAt"] == "2026-11-02T12:00:00+01:00"
    assert items[-1] == SourceFault(4, "setup", "'oops' is not a number")


def test_columns_that_are_missing_end_the_reading() -> None:
    assert found("Cell,Time\nc1,x\n", replace(LONG, columns={"resource": "Cell", "value": "Value", "kpi": "KPI"})) == [
        SourceFault(1, "Value", "no such column"),
        SourceFault(1, "KPI", "no such column"),
    ]


def test_a_line_with_another_number_of_cells_is_a_fault() -> None:
    assert found(LONG_FILE + "c1,video\n", LONG)[-1] == SourceFault(5, "", "2 cells for 7 columns")


def test_a_record_over_several_lines_is_named_by_its_first() -> None:
    text = LONG_FILE + '"c\n3",video,2026-11-02T11:00:00Z,latency_ms,5,ms,300\nc4,video,never,latency_ms,5,ms,300\n'
    items = found(text, LONG)
    assert [item.line for item in items[-2:]] == [5, 7]
    assert items[-1] == SourceFault(7, "Time", "'never' is no instant")


def test_an_instant_without_offset_is_left_to_the_door() -> None:
    (item,) = found("cell;ts;thp;setup\nc1;02.11.2026 12:00;1;\n", replace(WIDE, offset_min=None))
    assert isinstance(item, SourceRow)
    assert item.row["observedAt"] == "2026-11-02T12:00:00"


def test_an_empty_instant_is_left_to_the_door() -> None:
    (item,) = found("cell;ts;thp;setup\nc1;;1;\n", WIDE)
    assert isinstance(item, SourceRow)
    assert "observedAt" not in item.row


def test_instants_may_be_a_constant() -> None:
    mapping = replace(WIDE, columns={"resource": "cell"}, constants={**WIDE.constants, "observedAt": "2026-11-02Z"})
    (item,) = found("cell;thp;setup\nc1;1;\n", mapping)
    assert isinstance(item, SourceRow)
    assert item.row["observedAt"] == "2026-11-02Z"


def test_an_empty_file_and_a_broken_one_are_one_fault() -> None:
    assert found("", LONG) == [SourceFault(1, "", "the file is empty")]
    broken = found(LONG_FILE + '"c1', LONG)[-1]
    assert isinstance(broken, SourceFault)
    assert broken.line == 5
    assert broken.reason.startswith("not CSV: ")


DOCUMENT: dict[str, Any] = {
    "columns": {"resource": "cell", "observedAt": "ts"},
    "constants": {"granularity": 900, "service": "mobile-data"},
    "values": {
        "thp": {"kpi": "DRB.UEThpDl", "unit": "kbit/s", "factor": 1000.0},
        "setup": {"kpi": "success_ratio", "unit": "%", "service": "voice"},
    },
    "delimiter": ";",
    "decimal_comma": True,
    "time_format": "%d.%m.%Y %H:%M",
    "offset_min": 60,
}


def test_a_mapping_is_read_from_its_document() -> None:
    assert csv_mapping(DOCUMENT) == WIDE


def test_a_column_may_be_mapped_to_a_kpi_by_name_alone() -> None:
    mapping = csv_mapping({**DOCUMENT, "values": {"lat": "latency_ms"}, "missing": ["", "n/a"]})
    assert isinstance(mapping, CsvMapping)
    assert mapping.values == {"lat": ValueColumn("latency_ms")}
    assert mapping.missing == {"", "n/a"}


def test_the_service_may_come_with_every_value_column() -> None:
    services = {"thp": {"kpi": "DRB.UEThpDl", "service": "mobile-data"}}
    assert isinstance(csv_mapping({**DOCUMENT, "constants": {}, "values": services}), CsvMapping)
    assert csv_mapping({**DOCUMENT, "constants": {}}) == (MappingFault("columns.service", "missing"),)


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        ({"colums": {}}, "colums"),
        ({"columns": []}, "columns"),
        ({"columns": {"resource": 5, "observedAt": "ts"}}, "columns.resource"),
        ({"columns": {"resource": "a", "observedAt": "ts", "cell": "b"}}, "columns.cell"),
        ({"columns": {"resource": "a", "observedAt": "ts", "value": "b"}}, "columns.value"),
        ({"constants": {"granularity": True, "service": "x"}}, "constants.granularity"),
        ({"constants": {"speed": 1, "service": "x"}}, "constants.speed"),
        ({"values": {"thp": {"unit": "s"}}}, "values.thp"),
        ({"values": {"thp": {"kpi": "a", "factor": "b"}}}, "values.thp"),
        ({"values": {"thp": {"kpi": "a", "factor": True}}}, "values.thp"),
        ({"values": {"thp": {"kpi": "a", "colour": "b"}}}, "values.thp"),
        ({"values": {}}, "columns.kpi"),
        ({"delimiter": ";;"}, "delimiter"),
        ({"delimiter": 1}, "delimiter"),
        ({"offset_min": 1440}, "offset_min"),
        ({"offset_min": "60"}, "offset_min"),
        ({"time_format": 5}, "time_format"),
        ({"missing": "NIL"}, "missing"),
        ({"decimal_comma": "yes"}, "decimal_comma"),
    ],
)
def test_a_wrong_mapping_is_refused_by_attribute(change: dict[str, Any], attribute: str) -> None:
    faults = csv_mapping({**DOCUMENT, **change})
    assert isinstance(faults, tuple)
    assert attribute in {fault.attribute for fault in faults}
