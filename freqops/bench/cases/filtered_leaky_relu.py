"""filtered_leaky_relu2d: StyleGAN3's activation between an upsampling and a downsampling filter."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

import freqops
from freqops.bench import pooling_compositions as compositions
from freqops.bench.case import Row, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders
from freqops.filters import kaiser_taps

# StyleGAN3-T's maps at 36 and 52, with its 12 taps either way.
SHAPES = ((4, 512, 36, 36), (4, 512, 52, 52))
TAPS = 12
PADDING = (11, 10)  # on the fine grid: the size stays


def _activated(shape: tuple[int, ...]) -> list[Contender]:
    x, bias = torch.rand(shape) - 0.5, torch.rand(shape[1]) - 0.5
    taps = kaiser_taps(TAPS, 0.25).to(x)

    def ours(x: Tensor) -> Tensor:
        return freqops.filtered_leaky_relu2d(
            x, taps, taps, bias, up=2, down=2, padding=(*PADDING, *PADDING)
        )

    def composed(x: Tensor, *, transposed: bool) -> Tensor:
        return compositions.torch_filtered_leaky_relu(x, bias, taps, PADDING, transposed=transposed)

    ways = [
        Way("freqops", ours, "ours"),
        Way("torch", functools.partial(composed, transposed=False)),
        Way("torch, transposed", functools.partial(composed, transposed=True), compiles=True),
    ]
    return contenders(ways, x, 2 * x.nbytes)


ROWS = [
    Row(
        "filtered_leaky_relu",
        f"filtered_leaky_relu2d, {TAPS} taps, up and down by 2, float32",
        sizes(shape),
        shape,
        functools.partial(_activated, shape),
        moved_bytes=8 * torch.Size(shape).numel(),
        quick=shape == SHAPES[0],
        compiled=shape == SHAPES[0],
    )
    for shape in SHAPES
]
