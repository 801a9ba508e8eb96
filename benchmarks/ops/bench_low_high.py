"""low_high2d: the low and high images of Wang et al. 2020, a whole sweep of them, more radii."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_low_high(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
