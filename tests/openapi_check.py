"""The committed tables against TM Forum's files, and our exported OpenAPI files against the tables.

`python tests/openapi_check.py DIR`: DIR holds TM Forum's OpenAPI files. With --write the tables are made from them.
A difference of ours that openapi/deviations.yaml lists with its reason does not count.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from oda_ctk.contract import Contract, shipped, tables, write
from oda_ctk.openapi import from_openapi
from openapi_compare import Comparison, Difference, compare

ROOT = Path(__file__).resolve().parent.parent
OPENAPI = ROOT / "openapi"
DEVIATIONS = OPENAPI / "deviations.yaml"
UNPUBLISHED = (("TMF672", "v5"),)
"""No file of TM Forum's that is public has permissionSpecificationSet: the table says what the ODA Canvas calls."""
WORDS = 10
"""So many words in a row that are TM Forum's are a copy."""


@dataclass(frozen=True)
class Deviation:
    """Differences that are meant: `*` in `version` and `difference` stands for anything."""

    api: str
    version: str
    difference: str
    reason: str

    def covers(self, api: str, version: str, difference: Difference) -> bool:
        """Whether the entry lists this difference."""
        pairs = ((self.api, api), (self.version, version), (self.difference, str(difference)))
        return all(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text) for pattern, text in pairs)


def deviations(path: Path = DEVIATIONS) -> tuple[Deviation, ...]:
    """The entries of the file; ValueError for one that is incomplete."""
    listed = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    keys = {"api", "version", "difference", "reason"}
    for entry in listed:
        if not isinstance(entry, Mapping) or entry.keys() != keys or not all(str(v).strip() for v in entry.values()):
            raise ValueError(f"{path.name}: an entry is api, version, difference and reason, not {entry}")
    return tuple(Deviation(**{key: str(value) for key, value in entry.items()}) for entry in listed)


@dataclass(frozen=True)
class Served:
    """One exported file of ours, compared with the table of its API and version."""

    component: str
    api: str
    version: str
    comparison: Comparison

    def unlisted(self, listed: Iterable[Deviation]) -> tuple[Difference, ...]:
        """The differences that no deviation covers."""
        own = tuple(listed)
        return tuple(
            d for d in self.comparison.differences if not any(e.covers(self.api, self.version, d) for e in own)
        )


def exported(folder: Path = OPENAPI) -> Iterator[tuple[str, Contract]]:
    """Component and contract of each of our exported files of an API that has a table."""
    have = set(tables())
    for path in sorted(folder.glob("*/*.json")):
        contract = from_openapi(json.loads(path.read_text(encoding="utf-8")))
        if (contract.api, contract.version) in have:
            yield path.parent.name, contract


def served(folder: Path = OPENAPI) -> tuple[Served, ...]:
    """Every exported file compared."""
    return tuple(
        Served(component, c.api, c.version, compare(shipped(c.api, c.version), c)) for component, c in exported(folder)
    )


def unused(listed: Iterable[Deviation], of: Iterable[Served]) -> tuple[Deviation, ...]:
    """The entries that cover no difference: what they excused has gone."""
    found = [(s.api, s.version, d) for s in of for d in s.comparison.differences]
    return tuple(e for e in listed if not any(e.covers(*difference) for difference in found))


def published(folder: Path) -> dict[tuple[str, str], Path]:
    """The newest of TM Forum's files in a folder for each table that is made from one."""
    found: dict[tuple[str, str], tuple[list[int], Path]] = {}
    for path in sorted(folder.iterdir()):
        name = re.match(r"(TMF\d+)\D.*?v(\d+(?:\.\d+)*)", path.name)
        if path.suffix in (".json", ".yaml", ".yml") and name:
            number = [int(part) for part in name[2].split(".")]
            key = (name[1], f"v{number[0]}")
            if key not in found or number > found[key][0]:
                found[key] = (number, path)
    return {key: found[key][1] for key in tables() if key in found and key not in UNPUBLISHED}


def loaded(path: Path) -> dict[str, Any]:
    """An OpenAPI document in JSON or YAML."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return dict(json.loads(text))
    return dict(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def table_fault(api: str, version: str, path: Path, document: Mapping[str, Any]) -> str:
    """In what the table is not what TM Forum's document says; "" when it is."""
    theirs = write(from_openapi(document, api=api, version=version))
    ours = write(shipped(api, version))
    lines = difflib.unified_diff(ours.splitlines(), theirs.splitlines(), "table", path.name, n=0, lineterm="")
    return "" if theirs == ours else "\n".join([f"{api} {version}: the table is not what {path.name} says", *lines])


def runs(document: object) -> Iterator[tuple[str, ...]]:
    """Every run of WORDS words in the texts (description, summary) of a document."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            if key in ("description", "summary") and isinstance(value, str):
                words = re.findall(r"[a-z0-9]+", value.lower())
                yield from (tuple(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1))
            else:
                yield from runs(value)
    elif isinstance(document, list):
        for value in document:
            yield from runs(value)


def wording_faults(theirs: set[tuple[str, ...]], folder: Path = OPENAPI) -> Iterator[str]:
    """Our texts that have a run of words in common with TM Forum's."""
    for path in sorted(folder.glob("*/*.json")):
        same = set(runs(json.loads(path.read_text(encoding="utf-8")))) & theirs
        yield from (f"{path.parent.name}/{path.name}: TM Forum's words: {' '.join(run)}" for run in sorted(same))


def report(listed: tuple[Deviation, ...], compared: tuple[Served, ...]) -> int:
    """Each API with its differences, then the totals; how many are not listed."""
    open_ones = 0
    for api, version in tables():
        of = [s for s in compared if (s.api, s.version) == (api, version)]
        if not of:
            print(f"{api} {version}: not served")
        for one in of:
            left = one.unlisted(listed)
            open_ones += len(left)
            facts = one.comparison
            print(
                f"{api} {version}{f' ({one.component})' if len(of) > 1 else ''}: "
                f"operations {facts.operations[0]}/{facts.operations[1]}, "
                f"attributes {facts.attributes[0]}/{facts.attributes[1]}, unlisted differences {len(left)}"
            )
            for difference in left:
                print(f"  {difference}{f'  [{difference.seen}]' if difference.seen else ''}")
    return open_ones


def main(arguments: list[str] | None = None) -> int:
    """0 when the tables are TM Forum's, and ours differ from them only as listed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("specs", metavar="DIR", help="the folder of TM Forum's OpenAPI files")
    parser.add_argument("--write", action="store_true", help="write the tables instead of checking them")
    told = parser.parse_args(arguments)
    specs = Path(told.specs)
    if not told.specs or not specs.is_dir():
        parser.error(f"DIR must be the folder of TM Forum's OpenAPI files, not '{told.specs}'")
    files = published(specs)
    due = [key for key in tables() if key not in UNPUBLISHED]
    faults = [f"{api} {version}: no file of it in {specs}" for api, version in due if (api, version) not in files]
    theirs: set[tuple[str, ...]] = set()
    for (api, version), path in files.items():
        document = loaded(path)
        if told.write:
            table = ROOT / "ctk" / "src" / "oda_ctk" / "contracts" / f"{api}-{version}.txt"
            table.write_text(write(from_openapi(document, api=api, version=version)), encoding="utf-8")
        else:
            faults += filter(None, [table_fault(api, version, path, document)])
            theirs.update(runs(document))
    if told.write:
        print("\n".join(faults) or f"{len(files)} tables written")
        return 1 if faults else 0
    equal = len(due) - len(faults)
    faults += wording_faults(theirs)
    listed, compared = deviations(), served()
    open_ones = report(listed, compared)
    idle = unused(listed, compared)
    for fault in [*faults, *(f"deviations.yaml: matches nothing: {e.api} {e.version} {e.difference}" for e in idle)]:
        print(fault)
    absent = set(tables()) - {(s.api, s.version) for s in compared}
    print(
        f"{len({api for api, _ in tables()})} APIs ({len(tables())} files): "
        f"{equal} of {len(due)} tables equal TM Forum's files; "
        f"{len(tables()) - len(absent)} served, {len(absent)} not served; "
        f"operations {sum(s.comparison.operations[0] for s in compared)}/"
        f"{sum(s.comparison.operations[1] for s in compared)}, "
        f"attributes {sum(s.comparison.attributes[0] for s in compared)}/"
        f"{sum(s.comparison.attributes[1] for s in compared)}, "
        f"unlisted differences {open_ones}, listed {sum(len(s.comparison.differences) for s in compared) - open_ones}"
    )
    return 1 if faults or open_ones or idle or absent else 0


if __name__ == "__main__":
    sys.exit(main())
