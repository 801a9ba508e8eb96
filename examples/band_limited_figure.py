"""The figure of band_limited_training.py: accuracy, time and memory over what was cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from freqops.plots.style import BLUE, GREY, STYLE, VERMILLION

Records = Sequence[Mapping[str, Mapping[str, Any]]]


def figure(records: Records) -> Figure:
    """Returns accuracy, time and memory of a training step, each over the share that was cut.

    Args:
        records: one entry per seed: {percent cut: the fields of a Run}; time and memory are those
            of the first.
    """
    with mpl.rc_context(STYLE):
        made = Figure(figsize=(9.6, 3.3), layout="constrained")
        FigureCanvasAgg(made)
        panels = made.subplots(1, 3, width_ratios=(1.5, 1, 1))
        cuts = [float(cut) for cut in records[0]]
        _accuracies(panels[0], records, cuts)
        _times(panels[1], records[0], cuts)
        _memory(panels[2], records[0], cuts)
        titles = ("Accuracy", "Time", "Memory")
        for axes, title, letter in zip(panels, titles, "abc", strict=True):
            axes.set_title(f"{letter}   {title}", loc="left", fontweight="bold")
            axes.set_xlabel("share of the spectrum that is cut (%)")
            axes.set_xticks(cuts)
            axes.set_xlim(cuts[0] - 4, cuts[-1] + 4)
    return made


def _accuracies(axes: Axes, records: Records, cuts: Sequence[float]) -> None:
    for name, label, colour, marker, below in (
        ("accuracy", "trained with the cut", BLUE, "o", False),
        ("cut_afterwards", "cut after training", VERMILLION, "s", True),
    ):
        values = np.array(
            [[100 * _last(run[name]) for run in record.values()] for record in records]
        )
        for seed in values:
            axes.plot(cuts, seed, color=colour, linewidth=0.6, alpha=0.35, zorder=2)
        _line(axes, cuts, values.mean(0), label, colour, marker)
        for cut, mean in list(zip(cuts, values.mean(0), strict=True))[int(below) :]:
            axes.annotate(
                f"{mean:.1f}", (cut, mean), (0, -13 if below else 8), textcoords="offset points",
                ha="center", fontsize=8, color=colour,
            )  # fmt: skip
    axes.set_ylabel("right answers on test windows (%)")
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.06 * (high - low), min(100.0, high + 0.08 * (high - low)))
    axes.legend(loc="lower left", title=f"mean of {len(records)} seeds, each seed thin")


def _times(axes: Axes, record: Mapping[str, Mapping[str, Any]], cuts: Sequence[float]) -> None:
    plain, *values = [run["step_milliseconds"] for run in record.values()]
    axes.axhline(plain, color=GREY, linestyle="--", label="unconverted")
    _line(axes, cuts[1:], values, "band-limited", BLUE, "o")
    axes.set_ylabel("a training step (ms)")
    axes.set_ylim(0, 1.1 * max(plain, *values))
    axes.legend(loc="lower left")


def _memory(axes: Axes, record: Mapping[str, Mapping[str, Any]], cuts: Sequence[float]) -> None:
    plain, *values = [run["peak_megabytes"] for run in record.values()]
    axes.axhline(plain, color=GREY, linestyle="--", label="unconverted, at most")
    _line(axes, cuts[1:], values, "band-limited, at most", BLUE, "o")
    kept = [run["kept_megabytes"] for run in record.values()]
    _line(axes, cuts, kept, "kept for the backward pass", GREY, "s")
    axes.set_ylabel("a training step (MiB)")
    axes.set_ylim(0, 1.1 * max(plain, *values))
    axes.legend(loc="lower left")


def _line(
    axes: Axes, cuts: Sequence[float], values: Any, label: str, colour: str, marker: str
) -> None:
    axes.plot(
        cuts, values, color=colour, marker=marker, label=label,
        markeredgecolor="white", markeredgewidth=0.6, zorder=4,
    )  # fmt: skip


def _last(value: Any) -> float:
    return float(value[-1] if isinstance(value, Sequence) else value)
