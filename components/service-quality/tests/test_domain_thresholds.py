"""Threshold conditions: what is read, where a fault is, and when too few samples leave the answer open."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_quality.domain.slo import Comparator
from service_quality.domain.thresholds import Comparison, Condition, ConditionFault, holds, met, parse


def condition(text: str) -> Condition:
    result = parse(text)
    assert isinstance(result, Condition), result
    return result


def test_a_comparison_is_read() -> None:
    assert condition("value < 5") == Condition(((Comparison(Comparator.LESS, 5.0),),))


def test_samples_in_a_row_and_k_of_n_are_read() -> None:
    assert condition("value >= 0.98 for 3 of 5") == Condition(
        ((Comparison(Comparator.GREATER_OR_EQUAL, 0.98),),), 3, 5
    )  # fmt: skip
    assert (condition("value>=.98 FOR 3").count, condition("value>=.98 FOR 3").of) == (3, 3)


def test_and_binds_tighter_than_or() -> None:
    read = condition("value < -1 or value > 5 and value lessThan 1e3")
    assert read.any_of == (
        (Comparison(Comparator.LESS, -1.0),),
        (Comparison(Comparator.GREATER, 5.0), Comparison(Comparator.LESS, 1000.0)),
    )


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 0, "'value' is expected"),
        ("Raise", 0, "'value' is expected, not 'Raise'"),
        ("5 > value", 0, "'value' is expected, not '5'"),
        ("value", 5, "a comparator is expected, one of >, >=, <, <=, =, !="),
        ("value near 5", 6, "a comparator is expected, one of >, >=, <, <=, =, !="),
        ("value 5", 6, "a comparator is expected, one of >, >=, <, <=, =, !="),
        ("value <> 5 and", 14, "'value' is expected"),
        ("value < x", 8, "a number is expected"),
        ("value < 1e999", 8, "the number is too large"),
        ("value < 5 ms", 10, "'and', 'or', 'for' or the end is expected, not 'ms'"),
        ("value < 5 for", 13, "a whole number from 1 to 1000 is expected"),
        ("value < 5 for 0", 14, "a whole number from 1 to 1000 is expected"),
        ("value < 5 for 1.5", 14, "a whole number from 1 to 1000 is expected"),
        ("value < 5 for 100000", 14, "a whole number from 1 to 1000 is expected"),
        ("value < 5 for two", 14, "a whole number from 1 to 1000 is expected"),
        ("value < 5 for 3 of 2", 19, "3 of 2 can never be met"),
        ("value < 5 for 3 of 5 or value > 9", 21, "the end is expected, not 'or'"),
        ("value < 5 ; drop", 10, "'and', 'or', 'for' or the end is expected, not ';'"),
    ],
)
def test_a_fault_is_told_with_its_position(text: str, position: int, reason: str) -> None:
    assert parse(text) == ConditionFault(position, reason)


COMPARISONS = st.builds(Comparison, st.sampled_from(Comparator), st.floats(-1e9, 1e9))
CONDITIONS = st.builds(
    lambda any_of, count, more: Condition(tuple(map(tuple, any_of)), count, count + more),
    st.lists(st.lists(COMPARISONS, min_size=1, max_size=3), min_size=1, max_size=3),
    st.integers(1, 5),
    st.integers(0, 4),
)


@given(CONDITIONS)
@settings(deadline=None)
def test_the_text_of_a_condition_reads_as_the_condition(written: Condition) -> None:
    assert parse(str(written)) == written


@given(st.text(alphabet="value <>=!andorf0123456789.;\n", max_size=30))
@settings(deadline=None)
def test_any_text_is_a_condition_or_a_fault_inside_the_text(text: str) -> None:
    result = parse(text)
    assert isinstance(result, Condition) or 0 <= result.position <= len(text)


@pytest.mark.parametrize(
    ("text", "samples", "answer"),
    [
        ("value < 5", [9.0, 4.0], True),
        ("value < 5", [4.0, 9.0], False),
        ("value < 5", [4.0, None], None),
        ("value < 5", [], None),
        ("value < 5 for 2", [9.0, 4.0, 4.0], True),
        ("value < 5 for 2", [4.0], None),
        ("value < 5 for 2", [4.0, 9.0], False),
        ("value < 5 for 2", [None, 9.0], False),
        ("value < 5 for 2 of 3", [4.0, 9.0, 4.0], True),
        ("value < 5 for 2 of 3", [4.0, None, 4.0], True),
        ("value < 5 for 2 of 3", [4.0, None, 9.0], None),
        ("value < 5 for 2 of 3", [9.0, 9.0, None], False),
        ("value < 0 or value > 9 and value < 11", [10.0], True),
        ("value < 0 or value > 9 and value < 11", [12.0], False),
        ("value != 5", [5.0], False),
    ],
)
def test_a_condition_is_judged_by_the_newest_samples(
    text: str, samples: list[float | None], answer: bool | None
) -> None:
    assert holds(condition(text), samples) is answer


@given(CONDITIONS, st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), max_size=10))
@settings(deadline=None)
def test_an_answer_stands_whatever_the_missing_samples_were(rule: Condition, samples: list[float | None]) -> None:
    answer = holds(rule, samples)
    padded = [None] * max(0, rule.of - len(samples)) + samples
    for filler in (-2e9, 0.0, 2e9):
        filled = [filler if sample is None else sample for sample in padded]
        assert answer is None or holds(rule, filled) is answer


def test_many_series_are_judged_at_once() -> None:
    table = np.array([[9.0, 4.0, 4.0], [4.0, 4.0, math.nan], [9.0, 9.0, 9.0]])
    is_met, certain = met(condition("value < 5 for 2"), table)
    assert is_met.tolist() == [True, False, False]
    assert certain.tolist() == [True, False, True]
