"""Files as they come: delimiters, byte order marks, gzip, JSON in lines or whole, and parts cut between records."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem import files
from cem.instance import InstanceError


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_table_is_found_in_its_header(tmp_path: Path, delimiter: str) -> None:
    text = f"id{delimiter}first name{delimiter}x\n1{delimiter}Åsa{delimiter}2\n"
    header, rows = files.table(written(tmp_path / "t.csv", text))
    assert header == ["id", "first name", "x"]
    assert rows == [{"id": "1", "first name": "Åsa", "x": "2"}]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert files.table(written(tmp_path / "t.csv", b"\xef\xbb\xbfid,x\r\n1,2\r\n"))[0] == ["id", "x"]


def test_a_gzipped_file_is_unpacked(tmp_path: Path) -> None:
    packed = written(tmp_path / "t.csv.gz", gzip.compress(b"id,x\n1,2\n"))
    assert files.table(packed)[1] == [{"id": "1", "x": "2"}]


def test_a_row_with_too_few_cells_lacks_the_columns_it_does_not_have(tmp_path: Path) -> None:
    assert files.table(written(tmp_path / "t.csv", "id,x\n1\n"))[1] == [{"id": "1"}]


def test_an_empty_file_has_no_header(tmp_path: Path) -> None:
    with pytest.raises(InstanceError, match="no header line"):
        files.table(written(tmp_path / "t.csv", ""))


def test_a_file_that_is_missing_or_in_another_encoding_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InstanceError, match=r"none\.csv cannot be read"):
        files.table(tmp_path / "none.csv")
    with pytest.raises(InstanceError, match=r"latin\.csv is not UTF-8: byte 3"):
        files.table(written(tmp_path / "latin.csv", b"id\n\xe5\n"))


@pytest.mark.parametrize(
    "content",
    ['[{"id": "a"}, {"id": "b"}]', '{"id": "a"}\n{"id": "b"}\n', '\n{"id": "a"}\n\n{"id": "b"}'],
)
def test_documents_come_as_an_array_or_as_lines(tmp_path: Path, content: str) -> None:
    assert files.documents(written(tmp_path / "d.json", content)) == [{"id": "a"}, {"id": "b"}]


def test_one_object_is_one_document(tmp_path: Path) -> None:
    assert files.documents(written(tmp_path / "d.json", '{\n "id": "a"\n}')) == [{"id": "a"}]


@pytest.mark.parametrize(
    ("content", "where"),
    [('{"id": "a"}\n{"id": \n', "line 2"), ('{"id": "a"}\n17\n', "line 2"), ('[{"id": "a"}, 17]', "item 2")],
)
def test_what_is_no_object_is_told_with_its_place(tmp_path: Path, content: str, where: str) -> None:
    with pytest.raises(InstanceError, match=where):
        files.documents(written(tmp_path / "d.json", content))


def test_a_mapping_may_be_yaml_or_json_and_must_be_an_object(tmp_path: Path) -> None:
    assert files.structure(written(tmp_path / "m.yaml", "service: video\n")) == {"service": "video"}
    assert files.structure(written(tmp_path / "m.json", '{"service": "video"}')) == {"service": "video"}
    for content in ("- a\n", "a: [\n"):
        with pytest.raises(InstanceError, match=r"m\.yaml"):
            files.structure(written(tmp_path / "m.yaml", content))


cells = st.text(st.sampled_from('ab ,"\n\r;é'), max_size=6)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=30), st.integers(1, 200))
def test_parts_of_a_table_hold_together_what_the_table_holds(rows: list[tuple[str, str]], limit: int) -> None:
    whole = io.StringIO(newline="")
    csv.writer(whole).writerows([("left", "right"), *rows])
    data = whole.getvalue().encode()
    found: list[list[str]] = []
    for part in files.parts(data, limit):
        header, *read = csv.reader(io.StringIO(part.content.decode(), newline=""))
        assert header == ["left", "right"]
        assert read
        found.extend(read)
    assert found == [list(row) for row in rows]


def test_a_part_knows_on_which_line_of_the_file_it_begins() -> None:
    data = b'a,b\n1,2\n3,"x\ny"\n4,5\n'
    assert [(p.content, p.line) for p in files.parts(data, 1)] == [
        (b"a,b\n1,2\n", 2),
        (b'a,b\n3,"x\ny"\n', 3),
        (b"a,b\n4,5\n", 5),
    ]


def test_a_large_table_comes_in_few_parts(tmp_path: Path) -> None:
    data = b"a,b\n" + b"1,2\n" * 10_000
    assert len(list(files.parts(data, 10_000))) == 5
    assert json.dumps([p.line for p in files.parts(data, 100_000)]) == "[2]"
