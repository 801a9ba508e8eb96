"""The figure of band_limited_training.py: accuracy, time and memory over what was cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from freqops.plots import BLUE, GREY, STYLE, VERMILLION

Records = Sequence[Mapping[str, Mapping[str, Any]]]


def figure(records: Records) -> Figure:
    """Returns accuracy, time of a step and memory, each over the share that was cut.

    Args:
        records: one entry per seed: {percent cut: the fields of a Run}.
    """
    with mpl.rc_context(STYLE):
        made = Figure(figsize=(9.6, 3.4), layout="constrained")
        FigureCanvasAgg(made)
        panels = made.subplots(1, 3)
        cuts = [float(cut) for cut in records[0]]
        _accuracies(panels[0], records, cuts)
        _times(panels[1], records, cuts)
        _memory(panels[2], records[0], cuts)
        titles = ("Accuracy", "Time", "Memory")
        for axes, title, letter in zip(panels, titles, "abc", strict=True):
            axes.set_title(f"{letter}   {title}", loc="left", fontweight="bold")
            axes.set_xlabel("share of the spectrum that is cut (%)")
            axes.set_xticks(cuts)
    return made


def _accuracies(axes: Axes, records: Records, cuts: Sequence[float]) -> None:
    for name, label, colour, marker in (
        ("accuracy", "trained and tested cut", BLUE, "o"),
        ("cut_afterwards", "trained on all, tested cut", VERMILLION, "s"),
    ):
        values = [[100 * _last(run[name]) for run in record.values()] for record in records]
        _band(axes, cuts, np.array(values), label, colour, marker)
    axes.set_ylabel("right answers on test windows (%)")
    axes.legend(loc="lower left")


def _times(axes: Axes, records: Records, cuts: Sequence[float]) -> None:
    values = [[run["step_milliseconds"] for run in record.values()] for record in records]
    _band(axes, cuts, np.array(values), "", BLUE, "o")
    axes.set_ylabel("a training step (ms)")
    axes.set_ylim(bottom=0)


def _memory(axes: Axes, record: Mapping[str, Mapping[str, Any]], cuts: Sequence[float]) -> None:
    for name, label, colour, marker in (
        ("peak_megabytes", "at most", BLUE, "o"),
        ("kept_megabytes", "kept for the backward pass", GREY, "s"),
    ):
        axes.plot(
            cuts, [run[name] for run in record.values()], color=colour, marker=marker, label=label,
            markeredgecolor="white", markeredgewidth=0.6, zorder=4,
        )  # fmt: skip
    axes.set_ylabel("memory of a training step (MB)")
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower left")


def _band(
    axes: Axes, cuts: Sequence[float], values: Any, label: str, colour: str, marker: str
) -> None:
    """Mean over the seeds, and the range they span."""
    axes.plot(
        cuts, values.mean(0), color=colour, marker=marker, label=label,
        markeredgecolor="white", markeredgewidth=0.6, zorder=4,
    )  # fmt: skip
    axes.fill_between(cuts, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)


def _last(value: Any) -> float:
    return float(value[-1] if isinstance(value, Sequence) else value)
