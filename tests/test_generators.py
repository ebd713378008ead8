"""The exported OpenAPI files work with a common generator: its models can be imported and hold what is answered."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from datamodel_code_generator import InputFileType, generate
from datamodel_code_generator.enums import DataModelType
from datamodel_code_generator.format import Formatter, PythonVersion

from oda_ctk import suite as suites
from tmfkit import Component
from tmfkit.testing import Case, Loop, Running, cases, running

ROOT = Path(__file__).parents[1]
PACKAGES = ("service_quality", "experience_management", "customer_360", "churn_prediction")
FILES = sorted((ROOT / "openapi").glob("*/*.json"), key=str)
PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
WORDS = {"now": "2026-01-15T10:00:00.000Z"}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, ModuleType]:
    """Pydantic models of every file, as a client in Python would have them."""
    folder = tmp_path_factory.mktemp("generated")
    return {file: models(file, folder) for file in FILES}


def models(file: Path, folder: Path) -> ModuleType:
    name = re.sub(r"\W", "_", f"{file.parent.name}_{file.stem}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="format of .* not understood")  # formats of our own are texts to it
        generate(
            file,
            input_file_type=InputFileType.OpenAPI,
            output=folder / f"{name}.py",
            output_model_type=DataModelType.PydanticV2BaseModel,
            target_python_version=PythonVersion.PY_311,
            formatters=[Formatter.BUILTIN],
        )
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where the models look for one another
    spec.loader.exec_module(module)
    return module


def bare(name: str) -> str:
    """A name without the signs that Python names do not have, and without case."""
    return re.sub(r"[\W_]", "", name).lower()


def class_of(module: ModuleType, schema: str) -> Any:
    """The generated class of a schema."""
    (found,) = [getattr(module, name) for name in vars(module) if bare(name) == bare(schema)]
    return found


def test_every_schema_of_every_file_has_a_class(generated: dict[Path, ModuleType]) -> None:
    assert len(generated) > 30
    for file, module in generated.items():
        schemas = json.loads(file.read_text()).get("components", {}).get("schemas", {})
        classes = {bare(name) for name in vars(module)}
        assert [schema for schema in schemas if bare(schema) not in classes] == [], file.name


def test_values_that_differ_in_case_alone_stay_two_values(generated: dict[Path, ModuleType]) -> None:
    (alarm,) = [module for file, module in generated.items() if file.name == "alarm.v4.json"]
    values = {member.value for member in alarm.PerceivedSeverity}
    assert {"critical", "CRITICAL"} <= values


@pytest.fixture(scope="module", params=PACKAGES)
def app(request: pytest.FixtureRequest) -> Iterator[tuple[Component, Running]]:
    component: Component = importlib.import_module(f"{request.param}.main").component
    loop = Loop()
    try:
        with running(component, loop) as found:
            yield component, found
    finally:
        loop.close()


def test_a_model_takes_what_is_answered_and_gives_it_back(
    app: tuple[Component, Running], generated: dict[Path, ModuleType]
) -> None:
    component, served = app
    apis = {api.name: api.id for api in component.apis}
    compared = 0
    for case in cases(component, "create"):
        sample = suites.shipped(apis[case.api], case.view.version).plan(case.view.resource.path.rsplit("/", 1)[-1]).full
        if not sample:
            continue
        file = ROOT / "openapi" / component.name / f"{case.api}.{case.view.version}.json"
        answer = served.post(case.path, filled(dict(sample)))
        assert answer.status_code == 201, answer.text
        model = class_of(generated[file], answered(json.loads(file.read_text()), case))
        back = model.model_validate(answer.json()).model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert differences(answer.json(), back) == [], f"{file.name} {case}"
        compared += 1
    assert compared > 0


def filled(value: Any) -> Any:
    """A body of the conformance kit's suites, its placeholders replaced."""
    if isinstance(value, dict):
        return {k: filled(v) for k, v in value.items()}
    if isinstance(value, list):
        return [filled(v) for v in value]
    return PLACEHOLDER.sub(lambda m: WORDS.get(m[1], "1"), value) if isinstance(value, str) else value


def answered(document: Any, case: Case) -> str:
    """The schema of what POST answers."""
    operation = document["paths"][f"/{case.view.resource.path}"]["post"]
    told = operation["responses"]["201"]["content"]["application/json"]["schema"]
    whole = told if "$ref" in told else told["anyOf"][0]  # the other one is a selection of attributes
    return str(whole["$ref"]).rsplit("/", 1)[1]


def differences(sent: Any, found: Any, path: str = "") -> list[str]:
    """Where two values differ; instants and addresses may be written in another way."""
    if isinstance(sent, dict) and isinstance(found, dict):
        names = sorted(sent.keys() | found.keys())
        return [d for n in names for d in differences(sent.get(n), found.get(n), f"{path}.{n}")]
    if isinstance(sent, list) and isinstance(found, list) and len(sent) == len(found):
        return [d for i, (a, b) in enumerate(zip(sent, found, strict=True)) for d in differences(a, b, f"{path}[{i}]")]
    same = sent == found or (isinstance(sent, str) and isinstance(found, str) and meaning(sent) == meaning(found))
    return [] if same else [f"{path}: {sent!r} became {found!r}"]


def meaning(text: str) -> object:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text.rstrip("/")
