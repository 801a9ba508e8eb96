"""freqops antialias: what it prints, what it writes, how it ends."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from command_line import call, run
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

import freqops
from freqops import demo
from freqops.cli import antialias

NETS = """
import torch
from torch import nn

def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(1))

def flat():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), nn.ReLU())

def tied():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))
    net[2].weight = net[1].weight
    return net

def function():
    return lambda x: x
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nets_to_convert.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


# --- a run that works -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess]:
    folder = tmp_path_factory.mktemp("demo")
    files = ("--json", "table.json", "--out", "weights.safetensors")
    return folder, run("antialias", "demo", "--input-size", "48", "--cost", *files, cwd=folder)


def test_prints_a_line_per_site_and_the_cost(demo_run) -> None:
    _, done = demo_run
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "3 of 3 sites of demo converted by zhang" in done.stdout
    pools = re.findall(r"features\.(\d+) +MaxPool2d\(.*\) +MaxBlurPool2d\(.*\)", done.stdout)
    assert pools == ["3", "7", "11"]
    assert "on 1 x 3 x 48 x 48" in done.stdout
    assert re.search(r"total +\d+\.\d\d +\d+\.\d\d +[+-]\d+\.\d\d", done.stdout)
    assert re.search(r"Whole model: \d+\.\d ms before, \d+\.\d ms now\.", done.stdout)


def test_writes_what_it_was_asked_for(demo_run) -> None:
    folder, _ = demo_run
    assert sorted(path.name for path in folder.iterdir()) == ["table.json", "weights.safetensors"]


def test_json_holds_the_table_the_command_and_the_cost(demo_run) -> None:
    folder, done = demo_run
    content = json.loads((folder / "table.json").read_text())
    assert content["model"] == "demo"
    assert content["recipe"] == "zhang"
    assert content["command"].startswith("freqops antialias demo --input-size 48 --cost")
    assert content["freqops"] == freqops.__version__
    assert not content["dry_run"]
    rows = content["rows"]
    assert [row["name"] for row in rows] == ["features.3", "features.7", "features.11"]
    assert all(row["kind"] == "max_pool" and row["after"] and not row["reason"] for row in rows)
    assert [site["name"] for site in content["cost"]["sites"]] == [row["name"] for row in rows]
    assert content["cost"]["macs"] == sum(site["macs"] for site in content["cost"]["sites"]) > 0
    total = re.search(r"total +(\d+\.\d\d)", done.stdout)
    assert total is not None
    assert float(total.group(1)) == pytest.approx(content["cost"]["macs"] / 1e6, abs=0.006)


def test_weights_load_strictly_into_the_model_and_into_a_converted_one(demo_run) -> None:
    folder, _ = demo_run
    state = load_file(folder / "weights.safetensors")
    untouched, converted = demo.model(), demo.model()
    expected = untouched.state_dict()
    freqops.antialias(converted, "zhang")
    for network in (untouched, converted):
        for parameter in network.parameters():
            nn.init.zeros_(parameter)
        network.load_state_dict(state, strict=True)
        for key, value in network.state_dict().items():
            assert torch.equal(value, demo.model().state_dict()[key]), key
    assert list(expected) == list(converted.state_dict())


def test_weights_say_how_to_convert_again(folder: Path, monkeypatch, capsys) -> None:
    words = ["nets_to_convert:plain", "--taps", "0.5,0.5", "--padding-mode", "zeros"]
    options = ["--exclude", "0", "--out", "w.safetensors"]
    assert call(monkeypatch, "antialias", *words, *options) == 0
    with safe_open(folder / "w.safetensors", "pt") as file:
        settings = json.loads(file.metadata()["freqops.antialias"])
    assert settings == {
        "recipe": "zhang",
        "taps": [0.5, 0.5],
        "padding_mode": "zeros",
        "include": None,
        "exclude": ["0"],
    }
    assert "left alone: excluded" in capsys.readouterr().out


def test_tied_weights_are_written_under_every_name(folder: Path, monkeypatch, capsys) -> None:
    words = ["nets_to_convert:tied", "--out", "w.safetensors"]
    assert call(monkeypatch, "antialias", *words) == 0
    sys.path.insert(0, str(folder))
    import nets_to_convert

    network = nets_to_convert.tied()
    network.load_state_dict(load_file(folder / "w.safetensors"), strict=True)
    assert network[1].weight is network[2].weight
    capsys.readouterr()


def test_options_reach_the_conversion(folder: Path, monkeypatch, capsys) -> None:
    words = ["net=nets_to_convert:plain", "--recipe", "vasconcelos", "--taps", "5"]
    options = ["--include", "0", "--input-size", "1,32,32", "--dry-run", "--json", "t.json"]
    assert call(monkeypatch, "antialias", *words, *options) == 0
    printed = capsys.readouterr().out
    assert "1 of 2 sites of net would be converted by vasconcelos" in printed
    assert "BlurPool2d(taps=5" in printed
    assert "left alone: not included" in printed
    content = json.loads(Path("t.json").read_text())
    assert content["dry_run"]
    assert "cost" not in content


def test_a_zoo_model_with_weights_of_its_own(folder: Path, monkeypatch, capsys) -> None:
    zoo = pytest.importorskip("torchvision.models")
    trained = zoo.resnet18(num_classes=3)
    torch.save(trained.state_dict(), "trained.pt")
    words = ["torchvision:resnet18", "--weights", "trained.pt", "--out", "w.safetensors"]
    assert call(monkeypatch, "antialias", *words) == 0
    printed = capsys.readouterr()
    assert "8 of 9 sites of resnet18 converted by zhang" in printed.out
    assert "random weights" not in printed.err
    state = load_file("w.safetensors")
    assert all(torch.equal(value, state[key]) for key, value in trained.state_dict().items())
    assert call(monkeypatch, "antialias", words[0], "--out", "w.safetensors") == 0
    assert "model resnet18 has random weights; give --weights" in capsys.readouterr().err


# --- nothing to do: exit code 1 -------------------------------------------------------------------


def test_nothing_to_convert(folder: Path, monkeypatch, capsys) -> None:
    before = sorted(folder.iterdir())
    files = ["--json", "t.json", "--out", "w.safetensors", "--cost"]
    assert call(monkeypatch, "antialias", "nets_to_convert:flat", *files) == 1
    printed = capsys.readouterr()
    assert "0 of 0 sites of flat converted" in printed.out
    assert printed.err == "Note: nothing is converted, and no file is written.\n"
    assert [path for path in sorted(folder.iterdir()) if path.name != "__pycache__"] == before
    everything = ["nets_to_convert:plain", "--exclude", "0,2"]
    assert call(monkeypatch, "antialias", *everything) == 1
    assert "0 of 2 sites of plain converted" in capsys.readouterr().out


# --- mistakes: one sentence, exit code 2, nothing written -----------------------------------------


def test_a_mistake_is_one_sentence(folder: Path, monkeypatch, capsys) -> None:
    before = sorted(folder.iterdir())
    assert call(monkeypatch, "antialias", "demo", "--recipe", "zang") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "Error: recipe must be one of 'zhang', 'pool_only', 'composer', 'vasconcelos', 'flc', "
        "'aps' or a mapping, got 'zang'.\n"
    )
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Missing argument"),
        (["demo", "demo"], "unexpected extra argument"),
        (["demoo"], r"model demoo: unknown; MODEL is .*did you mean demo\?"),
        (["absent:net"], "there is no module 'absent'"),
        (["nets_to_convert:function"], "must be an nn.Module to be converted, got function"),
        (["net.pt2"], "model net.pt2: no such file"),
        (["demo", "--weights", "w.pt"], "takes no --weights"),
        (["nets_to_convert:plain", "--weights", "w.pt"], "weights w.pt: no such file"),
        (["demo", "--recipe", "flc", "--taps", "3"], "taps and padding_mode are those of a blur"),
        (["demo", "--taps", "1,2,1"], "taps must add up to 1, got '1,2,1', which adds up to 4"),
        (["demo", "--taps", "0"], "taps must be at least 1, got 0"),
        (["demo", "--padding-mode", "mirror"], "padding_mode must be one of 'reflect'"),
        (["demo", "--include", "pool9"], "include must name sites of the model, got 'pool9'"),
        (["demo", "--exclude", "pool9"], "exclude must name sites of the model, got 'pool9'"),
        (["demo", "--input-size", "big"], "input-size must look like 224 or 3,224,224, got 'big'"),
        (
            ["demo", "--input-size", "1,28,28"],
            r"input-size 1,28,28: the model can't be run \(.* to have 3 channels, but got 1",
        ),
        (["demo", "--batch-size", "0"], "batch size must be at least 1, got 0"),
        (["demo", "--out", "w.onnx"], r"out: must end in \.safetensors, got w\.onnx"),
        (["demo", "--json", "."], r"json: \. is a folder, not a file"),
        (["demo", "--json", "nets_to_convert.py/t.json"], "json: nets_to_convert.py is a file"),
        (["demo", "--dry-run", "--cost"], "cost: there is nothing converted after a dry run"),
        (["demo", "--dry-run", "--out", "w.safetensors"], "out: there is nothing converted"),
        (
            ["nets_to_convert:plain", "--cost"],
            r"cost: the model fails on \[1, 3, 224, 224\] \(.*\); give the size it takes by",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(folder: Path, monkeypatch, capsys, arguments, sentence) -> None:
    before = sorted(folder.iterdir())
    assert call(monkeypatch, "antialias", *arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("Error: ")
    assert re.search(sentence, error), error
    assert [path for path in sorted(folder.iterdir()) if path.name != "__pycache__"] == before


def test_an_exported_program_is_refused(folder: Path, monkeypatch, capsys) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.MaxPool2d(2))
    torch.export.save(torch.export.export(network, (torch.rand(1, 3, 16, 16),)), "net.pt2")
    assert call(monkeypatch, "antialias", "net.pt2") == 2
    assert "net.pt2: an exported program is a fixed graph" in capsys.readouterr().err


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only mistakes in what was asked for become sentences."""

    def broken(*_: object, **__: object) -> None:
        raise ValueError("something inside")

    monkeypatch.setattr(freqops, "antialias", broken, raising=False)
    monkeypatch.setattr(sys, "argv", ["freqops", "antialias", "demo"])
    with pytest.raises(ValueError, match="something inside"):
        antialias.antialias("demo")
