"""upfirdn2d: StyleGAN's upsampling and downsampling by a short filter."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

import freqops
from freqops.bench import peers
from freqops.bench import pooling_compositions as compositions
from freqops.bench.case import GRADIENT, HALF, LAST, PLAIN, Row, Variant, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders, tolerance
from freqops.filters import binomial_taps

# StyleGAN2's maps at 32 and 64.
SHAPES = ((4, 512, 32, 32), (4, 512, 64, 64))
TAPS = 4


def _bytes(shape: tuple[int, ...], up: int, variant: Variant) -> int:
    elements = torch.Size(shape).numel()
    return variant.moved_bytes(elements + (4 * elements if up == 2 else elements // 4))


def _resized(shape: tuple[int, ...], up: int, variant: Variant) -> list[Contender]:
    """Up by 2 with zeros (2, 1) around, or down by 2 with (1, 1): sizes are whole multiples."""
    x = torch.rand(shape).to(variant.dtype)
    taps = binomial_taps(TAPS, device=x.device).to(x.dtype)
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
    if variant == PLAIN and not x.is_cuda and peers.has("scipy"):
        ways.append(Way("scipy", by_scipy))
    moved = _bytes(shape, up, variant)
    return contenders(ways, x, moved, layout=variant.layout, backward=variant.backward)


ROWS = [
    Row(
        "upfirdn",
        f"upfirdn2d, {TAPS} taps, {'up' if up == 2 else 'down'} by 2{variant.suffix}",
        sizes(shape),
        shape,
        functools.partial(_resized, shape, up, variant),
        variant.dtype,
        variant.layout,
        variant.backward,
        # In half types the peers round between the axes as well.
        tolerance=tolerance(variant.dtype, backward=True),
        moved_bytes=_bytes(shape, up, variant),
        quick=(variant, shape) == (PLAIN, SHAPES[0]),
        compiled=variant in (PLAIN, LAST) and shape == SHAPES[0],
    )
    for up in (2, 1)
    for variant in (PLAIN, LAST, GRADIENT, HALF)
    for shape in SHAPES
    if variant == PLAIN or shape == SHAPES[0]
]
