"""One judgement of one implementation: the target, the contract, the suite, and what is shared by all checks."""

from __future__ import annotations

import itertools
import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from oda_ctk.check import Blocked, NotApplicable, Profile
from oda_ctk.contract import Contract
from oda_ctk.exchange import Exchange, Target, Unanswered
from oda_ctk.ledger import Ledger
from oda_ctk.listener import Listener
from oda_ctk.subject import Subject
from oda_ctk.suite import Suite

PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
MAX_REMEMBERED = 20_000
EVERYTHING = "all"
ELSEWHERE = {"id": "ctk-1", "href": "https://example.org/ctk/1"}


@dataclass
class Session:
    """`patience_s`: how long an event or an asynchronous result is waited for.

    `tainted`: ids of resources that should have been refused; their answers prove nothing more.
    `gone_since`: the check since which nobody takes a connection any more.
    """

    contract: Contract
    suite: Suite
    base: str
    headers: dict[str, str] = field(default_factory=dict)
    profile: Profile = "core"
    patience_s: float = 10.0
    timeout_s: float = 30.0
    listener_host: str = "127.0.0.1"
    listener_port: int = 0

    def __post_init__(self) -> None:
        self.run = uuid.uuid4().hex[:8]
        self.exchanges: list[Exchange] = []
        self.tainted: set[str] = set()
        self.gone_since = ""
        self.ledger = Ledger(self.contract, self.base)
        self.target = Target(self.base, self.headers, self.timeout_s, self._watch)
        self.quiet = Target(self.base, self.headers, 2.0, lambda exchange: None)
        self.subjects = {facts.path: Subject(self, facts) for facts in self.contract.resources() if facts.name != "hub"}
        self._numbers = itertools.count(1)
        self._made: dict[str, dict[str, Any]] = {}
        self._listener: Listener | None = None
        self._hub: Exchange | None = None
        self._lock = threading.Lock()

    @property
    def v5(self) -> bool:
        """Whether the rules of the fifth generation hold: @type everywhere, four media types of PATCH."""
        return self.contract.version != "v4"

    @property
    def api(self) -> Session:
        """A check of the whole API finds here what a check of a resource finds in its subject."""
        return self

    def _watch(self, exchange: Exchange) -> None:
        self.ledger.note(exchange)
        if len(self.exchanges) < MAX_REMEMBERED:
            self.exchanges.append(exchange)

    def taint(self, answer: Exchange) -> None:
        """Mark what was made though it should have been refused, unless the id is one that was shown before."""
        id = str(answer.document.get("id"))
        before = (row for e in self.exchanges if e is not answer for row in (e.rows or [e.document]))
        if not any(str(row.get("id")) == id for row in before):
            self.tainted.add(id)

    def subject(self, name: str) -> Subject | None:
        return next((s for s in self.subjects.values() if s.name == name), None)

    def is_there(self) -> bool:
        """Whether somebody takes connections; an implementation that is being restarted is waited for."""
        deadline = time.monotonic() + self.patience_s
        while not self.target.stopping:
            try:
                self.quiet.get(next(iter(self.subjects.values())).facts.path)
                return True
            except Unanswered as fault:
                if not fault.nobody:
                    return True
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.2)
        return True

    # --- bodies ------------------------------------------------------------------------------------------

    def filled(self, value: Any) -> Any:
        """A payload of a suite with its placeholders replaced."""
        if isinstance(value, dict):
            return {k: self.filled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.filled(v) for v in value]
        if isinstance(value, datetime):  # YAML reads an unquoted instant as one
            return value.isoformat().replace("+00:00", "Z")
        if not isinstance(value, str):
            return value
        whole = PLACEHOLDER.fullmatch(value)
        if whole:
            return self._named(whole[1])
        return PLACEHOLDER.sub(lambda m: str(self._named(m[1])), value)

    def _named(self, word: str) -> Any:
        if word == "run":
            return self.run
        if word == "n":
            return next(self._numbers)
        if word == "now":
            return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        name, _, attribute = word.partition(".")
        if name not in self._made:
            subject = self.subject(name.partition("#")[0])
            if subject is None:
                raise Blocked(f"the suite names ${{{word}}}, but the API has no {name}")
            # What the implementation does not have at all is named as if it were elsewhere.
            self._made[name] = subject.created() if subject.present else dict(ELSEWHERE)
        return self._made[name].get(attribute)

    # --- notifications -----------------------------------------------------------------------------------

    @property
    def listener(self) -> Listener:
        """The kit's own listener, running from the first use on."""
        with self._lock:
            if self._listener is None:
                self._listener = Listener(self.listener_host, self.listener_port, probe=self._readable)
            return self._listener

    def _readable(self, event: dict[str, Any]) -> int | None:
        """Status of a GET of what a create event tells of, asked at the moment of its arrival."""
        kind = str(event.get("eventType", ""))
        if not kind.lower().endswith(("createevent", "creationnotification")):
            return None
        owner = next((s for s in self.subjects.values() if kind in s.facts.events), None)
        for name, resource in (event.get("event") or {}).items():
            subject = owner or self.subject(name)
            if subject and subject.has("retrieve") and isinstance(resource, dict) and "{" not in subject.facts.path:
                try:
                    return self.quiet.get(f"{subject.facts.path}/{quote(str(resource.get('id')), safe='')}").status
                except Unanswered:
                    return None
        return None

    def has_hub(self) -> bool:
        return self.contract.operation("POST", "/hub") is not None

    def subscribe(self, token: str, query: str = "") -> Exchange:
        """Register a callback of the kit's listener at the hub."""
        if not self.has_hub():
            raise NotApplicable("the API has no hub")
        body: dict[str, Any] = {"callback": self.listener.callback(token)}
        if self.v5:
            body["@type"] = "Hub"
        if query:
            body["query"] = query
        return self.target.post("/hub", body)

    def subscribed(self) -> Exchange:
        """The subscription to everything that the stories of all resources share."""
        if self._hub is None:
            self._hub = self.subscribe(EVERYTHING)
            time.sleep(0.1)
        if not self._hub.ok:
            raise Blocked(f"the hub refuses a subscription with {self._hub.status}")
        return self._hub

    def unsubscribe(self) -> None:
        """End the shared subscription, for implementations that take one listener only."""
        if self._hub is not None and self._hub.ok:
            self.target.delete(f"/hub/{quote(str(self._hub.document.get('id')), safe='')}")
        self._hub = None

    def close(self) -> None:
        """Delete what was made, and end."""
        try:
            self.ledger.clear(self.target)
        finally:
            self.target.close()
            self.quiet.close()
            if self._listener is not None:
                self._listener.close()
