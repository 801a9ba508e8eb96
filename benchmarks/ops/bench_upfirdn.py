"""upfirdn2d: StyleGAN's upsampling and downsampling by a short filter."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_upfirdn(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
