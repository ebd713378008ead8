"""Files as they are given: CSV, JSON, NDJSON, XML, each also gzipped. Rows and documents out, nothing interpreted."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cem.instance import InstanceError

_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Part:
    """Some lines of a CSV file with the header line before them. `line` is the file's number of the first of them."""

    content: bytes
    line: int


def content(path: Path) -> bytes:
    """The bytes of a file, unpacked. Error: InstanceError."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError) as e:
        raise InstanceError(f"{path} cannot be read: {e}.") from e


def text(path: Path) -> str:
    try:
        return content(path).decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise InstanceError(f"{path} is not UTF-8: byte {e.start} cannot be read.") from e


def table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows of a CSV file. The delimiter is the one of , ; tab | that the header holds most often."""
    lines = text(path)
    header = lines.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=header.count)
    reader = csv.DictReader(io.StringIO(lines, newline=""), delimiter=delimiter)
    names = list(reader.fieldnames or ())
    if not names:
        raise InstanceError(f"{path} has no header line.")
    # A cell too many or too few is for the mapping to judge, with its row: here it only must not be lost.
    return names, [{k: v for k, v in row.items() if k is not None and v is not None} for row in reader]


def documents(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON array, of one JSON object, or of NDJSON. Error: InstanceError with the line."""
    given = text(path)
    try:
        whole = json.loads(given)
    except ValueError:
        return [_object(line, f"{path}, line {i}") for i, line in enumerate(given.splitlines(), 1) if line.strip()]
    found = whole if isinstance(whole, list) else [whole]
    for i, document in enumerate(found, 1):
        if not isinstance(document, dict):
            raise InstanceError(f"{path}, item {i}: an object is expected.")
    return found


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError as e:
        raise InstanceError(f"{where}: this is no JSON: {e}.") from e
    if not isinstance(document, dict):
        raise InstanceError(f"{where}: an object is expected.")
    return document


def structure(path: Path) -> dict[str, Any]:
    """The object that a YAML or JSON file holds."""
    try:
        found = yaml.safe_load(text(path))
    except yaml.YAMLError as e:
        raise InstanceError(f"{path} is neither YAML nor JSON: {e}.") from e
    if not isinstance(found, dict):
        raise InstanceError(f"{path}: an object is expected.")
    return found


def parts(data: bytes, limit_bytes: int) -> Iterator[Part]:
    """A CSV file in parts of about `limit_bytes`, cut between records: a line end inside quotes is none."""
    lines = data.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)
    end = _record_end(lines, 0)
    header = b"".join(lines[:end])
    begin = end
    while begin < len(lines):
        size, end = len(header), begin
        while end < len(lines) and (end == begin or size < limit_bytes):
            following = _record_end(lines, end)
            size += sum(len(line) for line in lines[end:following])
            end = following
        yield Part(header + b"".join(lines[begin:end]), begin + 1)
        begin = end


def _record_end(lines: list[bytes], begin: int) -> int:
    """Number of the line after the record that begins at `begin`."""
    quotes = 0
    for i in range(begin, len(lines)):
        quotes += lines[i].count(b'"')
        if quotes % 2 == 0:
            return i + 1
    return len(lines)
