"""The tables of what pooling layers do, and take."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from kept import RESULTS, Kept

from freqops.bench.machine import ROOT
from freqops.bench.tables import line

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
