"""filter_bank2d: one forward transform for several responses."""

from __future__ import annotations

from collections.abc import Callable

import compositions
import peers
import pytest
import torch
from case import Case, Goal, sizes
from interleave import Contender
from torch import Tensor

import freqops
from freqops.filters import low_pass


@pytest.mark.parametrize("shape", [(16, 3, 224, 224), (64, 3, 32, 32)], ids=str)
def bench_radius_sweep(compare: Callable[[Case], None], shape: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    # From H/32 to H/2 in bins: coarse structure to all but the corners.
    radii = torch.tensor([1, 2, 3, 4, 6, 8, 12, 16]) * (shape[-1] / 32)
    masks = low_pass(shape[-2:], radii, unit="bins")
    y = torch.empty(len(radii), *shape)

    def separate() -> list[Tensor]:
        return [compositions.torch_filter_in_place(x, mask) for mask in masks]

    contenders = [
        Contender("freqops", lambda: freqops.filter_bank2d(x, masks).unbind(), "ours"),
        Contender("torch sharing", lambda: compositions.torch_bank(x, masks)),
        Contender("torch separate", separate),
        Contender("scipy separate", lambda: [peers.scipy_filter(x, m) for m in masks]),
        Contender("copy", lambda: y.copy_(x.expand_as(y)), "floor"),
    ]
    # The goal was set at the larger size.
    goals = [Goal(4.0, against=("torch sharing",))] if shape[-1] == 224 else []
    compare(Case("filter_bank2d, 8 low passes", sizes(x), contenders, goals))
