"""polyphase_pool2d: the grid follows the image (APS)."""

from __future__ import annotations

import functools

import torch

import freqops
from freqops.bench import pooling_compositions as compositions
from freqops.bench.case import GRADIENT, HALF, LAST, PLAIN, Row, Variant, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders, tolerance

SHAPES = ((16, 64, 112, 112), (16, 64, 56, 56))


def _bytes(shape: tuple[int, ...], variant: Variant) -> int:
    """A quarter is read once more, and written; back, a quarter is read and all of it written."""
    return variant.moved_bytes(torch.Size(shape).numel() * 3 // 2)


def _pools(shape: tuple[int, ...], variant: Variant) -> list[Contender]:
    x = torch.rand(shape).to(variant.dtype)
    ways = [
        Way("freqops", lambda x: freqops.polyphase_pool2d(x)[0], "ours"),
        Way("torch", compositions.torch_polyphase, compiles=True),
    ]
    moved = _bytes(shape, variant)
    return contenders(ways, x, moved, layout=variant.layout, backward=variant.backward)


ROWS = [
    Row(
        "polyphase_pool",
        f"polyphase_pool2d{variant.suffix}",
        sizes(shape),
        shape,
        functools.partial(_pools, shape, variant),
        variant.dtype,
        variant.layout,
        variant.backward,
        tolerance=tolerance(variant.dtype, variant.backward),
        moved_bytes=_bytes(shape, variant),
        quick=(variant, shape) == (PLAIN, SHAPES[1]),
        compiled=variant in (PLAIN, LAST) and shape == SHAPES[0],
    )
    for variant in (PLAIN, LAST, GRADIENT, HALF)
    for shape in SHAPES
]
