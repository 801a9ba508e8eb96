"""blur_pool_adjoint: the transpose of blur_pool, which is anti-aliased upsampling up to a gain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from freqops.ops._checks import check_image
from freqops.ops._derivatives import Inputs, Needs, call, register_derivatives
from freqops.ops._layout import compute_dtype, in_format_of, like_pooled
from freqops.ops._pooling_rules import (
    as_planes,
    map_pooling,
    multilinear_tangent,
    reads_of_blur,
    taps_gradients,
)
from freqops.ops._registration import fake, vmap
from freqops.ops._taps import (
    Padding,
    Stride,
    Taps,
    binomial,
    blur_numbers,
    check_taps,
    counts_per_axis,
    is_separable,
    output_sizes,
    per_channel,
    tap_counts,
    taps_per_axis,
)


def blur_pool_adjoint2d(
    y: Tensor,
    size: int | Sequence[int],
    taps: Taps = 3,
    stride: Stride = 2,
    *,
    padding: Padding = None,
    padding_mode: str = "reflect",
) -> Tensor:
    """The transpose of :func:`blur_pool2d`: anti-aliased upsampling, up to a gain.

    ``<blur_pool2d(x), y> == <x, blur_pool_adjoint2d(y, size)>`` for every x of this size. Samples
    are placed ``stride`` apart among zeros and correlated with the mirrored taps; what falls into
    the padding is added to the samples it stands for. A constant comes out ``1 / stride`` times as
    large per axis: multiply by the strides to interpolate.

    Args:
        y: [..., h, w], as :func:`blur_pool2d` returns it.
        size: (H, W) of the result, or one number for both.
        taps: as for :func:`blur_pool2d`, separable.
        stride: as for :func:`blur_pool2d`.
        padding: as for :func:`blur_pool2d`.
        padding_mode: as for :func:`blur_pool2d`.

    Returns:
        [..., H, W], dtype of y, channels_last if y is.

    Raises:
        ValueError: a shape, device, number or name does not fit; among them a y that
            :func:`blur_pool2d` does not make of this size.
        TypeError: y or taps is of another type.

    Example:
        >>> up = 4 * blur_pool_adjoint2d(torch.ones(1, 3, 8, 8), (16, 16))
        >>> up.shape, bool((up[..., 2:-2, 2:-2] == 1).all())
        (torch.Size([1, 3, 16, 16]), True)
    """
    return _adjoint("blur_pool_adjoint2d", y, size, taps, stride, padding, padding_mode, 2)


def blur_pool_adjoint1d(
    y: Tensor,
    size: int | Sequence[int],
    taps: Taps = 3,
    stride: Stride = 2,
    *,
    padding: Padding = None,
    padding_mode: str = "reflect",
) -> Tensor:
    """The transpose of :func:`blur_pool1d`; see :func:`blur_pool_adjoint2d`.

    Args:
        y: [..., n].
        size: length N of the result.
        taps: as for :func:`blur_pool1d`.
        stride: as for :func:`blur_pool1d`.
        padding: as for :func:`blur_pool1d`.
        padding_mode: as for :func:`blur_pool1d`.

    Returns:
        [..., N], dtype of y.

    Raises:
        ValueError: a shape, device, number or name does not fit.
        TypeError: y or taps is of another type.
    """
    return _adjoint("blur_pool_adjoint1d", y, size, taps, stride, padding, padding_mode, 1)


def blur_pool_adjoint3d(
    y: Tensor,
    size: int | Sequence[int],
    taps: Taps = 3,
    stride: Stride = 2,
    *,
    padding: Padding = None,
    padding_mode: str = "reflect",
) -> Tensor:
    """The transpose of :func:`blur_pool3d`; see :func:`blur_pool_adjoint2d`.

    Args:
        y: [..., d, h, w].
        size: (D, H, W) of the result, or one number for all.
        taps: as for :func:`blur_pool3d`, separable.
        stride: as for :func:`blur_pool3d`.
        padding: as for :func:`blur_pool3d`.
        padding_mode: as for :func:`blur_pool3d`.

    Returns:
        [..., D, H, W], dtype of y, channels_last_3d if y is.

    Raises:
        ValueError: a shape, device, number or name does not fit.
        TypeError: y or taps is of another type.
    """
    return _adjoint("blur_pool_adjoint3d", y, size, taps, stride, padding, padding_mode, 3)


def _adjoint(
    op: str,
    y: Tensor,
    size: int | Sequence[int],
    taps: Taps,
    stride: Stride,
    padding: Padding,
    mode: str,
    dims: int,
) -> Tensor:
    check_image(op, y, dims, argument="y")
    check_taps(op, taps, dims)
    if not is_separable(taps):
        assert isinstance(taps, Tensor)
        raise ValueError(f"{op}: taps must have shape [k] or [C, k], got {list(taps.shape)}")
    sides = counts_per_axis(op, "size", size, dims)
    counts = tap_counts(taps, dims)
    steps, ends = blur_numbers(op, dims, counts, stride, padding, mode)
    expected = output_sizes(op, sides, counts, steps, ends, what="size")
    if not torch.compiler.is_compiling() and expected != list(y.shape[-dims:]):
        raise ValueError(
            f"{op}: y must have shape [..., {', '.join(map(str, expected))}] for size "
            f"{list(sides)}, got {list(y.shape)}"
        )
    filters = taps_per_axis(op, y, taps, dims)
    if dims == 3:
        return in_format_of(y, _spread_volume(y, sides, filters, steps, ends, mode), dims)
    return spread_planes(y, sides, filters, steps, ends, mode)


def spread_planes(
    y: Tensor,
    size: Sequence[int],
    taps: Sequence[Tensor],
    stride: Sequence[int],
    padding: Sequence[int],
    mode: str,
) -> Tensor:
    """The transpose of :func:`blur_planes`; everything is checked before."""
    planes, filters, steps, ends = as_planes(y, taps, stride, padding)
    sides = list(size) if len(stride) == 2 else [1, *size]
    op = torch.ops.freqops.blur_pool_adjoint.default
    x: Tensor = call(op, planes, *filters, sides, steps, ends, mode)
    return x if len(stride) == 2 else x.squeeze(-2)


def _spread_volume(
    y: Tensor,
    size: Sequence[int],
    taps: Sequence[Tensor],
    stride: Sequence[int],
    padding: Sequence[int],
    mode: str,
) -> Tensor:
    """The transpose of the blur of a volume: the planes first, then depth."""
    own_taps = taps[0].dim() > 1
    none, planes = binomial(y, 1), taps[1:]
    depth = y.shape[-3]
    work = y.to(compute_dtype(y.dtype)).contiguous()
    if own_taps:
        none = per_channel(none, taps[0].shape[0])
        planes = [one.repeat_interleave(depth, 0) for one in planes]
        work = work.flatten(-4, -3)
    work = spread_planes(work, size[1:], planes, stride[1:], padding[2:], mode)
    if own_taps:
        work = work.unflatten(-3, (-1, depth))  # type: ignore[no-untyped-call]
    rows, deep = (size[0], size[1] * size[2]), [*padding[:2], 0, 0]
    work = spread_planes(work.flatten(-2), rows, (taps[0], none), (stride[0], 1), deep, mode)
    return work.unflatten(-1, tuple(size[1:])).to(y.dtype)  # type: ignore[no-untyped-call,no-any-return]


@fake("blur_pool_adjoint")
def _fake(
    y: Tensor,
    taps_h: Tensor,
    taps_w: Tensor,
    size: Any,
    stride: Any,
    padding: Any,
    padding_mode: str,
) -> Tensor:
    return like_pooled(y, size)


# A(y, h, w) is linear in each factor. As <dx, A(y, h, w)> = <B(dx, h, w), y>, the gradient for y is
# a blur, and those for the taps are the blur's.


def _backward(inputs: Inputs, needs: Needs, gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    y, taps_h, taps_w, _, stride, padding, mode = inputs
    if gradient is None:
        return (None,) * 7
    dy = None
    if needs[0]:
        dy = torch.ops.freqops.blur_pool(gradient, taps_h, taps_w, stride, padding, mode)
    taps: Sequence[Tensor | None] = (None, None)
    if any(needs[1:3]):
        taps = taps_gradients(gradient, y, (*inputs[1:3], *inputs[4:]), needs[1:3])
    return dy, *taps, None, None, None, None


def _tangent(inputs: Inputs, tangents: Inputs) -> Tensor:
    return multilinear_tangent(torch.ops.freqops.blur_pool_adjoint, inputs, tangents, (0, 1, 2))


register_derivatives("blur_pool_adjoint", backward=_backward, jvp=_tangent, reads=reads_of_blur)


@vmap("blur_pool_adjoint")
def _vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
    op = torch.ops.freqops.blur_pool_adjoint
    return map_pooling(op, info.batch_size, 1, in_dims, arguments)
