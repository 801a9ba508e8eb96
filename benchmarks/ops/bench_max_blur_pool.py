"""max_blur_pool2d: maxima of 2x2 at stride 1, low-passed and sampled, in one pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from case import Case, Goal
from pooling import FORMATS, LARGE, MIDDLE, SHAPES, Row

Compare = Callable[[Case], None]

# The function of antialiased-cnns, by itself and as torch composes it, in the row's own layout.
SAME_LAYOUT = ("torch", "antialiased-cnns")


def forward_goals(row: Row) -> list[Goal]:
    """torch's maximum is far slower where channels lie behind each other, hence two scales."""
    if row.shape == LARGE and row.layout == "NCHW":
        return [Goal(4.0, against=("torch NHWC",)), Goal(37.0, against=SAME_LAYOUT)]
    if row.shape == LARGE:
        return [Goal(2.1, against=("compiled",)), Goal(4.0, against=SAME_LAYOUT)]
    if row.shape == MIDDLE and row.layout == "NCHW":
        return [Goal(75.0, default=75.0, against=SAME_LAYOUT)]
    if row.shape == MIDDLE:
        return [Goal(4.8, default=4.8, against=("compiled",))]
    return []


def gradient_goals(row: Row) -> list[Goal]:
    if row.shape != LARGE:
        return []
    if row.layout == "NHWC":
        return [Goal(3.0, against=SAME_LAYOUT)]
    return [Goal(3.0, against=("torch NHWC",)), Goal(15.0, against=SAME_LAYOUT)]


@pytest.mark.parametrize("taps", [3, 4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", FORMATS)
def bench_max_blur(
    compare: Compare, layout: str, shape: tuple[int, int, int, int], taps: int
) -> None:
    row = Row(shape, taps, layout, window=2, compiled=shape in (LARGE, MIDDLE))
    compare(row.case(*forward_goals(row)))


@pytest.mark.parametrize("taps", [3, 4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", FORMATS)
def bench_max_blur_gradient(
    compare: Compare, layout: str, shape: tuple[int, int, int, int], taps: int
) -> None:
    row = Row(shape, taps, layout, window=2, backward=True, compiled=taps == 3 and shape == LARGE)
    compare(row.case(*gradient_goals(row)))


@pytest.mark.parametrize("layout", FORMATS)
def bench_max_blur_half_type(compare: Compare, layout: str) -> None:
    compare(Row(LARGE, 4, layout, window=2, dtype=torch.bfloat16).case())
