"""low_high2d: the low and high images of Wang et al. 2020, and a whole sweep of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import compositions
import peers
import pytest
import torch
from case import Case, Goal, sizes
from interleave import Contender
from torch import Tensor

import freqops
from freqops.evaluation.conditions import FilterSettings
from freqops.filters import low_pass

Compare = Callable[[Case], None]
Pairs = Iterator[tuple[Tensor, Tensor]]

PUBLISHED = "numpy as published"
GOALS: dict[tuple[int, ...], float] = {(8, 3, 224, 224): 90.0, (64, 3, 32, 32): 300.0}
RADII = (7.0, 14.0, 21.0, 28.0, 42.0, 56.0, 84.0, 112.0)


@pytest.mark.parametrize("shape", GOALS, ids=str)
def bench_low_high(compare: Compare, shape: tuple[int, ...]) -> None:
    side, radius = shape[-1], shape[-1] / 8
    x = torch.rand(shape)
    pixels = x.double().numpy()  # the published code ends in double, whatever it is given
    mask, half_mask = peers.radial_mask(side, radius), low_pass((side, side), radius, unit="bins")
    low, high = torch.empty_like(x), torch.empty_like(x)

    def published() -> object:
        return peers.numpy_low_high(pixels, peers.radial_mask(side, radius))

    def copy_twice() -> None:
        low.copy_(x)
        high.copy_(x)

    contenders = [
        Contender("freqops", lambda: freqops.low_high2d(x, radius, unit="bins"), "ours"),
        Contender(PUBLISHED, published),
        Contender("numpy, mask kept", lambda: peers.numpy_low_high(pixels, mask)),
        Contender("torch", lambda: next(compositions.torch_low_high(x, [half_mask]))),
        Contender("copy", copy_twice, "floor"),
    ]
    goal = Goal(GOALS[shape], default=GOALS[shape], against=(PUBLISHED,))
    compare(Case("low_high2d, one radius (H/8)", sizes(x), contenders, [goal]))


def bench_sweep(compare: Compare) -> None:
    """All that a sweep filters: 8 radii, low and high; a model would take each pair and drop it."""
    x = torch.rand(64, 3, 224, 224)
    pixels = x.double().numpy()
    masks = list(low_pass((224, 224), torch.tensor(RADII), unit="bins"))
    y = torch.empty_like(x)

    def in_one_call() -> Pairs:
        low, high = freqops.low_high2d(x, RADII, unit="bins")
        yield from zip(low, high, strict=True)

    def as_the_sweep_does() -> Pairs:
        bands: dict[tuple[str, float | None], Tensor] = {}
        for condition, images in FilterSettings(RADII).filtered(x):
            bands[condition] = images
            pair = ("low", condition.cutoff), ("high", condition.cutoff)
            if pair[0] in bands and pair[1] in bands:
                yield bands.pop(pair[0]), bands.pop(pair[1])

    def published() -> Iterator[object]:
        for radius in RADII:
            yield peers.numpy_low_high(pixels, peers.radial_mask(224, radius))

    def copy_each() -> None:
        for _ in range(2 * len(RADII)):
            y.copy_(x)

    contenders = [
        Contender("freqops", as_the_sweep_does, "ours"),
        Contender("freqops, one call", in_one_call, "ours"),
        Contender("torch sharing", lambda: compositions.torch_low_high_sharing(x, masks)),
        Contender("torch separate", lambda: compositions.torch_low_high(x, masks)),
        Contender(PUBLISHED, published),
        Contender("copy", copy_each, "floor"),
    ]
    goal = Goal(4.0, against=("torch sharing",))
    compare(Case("low_high2d, a whole sweep: 8 radii, low and high", sizes(x), contenders, [goal]))
