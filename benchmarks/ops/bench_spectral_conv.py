"""spectral_conv2d, the layer of the Fourier neural operator."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_spectral_conv(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
