"""LowPass2d: a Gaussian low pass of any size, by a matrix per axis where that is sooner."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

import freqops
from freqops.bench import compositions
from freqops.bench.case import Row, sizes
from freqops.bench.pooling_compositions import both_axes
from freqops.bench.timing import Contender
from freqops.bench.ways import FORMATS, Way, contenders
from freqops.filters import low_pass

CUTOFF = 0.1
SHAPES = ((16, 64, 56, 56), (16, 96, 56, 56), (8, 3, 257, 257))


def _filters(shape: tuple[int, ...], layout: str) -> list[Contender]:
    x = torch.rand(shape)
    layer = freqops.LowPass2d(CUTOFF, kind="gaussian").to(x.device)
    response = low_pass(shape[-2:], CUTOFF, kind="gaussian", device=x.device)
    rows, columns = (_matrix(size).to(x.device) for size in shape[-2:])
    memory = FORMATS[layout]

    def by_transform(x: Tensor) -> Tensor:
        filtered = compositions.torch_filter_in_place(x, response)
        kept: Tensor = filtered.contiguous(memory_format=memory)
        return kept

    ways = [
        Way("freqops", layer, "ours"),
        Way("torch", by_transform),
        Way("matmul", lambda x: both_axes(x, rows, columns), compiles=True),
    ]
    return contenders(ways, x, 2 * x.nbytes, layout=layout)


def _matrix(size: int) -> Tensor:
    """What the low pass does to an axis."""
    response = low_pass(size, CUTOFF, kind="gaussian", dtype=torch.float64)
    lines = torch.fft.rfft(torch.eye(size, dtype=torch.float64, device="cpu"))
    columns: Tensor = torch.fft.irfft(lines * response, n=size)
    return columns.T.float().contiguous()


ROWS = [
    Row(
        "pass_filter",
        f"LowPass2d, gaussian, float32, {layout}",
        sizes(shape),
        shape,
        functools.partial(_filters, shape, layout),
        layout=layout,
        moved_bytes=8 * torch.Size(shape).numel(),
        quick=(layout == "NHWC") == (shape[1] == 96) and shape[1] != 64,
        compiled=shape == SHAPES[0],
    )
    for layout in FORMATS
    for shape in SHAPES
]
