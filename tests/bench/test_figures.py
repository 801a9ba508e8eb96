"""Figures of a result: what is drawn for which rows."""

import io
from typing import Any

import pytest
from bench_results import made_up, made_up_row
from matplotlib.colors import to_hex
from PIL import Image

from freqops import plots
from freqops.bench.case import Point
from freqops.plots import bench


def test_figures_are_those_there_are_rows_for(result: dict[str, Any]) -> None:
    figures = plots.bench_figures(result)
    assert set(figures) == {"", "-scaling", "-radii"}
    for figure in figures.values():
        picture = Image.open(io.BytesIO(plots.figure_bytes(figure)))
        assert picture.width > 900
    assert set(plots.bench_figures(made_up())) == {""}
    assert plots.bench_figures(made_up(made_up_row(freqops=1.0, copy=0.5))) == {}


def test_many_rows_have_a_figure_for_each_operator() -> None:
    rows = [made_up_row(op, f"{n}x8") for op in ("blur_pool", "flc_pool") for n in range(1, 32)]
    figures = plots.bench_figures(made_up(*rows))
    assert set(figures) == {"-blur_pool", "-flc_pool"}
    for figure in figures.values():
        assert len(figure.axes[0].get_yticklabels()) == 31


def test_bars_are_multiples_of_the_copy_and_losses_have_their_colour(
    result: dict[str, Any],
) -> None:
    figure = bench.plot_bars(result)
    assert figure is not None
    axes = figure.axes[0]
    assert {bar.get_x() for bar in axes.patches} == {1}
    widths = [1 + bar.get_width() for bar in axes.patches]
    colors = [to_hex(bar.get_facecolor()).upper() for bar in axes.patches]
    # best peer behind ours, row by row; the row without a peer and the failed one are not drawn
    assert widths == pytest.approx([8.0, 2.0, 3.0, 4.0])
    assert colors[1::2] == [bench.BLUE, bench.LOST]
    texts = [text.get_text() for text in axes.texts]
    assert texts[:2] == ["4.0x  torch", "0.75x  torch"]
    assert "blur_pool" in texts
    assert [label.get_text() for label in axes.get_yticklabels()] == ["2x64x56x56", "2x3x7x7"]


def test_curves_are_times_by_pixel(result: dict[str, Any]) -> None:
    figure = bench.plot_scaling(result)
    assert figure is not None
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "side of the images",
        "images in a call",
        "taps of the kernel, each way",
    ]
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert set(lines) == {"freqops", "torch", "copy"}
    # 0.9 ms over 1000 pixels is 900 ns a pixel
    assert list(lines["freqops"].get_xdata()) == [1, 2, 4]
    assert list(lines["freqops"].get_ydata()) == pytest.approx([900.0, 1800.0, 3600.0])


def test_shared_forward_is_shown_beside_single_calls(result: dict[str, Any]) -> None:
    for row in result["cases"]:
        if (row["point"] or {}).get("axis") == "radii":
            ours = row["contenders"][0]
            entry = {**ours, "name": "freqops, single calls", "minimum": 2 * ours["minimum"]}
            row["contenders"].insert(1, entry)
    figure = bench.plot_radii(result)
    assert figure is not None
    lines = {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].get_lines()}
    assert list(lines) == ["freqops, one sweep", "freqops, single calls", "torch", "copy"]
    assert lines["freqops, single calls"] == pytest.approx([1.8, 3.6, 7.2])
    assert lines["torch"] == pytest.approx([4.5, 9.0, 18.0])


def test_contender_of_some_points_alone_has_no_line(result: dict[str, Any]) -> None:
    first = next(row for row in result["cases"] if (row["point"] or {}).get("axis") == "radii")
    first["contenders"].append({**first["contenders"][1], "name": "scipy"})
    figure = bench.plot_radii(result)
    assert figure is not None
    labels = {line.get_label() for line in figure.axes[0].get_lines()}
    assert "scipy" not in labels


def test_share_of_a_call_is_what_a_further_radius_saves(result: dict[str, Any]) -> None:
    """Made up: 0.9 ms a radius in a sweep, 1.8 ms by itself; torch's loop is not there."""
    assert bench._shared(bench._curve(result, "radii")) == []
    for row in result["cases"]:
        if (row["point"] or {}).get("axis") == "radii":
            ours = row["contenders"][0]
            row["contenders"].append({**ours, "name": "freqops, single calls"})
            row["contenders"][-1]["minimum"] *= 2
    (sentence,) = bench._shared(bench._curve(result, "radii"))
    assert sentence == "freqops: a further radius 0.9 ms, by itself 1.8: 50% is shared"
    for row in result["cases"]:
        for entry in row["contenders"]:
            if entry["name"] == "freqops, single calls":
                entry["minimum"] /= 4
    (sentence,) = bench._shared(bench._curve(result, "radii"))
    assert sentence.endswith("sharing saves nothing here")


def test_curves_of_two_operators_are_not_joined(result: dict[str, Any]) -> None:
    other = made_up_row("fft_conv", "8x8", point=Point("size", 8, 10.0))
    result["cases"].append(other)
    assert [row["op"] for row in bench._curve(result, "size")] == ["fft_filter"] * 3
