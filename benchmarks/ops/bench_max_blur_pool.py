"""max_blur_pool2d: maxima of 2x2 at stride 1, low-passed and sampled, in one pass."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_max_blur_pool(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
