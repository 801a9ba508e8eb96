"""upfirdn2d: StyleGAN's upsampling and downsampling by a short filter."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

import freqops
from freqops.bench import peers
from freqops.bench import pooling_compositions as compositions
from freqops.bench.case import Row, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders
from freqops.filters import binomial_taps

# StyleGAN2's maps at 32 and 64.
SHAPES = ((4, 512, 32, 32), (4, 512, 64, 64))
TAPS = 4


def _bytes(shape: tuple[int, ...], up: int) -> int:
    elements = torch.Size(shape).numel()
    return 4 * (elements + (4 * elements if up == 2 else elements // 4))


def _resized(shape: tuple[int, ...], up: int) -> list[Contender]:
    """Up by 2 with zeros (2, 1) around, or down by 2 with (1, 1): sizes are whole multiples."""
    x, taps = torch.rand(shape), binomial_taps(TAPS, device=torch.get_default_device())
    down, (before, after) = 3 - up, (2, 1) if up == 2 else (1, 1)

    def ours(x: Tensor) -> Tensor:
        return freqops.upfirdn2d(x, taps, up, down, padding=(before, after, before, after))

    def by_scipy(x: Tensor) -> Tensor:
        """Of everything the filter touches; one output of it at each end is not ours."""
        height, width = (side * up // down for side in x.shape[-2:])
        return peers.scipy_upfirdn(x, taps, up, down)[..., 1 : height + 1, 1 : width + 1]

    ways = [
        Way("freqops", ours, "ours"),
        Way(
            "torch",
            lambda x: compositions.torch_upfirdn(x, taps, up, down, (before, after)),
            compiles=up == 1,
        ),
    ]
    if up == 2:
        ways.append(
            Way(
                "torch, transposed",
                lambda x: compositions.torch_up_transposed(x, taps, 2, 1),
                compiles=True,
            )
        )
    if not x.is_cuda and peers.has("scipy"):
        ways.append(Way("scipy", by_scipy))
    return contenders(ways, x, _bytes(shape, up))


ROWS = [
    Row(
        "upfirdn",
        f"upfirdn2d, {TAPS} taps, {'up' if up == 2 else 'down'} by 2, float32",
        sizes(shape),
        shape,
        functools.partial(_resized, shape, up),
        moved_bytes=_bytes(shape, up),
        quick=shape == SHAPES[0],
        compiled=shape == SHAPES[0],
    )
    for up in (2, 1)
    for shape in SHAPES
]
