"""flc_pool2d and spectral_pool2d: every plane at half its size by a crop of its spectrum."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from case import Case, Goal
from spectral import LARGE, MIDDLE, ODD, SHAPES, SMALL, Row
from ways import FORMATS

Compare = Callable[[Case], None]
Shape = tuple[int, int, int, int]

# As fast as prototypes of the kernels were: times the exact products of matrices, and times the
# published layer, which the system's malloc made slower still.
REACHED = {LARGE: (5.0, 8.9, 8.9), MIDDLE: (5.5, 16.0, 57.0), SMALL: (10.0, 41.0, 41.0)}
EXACT = ("matmul",)
PUBLISHED = ("FLC layer",)


def goals(row: Row) -> list[Goal]:
    """For FLC pooling as published: forward, contiguous, float32."""
    plain = row.layout == "NCHW" and row.dtype == torch.float32 and not row.backward
    if row.rule != "flc" or not plain or row.shape not in REACHED:
        return []
    products, layer, layer_by_default = REACHED[row.shape]
    return [
        Goal(products, default=products, against=EXACT),
        Goal(layer, default=layer_by_default, against=PUBLISHED),
    ]


@pytest.mark.parametrize("shape", [*SHAPES, ODD], ids=str)
def bench_flc(compare: Compare, shape: Shape) -> None:
    row = Row(shape, compiled=shape == MIDDLE)
    compare(row.case(*goals(row)))


@pytest.mark.parametrize("shape", [*SHAPES, ODD], ids=str)
def bench_flc_gradient(compare: Compare, shape: Shape) -> None:
    compare(Row(shape, backward=True, compiled=shape == MIDDLE).case())


@pytest.mark.parametrize("shape", [LARGE, MIDDLE, SMALL], ids=str)
def bench_flc_channels_last(compare: Compare, shape: Shape) -> None:
    compare(Row(shape, layout="NHWC").case())


@pytest.mark.parametrize("shape", [MIDDLE, SMALL], ids=str)
def bench_flc_channels_last_gradient(compare: Compare, shape: Shape) -> None:
    compare(Row(shape, layout="NHWC", backward=True).case())


@pytest.mark.parametrize("layout", FORMATS)
def bench_flc_half_type(compare: Compare, layout: str) -> None:
    compare(Row(MIDDLE, layout=layout, dtype=torch.bfloat16).case())


@pytest.mark.parametrize("shape", [*SHAPES, ODD], ids=str)
def bench_spectral(compare: Compare, shape: Shape) -> None:
    compare(Row(shape, "half", compiled=shape == MIDDLE).case())


@pytest.mark.parametrize("shape", [LARGE, MIDDLE, ODD], ids=str)
def bench_spectral_gradient(compare: Compare, shape: Shape) -> None:
    compare(Row(shape, "half", backward=True).case())


@pytest.mark.parametrize("shape", [MIDDLE, SMALL], ids=str)
def bench_resampling(compare: Compare, shape: Shape) -> None:
    """scipy.signal's function."""
    compare(Row(shape, "sum").case())
