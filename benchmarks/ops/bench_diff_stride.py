"""DiffStride2d: a crop of the spectrum whose edge, and so the stride, is learned."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_diff_stride(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
