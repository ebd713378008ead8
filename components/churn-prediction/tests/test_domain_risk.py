"""An assessment says how likely, how sure, why, and what changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from churn_prediction.domain import calibration, fitting
from churn_prediction.domain.features import Record, frame, labelled
from churn_prediction.domain.predictor import Predictor
from churn_prediction.domain.risk import Assessment, Band, Bands, Reason, assess
from churn_prediction.domain.training import Training

APRIL = datetime(2026, 4, 1, tzinfo=UTC)


def _one(trained: Training, **features: Any) -> Record:
    known: Any = {
        "tenure_months": 36.0,
        "contract": "one year",
        "monthly_charge": 80.0,
        "complaints_30d": 0.0,
        "latency_ms": 45.0,
        "handset": "a",
    }
    return Record(id="42", as_of=datetime(2026, 3, 1, tzinfo=UTC), features={**known, **features})


def _assess(trained: Training, record: Record, previous: Assessment | None = None) -> Assessment:
    table = frame(trained.predictor.specification, [record])
    return assess(trained.predictor, table, None if previous is None else {"42": previous})[0]


def test_contributions_and_drivers_add_up_to_the_log_odds(trained: Training) -> None:
    found = _assess(trained, _one(trained, complaints_30d=3.0))
    assert found.average_log_odds + sum(found.contributions.values()) == pytest.approx(found.log_odds, abs=1e-12)
    assert sum(found.drivers.values()) == pytest.approx(sum(found.contributions.values()), abs=1e-12)
    contract = found.contributions["tenure_months"] + found.contributions["contract"]
    assert found.drivers["contract"] == pytest.approx(contract)
    assert found.probability == pytest.approx(float(1.0 / (1.0 + np.exp(-found.log_odds))), abs=0.05)


def test_the_interval_encloses_the_probability_and_widens_for_an_unknown_customer(trained: Training) -> None:
    known = _assess(trained, _one(trained))
    unknown = _assess(trained, _one(trained, contract="ten years", tenure_months=None))
    assert known.low < known.probability < known.high
    assert unknown.high - unknown.low > 2.0 * (known.high - known.low)
    assert known.unknown == ()
    assert unknown.unknown == ("tenure_months", "contract")


def test_the_largest_contribution_leads_the_reasons_with_group_value_and_sign(trained: Training) -> None:
    found = _assess(trained, _one(trained, complaints_30d=4.0))
    first = found.reasons[0]
    assert (first.feature, first.group, first.value) == ("complaints_30d", "care", 4.0)
    assert first.contribution > 1.0
    assert [abs(r.contribution) for r in found.reasons] == sorted(abs(r.contribution) for r in found.reasons)[::-1]
    assert any(r.feature == "contract" and r.contribution < 0.0 for r in found.reasons)


def test_a_reason_reads_as_odds_against_the_average() -> None:
    assert Reason("contract", "contract", "monthly", np.log(1.9)).text == (
        "contract = monthly: 1.9 times the odds of leaving (average = 1)"
    )
    assert "latency_ms = unknown: 0.5 times" in Reason("latency_ms", "network", None, np.log(0.5)).text
    assert Reason("charge", "price", 101.45, 0.0).text.startswith("charge = 101.45: 1 times")


@pytest.mark.parametrize(
    ("probability", "base_rate", "band"),
    [
        (0.01, 0.02, Band.LOW),
        (0.02, 0.02, Band.MEDIUM),
        (0.06, 0.02, Band.HIGH),
        (0.5, 0.265, Band.MEDIUM),
        (0.6, 0.265, Band.HIGH),
        (0.85, 0.02, Band.CRITICAL),
        (1.0, 0.5, Band.CRITICAL),
    ],
)
def test_bands_speak_of_odds_against_the_base_rate(probability: float, base_rate: float, band: Band) -> None:
    assert Bands().band(probability, base_rate) is band


def test_what_changed_names_the_features_that_changed_and_nothing_else(trained: Training) -> None:
    before = _assess(trained, _one(trained))
    now = _one(trained, complaints_30d=3.0, latency_ms=46.0)
    now["as_of"] = APRIL
    after = _assess(trained, now, before)
    change = after.change
    assert change is not None
    assert [f.feature for f in change.features] == ["complaints_30d", "latency_ms"]
    assert (change.features[0].before, change.features[0].after) == (0.0, 3.0)
    assert sum(f.contribution_change for f in change.features) == pytest.approx(after.log_odds - before.log_odds)
    assert change.probability_change == pytest.approx(after.probability - before.probability)
    assert (change.previous_as_of, change.previous_band) == (before.as_of, before.band)
    assert before.change is None


def test_assessments_of_two_models_are_not_compared_feature_by_feature(trained: Training, population: Any) -> None:
    before = _assess(trained, _one(trained))
    other = Predictor(trained.predictor.model, calibration.at_base_rate(trained.predictor.calibration, 0.02))
    assert other.version != trained.predictor.version
    table = frame(other.specification, [_one(trained, complaints_30d=3.0)])
    change = assess(other, table, {"42": before})[0].change
    assert change is not None
    assert change.features == ()
    assert before.model_version[:12] in change.not_comparable


def test_an_assessment_comes_back_from_its_document(trained: Training) -> None:
    before = _assess(trained, _one(trained, latency_ms=None))
    after = _assess(trained, _one(trained, complaints_30d=2.0), before)
    for found in (before, after):
        assert Assessment.of(json.loads(json.dumps(found.document(), allow_nan=False))) == found


def test_a_predictor_comes_back_from_its_document_with_the_same_version(trained: Training, population: Any) -> None:
    again = Predictor.of(json.loads(json.dumps(trained.predictor.document())))
    assert again.version == trained.predictor.version
    table = frame(again.specification, population[1][:100])
    assert np.array_equal(again.predict(table).probability, trained.predictor.predict(table).probability)


def test_the_population_rate_moves_every_probability_and_no_reason(trained: Training, population: Any) -> None:
    declared, records, _ = population
    known, churned = labelled(records)
    model = fitting.fit(frame(declared, known), churned)
    sample = calibration.uncalibrated(float(churned.mean()))
    table = frame(declared, records[:200])
    as_sampled = assess(Predictor(model, sample), table)
    corrected = assess(Predictor(model, calibration.at_base_rate(sample, 0.02)), table)
    assert all(a.probability > c.probability for a, c in zip(as_sampled, corrected, strict=True))
    assert [a.contributions for a in as_sampled] == [c.contributions for c in corrected]
    assert float(np.mean([c.probability for c in corrected])) < 0.08
