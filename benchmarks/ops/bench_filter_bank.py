"""filter_bank2d: one forward transform for several responses."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_filter_bank(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
