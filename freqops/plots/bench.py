"""Figures of the benchmarks: rows beside the floor, curves over size, batch, radii, taps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullLocator

from freqops.bench.cases.low_high import SINGLE
from freqops.bench.verdict import verdicts
from freqops.plots.style import BLACK, BLUE, GREY, MARKERS, PALETTE, VERMILLION, style

Row = Mapping[str, Any]
Result = Mapping[str, Any]

#: Bars of ours where a peer is faster.
LOST = VERMILLION
_MOST_BARS = 60  # in one figure: beyond, each operator has its own
_AXES = {
    "size": "side of the images",
    "batch": "images in a call",
    "taps": "taps of the kernel, each way",
}
# What the contenders are called beside each other where radii are many.
_OF_RADII = {
    "freqops": "freqops, one sweep",
    "torch sharing": "torch.fft, forward shared",
    "torch separate": "torch.fft, a loop of calls",
}


def bench_figures(result: Result) -> dict[str, Figure]:
    """Returns the figures that a result has rows for, by what is added to their file's name.

    Bars of all operators in one figure, or where they are many in one for each operator.

    Args:
        result: as :func:`freqops.bench.record.read` returns it.
    """
    ops = {
        row["op"]: [other for other in result["cases"] if other["op"] == row["op"]]
        for row in result["cases"]
    }
    many = sum(row["point"] is None for row in result["cases"]) > _MOST_BARS
    figures = (
        {f"-{op}": plot_bars({**result, "cases": rows}) for op, rows in ops.items()}
        if many
        else {"": plot_bars(result)}
    )
    figures |= {"-scaling": plot_scaling(result), "-radii": plot_radii(result)}
    return {name: figure for name, figure in figures.items() if figure is not None}


# --- bars -----------------------------------------------------------------------------------------


def plot_bars(result: Result) -> Figure | None:
    """Returns a bar per row: ours and the best peer as multiples of a copy of the same bytes.

    A bar begins at the copy, where a logarithmic axis has its 1: its length is what comes on top.
    Rows of curves are left to the curves. None where no row has a peer.

    Args:
        result: of the benchmarks.
    """
    rows = [row for row in result["cases"] if row["point"] is None]
    judged = [(row, *verdicts(dict(row), result["environment"])[:1]) for row in rows]
    judged = [entry for entry in judged if len(entry) == 2]
    if not judged:
        return None
    heights = _heights([row for row, _ in judged])
    with style():
        figure = Figure(figsize=(7.2, 0.9 + 0.2 * (heights[-1] + 1)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for height, (_, verdict) in zip(heights, judged, strict=True):
            ours, best = 1 / verdict.of_floor, verdict.ratio / verdict.of_floor
            axes.barh(height, best - 1, 0.82, left=1, color="#D9D9D9", zorder=2)
            color = LOST if verdict.lost else BLUE
            axes.barh(height, ours - 1, 0.46, left=1, color=color, zorder=3)
            text = f"{verdict.ratio:.1f}x  {verdict.best['name']}"
            if verdict.lost:
                text = f"{verdict.ratio:.2f}x  {verdict.best['name']}"
            axes.text(
                max(ours, best) * 1.06, height, text, va="center", fontsize=7,
                color=LOST if verdict.lost else BLACK, fontweight="bold" if verdict.lost else None,
            )  # fmt: skip
        _dress_bars(axes, judged, heights)
        handles = [
            Patch(color=BLUE, label="freqops"),
            Patch(color=LOST, label="freqops, slower than the peer"),
            Patch(color="#D9D9D9", label="fastest peer (named)"),
            Line2D([], [], color=BLACK, linewidth=1.1, label="copy of the same bytes"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, handlelength=1.2)
    return figure


def _heights(rows: Sequence[Row]) -> list[float]:
    """Where each bar stands: a gap before each operator, for its name."""
    heights, height, op = [], -1.0, None
    for row in rows:
        height += 1 if row["op"] == op else 2
        op = row["op"]
        heights.append(height)
    return heights


def _dress_bars(axes: Axes, judged: Sequence[Any], heights: Sequence[float]) -> None:
    axes.axvline(1, color=BLACK, linewidth=1.1, zorder=4)
    axes.set_xscale("log")
    reach = max(max(1, verdict.ratio) / verdict.of_floor for _, verdict in judged)
    least = min(min(1, verdict.ratio) / verdict.of_floor for _, verdict in judged)
    axes.set_xlim(min(0.7, 0.8 * least), reach * 8)
    axes.set_ylim(heights[-1] + 0.8, heights[0] - 1.6)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("time, as a multiple of the copy's")
    axes.set_yticks(heights, [_bar_label(row) for row, _ in judged], fontsize=7)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    op = None
    for height, (row, _) in zip(heights, judged, strict=True):
        if row["op"] != op:
            op = row["op"]
            axes.text(
                -0.012, height - 0.95, op, transform=axes.get_yaxis_transform(),
                fontsize=8, fontweight="bold", va="center", ha="right",
            )  # fmt: skip


# Of a table's heading: what a row says in other words, or what goes without saying.
_UNSAID = re.compile(
    r"float\d+|bfloat16|half types|NHWC|NCHW|channels_last|forward.*|response without zeros|"
    r"inputs beyond the cache"
)


def _bar_label(row: Row) -> str:
    """The shape and what tells the row from others of its shape."""
    _, *parts = row["table"].split(", ")
    words = [row["label"], *(part for part in parts if not _UNSAID.fullmatch(part))]
    words += ["NHWC"] if row["layout"] == "NHWC" and "NHWC" not in row["label"] else []
    words += [row["dtype"]] if row["dtype"] not in ("float32", *row["label"].split()) else []
    words += ["gradient"] if row["backward"] else []
    words += ["cold"] if row["rotated"] else []
    return ", ".join(words)


# --- curves ---------------------------------------------------------------------------------------


def plot_scaling(result: Result) -> Figure | None:
    """Returns time per pixel over size, batch and a kernel's taps; None without such rows.

    Args:
        result: of the benchmarks.
    """
    curves = {axis: _curve(result, axis) for axis in _AXES}
    shown = {axis: rows for axis, rows in curves.items() if len(rows) > 1}
    if not shown:
        return None
    with style():
        figure = Figure(figsize=(max(3.8, 3.3 * len(shown)), 3.9), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, (axis, rows) in zip(panels, shown.items(), strict=True):
            _lines(axes, rows, 1e6)
            axes.set_xscale("log")
            axes.set_yscale("log")
            ticks = [row["point"]["at"] for row in rows]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.tick_params(axis="x", labelsize=7)  # 224 and 299 are close
            axes.xaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.set_xlabel(_AXES[axis])
            axes.set_title(_shape_words(rows, axis), loc="left")
        panels[0].set_ylabel("ns per pixel")
        for axes in panels:  # each its own: an operator's peers are not the next one's
            axes.legend(
                fontsize=7, handlelength=1.6, ncols=3, columnspacing=1.2,
                loc="upper center", bbox_to_anchor=(0.5, -0.16),  # lines reach every corner
            )  # fmt: skip
    return figure


def plot_radii(result: Result) -> Figure | None:
    """Returns the time of low and high images over the number of radii; None without such rows.

    Beside one sweep for all radii, ours and torch's composition also with a call for each: what
    lies between the two is the forward transform, which the radii share, and the call. The share
    of a call that a further radius saves is written below the axes.

    Args:
        result: of the benchmarks.
    """
    rows = _curve(result, "radii")
    if len(rows) < 2:
        return None
    with style():
        figure = Figure(figsize=(5.0, 3.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        _lines(axes, rows, 1.0, _OF_RADII)
        counts = [row["point"]["at"] for row in rows]
        axes.set_xticks(counts, [f"{count:g}" for count in counts])
        axes.set_xlim(0, counts[-1] * 1.04)
        axes.set_ylim(0, None)
        shares = "\n".join(_shared(rows))
        axes.set_xlabel("radii, low and high image of each" + (f"\n{shares}" if shares else ""))
        axes.set_ylabel("ms, fastest call")
        axes.set_title(f"low_high2d, {'x'.join(map(str, rows[0]['shape']))}", loc="left")
        axes.legend(loc="upper left")
    return figure


def _curve(result: Result, axis: str) -> list[Row]:
    """The rows along an axis, in its order; of the first operator that has such."""
    rows = [row for row in result["cases"] if (row["point"] or {}).get("axis") == axis]
    rows = [row for row in rows if row["contenders"] and row["op"] == rows[0]["op"]]
    return sorted(rows, key=lambda row: float(row["point"]["at"]))


def _shared(rows: Sequence[Row]) -> list[str]:
    """Sentences: what a further radius takes in one sweep and in calls of its own."""
    sentences = []
    for who, sweep, single in (
        ("freqops", "freqops", SINGLE),
        ("torch.fft", "torch sharing", "torch separate"),
    ):
        if not all(_entry(row, name) for row in rows for name in (sweep, single)):
            continue
        one, each = (_per_radius(rows, name) for name in (sweep, single))
        share = (
            f"{1 - one / each:.0%} is shared" if 0 < one < each else "sharing saves nothing here"
        )
        sentences.append(f"{who}: a further radius {one:.2g} ms, by itself {each:.2g}: {share}")
    return sentences


def _per_radius(rows: Sequence[Row], name: str) -> float:
    """The slope from the fewest radii to the most."""
    first, last = rows[0], rows[-1]
    time = float(_entry(last, name)["minimum"] - _entry(first, name)["minimum"])
    return time / float(last["point"]["at"] - first["point"]["at"])


def _lines(
    axes: Axes, rows: Sequence[Row], scale: float, words: Mapping[str, str] | None = None
) -> None:
    """A line per contender of those that are in every row, by its fastest call."""
    names = [entry["name"] for entry in rows[0]["contenders"]]
    names = [name for name in names if all(_entry(row, name) for row in rows)]
    peers = 0
    for name in names:
        entries = [_entry(row, name) for row in rows]
        role = entries[0]["role"]
        if role == "ours" and name not in ("freqops", SINGLE):
            continue
        at = [row["point"]["at"] for row in rows]
        work = [row["point"]["work"] / scale for row in rows]
        times = [entry["minimum"] / share for entry, share in zip(entries, work, strict=True)]
        if role == "floor":
            look: dict[str, Any] = {"color": GREY, "linestyle": (0, (5, 3)), "linewidth": 1.1}
        elif name == SINGLE:
            look = {"color": BLUE, "linestyle": (0, (2, 2)), "linewidth": 1.4}
        elif role == "ours":
            look = {"color": BLUE, "marker": MARKERS[0], "linewidth": 2.2, "zorder": 5}
        else:
            peers += 1
            look = {"color": PALETTE[peers % len(PALETTE)], "marker": MARKERS[peers]}
        axes.plot(
            at,
            times,
            label=(words or {}).get(name, name),
            markeredgecolor="white",
            markeredgewidth=0.6,
            **look,
        )


def _entry(row: Row, name: str) -> dict[str, Any]:
    return next((entry for entry in row["contenders"] if entry["name"] == name), {})


def _shape_words(rows: Sequence[Row], axis: str) -> str:
    """What stays along the curve."""
    op = rows[0]["op"] + "2d"
    if axis == "size":
        return f"{op}, as many pixels each"
    return f"{op}, {'x'.join(map(str, rows[0]['shape'][1:]))}"
