"""Performance measurements in CSV: text lines in, measurement rows out, by a mapping that is data.

Two shapes are read: long (a row holds one KPI, its name in a column) and wide (a column a KPI). Instants without an
offset need the offset of the mapping; what a cell means when it is empty is never guessed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from service_quality.domain.measurement import SourceFault, SourceRow

_ATTRIBUTES = ("id", "resource", "service", "kpi", "value", "unit", "observedAt", "granularity", "source")


@dataclass(frozen=True, slots=True)
class ValueColumn:
    """A column that holds the values of one KPI (wide shape): number times `factor`, in `unit`."""

    kpi: str
    unit: str | None = None
    factor: float = 1.0
    service: str | None = None


@dataclass(frozen=True, slots=True)
class CsvMapping:
    """Where the attributes of a measurement are found.

    `columns` maps an attribute to the column that holds it, `constants` to a value for all rows, `values` a column to
    the KPI it holds. `time_format` is a strptime format (None: ISO 8601), `offset_min` the offset of instants that
    carry none. Cells equal to one of `missing` hold nothing.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str | int | float] = field(default_factory=dict)
    values: Mapping[str, ValueColumn] = field(default_factory=dict)
    delimiter: str = ","
    decimal_comma: bool = False
    time_format: str | None = None
    offset_min: int | None = None
    missing: frozenset[str] = frozenset({"", "NIL", "NULL", "NA", "NaN", "-"})


@dataclass(frozen=True, slots=True)
class MappingFault:
    """What is wrong with a mapping document, by attribute."""

    attribute: str
    reason: str


def csv_mapping(document: Mapping[str, Any]) -> CsvMapping | tuple[MappingFault, ...]:
    """A mapping from its document (JSON or YAML, already read), or everything that is wrong with it."""
    faults = [MappingFault(name, "unknown attribute") for name in document if name not in CsvMapping.__slots__]

    def table(name: str, of: type | tuple[type, ...]) -> dict[str, Any]:
        given = document.get(name, {})
        if not isinstance(given, Mapping):
            faults.append(MappingFault(name, "an object is required"))
            return {}
        wrong = [key for key, value in given.items() if isinstance(value, bool) or not isinstance(value, of)]
        faults.extend(MappingFault(f"{name}.{key}", "has the wrong type") for key in wrong)
        return {key: value for key, value in given.items() if key not in wrong}

    columns, constants = table("columns", str), table("constants", (str, int, float))
    for name, mapped in (("columns", columns), ("constants", constants)):
        unknown = [key for key in mapped if key not in _ATTRIBUTES]
        faults.extend(MappingFault(f"{name}.{key}", f"none of {', '.join(_ATTRIBUTES)}") for key in unknown)
    values: dict[str, ValueColumn] = {}
    for column, given in table("values", (str, Mapping)).items():
        rule = {"kpi": given} if isinstance(given, str) else dict(given)
        rule.setdefault("factor", 1.0)
        strings = (rule.get("kpi"), rule.get("unit", ""), rule.get("service", ""))
        numeric = isinstance(rule["factor"], int | float) and not isinstance(rule["factor"], bool)
        if not all(isinstance(text, str) for text in strings) or not numeric or set(rule) - set(ValueColumn.__slots__):
            faults.append(MappingFault(f"values.{column}", "kpi, and optionally unit, factor, service, are required"))
        else:
            values[column] = ValueColumn(**rule)
    given_elsewhere = {"kpi", "value"} if values else set()
    for attribute in ("resource", "service", "kpi", "value", "observedAt"):
        by_rule = attribute == "service" and bool(values) and all(rule.service for rule in values.values())
        if attribute not in {*columns, *constants, *given_elsewhere} and not by_rule:
            faults.append(MappingFault(f"columns.{attribute}", "missing"))
    faults.extend(
        MappingFault(f"columns.{attribute}", "stands beside values") for attribute in given_elsewhere & set(columns)
    )
    delimiter, offset_min = document.get("delimiter", ","), document.get("offset_min")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n ':
        faults.append(MappingFault("delimiter", "one character is required"))
    if offset_min is not None and (type(offset_min) is not int or abs(offset_min) >= 24 * 60):
        faults.append(MappingFault("offset_min", "whole minutes within a day are required"))
    if not isinstance(document.get("time_format"), str | None):
        faults.append(MappingFault("time_format", "a string is required"))
    missing = document.get("missing", sorted(CsvMapping().missing))
    if not isinstance(missing, list) or not all(isinstance(text, str) for text in missing):
        faults.append(MappingFault("missing", "a list of strings is required"))
        missing = []
    if not isinstance(document.get("decimal_comma", False), bool):
        faults.append(MappingFault("decimal_comma", "true or false is required"))
    if faults:
        return tuple(faults)
    return CsvMapping(
        columns=columns,
        constants=constants,
        values=values,
        delimiter=delimiter,
        decimal_comma=document.get("decimal_comma", False),
        time_format=document.get("time_format"),
        offset_min=offset_min,
        missing=frozenset(missing),
    )


def read(lines: Iterable[str], mapping: CsvMapping) -> Iterator[SourceRow | SourceFault]:
    """Rows for `measurement.parse`, and faults with line and column, in the order of the file.

    The first line names the columns. A header without a mapped column, or text that is no CSV, ends the reading; a bad
    cell loses its value (wide) or its row (long) only. A missing value is no row and no fault: it was not measured.
    """
    reader = csv.reader(lines, delimiter=mapping.delimiter, strict=True)
    try:
        header = next(reader, None)
        if header is None:
            yield SourceFault(1, "", "the file is empty")
            return
        header[0] = header[0].removeprefix("\ufeff")
        place = {name.strip(): index for index, name in enumerate(header)}
        absent = [name for name in (*mapping.columns.values(), *mapping.values) if name not in place]
        if absent:
            yield from (SourceFault(1, name, "no such column") for name in absent)
            return
        line = reader.line_num + 1
        for cells in reader:
            if not any(cells):
                pass
            elif len(cells) != len(header):
                yield SourceFault(line, "", f"{len(cells)} cells for {len(header)} columns")
            else:
                yield from _rows(line, cells, place, mapping)
            line = reader.line_num + 1
    except csv.Error as error:
        yield SourceFault(reader.line_num, "", f"not CSV: {error}")


def _rows(
    line: int, cells: list[str], place: Mapping[str, int], mapping: CsvMapping
) -> Iterator[SourceRow | SourceFault]:
    row: dict[str, Any] = dict(mapping.constants)
    for attribute, column in mapping.columns.items():
        cell = cells[place[column]].strip()
        if cell not in mapping.missing:
            row[attribute] = cell
    if "observedAt" in mapping.columns and "observedAt" in row:
        observed = _instant(row["observedAt"], mapping)
        if observed is None:
            yield SourceFault(line, mapping.columns["observedAt"], f"{row['observedAt'][:40]!r} is no instant")
            return
        row["observedAt"] = observed
    granularity = row.get("granularity")
    if isinstance(granularity, str) and granularity.isdecimal():
        row["granularity"] = int(granularity)
    if "value" in mapping.columns:
        wanted = [(mapping.columns["value"], ValueColumn(""))]
    else:
        wanted = list(mapping.values.items())
    for column, rule in wanted:
        cell = cells[place[column]].strip()
        if cell in mapping.missing:
            continue
        value = _number(cell, mapping.decimal_comma)
        if value is None:
            yield SourceFault(line, column, f"{cell[:40]!r} is not a number")
            continue
        own = {"kpi": rule.kpi, "unit": rule.unit, "service": rule.service}
        yield SourceRow(
            line, {**row, "value": value * rule.factor, **{name: text for name, text in own.items() if text}}
        )


def _number(cell: str, decimal_comma: bool) -> float | None:
    if decimal_comma:
        cell = cell.replace(".", "").replace(",", ".")
    try:
        return float(cell)
    except ValueError:
        return None


def _instant(cell: str, mapping: CsvMapping) -> str | None:
    """The cell as ISO 8601 text; without offset where neither cell nor mapping has one (which `parse` will refuse)."""
    try:
        if mapping.time_format is None:
            at = datetime.fromisoformat(cell)
        else:
            at = datetime.strptime(cell, mapping.time_format)
    except ValueError:
        return None
    if at.tzinfo is None and mapping.offset_min is not None:
        at = at.replace(tzinfo=timezone(timedelta(minutes=mapping.offset_min)))
    return at.isoformat()
