"""A trained model as TMF915 resources: its specification with the card, the model in operation, and what is promised
about it."""

from __future__ import annotations

import math
from datetime import datetime
from importlib.metadata import version as installed
from typing import Any

from churn_prediction.documents import rfc3339
from churn_prediction.domain.evaluation import Metric
from churn_prediction.domain.features import Refusal
from churn_prediction.domain.training import Training
from churn_prediction.resources import AiContract, AiContractSpecification, AiModel, AiModelSpecification
from tmfkit import Transaction
from tmfkit.types import Document

CONTRACT_SPECIFICATION = "churn-model-quality"
AUC_FLOOR, ECE_CEILING = "aucFloor", "expectedCalibrationErrorCeiling"
ECE_TOLERANCE = 0.02
LIBRARIES = ("scikit-learn", "numpy")


def model_id(version: str) -> str:
    """Id of the AiModel, its specification and its contract: the same model has the same id in every database."""
    return f"churn-{version[:16]}"


def auc_floor(auc: Metric) -> float:
    """Promise about the AUC on customers labelled later: the lower end of its interval, rounded down to 3 digits."""
    return 0.5 if auc.low is None else math.floor(auc.low * 1000) / 1000


def ece_ceiling(ece: Metric) -> float:
    """Promise about the calibration error: what was measured and ECE_TOLERANCE, rounded up to 3 digits."""
    return 1.0 if ece.value is None else math.ceil((ece.value + ECE_TOLERANCE) * 1000) / 1000


def _characteristics(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": n, "valueType": "number", "value": v} for n, v in values.items() if v is not None]


def specification(training: Training, refused: list[Refusal], at: datetime) -> Document:
    """AiModelSpecification: modelDataSheet is the whole card, the other records are its parts."""
    card, version = training.card, training.predictor.version
    return {
        "id": model_id(version),
        "@type": "AiModelSpecification",
        "name": "churn",
        "version": version,
        "description": "Calibrated probability that a customer leaves: additive spline logistic regression",
        "lifecycleStatus": "Active",
        "lastUpdate": rfc3339(at),
        "modelDataSheet": card,
        "modelTrainingData": {
            **card["data"],
            "hash": card["hashes"]["data"],
            "refused": [{"column": r.column, "why": r.why} for r in refused],
        },
        "modelEvaluationData": {
            "metrics": card["metrics"],
            "alert": card["alert"],
            "calibration": card["calibration"],
            "method": card["method"]["validation"],
            "seed": card["method"]["seed"],
        },
        "targetEntitySchema": {"@type": "ChurnRiskAssessment"},
    }


def model(training: Training, at: datetime, owner: str) -> Document:
    """AiModel in state active."""
    version, evaluation = training.predictor.version, training.evaluation
    return {
        "id": model_id(version),
        "@type": "AiModel",
        "name": "churn",
        "state": "active",
        "startDate": rfc3339(at),
        "hasStarted": True,
        "aiModelSpecification": {
            "id": model_id(version),
            "name": "churn",
            "@type": "AiModelSpecification",
            "@referredType": "AiModelSpecification",
            "version": version,
        },
        "software": [{"id": name, "name": name, "softwareVersion": installed(name)} for name in LIBRARIES],
        "trainingData": {"id": training.card["hashes"]["data"], "@referredType": "DataSet"},
        "serviceCharacteristic": _characteristics(
            {
                "auc": evaluation.auc.value,
                "aucLow": evaluation.auc.low,
                "aucHigh": evaluation.auc.high,
                "liftAt10Percent": evaluation.lift_10.value,
                "expectedCalibrationError": evaluation.ece.value,
                "baseRate": training.predictor.base_rate,
            }
        ),
        "relatedParty": [{"id": owner, "role": "owner", "@referredType": "Organization"}],
    }


def contract_specification(at: datetime) -> Document:
    return {
        "id": CONTRACT_SPECIFICATION,
        "@type": "AiContractSpecification",
        "name": "Quality of a churn model",
        "version": "1",
        "description": "Ranking and calibration on customers whose outcome became known after training",
        "lifecycleStatus": "Active",
        "lastUpdate": rfc3339(at),
        "specCharacteristic": [
            {"name": AUC_FLOOR, "valueType": "number", "description": "the AUC must stay at or above"},
            {"name": ECE_CEILING, "valueType": "number", "description": "the calibration error must stay at or below"},
        ],
    }


def contract(training: Training, at: datetime, owner: str) -> Document:
    """AiContract: what the cross-validation lets one promise."""
    version, evaluation = training.predictor.version, training.evaluation
    floor, ceiling = auc_floor(evaluation.auc), ece_ceiling(evaluation.ece)
    return {
        "id": model_id(version),
        "@type": "AiContract",
        "name": "Quality of the churn model",
        "description": f"AUC must stay at or above {floor}, the calibration error at or below {ceiling}.",
        "state": "active",
        "validFor": {"startDateTime": rfc3339(at)},
        "aiContractSpecification": {"id": CONTRACT_SPECIFICATION, "@referredType": "AiContractSpecification"},
        "aiModel": {"id": model_id(version), "@referredType": "AiModel"},
        "relatedParty": [{"id": owner, "role": "owner", "@referredType": "Organization"}],
        "characteristic": _characteristics({AUC_FLOOR: floor, ECE_CEILING: ceiling}),
    }


async def publish(tx: Transaction, training: Training, refused: list[Refusal], at: datetime, owner: str) -> str:
    """Make this the model in operation; others become inactive and their contracts end. Its id."""
    id = model_id(training.predictor.version)
    if await tx[AiContractSpecification].find(CONTRACT_SPECIFICATION) is None:
        await tx[AiContractSpecification].insert(contract_specification(at))
    for other in await tx[AiModel].select({"state": "active", "name": "churn"}):
        if other["id"] != id:
            await _change(tx, AiModel, other["id"], {"state": "inactive", "endDate": rfc3339(at)})
            await _change(tx, AiContract, other["id"], {"state": "terminated"})
    for kind, doc in (
        (AiModelSpecification, specification(training, refused, at)),
        (AiModel, model(training, at, owner)),
        (AiContract, contract(training, at, owner)),
    ):
        if await tx[kind].find(id) is None:
            await tx[kind].insert(doc)
    await _change(tx, AiModel, id, {"state": "active", "endDate": None})
    await _change(tx, AiContract, id, {"state": "active"})
    return id


async def _change(tx: Transaction, kind: Any, id: str, change: Document) -> None:
    """Set attributes of a document, if it is there; None removes one."""
    old = await tx[kind].find(id, lock=True)
    if old is not None:
        await tx[kind].replace(old, {k: v for k, v in (old | change).items() if v is not None})
