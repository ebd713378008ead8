"""The conformance kit over every API file of the four components, on real sockets with fresh databases: all MUST."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kit_processes import File, Judging, judging, served
from oda_ctk.contract import tables
from tmfkit.testing import server

JOBS = 3
FILES = served()


@pytest.fixture(scope="module")
def judgements() -> Iterator[Judging]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_DATABASE_URL", server())
        with judging(FILES, JOBS) as found:
            yield found


@pytest.mark.parametrize("file", FILES, ids=lambda file: "-".join(file))
def test_every_must_of_the_suite_passes(judgements: Judging, file: File) -> None:
    said = judgements.of(file)
    assert not said.ended, said.ended
    assert said.passed > 20
    assert said.failed == [], said.evidence


def test_every_contract_of_the_kit_is_served_by_a_component() -> None:
    assert {(api, version) for _, api, version in FILES} == set(tables())
