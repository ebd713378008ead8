"""Dependent APIs: what the Canvas cannot resolve holds the component up for ever."""

from __future__ import annotations

from collections.abc import Iterator

from oda_ctk.check import MUST, SHOULD
from oda_ctk.component.case import CONFIGURING, DEPENDENT_OPERATOR, DEPENDING, Case, check
from oda_ctk.component.piece import Found


@check(
    "component.dependent.section",
    MUST,
    f"{DEPENDENT_OPERATOR}: marks only coreDependentAPIs of the Component as ready",
    hang=DEPENDING,
)
def section(case: Case) -> Iterator[Found]:
    """Every dependent API stands in coreFunction."""
    for api in case.manifest.dependent:
        if api.section != "coreFunction":
            yield Found(f"{api.name} stands in {api.section}", (case.component.piece(api.path, api.root),))


@check(
    "component.dependent.type",
    MUST,
    "oda-crds, DependentAPI of oda.tmforum.org/v1: apiType is openapi and nothing else",
    hang=CONFIGURING,
)
def openapi(case: Case) -> Iterator[Found]:
    """Every dependent API is of the type openapi."""
    for api in case.manifest.dependent:
        if api.type and api.type != "openapi":
            yield Found(f"{api.name} is of type {api.type}", (case.component.piece(api.path, api.root),))


@check(
    "component.dependent.specification",
    MUST,
    f"{DEPENDENT_OPERATOR}: takes the ExposedAPI whose specification.url is the same text",
    hang=DEPENDING,
)
def url(case: Case) -> Iterator[Found]:
    """Every specification of a dependent API has a url."""
    for api in case.manifest.dependent:
        if not api.url:
            yield Found(f"{api.path} of {api.name} has no url", (case.component.piece(api.path, api.root),))


@check(
    "component.dependent.optional",
    SHOULD,
    f"{DEPENDENT_OPERATOR}: an optional API that nobody offers is waited for like a mandatory one",
    hang=DEPENDING,
)
def optional(case: Case) -> Iterator[Found]:
    """No dependent API is declared that is not required; values switch it on where it is offered."""
    for api in case.manifest.dependent:
        if api.root.get("required") is False:
            yield Found(
                f"{api.name} is not required, but waited for until {api.url} is offered",
                (case.component.piece(api.path, api.root),),
            )
