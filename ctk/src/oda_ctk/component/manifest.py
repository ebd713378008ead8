"""The documents of a manifest and what the Canvas reads out of them: the Component, its APIs, Services and pods."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml

from oda_ctk.component.piece import Piece

LABEL = "oda.tmforum.org/componentName"
GROUP = "oda.tmforum.org"
SECTIONS = ("coreFunction", "managementFunction", "securityFunction")
API_FIELDS = (
    "apiType",
    "resources",
    "apiSDO",
    "implementation",
    "gatewayConfiguration",
    "path",
    "developerUI",
    "port",
)
"""Fields at the root of an API that its specifications override."""
METRICS = ("prometheus", "openmetrics")


class BadManifest(Exception):
    """The text is no manifest."""


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: an instant stays text, and a key that comes twice is remembered."""

    twice: list[str]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [k.value for k, _ in node.value if isinstance(k, yaml.ScalarNode) and k.value != "<<"]
        self.twice += [f"{key} (line {node.start_mark.line + 1})" for key in dict.fromkeys(keys) if keys.count(key) > 1]
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one: a wrong type is told by the schema alone."""
    return value if isinstance(value, dict) else {}


def numbered(value: Any) -> list[tuple[int, dict[str, Any]]]:
    """The objects of an array with their places."""
    return [(n, one) for n, one in enumerate(value) if isinstance(one, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value if it is a text, else nothing."""
    return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class Document:
    """One document. `source`: the template it came from; `twice`: keys that it holds more than once."""

    data: dict[str, Any]
    source: str = ""
    twice: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return text(self.data.get("apiVersion"))

    @property
    def kind(self) -> str:
        return text(self.data.get("kind"))

    @property
    def metadata(self) -> dict[str, Any]:
        return mapping(self.data.get("metadata"))

    @property
    def name(self) -> str:
        return text(self.metadata.get("name"))

    @property
    def labels(self) -> dict[str, Any]:
        return mapping(self.metadata.get("labels"))

    @property
    def annotations(self) -> dict[str, Any]:
        return mapping(self.metadata.get("annotations"))

    @property
    def spec(self) -> dict[str, Any]:
        return mapping(self.data.get("spec"))

    @property
    def title(self) -> str:
        return f"{self.kind or '(no kind)'} {self.name or '(no name)'}"

    def piece(self, path: str = "metadata", value: Any = None) -> Piece:
        """A part of the document as evidence; what a Secret holds is hidden."""
        shown = value if value is not None else self.metadata if path == "metadata" else self.data
        if self.kind == "Secret" and isinstance(shown, dict):
            shown = copy.deepcopy(shown)
            for name in ("data", "stringData"):
                if name in shown:
                    shown[name] = dict.fromkeys(mapping(shown[name]), "(hidden)")
        return Piece(self.title + (f" ({self.source})" if self.source else ""), path, shown)


@dataclass(frozen=True)
class Api:
    """One version of an exposed or dependent API, as the component operator makes a resource of it.

    `fields` are those of the root, overridden by those of the specification; `major` is "v4".
    """

    section: str
    path: str
    name: str
    id: str
    root: dict[str, Any]
    specification: dict[str, Any]
    fields: dict[str, Any]
    major: str

    @property
    def type(self) -> str:
        return text(self.fields.get("apiType"))

    @property
    def implementation(self) -> str:
        return text(self.fields.get("implementation"))

    @property
    def base(self) -> str:
        """The declared path."""
        return text(self.fields.get("path"))

    @property
    def port(self) -> Any:
        return self.fields.get("port")

    @property
    def url(self) -> str:
        """Where the specification is to be had."""
        return text(self.specification.get("url"))

    @property
    def label(self) -> str:
        """What its resource is called after the name of the component: troubleticket-v4."""
        return "-".join(p for p in (self.name.lower(), self.major) if p)

    @property
    def is_metrics(self) -> bool:
        return self.section == "managementFunction" and self.type in METRICS

    @property
    def is_party_role(self) -> bool:
        """Whether the identity operator takes it for the party role API."""
        return self.section == "securityFunction" and "partyrole" in self.name.lower()

    @property
    def is_permissions(self) -> bool:
        """Whether the identity operator takes it for the API of permission specification sets."""
        return self.section == "securityFunction" and "userrolesandpermissions" in self.name.lower()


def major_of(version: str) -> str:
    """4.0.1, v4 and V4.1 are v4, as the component operator has it."""
    word = version.strip().lower().lstrip("v").split(".")[0]
    return f"v{word}" if word else ""


def major_in(url: str) -> str:
    """The generation that the address of a specification tells: _v5.0, /v5/, -v5.0, looked for in this order."""
    found = next((m for p in (r"_v(\d+)\.", r"/v(\d+)/", r"-v(\d+)\.") if (m := re.search(p, url))), None)
    return f"v{found[1]}" if found else ""


@dataclass(frozen=True)
class Pod:
    """A pod template. `stays`: it is meant to run all the time, unlike that of a Job."""

    document: Document
    path: str
    metadata: dict[str, Any]
    spec: dict[str, Any]
    stays: bool

    @property
    def labels(self) -> dict[str, Any]:
        return mapping(self.metadata.get("labels"))

    @property
    def annotations(self) -> dict[str, Any]:
        return mapping(self.metadata.get("annotations"))

    def containers(self, *, also_init: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
        """Path and facts of each container."""
        for group in ("containers", "initContainers") if also_init else ("containers",):
            for number, one in numbered(self.spec.get(group)):
                yield f"{self.path}.spec.{group}[{number}]", one

    def ports(self) -> list[dict[str, Any]]:
        """All declared container ports."""
        return [port for _, c in self.containers() for _, port in numbered(c.get("ports"))]


@dataclass
class Manifest:
    """Everything that is installed. `release`: under which name, where it is known; `packed`: bytes of the chart."""

    documents: list[Document]
    source: str
    release: str = ""
    packed: int | None = None
    chart: bool = False
    notes: list[str] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Document]:
        return [d for d in self.documents if d.kind in kinds]

    @cached_property
    def components(self) -> list[Document]:
        return [d for d in self.of("Component") if d.api_version.partition("/")[0] == GROUP]

    @property
    def component(self) -> Document:
        """The Component; only to be asked for where there is exactly one."""
        return self.components[0]

    @property
    def name(self) -> str:
        return self.component.name

    def section(self, name: str) -> dict[str, Any]:
        return mapping(self.component.spec.get(name))

    @cached_property
    def exposed(self) -> list[Api]:
        return [api for section in SECTIONS for api in self._apis(section, "exposedAPIs")]

    @cached_property
    def dependent(self) -> list[Api]:
        return [api for section in SECTIONS for api in self._apis(section, "dependentAPIs")]

    def _apis(self, section: str, kind: str) -> Iterator[Api]:
        for number, root in numbered(self.section(section).get(kind)):
            path = f"spec.{section}.{kind}[{number}]"
            for place, one in numbered(root.get("specification")) or [(-1, dict[str, Any]())]:
                fields = {k: one.get(k, root.get(k)) for k in API_FIELDS if k in one or k in root}
                url, version = text(one.get("url")), text(one.get("version"))
                yield Api(
                    section,
                    path if place < 0 else f"{path}.specification[{place}]",
                    text(root.get("name")),
                    text(root.get("id")),
                    root,
                    one,
                    fields,
                    major_of(version) or major_in(url),
                )

    def events(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Path and facts of each of publishedEvents or subscribedEvents."""
        for number, one in numbered(mapping(self.component.spec.get("eventNotification")).get(kind)):
            yield f"spec.eventNotification.{kind}[{number}]", one

    @cached_property
    def pods(self) -> list[Pod]:
        found = []
        for d in self.of("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"):
            path, spec = "spec", d.spec
            if d.kind == "CronJob":
                path, spec = "spec.jobTemplate.spec", mapping(mapping(spec.get("jobTemplate")).get("spec"))
            template = d.data if d.kind == "Pod" else mapping(spec.get("template"))
            path = "" if d.kind == "Pod" else f"{path}.template"
            stays = d.kind not in ("Job", "CronJob", "Pod")
            found.append(Pod(d, path, mapping(template.get("metadata")), mapping(template.get("spec")), stays))
        return found

    def service(self, name: str) -> Document | None:
        return next((d for d in self.of("Service") if d.name == name), None)

    def port_of(self, api: Api) -> dict[str, Any] | None:
        """The port of its Service that an API names."""
        service = self.service(api.implementation)
        ports = numbered(service.spec.get("ports")) if service else []
        return next((p for _, p in ports if p.get("port") == api.port), None)

    def behind(self, service: Document) -> list[Pod]:
        """The pods that stay and that a Service selects."""
        selector = mapping(service.spec.get("selector"))
        wanted = selector.items()
        return [p for p in self.pods if p.stays and selector and wanted <= p.labels.items()]

    def container_port(self, api: Api) -> int | None:
        """The number of the container port to which the Service leads; None where a name leads nowhere."""
        entry, service = self.port_of(api), self.service(api.implementation)
        if entry is None or service is None:
            return None
        target = entry.get("targetPort", entry.get("port"))
        if isinstance(target, int):
            return target
        named = [p for pod in self.behind(service) for p in pod.ports() if p.get("name") == target]
        return next((p["containerPort"] for p in named if isinstance(p.get("containerPort"), int)), None)


def read(content: str, source: str) -> list[Document]:
    """The documents of a YAML text; BadManifest where it is not YAML or a document is no object."""
    loader = _Loader(content)
    found = []
    try:
        loader.twice = []
        lines = content.splitlines()
        while loader.check_data():  # type: ignore[no-untyped-call]
            line = loader.peek_event().start_mark.line  # type: ignore[no-untyped-call]
            data = loader.get_data()
            twice, loader.twice = tuple(loader.twice), []
            if data is None:
                continue
            if not isinstance(data, dict):
                raise BadManifest(f"{source}: the document at line {line + 1} is no object")
            rows = numbered(data.get("items")) if data.get("kind") == "List" else [(0, data)]
            found += [Document(one, _template(lines, line), twice) for _, one in rows]
    except yaml.YAMLError as fault:
        raise BadManifest(f"{source} is not YAML: {fault}") from fault
    except RecursionError as fault:
        raise BadManifest(f"{source} is nested too deeply") from fault
    finally:
        loader.dispose()
    if not found:
        raise BadManifest(f"{source} holds no document")
    return found


def _template(lines: list[str], start: int) -> str:
    """Helm tells above each document which template made it."""
    for number, line in enumerate(lines[start:]):
        if number and line.startswith("---"):
            break
        if line.startswith("# Source: "):
            return line.removeprefix("# Source: ").strip()
    return ""
