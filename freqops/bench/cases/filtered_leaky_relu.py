"""filtered_leaky_relu2d: StyleGAN3's activation between an upsampling and a downsampling filter."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

import freqops
from freqops.bench import pooling_compositions as compositions
from freqops.bench.case import GRADIENT, HALF, LAST, PLAIN, Row, Variant, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders, tolerance
from freqops.filters import kaiser_taps

# StyleGAN3-T's maps at 36 and 52, with its 12 taps either way.
SHAPES = ((4, 512, 36, 36), (4, 512, 52, 52))
TAPS = 12
PADDING = (11, 10)  # on the fine grid: the size stays


def _activated(shape: tuple[int, ...], variant: Variant) -> list[Contender]:
    x, bias = ((torch.rand(size) - 0.5).to(variant.dtype) for size in (shape, shape[1:2]))
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
    moved = variant.moved_bytes(2 * x.numel())
    return contenders(ways, x, moved, layout=variant.layout, backward=variant.backward)


ROWS = [
    Row(
        "filtered_leaky_relu",
        f"filtered_leaky_relu2d, {TAPS} taps, up and down by 2{variant.suffix}",
        sizes(shape),
        shape,
        functools.partial(_activated, shape, variant),
        variant.dtype,
        variant.layout,
        variant.backward,
        # In half types the peers round at every step.
        tolerance=tolerance(variant.dtype, backward=True),
        moved_bytes=variant.moved_bytes(2 * torch.Size(shape).numel()),
        quick=(variant, shape) == (PLAIN, SHAPES[0]),
        compiled=variant in (PLAIN, LAST) and shape == SHAPES[0],
    )
    for variant in (PLAIN, LAST, GRADIENT, HALF)
    for shape in SHAPES
    if variant == PLAIN or shape == SHAPES[0]
]
