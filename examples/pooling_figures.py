"""The figures of pooling_responses.py: gains, aliasing, an edge; and pictures pooled twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from freqops.plots.style import BLACK, BLUE, GREEN, GREY, PALETTE, STYLE, VERMILLION

ORANGE, PURPLE, SKY, BROWN = PALETTE[1], PALETTE[3], PALETTE[5], PALETTE[6]
FLOOR = -80.0

#: Colour and line of each layer: those with a maximum are dashed.
LOOKS: dict[str, dict[str, Any]] = {
    "stride 2": {"color": BLACK, "linestyle": (0, (1, 1.2))},
    "max 2x2": {"color": GREY, "linestyle": (0, (4, 1.5))},
    "average 2x2": {"color": ORANGE},
    "blur, 3 taps": {"color": SKY},
    "blur, 5 taps": {"color": BLUE},
    "max and blur, 3 taps": {"color": PURPLE, "linestyle": (0, (4, 1.5))},
    "Kaiser, 12 taps": {"color": GREEN},
    "FLC": {"color": VERMILLION, "linewidth": 2.4},
    "spectral, Hamming": {"color": BROWN, "linestyle": (0, (6, 1.2, 1.5, 1.2))},
}


#: What is drawn of an edge; the others lie between them.
EDGES = ("average 2x2", "blur, 5 taps", "Kaiser, 12 taps", "FLC", "spectral, Hamming")


class Pictures(NamedTuple):
    """Pictures before and after.

    Attributes:
        names: of the pictures.
        originals: [H, W] in [0, 1], one per name.
        pooled: the same after each layer twice, by layer.
    """

    names: tuple[str, ...]
    originals: tuple[np.ndarray[Any, Any], ...]
    pooled: Mapping[str, tuple[np.ndarray[Any, Any], ...]]


def responses_figure(layers: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Returns three panels: gain over frequency, aliased energy over frequency, an edge.

    Args:
        layers: what was measured, by layer.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.4, 4.3), layout="constrained")
        FigureCanvasAgg(figure)
        gain, alias, edge = figure.subplots(1, 3)
        for name, one in layers.items():
            look = {"label": name, **LOOKS[name]}
            gain.plot([0, *one["frequencies"]], [1, *one["gain"]], **look)
            energy = np.maximum(one["aliased_energy"], 10 ** (FLOOR / 10 - 1))
            alias.plot(one["aliasing_frequencies"], 10 * np.log10(energy), **look)
            if name in EDGES:
                _edge(edge, one["edge"], look)
        _title(gain, "a", "What should pass")
        gain.set_xlabel("frequency (cycles per input pixel)")
        gain.set_ylabel("amplitude that passes")
        gain.set_xlim(0, 0.25)
        gain.set_ylim(0, 1.09)
        _title(alias, "b", "What should not")
        alias.set_xlabel("frequency (cycles per input pixel)")
        alias.set_ylabel("energy of false frequencies (dB)")
        alias.set_xlim(0.25, 0.5)
        alias.set_ylim(FLOOR, 5)
        _nothing(alias, layers)
        _title(edge, "c", "An edge")
        edge.set_xlabel("output pixel")
        edge.set_ylabel("brightness")
        handles, labels = gain.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, handlelength=3.2)
    return figure


def _title(axes: Axes, letter: str, words: str) -> None:
    axes.set_title(f"{letter}   {words}", loc="left", fontweight="bold")


def _nothing(axes: Axes, layers: Mapping[str, Mapping[str, Any]]) -> None:
    """Says which curves lie below the panel."""
    below = [
        name for name, one in layers.items() if max(one["aliased_energy"]) < 10 ** (FLOOR / 10)
    ]
    if below:
        axes.annotate(
            "\n".join([*below, "only rounding"]), (0.02, 0.02), xycoords="axes fraction",
            color=LOOKS[below[0]]["color"], fontsize=8.5, va="bottom",
        )  # fmt: skip


def _edge(axes: Axes, row: Sequence[float], look: Mapping[str, Any]) -> None:
    """The samples around the edge, which is before the middle one."""
    middle = len(row) // 2
    reach = min(9, middle // 2)
    near = range(middle - reach, middle + reach + 1)
    axes.plot([at - middle for at in near], [row[at] for at in near], marker="o", ms=3, **look)


def zone_plate_figure(pictures: Pictures) -> Figure:
    """Returns the pictures in rows: the original, and what is left after each layer twice."""
    rows, columns = len(pictures.names), 1 + len(pictures.pooled)
    # In inches; at 200 dots each a pixel of 240 is a dot, or the page would alias by itself.
    side, gap, top, left = 1.2, 0.05, 0.42, 0.25
    width, height = left + columns * (side + gap), top + rows * (side + gap)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        headings = ["original", *(name.replace(", ", ",\n") for name in pictures.pooled)]
        for column, heading in enumerate(headings):
            for row, name in enumerate(pictures.names):
                box = (
                    (left + column * (side + gap)) / width,
                    1 - (top + row * (side + gap) + side) / height,
                    side / width,
                    side / height,
                )
                axes = figure.add_axes(box)
                shown = pictures.originals[row]
                if column:
                    shown = list(pictures.pooled.values())[column - 1][row]
                _picture(axes, shown)
                if row == 0:
                    axes.set_title(heading, fontsize=8.5, pad=3)
                if column == 0:
                    axes.set_ylabel(name, fontsize=8.5, labelpad=3)
    return figure


def _picture(axes: Axes, shown: np.ndarray[Any, Any]) -> None:
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[:].set_visible(False)
