"""TM Forum's conformance kits as they lie in a folder: what kind each is, its API and version, what it asks.

Nothing of a kit is kept here: what is needed to run it is read from its own files.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

NO_RESOURCES = {"hub", "listener"}
NOT_A_KIT = {"node_modules", ".git", "__MACOSX"}
GENERATED = {"pmtest.json"}
"""Written by a kit's own runner from its collection."""
INNER = "ctk"
"""The folder with collection and runner; the configuration lies above it."""
COLLECTIONS = ("*.json", "*.postman_collection")
BASE = re.compile(r"^\s*\{\{(\w+)\}\}(/?)")
LEAD = re.compile(
    r"^\s*(?:https?://[^/{?]+|\{\{\w+\}\}(?::(?://)?\{\{\w+\}\})*)(?:/\{\{\w+\}\}(?=/))*(?:/[^?{]*?/v\d+(?:\.\d+)*(?=/))?"
)
"""Of an address, what comes before the resource: a host, or variables for it, and the API with its version."""
OURS = "tmfBase"
ASSERTS = re.compile(r"pm\.test\(|tests\[|pm\.expect\(")
NO_TEST = "it asserts nothing"
UNREADABLE = "it cannot be read:"
NOWHERE = "http://127.0.0.1:9/"
"""Where a kit lets events go: its own address belongs to somebody, or to nobody."""
SLOT = re.compile(r"if\s*\(\s*resource\s*===?\s*[\"'](\w+)[\"']\s*\)\s*\{([^}]*)")
PLACE = re.compile(r"\[?\.?['\"]?item['\"]?\]?\[(\d+)\]\[?\.?['\"]?item['\"]?\]?\[(\d+)\]")


@dataclass(frozen=True)
class Kit:
    """One kit. `name` is its own name for itself, whatever the folder is called."""

    kind: str
    file: Path
    """The collection, or ctk.json."""
    folder: Path
    """Where its configuration lies."""
    name: str
    api: str | None
    version: str | None
    resources: tuple[str, ...]
    reads_only: tuple[str, ...]
    """Resources that it lists and never creates: there has to be something."""
    problem: str = ""
    """Why it cannot be run."""

    @property
    def digest(self) -> str:
        """The same for copies of one kit."""
        configured = (self.folder / name for name in ("config.json", "CHANGE_ME.json"))
        content = [file.read_bytes() for file in (self.file, *configured) if file.exists()]
        return hashlib.sha256(b"\0".join(content)).hexdigest()


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8-sig"))


def unpacked(folder: Path, into: Path) -> Path:
    """Kits as they are downloaded: the content of every zip below a folder, each in a folder of its own."""
    for number, file in enumerate(sorted(folder.rglob("*.zip"))):
        if not NOT_A_KIT & set(file.relative_to(folder).parts) and zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as packed:
                packed.extractall(into / str(number) / file.stem)
    return into


def found_in(*folders: Path) -> list[Kit]:
    """Every kit below the folders, in the order of their names; of copies the first that can be run."""
    kits: dict[str, Kit] = {}
    for folder in folders:
        for kit in _below(folder):
            if kit.digest not in kits or kits[kit.digest].problem:
                kits[kit.digest] = kit
    return sorted(kits.values(), key=lambda kit: (kit.api or "", kit.name, str(kit.folder)))


def _below(folder: Path) -> Iterator[Kit]:
    done: set[Path] = set()
    for file in sorted({file for pattern in COLLECTIONS for file in folder.rglob(pattern)}):
        if NOT_A_KIT & set(file.relative_to(folder).parts) or not file.is_file():
            continue
        inside = file.parent.name.lower() == INNER
        if inside and file.parent in done:
            continue
        try:
            if file.name == "ctk.json" and file.parent.name == "fixtures":
                kit = _cypress(file)
            elif inside:
                done.add(file.parent)
                chosen = collection(file.parent)
                kit = _postman(chosen) if chosen else None
            else:
                kit = _postman(file)
        except (ValueError, LookupError, TypeError, AttributeError, OSError, yaml.YAMLError) as error:
            above = file.parent.parent if inside else file.parent
            kit = Kit("?", file, above, file.name, None, None, (), (), f"{UNREADABLE} {' '.join(str(error).split())}")
        if kit is not None:
            yield kit


# --- Postman -----------------------------------------------------------------------------------------------


def collection(inner: Path) -> Path | None:
    """The collection that the kit's runner names; without one, the first that is no product of the runner."""
    found = [f for pattern in COLLECTIONS for f in sorted(inner.glob(pattern)) if content_of(f) is not None]
    runner = script(inner)
    named = [f for f in found if f.name in runner and f.name not in GENERATED]
    return next(iter([*named, *(f for f in found if f.name not in GENERATED), *found]), None)


def content_of(file: Path) -> dict[str, Any] | None:
    """What a collection asks, with what comes before the resources in one variable; None for any other file."""
    try:
        content = read(file)
    except ValueError:
        return None
    if not isinstance(content, dict) or not {"item", "info"} <= content.keys():
        return None
    for _, item in requests(content["item"]):
        if not isinstance(item["request"], dict):
            item["request"] = {"method": "GET", "url": item["request"]}
        item["request"]["url"] = _led(item["request"].get("url") or "")
    return content


def _led(url: Any) -> Any:
    """An address that begins with one variable stays; any other gets ours for its host, API and version."""
    given = str(url if isinstance(url, str) else url.get("raw", ""))
    match = LEAD.match(given)
    if match is None or re.fullmatch(r"\s*\{\{\w+\}\}", match[0]):
        return url
    rest = given[match.end() :].lstrip("/")
    if isinstance(url, str):
        return f"{{{{{OURS}}}}}/{rest}"
    kept = {key: url[key] for key in ("query", "variable") if key in url}
    return {"raw": f"{{{{{OURS}}}}}/{rest}", "host": [f"{{{{{OURS}}}}}"], "path": rest.split("?")[0].split("/"), **kept}


def script(inner: Path) -> str:
    """The kit's runner without its comments."""
    file = inner / "index.js"
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
    url = item["request"]["url"]
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


def _postman(file: Path) -> Kit | None:
    content = content_of(file)
    if content is None or file.name in GENERATED:
        return None
    inner = file.parent
    folder = inner.parent if inner.name.lower() == INNER else inner
    made: list[str] = []
    listed: list[str] = []
    for _, item in requests(content["item"]):
        if match := BASE.match(address(item)):
            resource = re.split(r"[/?]", address(item)[match.end() :].lstrip("/"))[0]
            (made if item["request"].get("method") == "POST" else listed).append(resource)
    name = content["info"]["name"]
    addresses = _addresses(file, content)
    return Kit(
        "postman",
        file,
        folder,
        name,
        api_of([file.name, name, folder.name, *_package(inner), *addresses]),
        version_of([file.name, name, *addresses]),
        tuple(r for r in dict.fromkeys([*made, *listed]) if r not in NO_RESOURCES),
        tuple(dict.fromkeys(r for r in listed if r not in made and r.lower() not in {m.lower() for m in made})),
        "" if ASSERTS.search(json.dumps(content["item"])) else NO_TEST,
    )


def _package(inner: Path) -> list[str]:
    file = inner / "package.json"
    package = read(file) if file.exists() else {}
    return [str(package.get("name", "")), str(package.get("description", ""))]


def _addresses(file: Path, content: dict[str, Any]) -> list[str]:
    """Paths that a kit's configuration and environment point to."""
    found = [urlsplit(str(_config(file).get("url", "")).strip()).path]
    names = {name for name, _ in bases(content)}
    return found + [value for name, value in _variables(file.parent).items() if name in names]


def _config(file: Path) -> dict[str, Any]:
    inner = file.parent
    found = (inner.parent if inner.name.lower() == INNER else inner) / "config.json"
    config: dict[str, Any] = read(found) if found.exists() else {}
    return config


def _variables(inner: Path) -> dict[str, str]:
    """The kit's own environment."""
    files = sorted(inner.glob("*environment.json")) or sorted(inner.glob("TMFENV"))
    return {v["key"]: str(v["value"]) for file in files for v in read(file).get("values", [])}


def slots(inner: Path, payloads: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Where the runner puts a resource's configured payload: folder and request by number."""
    text = script(inner)
    found = {}
    for resource, block in SLOT.findall(text):
        if match := PLACE.search(block):
            found[resource] = (int(match[1]), int(match[2]))
    if not found and (match := re.search(PLACE.pattern + r"\[?\.?['\"]?request['\"]?\]?\[?\.?['\"]?body", text)):
        found = {resource: (int(match[1]), int(match[2])) for resource in payloads}
    return found


def prepared(kit: Kit) -> dict[str, Any]:
    """The collection with the kit's own headers and payloads in it, as its runner would have it."""
    content, config = content_of(kit.file), _config(kit.file)
    assert content is not None
    if config:
        headers = [{"key": k, "value": v} for k, v in config.get("headers", {}).items()]
        for _, item in requests(content["item"]):
            item["request"]["header"] = headers
        for resource, (outer, inner) in slots(kit.file.parent, config.get("payloads", {})).items():
            payload = config.get("payloads", {}).get(resource, {}).get("POST", {}).get("payload")
            if payload is not None:
                request = content["item"][outer]["item"][inner]["request"]
                request.setdefault("body", {"mode": "raw"})["raw"] = json.dumps(payload)
    for _, item in requests(content["item"]):
        body = item["request"].get("body") or {}
        if isinstance(sent := _sent(body), dict) and isinstance(sent.get("callback"), str):
            body["raw"] = json.dumps({**sent, "callback": NOWHERE})
    return content


def _sent(body: dict[str, Any]) -> Any:
    """A request's body, as far as it is JSON without variables that are no strings."""
    try:
        return json.loads(body.get("raw") or "null")
    except ValueError:
        return None


def environment(kit: Kit, base: str) -> dict[str, Any]:
    """The kit's own environment, with the variable that addresses begin with set to ours."""
    content = content_of(kit.file)
    assert content is not None
    values = _variables(kit.file.parent)
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(base))
    for number, (name, slash) in enumerate(bases(content)):
        whole = number == 0 or name == OURS
        values[name] = (base.rstrip("/") + ("" if slash else "/")) if whole else origin
    if wanted := _config(kit.file).get("resourcesToTest"):
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
            sent = _sent(body)
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
        file,
        folder,
        info.get("title", folder.name),
        api_of(texts),
        version_of([*servers, f"v{info.get('version', '')}"]),
        tuple(dict.fromkeys(resource for _, resource in paths if resource not in NO_RESOURCES)),
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
