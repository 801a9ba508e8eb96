"""Convolutions composed of torch.fft calls, on any device: as usually written, and better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def fast_size(least: int) -> int:
    """The smallest even number from ``least`` on without a prime factor above 7."""
    size = least + least % 2
    while _rough(size):
        size += 2
    return size


def _rough(size: int) -> bool:
    for prime in (2, 3, 5, 7):
        while size % prime == 0:
            size //= prime
    return size > 1


def band_of(grid: Sequence[int], compression: float) -> tuple[int, ...]:
    """The highest index that is kept along each axis: the sides share the cut of the area."""
    share = (1 - compression) ** (1 / len(grid))
    return tuple(max(1, int((side // 2 + 1) * share)) - 1 for side in grid)


class TransformedConvolution:
    """A convolution that keeps the size, on a grid large enough; half types compute in float32.

    Args:
        weight: [Cout, Cin / groups, taps...], odd: one kernel per channel, or between all of them.
        sizes: of the planes.
        grid: of the transforms, even.
        band: the highest index of a frequency that is kept, per axis; empty: all of them.
        pruned: whether what is cut is never transformed nor multiplied; else zeros are.
        keep: whether the weight's spectrum is made once, here, as for evaluation.
    """

    def __init__(
        self,
        weight: Tensor,
        sizes: Sequence[int],
        grid: Sequence[int],
        *,
        band: Sequence[int] = (),
        pruned: bool = False,
        keep: bool = True,
    ) -> None:
        self._sizes, self._grid = tuple(sizes), tuple(grid)
        self._axes = tuple(range(-len(grid), 0))
        self._band = tuple(band)
        self._pruned = pruned
        self._depthwise = weight.shape[1] == 1
        self._kept = self._kernel(weight.detach()) if keep else None

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        """x convolved."""
        kernel = self._kernel(weight) if self._kept is None else self._kept
        spectrum = self._forward(x.float())
        if self._depthwise:
            product = spectrum * kernel
        else:  # a product of matrices for every frequency
            product = torch.matmul(spectrum.movedim((0, 1), (-2, -1)), kernel)
            product = product.movedim((-2, -1), (0, 1))
        return self._back(product).to(x.dtype)

    def _kernel(self, weight: Tensor) -> Tensor:
        """The spectrum of taps around the origin: [C, bins...], or [bins..., Cin, Cout]."""
        taps = weight.shape[2:]
        ends = [
            end for side, count in zip(self._grid, taps, strict=True) for end in (side - count, 0)
        ]
        placed = torch.nn.functional.pad(weight.float(), ends[::-1])
        placed = placed.roll([-(count // 2) for count in taps], self._axes)
        spectrum = self._forward(placed).conj().resolve_conj()
        if self._band and not self._pruned:
            spectrum = spectrum * self._mask(weight.device)
        if self._depthwise:
            return spectrum.squeeze(1)
        return spectrum.movedim((0, 1), (-1, -2)).contiguous()

    def _mask(self, device: torch.device) -> Tensor:
        """Ones at the bins that are kept."""
        mask = (torch.arange(self._grid[-1] // 2 + 1, device=device) <= self._band[-1]).float()
        if len(self._grid) == 1:
            return mask
        rows = torch.arange(self._grid[0], device=device)
        rows = torch.minimum(rows, self._grid[0] - rows)
        return (rows <= self._band[0]).float()[:, None] * mask

    # --- transforms -------------------------------------------------------------------------------

    def _forward(self, planes: Tensor) -> Tensor:
        if not self._pruned:
            whole: Tensor = torch.fft.rfftn(planes, s=self._grid, dim=self._axes)
            return whole
        lines: Tensor = torch.fft.rfft(planes, n=self._grid[-1])[..., : self._band[-1] + 1]
        if len(self._grid) == 1:
            return lines
        columns = torch.fft.fft(lines, n=self._grid[0], dim=-2)
        low, high = self._rows()
        return torch.cat([columns[..., :low, :], columns[..., self._grid[0] - high :, :]], -2)

    def _back(self, spectrum: Tensor) -> Tensor:
        if not self._pruned:
            inside: tuple[Any, ...] = (..., *(slice(side) for side in self._sizes))
            whole: Tensor = torch.fft.irfftn(spectrum, s=self._grid, dim=self._axes)
            return whole[inside]
        if len(self._grid) == 2:
            low, high = self._rows()
            cut = spectrum.new_zeros(
                *spectrum.shape[:-2], self._grid[0] - low - high, spectrum.shape[-1]
            )
            rows = torch.cat([spectrum[..., :low, :], cut, spectrum[..., low:, :]], -2)
            spectrum = torch.fft.ifft(rows, dim=-2)[..., : self._sizes[0], :]
        image: Tensor = torch.fft.irfft(spectrum, n=self._grid[-1])
        return image[..., : self._sizes[-1]]

    def _rows(self) -> tuple[int, int]:
        """How many rows are kept from index 0 on, and how many of the negative ones."""
        low = min(self._band[0] + 1, self._grid[0])
        return low, min(self._band[0], self._grid[0] - low)


# --- the layer of the Fourier neural operator -----------------------------------------------------


def published_spectral_conv(x: Tensor, weight: Tensor) -> Tensor:
    """The layer by its published formula, positive and negative rows apart (Li et al. 2021).

    Args:
        x: [N, Cin, H, W].
        weight: complex [Cin, Cout, m1, m2 // 2 + 1]; m1 is even, row 0 belongs to -m1 / 2.
    """
    half, height = weight.shape[2] // 2, x.shape[-2]
    spectrum = torch.fft.rfft2(x)
    mixed = spectrum.new_zeros(len(x), weight.shape[1], *spectrum.shape[-2:])
    columns = slice(weight.shape[3])
    parts = (
        (slice(half), weight[:, :, half:]),
        (slice(height - half, height), weight[:, :, :half]),
    )
    for rows, gains in parts:
        low = spectrum[..., rows, columns]
        mixed[..., rows, columns] = torch.einsum("nihw,iohw->nohw", low, gains)
    image: Tensor = torch.fft.irfft2(mixed, s=x.shape[-2:])
    return image


def pruned_spectral_conv(x: Tensor, weight: Tensor) -> Tensor:
    """The same by axis: columns without weights are not transformed, rows not multiplied."""
    half, height = weight.shape[2] // 2, x.shape[-2]
    lines = torch.fft.rfft(x)[..., : weight.shape[3]]
    spectrum = torch.fft.fft(lines, dim=-2)
    low = torch.cat([spectrum[..., height - half :, :], spectrum[..., :half, :]], -2)
    mixed = torch.einsum("nihw,iohw->nohw", low, weight)
    cut = mixed.new_zeros(*mixed.shape[:2], height - 2 * half, mixed.shape[-1])
    rows = torch.cat([mixed[..., half:, :], cut, mixed[..., :half, :]], -2)
    image: Tensor = torch.fft.irfft(torch.fft.ifft(rows, dim=-2), n=x.shape[-1])
    return image
