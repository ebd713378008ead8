"""Reports of a run: HTML for people, JUnit XML for build servers, JSON for programs (report.schema.json)."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jinja2 import Environment, StrictUndefined

from oda_ctk.run import Report, Result

TOOL = "oda-ctk"
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""

LONG = 100


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain data."""
    hangs = {} if report.hangs is None else {"hangs": report.hangs}
    return {
        "tool": TOOL,
        "api": report.api,
        "version": report.version,
        "url": report.url,
        "profile": report.profile,
        "started": report.started,
        "took_s": report.took_s,
        "requests": report.requests,
        "interrupted": report.interrupted,
        "exit_code": report.exit_code,
        "summary": {
            level: {outcome: report.count(outcome, level) for outcome in ("pass", "fail", "not applicable")}
            for level in ("MUST", "SHOULD")
        },
        "left_behind": report.left_behind,
        "not_deleted": report.not_deleted,
        "results": [_plain(r) for r in report.results],
        **hangs,
    }


def _plain(result: Result) -> dict[str, Any]:
    told = asdict(result)
    told.pop("blocked")
    return {**told, "evidence": list(result.evidence)}


def as_junit(report: Report) -> bytes:
    """One test suite for each resource; a failed SHOULD is told as skipped, since it fails no build."""
    root = ElementTree.Element("testsuites", name=f"{report.api} {report.version}")
    groups: dict[str, list[Result]] = {}
    for result in report.results:
        groups.setdefault(result.resource or report.api, []).append(result)
    for name, results in groups.items():
        failed = [r for r in results if r.outcome == "fail" and r.level == "MUST"]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=_xml(f"{report.api}.{report.version}.{name}"),
            tests=str(len(results)),
            failures=str(len(failed)),
            errors="0",
            skipped=str(sum(r.outcome != "pass" for r in results) - len(failed)),
            time=f"{sum(r.took_s for r in results):.3f}",
            timestamp=report.started[:19],
        )
        for r in results:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=_xml(f"{report.api}.{report.version}.{name}"),
                name=_xml(f"{r.id} [{r.level}] {r.title}"),
                time=f"{r.took_s:.3f}",
            )
            if r.outcome == "fail" and r.level == "MUST":
                failure = ElementTree.SubElement(case, "failure", message=_xml(r.reason), type=_xml(r.clause))
                failure.text = _xml("\n\n".join(_told(e) for e in r.evidence))
            elif r.outcome == "fail":
                ElementTree.SubElement(case, "skipped", message=_xml(f"SHOULD not kept: {r.reason}"))
            elif r.outcome == "not applicable":
                ElementTree.SubElement(case, "skipped", message=_xml(r.reason))
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _xml(text: str) -> str:
    return FORBIDDEN.sub("?", text)


def _told(evidence: dict[str, Any]) -> str:
    """A request and its answer as they would be written, or a piece of a manifest."""
    if "manifest" in evidence:
        piece = evidence["manifest"]
        return "\n".join([f"{piece['document']}: {piece['path']}".removesuffix(": "), piece["text"].rstrip()])
    request, response = evidence["request"], evidence["response"]
    lines = [f"{request['method']} {request['url']}"]
    lines += [f"{k}: {v}" for k, v in request["headers"].items()]
    lines += [_laid_out(request["body"]), f"\n-> {response['status']}"]
    lines += [f"{k}: {v}" for k, v in response["headers"].items()]
    lines.append(_laid_out(response["body"]))
    return "\n".join(line for line in lines if line)


def _laid_out(body: str) -> str:
    """A long JSON body over several lines; what is short, shortened or no JSON stays as it is."""
    if len(body) <= LONG:
        return body
    try:
        return json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return body


def _tally(results: list[Result]) -> str:
    """How often each outcome is among the results."""
    outcomes: list[str] = [r.outcome for r in results]
    words = (("pass", "passed"), ("fail", "failed"), ("not applicable", "not applicable"))
    return ", ".join(f"{outcomes.count(outcome)} {word}" for outcome, word in words)


def _counted(evidence: tuple[dict[str, Any], ...]) -> str:
    """What there is to unfold: "2 requests and answers", "1 piece of the manifest"."""
    pieces = sum("manifest" in e for e in evidence)
    asked = len(evidence) - pieces
    told = [f"{asked} request{'s'[: asked > 1]} and answer{'s'[: asked > 1]}"] if asked else []
    told += [f"{pieces} piece{'s'[: pieces > 1]} of the manifest"] if pieces else []
    return ", ".join(told)


def as_html(report: Report) -> str:
    """A page that needs nothing else: summary, failures first, evidence to unfold."""
    text = files("oda_ctk").joinpath("templates", "report.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["told"] = _told
    environment.filters["tally"] = _tally
    environment.filters["counted"] = _counted
    musts = [r for r in report.results if r.outcome == "fail" and r.level == "MUST"]
    shoulds = [r for r in report.results if r.outcome == "fail" and r.level == "SHOULD"]
    names = list(dict.fromkeys(r.resource for r in report.results))
    return environment.from_string(text).render(
        report=report,
        summary=as_json(report)["summary"],
        musts=musts,
        shoulds=shoulds,
        groups=[(n or report.api, [r for r in report.results if r.resource == n]) for n in names],
    )


def write(report: Report, folder: Path) -> None:
    """report.html, report.xml and report.json into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(report), ensure_ascii=True, indent=1)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    (folder / "report.xml").write_bytes(as_junit(report))
    page = as_html(report).encode("utf-8", "replace")
    (folder / "report.html").write_bytes(page)


def failures(file: Path) -> frozenset[tuple[str, str]]:
    """The ids and resources that failed in a former run; ValueError when the file is no report."""
    document = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("tool") != TOOL:
        raise ValueError(f"{file} is no report of this kit")
    return frozenset((r["id"], r["resource"]) for r in document["results"] if r["outcome"] == "fail")
