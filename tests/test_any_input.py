"""Whatever is sent to the declared resources is answered, never with a 5xx, and what was stored stays readable.

Good bodies, patches and questions with one or two values replaced by what has broken servers before; by a seed.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from churn_prediction.main import component as churn
from customer_360.main import component as customers
from experience_management.main import component as experience
from service_quality.main import component as quality
from tmfkit import Component
from tmfkit.testing import Case, Running, Subject, cases, running
from tmfkit.types import Document

ROUNDS = 120
VALUES: list[Any] = [
    "", " ", "\u0000", "a" * 5000, "é😀\u202e", "'; DROP TABLE customer;--", "\\", '"', "null", "1e400", "٣", "1_000",
    "2026-13-01", "2026-01-01T00:00:00+23:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01",
    0, -1, 1.5, 1e308, 2**31, 2**53 + 1, 2**64 - 1, True, None, [], {}, [None], [[]], {"": ""}, {"id": 5}, {"id": "x"},
    [{"id": "x"}, {"id": "x"}], {"a": {"b": [1, {"c": None}]}}, ["a"] * 300,
]  # fmt: skip
TEXTS = [
    "", "%00", "a", "-5", "1e308", "1e999", "true", "null", "a,b,c", "\\", "\\,", "[", "(a+)+$", "^(?!x)", "2026",
    "2026-13", "9999-12-31", "0001-01-01", "2026-01-01T00:00:00+23:00", "a" * 3000, "%ff", "%ED%A0%80", "*", "_", "{",
    "🙂", "٣", ",", ";", "=", "\\d{1000}", "(?i)x",
]  # fmt: skip
OPERATORS = ["", ".eq", ".ne", ".gt", ".lte", ".regex", ".in", ".nin", ".like", ".between", ".isnull", ".contains"]
QUESTIONS: list[Callable[[str, str], str]] = [
    lambda name, text: f"sort=-{name},{text}",
    lambda name, text: f"fields={name},{text}",
    lambda name, text: f"filter=$[?(@.{name}=='{text}')]",
    lambda name, text: f"filter={name}[?(@.id>{text})]",
    lambda name, text: f"offset={text}&{name}=1",
    lambda name, text: f"limit={text}",
    lambda name, text: f"{name}%3E{text}",
    lambda name, text: f"{name}={text};{name}={text}",
]
Spot = tuple[str | int, ...]


def spots(node: Any, above: Spot = ()) -> Iterator[Spot]:
    """Every place in a document."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        yield (*above, key)
        yield from spots(value, (*above, key))


def replaced(doc: Document, spot: Spot, value: Any) -> Document:
    doc = copy.deepcopy(doc)
    node: Any = doc
    for key in spot[:-1]:
        node = node[key]
    node[spot[-1]] = value
    return doc


class Caller:
    """Sends what the seed says, and minds the answers."""

    def __init__(self, app: Running, seed: int) -> None:
        self.app, self.rng = app, random.Random(seed)
        self.statuses: set[int] = set()

    def send(self, method: str, path: str, sent: Any = None, media: str = "application/json") -> Any:
        content = None if sent is None else json.dumps(sent, ensure_ascii=False).encode()
        answer = self.app.request(method, path, content=content, headers={"content-type": media})
        assert answer.status_code < 500, f"{method} {path} {content!r}: {answer.text}"
        if answer.status_code >= 400:
            assert answer.json()["status"] == str(answer.status_code)
        self.statuses.add(answer.status_code)
        return answer

    def create(self, case: Case, good: Document) -> None:
        doc = good
        for _ in range(self.rng.randint(1, 2)):
            places = list(spots(doc))
            if places:
                doc = replaced(doc, self.rng.choice(places), self.rng.choice(VALUES))
        answer = self.send("POST", case.path, doc)
        if answer.status_code in (201, 202) and case.has("retrieve"):
            assert self.send("GET", answer.json()["href"]).status_code == 200

    def change(self, case: Case, one: str) -> None:
        spot = self.rng.choice(list(spots(self.send("GET", one).json())))
        value, path = self.rng.choice(VALUES), "/" + "/".join(str(key) for key in spot)
        way = self.rng.randrange(3)
        if way == 0:
            self.send("PATCH", one, {str(spot[0]): value})
        elif way == 1:
            op, at = self.rng.choice(["add", "replace", "remove", "test", "move", 5]), self.rng.choice([path, "", 7])
            operation = {"op": op, "path": at, "value": value, "from": self.rng.choice([path, "/id", ""])}
            self.send("PATCH", one, [operation], "application/json-patch+json")
        else:
            at = self.rng.choice([f"{path}?id={value}", f"/{spot[0]}[?(@.id=='{value}')]", f"{path}?", "[?", "/a[(1)]"])
            operation = {"op": self.rng.choice(["add", "replace", "remove"]), "path": at, "value": value}
            self.send("PATCH", one, [operation], "application/json-patch-query+json")
        assert self.send("GET", one).status_code == 200

    def ask(self, case: Case, good: Document) -> None:
        names = [".".join(str(k) for k in s if isinstance(k, str)) for s in spots(good)]
        name, text = self.rng.choice([*names, "id", "@type", "nothing"]), self.rng.choice(TEXTS)
        plain = f"{name}{self.rng.choice(OPERATORS)}={text}"
        question = self.rng.choice([plain, plain, self.rng.choice(QUESTIONS)(name, text)])
        self.send("GET", f"{case.path}?{quote(question, safe='%&=;,.()[]?@$*')}")


@pytest.mark.parametrize("component", [customers, quality, experience, churn], ids=lambda c: c.name)
def test_whatever_is_sent_is_never_answered_with_a_5xx(component: Component) -> None:
    with running(component, upstream_retries=0) as app:
        caller, found = Caller(app, 1), cases(component)
        ids: dict[str, str] = {}
        for n in range(ROUNDS):
            case = found[n % len(found)]
            good = Subject(app, case).body(n % 5)
            if case.has("create"):
                caller.create(case, good)
            if case.has("create", "patch", "retrieve"):
                if str(case) not in ids:
                    ids[str(case)] = caller.send("POST", case.path, good).json()["id"]
                caller.change(case, f"{case.path}/{ids[str(case)]}")
            if case.has("list"):
                caller.ask(case, good)
        for case in cases(component, "list"):
            for name in case.view.resource.index:
                if case.view.names(name) is not None:
                    assert caller.send("GET", f"{case.path}?sort={name}&limit=1").status_code in (200, 206)
    assert {200, 201, 400} <= caller.statuses
