"""fft_conv2d and fft_conv1d: layers of published networks with large kernels, and small kernels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from case import Case, Goal
from convolutions import Row

Compare = Callable[[Case], None]
Shape = tuple[int, ...]

MIDDLE = (4, 96, 56, 56)
# RepLKNet-31B and UniRepLKNet by stage: 31, 29, 27, 13 taps; SLaK's 51.
STAGES = (
    ((4, 128, 56, 56), 31),
    ((4, 256, 28, 28), 29),
    ((4, 512, 14, 14), 27),
    ((4, 1024, 7, 7), 13),
    (MIDDLE, 51),
    ((4, 96, 56, 56), 13),
)
CONVNEXT = (MIDDLE, (4, 192, 28, 28), (4, 384, 14, 14), (4, 768, 7, 7))
DENSE = (16, 64, 56, 56)
LINES = ((64, 256, 1024), (8, 64, 16384))

# What prototypes of the kernel reached on the first shape (design of the kernels, 2d).
REACHED = [
    Goal(3.3, default=3.3, against=("torch.fft",)),
    Goal(6.5, default=6.5, against=("torch", "torch NHWC")),
]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("taps", [3, 5, 7, 13, 31])
def bench_depthwise(compare: Compare, taps: int, layout: str) -> None:
    goals = REACHED if (taps, layout) == (31, "NCHW") else []
    compare(Row(MIDDLE, taps, layout=layout).case(*goals))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("shape", "taps"), STAGES, ids=str)
def bench_stages(compare: Compare, shape: Shape, taps: int, layout: str) -> None:
    compare(Row(shape, taps, layout=layout).case())


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("shape", CONVNEXT[1:], ids=str)
def bench_convnext(compare: Compare, shape: Shape, layout: str) -> None:
    compare(Row(shape, 7, layout=layout).case())


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("taps", [3, 7, 13, 31])
def bench_depthwise_gradient(compare: Compare, taps: int, layout: str) -> None:
    compare(Row(MIDDLE, taps, layout=layout, backward=True).case())


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("taps", [3, 7, 11])
def bench_dense(compare: Compare, taps: int, layout: str) -> None:
    compare(Row(DENSE, taps, outputs=64, layout=layout).case())


@pytest.mark.parametrize("taps", [3, 7])
def bench_dense_gradient(compare: Compare, taps: int) -> None:
    compare(Row(DENSE, taps, outputs=64, backward=True).case())


@pytest.mark.parametrize("taps", [31, 127, 1023])
@pytest.mark.parametrize("shape", LINES, ids=str)
def bench_lines(compare: Compare, shape: Shape, taps: int) -> None:
    compare(Row(shape, taps).case())


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def bench_half_type(compare: Compare, layout: str) -> None:
    compare(Row(MIDDLE, 31, layout=layout, dtype=torch.bfloat16).case())
