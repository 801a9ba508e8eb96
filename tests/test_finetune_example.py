"""examples/finetune_antialiased.py: what it measures, and that it runs to its figure."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

pytest.importorskip("skimage")
pytest.importorskip("sklearn")

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import finetune_antialiased

    return finetune_antialiased


def test_runs_with_a_tiny_setting(
    example: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--seeds", "2", "--epochs", "1", "2", "--per-class", "8", "--every", "150"]
    words += ["--recipes", "zhang", "flc", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["finetune_antialiased.py", *words])
    example.main()
    out = capsys.readouterr().out
    assert "8 of 8 sites converted by 'zhang'" in out
    table = [line.split() for line in out.splitlines()[-4:-1]]
    assert [line[0] for line in table] == ["as", "zhang", "flc"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["finetuned.json", "finetuned.png"]
    records = json.loads((tmp_path / "finetuned.json").read_text())
    assert [list(record) for record in records] == [["as it was", "zhang", "flc"]] * 2
    for run in (run for record in records for run in record.values()):
        assert len(run["accuracy"]) == len(run["consistency"]) == 3  # before, and after each epoch
        assert all(0 <= share <= 1 for share in run["accuracy"] + run["by_distance"])
    with Image.open(tmp_path / "finetuned.png") as picture:
        assert picture.width > 1500


def test_all_copies_start_from_the_same_weights_and_see_the_same_batches(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[dict[str, Tensor]] = []
    draws: list[Tensor] = []
    train = example.train

    def recorded(network: nn.Module, *data: Tensor, **settings: object) -> object:
        if "windows" in settings:
            starts.append({key: value.clone() for key, value in network.state_dict().items()})
        run = train(network, *data, **settings)
        draws.append(torch.rand(3))  # where the random numbers are after the same use of them
        return run

    monkeypatch.setattr(example, "train", recorded)
    example.compared(["zhang"], 1, (1, 2), 8, 60)
    assert len(starts) == 2
    assert all(torch.equal(value, starts[1][key]) for key, value in starts[0].items())
    assert torch.equal(draws[1], draws[2])


class Corner(nn.Module):
    """Answers by one pixel: as far from shift-invariant as can be."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.one_hot((images[:, 0, 0, 0] * 255).round().long(), 256).float()


class Always(nn.Module):
    """Answers 3, whatever it is shown."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.one_hot(torch.full((len(images),), 3), 10).float()


def test_consistency_is_one_for_a_constant_answer_and_low_for_a_pixel(example: ModuleType) -> None:
    windows = example.TestWindows(every=12)
    assert windows.labels.bincount().tolist() == [10] * 10
    accuracy, consistency = windows.accuracy_and_consistency(Always(), pairs=2)
    assert (accuracy, consistency) == (pytest.approx(0.1), 1.0)
    assert windows.accuracy_and_consistency(Corner(), pairs=2)[1] < 0.2
    assert windows.consistency_by_distance(Always()) == [1.0] * len(example.DISTANCES)


def test_windows_are_displaced_down_and_to_the_right(example: ModuleType) -> None:
    windows = example.TestWindows(every=60)
    offsets = torch.randint(example.SHIFTS, (len(windows.labels), 2))
    moved = windows.displaced(offsets)
    assert moved.shape == (20, 3, example.SIDE, example.SIDE)
    for window, pixels, (down, right) in zip(moved, windows.pixels, offsets.tolist(), strict=True):
        assert torch.equal(window[:, 0, 0], pixels[:, down, right])


def test_windows_show_nothing_that_was_trained_on(example: ModuleType) -> None:
    """Training patches come from the other halves of the photographs (tests/test_demo.py)."""
    images, labels = example.training_set(seed=0, per_class=2)
    assert images.shape == (20, 3, example.SIDE, example.SIDE)
    assert labels.bincount().tolist() == [2] * 10
