"""Figures hold the numbers they are drawn from, in every shape a sweep can have."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from freqops import plots
from freqops.evaluation import ExampleGrid, SweepResult
from freqops.evaluation.conditions import Condition


def made_up(models: int = 1, kinds: tuple[str, ...] = ("low", "high"), **changes) -> SweepResult:
    """A sweep whose accuracies are easily told apart."""
    records = []
    for m in range(models):
        for kind, cutoff in [("none", None), *((k, c) for k in kinds for c in (2.0, 4.0, 8.0))]:
            top1 = 0.9 - 0.1 * m if cutoff is None else (0.1 * cutoff + 0.01 * m)
            top1 = 0.9 - top1 if kind == "high" else top1
            per_class = [top1, 1.0, None, top1 / 2]
            records.append(
                {"model": f"net{m}", "kind": kind, "cutoff": cutoff, "samples": 50, "top1": top1}
                | {"per_class": per_class, "loss": 3 - top1}
            )
    settings = {"kinds": list(kinds), "cutoffs": [2.0, 4.0, 8.0], "unit": "bins"}
    settings |= {"image_size": [3, 16, 16], "class_names": ["ant", "bee", "cow", "d" * 40]}
    return SweepResult(records, settings | changes)


def lines(figure: Figure) -> dict[str, list[np.ndarray]]:
    """Values of every labelled line, panel by panel."""
    found: dict[str, list[np.ndarray]] = {}
    for axes in figure.axes:
        for line in axes.get_lines():
            found.setdefault(str(line.get_label()), []).append(np.asarray(line.get_ydata()))
    return found


def opened(figure: Figure) -> Image.Image:
    return Image.open(io.BytesIO(plots.figure_bytes(figure)))


def test_one_model() -> None:
    figure = plots.plot_sweep(made_up())
    drawn = lines(figure)
    assert drawn["low-passed"][0] == pytest.approx([0.2, 0.4, 0.8])
    assert drawn["high-passed"][0] == pytest.approx([0.7, 0.5, 0.1])
    assert drawn["unfiltered (90.0 %)"][0] == pytest.approx([0.9, 0.9])
    assert drawn["chance"][0] == pytest.approx([0.25, 0.25])
    assert figure.axes[0].get_ylabel() == "top-1 accuracy of net0"
    picture = opened(figure)
    assert picture.width > 1000
    assert picture.height > 600


def test_several_models_and_their_mean() -> None:
    figure = plots.plot_sweep(made_up(3))
    drawn = lines(figure)
    assert drawn["net2"][0] == pytest.approx([0.22, 0.42, 0.82])
    assert drawn["mean of models"][0] == pytest.approx([0.21, 0.41, 0.81])
    assert drawn["mean of models"][1] == pytest.approx([0.69, 0.49, 0.09])
    assert len(figure.axes) == 2
    colours = {line.get_color() for line in figure.axes[0].get_lines()}
    assert len(colours) >= 4


@pytest.mark.parametrize(
    "result",
    [
        made_up(kinds=("high",)),
        made_up(2, kinds=("low",)),
        made_up(12),
        made_up(unit="cycles"),
        made_up(image_size=[3, 16, 9]),
        made_up(image_size=None, class_names=None),
    ],
    ids=["high", "low of two", "twelve", "cycles", "rectangle", "nothing known"],
)
def test_every_shape_can_be_drawn(result: SweepResult) -> None:
    assert opened(plots.plot_sweep(result)).width > 500
    assert plots.plot_per_class(result) is not None


def test_another_metric_and_unknown_values() -> None:
    result = made_up(2)
    result.records[2]["loss"] = None
    drawn = lines(plots.plot_sweep(result, metric="loss"))
    assert np.isnan(drawn["net0"][0][1])
    assert drawn["net1"][0] == pytest.approx([2.79, 2.59, 2.19])
    assert "chance" not in drawn


def test_interval_of_a_share() -> None:
    """Wilson's interval stays inside [0, 1] where the plain one doesn't."""
    assert plots.wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    low, high = plots.wilson(1.0, 20)
    assert (low, high) == pytest.approx((0.8389, 1.0), abs=1e-4)
    assert plots.wilson(0.0, 20)[0] == pytest.approx(0, abs=1e-12)


def test_per_class_figure() -> None:
    figure = plots.plot_per_class(made_up(2), "net1")
    assert figure is not None
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("100") == 7  # the second class, under every condition
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:2] == ["ant", "bee"]
    assert labels[2].endswith("…")
    many = made_up()
    for record in many.records:
        record["per_class"] = [0.5] * 41
    assert plots.plot_per_class(many) is None
    for record in many.records:
        del record["per_class"]
    assert plots.plot_per_class(many) is None


def grid(channels: int = 3, size: tuple[int, int] = (12, 12)) -> ExampleGrid:
    conditions = [Condition("none", None), Condition("low", 4.0), Condition("high", 4.0)]
    images = torch.rand(2, 3, channels, *size) * 2 - 0.5
    images[1, 2] = float("nan")
    predictions = torch.tensor([[0, 1, 0], [1, 1, 2]])
    confidences = torch.full((2, 3), 0.876)
    names = ["ant", "bee"]
    labels = torch.tensor([0, 1])
    return ExampleGrid(
        "net", conditions, images, labels, predictions, confidences, names, "bins", 3
    )


@pytest.mark.parametrize(("channels", "size"), [(3, (12, 12)), (1, (12, 12)), (3, (10, 24))])
def test_examples(channels: int, size: tuple[int, int]) -> None:
    figure = plots.plot_examples(grid(channels, size))
    answers = [axes.get_xlabel() for axes in figure.axes]
    expected = ["✓ ant", "✗ bee", "✓ ant", "✓ bee", "✓ bee", "✗ 2"]
    assert answers == [f"{answer} 88 %" for answer in expected]
    assert [axes.get_title() for axes in figure.axes[:3]] == ["original", "low", "high"]
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == ["ant", "bee"]
    assert opened(figure).width > 400
    shown = [np.asarray(axes.get_images()[0].get_array()) for axes in figure.axes]
    assert all(((picture >= 0) & (picture <= 1)).all() for picture in shown)
    middle = grid(channels, size)
    middle.images.zero_()
    drawn = plots.plot_examples(middle).axes
    assert (np.asarray(drawn[2].get_images()[0].get_array()) == 0.5).all()  # zero is mid-grey
    assert (np.asarray(drawn[1].get_images()[0].get_array()) == 0).all()


def test_save_figure(tmp_path: Path) -> None:
    figure = plots.plot_sweep(made_up())
    for name, start in (("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml")):
        plots.save_figure(figure, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)


def test_global_style_stays_untouched() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    plots.plot_sweep(made_up(2))
    plots.plot_examples(grid())
    assert dict(mpl.rcParams) == before
