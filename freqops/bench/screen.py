"""Results as tables on a terminal."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from freqops.bench.comparison import LEAST_NOISE, Comparison
from freqops.bench.verdict import WIDE, Verdict, first_verdict, relative_spread, share_of_floor

Row = dict[str, Any]

# Widths of a terminal from which on the copy's share is shown, cells have room, and a row says
# where its shape comes from.
_WITH_COPY, _ROOMY, _WITH_LAYERS = 80, 104, 132


def op_table(rows: Sequence[Row], environment: Mapping[str, Any], width: int) -> Group:
    """An operator's rows: ours, the best peer, the ratio, the share of the copy, losses marked.

    Args:
        rows: records of one operator.
        environment: where they were measured.
        width: of the terminal.
    """
    with_layer, with_copy = width >= _WITH_LAYERS, width >= _WITH_COPY
    head = _grid(width)
    layer = ["layer"] if with_layer else []
    copy = ["of copy"] if with_copy else []
    names = ("freqops ms" if with_copy else "ours ms", "best peer", "ms", "ratio", *copy)
    head.add_row(rows[0]["op"], *layer, *names, style="bold")
    parts: list[RenderableType] = [head]
    for heading, group in itertools.groupby(rows, key=lambda row: str(row["table"])):
        grid = _grid(width)
        for row in group:
            where = [Text(row["layer"], style="dim")] if with_layer else []
            *cells, share, notes = _cells(row, environment)
            grid.add_row(
                f"  {row['label']}", *where, *cells, *([share] if with_copy else []), notes
            )
        parts += [Text(f" {heading}", style="italic"), grid]
    return Group(*parts, "")


def _grid(width: int) -> Table:
    """Columns of fixed widths: several grids below each other are one table."""
    roomy, widest = width >= _ROOMY, width >= _WITH_LAYERS
    grid = Table.grid(padding=(0, 2 if roomy else 1, 0, 0))
    if width < _WITH_COPY:  # words fold rather than lose their end
        grid.add_column(width=20)
        grid.add_column(width=7, justify="right", no_wrap=True)
        grid.add_column(width=11, overflow="fold")
        for cells in (5, 6):
            grid.add_column(width=cells, justify="right", no_wrap=True)
        grid.add_column(width=4)
        return grid
    grid.add_column(width=36 if widest else 32 if roomy else 24)
    if widest:
        grid.add_column(width=22, no_wrap=True)
    grid.add_column(width=10, justify="right", no_wrap=True)
    grid.add_column(width=20 if roomy else 12, no_wrap=roomy)
    for cells in (7, 6, 7):
        grid.add_column(width=cells, justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    return grid


def _cells(row: Row, environment: Mapping[str, Any]) -> list[str | Text]:
    if "failed" in row:
        return ["", "", "", Text("FAILED", style="bold red"), "", ""]
    verdict = first_verdict(row, dict(environment))
    notes = _notes(row, verdict)
    ours = row["contenders"][0]
    share = f"{share_of_floor(row, ours):.0%}"
    if verdict is None:
        return [digits(ours["minimum"]), Text("no peer here", style="dim"), "", "", share, notes]
    style = "bold red" if verdict.lost else "green"
    return [
        digits(ours["minimum"]),
        verdict.best["name"],
        digits(verdict.best["minimum"]),
        Text(f"{_two(verdict.ratio)}x", style=style),
        share,
        notes,
    ]


def _notes(row: Row, verdict: Verdict | None) -> Text:
    notes = Text()
    if verdict is not None and verdict.lost:
        notes.append("LOSS ", style="bold red")
    if verdict is not None and verdict.uncertain:
        notes.append("~ ", style="yellow")
    return notes


def summary(result: Mapping[str, Any]) -> list[str]:
    """Wins and losses in sentences; what took no part, and what is not certain."""
    environment = result["environment"]
    judged = [(row, first_verdict(row, environment)) for row in result["cases"]]
    known = [(row, verdict) for row, verdict in judged if verdict is not None]
    lost = [(row, verdict) for row, verdict in known if verdict.lost]
    lines = []
    if known:
        ratios = [verdict.ratio for _, verdict in known]
        middle = math.exp(sum(map(math.log, ratios)) / len(ratios))
        lines.append(
            f"Faster than the best peer in {len(known) - len(lost)} of {len(known)} rows, slower "
            f"in {len(lost)}; geometric mean {_two(middle)}x."
        )
    for row, verdict in lost:
        lines.append(
            f"LOSS {row['table']}, {row['label']}: {verdict.ratio:.2f}x of {verdict.best['name']}"
        )
    lines += [
        f"FAILED {row['table']}, {row['label']}: {row['failed']}"
        for row in result["cases"]
        if "failed" in row
    ]
    uncertain = sum(verdict.uncertain for _, verdict in known)
    if uncertain:
        lines.append(
            f"~ in {uncertain} of {len(known)} rows: by medians the ratio is more than a quarter "
            "off the one shown, of the fastest calls; it may not hold."
        )
    if known:
        spread = statistics.median(relative_spread(verdict.ours) for _, verdict in known)
        if spread > WIDE:
            lines.append(
                f"The machine was not quiet: in half the rows our quartiles are {spread:.0%} of "
                "the median or more apart. Ratios hold better than milliseconds."
            )
    for name, reason in _not_compared(result).items():
        lines.append(f"Not compared: {name}: {reason}")
    return lines


def _not_compared(result: Mapping[str, Any]) -> dict[str, str]:
    """Each peer and reason once, with where."""
    found: dict[str, str] = {}
    for row in result["cases"]:
        for name, reason in row["not_compared"].items():
            found.setdefault(f"{name} in {row['table']}, {row['label']}", reason)
    return found


def comparison_table(comparison: Comparison) -> Table:
    """A line for each contender of ours: what it took, the change, the noise."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("row", overflow="fold")
    for name in ("before ms", "after ms", "change", "noise"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    styles = {"slower": "bold red", "faster": "green", "same": "dim"}
    for one in comparison.changes:
        name = "" if one.name == "freqops" else f", {one.name}"
        table.add_row(
            f"{one.table}: {one.label}{name}",
            digits(one.before),
            digits(one.after),
            f"{one.ratio - 1:+.1%}",
            f"{one.noise:.1%}",
            Text(one.verdict.upper() if one.verdict == "slower" else one.verdict),
            style=styles[one.verdict],
        )
    return table


def digits(number: float) -> str:
    """Three of them."""
    return f"{number:.3g}" if number < 100 else f"{number:.0f}"


def _two(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}" if ratio < 100 else f"{ratio:.0f}"


def comparison_summary(comparison: Comparison) -> list[str]:
    """What was found, in sentences."""
    count = len(comparison.changes)
    slower = len(comparison.regressions)
    faster = sum(change.verdict == "faster" for change in comparison.changes)
    lines = [f"{count} times compared: {slower} slower, {faster} faster, others within the noise."]
    lines += [f"FAILED in the second alone: {row}" for row in comparison.broken]
    if comparison.others:
        lines.append(
            f"Peers and copies changed by {comparison.drift - 1:+.1%} (median of "
            f"{comparison.others}): that is the machine, and is divided out."
        )
    if comparison.scatter > LEAST_NOISE:
        lines.append(
            f"Some of them are {comparison.scatter:.0%} off that, whose code did not change: no "
            "change of ours below twice that counts. A quieter machine would show more."
        )
    alone = [
        f"{number} only in the {which}"
        for number, which in ((comparison.only_before, "first"), (comparison.only_after, "second"))
        if number
    ]
    if alone:
        lines.append(f"Rows left out: {', '.join(alone)}.")
    return lines
