"""freqops bench and freqops bench compare: what they print, write, refuse."""

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from bench_results import made_up, made_up_row
from command_line import call, run

from freqops.bench import cases, measurement, peers, record
from freqops.bench.cases import rows as rows_of
from freqops.cli import bench


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every operator asked for, the smallest quick row."""

    def smallest(ops: Any = (), *, quick: bool = False) -> list[Any]:
        chosen = cases.rows(ops, quick=True)
        return [
            min(
                (row for row in chosen if row.op == op and row.point is None),
                key=lambda row: torch.Size(row.shape).numel(),
            )
            for op in dict.fromkeys(row.op for row in chosen)
        ]

    monkeypatch.setattr(bench, "rows_of", smallest)


def test_measures_prints_and_writes(tmp_path: Path) -> None:
    options = ["--ops", "mix_amplitude_phase", "--quick", "--seconds", "0", "--threads", "1"]
    done = run("bench", *options, "--out", "here/now.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["now.json", "now.png"]
    result = record.read(tmp_path / "here" / "now.json")
    assert [row["label"] for row in result["cases"]] == ["64x3x32x32", "16x3x224x224"]
    assert result["environment"]["threads"] == 1
    assert result["environment"]["torch"] == torch.__version__
    assert result["settings"]["quick"] is True
    assert result["interrupted"] is False
    for row in result["cases"]:
        assert [entry["name"] for entry in row["contenders"]][:2] == ["freqops", "torch"]
        for entry in row["contenders"]:
            assert entry["quartiles"][0] <= entry["median"] <= entry["quartiles"][1]
    for words in ("mix_amplitude_phase", "CIFAR image", "64x3x32x32", "best peer", "Written to"):
        assert words in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("small")
def test_absent_peers_are_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "missing", lambda: {"ducc0": "pip install ducc0"})
    options = ["--ops", "polyphase_pool", "--seconds", "0", "--quick"]
    assert call(monkeypatch, "bench", *options, "--out", str(tmp_path / "a.json")) == 0
    said = capsys.readouterr().err
    assert said.count("ducc0 takes no part: pip install ducc0") == 1
    assert record.read(tmp_path / "a.json")["absent"] == {"ducc0": "pip install ducc0"}


@pytest.mark.usefixtures("small")
def test_interrupt_keeps_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(row: Any, settings: Any) -> dict[str, Any]:
        if row.op == "low_high":
            raise KeyboardInterrupt
        return made_up_row(row.op, row.label)

    monkeypatch.setattr(measurement, "measured", measured)
    options = ["--ops", "flc_pool,low_high,fft_filter", "--out", str(tmp_path / "a.json")]
    assert call(monkeypatch, "bench", *options) == 130
    said = capsys.readouterr()
    result = record.read(tmp_path / "a.json")
    assert result["interrupted"] is True
    assert [row["op"] for row in result["cases"]] == ["flc_pool"]
    assert "interrupted after 1 of 3 rows" in said.err
    assert "flc_pool" in said.out
    assert (tmp_path / "a.png").exists()


@pytest.mark.usefixtures("small")
def test_interrupt_before_the_first_row_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(row: Any, settings: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(measurement, "measured", measured)
    assert call(monkeypatch, "bench", "--out", str(tmp_path / "a.json")) == 130
    assert "interrupted after 0 of" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_operators_that_are_done_are_on_disk_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that not even a crash of the process takes them."""
    kept: list[list[str]] = []

    def measured(row: Any, settings: Any) -> dict[str, Any]:
        if (tmp_path / "a.json").stat().st_size:
            result = record.read(tmp_path / "a.json")
            assert result["interrupted"] is True
            kept.append([one["op"] for one in result["cases"]])
        return made_up_row(row.op, row.label)

    monkeypatch.setattr(measurement, "measured", measured)
    options = ["--ops", "flc_pool,fft_filter,upfirdn", "--out", str(tmp_path / "a.json")]
    assert call(monkeypatch, "bench", *options) == 0
    assert kept == [["flc_pool"], ["flc_pool", "fft_filter"]]
    assert record.read(tmp_path / "a.json")["interrupted"] is False


@pytest.mark.usefixtures("small")
def test_figure_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measurement, "measured", lambda row, _: made_up_row(row.op, row.label))
    (tmp_path / "a.png").mkdir()
    options = ["--ops", "flc_pool,flc_pool", "--out", str(tmp_path / "a.json")]
    assert call(monkeypatch, "bench", *options) == 0
    said = capsys.readouterr()
    assert "a.png can't be written: Is a directory" in said.err
    assert "in 1 of 1 rows" in said.out  # an operator that is asked for twice is measured once
    assert len(record.read(tmp_path / "a.json")["cases"]) == 1


@pytest.mark.usefixtures("small")
def test_row_of_ours_that_fails_is_said_at_the_end_and_by_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows behind it are measured."""

    def measured(row: Any, settings: Any) -> dict[str, Any]:
        made = made_up_row(row.op, row.label)
        fails = row.op == "flc_pool"
        return {**made, "contenders": [], "failed": "no kernel"} if fails else made

    monkeypatch.setattr(measurement, "measured", measured)
    options = ["--ops", "flc_pool,upfirdn", "--out", str(tmp_path / "a.json")]
    assert call(monkeypatch, "bench", *options) == 1
    said = capsys.readouterr()
    assert "FAILED flc_pool2d, float32, forward" in said.out
    assert said.err.splitlines()[-1].startswith("Note: failed, 1 of 2 rows: flc_pool2d")
    result = record.read(tmp_path / "a.json")
    assert [row.get("failed") for row in result["cases"]] == ["no kernel", None]
    assert result["interrupted"] is False


@pytest.mark.usefixtures("small")
def test_full_disk_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The results go to the temporary folder; the file is not left there empty."""
    written = record.write_atomically
    full, other = tmp_path / "full", tmp_path / "other"
    other.mkdir()

    def write(path: Path, content: bytes) -> None:
        if path.parent == full:
            raise OSError(errno.ENOSPC, "No space left on device")
        written(path, content)

    monkeypatch.setattr(record, "write_atomically", write)
    monkeypatch.setattr(tempfile, "tempdir", str(other))
    monkeypatch.setattr(measurement, "measured", lambda row, _: made_up_row(row.op, row.label))
    options = ["--ops", "flc_pool,upfirdn", "--out", str(full / "a.json")]
    assert call(monkeypatch, "bench", *options) == 2
    said = capsys.readouterr()
    (kept,) = other.iterdir()
    assert f"No space left on device; the results are in {kept}" in said.err
    assert "in 2 of 2 rows" in said.out
    assert len(record.read(kept)["cases"]) == 2
    assert list(full.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_two_runs_do_not_share_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second is refused while the first has nothing to write yet."""
    options = ["--ops", "flc_pool", "--out", str(tmp_path / "a.json")]
    codes = []

    def measured(row: Any, settings: Any) -> dict[str, Any]:
        codes.append(call(monkeypatch, "bench", *options))
        return made_up_row(row.op, row.label)

    monkeypatch.setattr(measurement, "measured", measured)
    assert call(monkeypatch, "bench", *options) == 0
    assert codes == [2]
    assert "a.json is there already" in capsys.readouterr().err
    assert len(record.read(tmp_path / "a.json")["cases"]) == 1


@pytest.mark.usefixtures("small")
def test_sigterm_keeps_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(row: Any, settings: Any) -> dict[str, Any]:
        if row.op == "low_high":
            os.kill(os.getpid(), signal.SIGTERM)
        return made_up_row(row.op, row.label)

    monkeypatch.setattr(measurement, "measured", measured)
    before = signal.getsignal(signal.SIGTERM)
    options = ["--ops", "flc_pool,low_high,upfirdn", "--out", str(tmp_path / "a.json")]
    assert call(monkeypatch, "bench", *options) == 143
    assert signal.getsignal(signal.SIGTERM) == before
    result = record.read(tmp_path / "a.json")
    assert result["interrupted"] is True
    assert [row["op"] for row in result["cases"]] == ["flc_pool"]


def test_ctrl_c_ends_a_real_run_with_a_result(tmp_path: Path) -> None:
    """Sent when the first operator's table has been shown."""
    words = ["--ops", "polyphase_pool,fft_filter", "--quick", "--seconds", "0.1"]
    program = subprocess.Popen(
        [sys.executable, "-m", "freqops", "bench", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert program.stdout is not None
    while "16x64x56x56" not in program.stdout.readline():
        assert program.poll() is None
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=200)
    assert program.returncode == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    result = json.loads((tmp_path / "freqops-bench.json").read_text())
    assert result["interrupted"] is True
    assert result["cases"][0]["op"] == "polyphase_pool"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--ops", "fft_filtre"], "'fft_filtre' (did you mean fft_filter"),
        (["--ops", ","], "ops: names no operator"),
        (["--device", "tpu"], "device: must be cpu, cuda or cuda:N, got tpu"),
        (["--device", "cpu:3"], "device: must be cpu, cuda or cuda:N, got cpu:3"),
        (["--out", "old.json"], "out: old.json is there already"),
        (["--out", "/proc/a.json"], "out: /proc can't be written"),
        (["compare", ".", "b.json"], ".: can't be read: Is a directory"),
        (["--out", "a.csv"], "out: must end in .json, got a.csv"),
        (["--out", "blocked/a.json"], "out: "),
        (["--threads", "0"], "threads: must be from 1 to "),
        (["--threads", "100000"], "on this machine, got 100000"),
        (["--seconds", "-1"], "seconds: must be from 0 to 3600, got -1"),
        (["compare", "a.json", "b.json"], "a.json: there is no such file"),
        (["compare", "broken.json", "b.json"], "broken.json: can't be read as JSON"),
    ],
)
def test_mistakes_are_one_sentence(
    words: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "blocked").write_text("a file")
    (tmp_path / "old.json").write_text("kept")
    assert call(monkeypatch, "bench", *words) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "blocked",
        "broken.json",
        "old.json",
    ]
    assert (tmp_path / "old.json").read_text() == "kept"


@pytest.mark.skipif(torch.cuda.is_available(), reason="it would run")
def test_without_a_gpu_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "bench", "--device", "cuda") == 2
    assert "finds no CUDA device here" in capsys.readouterr().err


# --- compare --------------------------------------------------------------------------------------


def compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: dict[str, Any], after: dict[str, Any]
) -> int:
    record.write(tmp_path / "a.json", before)
    record.write(tmp_path / "b.json", after)
    return call(
        monkeypatch, "bench", "compare", *(str(tmp_path / name) for name in ("a.json", "b.json"))
    )


def test_compare_ends_with_1_on_a_regression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slower = made_up(made_up_row(freqops=1.5, torch=4.0, copy=0.5))
    assert compared(tmp_path, monkeypatch, made_up(), slower) == 1
    said = capsys.readouterr()
    assert "SLOWER" in said.out
    assert said.err == ""
    assert compared(tmp_path, monkeypatch, slower, made_up()) == 0
    assert "faster" in capsys.readouterr().out
    assert compared(tmp_path, monkeypatch, made_up(), made_up()) == 0


def test_compare_says_where_the_machines_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compared(tmp_path, monkeypatch, made_up(), made_up(threads=8)) == 0
    said = capsys.readouterr().err
    assert "these runs are not of the same conditions: threads was 2, is 8" in said


def test_compare_ends_with_1_on_a_row_that_fails_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where it is the only one; one that failed before is no news."""
    failed = made_up({**made_up_row(), "contenders": [], "failed": "no kernel"})
    assert compared(tmp_path, monkeypatch, made_up(), failed) == 1
    assert "FAILED in the second alone: blur_pool2d" in capsys.readouterr().out
    both = made_up(*failed["cases"], made_up_row(label="2x3x9x9"))
    assert compared(tmp_path, monkeypatch, both, both) == 0
    assert "FAILED" not in capsys.readouterr().out


def test_compare_says_which_run_was_quick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick, full = ({**made_up(), "settings": {"seconds": seconds}} for seconds in (0.4, 2.5))
    assert compared(tmp_path, monkeypatch, quick, full) == 0
    assert "seconds a row was 0.4, is 2.5" in capsys.readouterr().err
    assert compared(tmp_path, monkeypatch, made_up(), full) == 0
    assert "seconds" not in capsys.readouterr().err


def test_compare_of_nothing_in_common_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = made_up(made_up_row(op="flc_pool"))
    assert compared(tmp_path, monkeypatch, made_up(), other) == 2
    assert "has no row in common with" in capsys.readouterr().err


def test_quick_is_a_part_of_all() -> None:
    assert set(map(str, rows_of(quick=True))) < set(map(str, rows_of()))
