"""window: where a pool or convolution looks, and how the arguments of torch's functions say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """Where a pool or convolution looks, one entry per axis.

    Attributes:
        kernel_size: of the window.
        stride: distance of the windows.
        padding: at both ends of each axis.
        dilation: distance of the window's samples.
        ceil_mode: whether a last window may reach beyond the padding.
    """

    kernel_size: Sizes
    stride: Sizes
    padding: Sizes
    dilation: Sizes
    ceil_mode: bool = False

    @property
    def dims(self) -> int:
        """Number of axes."""
        return len(self.stride)

    def outputs(self, sizes: Sequence[int]) -> list[int]:
        """How many windows an axis of each size has; torch's rule for both ceil modes."""
        return [self._outputs(i, size) for i, size in enumerate(sizes)]

    def _outputs(self, axis: int, size: int) -> int:
        stride, padding = self.stride[axis], self.padding[axis]
        room = size + 2 * padding - self.dilation[axis] * (self.kernel_size[axis] - 1) - 1
        if not self.ceil_mode:
            return room // stride + 1
        # A last window may reach beyond the padding, but has to start before it.
        starting = -(-(size + padding) // stride)
        outputs: int = torch.sym_min(-(-room // stride) + 1, starting)  # type: ignore[no-untyped-call]
        return outputs


def first_of_same(window: Window, axis: int, size: int) -> int:
    """Where on the map at stride 1 the stride's first sample is, with TensorFlow's "SAME" padding.

    That padding depends on stride and size: at stride 1 a map of even size begins a sample before
    the one at stride 2.
    """
    stride = window.stride[axis]
    reach = window.dilation[axis] * (window.kernel_size[axis] - 1)
    missing = (-(-size // stride) - 1) * stride + reach + 1 - size
    missing = torch.sym_max(missing, 0)  # type: ignore[no-untyped-call]
    first: int = reach // 2 - missing // 2
    return first


# --- arguments ------------------------------------------------------------------------------------


_POOL: dict[str, Any] = {
    "kernel_size": None,
    "stride": None,
    "padding": 0,
    "dilation": 1,
    "ceil_mode": False,
    "return_indices": False,
}


_AVERAGE: dict[str, Any] = {
    "kernel_size": None,
    "stride": None,
    "padding": 0,
    "ceil_mode": False,
    "count_include_pad": True,
    "divisor_override": None,
}


_CONV: dict[str, Any] = {
    "weight": None,
    "bias": None,
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
}


_INTERPOLATE: dict[str, Any] = {
    "size": None,
    "scale_factor": None,
    "mode": "nearest",
    "align_corners": None,
    "recompute_scale_factor": None,
    "antialias": False,
}


_ADAPTIVE: dict[str, Any] = {"output_size": None}


_ADAPTIVE_MAX: dict[str, Any] = {"output_size": None, "return_indices": False}


#: Arguments after the input, in order, with their defaults; for functions of torch and of
#: torch.nn.functional alike.
PARAMETERS: dict[str, dict[str, Any]] = {
    "interpolate": _INTERPOLATE,
    **{
        f"{name}{dims}d": parameters
        for dims in (1, 2, 3)
        for name, parameters in {
            "max_pool": _POOL,
            "avg_pool": _AVERAGE,
            "conv": _CONV,
            "adaptive_avg_pool": _ADAPTIVE,
            "adaptive_max_pool": _ADAPTIVE_MAX,
        }.items()
    },
}


def per_axis(value: Any, dims: int) -> tuple[Any, ...]:
    """A number for each axis, from one number or a sequence of one or of as many."""
    if isinstance(value, (tuple, list)):
        return tuple(value) if len(value) == dims else tuple(value) * dims
    return (value,) * dims


def bound(function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments after the input by name, with the defaults."""
    parameters = PARAMETERS[function]
    return {**parameters, **dict(zip(parameters, args, strict=False)), **kwargs}


def pool_window(arguments: Mapping[str, Any], dims: int) -> Window:
    """The window of a pool's arguments; without a stride that of its kernel."""
    kernel = per_axis(arguments["kernel_size"], dims)
    stride = arguments.get("stride")
    return Window(
        kernel,
        kernel if stride is None or stride == () or stride == [] else per_axis(stride, dims),
        per_axis(arguments.get("padding", 0), dims),
        per_axis(arguments.get("dilation", 1), dims),
        bool(arguments.get("ceil_mode", False)),
    )


def conv_window(arguments: Mapping[str, Any], kernel: Sequence[int]) -> Window:
    """The window of a convolution's arguments; a padding that is a word counts as 0."""
    dims = len(kernel)
    padding = arguments.get("padding", 0)
    return Window(
        tuple(kernel),
        per_axis(arguments.get("stride", 1), dims),
        per_axis(0 if isinstance(padding, str) else padding, dims),
        per_axis(arguments.get("dilation", 1), dims),
    )


def interpolation_ratio(sizes: Sequence[int], arguments: Mapping[str, Any]) -> Sizes | None:
    """How many samples of each axis become one; None where that is no whole number."""
    dims = len(sizes)
    if arguments["size"] is not None:
        wanted = per_axis(arguments["size"], dims)
        if any(out < 1 or size % out for size, out in zip(sizes, wanted, strict=True)):
            return None
        return tuple(int(size // out) for size, out in zip(sizes, wanted, strict=True))
    factors = per_axis(arguments["scale_factor"], dims)
    ratio = tuple(round(1 / factor) if factor > 0 else 0 for factor in factors)
    for size, factor, one in zip(sizes, factors, ratio, strict=True):
        if one < 1 or abs(one * factor - 1) > 1e-6 or size % one:
            return None
    return ratio


def interpolate_module(module: nn.Upsample) -> dict[str, Any]:
    """The arguments an Upsample gives to interpolate."""
    names = ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor")
    return {**_INTERPOLATE, **{name: getattr(module, name) for name in names}}
