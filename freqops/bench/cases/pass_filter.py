"""LowPass2d: a Gaussian low pass of any size, by a matrix per axis where that is sooner."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

import freqops
from freqops.bench.case import GRADIENT, HALF, LAST, PLAIN, Row, Variant, sizes
from freqops.bench.compositions import in_float, torch_filter_in_place
from freqops.bench.pooling_compositions import both_axes
from freqops.bench.timing import Contender
from freqops.bench.ways import FORMATS, Way, contenders, tolerance
from freqops.filters import low_pass

CUTOFF = 0.1
SHAPES = ((16, 64, 56, 56), (16, 96, 56, 56), (8, 3, 257, 257))


def _filters(shape: tuple[int, ...], variant: Variant) -> list[Contender]:
    x = torch.rand(shape).to(variant.dtype)
    layer = freqops.LowPass2d(CUTOFF, kind="gaussian").to(x.device)
    response = low_pass(shape[-2:], CUTOFF, kind="gaussian", device=x.device)
    rows, columns = (_matrix(size).to(x.device) for size in shape[-2:])
    memory = FORMATS[variant.layout]

    def by_transform(x: Tensor) -> Tensor:
        filtered = torch_filter_in_place(x.float(), response).to(x.dtype)
        kept: Tensor = filtered.contiguous(memory_format=memory)
        return kept

    ways = [
        Way("freqops", layer, "ours"),
        Way("torch", by_transform),
        Way("matmul", in_float(lambda x: both_axes(x, rows, columns), x.dtype), compiles=True),
    ]
    moved = variant.moved_bytes(2 * x.numel())
    return contenders(ways, x, moved, layout=variant.layout, backward=variant.backward)


def _matrix(size: int) -> Tensor:
    """What the low pass does to an axis."""
    response = low_pass(size, CUTOFF, kind="gaussian", dtype=torch.float64)
    lines = torch.fft.rfft(torch.eye(size, dtype=torch.float64, device="cpu"))
    columns: Tensor = torch.fft.irfft(lines * response, n=size)
    return columns.T.float().contiguous()


ROWS = [
    Row(
        "pass_filter",
        f"LowPass2d, gaussian{variant.suffix}",
        sizes(shape),
        shape,
        functools.partial(_filters, shape, variant),
        variant.dtype,
        variant.layout,
        variant.backward,
        tolerance=tolerance(variant.dtype, variant.backward),
        moved_bytes=variant.moved_bytes(2 * torch.Size(shape).numel()),
        quick=(variant, shape) in ((PLAIN, SHAPES[2]), (LAST, SHAPES[1])),
        compiled=variant in (PLAIN, LAST) and shape == SHAPES[0],
    )
    for variant in (PLAIN, LAST, GRADIENT, HALF)
    for shape in SHAPES
]
