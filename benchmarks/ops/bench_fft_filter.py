"""fft_filter1d and fft_filter2d: every plane forward, times a response, and back."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_fft_filter(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
