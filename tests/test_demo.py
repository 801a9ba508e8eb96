"""The embedded default is what its README says."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from freqops import demo
from freqops.demo.photographs import FOLDER

README = (FOLDER / "README.md").read_text()


def test_size_and_shape() -> None:
    images = demo.images()
    assert len(images) == 1200
    assert images[0][0].shape == (3, demo.PATCH, demo.PATCH)
    pictures = [path for path in FOLDER.iterdir() if path.suffix == ".png"]
    assert sum(path.stat().st_size for path in pictures) < 4e6
    assert (FOLDER / "demo_net.safetensors").stat().st_size < 1e6
    assert {path.stem for path in pictures} == set(demo.CLASSES)


def test_accuracy_is_the_stated_one() -> None:
    stated = re.search(r"\*\*([\d.]+) %\*\* of the 1,200 test patches", README)
    assert stated
    right, network = 0, demo.model()
    with torch.inference_mode():
        for images, labels in demo.data():
            right += int((network(images).argmax(1) == labels).sum())
    # another CPU may round one or two patches to the other side
    assert 100 * right / 1200 == pytest.approx(float(stated.group(1)), abs=0.3)


def test_every_photograph_has_a_source_and_a_licence() -> None:
    for name in demo.CLASSES:
        row = re.search(rf"\| {name} \|.*\|.*\|.*\|", README)
        assert row, name
        assert re.search("CC0|CC BY|public domain|No known copyright", row.group(0)), name


def test_works_at_other_sizes_and_is_in_eval_mode() -> None:
    network = demo.model()
    assert not network.training
    assert network(torch.rand(2, 3, 31, 64)).shape == (2, 10)


def test_test_halves_are_the_photographs_other_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pixel that was trained on is tested on."""
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    examples = Path(__file__).parents[1] / "examples"
    monkeypatch.syspath_prepend(str(examples))
    import demo_photographs

    for name, photograph in demo_photographs.PHOTOGRAPHS.items():
        train, test = photograph.halves()
        shipped = np.asarray(Image.open(FOLDER / f"{name}.png").convert("RGB"))
        assert np.array_equal(shipped, test)
        both = train.shape[photograph.axis] + test.shape[photograph.axis]
        with Image.open(photograph.file) as picture:
            full = -(-picture.size[1 - photograph.axis] // photograph.reduce)
        if photograph.columns is not None and photograph.axis == 1:
            full = photograph.columns[1] - photograph.columns[0]
        assert full - both >= demo_photographs.GAP


def test_training_example_makes_the_files_that_ship(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two steps instead of 3,000: everything but the weights must come out as it is here."""
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "examples"))
    import train_demo

    words = ["train_demo.py", "--steps", "2", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    threads = torch.get_num_threads()
    try:
        train_demo.main()
    finally:
        torch.set_num_threads(threads)
    assert "mean" in capsys.readouterr().out
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"{name}.png" for name in demo.CLASSES} | {
        "patches.json",
        "demo_net.safetensors",
    }
    for name in names - {"demo_net.safetensors"}:
        if name.endswith(".png"):
            with Image.open(tmp_path / name) as made, Image.open(FOLDER / name) as shipped:
                assert np.array_equal(np.asarray(made), np.asarray(shipped))
        else:
            assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()
