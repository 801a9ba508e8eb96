"""What the command line's texts mean."""

import json
from pathlib import Path

import pytest
import torch

from freqops import arguments
from freqops.evaluation import ImageData, InputError, LoadedModel, MacroAUC
from freqops.evaluation.images import Geometry

DATA = ImageData("d", [], size=(48, 32))


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ([], (["demo"], "demo")),
        (["a"], (["a"], "demo")),
        (["a,b"], (["a", "b"], "demo")),
        (["a", "d"], (["a"], "d")),
        (["a,b", "c", "d"], (["a", "b", "c"], "d")),
    ],
)
def test_words(words: list[str], meaning: tuple[list[str], str]) -> None:
    assert arguments.split_words(words) == meaning


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("4,8, 12", [4, 8, 12]),
        ("4:28:4", [4, 8, 12, 16, 20, 24, 28]),
        ("1:3", [1, 2, 3]),
        ("0.1:0.5:0.1", [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("2,4:8:2", [2, 4, 6, 8]),
        (None, [2, 4, 6, 8, 12, 16, 20, 24]),
    ],
)
def test_cutoffs(text: str | None, numbers: list[float]) -> None:
    assert arguments.cutoff_list(text, DATA, "bins") == numbers


@pytest.mark.parametrize("text", ["four", "4:8:0", "4:8:2:1", "4;8"])
def test_bad_cutoffs(text: str) -> None:
    with pytest.raises(InputError, match=f"must look like 4,8,12 or 4:28:4, got '{text}'"):
        arguments.cutoff_list(text, DATA, "bins")


def test_default_cutoffs_need_a_size_and_a_unit() -> None:
    with pytest.raises(InputError, match="give --cutoffs"):
        arguments.cutoff_list(None, ImageData("d", []), "bins")
    with pytest.raises(InputError, match="unit must be one of"):
        arguments.cutoff_list(None, DATA, "hertz")


def model(**fields: object) -> LoadedModel:
    return LoadedModel("m", lambda x: x, **fields)


def test_normalization() -> None:
    trained = ((0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    models = {"a": model(normalize=trained), "b": model()}
    auto = arguments.normalization("auto", None, None, models)
    assert auto == {"a": trained, "b": None}
    assert arguments.normalization("none", None, None, models) == {"a": None, "b": None}
    imagenet = arguments.normalization("imagenet", None, None, models)
    assert imagenet["b"] == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    given = arguments.normalization("auto", "0.5,0.5,0.5", "0.25", models)
    assert given["a"] == ([0.5, 0.5, 0.5], [0.25])
    for options, sentence in (
        (("auto", "0.5", None), "give both --mean and --std"),
        (("auto", "half", "1"), "mean and std must be numbers"),
        (("mnist", None, None), "normalize must be one of auto, none, imagenet"),
    ):
        with pytest.raises(InputError, match=sentence):
            arguments.normalization(*options, models)


def test_geometry() -> None:
    trained = [model(), model(geometry=Geometry(256, 224))]
    assert arguments.geometry(None, None, trained) == Geometry(256, 224)
    assert arguments.geometry(64, None, trained) == Geometry(64, 64)
    assert arguments.geometry(64, 70, trained) == Geometry(70, 64)
    assert arguments.geometry(None, None, [model()]) is None
    with pytest.raises(InputError, match="image-size must be at least 1, got 0"):
        arguments.geometry(0, None, [])


def test_class_numbers(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    path.write_text(json.dumps({"0": ["n01440764", "tench"], "7": ["n01514668", "cock"]}))
    assert arguments.class_numbers(path) == {"n01440764": 0, "n01514668": 7}
    path.write_text(json.dumps({"cat": 3}))
    assert arguments.class_numbers(path) == {"cat": 3}
    for content in ("nonsense", '{"cat": "x"}', "[1]", '{"x": []}'):
        path.write_text(content)
        with pytest.raises(InputError, match="must be JSON, folder to number"):
            arguments.class_numbers(path)
    with pytest.raises(InputError, match="no such file"):
        arguments.class_numbers(tmp_path / "no.json")


def test_metric() -> None:
    assert arguments.metric_from("accuracy") is None
    assert isinstance(arguments.metric_from("auc")["auc"], MacroAUC)
    with pytest.raises(InputError, match="metric must be accuracy, auc or"):
        arguments.metric_from("precision")


def test_taps() -> None:
    assert arguments.taps_from(None) is None
    assert arguments.taps_from("5") == 5
    taps = arguments.taps_from("0.25, 0.5, 0.25")
    assert isinstance(taps, torch.Tensor)
    assert taps.tolist() == [0.25, 0.5, 0.25]
    for text in ("three", "1;2;1", "", "-3,x"):
        with pytest.raises(InputError, match="taps must be"):
            arguments.taps_from(text)
    for text in ("1,2,1", "2.5", "-3", "nan", "inf,1"):
        with pytest.raises(InputError, match="taps must add up to 1, got"):
            arguments.taps_from(text)


def test_input_size() -> None:
    trained = model(geometry=Geometry(256, 224))
    assert arguments.input_size(None, trained) == (3, 224, 224)
    assert arguments.input_size(None, model(geometry=Geometry(256, None))) is None
    assert arguments.input_size(None, model()) is None
    assert arguments.input_size("64", trained) == (3, 64, 64)
    assert arguments.input_size("1,28x30", model()) == (1, 28, 30)
    assert arguments.input_size("2,1024", model()) == (2, 1024)
    for text in ("big", "", "3,0,2", "-4", "3;4"):
        with pytest.raises(InputError, match="input-size must look like 224 or 3,224,224"):
            arguments.input_size(text, model())
