"""The pooling ops as compositions of torch: on CUDA where the library of kernels is not loaded.

Every step gathers, so results do not depend on the order in which threads come; a filter that is
not separable (no kernel of ours takes one) goes through :func:`blur_by_convolution` on any device.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from freqops.ops._layout import compute_dtype, like_pooled, without_autocast

_AXES = (-2, -1)


# --- padding ------------------------------------------------------------------------------------


def source_indices(positions: Tensor, size: int, mode: str) -> tuple[Tensor, Tensor | None]:
    """Which sample stands at each position of a padded axis, and where one does at all.

    Args:
        positions: integers; 0 is the first sample.
        size: number of samples.
        mode: of the padding. Reflection goes back and forth as often as it takes.

    Returns:
        Indices from 0 to size - 1, and for zeros a mask of the positions that are samples.
    """
    if mode == "circular":
        return positions.remainder(size), None
    if mode == "reflect":
        period: int = torch.sym_max(2 * size - 2, 1)  # type: ignore[no-untyped-call]
        rest = positions.remainder(period)
        return torch.where(rest < size, rest, period - rest), None
    inside = positions.clamp(0, size - 1)
    return inside, (positions == inside if mode == "zeros" else None)


def padded(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    """The axis with padding at both ends; where it is negative, samples are cropped."""
    size = x.shape[axis]
    positions = torch.arange(-before, size + after, device=x.device)
    indices, inside = source_indices(positions, size, mode)
    result = x.index_select(axis, indices)
    if inside is None:
        return result
    return torch.where(inside.reshape([-1] + [1] * (-axis - 1)), result, 0.0)


def _summed_back(g: Tensor, axis: int, size: int, before: int, mode: str) -> Tensor:
    """The transpose of :func:`padded`: what stands in the padding is added to its sample."""
    length = g.shape[axis]
    positions = torch.arange(-before, length - before)
    indices, inside = source_indices(positions, size, mode)
    first, last = min(max(before, 0), length), max(min(before + size, length), 0)
    result = g.new_zeros([*g.shape[:axis], size, *g.shape[g.dim() + axis + 1 :]])
    if first < last:
        core = g.narrow(axis, first, last - first)
        result.narrow(axis, first - before, last - first).copy_(core)
    # The few positions of the padding one by one: their order is fixed, unlike that of atomics.
    for position in (*range(min(first, length)), *range(max(last, first), length)):
        if inside is None or bool(inside[position]):
            result.select(axis, int(indices[position])).add_(g.select(axis, position))
    return result


# --- blur ---------------------------------------------------------------------------------------


def _tap(taps: Tensor, j: int) -> Tensor:
    """Tap j for all planes, or for each channel [C, 1, 1]."""
    return taps[j] if taps.dim() == 1 else taps[:, j, None, None]


def _filtered(x: Tensor, axis: int, taps: Tensor, stride: int) -> Tensor:
    """sum_j taps[j] x[o stride + j], all within the axis."""
    outputs = (x.shape[axis] - taps.shape[-1]) // stride + 1
    reach = (outputs - 1) * stride + 1
    windows = (_every(x.narrow(axis, j, reach), axis, stride) for j in range(taps.shape[-1]))
    terms = (window * _tap(taps, j) for j, window in enumerate(windows))
    total = next(terms)
    for term in terms:
        total = total + term
    return total


def _every(x: Tensor, axis: int, stride: int) -> Tensor:
    """A view of every stride-th sample along the rows (-2) or columns (-1)."""
    return x[..., ::stride, :] if axis == -2 else x[..., ::stride]


def _scattered(y: Tensor, axis: int, taps: Tensor, stride: int, length: int) -> Tensor:
    """The transpose of :func:`_filtered`, for an axis of this length before it."""
    shape = list(y.shape)
    shape[axis] = length
    result = y.new_zeros(shape)
    reach = (y.shape[axis] - 1) * stride + 1
    for j in range(taps.shape[-1]):
        _every(result.narrow(axis, j, reach), axis, stride).add_(y * _tap(taps, j))
    return result


def _blurred(
    x: Tensor,
    taps_h: Tensor,
    taps_w: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    mode: str,
) -> Tensor:
    for i, (axis, taps) in enumerate(zip(_AXES, (taps_h, taps_w), strict=True)):
        x = padded(x, axis, padding[2 * i], padding[2 * i + 1], mode)
        x = _filtered(x, axis, taps, stride[i])
    return x


def _spread(
    y: Tensor,
    taps_h: Tensor,
    taps_w: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    mode: str,
) -> Tensor:
    for i, (axis, taps) in enumerate(zip(_AXES, (taps_h, taps_w), strict=True)):
        before, after = padding[2 * i : 2 * i + 2]
        y = _scattered(y, axis, taps, stride[i], size[i] + before + after)
        y = _summed_back(y, axis, size[i], before, mode)
    return y


def blur_pool(
    x: Tensor,
    taps_h: Tensor,
    taps_w: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    padding_mode: str,
) -> Tensor:
    """The op of this name."""
    work = x.to(compute_dtype(x.dtype))
    return _stored(x, _blurred(work, taps_h, taps_w, stride, padding, padding_mode))


def blur_pool_adjoint(
    y: Tensor,
    taps_h: Tensor,
    taps_w: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    padding_mode: str,
) -> Tensor:
    """The op of this name."""
    work = y.to(compute_dtype(y.dtype))
    return _stored(y, _spread(work, taps_h, taps_w, size, stride, padding, padding_mode))


def _stored(x: Tensor, result: Tensor) -> Tensor:
    return like_pooled(x, result.shape[-2:]).copy_(result)


# --- maximum ------------------------------------------------------------------------------------


def _maxima(x: Tensor, kernel_size: Sequence[int], max_padding: Sequence[int]) -> list[Tensor]:
    """The maxima at stride 1 in the compute dtype, and the place of each in its plane."""
    work = x.to(compute_dtype(x.dtype))
    planes = work.reshape(-1, *x.shape[-2:])
    pool = torch.nn.functional.max_pool2d_with_indices
    results = pool(planes, list(kernel_size), [1, 1], list(max_padding))
    return [result.reshape(*x.shape[:-2], *result.shape[-2:]) for result in results]


def max_blur_pool(
    x: Tensor,
    taps_h: Tensor,
    taps_w: Tensor,
    kernel_size: Sequence[int],
    max_padding: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    padding_mode: str,
) -> Tensor:
    """The op of this name."""
    maxima, _ = _maxima(x, kernel_size, max_padding)
    return _stored(x, _blurred(maxima, taps_h, taps_w, stride, padding, padding_mode))


def max_blur_pool_select(
    x: Tensor,
    v: Tensor,
    taps_h: Tensor,
    taps_w: Tensor,
    kernel_size: Sequence[int],
    max_padding: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    padding_mode: str,
) -> Tensor:
    """The op of this name."""
    _, places = _maxima(x, kernel_size, max_padding)
    values = v.to(compute_dtype(v.dtype)).flatten(-2)
    selected = values.gather(-1, places.flatten(-2)).reshape(places.shape)
    return _stored(x, _blurred(selected, taps_h, taps_w, stride, padding, padding_mode))


def max_blur_pool_backward(
    x: Tensor,
    y: Tensor,
    taps_h: Tensor,
    taps_w: Tensor,
    kernel_size: Sequence[int],
    max_padding: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    padding_mode: str,
) -> Tensor:
    """The op of this name: each position asks the windows it is in whether it was the maximum."""
    _, places = _maxima(x, kernel_size, max_padding)
    height, width = places.shape[-2:]
    work = y.to(compute_dtype(y.dtype))
    back = _spread(work, taps_h, taps_w, (height, width), stride, padding, padding_mode)
    top, left = max_padding
    grid = [size + 2 * pad for size, pad in zip(x.shape[-2:], max_padding, strict=True)]
    result = back.new_zeros(*x.shape[:-2], *grid)
    rows = torch.arange(height, device=x.device)[:, None] - top
    columns = torch.arange(width, device=x.device) - left
    for down in range(kernel_size[0]):
        for right in range(kernel_size[1]):
            asked = (rows + down) * x.shape[-1] + columns + right
            window = result[..., down : down + height, right : right + width]
            window += torch.where(places == asked, back, 0.0)
    return _stored(x, result[..., top : grid[0] - top, left : grid[1] - left])


# --- filters that are not separable -------------------------------------------------------------


def correlated(x: Tensor, taps: Tensor, stride: Sequence[int]) -> Tensor:
    """Each plane of x correlated with [k, ...] taps, or each channel with its own [C, k, ...].

    Args:
        x: [..., *sides] or [..., C, *sides], padded already.
        taps: of x's dtype, with as many axes as there are strides, or one more.
        stride: one for each transformed axis.

    Returns:
        [..., *outputs].
    """
    dims = len(stride)
    channels = taps.shape[0] if taps.dim() > dims else 1
    lead, sides = x.shape[: x.dim() - dims], x.shape[x.dim() - dims :]
    planes = x.reshape(-1, channels, *sides) if taps.dim() <= dims or len(lead) != 2 else x
    weight = taps.reshape(channels, 1, *taps.shape[-dims:])
    convolve = getattr(torch.nn.functional, f"conv{dims}d")
    with without_autocast(x.device):
        result: Tensor = convolve(planes, weight, stride=list(stride), groups=channels)
    return result.reshape(*lead, *result.shape[2:])


def blur_by_convolution(
    x: Tensor, taps: Tensor, stride: Sequence[int], padding: Sequence[int], mode: str
) -> Tensor:
    """Padding and torch's depthwise convolution, in the compute dtype of x.

    Args:
        x: [..., C, *sides].
        taps: [C, k, ...], one axis for each of the sides.
        stride: one for each side.
        padding: before and after for each side.
        mode: of the padding.
    """
    dims = len(stride)
    result = x.to(compute_dtype(x.dtype))
    for i in range(dims):
        result = padded(result, i - dims, padding[2 * i], padding[2 * i + 1], mode)
    return correlated(result, taps, stride).to(x.dtype)
