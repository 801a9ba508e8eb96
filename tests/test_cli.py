"""The real program: what it prints, what it writes, how it ends."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import call, run
from PIL import Image
from safetensors.torch import save_file

import freqops
from freqops import cli
from freqops.cli import evaluate
from freqops.evaluation import SweepResult

FILES = ["examples.png", "report.html", "sweep.csv", "sweep.json", "sweep.png"]


# --- a run that works -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, run("evaluate", "--limit", "200", "--out", "results", cwd=folder)


def test_demo_ends_well_and_prints_a_table(demo_run) -> None:
    _, done = demo_run
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(r"model +band +all +2 +4 +6 +8 +12 +16 +20 +24", done.stdout)
    low, high = (
        [float(n) for n in re.search(rf"demo +{band} +(.*)", done.stdout).group(1).split()]
        for band in ("low", "high")
    )
    assert low[0] == high[0] > 90  # the unfiltered accuracy
    assert low[1] < 35 < 85 < low[-1]  # little is left at r = 2, nearly everything at 24
    assert high[1] > 55
    assert high[-1] < 20
    assert "100%" in done.stderr  # the progress bar


def test_demo_writes_every_file_and_nothing_else(demo_run) -> None:
    folder, _ = demo_run
    assert sorted(path.name for path in (folder / "results").iterdir()) == FILES
    assert [path.name for path in folder.iterdir()] == ["results"]


def test_demo_files_agree(demo_run) -> None:
    folder = demo_run[0] / "results"
    result = SweepResult.load(folder / "sweep.json")
    rows = list(csv.DictReader((folder / "sweep.csv").open()))
    assert len(rows) == len(result.records) == 17
    for row, record in zip(rows, result.records, strict=True):
        assert float(row["top1"]) == record["top1"]
    assert result.settings["data"] == "demo"
    assert result.settings["class_names"][0] == "brick"
    assert result.settings["command"] == "freqops evaluate --limit 200 --out results"


def test_demo_figures_are_pictures_of_sensible_size(demo_run) -> None:
    folder = demo_run[0] / "results"
    for name, least in (("sweep.png", (800, 500)), ("examples.png", (1200, 1500))):
        with Image.open(folder / name) as picture:
            assert picture.width >= least[0]
            assert picture.height >= least[1]
            assert len(picture.convert("RGB").getcolors(2**24) or []) > 50


def test_demo_report_needs_nothing_else(demo_run) -> None:
    page = (demo_run[0] / "results" / "report.html").read_text()
    resources = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"')\s>]+)", page)
    assert resources
    assert all(resource.startswith("data:image/png;base64,") for resource in resources)
    assert "<script" not in page
    for words in ("demo", "200 images", "reaches", "freqops evaluate --limit 200", "l2 norm"):
        assert words in page


def test_models_data_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Several models with weights of their own, a folder of pictures, other filter settings."""
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{i}.png")
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n"
        "def net(): return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 3))\n"
    )
    weights = {"2.weight": torch.rand(3, 12), "2.bias": torch.rand(3)}
    save_file(weights, tmp_path / "w.safetensors")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    arguments = ["a=nets:net,b=nets:net", "demo", "pictures"]
    arguments += ["--weights", "w.safetensors,w.safetensors,none"]
    options = [
        *("--cutoffs", "0.1:0.5:0.2", "--unit", "cycles", "--norm", "linf", "--kind", "gaussian"),
        *("--kinds", "low", "--image-size", "16", "--resize", "18", "--batch-size", "3"),
        *("--workers", "0", "--mean", "0.5", "--std", "0.25", "--quiet", "--device", "cpu"),
        *("--autocast", "bfloat16", "--examples", "2"),
    ]
    assert call(monkeypatch, "evaluate", *arguments, *options, "--out", "out") == 0
    out = capsys.readouterr()
    result = SweepResult.load("out/sweep.json")
    assert result.models == ["a", "b", "demo"]
    assert result.settings["cutoffs"] == [0.1, 0.3, 0.5]
    assert result.settings["image_size"] == [3, 16, 16]
    for setting, value in (("norm", "linf"), ("kind", "gaussian"), ("unit", "cycles")):
        assert result.settings[setting] == value
    assert result.settings["normalize"]["a"] == [[0.5], [0.25]]
    assert result.settings["samples"] == 8
    same = [[r["top1"] for r in result.records if r["model"] == name] for name in "ab"]
    assert same[0] == same[1]
    assert "the data have 2 classes, model a 3 outputs" in out.err
    assert sorted(path.name for path in Path("out").iterdir()) == FILES


def test_auc_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    options = ["--limit", "40", "--cutoffs", "8", "--quiet", "--out", str(tmp_path)]
    assert call(monkeypatch, "evaluate", "--metric", "auc", *options) == 0
    assert "auc" in capsys.readouterr().out.lower()
    result = SweepResult.load(tmp_path / "sweep.json")
    assert result.record("demo")["auc"] > 0.95
    assert not (tmp_path / "examples.png").exists()


def test_published_cifar_weights_on_cifar_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision:NAME with a checkpoint of ten classes on CIFAR's own files."""
    zoo = pytest.importorskip("torchvision.models")
    import pickle

    torch.save(zoo.resnet18(num_classes=10).state_dict(), tmp_path / "resnet.pt")
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3072), dtype=np.uint8)
    batch = {b"data": pixels, b"labels": [0, 1, 2, 3, 4, 5]}
    (folder / "test_batch").write_bytes(pickle.dumps(batch))
    monkeypatch.chdir(tmp_path)
    words = ["torchvision:resnet18", f"torchvision:CIFAR10@{tmp_path}", "--weights", "resnet.pt"]
    options = ["--normalize", "cifar10", "--cutoffs", "4:28:4", "--quiet", "--out", "out"]
    assert call(monkeypatch, "evaluate", *words, *options) == 0
    result = SweepResult.load("out/sweep.json")
    assert result.settings["cutoffs"] == [4, 8, 12, 16, 20, 24, 28]
    assert result.record("resnet18", "low", 28)["top1"] == result.record("resnet18")["top1"]


def test_info(monkeypatch, capsys) -> None:
    assert call(monkeypatch, "info") == 0
    out = capsys.readouterr().out
    for words in (freqops.__version__, torch.__version__, freqops._C.cpu_level(), "CUDA library"):
        assert words in out


def test_help_names_every_command(monkeypatch, capsys) -> None:
    assert call(monkeypatch, "--help") == 0
    out = capsys.readouterr().out
    assert "evaluate" in out
    assert "info" in out


# --- Ctrl-C ---------------------------------------------------------------------------------------

SLOW = """
import time
from freqops import demo
class Net:
    def __init__(self): self.net = demo.model()
    def __call__(self, images):
        time.sleep(0.02)
        return self.net(images)
"""


def test_interrupt_says_how_to_resume_and_resuming_equals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    options = ["--limit", "72", "--batch-size", "4", "--cutoffs", "4,8,16", "--examples", "0"]
    command = ["evaluate", "slow:Net", "--out", "out", *options]
    program = subprocess.Popen(
        [sys.executable, "-m", "freqops", *command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Started in the background by a shell, the tests ignore it, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert program.stderr is not None
    seen = ""
    deadline = time.monotonic() + 120
    while not re.search(r"\b[2-9]/18", seen) and time.monotonic() < deadline:
        seen += program.stderr.read(1)
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    last = err.strip().splitlines()[-1]
    hint = r"Interrupted after (\d+) of 18 batches; the same command with --resume continues .*"
    found = re.fullmatch(hint, last)
    assert found, err
    assert "Traceback" not in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == [evaluate.STATE]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert call(monkeypatch, *command, "--resume") == 0
    first = re.search(r"(\d+)/18", capsys.readouterr().err)
    assert first is not None
    assert first.group(1) == found.group(1)  # the bar starts where the other stopped
    assert call(monkeypatch, *command[:2], "--out", "whole", *options) == 0
    a, b = (json.loads((tmp_path / n / "sweep.json").read_text()) for n in ("out", "whole"))
    assert a["records"] == b["records"]
    assert not (tmp_path / "out" / evaluate.STATE).exists()


# --- mistakes: one sentence, exit code 2, nothing written -----------------------------------------


def test_mistake_in_a_process_of_its_own(tmp_path: Path) -> None:
    done = run("evaluate", "demo", "missing.npz", "--out", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "Error: data missing.npz: no such file or folder.\n"
    assert list(tmp_path.iterdir()) == []


def corrupt_picture(root: Path) -> None:
    (root / "pictures" / "a").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    for i in range(4):
        Image.fromarray(pixels).save(root / "pictures" / "a" / f"{i}.png")
    path = root / "pictures" / "a" / "2.png"
    path.write_bytes(path.read_bytes()[:3000])


def mismatched(root: Path) -> None:
    np.savez(root / "set.npz", images=np.zeros((4, 48, 48, 3), np.uint8), labels=np.arange(3))


def too_many_classes(root: Path) -> None:
    np.savez(root / "set.npz", images=np.zeros((4, 48, 48, 3), np.uint8), labels=np.arange(4) + 9)


def grey(root: Path) -> None:
    np.savez(root / "set.npz", images=np.zeros((4, 48, 48), np.uint8), labels=np.arange(4))


def empty_folder(root: Path) -> None:
    (root / "empty").mkdir()


def nothing(root: Path) -> None:
    pass


def file_in_the_way(root: Path) -> None:
    (root / "out").write_text("")


@pytest.mark.parametrize(
    ("prepare", "arguments", "sentence"),
    [
        (empty_folder, ["demo", "empty"], r"data empty: the folder has no class subfolders\."),
        (corrupt_picture, ["demo", "pictures"], r"pictures/a/2.png can't be read as an image"),
        (
            corrupt_picture,
            ["demo", "pictures", "--workers", "1", "--examples", "0"],
            r"pictures/a/2.png can't be read as an image",
        ),
        (mismatched, ["demo", "set.npz"], r"set.npz: 4 images but 3 labels\."),
        (too_many_classes, ["demo", "set.npz"], r"label 12 doesn't exist for a model with 10"),
        (grey, ["demo", "set.npz"], r"model 'demo' failed on images \[4, 1, 48, 48\]"),
        (nothing, ["--cutoffs", "4,200"], r"cutoff 200 is out of range: in unit 'bins' images of"),
        (nothing, ["--cutoffs", "-4"], "cutoffs must be finite and at least 0, got -4"),
        (nothing, ["--cutoffs", "four"], "cutoffs must look like 4,8,12 or 4:28:4, got 'four'"),
        (nothing, ["--unit", "hertz"], "unit must be one of"),
        (nothing, ["--kinds", "mid"], "kinds must be taken from"),
        (nothing, ["--norm", "l3", "--cutoffs", "4"], "norm must be one of"),
        (nothing, ["--device", "cuda:77"], "device cuda:77 can't be used"),
        (nothing, ["--autocast", "int4"], "autocast must be bfloat16 or float16"),
        (nothing, ["--batch-size", "0"], "batch size must be at least 1"),
        (nothing, ["--batch-size", "many"], "Invalid value for .--batch-size."),
        (nothing, ["--colour"], "--colour"),
        (nothing, ["demoo"], r"model demoo: unknown; MODEL is .*did you mean demo\?"),
        (nothing, ["absent:net"], "there is no module 'absent'"),
        (nothing, ["demo", "demo", "--weights", "w.pt"], "takes no --weights"),
        (nothing, ["net.pt2"], "model net.pt2: no such file"),
        (nothing, ["demo", "torchvision:CIFAR10@."], "there is no cifar-10-batches-py"),
        (nothing, ["--class-index", "no.json"], "class-index no.json: no such file"),
        (file_in_the_way, ["--limit", "20", "--cutoffs", "4"], "out: out is a file, not a folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, prepare, arguments, sentence
) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = sorted(tmp_path.rglob("*"))
    code = call(monkeypatch, "evaluate", *arguments, "--quiet", "--out", "out")
    printed = capsys.readouterr()
    assert code == 2
    assert printed.out == ""
    *notes, error = printed.err.strip().splitlines()
    assert error.startswith("Error: ")
    assert re.search(sentence, error)
    assert all(line.startswith("Note: ") for line in notes)
    assert sorted(tmp_path.rglob("*")) == before  # nothing half-written


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only mistakes in what was asked for become sentences."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(evaluate, "load_models", broken)
    monkeypatch.setattr(sys, "argv", ["freqops", "evaluate"])
    with pytest.raises(ZeroDivisionError):
        cli.main()
