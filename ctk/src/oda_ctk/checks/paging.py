"""Pages: their numbers, their links, and that together they are the whole."""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import parse_qs, urlsplit

from oda_ctk.check import FILE, MUST, PART_1, SHOULD, NotApplicable, check, expect
from oda_ctk.exchange import Exchange
from oda_ctk.subject import Subject

NEXT = re.compile(r'<([^>]*)>\s*;[^,]*rel="?next"?')
MANY = 300


def _set(s: Subject) -> tuple[tuple[tuple[str, str], ...], int]:
    """A question and how many it finds: about the kit's own resources, where they can be told apart, else about all."""
    docs = s.specimens()
    if s.marker and s.has("create"):
        shown = [str(d[s.marker]) for d in docs if d.get(s.marker)]
        for values in (dict.fromkeys(shown), dict.fromkeys(shown[:1])):  # one, where a comma means nothing
            question = ((s.marker, ",".join(values)),)
            if values and s.ask(*question).rows:
                return question, sum(value in values for value in shown)
    rows, _ = s.read()
    return (), len(rows)


def _total(answer: Exchange) -> int:
    told = answer.headers.get("x-total-count", "")
    expect(told.isdigit(), f"X-Total-Count is {told!r}", answer)
    return int(told)


@check("paging.total", MUST, f"{PART_1} 4.5", needs=("list",))
def total_of_filtered(s: Subject) -> None:
    """X-Total-Count is the size of the filtered set, whatever the page."""
    question, count = _set(s)
    one = s.specimens()[0]["id"]
    for id, wanted in ((str(one), 1), (f"ctk-none-{s.session.run}", 0)):
        answer = s.ask(("id", id))
        expect(_total(answer) == wanted, f"X-Total-Count is {_total(answer)}, but {wanted} have the id {id}", answer)
    for limit, offset in ((100, 0), (1, 0), (2, 1)):
        answer = s.ask(*question, limit=limit, offset=offset)
        expect(
            _total(answer) == count or not question,
            f"X-Total-Count is {_total(answer)}, but {count} resources match",
            answer,
        )
    if s.marker and s.has("create"):
        value = str(s.specimens()[0][s.marker])
        wanted = sum(d[s.marker] == value for d in s.specimens())
        answer = s.ask((s.marker, value), limit=1)
        expect(_total(answer) == wanted, f"X-Total-Count is {_total(answer)}, but {wanted} resources match", answer)


@check("paging.result-count", MUST, f"{FILE}: GET {{resource}}", needs=("list",))
def result_count(s: Subject) -> None:
    """X-Result-Count is the number of resources on the page."""
    question, _ = _set(s)
    for limit in (1, 2, 100):
        answer = s.ask(*question, limit=limit)
        told = answer.headers.get("x-result-count", "")
        expect(told == str(len(answer.rows)), f"X-Result-Count is {told!r} for {len(answer.rows)} resources", answer)


@check("paging.limit", MUST, f"{PART_1} 4.5", needs=("list",))
def limit_is_kept(s: Subject) -> None:
    """A page has no more resources than limit, and as many as it can."""
    question, count = _set(s)
    for limit in (1, 2, 3):
        answer = s.ask(*question, limit=limit)
        expect(answer.status in (200, 206), f"{answer.told()} with limit={limit}", answer)
        expect(len(answer.rows) == min(limit, count), f"limit={limit} gives {len(answer.rows)} of {count}", answer)


@check("paging.joined", MUST, f"{PART_1} 4.5", needs=("list",))
def joined(s: Subject) -> str:
    """The pages together are the whole, without repetition or gap."""
    question, count = _set(s)
    rows, whole = s.read(*question)
    expected = [r.get("id") for r in rows]
    size = 2 if count < 20 else max(2, count // 5)
    ids: list[object] = []
    page = whole
    while len(ids) <= count + size:
        page = s.ask(*question, limit=size, offset=len(ids))
        if not page.rows:
            break
        ids += [r.get("id") for r in page.rows]
        if len(page.rows) < size:
            break
    repeated = [id for id, n in Counter(ids).items() if n > 1]
    expect(not repeated, f"pages of {size} repeat {len(repeated)} of {count}, for instance {repeated[:1]}", page, whole)
    missing = set(expected) - set(ids)
    expect(not missing, f"pages of {size} leave out {len(missing)} of {count}", page, whole)
    expect(set(ids) == set(expected) or not question, "pages have resources that the whole lacks", page, whole)
    return f"{len(ids)} resources on pages of {size}"


@check("paging.beyond", SHOULD, f"{PART_1} 4.5", needs=("list",))
def beyond_the_end(s: Subject) -> None:
    """An offset beyond the end gives an empty page."""
    question, _ = _set(s)
    answer = s.ask(*question, offset=10_000_000)
    expect(answer.status in (200, 206, 416), f"{answer.told()}", answer)
    expect(answer.status == 416 or answer.json == [], "resources are found beyond the end", answer)


@check("paging.whole-is-200", MUST, f"{PART_1} 4.5", needs=("list",))
def whole_is_200(s: Subject) -> None:
    """The whole in one answer has status 200, not 206."""
    question, count = _set(s)
    if count > MANY:
        raise NotApplicable("there is too much for one page")
    answer = s.ask(*question, limit=MANY)
    if len(answer.rows) < count:
        raise NotApplicable("the server's largest page is smaller")
    expect(answer.status == 200, f"{answer.told()} for the whole", answer)


@check("paging.part-is-206", SHOULD, f"{PART_1} 4.5", needs=("list",))
def part_is_206(s: Subject) -> None:
    """A page that is a part only has status 206."""
    question, count = _set(s)
    if count < 2:
        raise NotApplicable("there are not two resources")
    answer = s.ask(*question, limit=1)
    expect(answer.status == 206, f"{answer.told()} for 1 of {count}", answer)


@check("paging.negative", SHOULD, f"{PART_1} 4.5", needs=("list",))
def negative(s: Subject) -> None:
    """A negative offset or limit is refused with 400."""
    for name, value in (("offset", "-1"), ("limit", "-1")):
        answer = s.ask((name, value))
        expect(answer.status == 400, f"{name}={value} is answered with {answer.status}", answer)


@check("paging.not-a-number", MUST, f"{PART_1} 4.5", needs=("list",))
def not_a_number(s: Subject) -> None:
    """An offset or limit that is no number is refused with 400."""
    for name in ("offset", "limit"):
        answer = s.ask((name, "many"))
        expect(answer.status == 400, f"{name}=many is answered with {answer.status}", answer)


@check("paging.huge", MUST, f"{PART_1} 4.5", needs=("list",))
def huge(s: Subject) -> None:
    """A very large limit or offset is cut or refused, never answered with 5xx."""
    for name in ("limit", "offset"):
        for value in ("1000000000", "99999999999999999999999999"):
            answer = s.ask((name, value))
            expect(answer.status < 500, f"{name}={value} is answered with {answer.status}", answer)


@check("paging.link", SHOULD, f"{PART_1} 4.5", needs=("list",))
def links(s: Subject) -> str:
    """Link rel="next" leads from page to page through the whole, and keeps the other parameters."""
    question, count = _set(s)
    if count < 2:
        raise NotApplicable("there are not two resources")
    size = min(2, count - 1) if count < 20 else max(2, count // 5)
    page = s.ask(*question, ("fields", "none"), limit=size)
    if not all("id" in r for r in page.rows):
        raise NotApplicable("fields=none leaves no id; read.fields.none judges that")
    expect("link" in page.headers or count <= size, "a part has no Link header", page)
    ids = [r.get("id") for r in page.rows]
    root = "://".join(urlsplit(s.target.base)[:2])
    for _ in range(count):
        found = NEXT.search(page.headers.get("link", ""))
        if not found or len(ids) > count:
            break
        parts = urlsplit(found[1])
        told = parse_qs(parts.query)
        for name, _value in question:
            expect(name in told, f"the link to the next page loses {name}", page)
        page = s.target.get(f"{root}{parts.path}?{parts.query}")
        expect(page.status in (200, 206), f"the link to the next page is answered with {page.status}", page)
        expect(bool(page.rows), "the link to the next page leads to an empty page", page)
        ids += [r.get("id") for r in page.rows]
    expect(len(ids) == len(set(ids)), "the links lead to some resources twice", page)
    expect(len(ids) >= count, f"the links lead to {len(ids)} of {count} resources", page)
    return f"{len(ids)} resources by links"
