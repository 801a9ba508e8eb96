"""split_bands2d: bands that add up to the image, from one forward transform."""

from __future__ import annotations

import functools
import itertools

import torch

import freqops
from freqops.bench import compositions
from freqops.bench.case import Row, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders
from freqops.filters import low_pass

SHAPES = ((16, 3, 224, 224), (16, 64, 56, 56))
CUTOFFS = (0.1, 0.25)


def _bytes(shape: tuple[int, ...]) -> int:
    return 4 * torch.Size(shape).numel() * (2 + len(CUTOFFS))


def _bands(shape: tuple[int, ...]) -> list[Contender]:
    x = torch.rand(shape)
    low = low_pass(shape[-2:], torch.tensor(CUTOFFS, device="cpu")).to(x.device)
    masks = [low[0], *(after - before for before, after in itertools.pairwise(low))]
    masks.append(1 - low[-1])
    ways = [
        Way("freqops", lambda x: freqops.split_bands2d(x, CUTOFFS).unbind(), "ours"),
        Way("torch sharing", lambda x: compositions.torch_bank(x, masks), compiles=True),
        Way(
            "torch separate",
            lambda x: [compositions.torch_filter_in_place(x, mask) for mask in masks],
        ),
    ]
    return contenders(ways, x, _bytes(shape))


ROWS = [
    Row(
        "split_bands",
        "split_bands2d, 3 bands",
        sizes(shape),
        shape,
        functools.partial(_bands, shape),
        moved_bytes=_bytes(shape),
        quick=True,
        compiled=shape == SHAPES[0],
    )
    for shape in SHAPES
]
