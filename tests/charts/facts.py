"""What a chart says of its component, taken from the component's declaration: helm/<component>/files/component.json."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from tmfkit import Component

HELM = Path(__file__).parents[2] / "helm"
CHARTS = ("service-quality", "experience-management", "customer-360", "churn-prediction")
SECURITY_TOPICS = {"TMF669": "partyrole", "TMF672": "userrolesandpermissions"}
"""Names by which the Canvas's component operator knows these APIs."""
VERSIONS = {"v1": "1.0.0", "v4": "4.0.0", "v5": "5.0.0"}
NEWER = {("TMF621", "v5"): "5.0.1", ("TMF629", "v5"): "5.0.1"}
"""The published files that are not the first of their generation."""
PUBLISHED = "2026-11-22T00:00:00.000Z"
PLACES = {
    "service-quality": ("CEM-SQ", "Production"),
    "experience-management": ("CEM-EM", "PartyManagement"),
    "customer-360": ("CEM-C360", "PartyManagement"),
    "churn-prediction": ("CEM-CP", "IntelligenceManagement"),
}
"""Ids of our own, since no official component is one of these, and functional blocks of the ODA map."""


def component(name: str) -> Component:
    found: Component = importlib.import_module(f"{name.replace('-', '_')}.main").component
    return found


def facts(name: str) -> dict[str, Any]:
    """APIs with topic, path and full version of each; what is followed; id and place in the ODA map."""
    declared = component(name)
    id, block = PLACES[name]
    return {
        "id": id,
        "functionalBlock": block,
        "publicationDate": PUBLISHED,
        "apis": [
            {
                "id": api.id,
                "name": api.name,
                "topic": SECURITY_TOPICS.get(api.id, api.name.lower()),
                "path": "/".join(filter(None, (api.root, api.name))),
                "security": api.tells_roles,
                "versions": {v: NEWER.get((api.id, v), VERSIONS[v]) for v in api.versions},
            }
            for api in declared.apis
        ],
        "follows": [
            {
                "name": f.name,
                "dependency": f.dependency,
                "resource": f.resource or f.path,
                "version": VERSIONS[f.path.rsplit("/", 1)[-1]],
                "events": list(f.events),
            }
            for f in declared.follows
        ],
    }


def written(name: str) -> str:
    return json.dumps(facts(name), indent=1) + "\n"
