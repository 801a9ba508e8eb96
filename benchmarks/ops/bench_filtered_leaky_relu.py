"""filtered_leaky_relu2d: StyleGAN3's activation between an upsampling and a downsampling filter."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_filtered_leaky_relu(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
