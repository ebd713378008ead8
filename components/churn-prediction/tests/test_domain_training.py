"""Training end to end: what is found is true of the generator, and the card says how and with what limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import numpy as np
import pytest

from churn_prediction.domain.features import Record, frame
from churn_prediction.domain.fingerprint import fingerprint
from churn_prediction.domain.training import Training, train
from churn_prediction.domain.validation import NotEnough


def test_a_trained_model_ranks_and_counts_fresh_customers_as_well_as_promised(
    trained: Training, generate: Callable[..., Any]
) -> None:
    declared, fresh, _ = generate(6000, 99)
    churned = np.array([bool(record["churned"]) for record in fresh])
    p = trained.predictor.predict(frame(declared, fresh)).probability
    auc = trained.evaluation.auc
    assert auc.value is not None
    ranked = p[churned][:, None] > p[~churned][None, :]
    assert float(ranked.mean()) == pytest.approx(auc.value, abs=0.02)
    assert float(p.mean()) == pytest.approx(float(churned.mean()), abs=0.02)
    alerted = p >= 0.85
    assert float(churned[alerted].mean()) == pytest.approx(float(p[alerted].mean()), abs=0.05)


def test_the_card_says_what_how_how_well_and_where_not_to_trust(trained: Training, population: Any) -> None:
    card = json.loads(json.dumps(trained.card, allow_nan=False))
    assert card["data"]["n"] == 6000
    assert card["data"]["baseRate"]["low"] < card["data"]["churners"] / 6000 < card["data"]["baseRate"]["high"]
    assert card["data"]["period"]["from"] == card["data"]["period"]["to"] == "2026-03-01T00:00:00+00:00"
    described = {feature["name"]: feature for feature in card["data"]["features"]}
    assert described["latency_ms"]["group"] == "network"
    assert described["latency_ms"]["missingShare"] == pytest.approx(0.1, abs=0.02)
    assert described["contract"]["missingShare"] == 0.0
    for name in ("auc", "averagePrecision", "brier", "liftAt10Percent", "accuracyAt50Percent"):
        metric = card["metrics"][name]
        assert metric["low"] < metric["value"] < metric["high"], name
    assert card["metrics"]["ece"]["value"] < 0.03
    assert sum(b["n"] for b in card["calibration"]["reliability"]) == 6000
    assert card["alert"]["precision"]["low"] < 0.85 < card["alert"]["precision"]["high"]
    limits = " ".join(card["limits"])
    assert "no effect of an offer is proven" in limits
    assert "no out-of-time test" in limits
    assert "6000 of 6000 rows do not date their label window" in limits


def test_dated_labels_at_several_times_lift_those_two_limits(population: Any) -> None:
    declared, records, _ = population
    dated = [
        cast(
            Record,
            {
                **record,
                "as_of": record["as_of"] + timedelta(days=30 * (i % 2)),
                "label_from": record["as_of"] + timedelta(days=37),
            },
        )
        for i, record in enumerate(records[:2000])
    ]
    result = train(declared, dated, seed=1, population_rate=0.02)
    assert isinstance(result, Training)
    limits = " ".join(result.card["limits"])
    assert "no out-of-time test" not in limits
    assert "do not date their label window" not in limits
    assert "corrected to the population's base rate" in limits
    assert result.card["data"]["labelWindowStarts"]["from"].startswith("2026-04-07")
    assert result.predictor.base_rate == 0.02


def test_hashes_name_the_data_the_features_and_the_coefficients(trained: Training, population: Any) -> None:
    declared, _, _ = population
    hashes = trained.card["hashes"]
    assert hashes["features"] == fingerprint(declared.document())
    assert hashes["coefficients"] == fingerprint(trained.predictor.model.document())
    assert trained.card["modelVersion"] == trained.predictor.version
    assert len(set(hashes.values())) == 3


def test_the_data_hash_ignores_the_order_of_rows_and_notices_one_value(generate: Callable[..., Any]) -> None:
    declared, records, _ = generate(600, 5)
    touched = cast(Record, {**records[0], "features": {**records[0]["features"], "handset": "b2"}})
    results = [train(declared, rows, seed=1) for rows in (records, records[::-1], [touched, *records[1:]])]
    hashes = [result.card["hashes"]["data"] for result in results if isinstance(result, Training)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_same_records_and_seed_give_the_same_model_and_card(generate: Callable[..., Any]) -> None:
    declared, records, _ = generate(800, 6)
    first, second = train(declared, records, seed=4), train(declared, records, seed=4)
    assert isinstance(first, Training)
    assert isinstance(second, Training)
    assert first.card == second.card


def test_records_without_an_outcome_are_left_out(generate: Callable[..., Any]) -> None:
    declared, records, _ = generate(800, 6)
    unlabelled = [cast(Record, {**record, "id": f"u{i}", "churned": None}) for i, record in enumerate(records)]
    result = train(declared, [*records, *unlabelled], seed=4)
    assert isinstance(result, Training)
    assert result.card["data"]["n"] == 800


def test_too_few_leavers_are_not_enough_data(generate: Callable[..., Any]) -> None:
    declared, records, _ = generate(90, 8)
    result = train(declared, records, seed=1)
    assert isinstance(result, NotEnough)
    assert (result.n, result.churners) == (90, sum(bool(record["churned"]) for record in records))
    assert "at least 50" in result.why


def test_a_fingerprint_is_of_the_content_and_refuses_what_json_cannot_say() -> None:
    assert fingerprint({"a": 1, "b": [0.1]}) == fingerprint({"b": [0.1], "a": 1})
    assert fingerprint({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    with pytest.raises(ValueError, match="not JSON compliant"):
        fingerprint({"a": float("nan")})
