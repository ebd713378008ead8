"""Pods: the restricted profile, probes, resources, images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from oda_ctk.check import SHOULD
from oda_ctk.component.case import API_OPERATOR, KUBERNETES, Case, check
from oda_ctk.component.manifest import Pod, mapping, numbered, text
from oda_ctk.component.piece import Found

RESTRICTED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
READY_WITHIN_S = 120


def _container(pod: Pod, path: str, container: dict[str, Any], reason: str, value: Any = None) -> Found:
    told = f"{container.get('name')} of {pod.document.title} {reason}"
    return Found(told, (pod.document.piece(path, container if value is None else value),))


@check("component.pods.restricted", SHOULD, f"{KUBERNETES} Pod Security Standards, profile restricted")
def restricted(case: Case) -> Iterator[Found]:
    """Every pod can run under the restricted profile."""
    for pod in case.manifest.pods:
        whole = mapping(pod.spec.get("securityContext"))
        for name in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.spec.get(name):
                yield Found(f"{pod.document.title} has {name}", (pod.document.piece(pod.path, {name: True}),))
        for _, volume in numbered(pod.spec.get("volumes")):
            if not volume.keys() - {"name"} <= RESTRICTED_VOLUMES:
                shown = pod.document.piece(f"{pod.path}.spec.volumes", volume)
                yield Found(f"{pod.document.title} has a volume of another kind: {volume.get('name')}", (shown,))
        for path, container in pod.containers(also_init=True):
            lacking = _unrestricted(whole, mapping(container.get("securityContext")))
            if lacking:
                own = container.get("securityContext") or "(no securityContext)"
                yield _container(pod, f"{path}.securityContext", container, f"lacks {', '.join(lacking)}", own)


def _unrestricted(whole: dict[str, Any], own: dict[str, Any]) -> list[str]:
    """What the profile asks for and neither the container nor its pod says."""
    capabilities = mapping(own.get("capabilities"))
    profile = mapping(own.get("seccompProfile") or whole.get("seccompProfile")).get("type")
    kept = {
        "runAsNonRoot": own.get("runAsNonRoot", whole.get("runAsNonRoot")) is True,
        "runAsUser other than 0": own.get("runAsUser", whole.get("runAsUser")) != 0,
        "allowPrivilegeEscalation: false": own.get("allowPrivilegeEscalation") is False,
        "privileged: false": own.get("privileged") is not True,
        "capabilities drop ALL": "ALL" in (capabilities.get("drop") or []),
        "capabilities add none": set(capabilities.get("add") or []) <= {"NET_BIND_SERVICE"},
        "seccompProfile": profile in ("RuntimeDefault", "Localhost"),
    }
    return [name for name, well in kept.items() if not well]


@check("component.pods.readiness", SHOULD, f"{API_OPERATOR}: an API counts as ready when its pod is")
def readiness(case: Case) -> Iterator[Found]:
    """The pods behind an exposed API have a readiness probe."""
    for name in dict.fromkeys(a.implementation for a in case.manifest.exposed):
        service = case.manifest.service(name)
        for pod in case.manifest.behind(service) if service else []:
            if not any(mapping(c.get("readinessProbe")) for _, c in pod.containers()):
                shown = pod.document.piece(f"{pod.path}.spec.containers", pod.spec.get("containers"))
                yield Found(f"{pod.document.title} has none: it is ready before it can answer", (shown,))


@check("component.pods.liveness", SHOULD, f"{KUBERNETES}: without it a process that hangs is never restarted")
def liveness(case: Case) -> Iterator[Found]:
    """Every container that stays has a liveness probe."""
    for pod in case.manifest.pods:
        for path, container in pod.containers() if pod.stays else ():
            if not mapping(container.get("livenessProbe")):
                yield _container(pod, path, container, "has none")


@check("component.pods.in-time", SHOULD, "oda-canvas feature-definition-and-test-kit: an API is ready within 120 s")
def in_time(case: Case) -> Iterator[Found]:
    """No probe lets a pod wait for two minutes before it may be ready."""
    for pod in case.manifest.pods:
        for path, container in pod.containers() if pod.stays else ():
            probes = {n: mapping(container.get(n)) for n in ("startupProbe", "readinessProbe")}
            delays = [p.get("initialDelaySeconds") for p in probes.values()]
            waits = sum(d for d in delays if isinstance(d, int))
            if waits >= READY_WITHIN_S:
                yield _container(pod, path, container, f"is asked after {waits} s for the first time", probes)


@check("component.pods.resources", SHOULD, f"{KUBERNETES}: the scheduler plans by requests, the kernel by limits")
def resources(case: Case) -> Iterator[Found]:
    """Every container that stays requests cpu and memory, and limits its memory."""
    for pod in case.manifest.pods:
        for path, container in pod.containers() if pod.stays else ():
            told = mapping(container.get("resources"))
            requests, limits = mapping(told.get("requests")), mapping(told.get("limits"))
            lacking = [f"requests.{n}" for n in ("cpu", "memory") if n not in requests]
            lacking += ["limits.memory"] if "memory" not in limits else []
            if lacking:
                yield _container(pod, f"{path}.resources", container, f"has no {', '.join(lacking)}", told or "(none)")


@check("component.pods.images", SHOULD, f"{KUBERNETES}: latest is another image tomorrow")
def images(case: Case) -> Iterator[Found]:
    """Every image is named with a version or a digest, and not with latest."""
    for pod in case.manifest.pods:
        for path, container in pod.containers(also_init=True):
            image = text(container.get("image"))
            tag = re.search(r":([^:/@]+)$", image.partition("@")[0])
            if "@sha256:" not in image and (tag is None or tag[1] == "latest"):
                yield _container(pod, f"{path}.image", container, f"is {image or '(no image)'}", image or "(none)")
