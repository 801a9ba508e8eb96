"""Records survive being written and read; curves and tables show what they hold."""

import csv
import json
from pathlib import Path

import pytest

from freqops.evaluation import InputError, SweepResult, sweep


@pytest.fixture
def result(net, loader) -> SweepResult:
    names = ["ant", "bee", "cow", "dog", "eel", "fox"]
    return sweep({"a": net, "b": net}, loader, [8, 2], class_names=names, progress=False)


def test_json_round_trip(result: SweepResult, tmp_path: Path) -> None:
    result.save(tmp_path / "deep" / "sweep.json")
    loaded = SweepResult.load(tmp_path / "deep" / "sweep.json")
    assert loaded.records == result.records
    assert loaded.settings["cutoffs"] == [8, 2]
    assert loaded.settings["class_names"] == result.settings["class_names"]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["sweep.json"]


def test_json_is_strict(result: SweepResult, tmp_path: Path) -> None:
    result.records[0]["top5"] = float("nan")
    result.save(tmp_path / "s.json")

    def refuse(word: str) -> None:
        raise AssertionError(word)

    content = json.loads((tmp_path / "s.json").read_text(), parse_constant=refuse)
    assert content["records"][0]["top5"] is None


def test_csv(result: SweepResult, tmp_path: Path) -> None:
    result.save(tmp_path / "sweep.csv")
    rows = list(csv.DictReader((tmp_path / "sweep.csv").open()))
    assert len(rows) == len(result.records)
    for row, record in zip(rows, result.records, strict=True):
        assert (row["model"], row["kind"]) == (record["model"], record["kind"])
        assert row["cutoff"] == ("" if record["cutoff"] is None else str(record["cutoff"]))
        assert float(row["top1"]) == record["top1"]
        assert float(row["per_class[bee]"]) == record["per_class"][1]


def test_load_refuses(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="doesn't exist"):
        SweepResult.load(tmp_path / "no.json")
    for content in ("nonsense", "[]", "{}", '{"format": "freqops.sweep/1"}'):
        (tmp_path / "s.json").write_text(content)
        with pytest.raises(InputError, match="is not a saved sweep"):
            SweepResult.load(tmp_path / "s.json")
    (tmp_path / "s.json").write_text('{"format": "freqops.sweep/9"}')
    with pytest.raises(InputError, match=r"has format 'freqops\.sweep/9'"):
        SweepResult.load(tmp_path / "s.json")


def test_curve_and_table(result: SweepResult) -> None:
    cutoffs, values = result.curve("b", "low", "top1")
    assert cutoffs == [2, 8]
    assert values == [result.record("b", "low", c)["top1"] for c in (2, 8)]
    lines = result.table().splitlines()
    assert lines[0].split() == ["model", "band", "all", "2", "8"]
    assert lines[2].split()[:2] == ["a", "low"]
    assert lines[2].split()[3] == f"{100 * values[0]:.1f}"
    with pytest.raises(KeyError):
        result.record("a", "low", 3.0)


def test_plot_writes_the_format_of_the_name(result: SweepResult, tmp_path: Path) -> None:
    result.plot(tmp_path / "sweep.png")
    result.plot(tmp_path / "sweep.pdf", metric="balanced")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "sweep.pdf").read_bytes().startswith(b"%PDF")


def test_save_keeps_the_old_file_when_writing_fails(
    result: SweepResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.json"
    result.save(path)
    before = path.read_bytes()
    result.settings["x"] = 1

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("freqops.evaluation.checkpoint.os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        result.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
