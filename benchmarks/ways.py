"""How the contenders of a pooling row are called: layout, gradient, and the copy as the floor."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import torch
from interleave import Contender
from torch import Tensor

FORMATS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}

Pool = Callable[[Tensor], Tensor]
Role = Literal["ours", "peer", "other"]


class Way(NamedTuple):
    """One pool and the layout it is called with, where that is not the row's."""

    pool: Pool
    role: Role = "peer"
    layout: str | None = None


def contenders(
    ways: Mapping[str, Way], x: Tensor, layout: str, backward: bool, moved_bytes: int
) -> list[Contender]:
    """A contender for every way, ours first, and the floor.

    Args:
        ways: by name; the first is ours.
        x: the map.
        layout: of the row, NCHW or NHWC.
        backward: whether the gradient for x is taken as well.
        moved_bytes: what the floor reads and writes.
    """
    inputs = {
        name: x.contiguous(memory_format=memory).requires_grad_(backward)
        for name, memory in FORMATS.items()
    }
    upstream = torch.rand_like(next(iter(ways.values())).pool(x))
    entries = []
    for name, way in ways.items():
        own_layout = way.layout or layout
        call: Callable[..., Any] = _both if backward else _forward
        own = upstream
        if way.role == "other" and backward:  # its outputs may be fewer, or more
            own = torch.rand_like(way.pool(x))
        own = own.contiguous(memory_format=FORMATS[own_layout])
        arguments = (way.pool, inputs[own_layout], own)
        entries.append(Contender(name, functools.partial(call, *arguments), way.role))
    half = moved_bytes // x.element_size() // 2
    source, target = x.new_zeros(half), x.new_zeros(half)
    return [*entries, Contender("copy", lambda: target.copy_(source), "floor")]


def tolerance(dtype: torch.dtype, backward: bool) -> float:
    """Of the agreement check: half types round once forward, compositions at every step back."""
    if dtype == torch.float32:
        return 1e-4
    return (8 if backward else 2) * torch.finfo(dtype).eps


def _forward(pool: Pool, x: Tensor, _: Tensor) -> Tensor:
    return pool(x)


def _both(pool: Pool, x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    y = pool(x)
    (gradient,) = torch.autograd.grad(y, x, upstream)
    return y, gradient
