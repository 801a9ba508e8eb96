"""band_limited_conv: a convolution of the low frequencies of x and weight alone."""

from __future__ import annotations

import numbers
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from freqops.ops._checks import LARGEST_PLANE, check_image
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
    exact_grid,
    fits_transform,
    in_words,
    with_padding,
)
from freqops.ops._convolutions import convolved
from freqops.ops._taps import counts_per_axis, remembered
from freqops.ops.fft_conv import convolved_exactly

Band: TypeAlias = "Sizes | None"


# --- functions ----------------------------------------------------------------------------------


def band_limited_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    *,
    groups: int = 1,
    band: Band = None,
    compression: float = 0.0,
    fft_size: Band = None,
    dilation: Sizes = 1,
) -> Tensor:
    """Images convolved with a part of their spectrum only: less work, and a low-pass.

    Of the transforms of x and of the weight, on one grid that holds their linear convolution, the
    bins with a frequency index of up to ``band`` along each axis meet; the others are zero. This is
    ``conv2d`` followed by an ideal low-pass on that grid, at the cost of the bins that are
    left (`Dziedzic et al. 2019 <https://arxiv.org/abs/1911.09287>`_). A cut rings, and what rings
    beyond one end of the grid comes in at the other, so the grid is a part of the definition.

    Args:
        x: [..., Cin, H, W], float32, float64, float16 or bfloat16 (half types compute in float32
            and round once).
        weight: [Cout, Cin / groups, k_h, k_w], any sizes.
        bias: [Cout], or None.
        stride: one, or one per axis.
        padding: as for :func:`fft_conv2d`.
        groups: of channels, which do not see each other.
        band: the highest index of a frequency that is kept, one or one per axis: 0 keeps the mean.
            None for all, or for what ``compression`` leaves.
        compression: share of the half spectrum's area that is cut, from 0 up to 1: of the
            n // 2 + 1 frequencies of an axis the lowest int((n // 2 + 1) sqrt(1 - compression))
            stay, and one at least. Without a band only.
        fft_size: of the grid, one or one per axis. None: the smallest even number without a prime
            factor above 7 that holds the linear convolution, H + dilation (k_h - 1) samples, and
            x with its padding.
        dilation: distance of the taps, one or one per axis.

    Returns:
        [..., Cout, h, w] as ``conv2d``'s; dtype of x, channels_last if x is. Without a cut equal to
        that, by the sooner of two ways as in :func:`fft_conv2d`.

    Raises:
        ValueError: a shape, device, number or name does not fit.
        TypeError: an argument is of another type.

    Example:
        >>> images, kernels = torch.rand(2, 3, 32, 32), torch.rand(8, 3, 3, 3)
        >>> band_limited_conv2d(images, kernels, padding=1, compression=0.5).shape
        torch.Size([2, 8, 32, 32])
    """
    arguments = (stride, padding, dilation, groups)
    cut = (band, compression, fft_size)
    return _band_limited_conv("band_limited_conv2d", x, weight, bias, arguments, cut, 2)


def band_limited_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    *,
    groups: int = 1,
    band: Band = None,
    compression: float = 0.0,
    fft_size: Band = None,
    dilation: Sizes = 1,
) -> Tensor:
    """Signals convolved with a part of their spectrum only; see :func:`band_limited_conv2d`.

    Args:
        x: [..., Cin, N].
        weight: [Cout, Cin / groups, k].
        bias: [Cout], or None.
        stride: distance of the outputs.
        padding: as for :func:`fft_conv1d`.
        groups: of channels, which do not see each other.
        band: the highest index of a frequency that is kept.
        compression: share of the half spectrum that is cut: of its n // 2 + 1 frequencies the
            lowest int((n // 2 + 1) (1 - compression)) stay, and one at least.
        fft_size: of the grid.
        dilation: distance of the taps.

    Returns:
        [..., Cout, n] as ``conv1d``'s, dtype of x.

    Raises:
        ValueError: a shape, device, number or name does not fit.
        TypeError: an argument is of another type.
    """
    arguments = (stride, padding, dilation, groups)
    cut = (band, compression, fft_size)
    return _band_limited_conv("band_limited_conv1d", x, weight, bias, arguments, cut, 1)


def band_for_energy(x: Tensor, share: float, fft_size: Sizes, *, dims: int = 2) -> int:
    """The smallest band that keeps a share of the energy of images on a grid.

    The energy is that of the whole spectrum, summed over all planes of x (Parseval: that of the
    pixels). On CUDA the answer is waited for.

    Args:
        x: [..., H, W], or [..., N] for one axis; not larger than the grid.
        share: of the energy, from 0 to 1.
        fft_size: of the grid, one or one per axis: the ``fft_size`` of the convolution.
        dims: axes of a plane, 2 or 1.

    Returns:
        The smallest n for which the bins with |k| <= n along every axis have that share of the
        energy; a ``band`` of :func:`band_limited_conv2d`.

    Raises:
        ValueError: a shape or number does not fit.
        TypeError: an argument is of another type.

    Example:
        >>> band_for_energy(torch.ones(1, 16, 16), 0.99, 16)
        0
    """
    op = "band_for_energy"
    if dims not in (1, 2):
        raise ValueError(f"{op}: dims must be 1 or 2, got {dims!r}")
    check_image(op, x, dims)
    if not 0 <= _as_share(op, "share", share) <= 1:
        raise ValueError(f"{op}: share must be from 0 to 1, got {share}")
    grid = counts_per_axis(op, "fft_size", fft_size, dims)
    sizes = list(x.shape[-dims:])
    if any(side < size for side, size in zip(grid, sizes, strict=True)):
        raise ValueError(f"{op}: fft_size must be at least {sizes}, as x, got {fft_size}")
    if not fits_transform(grid):
        raise ValueError(f"{op}: fft_size must have at most 2**26 samples, got {fft_size}")
    if x.numel() == 0:
        return 0
    # Squares of float32 leave its range sooner than anybody's images do.
    work = x.detach().double().reshape(-1, *sizes)
    energy = torch.fft.rfftn(work, s=grid, dim=tuple(range(-dims, 0))).abs().square().sum(0)
    columns = torch.arange(grid[-1] // 2 + 1, device=x.device)
    energy = energy * torch.where((columns > 0) & (2 * columns < grid[-1]), 2.0, 1.0)
    distance = columns.expand_as(energy)
    if dims == 2:
        rows = torch.arange(grid[0], device=x.device)
        distance = torch.maximum(distance, torch.minimum(rows, grid[0] - rows)[:, None])
    by_band = energy.new_zeros(max(grid) // 2 + 1).index_add_(
        0, distance.flatten(), energy.flatten()
    )
    kept = by_band.cumsum(0)
    enough = kept >= share * kept[-1] * (1 - 1e-12)  # what rounding left is no energy
    return int(enough.int().argmax())


def _band_limited_conv(
    op: str,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    arguments: tuple[Sizes, Padding, Sizes, int],
    cut: tuple[Band, float, Band],
    dims: int,
) -> Tensor:
    steps, padding, spread, groups = convolution_numbers(op, dims, *arguments)
    band, compression, grid = _cut_numbers(op, dims, *cut)
    if not band and not compression:
        return convolved_exactly(op, x, weight, bias, arguments, None, dims)
    check_operands(op, x, weight, bias, groups, dims)
    kernel = weight.shape[2:]
    ends = ends_per_axis(padding, kernel, spread)
    before = tuple(first for first, _ in ends)
    geometry = Geometry(steps, before, spread, groups, grid, band, compression)
    size = convolved_sizes(op, x.shape[-dims:], kernel, ends, geometry)
    # A traced size must not be tied to a bound; the op itself looks again.
    if grid and not torch.compiler.is_compiling():
        spans = zip(x.shape[-dims:], kernel, size, steps, before, spread, strict=True)
        least = [exact_grid(*span) for span in spans]
        if any(given < bound for given, bound in zip(grid, least, strict=True)):
            raise ValueError(
                f"{op}: fft_size must be at least {least} for x {list(x.shape)} and weight "
                f"{list(weight.shape)}, got {cut[2]}"
            )
    return convolved(op, x, weight, bias, size, geometry)


@remembered
def _cut_numbers(
    op: str, dims: int, band: Band, compression: float, fft_size: Band
) -> tuple[tuple[int, ...], float, tuple[int, ...]]:
    """Band and grid of each axis, empty where there is none, and the compression.

    Raises:
        TypeError: a number is none.
        ValueError: a number has no meaning, or there are a band and a compression.
    """
    bands = () if band is None else counts_per_axis(op, "band", band, dims, least=0)
    grid = () if fft_size is None else counts_per_axis(op, "fft_size", fft_size, dims)
    share = _as_share(op, "compression", compression)
    if not 0 <= share < 1:
        raise ValueError(f"{op}: compression must be at least 0 and below 1, got {compression}")
    if bands and share:
        raise ValueError(f"{op}: compression must be 0 where there is a band, got {compression}")
    if any(side > LARGEST_PLANE for side in grid):
        raise ValueError(f"{op}: fft_size must be at most 2**26, got {fft_size}")
    if not fits_transform(grid):
        raise ValueError(f"{op}: fft_size must have at most 2**26 samples, got {fft_size}")
    # Beyond any grid a band is all of it, and a number of 64 bits.
    return tuple(min(one, LARGEST_PLANE) for one in bands), share, grid


def _as_share(op: str, argument: str, value: object) -> float:
    if not isinstance(value, (int, float, numbers.Real)) or isinstance(value, bool):
        raise TypeError(f"{op}: {argument} must be a number, got {type(value).__name__}")
    return float(value)


# --- modules ------------------------------------------------------------------------------------


class BandLimitedConv2d(nn.Conv2d):
    """An ``nn.Conv2d`` of low frequencies only. See :func:`band_limited_conv2d`.

    Arguments, start and ``state_dict`` are those of ``nn.Conv2d``.

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
        band: as for :func:`band_limited_conv2d`.
        compression: as for :func:`band_limited_conv2d`.
        fft_size: as for :func:`band_limited_conv2d`; of x with its padding, if that is not zeros.

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
        band: Band = None,
        compression: float = 0.0,
        fft_size: Band = None,
    ) -> None:
        _cut_numbers("BandLimitedConv2d", 2, band, compression, fft_size)
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
        self.band = band
        self.compression = compression
        self.fft_size = fft_size

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, padding = with_padding(self, input)
        return band_limited_conv2d(x, weight, bias, self.stride, padding, **_options(self))

    def extra_repr(self) -> str:
        """As nn.Conv2d's, and the cut."""
        return _in_words(super(), self)


class BandLimitedConv1d(nn.Conv1d):
    """An ``nn.Conv1d`` of low frequencies only. See :func:`band_limited_conv1d`.

    Arguments, start and ``state_dict`` are those of ``nn.Conv1d``.

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
        band: as for :func:`band_limited_conv1d`.
        compression: as for :func:`band_limited_conv1d`.
        fft_size: as for :class:`BandLimitedConv2d`.

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
        band: Band = None,
        compression: float = 0.0,
        fft_size: Band = None,
    ) -> None:
        _cut_numbers("BandLimitedConv1d", 1, band, compression, fft_size)
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
        self.band = band
        self.compression = compression
        self.fft_size = fft_size

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, padding = with_padding(self, input)
        return band_limited_conv1d(x, weight, bias, self.stride, padding, **_options(self))

    def extra_repr(self) -> str:
        """As nn.Conv1d's, and the cut."""
        return _in_words(super(), self)


def _options(module: BandLimitedConv1d | BandLimitedConv2d) -> dict[str, Any]:
    names = ("dilation", "groups", "band", "compression", "fft_size")
    return {name: getattr(module, name) for name in names}


def _in_words(parent: Any, module: BandLimitedConv1d | BandLimitedConv2d) -> str:
    compression = module.compression or None
    words = {"band": module.band, "compression": compression, "fft_size": module.fft_size}
    return in_words(parent, **words)
