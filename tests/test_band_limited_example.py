"""examples/band_limited_training.py: that it runs to its figure, and what it measures."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image

import freqops

pytest.importorskip("skimage")
pytest.importorskip("sklearn")

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import band_limited_training

    return band_limited_training


def test_runs_with_a_tiny_setting(
    example: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--seeds", "2", "--epochs", "1", "--per-class", "4", "--every", "150", "--width", "4"]
    words += ["--rounds", "1"]
    monkeypatch.setattr(example, "memory_alone", lambda *numbers: example.memory(*numbers))
    monkeypatch.setattr(example, "MEMORY_BATCH", 4)
    monkeypatch.setattr(sys, "argv", ["band_limited_training.py", *words, "--out", str(tmp_path)])
    example.main()
    out = capsys.readouterr().out
    assert out.count("6 of 6 sites converted by 'band_limit'") == 1
    table = [line.split() for line in out.splitlines()[-4:]]
    assert [line[:2] for line in table] == [[cut, "%"] for cut in ("0", "25", "50", "75")]
    assert {path.name for path in tmp_path.iterdir()} == {"band_limited.json", "band_limited.png"}
    records = json.loads((tmp_path / "band_limited.json").read_text())
    assert len(records) == 2
    for run in records[0].values():
        assert 0 <= run["accuracy"][0] <= 1
        assert run["step_milliseconds"] > 0
        assert run["kept_megabytes"] > 0
    plain = records[0]["0"]
    assert plain["cut_afterwards"] == plain["accuracy"][-1]
    with Image.open(tmp_path / "band_limited.png") as picture:
        assert picture.width > 1500


PEAKS = """
import torch
from band_limited_training import _peak
most = torch.ones(48 << 18)
del most
for _ in range(2):
    before = _peak("cpu", anew=True)
    taken = torch.ones(32 << 18)
    print(_peak("cpu") - before)
    del taken
    print(_peak("cpu") - before)
"""


def test_peak_memory_begins_anew() -> None:
    """Whatever was taken before, by this process or by the one that started it, does not count."""
    paths = [str(EXAMPLES), *filter(None, [os.environ.get("PYTHONPATH")])]
    # As the example measures: in a process in which freed tensors go back to the system.
    variables = {"MALLOC_MMAP_THRESHOLD_": "65536", "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", PEAKS]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    grown = [float(line) for line in done.stdout.split()]
    assert len(grown) == 4
    assert all(31 < megabytes < 40 for megabytes in grown), grown


def test_kept_memory_of_the_plain_network(example: ModuleType) -> None:
    """At least the inputs of the six convolutions: 32, 16 and 8 pixels wide."""
    _, kept = example.memory(0.0, 8, 2, "cpu")
    inputs = 2 * 4 * (1024 * (3 + 8) + 256 * (8 + 16) + 64 * (16 + 32))
    assert kept >= inputs / 2**20


def test_cuts_every_convolution(example: ModuleType) -> None:
    network = example.SmallCNN()
    report = freqops.band_limit(network, 0.75, example=torch.rand(2, 3, 32, 32))
    assert len(report.converted) == len(report) == 6
