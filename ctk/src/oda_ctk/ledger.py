"""What the kit has created and must take away again."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

import httpx

from oda_ctk.contract import Contract
from oda_ctk.exchange import Exchange, Target, Unanswered

MISSES = 2
"""So many requests in a row without an answer, and nothing more is tried: each may take the whole timeout."""


@dataclass
class Ledger:
    """Reads along all answers: a POST that made something is noted, a DELETE strikes it out."""

    contract: Contract
    base: str
    created: dict[tuple[str, str], str] = field(default_factory=dict)
    left_behind: list[str] = field(default_factory=list)
    not_deleted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._prefix = httpx.URL(self.base).raw_path.decode().rstrip("/")
        self._lock = threading.Lock()

    def note(self, exchange: Exchange) -> None:
        """Remember what an exchange made or took away."""
        if not exchange.ok:
            return
        path = httpx.URL(exchange.url).raw_path.decode().split("?")[0].removeprefix(self._prefix)
        with self._lock:
            if exchange.method == "POST":
                self._made(path, exchange.document, exchange.headers.get("location", ""))
            elif exchange.method == "PATCH" and isinstance(exchange.json, list):
                for row in exchange.rows:
                    self._made(path, row, "")
            elif exchange.method == "DELETE":
                collection, _, id = path.rpartition("/")
                self.created.pop((collection, unquote(id)), None)

    def _made(self, path: str, document: dict[str, object], location: str) -> None:
        id = str(document.get("id") or unquote(location.rstrip("/").rpartition("/")[2]))
        if id:
            self.created[(path, id)] = path

    def clear(self, target: Target) -> None:
        """Delete everything, the newest first. What the API cannot delete is told in `left_behind`."""
        with self._lock:
            entries = list(reversed(self.created))
        missed = 0
        for path, id in entries:
            one = f"{path}/{quote(id, safe='')}"
            if missed == MISSES:
                self.not_deleted.append(f"{one}: not tried, nobody answers")
                continue
            if self.contract.operation("DELETE", f"{path}/{{id}}") is None and not self._by_shape(path):
                self.left_behind.append(one)
                continue
            try:
                exchange = target.delete(one)
                if not exchange.ok and exchange.status not in (404, 410):
                    self.not_deleted.append(f"{one}: DELETE was answered with {exchange.status}")
                missed = 0
            except Unanswered as fault:
                missed += 1
                self.not_deleted.append(f"{one}: {fault}")
        self.created.clear()

    def _by_shape(self, path: str) -> bool:
        """Whether the contract deletes members of a collection below a parent: /topic/17/event."""
        parts = path.split("/")
        for operation in self.contract.operations:
            shape = operation.path.split("/")
            fits = all(s.startswith("{") or s == p for s, p in zip(shape, parts, strict=False))
            if operation.method == "DELETE" and len(shape) == len(parts) + 1 and fits:
                return True
        return False
