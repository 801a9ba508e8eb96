"""split_bands2d: bands that add up to the image, from one forward transform."""

from __future__ import annotations

import functools
import itertools

import torch

import freqops
from freqops.bench.case import GRADIENT, HALF, LAST, PLAIN, Row, Variant, sizes
from freqops.bench.compositions import in_float, torch_bank, torch_filter_in_place
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders, tolerance
from freqops.filters import low_pass

SHAPES = ((16, 3, 224, 224), (16, 64, 56, 56))
CUTOFFS = (0.1, 0.25)


def _bytes(shape: tuple[int, ...], variant: Variant) -> int:
    return variant.moved_bytes(torch.Size(shape).numel() * (2 + len(CUTOFFS)))


def _bands(shape: tuple[int, ...], variant: Variant) -> list[Contender]:
    x = torch.rand(shape).to(variant.dtype)
    low = low_pass(shape[-2:], torch.tensor(CUTOFFS, device="cpu")).to(x.device)
    masks = [low[0], *(after - before for before, after in itertools.pairwise(low))]
    masks.append(1 - low[-1])
    ways = [
        Way("freqops", lambda x: freqops.split_bands2d(x, CUTOFFS).unbind(), "ours"),
        Way("torch sharing", in_float(lambda x: torch_bank(x, masks), x.dtype), compiles=True),
        Way(
            "torch separate",
            in_float(lambda x: [torch_filter_in_place(x, mask) for mask in masks], x.dtype),
        ),
    ]
    moved = _bytes(shape, variant)
    return contenders(ways, x, moved, layout=variant.layout, backward=variant.backward)


ROWS = [
    Row(
        "split_bands",
        f"split_bands2d, 3 bands{variant.suffix}",
        sizes(shape),
        shape,
        functools.partial(_bands, shape, variant),
        variant.dtype,
        variant.layout,
        variant.backward,
        tolerance=tolerance(variant.dtype, variant.backward),
        moved_bytes=_bytes(shape, variant),
        quick=variant == PLAIN,
        compiled=variant == PLAIN and shape == SHAPES[0],
    )
    for variant in (PLAIN, GRADIENT, HALF, LAST)
    for shape in SHAPES
    if variant in (PLAIN, GRADIENT) or shape[1] > 3
]
