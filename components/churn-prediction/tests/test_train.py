"""Training from the ledger: what is published, what is refused, and that it is the same model the second time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from churn_prediction.domain.fingerprint import fingerprint
from churn_prediction.domain.predictor import Predictor
from churn_prediction.main import component
from churn_prediction.train import NO_SOURCE, NOT_ENOUGH, REFUSED, report, take_over

Document = dict[str, Any]
API = "/churn-prediction/tmf-api/AiM/v4"


@pytest.fixture(scope="module")
def school(world: Callable[..., Any], served: str, copied: Callable[[str], str]) -> Iterator[Any]:
    with world([], database_url=copied(served), worker=False) as opened:
        yield opened


def test_a_model_is_published_with_its_card_and_every_hash_can_be_checked(school: Any) -> None:
    (model,) = school.app.get(f"{API}/aiModel").json()
    assert model["state"] == "active"
    (described,) = school.app.get(f"{API}/aiModelSpecification?id={model['aiModelSpecification']['id']}").json()
    (kept,) = school.app.sql("SELECT version, document, active FROM artefact")
    assert hashlib.sha256(kept["document"].encode()).hexdigest() == kept["version"] == described["version"]
    predictor = Predictor.of(json.loads(kept["document"]))
    card = described["modelDataSheet"]
    assert predictor.version == card["modelVersion"] == kept["version"]
    assert fingerprint(predictor.model.document()) == card["hashes"]["coefficients"]
    assert fingerprint(predictor.specification.document()) == card["hashes"]["features"]
    assert described["modelTrainingData"]["hash"] == card["hashes"]["data"] == model["trainingData"]["id"]
    assert card["data"]["n"] == 600
    assert described["modelEvaluationData"]["metrics"]["auc"]["low"] > 0.7


def test_the_contract_promises_what_the_cross_validation_supports(school: Any) -> None:
    (contract,) = school.app.get(f"{API}/aiContract").json()
    assert contract["state"] == "active"
    (model,) = school.app.get(f"{API}/aiModel?id={contract['aiModel']['id']}").json()
    (rules,) = school.app.get(f"{API}/aiContractSpecification?id={contract['aiContractSpecification']['id']}").json()
    promised = {c["name"]: c["value"] for c in contract["characteristic"]}
    assert set(promised) == {c["name"] for c in rules["specCharacteristic"]}
    measured = {c["name"]: c["value"] for c in model["serviceCharacteristic"]}
    assert 0.5 < promised["aucFloor"] <= measured["aucLow"] < measured["auc"]
    assert promised["expectedCalibrationErrorCeiling"] > measured["expectedCalibrationError"]


def test_experience_features_were_reviewed_and_protected_attributes_and_the_label_are_no_features(school: Any) -> None:
    (described,) = school.app.get(f"{API}/aiModelSpecification").json()
    features = {f["name"]: f for f in described["modelDataSheet"]["data"]["features"]}
    assert features["experience_min_7d"]["group"] == "network"
    assert "not told by the outcome" in features["experience_min_7d"]["reviewed"]
    assert not {"churned", "age_band"} & set(features)


def test_the_same_data_give_the_same_model_and_nothing_is_written_again(school: Any) -> None:
    events = school.app.sql("SELECT count(*) FROM outbox")[0][0]
    again = school.train()
    assert (again.code, again.new) == (0, False)
    assert school.app.sql("SELECT count(*) FROM artefact")[0][0] == 1
    assert school.app.sql("SELECT count(*) FROM outbox")[0][0] == events
    assert report(again)[-1] == "the same model was in service already: nothing new"


def test_what_is_told_after_the_outcome_is_not_learned_from(school: Any) -> None:
    before = school.app.sql("SELECT version FROM artefact")[0][0]
    school.app.sql(
        "INSERT INTO feature_row (customer_id, feature, value, kind, as_of, origin)"
        " SELECT customer_id, 'tenure_months', '1.0', 'numeric', told_at + interval '1 s', 'customer-360'"
        " FROM outcome WHERE churned"
    )
    try:
        again = school.train()
        assert again.training.predictor.version == before
    finally:
        school.app.sql(
            "DELETE FROM feature_row f USING outcome o WHERE o.customer_id = f.customer_id AND f.as_of > o.told_at"
        )


def test_columns_that_know_the_answer_are_left_out_by_name_and_the_rest_is_learned(
    world: Callable[..., Any], loaded: str, copied: Callable[[str], str]
) -> None:
    with world([], database_url=copied(loaded), worker=False) as opened:
        for name, kind, value in (
            ("cancelDate", "categorical", "CASE WHEN churned THEN 'set' END"),
            ("finalBill", "numeric", "CASE WHEN churned THEN '50.0' ELSE '1.0' END"),
            ("churned", "categorical", "'x'"),
        ):
            opened.app.sql(f"INSERT INTO feature VALUES ('{name}', '{kind}', 'customer', 'customer-360', '')")
            opened.app.sql(
                "INSERT INTO feature_row (customer_id, feature, value, kind, as_of, origin)"
                f" SELECT customer_id, '{name}', {value}, '{kind}', told_at, 'customer-360' FROM outcome"
            )
        outcome = opened.train()
        assert outcome.code == 0
        assert {r.column for r in outcome.refused} == {"cancelDate", "finalBill", "churned"}
        printed = "\n".join(report(outcome))
        assert "not used: finalBill: alone it separates churners" in printed
        assert "AUC: 0." in printed and "95 % interval" in printed and "lift in the top 10 %" in printed
        (described,) = opened.app.get(f"{API}/aiModelSpecification").json()
        learnt = {f["name"] for f in described["modelDataSheet"]["data"]["features"]}
        assert not learnt & {"cancelDate", "finalBill", "churned"}
        assert {r["column"] for r in described["modelTrainingData"]["refused"]} >= {"cancelDate", "finalBill"}


def test_rows_dated_after_their_label_window_began_are_refused_as_a_whole(
    world: Callable[..., Any], loaded: str, copied: Callable[[str], str]
) -> None:
    with world([], database_url=copied(loaded), worker=False) as opened:
        opened.app.sql("UPDATE outcome SET label_from = told_at - interval '1 day'")
        outcome = opened.train()
        assert outcome.code == REFUSED and "after its label window began" in outcome.why
        assert opened.app.sql("SELECT count(*) FROM artefact")[0][0] == 0


def test_a_newer_model_takes_over_and_the_former_one_becomes_inactive(
    world: Callable[..., Any], served: str, copied: Callable[[str], str]
) -> None:
    with world([], database_url=copied(served), worker=False) as opened:
        (first,) = opened.app.get(f"{API}/aiModel").json()
        opened.app.sql("DELETE FROM outcome WHERE customer_id < 'past-0100'")
        outcome = opened.train()
        assert outcome.new
        states = {m["id"]: m["state"] for m in opened.app.get(f"{API}/aiModel").json()}
        assert states == {first["id"]: "inactive", outcome.model_id: "active"}
        contracts = {c["id"]: c["state"] for c in opened.app.get(f"{API}/aiContract").json()}
        assert contracts == {first["id"]: "terminated", outcome.model_id: "active"}
        kinds = opened.app.sql("SELECT kind FROM outbox WHERE resource = 'AiModel' AND resource_id = $1", first["id"])
        assert "StateChange" in {r["kind"] for r in kinds}
        assert opened.app.sql("SELECT count(*) FROM artefact WHERE active")[0][0] == 1


def command(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as an operator types it, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "churn_prediction", "train", *arguments],
        env={"DATABASE_URL": database_url, "AUTH_MODE": "none", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_too_few_labels_are_a_sentence_and_exit_code_3(
    world: Callable[..., Any],
    loaded: str,
    copied: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = copied(loaded)
    with world([], database_url=url, worker=False) as opened:
        opened.app.sql("DELETE FROM outcome WHERE customer_id >= 'past-0040'")
    monkeypatch.setenv("DATABASE_URL", url)
    assert component.main(["train"]) == NOT_ENOUGH
    assert capsys.readouterr().err.startswith("not enough to learn from: at least 50 customers who left")
    assert component.main(["train", "--wait", "500", "--timeout", "0.2"]) == NOT_ENOUGH
    said = capsys.readouterr()
    assert "labelled customers so far: 40 of 500" in said.out
    assert "40 labelled customers came within 0 s, 500 were waited for" in said.err


def test_the_command_trains_and_wakes_the_running_component(
    world: Callable[..., Any], loaded: str, copied: Callable[[str], str]
) -> None:
    url = copied(loaded)
    with world([], database_url=url) as opened:
        done = command(url, "--seed", "2")
        assert done.returncode == 0, done.stderr
        assert "customers: 600 labelled" in done.stdout and "AUC: 0." in done.stdout
        opened.until(lambda: len(opened.documents("party_role_risk_assessment")) == 30, timeout=10)


def test_serving_needs_no_scikit_learn() -> None:
    code = "import sys, churn_prediction.main; sys.exit('sklearn' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_a_source_that_does_not_answer_is_said_and_not_waited_for(
    loaded: str,
    copied: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", copied(loaded))
    monkeypatch.setenv("UPSTREAM_RETRIES", "0")
    assert component.main(["train", "--source", "http://127.0.0.1:9/customer-360"]) == NO_SOURCE
    assert "customer-360 cannot be read" in capsys.readouterr().err


def test_customers_are_taken_over_from_a_source_without_a_running_component(
    world: Callable[..., Any], customers: list[Document]
) -> None:
    with world(customers[:250], worker=False) as opened:
        for expected in (250, 0):
            assert opened.app.loop.run(take_over(component, opened.app.ctx)) == expected
        assert opened.app.sql("SELECT count(*) FROM outcome")[0][0] == 250
        assert opened.train().code == 0


def test_without_the_training_libraries_the_command_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from churn_prediction.main import component; sys.exit(component.main(['train']))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "churn-prediction[training]" in ended.stderr
