"""Documents to a TMF Open API collection, so that a second time changes only what differs.

In bulk (TMF630 part 1: PATCH on the collection) where the server knows it and takes all; else one by one, so that each
document has its own answer. A document that is there already is compared, and only what differs is patched.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

BULK = 500
AT_ONCE = 8

Document = Mapping[str, Any]


@dataclass
class Delivered:
    """What became of the documents. `refused` maps an id to the server's reason."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    renamed: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.created + self.changed + self.unchanged + len(self.refused)


def contains(stored: Any, sent: Any) -> bool:
    """Whether what was sent is found in what is stored: the server may have added attributes, not elements."""
    if isinstance(sent, Mapping):
        return isinstance(stored, Mapping) and all(
            name in stored and contains(stored[name], value) for name, value in sent.items()
        )
    if isinstance(sent, list):
        return (
            isinstance(stored, list)
            and len(stored) == len(sent)
            and all(contains(a, b) for a, b in zip(stored, sent, strict=True))
        )
    if isinstance(sent, bool) or isinstance(stored, bool):
        return sent is stored
    return bool(stored == sent)


def difference(stored: Document, sent: Document) -> dict[str, Any]:
    """The merge patch that brings what was sent into what is stored; empty if it is there.

    Characteristics are known by their name: those that others have added stay.
    """
    patch: dict[str, Any] = {}
    for name, value in sent.items():
        if name in ("id", "href"):
            continue
        wanted = value
        if name == "characteristic" and isinstance(value, list) and isinstance(stored.get(name), list):
            wanted = _characteristics(stored[name], value)
        if not contains(stored.get(name), wanted):
            patch[name] = wanted
    return patch


def _characteristics(stored: Sequence[Document], sent: Sequence[Document]) -> list[Document]:
    new = {c.get("name"): c for c in sent}
    kept = [new.pop(c.get("name"), c) for c in stored]
    return [*kept, *new.values()]


class Collection:
    """One collection of one server."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self.client, self.url = client, url
        self._bulk = True

    async def total(self, **where: str) -> int:
        """How many there are (X-Total-Count)."""
        answer = await self.client.get(self.url, params={**where, "limit": 1, "fields": "id"})
        answer.raise_for_status()
        return int(answer.headers.get("x-total-count", len(answer.json())))

    async def deliver(self, documents: Sequence[Document], told: Callable[[int], None]) -> Delivered:
        """Bring every document there. `told` hears how many are done."""
        result = Delivered()
        for begin in range(0, len(documents), BULK):
            chunk = documents[begin : begin + BULK]
            if not await self._create_together(chunk, result):
                await _each(chunk, lambda document: self._bring(document, result))
            told(begin + len(chunk))
        return result

    async def _create_together(self, documents: Sequence[Document], result: Delivered) -> bool:
        """Whether the server took them all at once. What it refuses as a whole is asked one by one."""
        if not self._bulk:
            return False
        operations = [{"op": "add", "path": "/", "value": d} for d in documents]
        answer = await self.client.patch(
            self.url, content=json.dumps(operations), headers={"Content-Type": "application/json-patch+json"}
        )
        if answer.is_success:
            result.created += len(documents)
            for sent, stored in zip(documents, answer.json(), strict=False):
                result.renamed += "id" in sent and sent["id"] != stored.get("id")
            return True
        if answer.status_code in (404, 405, 415, 501):
            self._bulk = False
        elif answer.status_code >= 500:
            answer.raise_for_status()
        return False

    async def _bring(self, document: Document, result: Delivered) -> None:
        """One document: compared if it is there, created if not."""
        if "id" in document:
            stored = await self.client.get(f"{self.url}/{quote(document['id'], safe='')}")
            if stored.is_success:
                await self._compare(stored.json(), document, result)
                return
            if stored.status_code != 404:
                self._refused(document, stored, result)
                return
        answer = await self.client.post(self.url, json=document)
        if answer.is_success:
            result.created += 1
            result.renamed += "id" in document and document["id"] != answer.json().get("id")
        else:
            self._refused(document, answer, result)

    async def _compare(self, stored: Document, document: Document, result: Delivered) -> None:
        patch = difference(stored, document)
        if not patch:
            result.unchanged += 1
            return
        answer = await self.client.patch(
            f"{self.url}/{quote(document['id'], safe='')}",
            content=json.dumps(patch),
            headers={"Content-Type": "application/merge-patch+json"},
        )
        if answer.is_success:
            result.changed += 1
        else:
            self._refused(document, answer, result)

    def _refused(self, document: Document, answer: httpx.Response, result: Delivered) -> None:
        if answer.status_code >= 500:
            answer.raise_for_status()
        result.refused[str(document.get("id", f"#{result.total + 1}"))] = reason(answer)


def reason(answer: httpx.Response) -> str:
    """What a TMF Error says, in one line."""
    try:
        body = answer.json()
        told = body.get("message") or body.get("reason")
    except (ValueError, AttributeError):
        told = None
    return f"{answer.status_code} {told or answer.reason_phrase}"


async def _each(items: Iterable[Any], act: Callable[[Any], Awaitable[None]]) -> None:
    """All of them, some at once; the first failure ends the rest."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: Any) -> None:
        async with gate:
            await act(item)

    tasks = [asyncio.create_task(one(item)) for item in items]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
