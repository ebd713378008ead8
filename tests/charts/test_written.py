"""What in the charts follows from the components and from the shared values is as it would be written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))  # its neighbours are scripts

import facts
import values
from facts import CHARTS, HELM


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_says_of_its_component_what_the_component_says_of_itself(chart: str) -> None:
    assert (HELM / chart / "files" / "component.json").read_text() == facts.written(chart)


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_s_shared_values_are_those_of_all(chart: str) -> None:
    text = (HELM / chart / "values.yaml").read_text()
    assert text == values.joined(text, values.shared())


@pytest.mark.parametrize("chart", [*CHARTS, "cem"])
def test_a_chart_s_schema_is_that_of_its_values(chart: str) -> None:
    schema = HELM / chart / "values.schema.json"
    assert schema.read_text() == values.schema_text(HELM / chart / "values.yaml")


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_knows_every_dependency_of_its_component_and_no_other(chart: str) -> None:
    declared = set(facts.component(chart).all_dependencies)
    assert set(yaml.safe_load((HELM / chart / "values.yaml").read_text())["dependencies"]) == declared


@pytest.mark.parametrize("chart", CHARTS)
def test_the_versions_of_chart_and_component_agree(chart: str) -> None:
    told = yaml.safe_load((HELM / chart / "Chart.yaml").read_text())
    assert told["appVersion"] == facts.component(chart).version


def test_a_value_without_a_description_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a\.b has no description"):
        values.schema("a:\n  b: 1\n")


def test_a_comment_that_belongs_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2"):
        values.commented("# -- lost\n- item\n")


def test_a_schema_takes_types_from_defaults_and_refuses_what_is_not_named() -> None:
    schema = values.schema('a:\n  # -- how many\n  b: 1\n  # @schema {"enum": ["x"]}\n  # -- which\n  c: x\n')
    assert schema["properties"]["a"] == {
        "type": "object",
        "properties": {
            "b": {"description": "how many", "type": "integer", "default": 1},
            "c": {"description": "which", "enum": ["x"], "default": "x"},
        },
        "additionalProperties": False,
    }
    assert json.dumps(schema)
