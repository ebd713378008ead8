"""TM Forum's conformance kits as they lie in a folder: what kind each is, its API and version, what it asks.

Nothing of a kit is kept here: what is needed to run it is read from its own files.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

NOT_A_KIT = {"node_modules", ".git", "__MACOSX"}
GENERATED = {"pmtest.json"}
"""Written by a kit's own runner from its collection."""
BASE = re.compile(r"^\s*\{\{(\w+)\}\}(/?)")
SLOT = re.compile(r"if\s*\(\s*resource\s*===?\s*[\"'](\w+)[\"']\s*\)\s*\{([^}]*)")
PLACE = re.compile(r"\[?\.?'?item'?\]?\[(\d+)\]\[?\.?'?item'?\]?\[(\d+)\]")


@dataclass(frozen=True)
class Kit:
    """One kit. `name` is its own name for itself, whatever the folder is called."""

    kind: str
    folder: Path
    name: str
    api: str | None
    version: str | None
    resources: tuple[str, ...]
    reads_only: tuple[str, ...]
    """Resources that it lists and never creates: there has to be something."""


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8-sig"))


def found_in(folder: Path) -> list[Kit]:
    """Every kit below a folder, in the order of their names."""
    kits: dict[Path, Kit] = {}
    for file in sorted(folder.rglob("*.json")):
        if NOT_A_KIT & set(file.relative_to(folder).parts):
            continue
        if file.name == "ctk.json" and file.parent.name == "fixtures":
            kit = _cypress(file)
        elif file.parent.name == "ctk" and file.parent not in {k.folder / "ctk" for k in kits.values()}:
            kit = _postman(file.parent)
        else:
            continue
        if kit is not None:
            kits.setdefault(kit.folder, kit)
    return sorted(kits.values(), key=lambda kit: (kit.api or "", kit.name, str(kit.folder)))


# --- Postman -----------------------------------------------------------------------------------------------


def collection(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The collection that the kit's runner names; without one, the first that is no product of the runner."""
    found = {}
    for file in sorted((folder / "ctk").glob("*.json")):
        try:
            content = read(file)
        except ValueError:
            continue
        if isinstance(content, dict) and "item" in content and "info" in content:
            found[file] = content
    runner = script(folder)
    named = [f for f in found if f.name in runner and f.name not in GENERATED]
    for file in [*named, *(f for f in found if f.name not in GENERATED), *found]:
        return file, found[file]
    return None


def script(folder: Path) -> str:
    """The kit's runner without its comments."""
    file = folder / "ctk" / "index.js"
    text = file.read_text(errors="replace") if file.exists() else ""
    return re.sub(r"^\s*//.*$", "", re.sub(r"/\*.*?\*/", "", text, flags=re.S), flags=re.M)


def requests(items: list[dict[str, Any]], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every request of a collection, with the names of the folders that it lies in."""
    for item in items:
        if "item" in item:
            yield from requests(item["item"], (*above, item.get("name", "")))
        elif "request" in item:
            yield above, item


def address(item: dict[str, Any]) -> str:
    url = item["request"]["url"] if isinstance(item["request"], dict) else item["request"]
    return str(url if isinstance(url, str) else url.get("raw", ""))


def bases(content: dict[str, Any]) -> list[tuple[str, bool]]:
    """Variables that addresses begin with, the most used first, and whether a slash follows them."""
    uses: Counter[str] = Counter()
    slashes: set[str] = set()
    for _, item in requests(content["item"]):
        if match := BASE.match(address(item)):
            uses[match[1]] += 1
            if match[2]:
                slashes.add(match[1])
    return [(name, name in slashes) for name, _ in uses.most_common()]


def _postman(ctk: Path) -> Kit | None:
    folder = ctk.parent
    given = collection(folder)
    if given is None:
        return None
    file, content = given
    made: list[str] = []
    listed: list[str] = []
    for _, item in requests(content["item"]):
        if match := BASE.match(address(item)):
            resource = re.split(r"[/?]", address(item)[match.end() :].lstrip("/"))[0]
            (made if item["request"].get("method") == "POST" else listed).append(resource)
    name = content["info"]["name"]
    texts = [file.name, name, folder.name, *_package(ctk), *_addresses(folder)]
    return Kit(
        "postman",
        folder,
        name,
        api_of(texts),
        version_of([file.name, name, *_addresses(folder)]),
        tuple(dict.fromkeys([*made, *listed])),
        tuple(dict.fromkeys(r for r in listed if r not in made and r.lower() not in {m.lower() for m in made})),
    )


def _package(ctk: Path) -> list[str]:
    file = ctk / "package.json"
    package = read(file) if file.exists() else {}
    return [str(package.get("name", "")), str(package.get("description", ""))]


def _addresses(folder: Path) -> list[str]:
    """Paths that a kit's configuration and environment point to."""
    found = []
    config = folder / "config.json"
    if config.exists():
        url = read(config).get("url", "")
        found.append(urlsplit(str(url).strip()).path)
    given = collection(folder)
    names = {name for name, _ in bases(given[1])} if given else set()
    for file in sorted((folder / "ctk").glob("*environment.json")):
        found += [str(v["value"]) for v in read(file).get("values", []) if v["key"] in names]
    return found


def slots(folder: Path, payloads: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Where the runner puts a resource's configured payload: folder and request by number."""
    text = script(folder)
    found = {}
    for resource, block in SLOT.findall(text):
        if match := PLACE.search(block):
            found[resource] = (int(match[1]), int(match[2]))
    if not found and (match := re.search(PLACE.pattern + r"\[?\.?'?request'?\]?\[?\.?'?body", text)):
        found = {resource: (int(match[1]), int(match[2])) for resource in payloads}
    return found


def prepared(kit: Kit) -> dict[str, Any]:
    """The collection with the kit's own headers and payloads in it, as its runner would have it."""
    given = collection(kit.folder)
    assert given is not None
    content, file = given[1], kit.folder / "config.json"
    if file.exists():
        config = read(file)
        headers = [{"key": k, "value": v} for k, v in config.get("headers", {}).items()]
        for _, item in requests(content["item"]):
            item["request"]["header"] = headers
        for resource, (outer, inner) in slots(kit.folder, config.get("payloads", {})).items():
            payload = config.get("payloads", {}).get(resource, {}).get("POST", {}).get("payload")
            if payload is not None:
                request = content["item"][outer]["item"][inner]["request"]
                request.setdefault("body", {"mode": "raw"})["raw"] = json.dumps(payload)
    return content


def environment(kit: Kit, base: str) -> dict[str, Any]:
    """The kit's own environment, with the variable that addresses begin with set to ours."""
    given = collection(kit.folder)
    assert given is not None
    values: dict[str, str] = {}
    for file in sorted((kit.folder / "ctk").glob("*environment.json")):
        values |= {v["key"]: v["value"] for v in read(file).get("values", [])}
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(base))
    for number, (name, slash) in enumerate(bases(given[1])):
        values[name] = (base.rstrip("/") + ("" if slash else "/")) if number == 0 else origin
    config = kit.folder / "config.json"
    if config.exists() and (wanted := read(config).get("resourcesToTest")):
        values["resourcesToTest"] = wanted
    return {"name": "kit", "values": [{"key": k, "value": v, "enabled": True} for k, v in values.items()]}


@dataclass(frozen=True)
class Translation:
    """What an older kit calls by names that the served version has changed, and what its bodies lack there."""

    kit: str
    served: str
    reason: str
    clause: str
    rename: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, Any] = field(default_factory=dict)
    """Dotted path -> value, set in every body of a POST that has what is above it."""

    def applied(self, content: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(content, ensure_ascii=False)
        for old, new in self.rename.items():
            text = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", new, text)
        translated: dict[str, Any] = json.loads(text)
        for _, item in requests(translated["item"]):
            body = item["request"].get("body") or {}
            if item["request"].get("method") != "POST":
                continue
            try:
                sent = json.loads(body.get("raw") or "null")
            except ValueError:
                continue
            for path, value in self.bodies.items():
                _set(sent, path.split("."), value)
            if sent is not None:
                body["raw"] = json.dumps(sent)
        return translated


def _set(node: Any, path: list[str], value: Any) -> None:
    if isinstance(node, list):
        for one in node:
            _set(one, path, value)
    elif isinstance(node, dict) and len(path) == 1:
        node[path[0]] = value
    elif isinstance(node, dict) and path[0] in node:
        _set(node[path[0]], path[1:], value)


# --- Cypress -----------------------------------------------------------------------------------------------


def _cypress(file: Path) -> Kit | None:
    inner = next((p for p in file.parents if (p / "oas.yaml").exists()), None)
    if inner is None:
        return None
    folder = inner.parent if (inner.parent / "CHANGE_ME.json").exists() else inner
    tests = list(read(file)["tests"].values())
    described = yaml.safe_load((inner / "oas.yaml").read_text())
    info, servers = described.get("info", {}), [s.get("url", "") for s in described.get("servers", [])]
    texts = [info.get("title", ""), folder.name, folder.parent.name, *_package(inner), info.get("description", "")]
    paths = [(t["method"], t["path"].strip("/").split("/")[0]) for t in tests]
    made = {resource for method, resource in paths if method == "POST"}
    return Kit(
        "cypress",
        folder,
        info.get("title", folder.name),
        api_of(texts),
        version_of([*servers, f"v{info.get('version', '')}"]),
        tuple(dict.fromkeys(resource for _, resource in paths)),
        tuple(dict.fromkeys(resource for _, resource in paths if resource not in made)),
    )


# --- what a kit judges -------------------------------------------------------------------------------------


def api_of(texts: list[str]) -> str | None:
    """TMF629 from the first text that names an API."""
    for text in texts:
        if match := re.search(r"TMF[-_ ]?(\d{3})", text, re.I) or re.match(r"(\d{3})[-_]", text):
            return f"TMF{match[1]}"
    return None


def version_of(texts: list[str]) -> str | None:
    """v4 from the first text that names a major version; kits of 2018 (R18) hold to v2."""
    for text in texts:
        if match := re.search(r"/v(\d+)(?:/|$)|v(\d+)\.\d|[-_](\d+)\.\d+(?:\.\d+)?\b", text):
            return f"v{match[1] or match[2] or match[3]}"
    return None
