"""The committed OpenAPI files are what the apps serve: a change of contract is seen in review as a change of a file."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from tmfkit import Component
from tmfkit.testing import running

ROOT = Path(__file__).parents[1]
PACKAGES = ("service_quality", "experience_management", "customer_360", "churn_prediction", "demo_operator")


def declared(package: str) -> Component:
    component: Component = importlib.import_module(f"{package}.main").component
    return component


@pytest.mark.parametrize("package", PACKAGES)
def test_the_files_are_what_the_declarations_say(package: str) -> None:
    component = declared(package)
    folder = ROOT / "openapi" / component.name
    files = component.openapi_files()
    assert sorted(p.name for p in folder.glob("*.json")) == sorted(files)
    for name, document in files.items():
        assert json.loads((folder / name).read_text()) == json.loads(json.dumps(document)), f"{name}: make openapi"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_app_serves_the_files(package: str) -> None:
    component = declared(package)
    served = {f"{component.base()}/openapi.json": "own.json"}
    for api in component.apis:
        for version in api.versions:
            served[f"{api.path(component.base(), version)}/openapi.json"] = f"{api.name}.{version}.json"
    with running(component) as app:
        for path, name in served.items():
            assert app.get(path).json() == json.loads((ROOT / "openapi" / component.name / name).read_text()), name


@pytest.mark.parametrize("package", PACKAGES)
def test_operation_ids_and_references_hold(package: str) -> None:
    for name, document in declared(package).openapi_files().items():
        ids = [op["operationId"] for item in document["paths"].values() for op in item.values() if "operationId" in op]
        assert len(ids) == len(set(ids)), name
        text = json.dumps(document)
        schemas = document.get("components", {}).get("schemas", {})
        for part in text.split('"#/components/schemas/')[1:]:
            assert part.split('"', 1)[0] in schemas, name
