"""The component against the standard component that it claims to be: a golden file of TM Forum, or one like it."""

from __future__ import annotations

from collections.abc import Iterator

from oda_ctk.check import MUST, Blocked
from oda_ctk.component.case import KIT, Case, check
from oda_ctk.component.manifest import SECTIONS, Document, mapping, numbered, text
from oda_ctk.component.piece import Found


def golden(case: Case) -> Document:
    if case.golden is None:
        raise Blocked("no golden file is given")
    return case.golden


def _ids(document: Document, kind: str) -> dict[str, str]:
    """Section by id of the APIs that a golden file has as required."""
    return {
        text(api.get("id")): section
        for section in SECTIONS
        for _, api in numbered(mapping(document.spec.get(section)).get(kind))
        if api.get("required") is True and text(api.get("id"))
    }


@check("component.golden.id", MUST, f"{KIT}, configuration 13: the golden id is part of the id", needs=("golden",))
def id(case: Case) -> Iterator[Found]:
    """The id of the component contains that of the golden component."""
    wanted = text(mapping(golden(case).spec.get("componentMetadata")).get("id"))
    told = case.manifest.section("componentMetadata")
    if wanted.lower() not in text(told.get("id")).lower():
        shown = case.component.piece("spec.componentMetadata", told)
        yield Found(f"the id is {told.get('id')!r}, golden is {wanted}", (shown,))


@check("component.golden.exposed", MUST, f"{KIT}, configuration 14", needs=("golden",))
def exposed(case: Case) -> Iterator[Found]:
    """Every API that the golden component must expose is exposed."""
    has = {a.id for a in case.manifest.exposed}
    for one, section in _ids(golden(case), "exposedAPIs").items():
        if one not in has:
            yield Found(
                f"{one} is not exposed", (case.component.piece(f"spec.{section}", case.manifest.section(section)),)
            )


@check("component.golden.dependent", MUST, f"{KIT}, configuration 15", needs=("golden",))
def dependent(case: Case) -> Iterator[Found]:
    """Every API that the golden component must depend on is a dependent API."""
    has = {a.id for a in case.manifest.dependent}
    for one, section in _ids(golden(case), "dependentAPIs").items():
        if one not in has:
            shown = case.component.piece(f"spec.{section}", case.manifest.section(section))
            yield Found(f"{one} is no dependent API", (shown,))
