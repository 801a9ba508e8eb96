"""GlobalFilter2d, the layer of GFNet; its gradient is spectral_correlation."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_global_filter(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
