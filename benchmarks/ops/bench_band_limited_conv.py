"""band_limited_conv2d with less and less of the spectrum, and band_limited_conv1d."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_band_limited_conv(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
