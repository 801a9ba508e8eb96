"""filter_bank2d: one forward transform for several responses."""

from __future__ import annotations

import functools

import torch

import freqops
from freqops.bench import compositions, peers
from freqops.bench.case import Goal, Row, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders
from freqops.filters import low_pass

SHAPES = ((16, 3, 224, 224), (64, 3, 32, 32))
_RADII = (1, 2, 3, 4, 6, 8, 12, 16)  # times H/32: coarse structure to all but the corners


def _moved_bytes(shape: tuple[int, ...]) -> int:
    return 4 * torch.Size(shape).numel() * (1 + len(_RADII))


def _sweep(shape: tuple[int, ...]) -> list[Contender]:
    x = torch.rand(shape)
    radii = torch.tensor(_RADII, device="cpu") * (shape[-1] / 32)
    masks = low_pass(shape[-2:], radii, unit="bins").to(x.device)
    y = torch.empty(len(radii), *shape)
    ways = [
        Way("freqops", lambda x: freqops.filter_bank2d(x, masks).unbind(), "ours"),
        Way("torch sharing", lambda x: compositions.torch_bank(x, list(masks)), compiles=True),
        Way(
            "torch separate",
            lambda x: [compositions.torch_filter_in_place(x, mask) for mask in masks],
        ),
    ]
    if not x.is_cuda and peers.has("scipy"):
        ways.append(
            Way("scipy separate", lambda x: [peers.scipy_filter(x, mask) for mask in masks])
        )
    ways.append(Way("copy", lambda x: y.copy_(x.expand_as(y)), "floor"))
    return contenders(ways, x, _moved_bytes(shape))


ROWS = [
    Row(
        "filter_bank",
        "filter_bank2d, 8 low passes",
        sizes(shape),
        shape,
        functools.partial(_sweep, shape),
        # The goal was set at the larger size.
        goals=[Goal(4.0, against=("torch sharing",))] if shape[-1] == 224 else [],
        moved_bytes=_moved_bytes(shape),
        quick=True,
        compiled=shape == SHAPES[0],
    )
    for shape in SHAPES
]
