"""problem: one convolution with the sizes of one call, for predictions and measurements."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import freqops.ops as ops
from freqops.ops._convolution_rules import Geometry, bands, ends_per_axis, grids
from freqops.surgery.sites.site import Site
from freqops.surgery.steps.window import Sizes
from freqops.surgery.tracing.graph import Call

_BATCHED = 2  # axes that are not transformed: images and channels


@dataclass(frozen=True)
class Problem:
    """One convolution with the sizes of one call.

    Attributes:
        input_size: [N, Cin, ...], after a padding by anything but zeros.
        output_size: [N, Cout, ...].
        weight_size: [Cout, Cin / groups, ...].
        stride: one entry per axis.
        padding: one entry per axis, "same" or "valid".
        dilation: one entry per axis.
        groups: of channels.
        dtype: of the weight.
        device: on which it lies.
        channels_last: the memory format of the map.
    """

    input_size: Sizes
    output_size: Sizes
    weight_size: Sizes
    stride: Sizes
    padding: Sizes | str
    dilation: Sizes
    groups: int
    dtype: torch.dtype
    device: torch.device
    channels_last: bool

    @property
    def arguments(self) -> dict[str, Any]:
        """Of torch's functions, without tensors."""
        names = ("stride", "padding", "dilation", "groups")
        return {name: getattr(self, name) for name in names}

    @property
    def macs(self) -> int:
        """Multiplications of torch's own."""
        return math.prod(self.output_size) * math.prod(self.weight_size[1:])

    @property
    def is_depthwise(self) -> bool:
        """Whether no channel sees another one; each may have several kernels."""
        return self.weight_size[1] == 1

    def tensors(self) -> tuple[Tensor, Tensor]:
        """A map and a weight."""
        like: dict[str, Any] = {"dtype": self.dtype, "device": self.device}
        x, weight = torch.ones(self.input_size, **like), torch.ones(self.weight_size, **like)
        if self.channels_last and x.dim() == 4:
            return x.contiguous(memory_format=torch.channels_last), weight
        return x, weight

    def spectrum(self, options: Mapping[str, Any]) -> tuple[Sizes, Sizes]:
        """(sizes of the transforms, highest frequency kept of each axis) with these options."""
        dims = len(self.stride)
        ends = ends_per_axis(self.padding, self.weight_size[2:], self.dilation)
        band, grid = options.get("band"), options.get("fft_size")
        geometry = Geometry(
            self.stride,
            tuple(before for before, _ in ends),
            self.dilation,
            self.groups,
            _each(grid, dims),
            _each(band, dims),
            options.get("compression", 0.0),
        )
        sizes, outputs = self.input_size[_BATCHED:], self.output_size[_BATCHED:]
        grid = grids(sizes, self.weight_size[2:], outputs, geometry)
        return grid, bands(grid, geometry)


def _each(value: Any, dims: int) -> Sizes:
    """One entry per axis; () for None."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, Sequence) else (value,) * dims


def problem_of(
    site: Site, call: Call | None, device: torch.device, *, channels_last: bool
) -> Problem | None:
    """A site's convolution with the sizes of a call; None where the trace does not know them."""
    if call is None or site.window is None:
        return None
    dims, size = site.dims, call.input_size
    outputs, share, groups = _channels(site)
    padding, ends = _padding(site)
    lead = math.prod(size[: -dims - 1])
    spatial = [n + sum(pair) for n, pair in zip(size[-dims:], ends, strict=True)]
    return Problem(
        (lead, share * groups, *spatial),
        (lead, outputs, *call.output_size[-dims:]),
        (outputs, share, *site.kernel_size),
        site.stride,
        padding,
        site.window.dilation,
        groups,
        dtype_of(site),
        device,
        channels_last,
    )


def _channels(site: Site) -> tuple[int, int, int]:
    """(outputs, inputs of each group, groups)."""
    groups = int(site.arguments["groups"])
    if site.is_call:
        outputs, share = site.arguments["weight"][:2]
        return outputs, share, groups
    module: Any = site.module
    return module.out_channels, module.in_channels // groups, groups


def _padding(site: Site) -> tuple[Sizes | str, list[tuple[int, int]]]:
    """(zeros at both ends of each axis, or "same" or "valid"; numbers put there before)."""
    assert site.window is not None
    given: Any = site.arguments["padding"]
    padding = given if isinstance(given, str) else site.window.padding
    mode = "zeros" if site.is_call else site.module.padding_mode
    if mode == "zeros":
        return padding, [(0, 0)] * site.dims
    ends = ends_per_axis(padding, site.kernel_size, site.window.dilation)
    return (0,) * site.dims, ends


def dtype_of(site: Site) -> torch.dtype:
    """Of the parameters of the module that the site is, or is in."""
    return next((one.dtype for one in site.module.parameters()), torch.float32)


def milliseconds(problem: Problem, repeats: int = 5) -> tuple[float, float]:
    """(torch's own, the FFT's): medians of runs in turns without gradients."""
    x, weight = problem.tensors()
    dims = len(problem.stride)
    own: Any = getattr(F, f"conv{dims}d")
    fft: Any = getattr(ops, f"fft_conv{dims}d")
    runs: tuple[Callable[[], Any], Callable[[], Any]] = (
        lambda: own(x, weight, None, **problem.arguments),
        lambda: fft(x, weight, None, **problem.arguments, algorithm="fft"),
    )
    spent: tuple[list[float], list[float]] = ([], [])
    with torch.no_grad():
        for repeat in range(repeats + 1):  # the first one is not counted
            for run, times in zip(runs, spent, strict=True):
                _wait(problem.device)
                begun = time.perf_counter()
                run()
                _wait(problem.device)
                if repeat:
                    times.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(spent[0]), statistics.median(spent[1])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
