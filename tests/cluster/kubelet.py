"""Stands in for the scheduler and the kubelet: the processes are the components' own, the containers are not there.

For each pod of a real control plane: it is bound to the one node, its containers are processes of this machine with the
environment that the pod spec says, their probes are asked, the answers become the pod's status, and a deleted pod's
processes are told to end. So the controllers' Deployments, Jobs and EndpointSlices are real, and so is what answers.
Not done: images (an image is known by its name only), users, limits, file systems, network policies, placement.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from api_server import Cluster, ClusterError, end
from pod_environment import ConfigError, ImageUnknown, Object, command, environment, files, moved
from service_network import ServiceNetwork, local

from cem.suite import COMPONENTS

NODE = "stand-in"
LOOK_EVERY_S = 0.3
TICK_S = 0.2
RESTART_AFTER_S = (1.0, 2.0, 5.0, 10.0)
ENTRYPOINTS = {m.name: [m.name] for m in COMPONENTS}
PROGRAMS = {
    **{m.name: str(Path(sys.executable).parent / m.name) for m in COMPONENTS},
    "python": sys.executable,
    "python3": sys.executable,
}


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Probe:
    """One probe of a container: asked each `periodSeconds`, believed after its thresholds."""

    def __init__(self, spec: Object, container: Object, address: str) -> None:
        self._spec, self._container, self._address = spec, container, address
        self._every_s = float(spec.get("periodSeconds", 10))
        self._due = time.monotonic() + float(spec.get("initialDelaySeconds", 0))
        self._right = self._wrong = 0
        self.well = False
        self.failed = False

    def look(self) -> None:
        """Ask if it is time."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._every_s
        if self._asked():
            self._right, self._wrong = self._right + 1, 0
        else:
            self._right, self._wrong = 0, self._wrong + 1
        if self._right >= self._spec.get("successThreshold", 1):
            self.well, self.failed = True, False
        if self._wrong >= self._spec.get("failureThreshold", 3):
            self.well, self.failed = False, True

    def _port(self, given: int | str) -> int:
        if isinstance(given, int):
            return given
        return int(next(p["containerPort"] for p in self._container.get("ports") or [] if p.get("name") == given))

    def _asked(self) -> bool:
        if "httpGet" not in self._spec:
            raise ConfigError(f"a probe by {', '.join(self._spec)} is not supported by this stand-in")
        wanted = self._spec["httpGet"]
        url = f"http://{self._address}:{self._port(wanted['port'])}{wanted.get('path', '/')}"
        headers = {h["name"]: h["value"] for h in wanted.get("httpHeaders") or []}
        try:
            answer = httpx.get(url, headers=headers, timeout=self._spec.get("timeoutSeconds", 1), trust_env=False)
        except httpx.HTTPError:
            return False
        return 200 <= answer.status_code < 400


class Container:
    """One container of a pod: its process, its probes, its state as the API tells it."""

    def __init__(self, pod: Pod, spec: Object) -> None:
        self.pod, self.spec, self.name = pod, spec, spec["name"]
        self.process: subprocess.Popen[bytes] | None = None
        self.state: Object = {"waiting": {"reason": "ContainerCreating"}}
        self.last: Object = {}
        self.restarts = 0
        self.log = pod.folder / f"{self.name}.log"
        self._again = 0.0
        self._environment: dict[str, str] = {}

    def _probe(self, kind: str) -> Probe | None:
        return Probe(self.spec[kind], self.spec, self.pod.address) if kind in self.spec else None

    def start(self) -> None:
        """Start the process, or tell why not."""
        try:
            line = command(self.spec, ENTRYPOINTS, self.pod.kubelet.programs)
            volumes = files(self.pod.object, self.pod.folder / "volumes", self.pod.lookup)
            given = environment(self.pod.object, self.spec, self.pod.lookup)
        except ImageUnknown as e:
            self.state = {"waiting": {"reason": "ErrImagePull", "message": str(e)}}
            self._again = time.monotonic() + 5
            return
        except ConfigError as e:
            self.state = {"waiting": {"reason": "CreateContainerConfigError", "message": str(e)}}
            self._again = time.monotonic() + 1
            return
        self._environment = {
            "PATH": os.defpath,
            "HOME": str(self.pod.folder),
            "TMPDIR": str(self.pod.folder),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PORT": "8000",
            **{name: moved(value, self.spec, volumes) for name, value in given.items()},
            "HOST": self.pod.address,  # a container has all addresses to itself, a process of this machine has not
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.pod.kubelet.network.inside([moved(part, self.spec, volumes) for part in line]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.pod.folder,
                env=self._environment,
                start_new_session=True,
            )
        self.state = {"running": {"startedAt": now()}}
        self._startup, self._readiness = self._probe("startupProbe"), self._probe("readinessProbe")
        self._liveness = self._probe("livenessProbe")

    def look(self, again: bool) -> None:
        """See whether it runs and answers; `again`: start it anew when it has ended."""
        if self.process is None:
            if "waiting" in self.state and time.monotonic() >= self._again:
                self.start()
            return
        code = self.process.poll()
        if code is not None:
            self._ended(code)
            if again or (code != 0 and self.pod.object["spec"].get("restartPolicy") == "OnFailure"):
                self.last, self.restarts = self.state, self.restarts + 1
                self.state = {"waiting": {"reason": "CrashLoopBackOff", "message": self.tail()}}
                self._again = time.monotonic() + RESTART_AFTER_S[min(self.restarts, len(RESTART_AFTER_S)) - 1]
            return
        for probe in (self._startup,) if not self.started else (self._readiness, self._liveness):
            if probe is not None:
                probe.look()
        if (self._startup is not None and self._startup.failed) or (
            self.started and self._liveness is not None and self._liveness.failed
        ):
            end(self.process)

    def _ended(self, code: int) -> None:
        began = self.state.get("running", {}).get("startedAt", now())
        told = {"exitCode": code if code >= 0 else 128 - code, "reason": "Error" if code else "Completed"}
        self.state = {"terminated": {**told, "startedAt": began, "finishedAt": now(), "message": self.tail(3)}}
        self.process = None

    def tail(self, lines: int = 10) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])[-2000:]

    @property
    def started(self) -> bool:
        return self.process is not None and (self._startup is None or self._startup.well)

    @property
    def ready(self) -> bool:
        return self.started and (self._readiness is None or self._readiness.well)

    @property
    def code(self) -> int | None:
        """Exit code; None while it runs or waits."""
        code: int | None = self.state.get("terminated", {}).get("exitCode")
        return code

    def stop(self, grace_s: float) -> None:
        if self.process is None:
            return
        began = time.monotonic()
        before = self.spec.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
        if before:
            line = [self.pod.kubelet.programs.get(before[0], before[0]), *before[1:]]
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(line, env=self._environment, capture_output=True, check=False, timeout=grace_s)
        end(self.process, max(1.0, grace_s - (time.monotonic() - began)))
        self._ended(self.process.returncode)

    def status(self) -> Object:
        return {
            "name": self.name,
            "image": self.spec["image"],
            "imageID": "",
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self.state,
            **({"lastState": self.last} if self.last else {}),
        }


class Pod(threading.Thread):
    """One pod from its binding to the confirmation of its end."""

    def __init__(self, kubelet: Kubelet, found: Object, address: str) -> None:
        meta = found["metadata"]
        super().__init__(name=meta["name"], daemon=True)
        self.kubelet, self.object, self.cluster_address = kubelet, found, address
        self.address = local(address)
        self.path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        self.folder = kubelet.folder / f"{meta['name']}-{meta['uid'][:8]}"
        self.folder.mkdir(parents=True)
        self.deleted = threading.Event()
        self.grace_s = 30.0
        self._told: Object = {}
        self._since: dict[str, tuple[str, str]] = {}
        self.first = [Container(self, spec) for spec in found["spec"].get("initContainers") or []]
        self.containers = [Container(self, spec) for spec in found["spec"]["containers"]]

    def lookup(self, plural: str, name: str) -> Object | None:
        return self.kubelet.cluster.get(f"/api/v1/namespaces/{self.object['metadata']['namespace']}/{plural}/{name}")

    def run(self) -> None:
        while not self.kubelet.closing.is_set():
            try:
                self._live()
                return
            except (ClusterError, httpx.HTTPError) as e:
                if not self.kubelet.closing.is_set():
                    print(f"kubelet: pod {self.name}: {e}", flush=True)
                self.deleted.wait(1.0)
            finally:
                if self.kubelet.closing.is_set():
                    for container in (*self.first, *self.containers):
                        container.stop(3.0)

    def _live(self) -> None:
        if not self.object["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"metadata": {"name": self.name}, "target": target}
            self.kubelet.cluster.post(f"{self.path}/binding", binding)
            self.object["spec"]["nodeName"] = NODE
        self.object["status"] = {"podIP": self.address, "hostIP": "127.0.0.1"}
        always = self.object["spec"].get("restartPolicy", "Always") == "Always"
        while not self._over():
            self._step(always)
            self._tell()
            if self.deleted.wait(TICK_S):
                break
        self._end()

    def _over(self) -> bool:
        return self.deleted.is_set() or self.kubelet.closing.is_set() or self.phase in ("Succeeded", "Failed")

    def _step(self, always: bool) -> None:
        for container in self.first:
            if container.code != 0:
                container.look(again=False)
                if container.code is not None and container.code != 0 and always:
                    container.state = {"waiting": {"reason": "CrashLoopBackOff", "message": container.tail()}}
                return
        for container in self.containers:
            container.look(again=always)

    def _end(self) -> None:
        stops = [
            threading.Thread(target=container.stop, args=(self.grace_s,))
            for container in (*self.first, *self.containers)
        ]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()
        if self.kubelet.closing.is_set():
            return
        self._tell()
        while not self.deleted.wait(1.0):
            if self.kubelet.closing.is_set():
                return
        uid = self.object["metadata"]["uid"]
        with contextlib.suppress(ClusterError):
            self.kubelet.cluster.delete(self.path, gracePeriodSeconds=0, preconditions={"uid": uid})

    @property
    def phase(self) -> str:
        if any(container.code for container in self.first):
            return "Failed"
        codes = [container.code for container in self.containers]
        if any(code is None for code in codes):
            ran = any(c.process is not None or c.restarts for c in self.containers)
            return "Running" if ran else "Pending"
        return "Failed" if any(codes) else "Succeeded"

    def _condition(self, kind: str, well: bool) -> Object:
        status = str(well)
        if self._since.get(kind, ("", ""))[0] != status:
            self._since[kind] = (status, now())
        return {"type": kind, "status": status, "lastTransitionTime": self._since[kind][1]}

    def _tell(self) -> None:
        ready = bool(self.containers) and all(container.ready for container in self.containers)
        status = {
            "phase": self.phase,
            "hostIP": "10.0.0.1",
            "podIP": self.cluster_address,
            "podIPs": [{"ip": self.cluster_address}],
            "conditions": [
                self._condition("PodScheduled", True),
                self._condition("Initialized", all(container.code == 0 for container in self.first)),
                self._condition("ContainersReady", ready),
                self._condition("Ready", ready),
            ],
            "initContainerStatuses": [container.status() for container in self.first],
            "containerStatuses": [container.status() for container in self.containers],
        }
        if status != self._told:
            began = self.object["metadata"].get("creationTimestamp", now())
            self.kubelet.cluster.patch(f"{self.path}/status", {"status": {"startTime": began, **status}})
            self._told = status


class Kubelet:
    """Looks at all pods of the cluster until it is closed."""

    def __init__(self, cluster: Cluster, network: ServiceNetwork, programs: Mapping[str, str] | None = None) -> None:
        self.cluster, self.network = cluster, network
        self.programs = {**PROGRAMS, **(programs or {})}
        self.folder = cluster.folder / "pods"
        self.folder.mkdir()
        self.closing = threading.Event()
        self._pods: dict[str, Pod] = {}
        self._count = 0
        if cluster.get(f"/api/v1/nodes/{NODE}") is None:
            cluster.post("/api/v1/nodes", {"metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}}})
        self._thread = threading.Thread(target=self._look, name="kubelet", daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self.closing.wait(LOOK_EVERY_S):
            with contextlib.suppress(httpx.HTTPError, ClusterError):
                self._follow(self.cluster.items("/api/v1/pods"))

    def _follow(self, found: Sequence[Object]) -> None:
        uids = {pod["metadata"]["uid"] for pod in found}
        for pod in found:
            meta = pod["metadata"]
            known = self._pods.get(meta["uid"])
            if known is None:
                self._count += 1
                known = Pod(self, pod, f"10.244.{self._count // 250}.{self._count % 250 + 1}")
                self._pods[meta["uid"]] = known
                known.start()
            if "deletionTimestamp" in meta and not known.deleted.is_set():
                known.grace_s = float(meta.get("deletionGracePeriodSeconds") or 1)
                known.deleted.set()
        for uid in self._pods.keys() - uids:
            self._pods[uid].deleted.set()
            if not self._pods[uid].is_alive():
                del self._pods[uid]

    def tails(self, lines: int = 12) -> str:
        """What the containers said last, for a failure's report."""
        told: list[str] = []
        for pod in list(self._pods.values()):
            told += [f"--- {pod.name} {c.name} {c.state}\n{c.tail(lines)}" for c in (*pod.first, *pod.containers)]
        return "\n".join(told)

    def processes(self) -> list[Any]:
        """The processes of containers that run now."""
        pods = list(self._pods.values())
        return [c.process for pod in pods for c in (*pod.first, *pod.containers) if c.process is not None]

    def close(self) -> None:
        self.closing.set()
        self._thread.join(10)
        for pod in self._pods.values():
            pod.join(15)
