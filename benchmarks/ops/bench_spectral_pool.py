"""spectral_pool2d: every plane at half its size by a crop of its spectrum."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_spectral_pool(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
