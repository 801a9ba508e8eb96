"""How the contenders of a row are called: layout, gradient, inputs in turn, and the copy below."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from freqops.bench import compiled
from freqops.bench.machine import cache_bytes
from freqops.bench.timing import Contender, Role, Rotation, inputs_beyond_cache, outputs_of

FORMATS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}

Call = Callable[[Tensor], Any]


class Way(NamedTuple):
    """One way of computing a row's function of x.

    Attributes:
        name: of the contender.
        call: the function.
        role: of the contender.
        layout: it is called with, where that is not the row's.
        compiles: whether the same through torch.compile takes part too, on rows that say so.
    """

    name: str
    call: Call
    role: Role = "peer"
    layout: str | None = None
    compiles: bool = False


def contenders(
    ways: Sequence[Way],
    x: Tensor,
    moved_bytes: int,
    *,
    layout: str = "NCHW",
    backward: bool = False,
    leaves: Sequence[Tensor] = (),
    rotated: bool = False,
) -> list[Contender]:
    """A contender for every way and for what is compiled of them, ours first; and the floor.

    Args:
        ways: the first is ours. A way of role "floor" takes the place of the copy below.
        x: the input.
        moved_bytes: what the floor, a copy of half as many, reads and writes.
        layout: of the row, NCHW or NHWC.
        backward: whether the gradients for x and the leaves are taken as well.
        leaves: what else has a gradient.
        rotated: whether as many inputs take turns as no cache holds; always on CUDA.
    """
    ways = [each for way in ways for each in _with_compiled(way)]
    count = 1
    if rotated or x.is_cuda:
        count = len(inputs_beyond_cache(x, cache_bytes(str(x.device))))
    inputs = {
        name: [_laid(one, name).requires_grad_(backward) for one in _copies(x, count)]
        for name in FORMATS
        if name == layout or any(way.layout == name for way in ways)
    }
    upstream: list[Tensor] = []
    if backward:
        upstream = _upstream(ways[0], inputs[layout][0])
    entries = []
    for way in ways:
        call = way.call
        if backward and way.role != "floor":
            own = upstream
            if way.role == "other":  # its outputs may be fewer, or more
                with contextlib.suppress(Exception):  # which is said where it is called again
                    own = _upstream(way, inputs[way.layout or layout][0])
            own = [_laid(one, way.layout or layout) for one in own]
            call = functools.partial(_both, way.call, tuple(leaves), own)
        entries.append(_contender(way, call, inputs[way.layout or layout]))
    if not any(way.role == "floor" for way in ways):
        entries.append(_floor(x, moved_bytes, count))
    return entries


def tolerance(dtype: torch.dtype, backward: bool) -> float:
    """Of the agreement check: half types round once forward, compositions at every step back."""
    if dtype == torch.float32:
        return 1e-4
    return (8 if backward else 2) * torch.finfo(dtype).eps


def _with_compiled(way: Way) -> list[Way]:
    if not way.compiles:
        return [way]
    return [way, Way(compiled.NAME, compiled.Compiled(way.call), way.role, way.layout)]


def _contender(way: Way, call: Call, inputs: Sequence[Tensor]) -> Contender:
    first = functools.partial(call, inputs[0])
    if len(inputs) == 1:
        return Contender(way.name, first, way.role)
    return Contender(way.name, Rotation(call, inputs), way.role, check=first)


def _floor(x: Tensor, moved_bytes: int, count: int) -> Contender:
    """torch's copy, of inputs that take turns where those of the others do."""
    half = max(1, moved_bytes // x.element_size() // 2)
    pairs = [(x.new_zeros(half), x.new_zeros(half)) for _ in range(count)]
    if count == 1:
        source, target = pairs[0]
        return Contender("copy", lambda: target.copy_(source), "floor")
    return Contender("copy", Rotation(lambda pair: pair[1].copy_(pair[0]), pairs), "floor")


def _copies(x: Tensor, count: int) -> list[Tensor]:
    """x itself first: what everybody's results are compared on."""
    return [x.detach(), *(torch.rand_like(x) for _ in range(count - 1))]


def _laid(x: Tensor, layout: str) -> Tensor:
    """In memory as said; what is no image stays as it is."""
    return x.contiguous(memory_format=FORMATS[layout]) if x.dim() == 4 else x


def _upstream(way: Way, x: Tensor) -> list[Tensor]:
    return [torch.rand_like(one.detach()) for one in outputs_of(way.call(x))]


def _both(call: Call, leaves: tuple[Tensor, ...], upstream: list[Tensor], x: Tensor) -> Any:
    outputs = list(outputs_of(call(x)))
    return *outputs, *torch.autograd.grad(outputs, (x, *leaves), upstream)
