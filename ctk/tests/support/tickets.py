"""A component that does everything right: the documents of its manifest, written from the Canvas's rules alone."""

from __future__ import annotations

import copy
from typing import Any

Document = dict[str, Any]
RELEASE = "r1"
NAME = "r1-tickets"
LABELS = {"oda.tmforum.org/componentName": NAME, "app.kubernetes.io/instance": RELEASE}
V4 = f"/{NAME}/tmf-api/troubleTicket/v4"
V5 = f"/{NAME}/tmf-api/troubleTicket/v5"
MCP = f"/{NAME}/agents"
METRICS = f"/{NAME}/metrics"
PARTY_ROLES = f"/{NAME}/tmf-api/partyRoleManagement/v4"
PERMISSIONS = f"/{NAME}/rolesAndPermissionsManagement/v5"
DOCS = f"/{NAME}/docs"
ROLE = "Admin"
SPECS = "https://specs.example.org"


def metadata(suffix: str = "", **labels: str) -> Document:
    return {"name": NAME + suffix, "labels": {**LABELS, **labels}}


def api(name: str, id: str, path: str, version: str, url: str, **more: Any) -> Document:
    specification = {"url": url, "version": version, "path": path, **more}
    place = {"implementation": f"{NAME}-api", "port": 8080, "apiType": "openapi"}
    return {"name": name, "id": id, **place, "path": path, "required": True, "specification": [specification]}


def component() -> Document:
    tickets = api("troubleticket", "TMF621", V4, "v4.0.0", f"{SPECS}/TMF621_v4.0.0.json", developerUI=DOCS)
    newer = {"url": f"{SPECS}/TMF621_v5.0.0.json", "version": "v5.0.0", "path": V5, "developerUI": DOCS}
    tickets["specification"].append(newer)
    tickets["gatewayConfiguration"] = {
        "rateLimit": {"enabled": True, "identifier": "IP", "limit": "100", "interval": "pm"},
        "quota": {"identifier": "", "limit": ""},
        "CORS": {
            "enabled": True,
            "allowOrigins": "*",
            "handlePreflightRequests": {"enabled": True, "allowMethods": "GET, POST", "allowHeaders": "Accept"},
        },
    }
    agents = api("agents", "TMF621", MCP, "1.0.0", f"{SPECS}/agents.json")
    agents["apiType"] = "mcp"
    metrics = {"name": "metrics", "apiType": "openmetrics", "implementation": f"{NAME}-api", "port": 8080}
    contact = {"name": "Vendor", "email": "oda@example.org"}
    return {
        "apiVersion": "oda.tmforum.org/v1",
        "kind": "Component",
        "metadata": metadata(),
        "spec": {
            "componentMetadata": {
                "id": "TMFC043",
                "name": "FaultManagement",
                "version": "1.2.0",
                "description": "Trouble tickets",
                "functionalBlock": "Production",
                "publicationDate": "2026-01-15T00:00:00.000Z",
                "status": "specified",
                "maintainers": [contact],
                "owners": [contact],
            },
            "coreFunction": {
                "exposedAPIs": [tickets, agents],
                "dependentAPIs": [
                    {
                        "name": "party",
                        "id": "TMF632",
                        "apiType": "openapi",
                        "required": True,
                        "specification": [{"url": f"{SPECS}/TMF632_v4.0.0.json", "version": "v4.0.0"}],
                    }
                ],
            },
            "managementFunction": {"exposedAPIs": [{**metrics, "path": METRICS}], "dependentAPIs": []},
            "securityFunction": {
                "canvasSystemRole": ROLE,
                "componentRole": [{"name": "Agent", "description": "Works on tickets"}],
                "exposedAPIs": [
                    api("partyrole", "TMF669", PARTY_ROLES, "v4.0.0", f"{SPECS}/TMF669_v4.0.0.json"),
                    api("userrolesandpermissions", "TMF672", PERMISSIONS, "v5.0.0", f"{SPECS}/TMF672_v5.0.0.json"),
                ],
                "dependentAPIs": [],
            },
            "eventNotification": {
                "publishedEvents": [
                    {
                        "name": "troubleticket",
                        "description": "What happens to tickets",
                        "specification": [
                            {
                                "url": f"{SPECS}/TMF621_v4.0.0.json",
                                "version": "v4.0.0",
                                "apiType": "openapi",
                                "implementation": f"{NAME}-api",
                                "hub": f"{V4}/hub",
                                "port": 8080,
                            }
                        ],
                    }
                ],
                "subscribedEvents": [],
            },
        },
    }


def container() -> Document:
    probe = {"httpGet": {"path": "/health/ready", "port": "http"}}
    return {
        "name": "api",
        "image": "registry.example.org/tickets:1.2.0",
        "ports": [{"name": "http", "containerPort": 8080}],
        "startupProbe": {**probe, "failureThreshold": 20},
        "readinessProbe": probe,
        "livenessProbe": {"httpGet": {"path": "/health/live", "port": 8080}},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def deployment() -> Document:
    scrape = {"scrape": "true", "port": "8080", "path": METRICS}
    selected = {"app": f"{NAME}-api"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata("-api"),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": selected},
            "template": {
                "metadata": {
                    "labels": {**LABELS, **selected},
                    "annotations": {f"prometheus.io/{k}": v for k, v in scrape.items()},
                },
                "spec": {"serviceAccountName": NAME, "containers": [container()]},
            },
        },
    }


def job() -> Document:
    spec = {"restartPolicy": "Never", "containers": [{**container(), "name": "migrate"}]}
    hook = {"helm.sh/hook": "pre-upgrade", "helm.sh/hook-delete-policy": "before-hook-creation"}
    template = {"metadata": {"labels": dict(LABELS)}, "spec": spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**metadata("-migrate"), "annotations": hook},
        "spec": {"template": template},
    }


def service() -> Document:
    port = {"name": "http", "port": 8080, "targetPort": "http"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata("-api", name=f"{NAME}-api"),
        "spec": {"type": "ClusterIP", "selector": {"app": f"{NAME}-api"}, "ports": [port]},
    }


def documents() -> dict[str, Document]:
    """The documents by kind, each made anew."""
    small = {"apiVersion": "v1", "metadata": metadata()}
    every = [
        {**small, "kind": "ServiceAccount"},
        {**small, "kind": "ConfigMap", "data": {"LEVEL": "info"}},
        service(),
        deployment(),
        job(),
        component(),
    ]
    return {d["kind"]: copy.deepcopy(d) for d in every}
