"""LowPass2d: a Gaussian low pass of any size, by a matrix per axis where that is sooner."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_pass_filter(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
