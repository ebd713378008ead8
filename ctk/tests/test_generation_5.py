"""What only files of the fifth generation have: ids in bodies of creation, several media types of PATCH, payload names.

The server is that of the fourth; its contract is given what is asked for.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from ctk.tests.support.customers import Customers
from ctk.tests.support.judging import judged

from oda_ctk.contract import Attribute, Contract, Schema, shipped
from oda_ctk.exchange import JSON_MEDIA, MERGE
from oda_ctk.session import Session
from oda_ctk.suite import Suite

LIES = {
    "the client's id is replaced": "create.client-id",
    "an id is taken twice": "create.client-id-taken",
    "merge-patch is refused": "patch.media",
}


def customers_of_generation_5() -> Contract:
    whole = shipped("TMF629", "v4")
    create = whole.schemas["Customer_Create"]
    with_id = replace(create, attributes=(*create.attributes, Attribute("id", "string", False, False)))
    media = (JSON_MEDIA, MERGE)
    operations = tuple(replace(o, media=media) if o.method == "PATCH" else o for o in whole.operations)
    return replace(whole, version="v5", operations=operations, schemas={**whole.schemas, create.name: with_id})


@pytest.mark.parametrize("check", LIES.values())
def test_an_honest_server_passes(check: str) -> None:
    with Customers() as server:
        report = judged(server, check, contract=customers_of_generation_5())
    assert [r.outcome for r in report.results] == ["pass"], report.results


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found(lie: str) -> None:
    with Customers({lie}) as server:
        report = judged(server, LIES[lie], contract=customers_of_generation_5())
    assert [(r.id, r.outcome) for r in report.results] == [(LIES[lie], "fail")], report.results


def test_an_event_may_carry_its_resource_under_the_name_that_the_file_gives_it() -> None:
    whole = shipped("TMF656", "v5")
    session = Session(whole, Suite(), "http://127.0.0.1:1")
    ungroup, problem = session.subject("problemUngroup"), session.subject("serviceProblem")
    assert ungroup is not None and ungroup.told_as == {"problemUngroup", "problemGroup"}
    assert problem is not None and problem.told_as == {"serviceProblem"}
    session.close()


def test_a_payload_schema_without_attributes_leaves_the_name_of_the_resource() -> None:
    whole = shipped("TMF656", "v5")
    empty = {n: Schema(n, ()) if n.endswith("Payload") else s for n, s in whole.schemas.items()}
    session = Session(replace(whole, schemas=empty), Suite(), "http://127.0.0.1:1")
    ungroup = session.subject("problemUngroup")
    assert ungroup is not None and ungroup.told_as == {"problemUngroup"}
    session.close()
