"""blur_pool: a separable low-pass with stride, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from freqops.filters import check_count
from freqops.ops import _notes
from freqops.ops._checks import check_device, check_image
from freqops.ops._derivatives import Inputs, Needs, call, register_derivatives
from freqops.ops._layout import compute_dtype, in_format_of, like_pooled
from freqops.ops._pooling_composition import blur_by_convolution
from freqops.ops._pooling_rules import (
    as_planes,
    map_pooling,
    multilinear_tangent,
    output_shape,
    reads_of_blur,
    shape_of,
    taps_gradients,
)
from freqops.ops._registration import fake, vmap
from freqops.ops._taps import (
    Padding,
    Stride,
    Taps,
    TapsModule,
    binomial,
    blur_numbers,
    check_channels,
    check_taps,
    is_separable,
    output_sizes,
    per_channel,
    tap_counts,
    taps_per_axis,
)

_NOT_SEPARABLE = "taps [C, k, ...] are no filter per axis: padding by index, torch's convolution"


# --- functions ----------------------------------------------------------------------------------


def blur_pool2d(
    x: Tensor,
    taps: Taps = 3,
    stride: Stride = 2,
    *,
    padding: Padding = None,
    padding_mode: str = "reflect",
) -> Tensor:
    """Images low-passed and sampled in one step: anti-aliased downsampling.

    Each plane is correlated with the taps along both axes and every ``stride``-th result kept:
    ``y[o, p] = sum_ij taps[i] taps[j] x[o s + i - before, p s + j - before]``. The filter of `Zhang
    2019 <https://arxiv.org/abs/1904.11486>`_, in one pass: no padded copy, no map between the axes.

    Args:
        x: [..., H, W], float32, float64, float16 or bfloat16 (half types compute in float32 and
            round once), any sizes from 1 up.
        taps: how many binomial taps, or the taps [k] (not normalised; any k), or one of these per
            axis, (height, width). [C, k] is one filter per channel of x [..., C, H, W], and
            [C, k_h, k_w] one that is not separable; that one goes through torch's convolution, at
            the precision torch is set to. Differentiable; the gradient for taps takes k light
            passes per axis.
        stride: one, or one per axis.
        padding: None for (floor((k-1)/2), ceil((k-1)/2)) samples before and after each axis, which
            gives ceil(N / stride) outputs; an integer for every end; a pair (before, after) for
            both axes; or a pair per axis. Negative amounts crop.
        padding_mode: "reflect" (without repeating the border, back and forth as often as a small
            map needs), "replicate", "zeros" or "circular".

    Returns:
        [..., ceil(H / stride), ceil(W / stride)], or (H + before + after - k) // stride + 1 with
        explicit padding; dtype of x, channels_last if x is.

    Raises:
        ValueError: a shape, device, number or name does not fit.
        TypeError: x or taps is of another type.

    Example:
        >>> blur_pool2d(torch.rand(8, 3, 33, 32), taps=4).shape
        torch.Size([8, 3, 17, 16])
    """
    return _blur_pool("blur_pool2d", x, taps, stride, padding, padding_mode, 2)


def blur_pool1d(
    x: Tensor,
    taps: Taps = 3,
    stride: Stride = 2,
    *,
    padding: Padding = None,
    padding_mode: str = "reflect",
) -> Tensor:
    """Signals low-passed and sampled in one step; see :func:`blur_pool2d`.

    Args:
        x: [..., N].
        taps: how many binomial taps, or the taps [k], or [C, k] for x [..., C, N].
        stride: distance of the samples kept.
        padding: as for :func:`blur_pool2d`.
        padding_mode: as for :func:`blur_pool2d`.

    Returns:
        [..., ceil(N / stride)], or (N + before + after - k) // stride + 1 with explicit padding.

    Raises:
        ValueError: a shape, device, number or name does not fit.
        TypeError: x or taps is of another type.
    """
    return _blur_pool("blur_pool1d", x, taps, stride, padding, padding_mode, 1)


def blur_pool3d(
    x: Tensor,
    taps: Taps = 3,
    stride: Stride = 2,
    *,
    padding: Padding = None,
    padding_mode: str = "reflect",
) -> Tensor:
    """Volumes low-passed and sampled along three axes; see :func:`blur_pool2d`.

    Depth is filtered first, then the planes that are left: two calls of the two-dimensional op.

    Args:
        x: [..., D, H, W].
        taps: as for :func:`blur_pool2d`, with three entries where there is one per axis.
        stride: one, or one per axis.
        padding: as for :func:`blur_pool2d`.
        padding_mode: as for :func:`blur_pool2d`.

    Returns:
        [..., ceil(D / stride), ceil(H / stride), ceil(W / stride)], or as the padding has it;
        channels_last_3d if x is.

    Raises:
        ValueError: a shape, device, number or name does not fit.
        TypeError: x or taps is of another type.
    """
    return _blur_pool("blur_pool3d", x, taps, stride, padding, padding_mode, 3)


def _blur_pool(
    op: str, x: Tensor, taps: Taps, stride: Stride, padding: Padding, mode: str, dims: int
) -> Tensor:
    check_image(op, x, dims)
    check_taps(op, taps, dims)
    counts = tap_counts(taps, dims)
    steps, ends = blur_numbers(op, dims, counts, stride, padding, mode)
    if padding is not None:  # by default there is an output for every sample
        output_sizes(op, x.shape[-dims:], counts, steps, ends)
    if not is_separable(taps):
        assert isinstance(taps, Tensor)
        check_channels(op, x, taps, dims)
        check_device(op, x, taps, argument="taps")
        _notes.note(op, "torch convolution", _NOT_SEPARABLE, x)
        work = taps.to(compute_dtype(x.dtype))
        return in_format_of(x, blur_by_convolution(x, work, steps, ends, mode), dims)
    filters = taps_per_axis(op, x, taps, dims)
    if dims == 3:
        return in_format_of(x, _blur_volume(x, filters, steps, ends, mode), dims)
    return blur_planes(x, filters, steps, ends, mode)


def blur_planes(
    x: Tensor, taps: Sequence[Tensor], stride: Sequence[int], padding: Sequence[int], mode: str
) -> Tensor:
    """The op on one or two axes, as many as there are strides; everything is checked before."""
    planes, filters, steps, ends = as_planes(x, taps, stride, padding)
    y: Tensor = call(torch.ops.freqops.blur_pool.default, planes, *filters, steps, ends, mode)
    return y if len(stride) == 2 else y.squeeze(-2)


def _blur_volume(
    x: Tensor, taps: Sequence[Tensor], stride: Sequence[int], padding: Sequence[int], mode: str
) -> Tensor:
    """Depth along the rows of [..., D, H W], then the planes; half types are rounded at the end."""
    own_taps = taps[0].dim() > 1
    none = binomial(x, 1)
    if own_taps:
        none = per_channel(none, taps[0].shape[0])
    work = x.to(compute_dtype(x.dtype)).contiguous()
    deep = [*padding[:2], 0, 0]
    work = blur_planes(work.flatten(-2), (taps[0], none), (stride[0], 1), deep, mode)
    depth = work.shape[-2]
    work = work.unflatten(-1, x.shape[-2:])  # type: ignore[no-untyped-call]
    planes = taps[1:]
    if own_taps:  # every plane of a channel is a channel of its own
        planes = [one.repeat_interleave(depth, 0) for one in planes]
        work = work.flatten(-4, -3)
    work = blur_planes(work, planes, stride[1:], padding[2:], mode)
    if own_taps:
        work = work.unflatten(-3, (-1, depth))  # type: ignore[no-untyped-call]
    return work.to(x.dtype)


# --- fakes --------------------------------------------------------------------------------------


@fake("blur_pool")
def _fake(
    x: Tensor, taps_h: Tensor, taps_w: Tensor, stride: Any, padding: Any, padding_mode: str
) -> Tensor:
    return like_pooled(x, output_shape(x.shape[-2:], taps_h, taps_w, stride, padding))


# --- derivatives --------------------------------------------------------------------------------


def _backward(inputs: Inputs, needs: Needs, gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    x, taps_h, taps_w, stride, padding, mode = inputs
    if gradient is None:
        return (None,) * 6
    dx = None
    if needs[0]:
        size = shape_of(x)[-2:]
        adjoint = torch.ops.freqops.blur_pool_adjoint
        dx = adjoint(gradient, taps_h, taps_w, size, stride, padding, mode)
    taps = taps_gradients(x, gradient, inputs[1:], needs[1:3]) if any(needs[1:3]) else (None, None)
    return dx, *taps, None, None, None


def _tangent(inputs: Inputs, tangents: Inputs) -> Tensor:
    return multilinear_tangent(torch.ops.freqops.blur_pool, inputs, tangents, (0, 1, 2))


register_derivatives("blur_pool", backward=_backward, jvp=_tangent, reads=reads_of_blur)


# --- vmap ---------------------------------------------------------------------------------------


@vmap("blur_pool")
def _vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
    op = torch.ops.freqops.blur_pool
    return map_pooling(op, info.batch_size, 1, in_dims, arguments)


# --- modules ------------------------------------------------------------------------------------


class _BlurPool(TapsModule):
    _dims: int

    def __init__(
        self,
        taps: Taps = 3,
        stride: Stride = 2,
        *,
        padding: Padding = None,
        padding_mode: str = "reflect",
        learnable: bool = False,
        channels: int | None = None,
        separable: bool = False,
    ) -> None:
        op = type(self).__name__
        super().__init__(op, taps, self._dims)
        counts = tap_counts(taps, self._dims)
        blur_numbers(op, self._dims, counts, stride, padding, padding_mode)
        self.stride = stride
        self.padding = padding
        self.padding_mode = padding_mode
        self.learnable = learnable
        if learnable:
            check_count(op, "channels", channels)
            assert channels is not None
            self._make_parameters(op, channels, separable)

    def _make_parameters(self, op: str, channels: int, separable: bool) -> None:
        each = [getattr(self, name) for name in self._names]
        for name in self._names:
            delattr(self, name)
        for one in each:
            if one.dim() > 1 and one.shape[0] != channels:
                raise ValueError(
                    f"{op}: taps must have {channels} channels, got shape {list(one.shape)}"
                )
        if is_separable(each[0]):
            shared = each * self._dims if len(each) == 1 else each
            each = [per_channel(one, channels) for one in shared]
            if not separable:
                each = [_outer_product(each)]
        self._names = ["taps"]
        if len(each) > 1:
            self._names = [f"taps_{axis}" for axis in "dhw"[-self._dims :]]
        for name, one in zip(self._names, each, strict=True):
            self.register_parameter(name, nn.Parameter(one.clone()))

    def extra_repr(self) -> str:
        """Taps by their number or shape, and what differs from the defaults."""
        learned = ", learned" if self.learnable else ""
        padding = "" if self.padding is None else f", padding={self.padding}"
        return (
            f"{self._taps_in_words()}{learned}, stride={self.stride}{padding}, "
            f"padding_mode={self.padding_mode!r}"
        )


def _outer_product(each: Sequence[Tensor]) -> Tensor:
    """[C, k] per axis -> [C, k, k, ...]."""
    product = each[0]
    for one in each[1:]:
        product = product.unsqueeze(-1) * one.reshape(
            one.shape[0], *[1] * (product.dim() - 1), one.shape[1]
        )
    return product


class BlurPool1d(_BlurPool):
    """Low-passes and samples signals. See :func:`blur_pool1d`.

    Args:
        taps: how many binomial taps, or the taps themselves.
        stride: distance of the samples kept.
        padding: as for :func:`blur_pool1d`.
        padding_mode: as for :func:`blur_pool1d`.
        learnable: makes ``taps`` a parameter [C, k] that starts with these taps.
        channels: C, where the taps are learned.
        separable: without effect on one axis.
    """

    _dims = 1

    def forward(self, x: Tensor) -> Tensor:
        """Blurs x [..., N]."""
        return blur_pool1d(
            x, self._taps(), self.stride, padding=self.padding, padding_mode=self.padding_mode
        )


class BlurPool2d(_BlurPool):
    """Low-passes and samples images. See :func:`blur_pool2d`.

    Args:
        taps: how many binomial taps, or the taps themselves, or one per axis. They are a buffer
            that adds no key to ``state_dict``.
        stride: one, or one per axis.
        padding: as for :func:`blur_pool2d`.
        padding_mode: as for :func:`blur_pool2d`.
        learnable: makes ``taps`` a parameter [C, k_h, k_w] that starts with these taps; it goes
            through torch's convolution.
        channels: C, where the taps are learned.
        separable: learns ``taps_h`` and ``taps_w`` [C, k] instead, which the fused kernel takes.
    """

    _dims = 2

    def forward(self, x: Tensor) -> Tensor:
        """Blurs x [..., H, W]."""
        return blur_pool2d(
            x, self._taps(), self.stride, padding=self.padding, padding_mode=self.padding_mode
        )


class BlurPool3d(_BlurPool):
    """Low-passes and samples volumes. See :func:`blur_pool3d`.

    Args:
        taps: as for :class:`BlurPool2d`.
        stride: one, or one per axis.
        padding: as for :func:`blur_pool3d`.
        padding_mode: as for :func:`blur_pool3d`.
        learnable: makes ``taps`` a parameter [C, k_d, k_h, k_w].
        channels: C, where the taps are learned.
        separable: learns ``taps_d``, ``taps_h`` and ``taps_w`` [C, k] instead.
    """

    _dims = 3

    def forward(self, x: Tensor) -> Tensor:
        """Blurs x [..., D, H, W]."""
        return blur_pool3d(
            x, self._taps(), self.stride, padding=self.padding, padding_mode=self.padding_mode
        )
