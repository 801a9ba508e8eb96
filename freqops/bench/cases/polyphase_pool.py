"""polyphase_pool2d: the grid follows the image (APS)."""

from __future__ import annotations

import functools

import torch

import freqops
from freqops.bench import pooling_compositions as compositions
from freqops.bench.case import Row, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import FORMATS, Way, contenders

SHAPES = ((16, 64, 112, 112), (16, 64, 56, 56))


def _bytes(shape: tuple[int, ...]) -> int:
    """A quarter is read once more, and written."""
    return 4 * torch.Size(shape).numel() * 3 // 2


def _pools(shape: tuple[int, ...], layout: str) -> list[Contender]:
    x = torch.rand(shape)
    ways = [
        Way("freqops", lambda x: freqops.polyphase_pool2d(x)[0], "ours"),
        Way("torch", compositions.torch_polyphase, compiles=True),
    ]
    return contenders(ways, x, _bytes(shape), layout=layout)


ROWS = [
    Row(
        "polyphase_pool",
        f"polyphase_pool2d, float32, {layout}, forward",
        sizes(shape),
        shape,
        functools.partial(_pools, shape, layout),
        layout=layout,
        moved_bytes=_bytes(shape),
        quick=shape == SHAPES[1] and layout == "NCHW",
        compiled=shape == SHAPES[0],
    )
    for layout in FORMATS
    for shape in SHAPES
]
