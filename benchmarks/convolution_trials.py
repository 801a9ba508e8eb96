"""Convolutions timed both ways, torch's own and through the spectrum, on a grid of shapes."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import freqops
from freqops.ops._kernel_spectra import KERNEL_SPECTRA

_LEAST_CALLS = 3
_CLEAR = 3.0  # from here on nobody asks by how much one way is slower
_SHORT = (
    20e-3  # seconds; what takes less is called once more before, to find its own data in caches
)
# Numbers that are walked through before a call in evaluation, more than caches hold: in a network
# the layers between do so, and a kernel, or its spectrum, has to come from memory. x was just made.
_ELSEWHERE = 1 << 24


@dataclass(frozen=True)
class Trial:
    """One convolution whose output is as large as its input, or a stride smaller.

    Attributes:
        group: what the trial is to show.
        images: N.
        channels: C of the input.
        outputs: C of the output; None: depthwise, as many as of the input.
        size: side of the map, or length of the line.
        taps: of the kernel, along each axis.
        stride: of the outputs.
        dilation: of the taps.
        groups: of a convolution that is not depthwise.
        dtype: name of torch's.
        layout: NCHW or NHWC; NCL for lines.
        training: whether gradients of input and weight are taken as well.
    """

    group: str
    images: int
    channels: int
    size: int
    taps: int
    outputs: int | None = None
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    dtype: str = "float32"
    layout: str = "NCHW"
    training: bool = False

    @property
    def label(self) -> str:
        """The trial in words."""
        dims = 1 if self.layout == "NCL" else 2
        shape = "x".join(map(str, (self.images, self.channels, *[self.size] * dims)))
        to = "depthwise" if self.outputs is None else f"to {self.outputs} in {self.groups} groups"
        more = f" stride {self.stride}" * (self.stride > 1)
        more += f" dilation {self.dilation}" * (self.dilation > 1)
        direction = "training" if self.training else "forward"
        taps = "x".join([str(self.taps)] * dims)
        return f"{taps}{more} on {shape} {to}, {self.dtype}, {self.layout}, {direction}"

    def operands(self, device: str = "cpu") -> tuple[Tensor, Tensor]:
        """Input and weight."""
        dims = 1 if self.layout == "NCL" else 2
        outputs, groups = self.outputs or self.channels, self.arguments[-1]
        x = torch.empty(self.images, self.channels, *[self.size] * dims, device=device)
        weight = torch.empty(outputs, self.channels // groups, *[self.taps] * dims, device=device)
        x, weight = (t.uniform_(-1, 1).to(getattr(torch, self.dtype)) for t in (x, weight))
        if self.layout == "NHWC":
            x = x.contiguous(memory_format=torch.channels_last)
        return x.requires_grad_(self.training), weight.requires_grad_(self.training)

    @property
    def arguments(self) -> tuple[int, int, int, int]:
        """Stride, padding, dilation, groups."""
        groups = self.channels if self.outputs is None else self.groups
        return self.stride, self.dilation * (self.taps - 1) // 2, self.dilation, groups


@dataclass(frozen=True)
class Found:
    """Least milliseconds of a call each way.

    Attributes:
        trial: what was computed.
        direct: by torch's own convolution.
        fft: through the spectrum.
        chosen: by fft_conv as it is called; 0 where that was not timed.
    """

    trial: Trial
    direct: float
    fft: float
    chosen: float = 0.0

    def record(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)

    @classmethod
    def of(cls, record: dict[str, Any]) -> Found:
        """From a file."""
        return cls(**{**record, "trial": Trial(**record["trial"])})


def measure(trial: Trial, seconds: float, *, chosen: bool = False) -> Found:
    """Times a trial in turns; a way that is clearly slower is not waited for.

    Args:
        trial: what to compute.
        seconds: about how long.
        chosen: whether the function as it is called takes a turn too.
    """
    x, weight = trial.operands()
    one = trial.layout == "NCL"
    torchs: Any = functional.conv1d if one else functional.conv2d
    ours: Any = freqops.fft_conv1d if one else freqops.fft_conv2d
    calls: list[Callable[[], Tensor]] = [
        lambda: torchs(x, weight, None, *trial.arguments),
        lambda: ours(x, weight, None, *trial.arguments, algorithm="fft"),
    ]
    if chosen:
        calls.append(lambda: ours(x, weight, None, *trial.arguments))
    with torch.set_grad_enabled(trial.training):
        upstream = torch.ones_like(calls[0]()) if trial.training else None
        steps = [_step(call, (x, weight), upstream) for call in calls]
        times = _least(steps, seconds, lambda: _leave_caches(x))
    return Found(trial, *(1e3 * value for value in times))


def _step(
    call: Callable[[], Tensor], operands: tuple[Tensor, Tensor], upstream: Tensor | None
) -> Callable[[], float]:
    """The seconds of a call; of training each sees a weight of which no spectrum is kept."""
    # A single thread's own time is the same whatever else the machine does.
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter

    def run() -> float:
        if upstream is not None:
            KERNEL_SPECTRA.clear()
        start = clock()
        y = call()
        if upstream is not None:
            torch.autograd.grad(y, operands, upstream)
        del y
        return clock() - start

    return run


@functools.cache
def _elsewhere() -> Tensor:
    return torch.zeros(_ELSEWHERE)


def _leave_caches(x: Tensor) -> None:
    """Of what an evaluation reads leaves only x in the caches."""
    if not x.requires_grad:
        _elsewhere().add_(1)
        x.neg_()


def _least(
    steps: Sequence[Callable[[], float]], seconds: float, between: Callable[[], None]
) -> list[float]:
    """Of calls in turns; the first of each, which plans and allocates, does not count."""
    for step in steps:
        step()
    least = [_turn(step, math.inf, between) for step in steps]
    spent, calls = sum(least), 1
    while calls < _LEAST_CALLS or spent < seconds:
        if max(least[:2]) > _CLEAR * min(least[:2]) and calls + spent / seconds > _LEAST_CALLS:
            break
        times = [_turn(step, one, between) for step, one in zip(steps, least, strict=True)]
        least = [min(pair) for pair in zip(least, times, strict=True)]
        spent, calls = spent + sum(times), calls + 1
    return least


def _turn(step: Callable[[], float], least: float, between: Callable[[], None]) -> float:
    if least < _SHORT:
        step()
    between()
    return step()


# --- the grid -----------------------------------------------------------------------------------

_TAPS = (3, 5, 7, 9, 11, 13, 15, 17, 21, 31, 51)
_LAYOUTS = ("NCHW", "NHWC")
# Networks have the more channels the smaller the map; the images are few enough for the slow ways.
_MAPS = ((7, 768), (14, 384), (28, 192), (56, 96), (112, 48))


def grid() -> Iterator[Trial]:
    """What the cost model was fitted to."""
    for training in (False, True):
        yield from _depthwise(training)
        yield from _others(training)
        yield from _dense(training)
        yield from _lines(training)


def _depthwise(training: bool) -> Iterator[Trial]:
    images = 2
    for (size, channels), taps, layout in product(_MAPS, _TAPS, _LAYOUTS):
        if taps < 2 * size:
            yield Trial("depthwise", images, channels, size, taps, layout=layout, training=training)


def _others(training: bool) -> Iterator[Trial]:
    """Of what the plain depthwise ones do not show: another number at a time."""
    for layout, taps in product(_LAYOUTS, (3, 7, 13, 15, 31)):
        more: dict[str, Any] = {"layout": layout, "training": training}
        if not training:
            for images in (1, 3, 8):
                yield Trial("images", images, 96, 28, taps, **more)
            yield Trial("channels", 4, 16, 56, taps, **more)
        yield Trial("stride", 2, 96, 56, taps, stride=2, **more)
        yield Trial("dilation", 2, 96, 28, taps, dilation=2, **more)
        if taps < 31:
            yield Trial("stride, dilation", 2, 96, 28, taps, stride=2, dilation=2, **more)
            yield Trial("dilation", 2, 96, 56, taps, dilation=3, **more)
    for dtype, layout, taps in product(
        ("bfloat16", "float16", "float64"), _LAYOUTS, (3, 5, 7, 13, 15, 31)
    ):
        if dtype == "bfloat16" or taps < 15:
            yield Trial("dtype", 2, 96, 28, taps, dtype=dtype, layout=layout, training=training)


def _dense(training: bool) -> Iterator[Trial]:
    shapes = (
        (2, 64, 64, 56, 1),
        (2, 16, 16, 56, 1),
        (4, 3, 64, 56, 1),
        (2, 128, 128, 28, 1),
        (16, 64, 64, 28, 1),
        (2, 256, 256, 14, 1),
        (2, 64, 64, 28, 4),
    )
    for (images, channels, outputs, size, groups), taps in product(shapes, (3, 5, 7, 9, 11, 15)):
        for layout in _LAYOUTS if taps in (3, 7, 15) else ("NCHW",):
            more: dict[str, Any] = {"groups": groups, "layout": layout, "training": training}
            yield Trial("dense", images, channels, size, taps, outputs, **more)
    for taps, dtype in product((3, 7, 11), ("float64", "bfloat16", "float16")):
        yield Trial("dense", 2, 32, 28, taps, 32, dtype=dtype, training=training)


def _lines(training: bool) -> Iterator[Trial]:
    more: dict[str, Any] = {"layout": "NCL", "training": training}
    for (images, channels, size), taps in product(
        ((4, 64, 128), (4, 256, 1024), (2, 32, 16384)), (3, 7, 13, 15, 31, 63, 127, 255, 1023)
    ):
        if taps < 2 * size:
            yield Trial("lines", images, channels, size, taps, **more)
    for taps in (3, 7, 15, 31, 63, 127, 255):
        yield Trial("dense lines", 4, 64, 1024, taps, 64, **more)
