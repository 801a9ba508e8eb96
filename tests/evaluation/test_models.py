"""Every MODEL form loads, weights fit or say why not, and every mistake has its sentence."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from freqops.evaluation import InputError, load_model, load_models, sweep

FACTORIES = """
import torch
from torch import nn
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
instance = net()
def number(): return 3
def needs(argument): return argument
"""


@pytest.fixture(autouse=True)
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_models.py").write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_models", raising=False)


def test_demo() -> None:
    loaded = load_model()
    assert loaded.name == "demo"
    assert loaded.model(torch.rand(2, 3, 48, 48)).shape == (2, 10)


def test_factories_and_names() -> None:
    assert load_model("my_models:net").name == "net"
    assert isinstance(load_model("my_models:instance").model, nn.Sequential)
    names = list(load_models(["my_models:net", "mine=my_models:net", "my_models:net"]))
    assert names == ["net", "mine", "net#2"]


@pytest.mark.parametrize("form", ["safetensors", "pt", "wrapped", "parallel"])
def test_weights(tmp_path: Path, form: str) -> None:
    source = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    state = {key: value.clone() for key, value in source.state_dict().items()}
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pt")
    if form == "safetensors":
        save_file(state, path)
    elif form == "pt":
        torch.save(state, path)
    elif form == "wrapped":
        torch.save({"epoch": 3, "state_dict": state}, path)
    else:
        torch.save({f"module.{key}": value for key, value in state.items()}, path)
    loaded = load_model("my_models:net", str(path)).model
    assert isinstance(loaded, nn.Module)
    assert all(torch.equal(value, state[key]) for key, value in loaded.state_dict().items())


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"1.weight": torch.zeros(5, 12)}, "1.bias is missing$"),
        (
            {"1.weight": torch.zeros(4, 12), "1.bias": torch.zeros(5)},
            r"is \[4, 12\], not \[5",
        ),
        ({"a": torch.zeros(1), "b": torch.zeros(1)}, "1.weight is missing, and 3 more"),
        ({"text": "none"}, "hold no state dict"),
        ("nonsense", "can't be read"),
    ],
    ids=["missing", "shape", "other", "empty", "nonsense"],
)
def test_bad_weights(tmp_path: Path, state: object, sentence: str) -> None:
    path = tmp_path / "w.pt"
    if isinstance(state, str):
        path.write_text(state)
    else:
        torch.save(state, path)
    with pytest.raises(InputError, match=sentence) as error:
        load_model("my_models:net", str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("word", "weights", "sentence"),
    [
        ("demoo", None, r"unknown; MODEL is .* \(did you mean demo\?\)"),
        ("demo", "w.pt", "takes no --weights"),
        ("my_models:nett", None, r"no 'nett' \(did you mean net"),
        ("my_models:number", None, "must be callable, got int"),
        ("my_models:needs", None, "the factory failed: TypeError"),
        ("no_such_module:net", None, "there is no module 'no_such_module'"),
        ("my_models:net", "missing.pt", "weights missing.pt: no such file"),
        ("my_models:net", "DEFAULT", "doesn't apply"),
        ("missing.pt2", None, "model missing.pt2: no such file"),
        ("my_models.py.pt2", None, "no such file"),
    ],
)
def test_bad_words(word: str, weights: str | None, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        load_model(word, weights)
    assert "\n" not in str(error.value)


def test_number_of_weights() -> None:
    with pytest.raises(InputError, match="one for all models or one each, got 3"):
        load_models(["demo", "demo"], ["a", "b", "c"])
    assert list(load_models(["demo", "demo"], ["none", "none"])) == ["demo", "demo#2"]


def test_exported_program(tmp_path: Path, net, loader) -> None:
    path = tmp_path / "net.pt2"
    example = (torch.rand(2, 3, 16, 16),)
    shapes = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(net.eval(), example, dynamic_shapes=shapes), path)
    loaded = load_model(str(path))
    assert loaded.name == "net"
    theirs = sweep({"m": loaded.model}, loader, [4], progress=False)
    assert theirs.records == sweep({"m": net}, loader, [4], progress=False).records
    (tmp_path / "bad.pt2").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="can't be read as an exported model"):
        load_model(str(tmp_path / "bad.pt2"))


# --- torchvision and timm -------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["torchvision", "timm"])
def test_model_zoos(tmp_path: Path, source: str) -> None:
    pytest.importorskip(source)
    untrained = load_model(f"{source}:resnet18")
    assert (untrained.name, untrained.untrained) == ("resnet18", True)
    assert isinstance(untrained.model, nn.Module)
    state = dict(untrained.model.state_dict())
    state["fc.weight"], state["fc.bias"] = torch.rand(7, 512), torch.rand(7)
    save_file(state, tmp_path / "seven.safetensors")
    loaded = load_model(f"{source}:resnet18", str(tmp_path / "seven.safetensors"))
    assert not loaded.untrained
    assert isinstance(loaded.model, nn.Module)
    assert loaded.model.eval()(torch.rand(1, 3, 32, 32)).shape == (1, 7)
    with pytest.raises(InputError, match=r"no 'resnet1888'"):
        load_model(f"{source}:resnet1888")
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "bad.pt")
    with pytest.raises(InputError, match=r"bn1.weight is missing, and \d+ more"):
        load_model(f"{source}:resnet18", str(tmp_path / "bad.pt"))


def test_published_weights_bring_their_normalisation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the network: the weights' loader is replaced, their description is the real one."""
    zoo = pytest.importorskip("torchvision.models")
    enum = type(zoo.ResNet18_Weights.DEFAULT)
    state = zoo.resnet18().state_dict()
    monkeypatch.setattr(enum, "get_state_dict", lambda self, **options: state)
    loaded = load_model("torchvision:resnet18", "DEFAULT")
    assert loaded.normalize is not None
    assert [list(side) for side in loaded.normalize] == [
        [0.485, 0.456, 0.406],
        [0.229, 0.224, 0.225],
    ]
    assert loaded.geometry is not None
    assert (loaded.geometry.resize, loaded.geometry.crop) == (256, 224)


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match="model timm:resnet18 needs timm, which is not installed"):
        load_model("timm:resnet18")
