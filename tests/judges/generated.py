"""What schemathesis has to know to make valid requests where JSON Schema cannot say what valid is.

TMF630 filters are JSONPath, patches speak of places in a document: a random text is no valid one of either. Invalid
ones are sent by tests/test_any_input.py.
"""

from __future__ import annotations

import json

import schemathesis
from hypothesis import strategies as st

WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789 äé", min_size=1, max_size=12)
NAME = st.sampled_from(["x_note", "x_mark", "x_level"])
VALUE = st.one_of(WORD, st.integers(-1000, 1000), st.booleans(), st.lists(WORD, max_size=2))
COMPARED = st.sampled_from(["==", "!="])

FILTER = st.builds(
    lambda name, how, word: f"$[?(@.{name}{how}{json.dumps(word, ensure_ascii=False)})]",
    st.sampled_from(["id", "href"]),
    COMPARED,
    WORD,
)
ADDED = st.builds(lambda name, value: {"op": "add", "path": f"/{name}", "value": value}, NAME, VALUE)


def _bytes(operations: list[dict[str, object]]) -> bytes:
    return json.dumps(operations).encode()


PATCH = st.lists(ADDED, min_size=1, max_size=3).map(_bytes)


def register() -> None:
    """Make the strategies known, once."""
    schemathesis.openapi.format("jsonpath", FILTER)
    schemathesis.openapi.media_type("application/json-patch+json", PATCH)
    schemathesis.openapi.media_type("application/json-patch-query+json", PATCH)
