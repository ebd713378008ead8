"""3GPP performance measurement files in XML (TS 32.435, measCollecFile): bytes in, measurement rows out, one pass.

Both forms of the format are read: measType/r with their p index, and the measTypes/measResults lists. A file may come
from anywhere, so a document type declaration is refused before anything in it is expanded. Namespaces are not compared:
vendors write their own. Read with expat directly, because only it tells the line of a fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from xml.parsers import expat

from service_quality.domain.kpi import CATALOGUE
from service_quality.domain.measurement import SourceFault, SourceRow, granularity_s, instant

_NAMESPACE_MARK = " "
_NO_RESULT = frozenset({"", "NIL", "NULL"})
_TEXT_OF = frozenset({"measType", "measTypes", "r", "measResults", "suspect"})


@dataclass(frozen=True, slots=True)
class Counter:
    """What a counter of a file is called here: the reported number times `factor`, in `unit`."""

    kpi: str
    service: str | None = None
    unit: str | None = None
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class PmMapping:
    """How a file's names become ours.

    A counter not in `counters` keeps its measType as KPI name and its number in the unit 3GPP gives that counter,
    unless `only_mapped`. The resource is the value of the first of `resource_rdns` in the measured object's name
    ("NRCellDU" of "GNBDUFunction=1,NRCellDU=17" gives "17"), else the whole distinguished name. Values the sender
    marked suspect are reported, not taken, unless `suspect` is "keep".
    """

    service: str
    counters: Mapping[str, Counter] = field(default_factory=dict)
    only_mapped: bool = False
    resource_rdns: tuple[str, ...] = ()
    source: str | None = None
    suspect: Literal["report", "keep"] = "report"


class _Stop(Exception):
    """Leaves expat from inside a handler."""


def read(chunks: Iterable[bytes], mapping: PmMapping) -> Iterator[SourceRow | SourceFault]:
    """Rows for `measurement.parse`, and faults with line and element, in the order of the file.

    A fault in one result, object or measInfo loses that part only. What breaks the file (no XML, a document type
    declaration, another root) is the last item: rows before it stand. `observedAt` is the beginning of the granularity
    period, endTime - duration (TS 32.435 gives the end). A result NIL is no row and no fault: it was not measured.
    """
    reader = _Reader(mapping)
    try:
        for chunk in chunks:
            reader.feed(chunk)
            yield from reader.taken()
        reader.feed(b"", final=True)
    except _Stop:
        pass
    yield from reader.taken()


class _Reader:
    """State of one pass over one file; lives as long as the pass."""

    def __init__(self, mapping: PmMapping) -> None:
        self._mapping = mapping
        self._out: list[SourceRow | SourceFault] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._text_line = 0
        self._attributes: dict[str, str] = {}
        self._sender = ""
        self._element_dn = ""
        self._period: tuple[datetime, int] | None = None
        self._types: dict[str, str] = {}
        self._object_dn = ""
        self._object_line = 0
        self._suspect = False
        self._results: list[tuple[int, str, str]] = []
        self._list: tuple[int, list[str]] | None = None
        self._parser = expat.ParserCreate(namespace_separator=_NAMESPACE_MARK)
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def feed(self, chunk: bytes, final: bool = False) -> None:
        try:
            self._parser.Parse(chunk, final)
        except expat.ExpatError as error:
            reason = f"not well-formed XML: {expat.ErrorString(error.code)}, column {error.offset + 1}"
            self._fault(self._path[-1] if self._path else "", reason, error.lineno)
            raise _Stop from error
        except (LookupError, ValueError) as error:  # the declared encoding is none, or none expat can read
            self._fault("", "the encoding of the file cannot be read")
            raise _Stop from error

    def taken(self) -> list[SourceRow | SourceFault]:
        out, self._out = self._out, []
        return out

    def _fault(self, element: str, reason: str, line: int | None = None) -> None:
        self._out.append(SourceFault(line or self._parser.CurrentLineNumber, element, reason))

    def _doctype(self, *_: object) -> None:
        self._fault("DOCTYPE", "a document type declaration is not allowed")
        raise _Stop

    def _characters(self, text: str) -> None:
        if self._path[-1] in _TEXT_OF:
            self._text.append(text)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(_NAMESPACE_MARK)[2]
        if not self._path and name != "measCollecFile":
            self._fault(name, "the root element is not measCollecFile (TS 32.435)")
            raise _Stop
        self._path.append(name)
        if name in _TEXT_OF:
            self._text, self._text_line, self._attributes = [], self._parser.CurrentLineNumber, attributes
        elif name == "fileSender":
            self._sender = attributes.get("localDn", "")
        elif name == "managedElement":
            self._element_dn = attributes.get("localDn", "")
        elif name == "measInfo":
            self._period, self._types = None, {}
        elif name == "granPeriod":
            self._period = self._granularity(attributes)
        elif name == "measValue":
            self._object_dn, self._suspect = attributes.get("measObjLdn", ""), False
            self._results, self._list = [], None
            self._object_line = self._parser.CurrentLineNumber

    def _end(self, _: str) -> None:
        name = self._path.pop()
        text = "".join(self._text).strip() if name in _TEXT_OF else ""
        if name == "measType":
            index = self._attributes.get("p", "")
            if not index or not text:
                self._fault(name, "an index p and a name are required", self._text_line)
            elif index in self._types:
                self._fault(name, f"index p={index} is given twice", self._text_line)
            else:
                self._types[index] = text
        elif name == "measTypes":
            self._types = {str(place): counter for place, counter in enumerate(text.split(), 1)}
        elif name == "suspect":
            self._suspect = text in ("true", "1")
        elif name == "r":
            self._results.append((self._text_line, self._attributes.get("p", ""), text))
        elif name == "measResults":
            self._list = (self._text_line, text.split())
        elif name == "measValue":
            self._value()

    def _granularity(self, attributes: Mapping[str, str]) -> tuple[datetime, int] | None:
        seconds, end = granularity_s(attributes.get("duration")), instant(attributes.get("endTime"))
        if seconds is None:
            self._fault("granPeriod", "duration is missing or no ISO 8601 duration up to 31 days")
        elif isinstance(end, str):
            self._fault("granPeriod", f"endTime: {end}")
        else:
            try:
                return end - timedelta(seconds=seconds), seconds
            except OverflowError:
                self._fault("granPeriod", "the period begins outside the calendar")
        return None

    def _value(self) -> None:
        """One measValue is complete: its results become rows, or one fault."""
        if self._suspect and self._mapping.suspect == "report":
            reason = f"{self._object_dn}: marked suspect by the sender, not taken"
            self._fault("measValue", reason, self._object_line)
        elif self._period is None:
            self._fault("measValue", f"{self._object_dn}: no usable granPeriod in its measInfo", self._object_line)
        elif self._list is not None and len(self._list[1]) != len(self._types):
            line, values = self._list
            self._fault("measResults", f"{len(values)} results for {len(self._types)} measTypes", line)
        else:
            began, seconds = self._period
            if self._list is not None:
                line, values = self._list
                self._results += [(line, str(place), text) for place, text in enumerate(values, 1)]
            for line, index, text in self._results:
                self._result(line, index, text, began, seconds)

    def _result(self, line: int, index: str, text: str, began: datetime, seconds: int) -> None:
        counter = self._types.get(index)
        if counter is None:
            self._fault("r", f"no measType has the index p={index}", line)
            return
        if text in _NO_RESULT:
            return
        rule = self._mapping.counters.get(counter)
        if rule is None:
            if self._mapping.only_mapped:
                return
            known = CATALOGUE.get(counter)
            rule = Counter(counter, unit=known.counter_unit if known else None)
        try:
            value = float(text) * rule.factor
        except ValueError:
            self._fault("r", f"{counter}: {text[:40]!r} is not a number", line)
            return
        row = {
            "resource": self._resource(),
            "service": rule.service or self._mapping.service,
            "kpi": rule.kpi,
            "value": value,
            "observedAt": began.isoformat(),
            "granularity": seconds,
            "source": self._mapping.source or self._sender or self._element_dn,
        }
        if rule.unit is not None:
            row["unit"] = rule.unit
        self._out.append(SourceRow(line, row))

    def _resource(self) -> str:
        name = ",".join(part for part in (self._element_dn, self._object_dn) if part)
        rdns = dict(part.strip().partition("=")[::2] for part in name.split(","))
        return next((rdns[rdn] for rdn in self._mapping.resource_rdns if rdns.get(rdn)), name)
