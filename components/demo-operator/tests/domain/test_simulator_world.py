"""The made-up operator: shape, ids, links, and that one seed is one world."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np

from demo_operator.domain.catalogue import OBJECTIVES, SERVICE_INDEX, SLICES, Service, SliceId
from demo_operator.domain.network import TINY, ElementKind, Scale, Setting
from demo_operator.domain.subscribers import Contract, Segment, ThingKind
from demo_operator.domain.world import REFERENCE_AS_OF_S, World, build


def test_the_full_world_has_the_size_of_the_demonstration(full: World) -> None:
    assert len(full.people) == 5000
    assert len(full.things) == 500
    assert len(full.network.cells) == 200
    assert len(full.network.areas) == 10
    assert len({cell.cluster_id for cell in full.network.cells}) == 4
    assert len(SLICES) == 3
    assert {instance.service for instance in full.instances} == set(Service)
    assert {instance.slice_id for instance in full.instances} == set(SliceId)


def test_the_full_world_is_built_in_less_than_a_second_of_cpu() -> None:
    before = time.process_time()
    build(2)
    assert time.process_time() - before < 1.0


def test_one_seed_is_one_world_and_another_seed_another() -> None:
    assert build(7, TINY).people == build(7, TINY).people
    assert build(7, TINY).instances == build(7, TINY).instances
    assert build(7, TINY).people != build(8, TINY).people
    assert build(7, TINY).network.cells != build(8, TINY).network.cells


def test_ids_are_readable_and_unique(full: World) -> None:
    assert full.people[41].id == "cust-00042"
    assert full.network.cells[16].id == "cell-017"
    assert full.network.cell_index("cell-017") == 16
    ids = [person.id for person in full.people] + [thing.id for thing in full.things]
    ids += [element.id for element in full.network.elements]
    ids += [instance.id for instance in full.instances] + [instance.product_id for instance in full.instances]
    assert len(ids) == len(set(ids))
    by_customer = {(instance.customer_id, instance.service): instance.id for instance in full.instances}
    assert by_customer["cust-00042", Service.VOICE] == "svc-voice-00042"


def test_another_cohort_lives_on_the_same_network_under_other_ids(tiny: World) -> None:
    past = build(7, TINY, cohort="past")
    assert past.network.cells == tiny.network.cells
    mine = {instance.id for instance in tiny.instances} | {thing.id for thing in tiny.things}
    theirs = {instance.id for instance in past.instances} | {thing.id for thing in past.things}
    assert not mine & theirs
    assert past.people[0].id == "past-00001"


def test_every_instance_hangs_on_a_cell_a_slice_and_a_customer(full: World) -> None:
    for row, instance in enumerate(full.instances):
        cell = full.network.cell_index(instance.cell_id)
        customer = full.people[instance.customer_index]
        assert instance.customer_id == customer.id
        assert instance.service in customer.services
        assert instance.slice_id == full.network.carried_on(instance.service, cell)
        assert full.columns.cell[row] == cell
        assert full.columns.service[row] == SERVICE_INDEX[instance.service]
        if instance.thing_index >= 0:
            thing = full.things[instance.thing_index]
            assert (instance.subject_id, thing.owner_id, thing.cell_id) == (thing.id, customer.id, instance.cell_id)
        else:
            assert instance.subject_id == customer.id
            assert full.network.cells[cell].area_id == customer.area_id


def test_a_charge_is_the_sum_of_the_prices_of_its_instances(full: World) -> None:
    total = np.zeros(len(full.people))
    for instance in full.instances:
        total[instance.customer_index] += instance.monthly_price
    charged = np.array([person.monthly_charge for person in full.people])
    assert np.allclose(total, charged, atol=0.006)
    assert charged.min() > 0.0


def test_some_services_are_used_away_from_home(full: World) -> None:
    mobile = [one for one in full.instances if one.service is Service.VOICE]
    away = sum(one.cell_id != full.people[one.customer_index].home_cell_id for one in mobile)
    assert 0.10 < away / len(mobile) < 0.20


def test_plcs_stand_in_industrial_cells_on_the_low_latency_slice(full: World) -> None:
    plcs = [thing for thing in full.things if thing.kind is ThingKind.PLC]
    assert len(plcs) > 100
    for thing in plcs:
        cell = full.network.cells[full.network.cell_index(thing.cell_id)]
        assert cell.setting is Setting.INDUSTRIAL
        assert full.network.carried_on(Service.TELEMETRY, cell.index) is SliceId.URLLC
    assert {thing.kind for thing in full.things} == set(ThingKind)


def test_the_tree_of_elements_leads_from_every_cell_to_a_cluster(full: World) -> None:
    kinds = {element.id: element.kind for element in full.network.elements}
    for cell in full.network.cells:
        line = full.network.line(cell.id)
        assert line == (cell.id, cell.site_id, cell.du_id, cell.cluster_id)
        assert [kinds[one] for one in line] == [
            ElementKind.CELL,
            ElementKind.SITE,
            ElementKind.DU,
            ElementKind.CLUSTER,
        ]
    assert len(full.network.cells_under("du-03")) == 20
    assert full.network.cells_under("cell-017") == (16,)
    things = [full.network.cells_under(carrier) for carrier in (SliceId.URLLC, SliceId.MMTC)]
    assert sorted(things[0] + things[1]) == list(range(200))
    assert len(full.network.cells_under(SliceId.EMBB)) == 200


def test_a_world_may_have_more_areas_than_there_are_names() -> None:
    wide = build(3, Scale(areas=18, clusters=3, cells_per_area=2, people=40, things=6)).network
    assert len({area.name for area in wide.areas}) == 18
    assert wide.areas[16].name == f"{wide.areas[0].name} 2"
    assert len(wide.cells) == 36
    assert wide.cells_under("cell-999") == ()


def test_people_are_mixed_and_reachable_by_nobody_real(full: World) -> None:
    assert {person.segment for person in full.people} == set(Segment)
    contracts = Counter(person.contract for person in full.people)
    assert 0.45 < contracts[Contract.MONTHLY] / 5000 < 0.60
    assert all(person.email.endswith("@example.org") for person in full.people)
    assert all(person.phone.startswith("+999") for person in full.people)
    assert len({person.email for person in full.people}) == 5000
    assert all(0.9 < person.tenure_months(REFERENCE_AS_OF_S) <= 144.0 for person in full.people)


def test_objectives_name_measured_kpis_once_and_warn_before_they_break() -> None:
    assert len({objective.id for objective in OBJECTIVES}) == len(OBJECTIVES)
    for objective in OBJECTIVES:
        sign = 1.0 if objective.comparator == ">=" else -1.0
        assert sign * objective.warning > sign * objective.target
        assert 0.0 < objective.tolerance < abs(objective.target)
