"""The command `cem` as it is typed: what is asked for wrongly is told in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from cem.__main__ import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("run --json loop.json", "--json is about one loop: it needs --once."),
        ("up --dependency serviceInventory", "NAME=http://... is expected"),
        ("load customers none.csv", "none.csv cannot be read"),
        ("load customers none.csv --mapping nobody", "nobody is neither a file nor a mapping that is here: ibm_telco"),
        ("load measurements none.csv --mapping none.yaml", "none.yaml cannot be read"),
        ("migration nobody --message x", "A component (service-quality"),
    ],
)
def test_a_wrong_wish_is_told_in_a_sentence(
    arguments: str, sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(arguments.split()) == 1
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_inventory_needs_somebody_who_keeps_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "i.json").write_text("[]")
    assert main(["load", "inventory", "i.json"]) == 1
    assert "say with --url where to send it" in capsys.readouterr().err


def test_stopping_where_nothing_runs_is_well() -> None:
    assert main(["stop"]) == 0


def test_an_unknown_command_is_told_with_those_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["walk"])
    assert ended.value.code == 2
    assert "run" in capsys.readouterr().err
