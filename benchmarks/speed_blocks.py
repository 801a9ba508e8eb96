"""README's tables of speed: single calls, how the suites stand, memory."""

from __future__ import annotations

from dataclasses import dataclass

from kept import Kept, suite_of
from kept_rows import NoSuchRow, row_of, verdict_of
from results_page import LEVEL

from freqops.bench.tables import digits, line
from freqops.bench.verdict import verdicts


@dataclass(frozen=True)
class Shown:
    """A line of README's table.

    Attributes:
        words: that name it.
        suite: that has the row.
        allocator: of the run.
        table: of the row.
        label: what the row's begins with.
        usual: torch as it is usually written, among the contenders.
        also: another peer that is worth naming.
    """

    words: str
    suite: str
    allocator: str
    table: str
    label: str
    usual: str = "torch"
    also: str | None = None


# What contenders are called in a table of their own, in words for who does not know it.
_WORDS = {
    "torch in place": "torch, in place",
    "torch pruned": "torch, zero columns left out by hand",
    "torch sharing": "torch sharing its forward transform",
    "matmul, corner": "torch.matmul, two products and the corner",
    "numpy as published": "the published numpy loop",
    "FLC layer": "the published layer",
}
_FILTER = "fft_filter2d, float32, response without zeros"
_FLC = "flc_pool2d, float32, NCHW, forward"
_SWEEP = "low_high2d, a whole sweep: 8 radii, low and high"
_FLC_WORDS = "FLC pooling 16x64x56x56 to 28x28"
_SWEEP_WORDS = "a whole sweep's filtering: 8 radii, low and high, 64x3x224x224"
_SPEED = (
    Shown("filter 64x3x224x224", "filters", "default", _FILTER, "64x3x224x224"),
    Shown("the same", "filters", "warm", _FILTER, "64x3x224x224"),
    Shown(
        "low-pass r < 28 of it", "filters", "warm",
        "fft_filter2d, float32, ideal low pass below H/8", "64x3x224x224",
    ),
    Shown("filter 16x256x14x14", "filters", "warm", _FILTER, "16x256x14x14"),
    Shown("filter 8x3x299x299", "filters", "warm", _FILTER, "8x3x299x299"),
    Shown(
        "forward and backward 64x3x224x224", "filters", "warm",
        "fft_filter2d, forward and backward", "64x3x224x224",
    ),
    Shown(
        "8 low-passes of 16x3x224x224", "filters", "warm",
        "filter_bank2d, 8 low passes", "16x3x224x224", "torch separate",
    ),
    Shown(
        _SWEEP_WORDS, "filters", "default", _SWEEP, "64x3x224x224", "torch separate",
        "numpy as published",
    ),
    Shown(
        "the same", "filters", "warm", _SWEEP, "64x3x224x224", "torch separate",
        "numpy as published",
    ),
    Shown(_FLC_WORDS, "spectral", "default", _FLC, "16x64x56x56", "rfft2", "FLC layer"),
    Shown("the same", "spectral", "warm", _FLC, "16x64x56x56", "rfft2", "FLC layer"),
)  # fmt: skip


def speed(kept: Kept) -> str:
    """README's table."""
    head = ["", "allocator", "freqops", "torch.fft", "fastest peer", "and"]
    lines = [line(head), line(["---", "---"] + ["---:"] * 4)]
    for shown in _SPEED:
        result = kept.suite(shown.suite, shown.allocator)
        if result is None:
            raise NoSuchRow(f"no result of {shown.suite}, {shown.allocator} allocator")
        row = row_of(result, shown.table, shown.label)
        verdict = verdict_of(result, shown.table, shown.label)
        times = {entry["name"]: entry["minimum"] for entry in row["contenders"]}
        ours = verdict.ours["minimum"]
        name = verdict.best["name"]
        best = f"{_WORDS.get(name, name)} {_times(verdict.best['minimum'], ours)}"
        also = ""
        if shown.also:
            also = f"{_WORDS[shown.also]} {_times(times[shown.also], ours)}"
        usual = _times(times[shown.usual], ours)
        lines.append(line([shown.words, shown.allocator, digits(ours), usual, best, also]))
    return "\n".join(lines)


def _times(time: float, ours: float) -> str:
    return f"{digits(time)} ({digits(time / ours)}x)"


def standing(kept: Kept) -> str:
    """How many calls are faster than every peer, and how many goals are met, run by run."""
    head = ["", "allocator, level", "calls", "faster than every peer", "behind by 5 % at most"]
    head += ["slower", "goals met"]
    lines = [line(head), line(["---", "---"] + ["---:"] * 5)]
    for result in kept.suites:
        environment = result["environment"]
        found = [one for row in result["cases"] for one in verdicts(row, environment)]
        aims = [aim for verdict in found for aim in verdict.aims]
        ratios = [verdict.ratio for verdict in found]
        cells = [
            suite_of(environment),
            f"{environment['allocator']}, {environment['level']}",
            len(found),
            sum(ratio >= 1 for ratio in ratios),
            sum(LEVEL <= ratio < 1 for ratio in ratios),
            sum(ratio < LEVEL for ratio in ratios),
            f"{sum(aim.met for aim in aims)} of {len(aims)}" if aims else "",
        ]
        lines.append(line([str(cell) for cell in cells]))
    return "\n".join(lines)


def memory(kept: Kept) -> str | None:
    """What a call needs, in outputs."""
    if not kept.memory:
        return None
    outputs = {row["name"]: row["outputs"] for row in kept.memory[0]["memory"]}
    return (
        f"{outputs['freqops']:.2f} outputs; torch.fft {outputs['torch']:.2f}, "
        f"scipy {outputs['scipy']:.1f}, ducc0 {outputs['ducc0']:.1f}"
    )
