"""max_blur_pool: a maximum at stride 1 and the blur of its map in one kernel, and its derivatives.

The maxima are never stored. Two ops of the same form stand for the derivatives: _select blurs
another map where the maxima of x are, _backward is its transpose. Both find the maxima again, so
that x is all a backward pass needs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from freqops.ops._checks import check_image
from freqops.ops._derivatives import Inputs, Needs, call, register_derivatives
from freqops.ops._layout import like_pooled
from freqops.ops._pooling_rules import (
    map_pooling,
    multilinear_tangent,
    output_shape,
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
    check_taps,
    counts_per_axis,
    is_separable,
    output_sizes,
    per_channel,
    remembered,
    tap_counts,
    taps_per_axis,
)

# --- functions ----------------------------------------------------------------------------------


def max_blur_pool2d(
    x: Tensor,
    kernel_size: Stride = 2,
    taps: Taps = 3,
    stride: Stride = 2,
    *,
    max_padding: Stride = 0,
    ceil_mode: bool = False,
    padding: Padding = None,
    padding_mode: str = "reflect",
) -> Tensor:
    """Anti-aliased max pooling: the maximum at stride 1, low-passed and sampled in one kernel.

    ``blur_pool2d(max_pool2d(x, kernel_size, stride=1, padding=max_padding), taps, stride)`` of
    `Zhang 2019 <https://arxiv.org/abs/1904.11486>`_, without the map of maxima in between. NaN
    propagates; the first maximum in row-major order takes the gradient. A backward pass keeps x
    and nothing else.

    Args:
        x: [..., H, W], float32, float64, float16 or bfloat16 (half types compute in float32 and
            round once), any sizes from 1 up.
        kernel_size: of the maximum; one, or one per axis.
        taps: as for :func:`blur_pool2d`, separable.
        stride: of the blur; one, or one per axis.
        max_padding: minus infinity around x, at most half of ``kernel_size``; one, or one per axis.
        ceil_mode: gives the size of ``max_pool2d(x, kernel_size, stride, max_padding,
            ceil_mode=True)``: the padding after the map of maxima grows to what that takes, filled
            as ``padding_mode`` says. Without it the default padding gives the size of
            ``max_pool2d(x, kernel_size, stride, max_padding)``.
        padding: of the blur, as for :func:`blur_pool2d`.
        padding_mode: of the blur, as for :func:`blur_pool2d`.

    Returns:
        [..., floor((H + 2 max_padding - kernel_size) / stride) + 1, ...] with the default padding;
        dtype of x, channels_last if x is.

    Raises:
        ValueError: a shape, device, number or name does not fit.
        TypeError: x or taps is of another type.

    Example:
        >>> max_blur_pool2d(torch.rand(8, 64, 112, 112), kernel_size=3, max_padding=1).shape
        torch.Size([8, 64, 56, 56])
    """
    return _max_blur_pool(
        "max_blur_pool2d",
        x,
        2,
        (kernel_size, max_padding, ceil_mode),
        (taps, stride, padding, padding_mode),
    )


def max_blur_pool1d(
    x: Tensor,
    kernel_size: Stride = 2,
    taps: Taps = 3,
    stride: Stride = 2,
    *,
    max_padding: Stride = 0,
    ceil_mode: bool = False,
    padding: Padding = None,
    padding_mode: str = "reflect",
) -> Tensor:
    """Anti-aliased max pooling of signals; see :func:`max_blur_pool2d`.

    Args:
        x: [..., N].
        kernel_size: of the maximum.
        taps: as for :func:`blur_pool1d`.
        stride: of the blur.
        max_padding: minus infinity around x, at most half of ``kernel_size``.
        ceil_mode: as for :func:`max_blur_pool2d`.
        padding: as for :func:`max_blur_pool2d`.
        padding_mode: as for :func:`max_blur_pool2d`.

    Returns:
        [..., floor((N + 2 max_padding - kernel_size) / stride) + 1] with the default padding.

    Raises:
        ValueError: a shape, device, number or name does not fit.
        TypeError: x or taps is of another type.
    """
    return _max_blur_pool(
        "max_blur_pool1d",
        x,
        1,
        (kernel_size, max_padding, ceil_mode),
        (taps, stride, padding, padding_mode),
    )


def _max_blur_pool(
    op: str, x: Tensor, dims: int, maximum: tuple[Any, Any, bool], blur: tuple[Any, Any, Any, str]
) -> Tensor:
    taps, stride, padding, mode = blur
    check_image(op, x, dims)
    check_taps(op, taps, dims)
    _check_separable(op, taps)
    window, margin = _window(op, dims, *maximum[:2])
    counts = tap_counts(taps, dims)
    steps, ends = blur_numbers(op, dims, counts, stride, padding, mode)
    if maximum[2]:
        window, ends = _for_ceil_mode(x, (window, margin), (counts, steps, ends))
    maps = _map_sizes(op, x, window, margin)
    if padding is not None:  # by default there is an output for every maximum
        output_sizes(op, maps, counts, steps, ends, what="the map of maxima")
    filters = taps_per_axis(op, x, taps, dims)
    pool = torch.ops.freqops.max_blur_pool.default
    if dims == 2:
        y: Tensor = call(pool, x, *filters, window, margin, steps, ends, mode)
        return y
    (across,) = filters
    along = binomial(x, 1)
    if across.dim() > 1:
        along = per_channel(along, across.shape[0])
    window, margin, steps, ends = [1, *window], [0, *margin], (1, *steps), [0, 0, *ends]
    line: Tensor = call(pool, x.unsqueeze(-2), along, across, window, margin, steps, ends, mode)
    return line.squeeze(-2)


def _check_separable(op: str, taps: Any) -> None:
    if not is_separable(taps):
        raise ValueError(f"{op}: taps must have shape [k] or [C, k], got {list(taps.shape)}")


@remembered
def _window(op: str, dims: int, kernel_size: Any, max_padding: Any) -> tuple[list[int], list[int]]:
    """Size of the maximum's window and the padding around x.

    Raises:
        TypeError: one is not an integer.
        ValueError: one is out of range.
    """
    window = counts_per_axis(op, "kernel_size", kernel_size, dims)
    margin = counts_per_axis(op, "max_padding", max_padding, dims, least=0)
    for size, pad in zip(window, margin, strict=True):
        if 2 * pad > size:
            raise ValueError(
                f"{op}: max_padding must be at most half of kernel_size {size}, got {pad}"
            )
    return list(window), list(margin)


def _for_ceil_mode(
    x: Tensor, maximum: tuple[list[int], list[int]], blur: tuple[Any, Any, list[int]]
) -> tuple[list[int], list[int]]:
    """The window, and the padding of the blur that gives the size of torch's ceil_mode."""
    window, ends = list(maximum[0]), list(blur[2])
    for i, (margin, count, stride) in enumerate(zip(maximum[1], *blur[:2], strict=True)):
        size = x.shape[i - len(window)]
        outputs = _ceil_mode_size(size, window[i], stride, margin)
        # There is an output where not one window fits: the maximum of all there is.
        if size + 2 * margin < window[i] and outputs >= 1:
            window[i] = size + 2 * margin
        maxima = size + 2 * margin - window[i] + 1
        ends[2 * i + 1] = (outputs - 1) * stride + count - maxima - ends[2 * i]
    return window, ends


def _ceil_mode_size(size: int, window: int, stride: int, margin: int) -> int:
    """torch's: a last window may reach beyond the padding, but has to start before it."""
    reaching = -(-(size + 2 * margin - window) // stride) + 1
    starting = -(-(size + margin) // stride)
    outputs: int = torch.sym_min(reaching, starting)  # type: ignore[no-untyped-call]
    return outputs


def _map_sizes(op: str, x: Tensor, window: list[int], margin: list[int]) -> list[int]:
    sizes = []
    for i, (width, pad) in enumerate(zip(window, margin, strict=True)):
        size = x.shape[i - len(window)]
        if not torch.compiler.is_compiling() and size + 2 * pad < width:
            raise ValueError(
                f"{op}: kernel_size must be at most {size + 2 * pad}, x with its padding, "
                f"got {width}"
            )
        sizes.append(size + 2 * pad - width + 1)
    return sizes


# --- fakes --------------------------------------------------------------------------------------


@fake("max_blur_pool")
def _fake(
    x: Tensor,
    taps_h: Tensor,
    taps_w: Tensor,
    kernel_size: Any,
    max_padding: Any,
    stride: Any,
    padding: Any,
    padding_mode: str,
) -> Tensor:
    maps = [x.shape[i - 2] + 2 * max_padding[i] - kernel_size[i] + 1 for i in (0, 1)]
    return like_pooled(x, output_shape(maps, taps_h, taps_w, stride, padding))


@fake("max_blur_pool_select")
def _fake_select(x: Tensor, v: Tensor, *arguments: Any) -> Tensor:
    return _fake(x, *arguments)


@fake("max_blur_pool_backward")
def _fake_backward(x: Tensor, y: Tensor, *arguments: Any) -> Tensor:
    return like_pooled(x, x.shape[-2:])


# --- derivatives --------------------------------------------------------------------------------

# With m the map of maxima and B the blur, y = B(m(x), h, w); S(x, v) = B(v where the maxima are,
# h, w) is linear in v and in the taps, and W its transpose. All are constant in where the maxima
# of x are, so nothing flows to x through S and W.


def _alone(op: Any, *maps_and_rest: Any) -> Tensor:
    """The map that is blurred: the op with one tap and every sample kept."""
    *maps, kernel_size, max_padding, mode = maps_and_rest
    one = binomial(maps[0], 1)
    result: Tensor = op(*maps, one, one, kernel_size, max_padding, [1, 1], [0, 0, 0, 0], mode)
    return result


def _taps_gradients(
    blurred: Tensor, y: Tensor, inputs: Inputs, needs: Needs
) -> list[Tensor | None]:
    """Those of <y, B(blurred)>; inputs and needs begin with the taps."""
    taps_h, taps_w, _, _, *rest = inputs
    return taps_gradients(blurred, y, (taps_h, taps_w, *rest), needs[:2])


def _wide(x: Any) -> Tensor:
    """Maxima and selections are exact in any type; sums of them are not."""
    wide: Tensor = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    return wide


def _backward(inputs: Inputs, needs: Needs, gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    x, *rest = inputs
    if gradient is None:
        return (None,) * 8
    dx = torch.ops.freqops.max_blur_pool_backward(x, gradient, *rest) if needs[0] else None
    taps: list[Tensor | None] = [None, None]
    if any(needs[1:3]):
        maxima = _alone(torch.ops.freqops.max_blur_pool, _wide(x), rest[2], rest[3], rest[6])
        taps = _taps_gradients(maxima, gradient, tuple(rest), needs[1:3])
    return dx, *taps, *(None,) * 5


def _backward_select(
    inputs: Inputs, needs: Needs, gradient: Tensor | None
) -> tuple[Tensor | None, ...]:
    x, v, *rest = inputs
    if gradient is None:
        return (None,) * 9
    dv = torch.ops.freqops.max_blur_pool_backward(x, gradient, *rest) if needs[1] else None
    taps: list[Tensor | None] = [None, None]
    if any(needs[2:4]):
        select = torch.ops.freqops.max_blur_pool_select
        selected = _alone(select, _wide(x), _wide(v), rest[2], rest[3], rest[6])
        taps = _taps_gradients(selected, gradient, tuple(rest), needs[2:4])
    return None, dv, *taps, *(None,) * 5


def _backward_backward(
    inputs: Inputs, needs: Needs, gradient: Tensor | None
) -> tuple[Tensor | None, ...]:
    x, y, *rest = inputs
    if gradient is None:
        return (None,) * 9
    select = torch.ops.freqops.max_blur_pool_select
    dy = select(x, gradient, *rest) if needs[1] else None
    taps: list[Tensor | None] = [None, None]
    if any(needs[2:4]):
        selected = _alone(select, _wide(x), _wide(gradient), rest[2], rest[3], rest[6])
        taps = _taps_gradients(selected, y, tuple(rest), needs[2:4])
    return None, dy, *taps, *(None,) * 5


def _tangent(inputs: Inputs, tangents: Inputs) -> Tensor:
    by_taps = (1, 2) if any(tangent is not None for tangent in tangents[1:3]) else ()
    pool, select = torch.ops.freqops.max_blur_pool, torch.ops.freqops.max_blur_pool_select
    if tangents[0] is None:
        return multilinear_tangent(pool, inputs, tangents, by_taps)
    by_x: Tensor = select(inputs[0], tangents[0], *inputs[1:])
    return by_x + multilinear_tangent(pool, inputs, tangents, by_taps) if by_taps else by_x


def _tangent_select(inputs: Inputs, tangents: Inputs) -> Tensor:
    op = torch.ops.freqops.max_blur_pool_select
    return multilinear_tangent(op, inputs, tangents, (1, 2, 3))


def _tangent_backward(inputs: Inputs, tangents: Inputs) -> Tensor:
    op = torch.ops.freqops.max_blur_pool_backward
    return multilinear_tangent(op, inputs, tangents, (1, 2, 3))


def _reads(needs: Needs) -> Needs:
    by_x, by_h, by_w, *rest = needs
    return by_x or by_h or by_w, by_x or by_w, by_x or by_h, *(False for _ in rest)


def _reads_pair(needs: Needs) -> Needs:
    _, by_other, by_h, by_w, *rest = needs
    by_taps = by_h or by_w
    return (
        by_other or by_taps,
        by_taps,
        by_other or by_w,
        by_other or by_h,
        *(False for _ in rest),
    )


register_derivatives("max_blur_pool", backward=_backward, jvp=_tangent, reads=_reads)
register_derivatives(
    "max_blur_pool_select", backward=_backward_select, jvp=_tangent_select, reads=_reads_pair
)
register_derivatives(
    "max_blur_pool_backward", backward=_backward_backward, jvp=_tangent_backward, reads=_reads_pair
)


# --- vmap ---------------------------------------------------------------------------------------


@vmap("max_blur_pool")
def _vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
    op = torch.ops.freqops.max_blur_pool
    return map_pooling(op, info.batch_size, 1, in_dims, arguments)


@vmap("max_blur_pool_select")
def _vmap_select(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
    op = torch.ops.freqops.max_blur_pool_select
    return map_pooling(op, info.batch_size, 2, in_dims, arguments)


@vmap("max_blur_pool_backward")
def _vmap_backward(
    info: Any, in_dims: tuple[int | None, ...], *arguments: Any
) -> tuple[Tensor, int]:
    op = torch.ops.freqops.max_blur_pool_backward
    return map_pooling(op, info.batch_size, 2, in_dims, arguments)


# --- modules ------------------------------------------------------------------------------------


class _MaxBlurPool(TapsModule):
    _dims: int

    def __init__(
        self,
        kernel_size: Stride = 2,
        taps: Taps = 3,
        stride: Stride = 2,
        *,
        max_padding: Stride = 0,
        ceil_mode: bool = False,
        padding: Padding = None,
        padding_mode: str = "reflect",
    ) -> None:
        op = type(self).__name__
        super().__init__(op, taps, self._dims)
        _check_separable(op, taps)
        _window(op, self._dims, kernel_size, max_padding)
        counts = tap_counts(taps, self._dims)
        blur_numbers(op, self._dims, counts, stride, padding, padding_mode)
        self.kernel_size = kernel_size
        self.stride = stride
        self.max_padding = max_padding
        self.ceil_mode = ceil_mode
        self.padding = padding
        self.padding_mode = padding_mode

    def extra_repr(self) -> str:
        """The window, the taps by their number or shape, and what differs from the defaults."""
        margin = f", max_padding={self.max_padding}" if self.max_padding else ""
        ceil = ", ceil_mode=True" if self.ceil_mode else ""
        padding = "" if self.padding is None else f", padding={self.padding}"
        return (
            f"kernel_size={self.kernel_size}{margin}{ceil}, {self._taps_in_words()}, "
            f"stride={self.stride}{padding}, padding_mode={self.padding_mode!r}"
        )

    def _options(self) -> dict[str, Any]:
        return {
            "max_padding": self.max_padding,
            "ceil_mode": self.ceil_mode,
            "padding": self.padding,
            "padding_mode": self.padding_mode,
        }


class MaxBlurPool1d(_MaxBlurPool):
    """Anti-aliased max pooling of signals. See :func:`max_blur_pool1d`.

    Args:
        kernel_size: of the maximum.
        taps: how many binomial taps, or the taps themselves; a buffer that adds no key to
            ``state_dict``.
        stride: of the blur.
        max_padding: as for :func:`max_blur_pool1d`.
        ceil_mode: as for :func:`max_blur_pool1d`.
        padding: as for :func:`max_blur_pool1d`.
        padding_mode: as for :func:`max_blur_pool1d`.
    """

    _dims = 1

    def forward(self, x: Tensor) -> Tensor:
        """Pools x [..., N]."""
        return max_blur_pool1d(x, self.kernel_size, self._taps(), self.stride, **self._options())


class MaxBlurPool2d(_MaxBlurPool):
    """Anti-aliased max pooling of images. See :func:`max_blur_pool2d`.

    Args:
        kernel_size: of the maximum; one, or one per axis.
        taps: how many binomial taps, or the taps themselves, or one per axis; buffers that add no
            key to ``state_dict``.
        stride: of the blur; one, or one per axis.
        max_padding: as for :func:`max_blur_pool2d`.
        ceil_mode: as for :func:`max_blur_pool2d`.
        padding: as for :func:`max_blur_pool2d`.
        padding_mode: as for :func:`max_blur_pool2d`.
    """

    _dims = 2

    def forward(self, x: Tensor) -> Tensor:
        """Pools x [..., H, W]."""
        return max_blur_pool2d(x, self.kernel_size, self._taps(), self.stride, **self._options())
