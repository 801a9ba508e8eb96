"""upfirdn2d: upsampling by zeros, a FIR filter, downsampling, by blur_pool and its transpose."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from freqops.ops import _notes
from freqops.ops._checks import check_device, check_image
from freqops.ops._layout import compute_dtype, in_format_of
from freqops.ops._pooling_composition import correlated
from freqops.ops._taps import binomial, check_channels, counts_per_axis, is_integer, per_channel
from freqops.ops.blur_pool import blur_planes
from freqops.ops.blur_pool_adjoint import spread_planes

Filter: TypeAlias = "Tensor | Sequence[Tensor] | None"

_NOT_SEPARABLE = (
    "f is not given as one filter per axis: zeros are inserted, then torch's convolution"
)


def upfirdn2d(
    x: Tensor,
    f: Filter,
    up: int | Sequence[int] = 1,
    down: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Images upsampled by zeros, padded with zeros, filtered and sampled: ``upfirdn`` of StyleGAN.

    As `Karras et al. 2021 <https://arxiv.org/abs/2106.12423>`_ use it: (1) ``up - 1`` zeros follow
    each sample along an axis; (2) zeros are added at both ends, counted on this finer grid, or
    samples cropped; (3) the result is convolved with f wherever f fits in; (4) every ``down``-th
    sample is kept, from the first. Pairs name x (width) before y (height). The zeros are never
    multiplied; where both factors are above 1, the finer map exists in between.

    Args:
        x: [..., H, W], float32, float64, float16 or bfloat16 (half types compute in float32 and
            round once).
        f: taps of any dtype: [k] along both axes, or a pair of taps, for x and for y, each [k] or
            [C, k]; these run on the kernels of :func:`blur_pool2d`. Or a filter of two axes,
            [k_y, k_x] or one per channel [C, k_y, k_x], by torch's convolution at the precision
            torch is set to. None: one tap, 1. Differentiable, never normalised.
        up: factor, or a pair (x, y).
        down: factor, or a pair (x, y).
        padding: samples at each end, a pair (x, y), or (x before, x after, y before, y after).
            Negative amounts crop.
        flip_filter: False is a true convolution, with f mirrored; True a correlation.
        gain: factor of the result.

    Returns:
        [..., floor((H up + before + after - k_y) / down) + 1, likewise for W], dtype and memory
        format of x.

    Raises:
        ValueError: a shape, device or number does not fit, or nothing is left for f.
        TypeError: x, f or a number is of another type.

    Example:
        >>> from freqops.filters import binomial_taps
        >>> upfirdn2d(torch.rand(1, 3, 8, 8), binomial_taps(4), up=2, padding=(2, 1, 2, 1)).shape
        torch.Size([1, 3, 16, 16])
    """
    op = "upfirdn2d"
    check_image(op, x, 2)
    plan = _planned(op, x, f, up, down, padding, gain)
    y = _run(op, x.to(compute_dtype(x.dtype)) if plan.rounds_between else x, plan, flip_filter)
    return in_format_of(x, y.to(x.dtype))


@dataclass(frozen=True)
class _Plan:
    """One call, its numbers by axis: height, then width."""

    sizes: tuple[int, int]  # before the filter, on the finer grid with padding
    up: tuple[int, int]
    down: tuple[int, int]
    padding: tuple[int, int, int, int]
    taps: tuple[Tensor, Tensor] | None  # None: `plane` is the filter
    plane: Tensor | None

    @property
    def rounds_between(self) -> bool:
        """Whether there is a map between two steps, which half types must not round."""
        return self.plane is not None or (max(self.up) > 1 and max(self.down) > 1)


def check_filter(op: str, f: object, argument: str) -> None:
    """Checks a filter as far as that goes without x.

    Raises:
        TypeError: it is neither None, nor a floating-point Tensor, nor a pair of them.
        ValueError: its shape has no meaning.
    """
    if f is None:
        return
    pair = isinstance(f, (tuple, list))
    if isinstance(f, (tuple, list)) and len(f) != 2:
        raise ValueError(f"{op}: {argument} must be a Tensor or a pair (x, y), got {len(f)}")
    for one in f if isinstance(f, (tuple, list)) else (f,):
        if not isinstance(one, Tensor) or not one.is_floating_point():
            got = one.dtype if isinstance(one, Tensor) else type(one).__name__
            raise TypeError(f"{op}: {argument} must be a floating-point Tensor or None, got {got}")
        if not 1 <= one.dim() <= (2 if pair else 3) or 0 in one.shape:
            shapes = "[k] or [C, k]" if pair else "[k], [k_y, k_x] or [C, k_y, k_x]"
            raise ValueError(
                f"{op}: {argument} must have shape {shapes}, none of them 0, got {list(one.shape)}"
            )


def factors(op: str, argument: str, value: object) -> tuple[int, int]:
    """(height, width) from one integer or (x, y).

    Raises:
        TypeError: one is not an integer.
        ValueError: one is below 1, or there are more than two.
    """
    width, height = counts_per_axis(op, argument, value, 2)
    return height, width


def ends(op: str, padding: Any) -> tuple[int, int, int, int]:
    """(before, after) of height, then of width, from an integer, (x, y) or (x0, x1, y0, y1).

    Raises:
        TypeError: one is not an integer.
        ValueError: there are neither one, two nor four.
    """
    amounts = list(padding) if isinstance(padding, (tuple, list)) else [padding]
    for amount in amounts:
        if not is_integer(amount):
            raise TypeError(f"{op}: padding must be an integer, got {type(amount).__name__}")
    if len(amounts) == 1:
        amounts *= 4
    elif len(amounts) == 2:
        amounts = [amounts[0], amounts[0], amounts[1], amounts[1]]
    elif len(amounts) != 4:
        raise ValueError(
            f"{op}: padding must be one integer, (x, y) or (x0, x1, y0, y1), got {padding!r}"
        )
    left, right, top, bottom = amounts
    return top, bottom, left, right


def check_number(op: str, argument: str, value: object) -> None:
    """Checks that a value is a real number.

    Raises:
        TypeError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, numbers.Real)):
        raise TypeError(f"{op}: {argument} must be a number, got {type(value).__name__}")


def _planned(op: str, x: Tensor, f: Filter, up: Any, down: Any, padding: Any, gain: float) -> _Plan:
    check_filter(op, f, "f")
    check_number(op, "gain", gain)
    up, down, padding = factors(op, "up", up), factors(op, "down", down), ends(op, padding)
    taps, plane = _taps_or_plane(op, x, f, gain)
    if taps is not None:
        counts = [one.shape[-1] for one in taps]
    else:
        assert plane is not None
        counts = list(plane.shape[-2:])
    sizes = []
    for i, count in enumerate(counts):
        size = x.shape[i - 2] * up[i] + padding[2 * i] + padding[2 * i + 1]
        if not torch.compiler.is_compiling() and size < count:
            raise ValueError(
                f"{op}: padding must leave at least {count} samples for {count} taps, got {size} "
                f"along {'height' if i == 0 else 'width'}"
            )
        sizes.append(size)
    return _Plan((sizes[0], sizes[1]), up, down, padding, taps, plane)


def _taps_or_plane(
    op: str, x: Tensor, f: Filter, gain: float
) -> tuple[tuple[Tensor, Tensor] | None, Tensor | None]:
    """One filter per axis, or one for both, in the compute dtype; the gain is in it."""
    if f is None:
        one = binomial(x, 1)
        return (one, one if gain == 1 else one * gain), None
    given: list[Tensor] = [f] if isinstance(f, Tensor) else list(f)
    for tensor in given:
        check_device(op, x, tensor, argument="f")
    each = [tensor.to(compute_dtype(x.dtype)) for tensor in given]
    if len(each) == 1 and each[0].dim() > 1:
        if each[0].dim() > 2:
            check_channels(op, x, each[0], 2, argument="f")
        return None, each[0] * gain
    across, down = each * 2 if len(each) == 1 else each
    for tensor in (across, down):
        if tensor.dim() > 1:
            check_channels(op, x, tensor, 2, argument="f")
    if across.dim() != down.dim():
        across, down = (per_channel(tensor, x.shape[-3]) for tensor in (across, down))
    return (down, across if gain == 1 else across * gain), None


def _run(op: str, x: Tensor, plan: _Plan, flip_filter: bool) -> Tensor:
    if plan.taps is None:
        assert plan.plane is not None
        _notes.note(op, "torch convolution", _NOT_SEPARABLE, x)
        grid = _on_finer_grid(x, plan)
        plane = plan.plane if flip_filter else plan.plane.flip((-2, -1))
        return correlated(grid, plane, plan.down)
    # An axis with zeros between its samples is filtered by the transposed blur, which never meets
    # the zeros; any other by the blur itself. One tap stands for what the other step has done.
    one = binomial(x, 1)
    if plan.taps[0].dim() > 1:
        one = per_channel(one, x.shape[-3])
    rising = [factor > 1 for factor in plan.up]
    if any(rising):
        x = _risen(x, plan, rising, one, flip_filter)
    if all(rising) and max(plan.down) == 1:
        return x
    taps: list[Tensor] = []
    padding: list[int] = []
    for i, own in enumerate(plan.taps):
        correlation = own if flip_filter else own.flip(-1)
        taps.append(one if rising[i] else correlation.contiguous())
        padding += [0, 0] if rising[i] else plan.padding[2 * i : 2 * i + 2]
    return blur_planes(x, taps, plan.down, padding, "zeros")


def _risen(x: Tensor, plan: _Plan, rising: list[bool], one: Tensor, flip_filter: bool) -> Tensor:
    """The axes with zeros between their samples, filtered but not yet sampled."""
    assert plan.taps is not None
    taps: list[Tensor] = []
    size: list[int] = []
    padding: list[int] = []
    for i, own in enumerate(plan.taps):
        samples, count = x.shape[i - 2], own.shape[-1]
        if not rising[i]:
            taps.append(one)
            size.append(samples)
            padding += [0, 0]
            continue
        taps.append((own.flip(-1) if flip_filter else own).contiguous())
        size.append(plan.sizes[i] - count + 1)
        before = count - 1 - plan.padding[2 * i]
        padding += [before, (samples - 1) * plan.up[i] + count - size[-1] - before]
    return spread_planes(x, size, taps, plan.up, padding, "zeros")


def _on_finer_grid(x: Tensor, plan: _Plan) -> Tensor:
    """Zeros after each sample and around them all, or a crop."""
    for axis, factor in zip((-2, -1), plan.up, strict=True):
        if factor > 1:
            zeros = [torch.zeros_like(x)] * (factor - 1)
            x = torch.stack([x, *zeros], axis).flatten(axis - 1, axis)
    top, bottom, left, right = plan.padding
    return torch.nn.functional.pad(x, (left, right, top, bottom))
