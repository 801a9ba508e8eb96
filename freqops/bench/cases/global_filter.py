"""GlobalFilter2d, the layer of GFNet; its gradient is spectral_correlation."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

import freqops
from freqops.bench import compositions
from freqops.bench.case import Row, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import FORMATS, Way, contenders

GFNET = (16, 256, 14, 14)
LARGER = (16, 96, 56, 56)


def _bytes(shape: tuple[int, ...], *, backward: bool) -> int:
    """Maps; and the weight, once forward, twice and once back."""
    weight = 2 * shape[1] * shape[2] * (shape[3] // 2 + 1)
    maps = 2 * torch.Size(shape).numel()
    return 4 * ((2 * maps + 3 * weight) if backward else (maps + weight))


def _layers(shape: tuple[int, ...], layout: str, *, backward: bool) -> list[Contender]:
    x = torch.rand(shape)
    weight = torch.randn(shape[1], shape[2], shape[3] // 2 + 1, 2)
    layer = freqops.GlobalFilter2d(shape[1], shape[2:]).to(x.device)
    with torch.no_grad():
        layer.weight.copy_(weight)

    def published(x: Tensor) -> Tensor:
        response = torch.view_as_complex(layer.weight)
        spectrum = torch.fft.rfft2(x, norm="ortho") * response
        filtered: Tensor = torch.fft.irfft2(spectrum, s=x.shape[-2:], norm="ortho")
        return filtered

    def torch_layer(x: Tensor) -> Tensor:
        return compositions.torch_filter(x, torch.view_as_complex(layer.weight))

    layer.requires_grad_(backward)
    ways = [
        Way("freqops", layer, "ours"),
        Way("torch, as published", published),
        Way("torch", torch_layer, compiles=True),
    ]
    leaves = [layer.weight] if backward else []
    moved = _bytes(shape, backward=backward)
    return contenders(ways, x, moved, layout=layout, backward=backward, leaves=leaves)


ROWS = [
    Row(
        "global_filter",
        f"GlobalFilter2d, float32, {layout}, forward{' and backward' * backward}",
        sizes(shape),
        shape,
        functools.partial(_layers, shape, layout, backward=backward),
        layout=layout,
        backward=backward,
        moved_bytes=_bytes(shape, backward=backward),
        quick=shape == GFNET and layout == "NCHW",
        compiled=shape == GFNET and not backward,
    )
    for layout in FORMATS
    for backward in (False, True)
    for shape in (GFNET, LARGER)
]
