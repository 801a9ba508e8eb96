"""DiffStride2d: a crop of the spectrum whose edge, and so the stride, is learned."""

from __future__ import annotations

import functools

import torch

import freqops
from freqops.bench import pooling_compositions as compositions
from freqops.bench.case import Row, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import FORMATS, Way, contenders

SHAPES = ((16, 64, 56, 56), (16, 128, 28, 28))


def _bytes(shape: tuple[int, ...], *, backward: bool) -> int:
    height, width = freqops.DiffStride2d(2).output_size(shape[2:])
    outputs = shape[0] * shape[1] * height * width
    return 4 * (torch.Size(shape).numel() + outputs) * (2 if backward else 1)


def _pools(shape: tuple[int, ...], layout: str, *, backward: bool) -> list[Contender]:
    x = torch.rand(shape)
    layer = freqops.DiffStride2d(2).to(x.device).requires_grad_(backward)
    ways = [
        Way("freqops", layer, "ours"),
        Way(
            "torch",
            lambda x: compositions.torch_diff_stride(x, layer.stride, layer.smoothness),
        ),
    ]
    leaves = [layer.stride] if backward else []
    moved = _bytes(shape, backward=backward)
    return contenders(ways, x, moved, layout=layout, backward=backward, leaves=leaves)


ROWS = [
    Row(
        "diff_stride",
        f"DiffStride2d, stride 2, float32, {layout}, forward{' and backward' * backward}",
        sizes(shape),
        shape,
        functools.partial(_pools, shape, layout, backward=backward),
        layout=layout,
        backward=backward,
        # The stride's gradient is a sum over all of the map.
        tolerance=1e-3 if backward else 1e-4,
        moved_bytes=_bytes(shape, backward=backward),
        quick=shape == SHAPES[0] and layout == "NCHW",
    )
    for layout in FORMATS
    for backward in (False, True)
    for shape in SHAPES
]
