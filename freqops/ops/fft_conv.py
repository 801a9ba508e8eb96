"""fft_conv: torch's convolutions through the frequency domain, where that is sooner."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from freqops.ops import _notes
from freqops.ops._convolution_costs import ALGORITHMS, method
from freqops.ops._convolution_handover import hand_over, recognised
from freqops.ops._convolution_rules import (
    Geometry,
    Padding,
    PaddingMode,
    Side,
    Sides,
    Sizes,
    check_operands,
    convolution_numbers,
    convolved_sizes,
    ends_per_axis,
    in_words,
    with_padding,
)
from freqops.ops._convolutions import convolved
from freqops.ops._layout import compute_dtype, in_format_of, without_autocast

_REASONS = {
    "direct": "torch's own convolution is sooner for this kernel and these sizes",
    "fft": "through the spectrum, sooner for this kernel and these sizes",
}

_CONVOLUTIONS: dict[int, Any] = {1: nn.functional.conv1d, 2: nn.functional.conv2d}


# --- functions ----------------------------------------------------------------------------------


def fft_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    *,
    algorithm: str | None = None,
) -> Tensor:
    """What ``torch.nn.functional.conv2d`` gives, at a cost that hardly grows with the kernel.

    Both sides are transformed, multiplied frequency by frequency and transformed back. Where
    torch's own convolution is sooner (small kernels, long strides) it takes over;
    ``freqops.explain`` says which it will be. Neither is an approximation: the grid of the
    transforms is just long enough for what wraps around to land outside of the result.
    Through the spectrum a NaN or an infinity takes all of its plane, and of that image every output
    channel that sees the plane; so does a sum over a plane beyond the range of float32 (float64).

    Args:
        x: [..., Cin, H, W], float32, float64, float16 or bfloat16 (half types compute in float32
            and round once).
        weight: [Cout, Cin / groups, k_h, k_w], any sizes.
        bias: [Cout], or None.
        stride: one, or one per axis.
        padding: zeros at both ends of an axis, one number or one per axis; "valid" for none, "same"
            for an output as large as x (stride 1).
        dilation: distance of the taps, one or one per axis.
        groups: of channels, which do not see each other; Cin for a depthwise convolution.
        algorithm: "direct" or "fft" to have it one way; None to have the sooner one.

    Returns:
        [..., Cout, h, w] with h = (H + 2 padding - dilation (k_h - 1) - 1) // stride + 1; dtype of
        x, channels_last if x is.

    Raises:
        ValueError: a shape, device, number or name does not fit.
        TypeError: an argument is of another type.

    Example:
        >>> images, kernels = torch.rand(2, 8, 56, 56), torch.rand(8, 1, 31, 31)
        >>> fft_conv2d(images, kernels, padding="same", groups=8).shape
        torch.Size([2, 8, 56, 56])
    """
    arguments = (stride, padding, dilation, groups)
    return convolved_exactly("fft_conv2d", x, weight, bias, arguments, algorithm, 2)


def fft_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    *,
    algorithm: str | None = None,
) -> Tensor:
    """What ``torch.nn.functional.conv1d`` gives; see :func:`fft_conv2d`.

    Args:
        x: [..., Cin, N].
        weight: [Cout, Cin / groups, k].
        bias: [Cout], or None.
        stride: distance of the outputs.
        padding: zeros at both ends, "valid" or "same".
        dilation: distance of the taps.
        groups: as for :func:`fft_conv2d`.
        algorithm: as for :func:`fft_conv2d`.

    Returns:
        [..., Cout, (N + 2 padding - dilation (k - 1) - 1) // stride + 1], dtype of x.

    Raises:
        ValueError: a shape, device, number or name does not fit.
        TypeError: an argument is of another type.
    """
    arguments = (stride, padding, dilation, groups)
    return convolved_exactly("fft_conv1d", x, weight, bias, arguments, algorithm, 1)


def convolved_exactly(
    op: str,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    arguments: tuple[Sizes, Padding, Sizes, int],
    algorithm: str | None,
    dims: int,
) -> Tensor:
    """What both functions do, on as many axes.

    Args:
        op: name in messages.
        x: planes or lines.
        weight: the kernel.
        bias: of each output channel, or None.
        arguments: stride, padding, dilation and groups.
        algorithm: as for :func:`fft_conv2d`.
        dims: number of axes.

    Raises:
        ValueError: a shape, device, number or name does not fit.
        TypeError: an argument is of another type.
    """
    kind, known = recognised(x, weight, bias, arguments, algorithm, dims)
    if known is not None:
        return in_format_of(x, _CONVOLUTIONS[dims](x, weight, bias, *known), dims)
    steps, padding, spread, groups = convolution_numbers(op, dims, *arguments)
    _check_algorithm(op, algorithm)
    check_operands(op, x, weight, bias, groups, dims)
    kernel = weight.shape[2:]
    ends = ends_per_axis(padding, kernel, spread)
    geometry = Geometry(steps, tuple(before for before, _ in ends), spread, groups)
    size = convolved_sizes(op, x.shape[-dims:], kernel, ends, geometry)
    chosen = algorithm or method(x, weight, size, geometry, _notes.device_type(x))
    if chosen == "direct":
        reason = _REASONS[chosen] if algorithm is None else "asked for"
        _notes.note(op, "torch convolution", reason, x)
        others = {one.dtype for one in (weight, bias) if one is not None}
        if x.dim() == dims + 2 and others == {x.dtype}:
            hand_over(kind, steps, padding, spread, groups)
        return _direct(x, weight, bias, padding, geometry, dims)
    return convolved(op, x, weight, bias, size, geometry)


def _direct(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: tuple[int, ...] | str,
    geometry: Geometry,
    dims: int,
) -> Tensor:
    """By torch's own, which sums half types in float32; in that dtype where they meet another."""
    own = x.dtype
    if weight.dtype != own or (bias is not None and bias.dtype != own):
        dtype = compute_dtype(own)
        x, weight = x.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    planes = x.reshape(-1, *x.shape[-dims - 1 :]) if x.dim() != dims + 2 else x
    with without_autocast(x.device):
        numbers = (geometry.stride, padding, geometry.dilation, geometry.groups)
        y: Tensor = _CONVOLUTIONS[dims](planes, weight, bias, *numbers)
    y = y if x.dim() == dims + 2 else y.reshape(*x.shape[: -dims - 1], *y.shape[1:])
    return in_format_of(x, y, dims).to(own)


# --- modules ------------------------------------------------------------------------------------


def _check_algorithm(op: str, algorithm: str | None) -> None:
    if algorithm not in ALGORITHMS:
        names = ", ".join(map(repr, ALGORITHMS))
        raise ValueError(f"{op}: algorithm must be one of {names}, got {algorithm!r}")


class FFTConv2d(nn.Conv2d):
    """An ``nn.Conv2d`` by :func:`fft_conv2d`: same arguments, start and ``state_dict``.

    Args:
        in_channels: Cin.
        out_channels: Cout.
        kernel_size: one, or one per axis.
        stride: one, or one per axis.
        padding: as for :func:`fft_conv2d`.
        dilation: one, or one per axis.
        groups: of channels.
        bias: whether there is one.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        device: of the parameters.
        dtype: of the parameters.
        algorithm: as for :func:`fft_conv2d`.

    Attributes:
        weight: the parameter, [Cout, Cin / groups, k_h, k_w].
        bias: the parameter, [Cout], or None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sides,
        stride: Sides = 1,
        padding: str | Sides = 0,
        dilation: Sides = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        algorithm: str | None = None,
    ) -> None:
        _check_algorithm("FFTConv2d", algorithm)
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )
        self.algorithm = algorithm

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, padding = with_padding(self, input)
        numbers = (self.stride, padding, self.dilation, self.groups)
        return fft_conv2d(x, weight, bias, *numbers, algorithm=self.algorithm)

    def extra_repr(self) -> str:
        """As nn.Conv2d's, and the algorithm if it is fixed."""
        return in_words(super(), algorithm=self.algorithm)


class FFTConv1d(nn.Conv1d):
    """An ``nn.Conv1d`` by :func:`fft_conv1d`: same arguments, start and ``state_dict``.

    Args:
        in_channels: Cin.
        out_channels: Cout.
        kernel_size: of the kernel.
        stride: distance of the outputs.
        padding: as for :func:`fft_conv1d`.
        dilation: distance of the taps.
        groups: of channels.
        bias: whether there is one.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        device: of the parameters.
        dtype: of the parameters.
        algorithm: as for :func:`fft_conv1d`.

    Attributes:
        weight: the parameter, [Cout, Cin / groups, k].
        bias: the parameter, [Cout], or None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Side,
        stride: Side = 1,
        padding: str | Side = 0,
        dilation: Side = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        algorithm: str | None = None,
    ) -> None:
        _check_algorithm("FFTConv1d", algorithm)
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )
        self.algorithm = algorithm

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, padding = with_padding(self, input)
        numbers = (self.stride, padding, self.dilation, self.groups)
        return fft_conv1d(x, weight, bias, *numbers, algorithm=self.algorithm)

    def extra_repr(self) -> str:
        """As nn.Conv1d's, and the algorithm if it is fixed."""
        return in_words(super(), algorithm=self.algorithm)
