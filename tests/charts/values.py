"""values.yaml and its schema. Comments of a value: `# @schema {...}` where its type says too little, `# -- what it is`.

A chart's values are its own part and, below the line, the part that all components share.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from facts import HELM

LINE = re.compile(r"^( *)([A-Za-z][A-Za-z0-9_-]*):(.*)$")
SCHEMA, TOLD = "# @schema ", "# -- "
SHARED = "# From here on"
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def joined(own: str, shared: str) -> str:
    """A chart's values with its own part kept and the shared part as it is now."""
    return own.partition(SHARED)[0].rstrip() + "\n\n" + shared.rstrip() + "\n"


def commented(text: str) -> dict[tuple[str, ...], tuple[dict[str, Any], str]]:
    """Path of each value -> what its comments say: schema, description. Raises ValueError on a comment out of place."""
    found: dict[tuple[str, ...], tuple[dict[str, Any], str]] = {}
    path: list[tuple[int, str]] = []
    schema: dict[str, Any] = {}
    told = ""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if words.startswith(SCHEMA):
            schema = json.loads(words.removeprefix(SCHEMA))
        elif words.startswith(TOLD):
            told = words.removeprefix(TOLD)
        elif match := LINE.match(line):
            depth = len(match[1])
            path = [*(p for p in path if p[0] < depth), (depth, match[2])]
            found[tuple(name for _, name in path)] = (schema, told)
            schema, told = {}, ""
        elif words and not words.startswith("#") and (schema or told):
            raise ValueError(f"line {number}: a comment that belongs to no value")
    return found


def schema(text: str) -> dict[str, Any]:
    """The JSON schema (draft 07) of a values.yaml: nothing unknown, every value described."""
    comments = commented(text)

    def of(value: Any, path: tuple[str, ...]) -> dict[str, Any]:
        said, told = comments.get(path, ({}, ""))
        if isinstance(value, dict) and value and not said:
            return {
                "type": "object",
                **({"description": told} if told else {}),
                "properties": {name: of(inner, (*path, name)) for name, inner in value.items()},
                "additionalProperties": False,
            }
        if not told:
            raise ValueError(f"{'.'.join(path)} has no description")
        typed = said if said else {"type": TYPES[type(value)]}
        return {"description": told, **typed, "default": value}

    values = yaml.safe_load(text)
    return {"$schema": "http://json-schema.org/draft-07/schema#", **of(values, ())}


def shared() -> str:
    return (HELM / "library" / "common.yaml").read_text()


def schema_text(values: Path) -> str:
    return json.dumps(schema(values.read_text()), indent=1, ensure_ascii=False) + "\n"
