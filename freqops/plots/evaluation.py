"""Figures of a sweep: accuracy over the cutoff, filtered pictures, accuracy by class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from freqops.evaluation import ExampleGrid, SweepResult
from freqops.evaluation.conditions import axis_limit
from freqops.evaluation.result import METRIC_LABELS, UNIT_LABELS
from freqops.plots.style import BLACK, BLUE, GREEN, GREY, MARKERS, PALETTE, VERMILLION, style

BAND_LABELS = {
    "low": "low-passed: frequencies below the cutoff",
    "high": "high-passed: the rest",
}


def plot_sweep(result: SweepResult, *, metric: str | None = None) -> Figure:
    """Returns the metric over the cutoff: low- and high-passed, and the unfiltered baseline.

    One model: both bands in one panel. Several: a panel per band, each model and their mean.
    Bands around accuracies are 95 % Wilson intervals of the number of images.

    Args:
        result: a sweep.
        metric: which field of the records; None is "top1" where there is one.
    """
    metric = metric or result.default_metric()
    kinds: list[str] = result.settings["kinds"]
    with style():
        if len(result.models) == 1:
            figure = Figure(figsize=(5.6, 3.7), layout="constrained")
            FigureCanvasAgg(figure)
            axes = figure.add_subplot()
            _one_model(axes, result, kinds, metric)
            _dress(axes, result, metric)
            axes.set_ylabel(f"{METRIC_LABELS.get(metric, metric)} of {result.models[0]}")
            figure.legend(loc="outside lower center", ncols=4, columnspacing=1.4, handlelength=2.2)
        else:
            figure = Figure(figsize=(3.6 * len(kinds) + 0.6, 4.1), layout="constrained")
            FigureCanvasAgg(figure)
            panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
            for axes, kind in zip(panels, kinds, strict=True):
                _many_models(axes, result, kind, metric)
                _dress(axes, result, metric)
                axes.set_title(BAND_LABELS[kind], loc="left", fontweight="bold", pad=9)
            panels[0].set_ylabel(METRIC_LABELS.get(metric, metric))
            handles, labels = panels[0].get_legend_handles_labels()
            columns = min(4, len(labels))
            figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    return figure


def _one_model(axes: Axes, result: SweepResult, kinds: Sequence[str], metric: str) -> None:
    model = result.models[0]
    looks = {"low": (BLUE, "o", "low-passed"), "high": (VERMILLION, "s", "high-passed")}
    for kind in kinds:
        color, marker, label = looks[kind]
        _curve(axes, result, model, kind, metric, color=color, marker=marker, label=label)
    baseline = result.record(model).get(metric)
    if baseline is not None:
        text = f"unfiltered ({_text(baseline, metric)})"
        axes.axhline(baseline, color=BLACK, linestyle=(0, (5, 3)), linewidth=1.1, label=text)


def _many_models(axes: Axes, result: SweepResult, kind: str, metric: str) -> None:
    values, baselines = [], []
    for i, model in enumerate(result.models):
        color, marker = PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)]
        values.append(
            _curve(axes, result, model, kind, metric, color=color, marker=marker, label=model)
        )
        baseline = result.record(model).get(metric)
        baselines.append(math.nan if baseline is None else float(baseline))
        if baseline is not None:
            axes.axhline(baseline, color=color, linestyle=(0, (5, 3)), linewidth=0.9, alpha=0.8)
    cutoffs, _ = result.curve(result.models[0], kind, metric)
    means = np.mean(np.array(values, dtype=float), axis=0)
    axes.plot(cutoffs, means, color=BLACK, linewidth=2.2, label="mean of models", zorder=5)
    axes.axhline(
        float(np.mean(baselines)), color=BLACK, linestyle=(0, (5, 3)), linewidth=1.3,
        label="unfiltered (dashed, per model)",
    )  # fmt: skip


def _curve(
    axes: Axes,
    result: SweepResult,
    model: str,
    kind: str,
    metric: str,
    *,
    color: str,
    marker: str,
    label: str,
) -> list[float]:
    cutoffs, values = result.curve(model, kind, metric)
    axes.plot(
        cutoffs, values, color=color, marker=marker, label=label,
        markeredgecolor="white", markeredgewidth=0.7, zorder=4,
    )  # fmt: skip
    if metric in ("top1", "top5"):
        samples = result.record(model)["samples"]
        bounds = [wilson(value, samples) for value in values]
        low, high = zip(*bounds, strict=True)
        axes.fill_between(cutoffs, low, high, color=color, alpha=0.15, linewidth=0, zorder=2)
    return values


def wilson(share: float, count: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share of `count` independent images (Wilson's)."""
    z = 1.959964
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    middle, scale = share + z * z / (2 * count), 1 + z * z / count
    return (middle - spread) / scale, (middle + spread) / scale


def _dress(axes: Axes, result: SweepResult, metric: str) -> None:
    """Axis limits, ticks at the cutoffs, the chance level, and a second scale in cycles."""
    settings = result.settings
    cutoffs, unit = sorted(settings["cutoffs"]), settings["unit"]
    axes.set_xlabel(f"cutoff ({UNIT_LABELS[unit]})")
    if _room_for_labels(cutoffs):
        axes.set_xticks(cutoffs, [f"{cutoff:g}" for cutoff in cutoffs])
    if metric in METRIC_LABELS:
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        classes = len(result.records[0].get("per_class") or ())
        if metric == "top1" and 2 <= classes <= 100:
            axes.axhline(1 / classes, color=GREY, linestyle=":", linewidth=1.1, label="chance")
    size = settings.get("image_size")
    if unit == "bins" and size and size[-1] == size[-2]:
        side = size[-1]
        top = axes.secondary_xaxis("top", functions=(lambda r: r / side, lambda f: f * side))
        top.set_xlabel("cycles per pixel", fontsize=8.5, color=GREY)
        top.tick_params(labelsize=8, colors=GREY, length=2.5)
        top.spines["top"].set_visible(False)
        nyquist = axis_limit((side, side), "bins")
        if max(cutoffs) >= nyquist:
            axes.axvline(nyquist, color=GREY, linewidth=0.8, alpha=0.7, zorder=1)
            axes.annotate(
                "Nyquist", (nyquist, 0.5), (-2, 0), xycoords=("data", "axes fraction"),
                textcoords="offset points", rotation=90, ha="right", va="center",
                fontsize=7.5, color=GREY,
            )  # fmt: skip


def _room_for_labels(cutoffs: Sequence[float]) -> bool:
    """Whether a label under each cutoff fits: a digit takes about 1/40 of a panel's width."""
    if len(cutoffs) < 2:
        return bool(cutoffs)
    width = cutoffs[-1] - cutoffs[0]
    return all((b - a) / width > (len(f"{a:g}{b:g}") / 2 + 1) / 40 for a, b in pairwise(cutoffs))


def _text(value: float, metric: str) -> str:
    return f"{100 * value:.1f} %" if metric in METRIC_LABELS else f"{value:.4g}"


def plot_examples(grid: ExampleGrid) -> Figure:
    """Returns images under each condition with the model's answer below each.

    Green with a tick is right, vermillion with a cross is wrong. High-passed images have mid-grey
    added, because their values lie around zero; all are clipped to the visible range.
    """
    rows, columns = grid.images.shape[:2]
    height, width = grid.images.shape[-2:]
    side, tall = 0.98, 0.98 * height / width
    pair_gap, row_gap = 0.12, 0.27  # inches: before each new cutoff; below each row, for the answer
    left, top, bottom = 0.42, 0.5, 0.28
    lefts = [left + i * (side + 0.05) + ((i + 1) // 2) * pair_gap for i in range(columns)]
    total = (lefts[-1] + side + 0.06, top + rows * (tall + row_gap) + bottom)
    with style():
        figure = Figure(figsize=total)
        FigureCanvasAgg(figure)
        for row in range(rows):
            lower = total[1] - top - row * (tall + row_gap) - tall
            for column in range(columns):
                box = (lefts[column] / total[0], lower / total[1], side / total[0], tall / total[1])
                _example(figure.add_axes(box), grid, row, column)
        _headings(figure, grid)
    return figure


def _example(axes: Axes, grid: ExampleGrid, row: int, column: int) -> None:
    picture = grid.images[row, column].float().numpy().transpose(1, 2, 0)
    picture = picture + 0.5 if grid.conditions[column].kind == "high" else picture
    picture = np.clip(np.nan_to_num(picture), 0, 1)
    grey = picture.shape[2] == 1
    shown = picture[..., 0] if grey else picture[..., :3]
    axes.imshow(shown, cmap="gray" if grey else None, vmin=0, vmax=1, interpolation="nearest")
    predicted = int(grid.predictions[row, column])
    right = predicted == int(grid.labels[row])
    color = GREEN if right else VERMILLION
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(color)
        spine.set_linewidth(1.4)
    name = _short(grid.class_name(predicted))
    confidence = 100 * float(grid.confidences[row, column])
    axes.set_xlabel(
        f"{'✓' if right else '✗'} {name} {confidence:.0f} %",
        color=color, fontsize=7.4, labelpad=2.5,
    )  # fmt: skip
    if column == 0:
        true = grid.class_name(int(grid.labels[row]))
        axes.set_ylabel(_short(true, 16), fontsize=8.5, labelpad=4)


def _headings(figure: Figure, grid: ExampleGrid) -> None:
    """The cutoff over each pair of columns, the band over each, and how to read the marks."""
    axes = figure.axes[: len(grid.conditions)]
    inches = figure.get_figheight()
    unit = {"bins": "", "cycles": " cycles/px", "nyquist": " Nyquist"}[grid.unit]
    for panel, condition in zip(axes, grid.conditions, strict=True):
        panel.set_title("original" if condition.kind == "none" else condition.kind, pad=3.5)
        if condition.kind == "low":
            box = panel.get_position()
            pair = axes[axes.index(panel) + 1].get_position()
            figure.text(
                (box.x0 + pair.x1) / 2, 1 - 0.05 / inches, f"r = {condition.cutoff:g}{unit}",
                fontsize=9.5, fontweight="bold", ha="center", va="top",
            )  # fmt: skip
            line = Line2D((box.x0, pair.x1), [1 - 0.245 / inches] * 2, color=GREY, linewidth=0.8)
            figure.add_artist(line)
    figure.text(
        axes[0].get_position().x0, 0.06 / inches,
        f"Answers of {grid.model} with their confidence: ✓ right, ✗ wrong. True class on the left. "
        "High-passed images have mid-grey added.",
        fontsize=7.2, color=GREY, va="bottom",
    )  # fmt: skip


def _short(name: str, length: int = 11) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def plot_per_class(result: SweepResult, model: str | None = None) -> Figure | None:
    """Returns a heat map of one model's accuracy per class and condition.

    None when there is nothing to show: another metric, or more than 40 classes with images.
    """
    model = model or result.models[0]
    records = [record for record in result.records if record["model"] == model]
    shares: list[list[Any]] = [record.get("per_class") or [] for record in records]
    seen = [i for i, share in enumerate(shares[0]) if share is not None]
    if not seen or len(seen) > 40:
        return None
    names = result.settings.get("class_names")
    values = np.array([[row[i] for row in shares] for i in seen], dtype=float)
    with style():
        figure = Figure(
            figsize=(1.7 + 0.42 * len(records), 1.15 + 0.25 * len(seen)), layout="constrained"
        )
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.grid(False)
        axes.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            axes.text(
                column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=7,
                color="white" if value < 0.55 else "black",
            )  # fmt: skip
        labels = [names[i] if names and i < len(names) and names[i] else str(i) for i in seen]
        axes.set_yticks(range(len(seen)), [_short(label, 18) for label in labels])
        ticks = ["all" if r["cutoff"] is None else f"{r['cutoff']:g}" for r in records]
        axes.set_xticks(range(len(records)), ticks)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        _band_brackets(axes, [record["kind"] for record in records])
        axes.set_xlabel(f"cutoff ({UNIT_LABELS[result.settings['unit']]})")
    return figure


def _band_brackets(axes: Axes, kinds: Sequence[str]) -> None:
    """Names the bands above their columns, with a white line between them."""
    for kind in dict.fromkeys(kinds):
        first = kinds.index(kind)
        last = first + kinds.count(kind) - 1
        label = {"none": "", "low": "low-passed", "high": "high-passed"}[kind]
        axes.text((first + last) / 2, -0.75, label, ha="center", va="bottom", fontsize=8.5)
        if first:
            axes.axvline(first - 0.5, color="white", linewidth=3)
