"""What the convolutions have in common: numbers per axis, and the grids of their transforms."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from freqops.ops._checks import LARGEST_PLANE, check_device, check_image
from freqops.ops._layout import compute_dtype
from freqops.ops._taps import counts_per_axis, remembered

Padding: TypeAlias = "int | str | Sequence[int]"
Sizes: TypeAlias = "int | Sequence[int]"

# Those of nn.Conv1d and nn.Conv2d, as torch's annotations have them.
Side: TypeAlias = "int | tuple[int]"
Sides: TypeAlias = "int | tuple[int, int]"
PaddingMode: TypeAlias = Literal["zeros", "reflect", "replicate", "circular"]

_SIDES = {1: "N", 2: "H, W"}


class Geometry(NamedTuple):
    """How a convolution's samples meet; one entry per transformed axis in each tuple.

    ``y[t] = sum_k weight[k] x[stride t + dilation k - padding]``, x being 0 outside of itself.

    Attributes:
        stride: distance of the outputs in x.
        padding: zeros before x; those behind it follow from the output size.
        dilation: distance of the taps in x.
        groups: blocks of channels that do not see each other.
        grid: sizes of the transforms; empty: chosen where the sizes are known.
        band: highest index of a frequency that is kept, per axis; empty: all of them.
        compression: share of the half spectrum that is cut instead.
    """

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    grid: tuple[int, ...] = ()
    band: tuple[int, ...] = ()
    compression: float = 0.0

    @property
    def cuts(self) -> bool:
        """Whether frequencies are left out."""
        return bool(self.band) or self.compression > 0


# --- arguments ----------------------------------------------------------------------------------


def check_operands(
    op: str, x: object, weight: object, bias: object, groups: int, dims: int
) -> None:
    """Checks the tensors of a convolution against each other.

    Raises:
        TypeError: one is no floating-point tensor.
        ValueError: a shape or device does not fit.
    """
    check_image(op, x, dims, axes=dims + 1)
    check_image(op, weight, dims, argument="weight", axes=dims + 2)
    assert isinstance(x, Tensor)
    assert isinstance(weight, Tensor)
    sides = ", ".join(f"k_{side.lower()}" for side in _SIDES[dims].split(", "))
    if weight.dim() != dims + 2:
        raise ValueError(
            f"{op}: weight must have shape [Cout, Cin / groups, {sides}], got {list(weight.shape)}"
        )
    outputs, share = weight.shape[:2]
    if outputs % groups or outputs < 1:
        raise ValueError(
            f"{op}: groups must divide the {outputs} output channels of weight, got {groups}"
        )
    if x.shape[-dims - 1] != share * groups or share < 1:
        raise ValueError(
            f"{op}: x must have shape [..., {share * groups}, {_SIDES[dims]}] for weight "
            f"{list(weight.shape)} in {groups} group{'s' if groups > 1 else ''}, "
            f"got {list(x.shape)}"
        )
    check_device(op, x, weight, argument="weight")
    check_bias(op, x, bias, outputs)


def check_bias(op: str, x: Tensor, bias: object, outputs: int) -> None:
    """Checks that there is no bias, or one number per output channel.

    Raises:
        TypeError: it is no floating-point tensor.
        ValueError: its shape or device does not fit.
    """
    if bias is None:
        return
    if not isinstance(bias, Tensor) or not bias.is_floating_point():
        got = bias.dtype if isinstance(bias, Tensor) else type(bias).__name__
        raise TypeError(f"{op}: bias must be a floating-point Tensor or None, got {got}")
    check_image(op, bias, 1, argument="bias")
    if bias.dim() != 1 or bias.shape[0] != outputs:
        raise ValueError(f"{op}: bias must have shape [{outputs}], got {list(bias.shape)}")
    check_device(op, x, bias, argument="bias")


@remembered
def convolution_numbers(
    op: str, dims: int, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> tuple[tuple[int, ...], tuple[int, ...] | str, tuple[int, ...], int]:
    """Stride, padding (or its name), dilation of each axis, and the groups.

    Raises:
        TypeError: a number is none.
        ValueError: a number, or the name of the padding, has no meaning.
    """
    steps = counts_per_axis(op, "stride", stride, dims)
    spread = counts_per_axis(op, "dilation", dilation, dims)
    (blocks,) = counts_per_axis(op, "groups", (groups,), 1)
    for name, numbers in (("stride", steps), ("dilation", spread)):
        if max(numbers) > LARGEST_PLANE:
            raise ValueError(f"{op}: {name} must be at most 2**26, got {max(numbers)}")
    if not isinstance(padding, str):
        return steps, counts_per_axis(op, "padding", padding, dims, least=0), spread, blocks
    if padding not in ("same", "valid"):
        raise ValueError(
            f"{op}: padding must be a number, one per axis, 'same' or 'valid', got {padding!r}"
        )
    if padding == "same" and any(step != 1 for step in steps):
        raise ValueError(f"{op}: stride must be 1 for padding 'same', got {stride}")
    return steps, padding, spread, blocks


def with_padding(module: nn.Conv1d | nn.Conv2d, x: Tensor) -> tuple[Tensor, tuple[int, ...] | str]:
    """What a module convolves, and with how many zeros around it."""
    mode = module.padding_mode
    if mode == "zeros":
        return x, module.padding
    dims = len(module.kernel_size)
    planes = x.reshape(-1, *x.shape[-dims - 1 :]) if x.dim() > dims + 2 else x
    planes = nn.functional.pad(planes, module._reversed_padding_repeated_twice, mode=mode)
    return planes.reshape(*x.shape[: -dims - 1], *planes.shape[-dims - 1 :]), (0,) * dims


def in_words(parent: Any, **more: Any) -> str:
    """What a module of torch says of itself, and what there is beyond that, if it is not None."""
    words = [f"{name}={value!r}" for name, value in more.items() if value is not None]
    return ", ".join([parent.extra_repr(), *words])


def ends_per_axis(
    padding: tuple[int, ...] | str, kernel: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    """Zeros (before, after) each axis of x: those of torch's convolutions."""
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if isinstance(padding, str):
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(amount, amount) for amount in padding]


def convolved_sizes(
    op: str,
    sizes: Sequence[int],
    kernel: Sequence[int],
    ends: Sequence[tuple[int, int]],
    geometry: Geometry,
) -> list[int]:
    """What becomes of axes of these sizes.

    Raises:
        ValueError: with its padding an axis is shorter than the kernel.
    """
    outputs = []
    spans = zip(sizes, kernel, ends, geometry.stride, geometry.dilation, strict=True)
    for size, count, (before, after), step, spread in spans:
        reach = spread * (count - 1) + 1
        if not torch.compiler.is_compiling() and max(size + before + after, reach) > LARGEST_PLANE:
            raise ValueError(
                f"{op}: padding must give at most 2**26 samples along each axis, got "
                f"{size} with padding ({before}, {after}) for a kernel that reaches {reach}"
            )
        # A traced size must not be tied to a bound.
        if not torch.compiler.is_compiling() and size + before + after < reach:
            raise ValueError(
                f"{op}: padding must leave at least {reach} samples of x for a kernel of {count} "
                f"taps with dilation {spread}, got {size} with padding ({before}, {after})"
            )
        outputs.append((size + before + after - reach) // step + 1)
    return outputs


def check_geometry(
    op: str, one: Tensor, other: Tensor, size: Sequence[int], geometry: Geometry
) -> None:
    """What keeps the ops' arithmetic within bounds when they are called past the public functions.

    Raises:
        RuntimeError: something does not fit.
    """
    dims = len(geometry.stride)
    lengths = {len(one) for one in (size, geometry.padding, geometry.dilation)} | {dims}
    optional = {len(one) for one in (geometry.grid, geometry.band)}
    _require(op, dims in (1, 2) and lengths == {dims} and optional <= {0, dims}, "numbers per axis")
    positive = (*size, *geometry.stride, *geometry.dilation, *geometry.grid, geometry.groups)
    _require(op, min(positive) >= 1, "numbers of at least 1")
    _require(op, min(*geometry.padding, *geometry.band, 0) >= 0, "padding and band not below 0")
    _require(op, 0 <= geometry.compression < 1, "compression from 0 up to 1")
    spans = (*size, *geometry.grid, *geometry.padding, *geometry.stride, *geometry.dilation)
    _require(op, max(spans) <= LARGEST_PLANE, "sizes of at most 2**26")
    for tensor in (one, other):
        _require(op, tensor.layout is torch.strided and tensor.is_floating_point(), "real planes")
        _require(op, tensor.dim() == dims + 2, f"tensors of {dims + 2} dimensions")
        _require(op, 0 not in tensor.shape[2:], "planes that are not empty")
    _require(op, one.device == other.device, "tensors on one device")
    groups = geometry.groups
    if op == "fft_conv_correlation":
        fits = one.shape[0] == other.shape[0] and one.shape[1] % groups == 0
        fits = fits and other.shape[1] % groups == 0
    else:
        channels = other.shape[0] if op == "fft_conv_adjoint" else other.shape[1] * groups
        fits = one.shape[1] == channels and other.shape[0] % groups == 0
    _require(op, fits, "channels that fit each other and the groups")


def _require(op: str, condition: bool, what: str) -> None:
    if not condition:
        raise RuntimeError(f"{op} expects {what}")


# --- grids --------------------------------------------------------------------------------------


def _fast_sizes() -> list[int]:
    """Even numbers without a prime factor above 7, up to the largest plane's side; and 1."""
    sizes = [1]
    for prime in (2, 3, 5, 7):
        for size in sizes:
            if size * prime <= 2**27:
                sizes.append(size * prime)
    return sorted({size for size in sizes if size % 2 == 0 or size == 1})


_FAST_SIZES = _fast_sizes()


def fast_size(least: int) -> int:
    """The smallest even number, or 1, that is not below ``least`` and has no factor above 7."""
    place = bisect.bisect_left(_FAST_SIZES, least)
    return _FAST_SIZES[place] if place < len(_FAST_SIZES) else least  # which no transform takes


def exact_grid(
    size: int, kernel: int, output: int, stride: int, padding: int, dilation: int
) -> int:
    """The shortest circle on which what wraps around lands beside the outputs.

    Output t meets samples t + k - padding for every tap k. Those outside of x must find zeros:
    the ones before it at the end of the circle, the ones behind it before its turn is through.
    So a kernel of K taps that keeps the size N takes N + K // 2 samples, not N + K - 1.
    """
    reach, last = dilation * (kernel - 1) + 1, stride * (output - 1) + 1
    return max(size + padding, last + reach - 1 - padding, size, reach, last)


def linear_grid(
    size: int, kernel: int, output: int, stride: int, padding: int, dilation: int
) -> int:
    """A circle that holds the whole linear convolution, which does not depend on the padding."""
    exact = exact_grid(size, kernel, output, stride, padding, dilation)
    return max(exact, size + dilation * (kernel - 1))


def grids(
    sizes: Sequence[int], kernel: Sequence[int], outputs: Sequence[int], geometry: Geometry
) -> tuple[int, ...]:
    """The sizes of the transforms, given or chosen.

    Raises:
        RuntimeError: a given one is too short.
    """
    rule = linear_grid if geometry.cuts else exact_grid
    lattice = (geometry.stride, geometry.padding, geometry.dilation)
    spans = list(zip(sizes, kernel, outputs, *lattice, strict=True))
    if max(max(span) for span in spans) > LARGEST_PLANE:
        raise RuntimeError(f"sizes must be at most 2**26, got {spans}")
    if not geometry.grid:
        return tuple(fast_size(rule(*span)) for span in spans)
    least = [exact_grid(*span) for span in spans]
    if any(given < bound for given, bound in zip(geometry.grid, least, strict=True)):
        raise RuntimeError(
            f"grid must be at least {least} for this convolution, got {list(geometry.grid)}"
        )
    return geometry.grid


def fits_transform(grid: Sequence[int]) -> bool:
    """Whether a grid is not larger than the planes that the kernels take."""
    return math.prod(grid) <= LARGEST_PLANE


def bands(grid: Sequence[int], geometry: Geometry) -> tuple[int, ...]:
    """The highest index of a frequency kept along each axis; half the grid is all of them."""
    halves = [side // 2 for side in grid]
    if geometry.band:
        return tuple(min(pair) for pair in zip(geometry.band, halves, strict=True))
    # Of an area, each of two sides gets the square root; a hair more, so that 0.36 leaves 0.8.
    share = (1 - geometry.compression) ** (1 / len(grid)) + 1e-9
    return tuple(max(1, math.floor((half + 1) * share)) - 1 for half in halves)


def work_dtype(*tensors: Tensor) -> torch.dtype:
    """float64 if one of them is, else float32."""
    return compute_dtype(
        torch.float64 if any(one.dtype == torch.float64 for one in tensors) else torch.float32
    )
