"""filter_bank2d: one forward transform for several responses."""

from __future__ import annotations

import functools

import torch

import freqops
from freqops.bench import peers
from freqops.bench.case import GRADIENT, HALF, LAST, PLAIN, Goal, Row, Variant, sizes
from freqops.bench.compositions import in_float, torch_bank, torch_filter_in_place
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders, tolerance
from freqops.filters import low_pass

SHAPES = ((16, 3, 224, 224), (64, 3, 32, 32))
FIRST = (SHAPES[0], PLAIN)
_RADII = (1, 2, 3, 4, 6, 8, 12, 16)  # times H/32: coarse structure to all but the corners


def _moved_bytes(shape: tuple[int, ...], variant: Variant) -> int:
    return variant.moved_bytes(torch.Size(shape).numel() * (1 + len(_RADII)))


def _sweep(shape: tuple[int, ...], variant: Variant) -> list[Contender]:
    x = torch.rand(shape).to(variant.dtype)
    radii = torch.tensor(_RADII, device="cpu") * (shape[-1] / 32)
    masks = low_pass(shape[-2:], radii, unit="bins").to(x.device)
    y = x.new_empty(len(radii), *shape)
    ways = [
        Way("freqops", lambda x: freqops.filter_bank2d(x, masks).unbind(), "ours"),
        Way(
            "torch sharing",
            in_float(lambda x: torch_bank(x, list(masks)), x.dtype),
            compiles=True,
        ),
        Way(
            "torch separate",
            in_float(lambda x: [torch_filter_in_place(x, mask) for mask in masks], x.dtype),
        ),
    ]
    if variant == PLAIN:
        if not x.is_cuda and peers.has("scipy"):
            ways.append(
                Way("scipy separate", lambda x: [peers.scipy_filter(x, mask) for mask in masks])
            )
        ways.append(Way("copy", lambda x: y.copy_(x.expand_as(y)), "floor"))
    moved = _moved_bytes(shape, variant)
    return contenders(ways, x, moved, layout=variant.layout, backward=variant.backward)


ROWS = [
    Row(
        "filter_bank",
        f"filter_bank2d, 8 low passes{variant.suffix}",
        sizes(shape),
        shape,
        functools.partial(_sweep, shape, variant),
        variant.dtype,
        variant.layout,
        variant.backward,
        # The goal was set at the larger size.
        goals=[Goal(4.0, against=("torch sharing",))] if (shape, variant) == FIRST else [],
        tolerance=tolerance(variant.dtype, variant.backward),
        moved_bytes=_moved_bytes(shape, variant),
        quick=variant == PLAIN,
        compiled=(shape, variant) == FIRST,
    )
    for variant in (PLAIN, GRADIENT, HALF, LAST)
    for shape in SHAPES
    if variant in (PLAIN, GRADIENT) or shape[-1] == 224
]
