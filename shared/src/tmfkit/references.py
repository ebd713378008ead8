"""References to resources of dependent APIs: an unknown one is refused, where a provider of that API is configured.

Only a provider's own 404 refuses: one that does not answer must not keep others from writing. Asked before the
transaction, and on a change only for what it adds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tmfkit.context import Context
from tmfkit.errors import BadRequest, TmfError
from tmfkit.types import Document
from tmfkit.upstream import UpstreamError

log = logging.getLogger("tmfkit.references")
MAX_ASKED = 50
PARALLEL = 8


@dataclass(frozen=True)
class Reference:
    """Where a resource refers to others.

    attribute   dotted path to the reference, or the list of references, in the stored shape
    dependency  name under which their provider is configured
    paths       @referredType (or @type) -> collection at the provider, from tmf-api on; other types are not asked for
    """

    attribute: str
    dependency: str
    paths: Mapping[str, str]


Target = tuple[str, str, str]
"""dependency, collection, id"""


def targets(doc: Document, references: Sequence[Reference]) -> dict[Target, str]:
    """What a document refers to -> the attribute in which it does."""
    found: dict[Target, str] = {}
    for reference in references:
        for where, value in _values(doc, reference.attribute.split("."), ""):
            kind = value.get("@referredType") or value.get("@type")
            collection, id = reference.paths.get(str(kind)), value.get("id")
            if collection is not None and isinstance(id, str) and id:
                found.setdefault((reference.dependency, collection, id), where)
    return found


def _values(value: Any, names: Sequence[str], where: str) -> Iterator[tuple[str, Document]]:
    if isinstance(value, list):
        for i, one in enumerate(value):
            yield from _values(one, names, f"{where}[{i}]")
    elif isinstance(value, dict):
        if not names:
            yield where, value
        elif names[0] in value:
            yield from _values(value[names[0]], names[1:], f"{where}.{names[0]}".lstrip("."))


async def check(ctx: Context[Any], references: Sequence[Reference], new: Document, old: Document | None = None) -> None:
    """TmfError 400 naming the attribute, if something that `new` refers to and `old` did not is unknown."""
    asked = [r for r in references if ctx.settings.dependencies.get(r.dependency) or ctx.settings.canvas_info_url]
    if not asked:
        return
    added = targets(new, asked)
    for known in targets(old, asked) if old else ():
        added.pop(known, None)
    gate = asyncio.Semaphore(PARALLEL)

    async def unknown(target: Target) -> bool:
        async with gate:
            dependency, collection, id = target
            try:
                await ctx.upstream(dependency).get((*collection.split("/"), id), {"fields": "id"})
            except UpstreamError as e:
                return e.upstream_status == 404
            except (TmfError, OSError) as e:
                log.info("%s was not asked for %s %s: %s", dependency, collection, id, e)
            return False

    wanted = list(added)[:MAX_ASKED]
    for target, missing in zip(wanted, await asyncio.gather(*map(unknown, wanted)), strict=True):
        if missing:
            raise BadRequest(f"{target[2][:100]!r} is not known to {target[0]}", attribute=f"{added[target]}.id")
