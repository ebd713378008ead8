"""Sizes and odd inputs: refused or accepted, but never a failure of the server."""

from __future__ import annotations

from oda_ctk.check import MUST, PART_1, NotApplicable, check, expect
from oda_ctk.subject import Subject

LARGE = 12 * 1024 * 1024
DEEP = 3000


@check("limits.large-body", MUST, f"{PART_1} 3.3", needs=("create",))
def large_body(s: Subject) -> str:
    """A very large body is refused with 413 or 400, or accepted; it is no failure of the server."""
    if not s.marker:
        raise NotApplicable("no attribute is known that takes any text")
    answer = s.post({**s.body(), s.marker: "x" * LARGE})
    expect(answer.ok or 400 <= answer.status < 500, f"{LARGE >> 20} MiB are answered with {answer.status}", answer)
    return f"answered with {answer.status}"


@check("limits.deep-body", MUST, f"{PART_1} 3.3", needs=("create",))
def deep_body(s: Subject) -> str:
    """A very deeply nested body is refused or accepted; it is no failure of the server."""
    answer = s.target.post(s.path, content=b'{"ctk":' * DEEP + b"1" + b"}" * DEEP)
    expect(answer.status < 500, f"{DEEP} levels are answered with {answer.status}", answer)
    return f"answered with {answer.status}"


@check("limits.characters", MUST, f"{PART_1} 3.3", needs=("create",))
def characters(s: Subject) -> None:
    """Characters that stores dislike (NUL, half a surrogate, control) are refused or kept; no failure of the server."""
    if not s.marker:
        raise NotApplicable("no attribute is known that takes any text")
    for text in ("a\x00b", "a\x01b\x7f", "\ufffe"):
        answer = s.post({**s.body(), s.marker: text})
        expect(answer.status < 500, f"the text {text!r} is answered with {answer.status}", answer)
    half = s.target.post(s.path, content=b'{"' + s.marker.encode() + b'": "\\ud800"}')
    expect(half.status < 500, f"half a surrogate is answered with {half.status}", half)


@check("limits.numbers", MUST, "RFC 8259 6", needs=("create",))
def numbers(s: Subject) -> None:
    """NaN and infinity, which JSON does not have, are refused with 400; huge numbers are no failure of the server."""
    for content in (b'{"ctk": NaN}', b'{"ctk": -Infinity}'):
        answer = s.target.post(s.path, content=content)
        expect(answer.status == 400, f"{content!r} is answered with {answer.status}", answer)
    body = b'{"ctk": 1' + b"0" * 400 + b"}"
    answer = s.target.post(s.path, content=body)
    expect(answer.status < 500, f"a huge number is answered with {answer.status}", answer)


@check("limits.query", MUST, f"{PART_1} 3.3", needs=("list",))
def odd_queries(s: Subject) -> None:
    """Odd queries are answered or refused; they are no failure of the server."""
    for raw in (
        "&&&",
        "=",
        "id=%00",
        "id=%FF%FE",
        "id='%20OR%201=1--",
        "sort=,,",
        "fields=,",
        "id=" + "x" * 3000,
        "name.regex=(a%2B)%2B$",
        "name.regex=[",
    ):
        answer = s.ask(raw=raw)
        expect(answer.status < 500, f"?{raw[:40]} is answered with {answer.status}", answer)
