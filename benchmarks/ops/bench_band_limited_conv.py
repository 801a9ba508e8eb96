"""band_limited_conv2d with less and less of the spectrum, and the layers of spectral_conv2d."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from case import Case
from convolutions import Row, spectral_case

Compare = Callable[[Case], None]

CUTS = (0.0, 0.25, 0.5, 0.75)
DENSE, DEPTHWISE = (16, 64, 56, 56), (4, 96, 56, 56)
LAYERS = (((16, 32, 64, 64), 32, 24), ((4, 64, 128, 128), 64, 32))


@pytest.mark.parametrize("taps", [3, 7])
@pytest.mark.parametrize("compression", CUTS)
def bench_dense(compare: Compare, compression: float, taps: int) -> None:
    compare(Row(DENSE, taps, outputs=64, compression=compression).case())


@pytest.mark.parametrize("compression", CUTS)
def bench_depthwise(compare: Compare, compression: float) -> None:
    compare(Row(DEPTHWISE, 7, compression=compression).case())


@pytest.mark.parametrize("compression", CUTS)
def bench_gradient(compare: Compare, compression: float) -> None:
    row = Row((4, 64, 56, 56), 3, outputs=64, compression=compression, backward=True)
    compare(row.case())


@pytest.mark.parametrize(("shape", "outputs", "modes"), LAYERS, ids=str)
def bench_spectral(
    compare: Compare, shape: tuple[int, int, int, int], outputs: int, modes: int
) -> None:
    compare(spectral_case(shape, outputs, modes))
