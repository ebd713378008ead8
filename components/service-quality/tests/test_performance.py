"""TMF628: jobs with their life cycle, and the records of who changed them."""

from __future__ import annotations

from typing import Any

import pytest

from service_quality.resources.performance import RECORDS_IN_JOB
from tmfkit.testing import Running, assert_tmf_error

Doc = dict[str, Any]
API = "/service-quality/tmf-api/performance/v4"
JOBS = [("measurementCollectionJob", "granularity"), ("onDemandCollection", "granulatiry")]
FILES = [{"fileFormat": "xml", "compressionType": {"compressionEnumType": "gzip"}}]


def ordered(app: Running, path: str, **changes: Any) -> Doc:
    answer = app.post(f"{API}/{path}", {"fileTransferData": FILES, **changes})
    assert answer.status_code == 201, answer.text
    doc: Doc = answer.json()
    return doc


def patched(app: Running, job: Doc, change: Doc) -> Doc:
    answer = app.patch(job["href"], change)
    assert answer.status_code == 200, answer.text
    doc: Doc = answer.json()
    return doc


def records(app: Running, job: Doc) -> list[Doc]:
    found: list[Doc] = app.get(
        f"{API}/trackingRecord", params={"characteristic.value": job["id"], "sort": "time"}
    ).json()
    return found


@pytest.mark.parametrize(("path", "granularity"), JOBS)
def test_a_job_begins_acknowledged_and_ends_once(app: Running, path: str, granularity: str) -> None:
    job = ordered(app, path, **{granularity: "g_15mn"}, adminState="unlocked", jobPriority=1)
    assert job["executionState"] == "acknowledged"
    assert job["creationTime"] == job["lastModifiedTime"]
    for state in ("pending", "inProgress", "completed"):
        job = patched(app, job, {"executionState": state})
    assert (
        assert_tmf_error(app.patch(job["href"], {"executionState": "inProgress"}), 409)["attribute"] == "executionState"
    )
    kinds = [r["kind"] for r in app.sql("SELECT kind FROM outbox WHERE resource_id = $1 ORDER BY seq", job["id"])]
    assert kinds[0] == "Create"
    assert kinds.count("ExecutionStateChange") == 3


@pytest.mark.parametrize(("path", "granularity"), JOBS)
def test_each_change_of_a_job_is_recorded_with_who_and_what(app: Running, path: str, granularity: str) -> None:
    job = ordered(app, path)
    patched(app, job, {"adminState": "locked", "outputFormat": "3gpp"})
    patched(app, job, {"adminState": "locked"})
    job = patched(app, job, {"executionState": "inProgress"})
    found = records(app, job)
    told = [r["description"] for r in found]
    assert told == ["created", "changed adminState, outputFormat", "moved to inProgress"]
    assert {(r["user"], r["systemId"]) for r in found} == {("anonymous", "service-quality")}
    changed = {c["name"]: c["value"] for c in found[1]["characteristic"]}
    assert changed == {
        "job": job["id"],
        "jobType": path[0].upper() + path[1:],
        "changedAttribute": ["adminState", "outputFormat"],
    }
    shown = [{k: v for k, v in r.items() if k not in ("href", "@type")} for r in found]
    assert job["trackingRecord"] == shown


def test_a_job_shows_its_newest_records_and_the_resource_has_all(app: Running) -> None:
    job = ordered(app, "measurementCollectionJob")
    for n in range(RECORDS_IN_JOB + 2):
        job = patched(app, job, {"jobId": f"pm-{n}"})
    assert len(job["trackingRecord"]) == RECORDS_IN_JOB
    assert len(records(app, job)) == RECORDS_IN_JOB + 3


def test_records_outlive_their_job_and_no_client_writes_them(app: Running) -> None:
    sent = [{"id": "x", "user": "somebody else"}]
    job = ordered(app, "onDemandCollection", trackingRecord=sent)
    assert [r["user"] for r in job["trackingRecord"]] == ["anonymous"]
    refused = app.patch(job["href"], {"trackingRecord": sent})
    assert assert_tmf_error(refused, 400)["attribute"] == "trackingRecord"
    assert app.delete(job["href"]).status_code == 204
    assert len(records(app, job)) == 1


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        ({"executionState": "done"}, "executionState"),
        ({"adminState": "UNLOCKED"}, "adminState"),
        ({"granularity": "g_2mn"}, "granularity"),
        ({"reportingPeriod": "r_1m"}, "reportingPeriod"),
        ({"jobPriority": 11}, "jobPriority"),
        (
            {"fileTransferData": [{"packingType": {"packingEnumType": "zip"}}]},
            "fileTransferData[0].packingType.packingEnumType",
        ),
        (
            {"performanceIndicatorGroupSpecification": [{"name": "radio"}]},
            "performanceIndicatorGroupSpecification[0].performanceIndicatorSpecification",
        ),
    ],
)
def test_what_the_file_does_not_know_is_refused(app: Running, change: Doc, attribute: str) -> None:
    answer = app.post(f"{API}/measurementCollectionJob", {"fileTransferData": FILES, **change})
    assert assert_tmf_error(answer, 400)["attribute"] == attribute


def test_indicators_are_described_and_grouped(app: Running) -> None:
    body = {
        "name": "DRB.UEThpDl",
        "collectionType": "gauge",
        "indicatorType": "double",
        "indicatorUnit": "Mbit/s",
        "performanceIndicatorSpecRelationship": [{"relationshipType": "aggregation", "validFor": {}}],
    }
    answer = app.post(f"{API}/performanceIndicatorSpecification", body)
    assert answer.status_code == 201, answer.text
    group = {"name": "radio", "performanceIndicatorSpecification": [{"id": answer.json()["id"]}]}
    assert app.post(f"{API}/performanceIndicatorGroupSpecification", group).status_code == 201
    job = ordered(app, "measurementCollectionJob", performanceIndicatorGroupSpecification=[group])
    assert job["performanceIndicatorGroupSpecification"] == [group]
