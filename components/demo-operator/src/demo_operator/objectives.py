"""What the operator promises, as TMF657 objectives: one per row of the catalogue."""

from __future__ import annotations

from demo_operator.domain.catalogue import OBJECTIVES, SERVICE_INDEX, SERVICES, Objective
from demo_operator.domain.faults import SLOT_S
from tmfkit.types import Document

PATH = "tmf-api/serviceQualityManagement/v4/serviceLevelObjective"
RAISE = [2, 3]
CLEAR = 6


def payload(objective: Objective) -> Document:
    """A ServiceLevelObjective (v4). thresholdTarget is the limit a value has to keep, in `x_unit`; conformanceTarget
    the share of the values of a window that have to."""
    offer = SERVICES[SERVICE_INDEX[objective.service]]
    return {
        "@type": "ServiceLevelObjective",
        "name": objective.id,
        "conformanceComparator": objective.comparator,
        "conformanceTarget": str(objective.conformance_ratio),
        "thresholdTarget": str(objective.target),
        "toleranceTarget": str(objective.tolerance),
        "graceTimes": str(objective.grace_times),
        "serviceLevelObjectiveParameter": {
            "name": objective.kpi,
            "relatedEntity": [
                {
                    "role": "service",
                    "id": str(objective.service),
                    "name": offer.name,
                    "@referredType": "ServiceSpecification",
                }
            ],
        },
        "x_unit": objective.unit,
        "x_windowS": objective.window_s,
        "x_granularityS": SLOT_S,
        "x_raise": RAISE,
        "x_clear": CLEAR,
    }


def payloads() -> dict[str, Document]:
    return {objective.id: payload(objective) for objective in OBJECTIVES}
