"""A short form of tests/judges/fuzz.py that always runs: a few requests to every operation of every exported file.

The same generator and the same checks, in process and derandomised; wrong requests for POST alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok

sys.path.insert(0, str(Path(__file__).parent))  # its neighbours are scripts

import generated
from serving import components

from tmfkit import Component
from tmfkit.samples import body
from tmfkit.testing import LOCAL, Running, cases, running

EXAMPLES = 2
COMPONENTS = components()
FEW = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", params=COMPONENTS, ids=lambda c: c.name)
def app(request: pytest.FixtureRequest) -> Iterator[Running]:
    component: Component = request.param
    with running(component, upstream_retries=0) as started:
        for case in cases(component, "create"):
            started.post(case.path, body(case.form, 100, full=True))
        yield started


def operations(component: Component) -> list[tuple[str, Any]]:
    """Every operation of every exported file; there is no token in process, so none is asked for."""
    generated.register()
    found = []
    for name, document in sorted(component.openapi_files().items()):
        document.pop("security", None)
        schema = schemathesis.openapi.from_dict(generated.exact(document))
        servers = document.get("servers", [{"url": ""}])
        schema.config.update(base_url=LOCAL + servers[0]["url"])
        schema.config.generation.update(allow_x00=False)
        for result in schema.get_all_operations():
            assert isinstance(result, Ok), result
            found.append((f"{name} {result.ok().label}", result.ok()))
    return found


def answered(app: Running, case: Case[Any]) -> httpx.Response:
    sent = requests.Request(**case.as_transport_kwargs()).prepare()
    return app.request(sent.method or "GET", sent.url or "", content=sent.body, headers=dict(sent.headers))


def judged(app: Running, operation: Any, mode: GenerationMode) -> list[str]:
    """What a few generated requests to one operation brought to light."""
    found: list[str] = []

    @FEW
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Case[Any]) -> None:
        answer = answered(app, case)
        try:
            case.validate_response(answer)
        except FailureGroup as group:
            for failure in group.exceptions:
                told = str(failure).strip().replace("\n", " ")[:400]
                found.append(f"{told} | {case.method} {answer.request.url} -> {answer.status_code} {answer.text[:200]}")

    one()
    return found


def test_every_operation_answers_as_its_file_says(app: Running) -> None:
    problems = []
    for label, operation in operations(app.component):
        problems += [f"{label}: {problem}" for problem in judged(app, operation, GenerationMode.POSITIVE)]
        wrong = operation.method == "post" and (operation.body or operation.query)
        if wrong:  # elsewhere wrong requests take long to make, or cannot be made at all
            problems += [f"{label}: {problem}" for problem in judged(app, operation, GenerationMode.NEGATIVE)]
    assert not problems, f"{len(problems)}:\n" + "\n".join(sorted(set(problems)))
