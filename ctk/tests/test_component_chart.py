"""Charts, which helm renders, and CRD files, which are judged by like the shipped facts."""

from __future__ import annotations

import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from ctk.tests.support.component_judging import written
from ctk.tests.support.tickets import documents

from oda_ctk.__main__ import main
from oda_ctk.component.cel import NotUnderstood, here_or_first, holds, parsed
from oda_ctk.component.chart import packed_bytes
from oda_ctk.component.crd import from_crd
from oda_ctk.component.schema import component_v1, faults, read

HELM = """#!{python}
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
(folder / "asked.json").write_text(json.dumps(sys.argv[1:]))
if (folder / "fails").exists():
    sys.exit("Error: chart needs a value")
print((folder / "manifest.yaml").read_text())
"""


def chart(folder: Path) -> tuple[Path, str]:
    """A tiny chart, and a program that stands for helm: it prints what the chart would give."""
    place = folder / "tickets"
    (place / "templates").mkdir(parents=True)
    (place / "Chart.yaml").write_text("apiVersion: v2\nname: tickets\nversion: 1.2.0\n")
    (place / "templates" / "all.yaml").write_text("kind: {{ .Values.kind }}\n")
    told = [f"# Source: tickets/templates/{d['kind'].lower()}.yaml\n{written([d])}" for d in documents().values()]
    (folder / "manifest.yaml").write_text("---\n" + "---\n".join(told))
    helm = folder / "helm"
    helm.write_text(HELM.format(python=sys.executable))
    helm.chmod(0o755)
    return place, str(helm)


def test_a_chart_is_rendered_with_release_namespace_and_values(tmp_path: Path) -> None:
    place, helm = chart(tmp_path)
    values = tmp_path / "values.yaml"
    values.write_text("kind: Service\n")
    options = ["--helm", helm, "--release", "r1", "--namespace", "odacompns-a", "-f", str(values), "--set", "a=b"]
    assert main(["component", str(place), *options, "--report", str(tmp_path / "out")]) == 0
    asked = json.loads((tmp_path / "asked.json").read_text())
    sent = ["--namespace", "odacompns-a", "--values", str(values), "--set", "a=b"]
    assert asked == ["template", "r1", str(place), *sent]
    results = json.loads((tmp_path / "out" / "report.json").read_text())["results"]
    judged = {r["id"]: r["outcome"] for r in results}
    assert (judged["component.chart.size"], judged["component.name.release"]) == ("pass", "pass")


def test_the_template_of_a_document_is_told(tmp_path: Path) -> None:
    place, helm = chart(tmp_path)
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("type: ClusterIP", "type: NodePort"))
    assert main(["component", str(place), "--helm", helm, "--release", "r1", "--report", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "report.json").read_text())["results"]
    found = [r for r in results if r["outcome"] == "fail"]
    assert [r["id"] for r in found] == ["component.service.type"]
    told = found[0]["evidence"][0]["manifest"]["document"]
    assert told == "Service r1-tickets-api (tickets/templates/service.yaml)"


def test_a_packed_chart_is_read_too_and_a_large_one_is_found(tmp_path: Path) -> None:
    place, helm = chart(tmp_path)
    small, large = tmp_path / "small.tgz", tmp_path / "large.tgz"
    with tarfile.open(small, "w:gz") as tar:
        tar.add(place, "tickets")
    large.write_bytes(small.read_bytes() + bytes(130_000))
    for file, outcome in ((small, "pass"), (large, "fail")):
        options = ["--helm", helm, "--only", "component.chart.size", "--report", str(tmp_path)]
        assert main(["component", str(file), *options]) == 0
        assert json.loads((tmp_path / "report.json").read_text())["results"][0]["outcome"] == outcome


def test_what_helmignore_keeps_out_is_not_packed(tmp_path: Path) -> None:
    place, _ = chart(tmp_path)
    bare = packed_bytes(place)
    (place / "docs").mkdir()
    for name in ("docs/big.bin", "picture.png", "kept.png"):
        (place / name).write_bytes(bytes(n * n % 251 for n in range(1000)))
    full = packed_bytes(place)
    (place / ".helmignore").write_text("# not packed\n*.png\n!kept.png\ndocs/\n")
    assert bare < packed_bytes(place) < full


def test_without_helm_a_sentence_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, helm = chart(tmp_path)
    assert main(["component", str(place), "--helm", str(tmp_path / "nowhere")]) == 2
    assert "helm is not installed" in capsys.readouterr().err
    (tmp_path / "fails").touch()
    assert main(["component", str(place), "--helm", helm]) == 2
    assert "chart needs a value" in capsys.readouterr().err


def test_helm_is_looked_for_in_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, helm = chart(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert main(["component", str(place)]) == 2
    monkeypatch.setenv("PATH", str(Path(helm).parent))
    assert main(["component", str(place), "--release", "r1"]) == 0


def crd(**spec: Any) -> dict[str, Any]:
    version = {"name": "v1", "served": True, "schema": {"openAPIV3Schema": {"type": "object", "properties": spec}}}
    names = {"kind": "Component"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "spec": {"group": "oda.tmforum.org", "names": names, "versions": [version]},
    }


SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 5},
        "ports": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        "kind": {"type": "string", "enum": ["a", "b"]},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 1},
        "free": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"n": {"type": "number"}},
        },
        "target": {"x-kubernetes-int-or-string": True},
        "maybe": {"type": "string", "nullable": True},
        "at": {"type": "string", "format": "date-time"},
    },
    "x-kubernetes-validations": [{"rule": "!has(self.kind) || self.kind == 'a' || size(self.ports) > 1"}],
}


@pytest.mark.parametrize(
    ("spec", "kinds"),
    [
        ({"name": "ab"}, []),
        ({"name": "ab", "ports": [1], "labels": {"x": "y"}, "free": {"z": [1], "n": 0.5}, "target": "http"}, []),
        ({"name": "ab", "kind": "b", "ports": [1, 2], "maybe": None, "at": "2026-01-15T10:00:00.5+01:00"}, []),
        ({}, ["required"]),
        ({"name": "AB"}, ["value"]),
        ({"name": "a"}, ["value"]),
        ({"name": "abcdef"}, ["value"]),
        ({"name": 7}, ["type"]),
        ({"name": None}, ["type"]),
        ({"name": "ab", "ports": []}, ["required"]),
        ({"name": "ab", "ports": [1, 2, 3]}, ["value"]),
        ({"name": "ab", "ports": [0]}, ["value"]),
        ({"name": "ab", "ports": [10]}, ["value"]),
        ({"name": "ab", "ports": [True]}, ["type"]),
        ({"name": "ab", "ports": [1.5]}, ["type"]),
        ({"name": "ab", "kind": "c"}, ["value", "rule"]),
        ({"name": "ab", "kind": "b"}, ["rule"]),
        ({"name": "ab", "labels": {"x": 1}}, ["type"]),
        ({"name": "ab", "labels": {"x": "", "y": ""}}, ["value"]),
        ({"name": "ab", "free": {"n": "1"}}, ["type"]),
        ({"name": "ab", "target": 1.5}, ["type"]),
        ({"name": "ab", "at": "2026-02-30T10:00:00Z"}, ["value"]),
        ({"name": "ab", "more": 1}, ["unknown"]),
    ],
)
def test_a_structural_schema_is_judged_by(spec: dict[str, Any], kinds: list[str]) -> None:
    node = from_crd(crd(spec=SPEC))["oda.tmforum.org", "v1", "Component"]
    document = {"apiVersion": "oda.tmforum.org/v1", "kind": "Component", "metadata": {"name": "x"}, "spec": spec}
    assert [f.kind for f in faults(node, document)] == kinds


def test_a_crd_file_takes_the_place_of_the_shipped_facts(tmp_path: Path) -> None:
    file, own = tmp_path / "tickets.yaml", tmp_path / "crd.yaml"
    file.write_text(written(documents().values()))
    told = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    for spec, failed in ((told, False), ({"type": "object", "properties": {"coreFunction": told}}, True)):
        own.write_text(yaml.safe_dump(crd(spec=spec)))
        assert main(["component", str(file), "--crd", str(own), "--only", "component.schema"]) == int(failed)


def test_a_rule_that_is_not_understood_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, own = tmp_path / "tickets.yaml", tmp_path / "crd.yaml"
    file.write_text(written(documents().values()))
    rule = "self.items.all(i, i.startsWith('a'))"
    own.write_text(yaml.safe_dump(crd(spec={"type": "object", "x-kubernetes-validations": [{"rule": rule}]})))
    assert main(["component", str(file), "--crd", str(own)]) == 2
    assert "not understood" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rule", "value", "kept"),
    [
        ("has(self.a)", {"a": 1}, True),
        ("has(self.a)", {}, False),
        ("has(self.a.b)", {}, False),
        ("has(self.a.b) || true", {}, True),
        ("true || has(self.a.b)", {}, True),
        ("has(self.a.b) && false", {}, False),
        ("!(has(self.a) && self.a > 3)", {"a": 3}, True),
        ("self.a[1] == 'x'", {"a": ["", "x"]}, True),
        ("self.a[1] != 'x'", {"a": [""]}, False),
        ("size(self.a) >= 2 && size(self.a) <= 3", {"a": "abcd"}, False),
        ("self.a == oldSelf.a", {"a": 1}, True),
        (here_or_first(["a", "b"]), {"a": 1, "b": 2}, True),
        (here_or_first(["a", "b"]), {"a": 1, "specification": [{"b": 2}]}, False),
        (here_or_first(["a", "b"]), {"specification": [{"a": 1, "b": 2}]}, True),
        (here_or_first(["a", "b"]), {"specification": [{}, {"a": 1, "b": 2}]}, False),
        (here_or_first(["a"]), {}, False),
    ],
)
def test_rules_are_kept_or_broken_as_in_kubernetes(rule: str, value: Any, kept: bool) -> None:
    assert holds(rule, value) is kept


@pytest.mark.parametrize(
    "rule", ["self.a +", "self.a.exists(x, x)", "a", "(self.a", "self.a ? 1 : 2", "", "self.a self"]
)
def test_what_is_no_rule_of_the_known_part_is_refused(rule: str) -> None:
    with pytest.raises(NotUnderstood):
        parsed(rule)


@pytest.mark.parametrize("line", ["name string max=3", "name", "name Nothing"])
def test_a_table_with_a_fact_that_is_unknown_is_refused(line: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        read(f"crd g v1 K\nschema K\n  {line}\n")


def test_the_shipped_facts_are_those_of_a_component() -> None:
    spec = component_v1().properties["spec"].properties
    assert set(spec) == {
        "componentMetadata",
        "coreFunction",
        "eventNotification",
        "managementFunction",
        "securityFunction",
    }
    core = spec["coreFunction"].properties["exposedAPIs"].items
    management = spec["managementFunction"].properties["exposedAPIs"].items
    assert core and management
    assert (sorted(core.required), sorted(management.required)) == (["name", "specification"], ["name"])
    assert set(management.properties["apiType"].enum) - set(core.properties["apiType"].enum) == {
        "prometheus",
        "openmetrics",
    }
