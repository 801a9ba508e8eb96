"""Tables and sentences of times in README.md and docs/, each between two marks of its page:

    <!-- benchmarks: NAME -->
    ...
    <!-- end of benchmarks: NAME -->

What stands there is made of committed results. Where a result is not there yet, the block stays as
it is, and has to say that it was measured once.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import whole_blocks
from kept import RESULTS, Kept, Result, suite_of
from results_page import LEVEL

from freqops.bench.machine import ROOT
from freqops.bench.model_tables import recipes_table
from freqops.bench.tables import accelerated_section, digits, line
from freqops.bench.verdict import Verdict, first_verdict, verdicts

MARK = re.compile(
    r"<!-- benchmarks: (?P<name>[\w-]+) -->(?P<body>.*?)<!-- end of benchmarks: (?P=name) -->",
    re.DOTALL,
)
#: What a block without a result says of itself.
ONCE = "easured once"


class NoSuchRow(LookupError):
    """A block is about a row that the results don't have."""


@dataclass(frozen=True)
class Block:
    """What is between two marks.

    Attributes:
        page: that it is on, of the checkout.
        make: of the results; None where those it needs are not there yet.
        inline: whether it is a part of a sentence.
    """

    page: str
    make: Callable[[Kept], str | None]
    inline: bool = False


def pages() -> list[Path]:
    """Those that have blocks."""
    return [ROOT / page for page in dict.fromkeys(block.page for block in BLOCKS.values())]


def filled(text: str, path: Path, kept: Kept) -> str:
    """A page's text with what its blocks have to say.

    Args:
        text: of the page.
        path: of it.
        kept: the results.

    Raises:
        LookupError: a mark without a block, a block without a mark, or one that neither has a
            result nor says that it was measured once.
    """
    page = path.relative_to(ROOT).as_posix()
    due = {name for name, block in BLOCKS.items() if block.page == page}
    if found := due ^ {match["name"] for match in MARK.finditer(text)}:
        raise LookupError(f"{page}: marks and blocks differ in {', '.join(sorted(found))}")

    def fill(match: re.Match[str]) -> str:
        block = BLOCKS[match["name"]]
        made = block.make(kept)
        if made is None:
            if ONCE not in match["body"]:
                raise LookupError(f"{page}: {match['name']} has no result and does not say so")
            return match[0]
        body = made if block.inline else f"\n\n{made}\n\n"
        name = match["name"]
        return f"<!-- benchmarks: {name} -->{body}<!-- end of benchmarks: {name} -->"

    return MARK.sub(fill, text)


def row_of(result: Result, table: str, label: str) -> Result:
    """A row by its table and what its label begins with."""
    for row in result["cases"]:
        if row["table"] == table and f"{row['label']} ".startswith(f"{label} "):
            return dict(row)
    raise NoSuchRow(f"{result['file']} has no row {table}, {label}")


def verdict_of(result: Result, table: str, label: str) -> Verdict:
    """Of a user's plain call in a row that has peers."""
    verdict = first_verdict(row_of(result, table, label), result["environment"])
    if verdict is None:
        raise NoSuchRow(f"{result['file']}: {table}, {label} has no peer")
    return verdict


# --- README: speed --------------------------------------------------------------------------------


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


# --- pooling --------------------------------------------------------------------------------------

# Of docs/pooling.md's layers those that README.md shows, and what each is for.
_POOLS = {
    "stride 2": "nothing that should keep still",
    "max 2x2": "features that fire, not positions",
    "max and blur, 3 taps": "trained networks with max pools",
    "blur, 3 taps": "trained networks, fine-tuned: cheap and local",
    "blur, 7 taps": "little aliasing, no overshoot; details go too",
    "FLC": "networks built around FLC",
    "spectral, zero": "exact shifts, any size",
}


def pooling_responses(kept: Kept) -> str:
    """What docs/pooling.md's layers do to frequencies, and their times from the benchmarks."""
    example = _example()
    layers = json.loads((ROOT / "docs" / "pooling_responses.json").read_text())["layers"]
    made: str = example.table(layers, example.costs(_pooling_files(kept)))
    return made.rstrip()


def pooling(kept: Kept) -> str:
    """README's choice of it: some layers, some columns, and what each is for."""
    lines = [[cell.strip() for cell in one.strip("|").split("|")] for one in
             pooling_responses(kept).splitlines()]  # fmt: skip
    of_layer = {cells[0]: cells for cells in lines[2:]}
    head = ["", "passes (-3 dB) up to", "aliasing, worst and mean", "changes when moved by a pixel"]
    head += ["overshoots edges by", "is off at borders by", "time of a copy", "for"]
    made = [line(head), line(["---"] + ["---:"] * (len(head) - 2) + ["---"])]
    for name, words in _POOLS.items():
        _, call, half, _, worst, mean, *rest = of_layer[name]
        limit = "all" if half == "none" else half
        false = "none" if worst == mean == "none" else f"{worst.removesuffix(' dB')}, {mean}"
        made.append(line([call, limit, false, *rest, words]))
    return "\n".join(made)


def _pooling_files(kept: Kept) -> list[Path]:
    found = [kept.suite(name, "default") for name in ("pooling", "spectral")]
    return [RESULTS / result["file"] for result in found if result is not None]


def _example() -> Any:
    folder = str(ROOT / "examples")
    if folder not in sys.path:
        sys.path.append(folder)
    import pooling_responses as example

    return example


# --- convolution ----------------------------------------------------------------------------------

# Taps, channels and side of maps.
_KERNELS = (
    (3, 96, 56), (7, 96, 56), (13, 96, 56), (31, 96, 56), (51, 96, 56),
    (7, 192, 28), (13, 192, 28), (31, 192, 28), (7, 384, 14), (13, 384, 14), (25, 384, 14),
)  # fmt: skip
_LAYOUTS = ("NCHW", "NHWC")


def depthwise(kept: Kept) -> str | None:
    """Both ways of fft_conv2d in both layouts, and what it takes as it is called."""
    if kept.crossover is None:
        return None
    found = {}
    for one in kept.crossover["trials"]:
        trial = one["trial"]
        if trial["outputs"] is None:
            found[trial["taps"], trial["channels"], trial["size"], trial["layout"]] = one
    columns = [f"{layout}: {way}" for layout in _LAYOUTS for way in ("torch", "FFT", "as called")]
    lines = [line(["taps, map", *columns]), line(["---"] + ["---:"] * len(columns))]
    for kernel in _KERNELS:
        if missing := [layout for layout in _LAYOUTS if (*kernel, layout) not in found]:
            raise NoSuchRow(f"{kept.crossover['file']} has no trial {kernel}, {missing[0]}")
        taps, channels, side = kernel
        trials = [found[(*kernel, layout)] for layout in _LAYOUTS]
        images = trials[0]["trial"]["images"]
        cells = [cell for one in trials for cell in _ways(one)]
        lines.append(line([f"{taps}x{taps} on {images}x{channels}x{side}x{side}", *cells]))
    environment = kept.crossover["environment"]
    threads = environment["threads"]
    made = (
        f"Milliseconds, float32, forward, {threads} thread{'s' if threads > 1 else ''} of "
        f"{environment['cpu']}, {environment['date']}, load {environment['load']} before: "
        "the least of several calls in turns, the sooner way in bold."
    )
    return "\n".join([*lines, "", made])


def _ways(one: Result) -> list[str]:
    fastest = min(one["direct"], one["fft"])
    return [
        *(f"**{digits(time)}**" if time == fastest else digits(time)
          for time in (one["direct"], one["fft"])),
        digits(one["chosen"]),
    ]  # fmt: skip


# Tables of band-limited convolutions, and their kernels and maps.
_CUTS = (25, 50, 75)
_BAND_LIMITED = (
    ("dense, float32, NCHW, forward", "3x3 on 16x64x56x56 to 64"),
    ("dense, float32, NCHW, forward", "7x7 on 16x64x56x56 to 64"),
    ("depthwise, float32, NCHW, forward", "7x7 on 4x96x56x56"),
    ("dense, float32, NCHW, forward and backward", "3x3 on 2x64x56x56 to 64"),
)


def band_limited(kept: Kept) -> str | None:
    """Convolutions cut to a band, beside torch's of everything."""
    result = kept.suite("convolution", "default")
    if result is None:
        return None
    lines = [line(["", "torch, no cut", *(f"cut by {cut} %" for cut in _CUTS)])]
    lines.append(line(["---"] + ["---:"] * (len(_CUTS) + 1)))
    for words, kernel in _BAND_LIMITED:
        found = []
        for cut in _CUTS:
            row = row_of(result, f"band_limited_conv2d, {words}", f"{kernel}, {cut}% cut")
            found.append({entry["name"]: entry["minimum"] for entry in row["contenders"]})
        cells = [f"{digits(one['freqops'])} ({digits(one['freqops'] / one['torch, no cut'])}x)"
                 for one in found]  # fmt: skip
        whole = min(one["torch, no cut"] for one in found)
        kind = words.replace(", float32, NCHW", "")
        lines.append(line([f"{kind}, {kernel}", digits(whole), *cells]))
    environment = result["environment"]
    made = (
        "Milliseconds, float32, NCHW, the least of several calls in turns, in brackets how many "
        "times torch's convolution in the same rounds, {threads} threads of {cpu}, {date}, load "
        "{load} before."
    ).format(**environment)
    return "\n".join([*lines, "", made])


def accelerated(kept: Kept) -> str | None:
    """Networks with large kernels, before and after."""
    return accelerated_section(kept.accelerated[0]) if kept.accelerated else None


# --- anti-aliasing --------------------------------------------------------------------------------


def recipes(kept: Kept) -> str | None:
    """What every recipe adds to a network, counted, and what that takes."""
    table = recipes_table(kept.models[0]) if kept.models else None
    if table is None:
        return None
    environment = kept.models[0]["environment"]
    made = (
        "Times are medians, float32, in brackets the median of the ratios to the plain network "
        "within a round: {threads} threads of {cpu}, {date}, load {load} before, {allocator} "
        "allocator."
    ).format(**environment)
    return f"{table}\n\n{made}"


BLOCKS = {
    "speed": Block("README.md", speed),
    "standing": Block("README.md", standing),
    "memory": Block("README.md", memory, inline=True),
    "pooling": Block("README.md", pooling),
    "whole": Block("README.md", whole_blocks.whole),
    "pooling-responses": Block("docs/pooling.md", pooling_responses),
    "depthwise": Block("docs/convolution.md", depthwise),
    "band-limited": Block("docs/convolution.md", band_limited),
    "accelerated": Block("docs/convolution.md", accelerated),
    "recipes": Block("docs/antialias.md", recipes),
}
