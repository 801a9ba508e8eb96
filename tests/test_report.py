"""The report says what the records say, and is one file."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from freqops import report
from freqops.evaluation import InputError, SweepResult, example_grid, sweep
from freqops.report import Run

RUN = Run("freqops evaluate <x>", "pictures & more", 1.25, {"freqops": "9.8.7", "torch": "2.x"})


@pytest.fixture(scope="module")
def swept() -> tuple[SweepResult, object]:
    import torch

    torch.manual_seed(0)
    images, labels = torch.rand(8, 3, 16, 16), torch.arange(8) % 5
    models = {}
    for name in "ab":
        models[name] = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 5))
    data = [(images, labels)]
    result = sweep(models, data, [2, 4], progress=False, normalize={"a": (0.5, 0.25)})
    return result, example_grid(models, data, [2], rows=2)


class Balance(HTMLParser):
    """Every element that is opened is closed, in order."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_writes_all_files(swept, tmp_path: Path) -> None:
    result, grid = swept
    paths = report.write_results(tmp_path / "a" / "b", result, grid, RUN)
    assert [path.name for path in paths] == list(report.FILES)
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == sorted(report.FILES)
    again = report.write_results(tmp_path / "a" / "b", result, None, RUN)  # over the old files
    assert "examples.png" not in [path.name for path in again]


def test_page(swept, tmp_path: Path) -> None:
    result, grid = swept
    report.write_results(tmp_path, result, grid, RUN)
    page = (tmp_path / "report.html").read_text()
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    text = " ".join(" ".join(parser.text).split())
    for words in (
        "a, b on pictures & more, 8 images",
        "freqops evaluate <x>",
        "1.2 s for filtering",
        "16 x 16 pixels, 3 channels",
        "Normalisation of a mean [0.5], std [0.25]",
        "Written by freqops 9.8.7",
    ):
        assert words in text
    for model in "ab":
        for kind in ("low", "high"):
            for cutoff in (2.0, 4.0):
                assert f">{100 * result.record(model, kind, cutoff)['top1']:.1f}<" in page
    assert page.count("data:image/png;base64,") == 4  # curves, examples, two models' classes
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "http" not in re.sub(r"base64,[^\"]+", "", page)


def test_findings() -> None:
    def record(kind: str, cutoff: float | None, top1: float) -> dict:
        fields = {"model": "m", "kind": kind, "cutoff": cutoff, "samples": 9, "top1": top1}
        return fields

    rows = [record("none", None, 0.8), record("low", 2, 0.1), record("low", 4, 0.5)]
    rows += [record("high", 2, 0.4), record("high", 4, 0.2)]
    result = SweepResult(rows, {"kinds": ["low", "high"], "cutoffs": [2, 4], "unit": "bins"})
    assert report.findings(result, "top1") == [
        "m reaches 80.0 % on the images as they are. The frequencies below 4 (DFT bins) are enough "
        "for half of that. At least half is left when those below 2 (DFT bins) are taken away."
    ]
    rows[2]["top1"] = rows[3]["top1"] = 0.1
    assert report.findings(result, "top1") == [
        "m reaches 80.0 % on the images as they are. No low-passed version keeps half of that. "
        "No high-passed version keeps half of that."
    ]


def test_folder_that_cannot_be_written(swept, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"out: .* can't be written"):
        report.write_results(tmp_path / "file" / "out", *swept, RUN)


def test_numbers_survive_a_figure_that_fails(swept, tmp_path: Path, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(report.plots, "plot_sweep", broken)
    with pytest.raises(ZeroDivisionError):
        report.write_results(tmp_path, *swept, RUN)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sweep.csv", "sweep.json"]
    assert SweepResult.load(tmp_path / "sweep.json").records == swept[0].records
