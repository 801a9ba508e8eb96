"""blur_pool2d: every plane low-passed and sampled at every second row and column."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_blur_pool(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
