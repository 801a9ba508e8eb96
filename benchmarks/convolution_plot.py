"""The figure of docs/convolution.md: time against the kernel's size, each way and as chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from convolution_trials import Found, Trial
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from freqops.plots.style import BLACK, BLUE, DPI, GREY, STYLE, VERMILLION

_TAPS = (3, 5, 7, 9, 11, 13, 15, 17, 21, 25, 31, 41, 51)
_LONGEST_DENSE = 25
# (images, channels, outputs, side)
_PANELS = ((4, 96, None, 56), (4, 192, None, 28), (4, 384, None, 14), (4, 64, 64, 56))
_DASHES = {"NCHW": "-", "NHWC": (0, (4, 1.6))}
_TORCH, _FFT = VERMILLION, BLUE
_RING: dict[str, Any] = {
    "color": BLACK,
    "linestyle": "",
    "marker": "o",
    "markersize": 6.5,
    "markerfacecolor": "none",
    "markeredgewidth": 0.9,
}


def trials() -> Iterator[Trial]:
    """What the figure shows."""
    for images, channels, outputs, side in _PANELS:
        for taps in _TAPS:
            if taps >= 2 * side or (outputs and taps > _LONGEST_DENSE):
                continue
            for layout in _DASHES:
                yield Trial("crossover", images, channels, side, taps, outputs, layout=layout)


def draw(content: dict[str, Any], path: Path) -> None:
    """Writes the figure.

    Args:
        content: of the file of results.
        path: of the picture.
    """
    results = [Found.of(record) for record in content["trials"]]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 5.8), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(2, 2).flatten()
        for axes, shape in zip(panels, _PANELS, strict=True):
            _panel(axes, shape, results)
        for axes in panels[2:]:
            axes.set_xlabel("taps along each axis")
        for axes in panels[::2]:
            axes.set_ylabel("milliseconds per call")
        _legend(figure)
        environment = content["environment"]
        threads = environment["threads"]
        plural = "s" if threads > 1 else ""
        figure.supxlabel(
            f"float32, forward, {threads} thread{plural} of {environment['cpu']}, "
            f"torch {environment['torch']}; least of several calls in turns",
            fontsize=6.5,
            color=GREY,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=DPI)


def _panel(axes: Axes, shape: tuple[int, int, int | None, int], results: list[Found]) -> None:
    images, channels, outputs, side = shape
    for layout, dashes in _DASHES.items():
        own = [
            found
            for found in results
            if (found.trial.channels, found.trial.outputs, found.trial.size, found.trial.layout)
            == (channels, outputs, side, layout)
        ]
        taps = [found.trial.taps for found in own]
        chosen = [found.chosen for found in own]
        axes.plot(taps, chosen, **_RING, zorder=3)
        for color, times, marker in (
            (_TORCH, [found.direct for found in own], "s"),
            (_FFT, [found.fft for found in own], "o"),
        ):
            axes.plot(
                taps,
                times,
                color=color,
                linestyle=dashes,
                linewidth=1.3,
                marker=marker,
                markersize=3,
                markerfacecolor=color if layout == "NCHW" else "white",
                zorder=2,
            )
    kind = f"dense, {channels} to {outputs}" if outputs else "depthwise"
    axes.set_title(f"{kind}, {images}x{channels}x{side}x{side}", loc="left")
    axes.set_yscale("log")
    axes.set_xticks([3, 7, 13, 21, 31, 41, 51])
    axes.set_xlim(1, 53)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _legend(figure: Figure) -> None:
    """Colour says the way, dashes the layout; one row for the whole figure."""

    def entry(label: str, color: str, **more: Any) -> Line2D:
        return Line2D([], [], color=color, label=label, **more)

    entries = [
        entry("torch's convolution", _TORCH, marker="s", markersize=3),
        entry("through the spectrum", _FFT, marker="o", markersize=3),
        Line2D([], [], label="fft_conv2d as called", **_RING),
        entry("NCHW", GREY, linestyle=_DASHES["NCHW"]),
        entry("NHWC", GREY, linestyle=_DASHES["NHWC"]),
    ]
    figure.legend(handles=entries, loc="outside upper center", ncols=5, columnspacing=1.4)
