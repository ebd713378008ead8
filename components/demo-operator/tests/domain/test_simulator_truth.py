"""Truth and how an answer is judged against it."""

from __future__ import annotations

import numpy as np
import pytest

from demo_operator.domain.catalogue import OBJECTIVES, Service, SliceId
from demo_operator.domain.faults import FaultKind, draw, fault, none
from demo_operator.domain.kpi import values
from demo_operator.domain.network import ElementKind
from demo_operator.domain.truth import CauseVerdict, score, set_score, truth, violated
from demo_operator.domain.world import REFERENCE_AS_OF_S as NOW_S
from demo_operator.domain.world import World


def test_the_affected_are_those_who_use_a_hit_service_over_a_hit_cell(full: World) -> None:
    for seed in range(10):
        one = draw(seed, full, NOW_S)
        true = truth(full, one)
        instances = [
            instance
            for instance in full.instances
            if instance.service in one.services and instance.cell_id in true.cell_ids
        ]
        assert true.service_instance_ids == tuple(sorted(instance.id for instance in instances))
        assert set(true.subject_ids) == {instance.subject_id for instance in instances}
        assert set(true.customer_ids) == {instance.customer_id for instance in instances}
        assert true.cause_ids == (one.cause_id,)
        assert true.service == one.services[0]
        assert {expected.cell_id for expected in true.expected} == set(true.cell_ids)
        assert len(true.expected) == len(one.expected) * len(one.cells)


def test_a_fault_of_things_concerns_their_owners(full: World) -> None:
    true = truth(full, fault(full, FaultKind.LATENCY_STEP, SliceId.URLLC, NOW_S, 3600, 500.0))
    assert true.services == (Service.TELEMETRY,)
    assert true.cause_kind is ElementKind.SLICE
    assert all(subject.startswith("thing-") for subject in true.subject_ids)
    owners = {thing.owner_id for thing in full.things if thing.id in true.subject_ids}
    assert set(true.customer_ids) == owners


def test_silence_is_judged_too(full: World) -> None:
    true = truth(full, none(NOW_S))
    assert (true.cause_ids, true.subject_ids, true.expected, true.service) == ((), (), (), None)
    assert score([], true, full.network).verdict is CauseVerdict.EXACT
    assert score(["cell-001"], true, full.network).verdict is CauseVerdict.WRONG


def test_a_named_cause_is_exact_partial_wrong_or_missed(full: World) -> None:
    network = full.network
    cell = network.cells[16]
    site_fault = truth(full, fault(full, FaultKind.PACKET_LOSS, cell.site_id, NOW_S, 3600, 10.0))
    assert score([cell.site_id], site_fault, network).verdict is CauseVerdict.EXACT
    assert score([cell.site_id, cell.site_id], site_fault, network).verdict is CauseVerdict.EXACT
    assert score([cell.id], site_fault, network).verdict is CauseVerdict.PARTIAL
    assert score([cell.du_id], site_fault, network).verdict is CauseVerdict.PARTIAL
    both = score([cell.site_id, "cell-150"], site_fault, network)
    assert both.verdict is CauseVerdict.PARTIAL
    assert both.related == (cell.site_id,)
    assert score(["cell-150"], site_fault, network).verdict is CauseVerdict.WRONG
    assert score([SliceId.EMBB], site_fault, network).verdict is CauseVerdict.WRONG
    assert score(["no-such-element"], site_fault, network).verdict is CauseVerdict.WRONG
    assert score([], site_fault, network).verdict is CauseVerdict.MISSED


def test_a_cell_of_a_broken_slice_is_part_of_the_answer_and_a_cell_beside_it_is_not(full: World) -> None:
    network = full.network
    true = truth(full, fault(full, FaultKind.LATENCY_STEP, SliceId.URLLC, NOW_S, 3600, 500.0))
    inside = network.cells[network.cells_under(SliceId.URLLC)[0]].id
    outside = network.cells[network.cells_under(SliceId.MMTC)[0]].id
    assert score([SliceId.URLLC], true, network).verdict is CauseVerdict.EXACT
    assert score([inside], true, network).verdict is CauseVerdict.PARTIAL
    assert score([outside], true, network).verdict is CauseVerdict.WRONG
    assert score([SliceId.MMTC], true, network).verdict is CauseVerdict.WRONG


def test_sets_are_scored_by_precision_and_recall() -> None:
    found = set_score(["a", "b", "c", "d"], ["b", "c", "x"])
    assert found.precision == 0.5
    assert found.recall == pytest.approx(2 / 3)
    assert set_score([], ["a"]).precision is None
    assert set_score(["a"], []).recall is None


def test_a_window_is_violated_when_two_of_six_values_are_bad(tiny: World) -> None:
    setup = OBJECTIVES[0]
    one = fault(tiny, FaultKind.CALL_SETUP_FAILURES, "cell-002", NOW_S + 3000, 600, 30.0)
    broken = violated(values(tiny, NOW_S, 300, 24, [one]), setup)
    # Slots 10 and 11 are bad: every window of six that holds both is violated, those with one are not.
    assert np.flatnonzero(broken[:, 1]).tolist() == [6, 7, 8, 9, 10]
    assert not np.delete(broken, 1, axis=1).any()
    assert violated(values(tiny, NOW_S, 300, 5), setup).shape == (0, 12)
