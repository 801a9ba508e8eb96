"""split_bands2d: bands that add up to the image, from one forward transform."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_split_bands(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
