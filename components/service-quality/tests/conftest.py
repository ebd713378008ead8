"""One running component for the tests of a module; each test finds it empty, as if it had just been started."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from service_quality.ledger import _LEDGERS
from service_quality.main import component
from service_quality.topology import _KEPT
from tmfkit.testing import Running, running

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def component_of_all() -> Iterator[Running]:
    with running(component, clock=lambda: NOW) as app:
        yield app


@pytest.fixture
def app(component_of_all: Running) -> Running:
    tables = [table for table in component.schema.tables if table != "secret"]
    component_of_all.sql(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY")
    _LEDGERS.pop(component_of_all.ctx, None)
    _KEPT.pop(component_of_all.ctx, None)
    return component_of_all
