"""low_high2d: the low and high images of Wang et al. 2020, a whole sweep of them, more radii."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor

import freqops
from freqops.bench import compositions, peers
from freqops.bench.case import GRADIENT, Goal, Point, Row, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders
from freqops.evaluation.conditions import FilterSettings
from freqops.evaluation.memory import ReusedMemory
from freqops.filters import low_pass

OP = "low_high"
PUBLISHED = "numpy as published"
GOALS: dict[tuple[int, ...], float] = {(8, 3, 224, 224): 90.0, (64, 3, 32, 32): 300.0}
RADII = (7.0, 14.0, 21.0, 28.0, 42.0, 56.0, 84.0, 112.0)
SWEEP = (64, 3, 224, 224)
# So small that eight pairs (5 MB) stay with the allocator: pairs that go back to the system are
# faulted in anew by every call, which costs more than the transforms and hides what they share.
CURVE = (8, 3, 56, 56)
COUNTS = (1, 2, 4, 8)
# Between two bins, so that each costs the same: at a smaller one less is transformed back.
CURVE_RADII = tuple(13.1 + 0.1 * index for index in range(COUNTS[-1]))
SINGLE = "freqops, single calls"

Pairs = Iterator[tuple[Tensor, Tensor]]


def _one(shape: tuple[int, ...]) -> list[Contender]:
    side, radius = shape[-1], shape[-1] / 8
    x = torch.rand(shape)
    pixels = x.double().cpu().numpy()  # the published code ends in double, whatever it is given
    mask = peers.radial_mask(side, radius)
    half_mask = low_pass((side, side), radius, unit="bins", device=x.device)
    low, high = torch.empty_like(x), torch.empty_like(x)

    def published(_: Tensor) -> object:
        return peers.numpy_low_high(pixels, peers.radial_mask(side, radius))

    def copy_twice(x: Tensor) -> None:
        low.copy_(x)
        high.copy_(x)

    ways = [Way("freqops", lambda x: freqops.low_high2d(x, radius, unit="bins"), "ours")]
    if not x.is_cuda:
        ways += [
            Way(PUBLISHED, published),
            Way("numpy, mask kept", lambda _: peers.numpy_low_high(pixels, mask)),
        ]
    ways += [
        Way("torch", lambda x: next(compositions.torch_low_high(x, [half_mask])), compiles=True),
        Way("copy", copy_twice, "floor"),
    ]
    return contenders(ways, x, 0)


def _trained(shape: tuple[int, ...]) -> list[Contender]:
    """Gradients of both images meet in x."""
    x, radius = torch.rand(shape), shape[-1] / 8
    mask = low_pass(shape[-2:], radius, unit="bins", device=x.device)
    ways = [
        Way("freqops", lambda x: freqops.low_high2d(x, radius, unit="bins"), "ours"),
        Way("torch", lambda x: next(compositions.torch_low_high(x, [mask]))),
    ]
    return contenders(ways, x, GRADIENT.moved_bytes(3 * x.numel()), backward=True)


def _sweep(shape: tuple[int, ...], radii: tuple[float, ...], *, curve: bool) -> list[Contender]:
    """All that a sweep filters: low and high by radius; a model would take a pair and drop it."""
    x = torch.rand(shape)
    pixels = x.double().cpu().numpy()
    masks = list(low_pass(shape[-2:], torch.tensor(radii, device="cpu"), unit="bins").to(x.device))
    # As many outputs as there are, where they are small: a call for each would be mostly its price.
    copies = x.new_empty(2 * len(radii) if curve else 1, *shape)

    def in_one_call(x: Tensor) -> Pairs:
        low, high = freqops.low_high2d(x, radii, unit="bins")
        yield from zip(low, high, strict=True)

    memory = ReusedMemory(), ReusedMemory()

    def as_the_sweep_does(x: Tensor) -> Pairs:
        bands: dict[tuple[str, float | None], Tensor] = {}
        for condition, images in FilterSettings(radii).filtered(x, memory):
            bands[condition] = images
            pair = ("low", condition.cutoff), ("high", condition.cutoff)
            if pair[0] in bands and pair[1] in bands:
                yield bands.pop(pair[0]), bands.pop(pair[1])

    def one_by_one(x: Tensor) -> Pairs:
        for radius in radii:
            yield freqops.low_high2d(x, radius, unit="bins")

    def published(_: Tensor) -> Iterator[object]:
        for radius in radii:
            yield peers.numpy_low_high(pixels, peers.radial_mask(shape[-1], radius))

    def copy_each(x: Tensor) -> None:
        for _ in range(2 * len(radii) // len(copies)):
            copies.copy_(x.expand_as(copies))

    ways = [
        Way("freqops", as_the_sweep_does, "ours"),
        Way("freqops, one call", in_one_call, "ours"),
        Way(
            "torch sharing",
            lambda x: compositions.torch_low_high_sharing(x, masks),
            compiles=not curve,
        ),
        Way("torch separate", lambda x: compositions.torch_low_high(x, masks)),
    ]
    if curve:
        ways.insert(2, Way(SINGLE, one_by_one, "ours"))
    elif not x.is_cuda:
        ways.append(Way(PUBLISHED, published))
    return contenders([*ways, Way("copy", copy_each, "floor")], x, 0)


def _bytes(shape: tuple[int, ...], radii: int) -> int:
    """x read and a pair written, for each radius as the copy does it."""
    return 4 * torch.Size(shape).numel() * 4 * radii


ROWS = [
    Row(
        OP,
        "low_high2d, one radius (H/8)",
        sizes(shape),
        shape,
        functools.partial(_one, shape),
        goals=[Goal(goal, default=goal, against=(PUBLISHED,))],
        moved_bytes=_bytes(shape, 1),
        quick=True,
        compiled=shape[-1] == 224,
    )
    for shape, goal in GOALS.items()
]
ROWS += [
    Row(
        OP,
        f"low_high2d, one radius (H/8){GRADIENT.suffix}",
        sizes(shape),
        shape,
        functools.partial(_trained, shape),
        backward=True,
        moved_bytes=GRADIENT.moved_bytes(3 * torch.Size(shape).numel()),
    )
    for shape in GOALS
]
ROWS.append(
    Row(
        OP,
        "low_high2d, a whole sweep: 8 radii, low and high",
        sizes(SWEEP),
        SWEEP,
        functools.partial(_sweep, SWEEP, RADII, curve=False),
        goals=[Goal(4.0, against=("torch sharing",))],
        moved_bytes=_bytes(SWEEP, len(RADII)),
        compiled=True,
    )
)
ROWS += [
    Row(
        OP,
        "low_high2d: time over the number of radii, low and high",
        f"{sizes(CURVE)}, {count} {'radius' if count == 1 else 'radii'}",
        CURVE,
        functools.partial(_sweep, CURVE, CURVE_RADII[:count], curve=True),
        moved_bytes=_bytes(CURVE, count),
        quick=True,
        point=Point("radii", count),
    )
    for count in COUNTS
]
