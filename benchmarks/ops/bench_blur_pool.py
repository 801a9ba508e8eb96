"""blur_pool2d: every plane low-passed and sampled at every second row and column."""

from __future__ import annotations

from collections.abc import Callable

import kornia.filters
import pytest
import torch
from case import Case, Goal
from interleave import Contender
from pooling import FORMATS, LARGE, MIDDLE, SHAPES, Row

import freqops

Compare = Callable[[Case], None]

# The function of antialiased-cnns, by itself and as torch composes it, in the row's own layout.
SAME_LAYOUT = ("torch", "antialiased-cnns")
SAME_FUNCTION = (*SAME_LAYOUT, "timm", "compiled", "torch NHWC")


def forward_goals(row: Row) -> list[Goal]:
    """Against every peer in any layout; channels behind each other also against that layout."""
    if row.shape == MIDDLE:
        number = 5.0 if row.taps == 7 else 3.6
        return [Goal(number, default=number, against=SAME_FUNCTION)]
    if row.shape != LARGE:
        return []
    any_layout = Goal(2.5, default=10.0, against=SAME_FUNCTION)
    own_layout = Goal(4.0, default=18.0, against=SAME_LAYOUT)
    return [any_layout, own_layout] if row.layout == "NCHW" else [any_layout]


def gradient_goals(row: Row) -> list[Goal]:
    if row.shape != LARGE:
        return []
    if row.layout == "NHWC":
        return [Goal(2.7, against=SAME_LAYOUT)]
    return [Goal(2.7, against=("torch NHWC",)), Goal(5.3, against=SAME_LAYOUT)]


@pytest.mark.parametrize("taps", [3, 4, 7])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", FORMATS)
def bench_blur(compare: Compare, layout: str, shape: tuple[int, int, int, int], taps: int) -> None:
    row = Row(shape, taps, layout, compiled=taps == 3 and shape in (LARGE, MIDDLE))
    compare(row.case(*forward_goals(row)))


@pytest.mark.parametrize("taps", [3, 4, 7])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", FORMATS)
def bench_blur_gradient(
    compare: Compare, layout: str, shape: tuple[int, int, int, int], taps: int
) -> None:
    row = Row(shape, taps, layout, backward=True, compiled=taps == 3 and shape == LARGE)
    compare(row.case(*gradient_goals(row)))


@pytest.mark.parametrize("layout", FORMATS)
def bench_blur_half_type(compare: Compare, layout: str) -> None:
    compare(Row(LARGE, 4, layout, dtype=torch.bfloat16).case())


@pytest.mark.parametrize("layout", FORMATS)
def bench_blur_of_zeros(compare: Compare, layout: str) -> None:
    """kornia's function, which has zeros around the map."""
    x = torch.rand(LARGE).contiguous(memory_format=FORMATS[layout])
    moved = Row(LARGE, 3, layout).moved_bytes
    source, target = torch.zeros(moved // 8), torch.zeros(moved // 8)
    contenders = [
        Contender("freqops", lambda: freqops.blur_pool2d(x, 3, padding_mode="zeros"), "ours"),
        Contender("kornia", lambda: kornia.filters.blur_pool2d(x, 3)),
        Contender("copy", lambda: target.copy_(source), "floor"),
    ]
    label = f"{'x'.join(map(str, LARGE))} 3 taps, {layout}"
    table = "blur_pool2d, float32, zeros around the map, forward"
    compare(Case(table, label, contenders, moved_bytes=moved))
