"""The figure of finetune_antialiased.py: what was measured, as curves over epochs and distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from freqops.plots.style import BLUE, GREEN, MARKERS, STYLE, VERMILLION

COLOURS = (VERMILLION, BLUE, GREEN, "#E69F00", "#CC79A7", "#56B4E9")
Records = Sequence[Mapping[str, Any]]


def figure(records: Records, distances: Sequence[int]) -> Figure:
    """Returns accuracy and consistency over the epochs, and consistency over the displacement.

    Args:
        records: per seed {network: {"accuracy", "consistency", "by_distance"}}.
        distances: pixels that "by_distance" belongs to.
    """
    with mpl.rc_context(STYLE):
        made = Figure(figsize=(9.6, 3.5), layout="constrained")
        FigureCanvasAgg(made)
        panels = made.subplots(1, 3)
        epochs = range(len(records[0]["as it was"]["accuracy"]))
        _curves(panels[0], records, "accuracy", epochs)
        _curves(panels[1], records, "consistency", epochs)
        _curves(panels[2], records, "by_distance", distances)
        titles = ("Accuracy", "Shift consistency", "Consistency by distance")
        for axes, title, letter in zip(panels, titles, "abc", strict=True):
            axes.set_title(f"{letter}   {title}", loc="left", fontweight="bold")
        for axes in panels[:2]:
            axes.set_xlabel("epochs of fine-tuning")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _drop_untuned(panels[0])
        panels[0].set_ylabel("correct answers on test windows (%)")
        panels[1].set_ylabel("pairs of displaced windows\nwith the same answer (%)")
        panels[2].set_ylabel("windows that keep their answer (%)")
        panels[2].set_xlabel("displacement to the right (pixels)")
        panels[2].set_xticks([distance for distance in distances if distance % 4 == 0])
        handles, labels = panels[0].get_legend_handles_labels()
        made.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)))
    return made


def _drop_untuned(axes: Axes) -> None:
    """Leaves out what lies far below all else, a converted network before tuning, but says so."""
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()]
    least = min(values[1:].min() for values in curves)
    most = max(values.max() for values in curves)
    bottom = least - 0.5 * (most - least)
    for number, line in enumerate(axes.get_lines()):
        first = curves[number][0]
        if first < bottom:
            axes.annotate(
                f"before tuning: {first:.0f} %", (0.98, 0.04 + 0.08 * (number - 1)), ha="right",
                xycoords="axes fraction", color=line.get_color(), fontsize=8.5,
            )  # fmt: skip
    axes.set_ylim(bottom=bottom)


def _curves(axes: Axes, records: Records, name: str, positions: Sequence[int]) -> None:
    """Mean over the seeds, and the range they span."""
    for number, recipe in enumerate(records[0]):
        values = 100 * np.array([record[recipe][name] for record in records])
        label = "fine-tuned as it was" if not number else f"anti-aliased ({recipe}), fine-tuned"
        look = {"color": COLOURS[number % 6], "marker": MARKERS[number % len(MARKERS)]}
        axes.plot(
            positions, values.mean(0), label=label, markeredgecolor="white",
            markeredgewidth=0.6, zorder=4, **look,
        )  # fmt: skip
        axes.fill_between(
            positions, values.min(0), values.max(0), color=look["color"], alpha=0.15, linewidth=0
        )
