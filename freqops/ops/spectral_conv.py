"""spectral_conv: a matrix between channels for every low frequency; the Fourier neural operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from freqops.filters import check_count
from freqops.ops import _notes
from freqops.ops._checks import check_device, check_image
from freqops.ops._convolution_rules import Sizes, check_bias
from freqops.ops._layout import compute_dtype, in_format_of, without_autocast
from freqops.ops._taps import counts_per_axis, remembered
from freqops.ops.spectral_pool import spectral_pool2d

_HOW = "the frequencies with weights are transformed alone, a product of matrices for each"


def spectral_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    modes: Sizes,
    output_size: Sizes | None = None,
) -> Tensor:
    """Images whose low frequencies are mixed over the channels, each by a matrix of its own.

    The layer of `Li et al. 2021, Fourier Neural Operator <https://arxiv.org/abs/2010.08895>`_:
    ``Y[o, k, l] = sum_i X[i, k, l] W[i, o, k, l]`` for the frequencies that have weights, and zero
    elsewhere. Frequencies are signed integers, cycles per image, so that the same weights serve
    every size of images.

    Args:
        x: [..., Cin, H, W], float32, float64, float16 or bfloat16 (half types compute in float32
            and round once), any sizes from 1 up.
        weight: [Cin, Cout, m1, m2//2+1, 2], real and imaginary part. Row j belongs to the vertical
            frequency j - m1 // 2, column l to the horizontal one l. Those that the images do not
            have are left out.
        bias: [Cout], or None; added to every pixel.
        modes: (m1, m2), or one number for both.
        output_size: (h, w), or one number for both: the result is resized by its spectrum, as by
            :func:`spectral_pool2d`. None: H and W.

    Returns:
        [..., Cout, h, w], the real part: a weight where both a frequency and its negative are
        stated (l = 0, and l = W / 2) counts with the mean of one and the other's conjugate.
        dtype of x, channels_last if x is.

    Raises:
        ValueError: a shape, device or number does not fit.
        TypeError: an argument is of another type.

    Example:
        >>> layer = SpectralConv2d(3, 8, modes=12)
        >>> spectral_conv2d(torch.rand(2, 3, 64, 48), layer.weight, modes=12).shape
        torch.Size([2, 8, 64, 48])
    """
    op = "spectral_conv2d"
    check_image(op, x, 2, axes=3)
    rows, columns = _modes(op, modes)
    target = None if output_size is None else counts_per_axis(op, "output_size", output_size, 2)
    _check_weight(op, x, weight, (rows, columns))
    check_bias(op, x, bias, weight.shape[1])
    _notes.note(op, "torch.fft composition", _HOW, x)
    dtype = compute_dtype(x.dtype)
    y = _mixed(x.to(dtype), weight.to(dtype), rows)
    if target is not None:
        y = spectral_pool2d(y, target)
    if bias is not None:
        y = y + bias.to(dtype).reshape(-1, 1, 1)
    return in_format_of(x, y.to(x.dtype))


def _mixed(x: Tensor, weight: Tensor, rows: int) -> Tensor:
    """In torch's differentiable operations; nothing here depends on whether a size is traced."""
    height, width = x.shape[-2:]
    traced = torch.compiler.is_compiling()
    if not traced and x.numel() == 0:  # which MKL has no plan for
        nothing = (x.sum() + weight.sum()) * 0
        return nothing.expand(*x.shape[:-3], weight.shape[1], height, width)
    gains = torch.view_as_complex(weight.contiguous())
    if not traced and rows <= height and gains.shape[-1] <= width // 2 + 1:
        return _mixed_where_all_are(x, gains, rows)
    row = torch.arange(rows, device=x.device) - rows // 2
    column = torch.arange(gains.shape[-1], device=x.device)
    # Frequencies beyond those of the images: their weights are zeroed, wherever they then point.
    there = (row >= -(height // 2)) & (row < (height + 1) // 2)
    there = there[:, None] & (column <= width // 2)
    row, column = row % height, column.clamp(max=width // 2)
    spectrum = torch.fft.rfft(x, dim=-1, norm="forward").index_select(-1, column)
    spectrum = torch.fft.fft(spectrum, dim=-2, norm="forward").index_select(-2, row)
    mixed = _products(spectrum, gains * there)
    empty = mixed.new_zeros([*mixed.shape[:-2], height, mixed.shape[-1]])
    mixed = torch.fft.ifft(empty.index_add(-2, row, mixed), dim=-2, norm="forward")
    empty = mixed.new_zeros([*mixed.shape[:-1], width // 2 + 1])
    return _real_lines(empty.index_add(-1, column, mixed), width)


def _mixed_where_all_are(x: Tensor, gains: Tensor, rows: int) -> Tensor:
    """The same for images that have every frequency with a weight: by slices, not by indices."""
    height, width = x.shape[-2:]
    below = rows // 2  # frequencies below zero, which are the last ones of a transform
    spectrum = torch.fft.rfft(x, dim=-1, norm="forward")[..., : gains.shape[-1]]
    spectrum = torch.fft.fft(spectrum, dim=-2, norm="forward")
    ends = spectrum[..., height - below :, :], spectrum[..., : rows - below, :]
    mixed = _products(torch.cat(ends, -2), gains)
    zeros = mixed.new_zeros([*mixed.shape[:-2], height - rows, mixed.shape[-1]])
    mixed = torch.cat([mixed[..., below:, :], zeros, mixed[..., :below, :]], -2)
    mixed = torch.fft.ifft(mixed, dim=-2, norm="forward")
    return _real_lines(mixed, width)


def _products(spectrum: Tensor, gains: Tensor) -> Tensor:
    with without_autocast(spectrum.device):
        mixed: Tensor = torch.einsum("...ihw,iohw->...ohw", spectrum, gains)
    return mixed


def _real_lines(spectrum: Tensor, width: int) -> Tensor:
    """irfft, with zeros for the columns that are missing."""
    if spectrum.device.type != "cpu":  # cuFFT leaves open what imaginary parts at the ends do
        column = torch.arange(spectrum.shape[-1], device=spectrum.device)
        imag = spectrum.imag * ((column > 0) & (2 * column != width))
        spectrum = torch.complex(spectrum.real, imag)
    lines: Tensor = torch.fft.irfft(spectrum, n=width, dim=-1, norm="forward")
    return lines


# --- arguments ----------------------------------------------------------------------------------


@remembered
def _modes(op: str, modes: Sizes) -> tuple[int, ...]:
    return counts_per_axis(op, "modes", modes, 2)


def _check_weight(op: str, x: Tensor, weight: object, modes: Sequence[int]) -> None:
    if not isinstance(weight, Tensor) or not weight.is_floating_point():
        got = weight.dtype if isinstance(weight, Tensor) else type(weight).__name__
        raise TypeError(f"{op}: weight must be a floating-point Tensor, got {got}")
    bins = [modes[0], modes[1] // 2 + 1, 2]
    if weight.dim() != 5 or list(weight.shape[2:]) != bins or 0 in weight.shape:
        sides = ", ".join(map(str, bins))
        raise ValueError(
            f"{op}: weight must have shape [Cin, Cout, {sides}] for modes {list(modes)}, "
            f"got {list(weight.shape)}"
        )
    if x.shape[-3] != weight.shape[0]:
        raise ValueError(
            f"{op}: x must have shape [..., {weight.shape[0]}, H, W] for weight "
            f"{list(weight.shape)}, got {list(x.shape)}"
        )
    check_device(op, x, weight, argument="weight")


# --- module -------------------------------------------------------------------------------------


class SpectralConv2d(nn.Module):
    """Mixes the channels frequency by frequency. See :func:`spectral_conv2d`.

    Args:
        in_channels: Cin.
        out_channels: Cout.
        modes: (m1, m2), or one number for both: how many vertical and horizontal frequencies.
        bias: whether there is one.
        output_size: as for :func:`spectral_conv2d`.
        device: of the parameters.
        dtype: of the parameters.

    Attributes:
        weight: the parameter, [Cin, Cout, m1, m2//2+1, 2]; to begin with, complex numbers of
            variance 2 / (Cin + Cout).
        bias: the parameter, [Cout], or None; of that variance too.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: Sizes,
        bias: bool = True,
        *,
        output_size: Sizes | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        op = "SpectralConv2d"
        check_count(op, "in_channels", in_channels)
        check_count(op, "out_channels", out_channels)
        rows, columns = _modes(op, modes)
        if output_size is not None:
            counts_per_axis(op, "output_size", output_size, 2)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.modes = (rows, columns)
        self.output_size = output_size
        shape = (in_channels, out_channels, rows, columns // 2 + 1, 2)
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        own = torch.empty(out_channels, device=device, dtype=dtype) if bias else None
        self.register_parameter("bias", None if own is None else nn.Parameter(own))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias anew, from normal distributions."""
        deviation = (2 / (self.in_channels + self.out_channels)) ** 0.5
        nn.init.normal_(self.weight, std=deviation * 0.5**0.5)  # half of it in either part
        if self.bias is not None:
            nn.init.normal_(self.bias, std=deviation)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the channels of x [..., Cin, H, W]."""
        size = self.output_size
        return spectral_conv2d(x, self.weight, self.bias, modes=self.modes, output_size=size)

    def extra_repr(self) -> str:
        """Channels and modes, and what differs from the defaults."""
        bias = ", bias=False" if self.bias is None else ""
        size = "" if self.output_size is None else f", output_size={self.output_size}"
        return f"{self.in_channels}, {self.out_channels}, modes={self.modes}{bias}{size}"
