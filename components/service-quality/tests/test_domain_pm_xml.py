"""3GPP PM files are read in both their forms; a fault is named with line and element and loses no more than it must."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service_quality.domain.measurement import Limits, SourceFault, SourceRow, parse_batch
from service_quality.domain.pm_xml import Counter, PmMapping, read

SAMPLE = """<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="MeasDataCollection.xsl"?>
<measCollecFile xmlns="http://www.3gpp.org/ftp/specs/archive/32_series/32.435#measCollec">
  <fileHeader fileFormatVersion="32.435 V10.0" vendorName="Examplecom" dnPrefix="DC=example.com,SubNetwork=North">
    <fileSender localDn="SubNetwork=North,ManagedElement=gnb-1" elementType="gNB"/>
    <measCollec beginTime="2026-11-02T11:30:00+00:00"/>
  </fileHeader>
  <measData>
    <managedElement localDn="ManagedElement=gnb-1" userLabel="North 1"/>
    <measInfo measInfoId="throughput">
      <job jobId="12"/>
      <granPeriod duration="PT900S" endTime="2026-11-02T12:45:00+01:00"/>
      <repPeriod duration="PT1800S"/>
      <measType p="1">DRB.UEThpDl</measType>
      <measType p="2">DRB.AirIfDelayDl</measType>
      <measValue measObjLdn="GNBDUFunction=1,NRCellDU=17">
        <r p="1">18250</r>
        <r p="2">121</r>
      </measValue>
      <measValue measObjLdn="GNBDUFunction=1,NRCellDU=18">
        <r p="1">9000.5</r>
        <r p="2">NIL</r>
        <suspect>false</suspect>
      </measValue>
      <measValue measObjLdn="GNBDUFunction=1,NRCellDU=19">
        <r p="1">1</r>
        <suspect>true</suspect>
      </measValue>
    </measInfo>
    <measInfo>
      <granPeriod duration="PT900S" endTime="2026-11-02T12:45:00+01:00"/>
      <measTypes>RRU.PrbTotDl VS.Own.Counter</measTypes>
      <measValue measObjLdn="GNBDUFunction=1,NRCellDU=17">
        <measResults>61 7</measResults>
      </measValue>
      <measValue measObjLdn="GNBDUFunction=1,NRCellDU=18">
        <measResults>61</measResults>
      </measValue>
    </measInfo>
  </measData>
  <fileFooter><measCollec endTime="2026-11-02T12:45:00+01:00"/></fileFooter>
</measCollecFile>
"""
MAPPING = PmMapping(service="mobile-data", resource_rdns=("NRCellDU",))


def items(text: str, mapping: PmMapping = MAPPING, chunk: int = 100_000) -> list[SourceRow | SourceFault]:
    data = text.encode()
    return list(read((data[at : at + chunk] for at in range(0, len(data), chunk)), mapping))


def rows(text: str, mapping: PmMapping = MAPPING) -> list[SourceRow]:
    return [item for item in items(text, mapping) if isinstance(item, SourceRow)]


def faults(text: str, mapping: PmMapping = MAPPING) -> list[SourceFault]:
    return [item for item in items(text, mapping) if isinstance(item, SourceFault)]


def test_results_become_rows_with_the_line_they_stand_on() -> None:
    assert rows(SAMPLE)[0] == SourceRow(
        17,
        {
            "resource": "17",
            "service": "mobile-data",
            "kpi": "DRB.UEThpDl",
            "value": 18250.0,
            "unit": "kbit/s",
            "observedAt": "2026-11-02T11:30:00+00:00",
            "granularity": 900,
            "source": "SubNetwork=North,ManagedElement=gnb-1",
        },
    )


def test_both_forms_are_read_and_what_was_not_measured_is_no_row() -> None:
    found = [(item.row["resource"], item.row["kpi"], item.row["value"]) for item in rows(SAMPLE)]
    assert found == [
        ("17", "DRB.UEThpDl", 18250.0),
        ("17", "DRB.AirIfDelayDl", 121.0),
        ("18", "DRB.UEThpDl", 9000.5),
        ("17", "RRU.PrbTotDl", 61.0),
        ("17", "VS.Own.Counter", 7.0),
    ]


def test_faults_name_line_and_element() -> None:
    assert faults(SAMPLE) == [
        SourceFault(25, "measValue", "GNBDUFunction=1,NRCellDU=19: marked suspect by the sender, not taken"),
        SourceFault(37, "measResults", "1 results for 2 measTypes"),
    ]


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_how_the_bytes_are_cut_makes_no_difference(chunk: int) -> None:
    assert items(SAMPLE, chunk=chunk) == items(SAMPLE)


def test_rows_pass_the_door() -> None:
    limits = Limits(datetime(2026, 11, 2, 12, 0, tzinfo=UTC))
    measurements, rejections = parse_batch([item.row for item in rows(SAMPLE)], limits)
    assert not rejections
    assert [(measurement.value, measurement.unit) for measurement in measurements] == [
        (pytest.approx(18.25), "Mbit/s"),
        (pytest.approx(12.1), "ms"),
        (pytest.approx(9.0005), "Mbit/s"),
        (61.0, "%"),
        (7.0, ""),
    ]


def test_counters_can_be_renamed_scaled_and_given_to_a_service() -> None:
    mapping = replace(
        MAPPING,
        counters={"DRB.AirIfDelayDl": Counter("latency_ms", service="voice", unit="ms", factor=0.1)},
        only_mapped=True,
        source="pm-files",
    )
    (only,) = rows(SAMPLE, mapping)
    assert (only.row["kpi"], only.row["service"]) == ("latency_ms", "voice")
    assert only.row["value"] == pytest.approx(12.1)
    assert (only.row["unit"], only.row["source"]) == ("ms", "pm-files")


def test_suspect_values_are_taken_when_the_mapping_says_so() -> None:
    resources = [item.row["resource"] for item in rows(SAMPLE, replace(MAPPING, suspect="keep"))]
    assert "19" in resources


def test_without_an_rdn_the_resource_is_the_distinguished_name() -> None:
    full = rows(SAMPLE, PmMapping(service="mobile-data"))[0].row["resource"]
    assert full == "ManagedElement=gnb-1,GNBDUFunction=1,NRCellDU=17"
    assert rows(SAMPLE, replace(MAPPING, resource_rdns=("EUtranCellFDD",)))[0].row["resource"] == full


def test_the_namespace_and_its_prefix_do_not_matter() -> None:
    for text in (
        SAMPLE.replace('xmlns="http://www.3gpp.org/ftp/specs/archive/32_series/32.435#measCollec"', ""),
        SAMPLE.replace("32.435#measCollec", "32.435#vendor"),
    ):
        assert items(text) == items(SAMPLE)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('<measType p="2">', "<measType>", SourceFault(15, "measType", "an index p and a name are required")),
        ('<measType p="2">', '<measType p="1">', SourceFault(15, "measType", "index p=1 is given twice")),
        ('<r p="1">18250</r>', "<r>18250</r>", SourceFault(17, "r", "no measType has the index p=")),
        ('<r p="1">18250</r>', '<r p="1">many</r>', SourceFault(17, "r", "DRB.UEThpDl: 'many' is not a number")),
        (
            'granPeriod duration="PT900S"',
            "granPeriod",
            SourceFault(12, "granPeriod", "duration is missing or no ISO 8601 duration up to 31 days"),
        ),
        (
            "12:45:00+01:00",
            "12:45:00",
            SourceFault(12, "granPeriod", "endTime: an offset is required (Z or +hh:mm)"),
        ),
        (
            "2026-11-02T12:45:00+01:00",
            "0001-01-01T00:10:00Z",
            SourceFault(12, "granPeriod", "the period begins outside the calendar"),
        ),
    ],
)  # fmt: skip
def test_a_fault_in_a_part_is_named(old: str, new: str, fault: SourceFault) -> None:
    broken = SAMPLE.replace(old, new, 1)
    assert broken != SAMPLE
    assert faults(broken)[0] == fault
    assert rows(broken)


def test_values_of_a_block_without_period_are_faults_not_rows() -> None:
    broken = SAMPLE.replace('      <granPeriod duration="PT900S" endTime="2026-11-02T12:45:00+01:00"/>\n', "", 1)
    assert [fault.element for fault in faults(broken)] == ["measValue"] * 3 + ["measResults"]
    assert [item.row["kpi"] for item in rows(broken)] == ["RRU.PrbTotDl", "VS.Own.Counter"]


def test_rows_before_the_break_of_a_file_stand() -> None:
    cut = SAMPLE[: SAMPLE.index("<measInfo>")]
    found = items(cut)
    assert [type(item) for item in found[:3]] == [SourceRow, SourceRow, SourceRow]
    assert found[-1] == SourceFault(30, "measData", "not well-formed XML: no element found, column 5")


@pytest.mark.parametrize(
    ("text", "element"),
    [
        ('<!DOCTYPE measCollecFile [<!ENTITY a "aa">]><measCollecFile>&a;</measCollecFile>', "DOCTYPE"),
        ('<!DOCTYPE measCollecFile SYSTEM "file:///etc/passwd"><measCollecFile/>', "DOCTYPE"),
        ("<html/>", "html"),
        ("", ""),
        ("this is no XML", ""),
        ('<?xml version="1.0" encoding="klingon"?><measCollecFile/>', ""),
    ],
)
def test_what_is_no_pm_file_is_one_fault(text: str, element: str) -> None:
    (fault,) = items(text)
    assert isinstance(fault, SourceFault)
    assert fault.element == element
    assert fault.line == 1


def test_nothing_after_a_refused_declaration_is_read() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"<!DOCTYPE x [\n"
        raise AssertionError("read on")

    (fault,) = read(chunks(), MAPPING)
    assert fault == SourceFault(1, "DOCTYPE", "a document type declaration is not allowed")
