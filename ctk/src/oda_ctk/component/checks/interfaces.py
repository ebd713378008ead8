"""Exposed APIs and events as they are declared: names, versions, specifications, policies, documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import yaml

from oda_ctk.check import MUST, SHOULD, NotApplicable
from oda_ctk.component.case import (
    APISIX,
    COMPONENT_OPERATOR,
    CONFIGURING,
    DEPENDENT_OPERATOR,
    KIT,
    KONG,
    USE_CASE,
    Case,
    check,
)
from oda_ctk.component.checks.naming import DNS_LABEL
from oda_ctk.component.manifest import Api, major_in, major_of, mapping, numbered, text
from oda_ctk.component.piece import Found

PATH_MAJOR = re.compile(r"/v(\d+)(?=/|$)")


def _at(case: Case, api: Api, reason: str) -> Found:
    return Found(reason, (case.component.piece(api.path, api.specification or api.root),))


@check(
    "component.api.names", MUST, f"{COMPONENT_OPERATOR}: <component>-<api>[-v<major>] is a DNS name", hang=CONFIGURING
)
def names(case: Case) -> Iterator[Found]:
    """The names of exposed and dependent APIs consist of letters, digits and -."""
    for api in (*case.manifest.exposed, *case.manifest.dependent):
        if api.name and not DNS_LABEL.fullmatch(api.name.lower()):
            yield _at(case, api, f"{api.name!r} cannot be part of the name of a resource")


@check("component.api.distinct", MUST, f"{COMPONENT_OPERATOR}: one ExposedAPI for each name and major version")
def distinct(case: Case) -> Iterator[Found]:
    """No two APIs give a resource of the same name."""
    for apis in (case.manifest.exposed, case.manifest.dependent):
        seen: dict[str, Api] = {}
        for api in apis:
            if api.name and api.label in seen:
                yield _at(case, api, f"{api.path} and {seen[api.label].path} both give {case.name}-{api.label}")
            seen.setdefault(api.label, api)


@check(
    "component.api.specification",
    MUST,
    f"{DEPENDENT_OPERATOR}: reads specification.url of every ExposedAPI; {KIT}, configuration 16",
)
def specification(case: Case) -> Iterator[Found]:
    """Every specification of an exposed API has a url."""
    for api in case.manifest.exposed:
        if api.specification and not api.url:
            yield _at(case, api, f"{api.path} of {api.name} has no url")


@check("component.api.identified", SHOULD, f"{KIT}, deployment 5: an API is judged by its id and its version")
def identified(case: Case) -> Iterator[Found]:
    """Every core and security API has an id, and every specification of it a version."""
    for api in case.manifest.exposed:
        if api.section == "managementFunction":
            continue
        if not api.id:
            yield _at(case, api, f"{api.name} has no id")
        if not text(api.specification.get("version")):
            yield _at(case, api, f"{api.path} of {api.name} has no version")


@check("component.api.versions", MUST, f"{COMPONENT_OPERATOR}: the major version is that of specification.version")
def versions(case: Case) -> Iterator[Found]:
    """Version, url of the specification and path of an API tell the same generation."""
    for api in case.manifest.exposed:
        found = PATH_MAJOR.search(api.base)
        version = text(api.specification.get("version"))
        told = {
            "version": major_of(version),
            "url": major_in(api.url),
            "path": f"v{found[1]}" if found else "",
        }
        if len({v for v in told.values() if v}) > 1:
            said = ", ".join(f"{k} says {v}" for k, v in told.items() if v)
            yield Found(f"{api.name}: {said}", (case.component.piece(api.path, api.fields | dict(api.specification)),))


@check("component.api.documents", MUST, f"{KIT}, configuration 16: the documents are had and read")
def documents(case: Case) -> Iterator[Found]:
    """The specification of every core and security API is had at its url and tells its version."""
    if not case.fetching:
        raise NotApplicable("specifications are fetched with --fetch only")
    for api in case.manifest.exposed:
        if api.section != "managementFunction" and api.url:
            said = _unlike_a_specification(api)
            if said:
                yield _at(case, api, f"{api.url}: {said}")


def _unlike_a_specification(api: Api) -> str:
    try:
        answer = httpx.get(api.url, follow_redirects=True, timeout=30.0)
        document = yaml.safe_load(answer.text) if answer.status_code == 200 else {}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as fault:
        return f"no answer ({type(fault).__name__}: {fault})"
    except yaml.YAMLError:
        return "neither JSON nor YAML"
    if answer.status_code != 200:
        return f"answered with {answer.status_code}"
    version = str(mapping(mapping(document).get("info")).get("version") or "")
    if not version:
        return "has no info.version"
    declared = api.major
    return f"is version {version}, declared is {declared}" if declared and major_of(version) != declared else ""


@check("component.api.documentation", SHOULD, f"{USE_CASE} UC003; the url goes into the status of the ExposedAPI")
def documentation(case: Case) -> Iterator[Found]:
    """Every core API of the type openapi tells where its documentation is (developerUI)."""
    for api in case.manifest.exposed:
        if api.section == "coreFunction" and api.type == "openapi" and not text(api.fields.get("developerUI")):
            yield _at(case, api, f"{api.name} {api.major} has no developerUI".replace("  ", " "))


@check("component.gateway.cors", MUST, f"{KONG}: splits both texts, and fails where one of them is missing")
def cors(case: Case) -> Iterator[Found]:
    """CORS that is enabled lists its methods and headers as texts separated by comma."""
    for api in case.manifest.exposed:
        told = mapping(mapping(api.fields.get("gatewayConfiguration")).get("CORS"))
        preflight = mapping(told.get("handlePreflightRequests"))
        lacking = [n for n in ("allowMethods", "allowHeaders") if not text(preflight.get(n)).strip()]
        if told.get("enabled") is True and lacking:
            shown = case.component.piece(f"{api.path} (CORS)", told)
            yield Found(f"{api.name}: CORS is enabled without {', '.join(lacking)}", (shown,))


@check("component.gateway.limits", MUST, f"{KONG} and {APISIX}: the limits are handed on as numbers")
def limits(case: Case) -> Iterator[Found]:
    """The limit of a rateLimit that is enabled, and that of a quota, is a number in quotes."""
    for api in case.manifest.exposed:
        policy = mapping(api.fields.get("gatewayConfiguration"))
        for name in ("rateLimit", "quota"):
            told = mapping(policy.get(name))
            limit = told.get("limit")
            wanted = told.get("enabled") is True if name == "rateLimit" else bool(limit)
            if not isinstance(limit, str | None):  # the schema tells
                continue
            if wanted and not (limit or "").strip().isdigit():
                shown = case.component.piece(f"{api.path} ({name})", told)
                yield Found(f"{api.name}: {name}.limit is {limit!r}", (shown,))


@check("component.gateway.quota", SHOULD, f"{APISIX}: a quota takes effect with both of them only")
def quota(case: Case) -> Iterator[Found]:
    """A quota has both a limit and an identifier, or neither."""
    for api in case.manifest.exposed:
        told = mapping(mapping(api.fields.get("gatewayConfiguration")).get("quota"))
        if bool(told.get("limit")) != bool(told.get("identifier")):
            shown = case.component.piece(f"{api.path} (quota)", told)
            yield Found(f"{api.name}: the quota has only one of limit and identifier", (shown,))


@check("component.events.names", MUST, f"{COMPONENT_OPERATOR}: <component>-<event> is a DNS name")
def event_names(case: Case) -> Iterator[Found]:
    """Every event has a name that consists of letters, digits, dots and -."""
    for kind in ("publishedEvents", "subscribedEvents"):
        for path, event in case.manifest.events(kind):
            name = text(event.get("name"))
            if not name or not all(DNS_LABEL.fullmatch(part) for part in name.lower().split(".")):
                yield Found(f"{name!r} cannot be part of the name of a resource", (case.component.piece(path, event),))


@check("component.events.specification", MUST, f"{COMPONENT_OPERATOR}: hub, port and the rest are read from here")
def event_specification(case: Case) -> Iterator[Found]:
    """Every event tells in its specification apiType, implementation, port and hub (or callback)."""
    for kind, place in (("publishedEvents", "hub"), ("subscribedEvents", "callback")):
        for path, event in case.manifest.events(kind):
            told = numbered(event.get("specification"))
            if not told:
                yield Found(f"{event.get('name')} has no specification", (case.component.piece(path, event),))
            for number, one in told:
                lacking = [n for n in ("apiType", "implementation", "port", place) if one.get(n) in (None, "")]
                if lacking:
                    shown = case.component.piece(f"{path}.specification[{number}]", one)
                    yield Found(f"{event.get('name')} has no {', '.join(lacking)}", (shown,))
