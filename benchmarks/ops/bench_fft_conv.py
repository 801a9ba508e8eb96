"""fft_conv2d and fft_conv1d: layers of published networks with large kernels, and small ones."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_fft_conv(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
