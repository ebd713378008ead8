"""What a container sees, read from its pod: command, environment variables, files. No process is started here."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Object = dict[str, Any]
Lookup = Callable[[str, str], Object | None]
"""(plural, name) of an object of the pod's namespace."""

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


class ConfigError(Exception):
    """What the kubelet calls CreateContainerConfigError; the message is its sentence."""


class ImageUnknown(Exception):
    """What the kubelet calls ErrImagePull."""


def image_name(image: str) -> str:
    """Last part of the repository: ghcr.io/x/service-quality:0.1.0@sha256:... is service-quality."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def command(container: Object, entrypoints: Mapping[str, Sequence[str]], programs: Mapping[str, str]) -> list[str]:
    """Command line of a container: the image's entry point unless `command` is given, then `args`."""
    name = image_name(container["image"])
    if name not in entrypoints:
        raise ImageUnknown(f"no process stands for the image {container['image']}")
    line = list(container.get("command") or entrypoints[name]) + list(container.get("args") or [])
    return [programs.get(line[0], line[0]), *line[1:]]


def expanded(text: str, known: Mapping[str, str]) -> str:
    """$(NAME) of what is known so far; $$ is $; what is not known stays."""
    return _REFERENCE.sub(
        lambda found: "$" if found[0] == "$$" else known.get(found[1], found[0]),
        text,
    )


def field(pod: Object, path: str) -> str:
    """A field of the downward API. Errors: ConfigError."""
    meta = pod["metadata"]
    if found := re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path):
        return str((meta.get(found[1]) or {}).get(found[2], ""))
    known = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.podIP": pod.get("status", {}).get("podIP", ""),
        "status.hostIP": pod.get("status", {}).get("hostIP", ""),
    }
    if path not in known:
        raise ConfigError(f"fieldRef {path} is not supported by this stand-in")
    return str(known[path])


def _content(kind: str, reference: Object, lookup: Lookup) -> dict[str, bytes] | None:
    found = lookup(kind, reference["name"])
    if found is None:
        if reference.get("optional"):
            return None
        raise ConfigError(f'{kind[:-1]} "{reference["name"]}" not found')
    if kind == "secrets":
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    return {key: value.encode() for key, value in (found.get("data") or {}).items()} | {
        key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()
    }


def _referred(kind: str, reference: Object, lookup: Lookup) -> str | None:
    content = _content(kind, reference, lookup)
    if content is None or reference["key"] not in content:
        if reference.get("optional"):
            return None
        raise ConfigError(f"couldn't find key {reference['key']} in {kind[:-1]} {reference['name']}")
    return content[reference["key"]].decode()


def _value(pod: Object, source: Object, lookup: Lookup) -> str | None:
    if "secretKeyRef" in source:
        return _referred("secrets", source["secretKeyRef"], lookup)
    if "configMapKeyRef" in source:
        return _referred("configmaps", source["configMapKeyRef"], lookup)
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"])
    raise ConfigError(f"valueFrom {', '.join(source)} is not supported by this stand-in")


def environment(pod: Object, container: Object, lookup: Lookup) -> dict[str, str]:
    """The variables that the pod spec gives a container. Errors: ConfigError."""
    found: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        prefix = source.get("prefix", "")
        for kind, name in (("secrets", "secretRef"), ("configmaps", "configMapRef")):
            if name in source:
                content = _content(kind, source[name], lookup) or {}
                found |= {prefix + key: value.decode() for key, value in content.items()}
    for variable in container.get("env") or []:
        if "valueFrom" in variable:
            value = _value(pod, variable["valueFrom"], lookup)
            if value is not None:
                found[variable["name"]] = value
        else:
            found[variable["name"]] = expanded(variable.get("value", ""), found)
    return found


def files(pod: Object, folder: Path, lookup: Lookup) -> dict[str, Path]:
    """Volume name -> folder with its content. Errors: ConfigError."""
    found = {}
    for volume in pod["spec"].get("volumes") or []:
        place = folder / volume["name"]
        place.mkdir(parents=True, exist_ok=True)
        sources = volume.get("projected", {}).get("sources") or [volume]
        for source in sources:
            for kind, name, key in (("secrets", "secret", "secretName"), ("configmaps", "configMap", "name")):
                if name in source:
                    reference = {**source[name], "name": source[name].get(key) or source[name].get("name")}
                    content = _content(kind, reference, lookup) or {}
                    wanted = {item["key"]: item["path"] for item in source[name].get("items") or []}
                    for entry, data in content.items():
                        if not wanted or entry in wanted:
                            file = place / wanted.get(entry, entry)
                            file.parent.mkdir(parents=True, exist_ok=True)
                            file.write_bytes(data)
        found[volume["name"]] = place
    return found


def moved(text: str, container: Object, volumes: Mapping[str, Path]) -> str:
    """A path under a mount, where the volume's content lies on this machine; any other text as it is."""
    for mount in container.get("volumeMounts") or []:
        path = mount["mountPath"].rstrip("/")
        if text == path or text.startswith(path + "/"):
            place = volumes[mount["name"]] / mount.get("subPath", "")
            return str(place) + text.removeprefix(path)
    return text
