"""Convolutions as compositions of torch.fft: real transforms, cut to a band, and their products.

One trilinear form stands behind all of them,

    L(x, w, y) = sum y[n, o, t] w[o, c, k] x[n, c, stride t + dilation k - padding],

and each op is its derivative by one of the three. On a circular grid that is long enough for what
wraps around to miss x, L is a sum over frequencies of conj(Y) conj(W) X, of which a band may be
kept; so the op for y takes X conj(W), that for x takes Y W, and that for w takes conj(Y) X.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import torch
from torch import Tensor, nn

from freqops.ops._convolution_rules import Geometry, bands, grids, work_dtype
from freqops.ops._kernel_spectra import KERNEL_SPECTRA

# Planes are taken in portions whose spectra stay in the cache of a processor's cores.
_PORTION = 1 << 19  # bytes of spectrum per thread


class _Axes:
    """The transforms of one convolution: where its samples lie on the grid, which bins are kept."""

    def __init__(self, geometry: Geometry, grid: Sequence[int], band: Sequence[int]) -> None:
        self.geometry = geometry
        self.grid = tuple(grid)
        self.band = tuple(band)
        zero, one = (0,) * len(grid), (1,) * len(grid)
        self.of_weight = tuple(-amount for amount in geometry.padding), geometry.dilation
        self.of_x = zero, one
        self.of_y = zero, geometry.stride

    @property
    def shape(self) -> tuple[int, ...]:
        """Bins kept along each axis."""
        rows = (self._rows(axis) for axis in range(len(self.grid) - 1))
        return (*rows, self.band[-1] + 1)

    @property
    def bins(self) -> int:
        """How many are kept."""
        return math.prod(self.shape)

    @property
    def key(self) -> tuple[Hashable, ...]:
        """What the spectrum of a weight depends on."""
        return self.grid, self.band, *self.of_weight, self.geometry.groups

    def _rows(self, axis: int) -> int:
        return min(self.grid[axis], 2 * self.band[axis] + 1)

    def forward(self, t: Tensor, starts: Sequence[int], steps: Sequence[int]) -> Tensor:
        """The bins kept of t, whose samples lie at start + step i on the grid."""
        t = self._spread(t, -1, starts[-1], steps[-1])
        spectrum: Tensor = torch.fft.rfft(t, n=self.grid[-1])[..., : self.band[-1] + 1]
        for axis in range(-2, -len(self.grid) - 1, -1):
            spectrum = self._spread(spectrum, axis, starts[axis], steps[axis])
            spectrum = torch.fft.fft(spectrum, n=self.grid[axis], dim=axis)
            spectrum = self.cut(spectrum, axis)
        return spectrum

    def inverse(
        self, spectrum: Tensor, starts: Sequence[int], steps: Sequence[int], size: Sequence[int]
    ) -> Tensor:
        """The samples at start + step i on the grid, i counting up to the size."""
        for axis in range(-len(self.grid), -1):
            spectrum = self._uncut(spectrum, axis)
            spectrum = torch.fft.ifft(spectrum, dim=axis)
            spectrum = self._picked(spectrum, axis, starts[axis], steps[axis], size[axis])
        # The products of spectra of real planes have no imaginary part at DC and Nyquist but
        # rounding, which is all that cuFFT might do something else with.
        samples = torch.fft.irfft(spectrum, n=self.grid[-1])
        return self._picked(samples, -1, starts[-1], steps[-1], size[-1])

    def whole(self, spectrum: Tensor) -> Tensor:
        """The bins kept, with zeros in the place of all others of the half spectrum."""
        for axis in range(-len(self.grid), -1):
            spectrum = self._uncut(spectrum, axis)
        missing = self.grid[-1] // 2 - self.band[-1]
        return nn.functional.pad(spectrum, (0, missing))

    def _spread(self, t: Tensor, axis: int, start: int, step: int) -> Tensor:
        """With zeros between and, if it has to begin elsewhere, around the samples."""
        if step == 1 and start % self.grid[axis] == 0:
            return t  # the transform fills up what is missing at the end
        shape = list(t.shape)
        shape[axis] = self.grid[axis]
        places = self._places(t, axis, start, step, t.shape[axis])
        return t.new_zeros(shape).index_copy_(axis, places, t)

    def _picked(self, t: Tensor, axis: int, start: int, step: int, count: int) -> Tensor:
        if start % self.grid[axis] == 0:
            stop = step * (count - 1) + 1
            return t[(..., slice(0, stop, step)) + (slice(None),) * (-axis - 1)]
        return t.index_select(axis, self._places(t, axis, start, step, count))

    def _places(self, t: Tensor, axis: int, start: int, step: int, count: int) -> Tensor:
        places = torch.arange(start, start + step * count, step, device=t.device)
        return places[:count] % self.grid[axis]

    def cut(self, spectrum: Tensor, axis: int) -> Tensor:
        """Of all rows along an axis those that are kept."""
        kept, band = self._rows(axis), self.band[axis]
        if kept == self.grid[axis]:
            return spectrum
        low = spectrum.narrow(axis, 0, band + 1)
        if not band:
            return low
        return torch.cat([low, spectrum.narrow(axis, self.grid[axis] - band, band)], axis)

    def _uncut(self, spectrum: Tensor, axis: int) -> Tensor:
        kept, band = self._rows(axis), self.band[axis]
        if kept == self.grid[axis]:
            return spectrum
        shape = list(spectrum.shape)
        shape[axis] = self.grid[axis]
        whole = spectrum.new_zeros(shape)
        whole.narrow(axis, 0, band + 1).copy_(spectrum.narrow(axis, 0, band + 1))
        if band:
            end = whole.narrow(axis, self.grid[axis] - band, band)
            end.copy_(spectrum.narrow(axis, band + 1, band))
        return whole


def _axes(
    sizes: Sequence[int], kernel: Sequence[int], outputs: Sequence[int], geometry: Geometry
) -> _Axes:
    grid = grids(sizes, kernel, outputs, geometry)
    return _Axes(geometry, grid, bands(grid, geometry))


# --- the ops ------------------------------------------------------------------------------------


def fft_conv(x: Tensor, weight: Tensor, size: Sequence[int], geometry: Geometry) -> Tensor:
    """dL/dy: x [N, Cin, ...] and weight [Cout, Cin / groups, ...] to [N, Cout, *size]."""
    axes = _axes(x.shape[2:], weight.shape[2:], size, geometry)
    dtype = work_dtype(x, weight)
    x, weight = x.to(dtype), weight.to(dtype)
    outputs, share = weight.shape[:2]
    y = x.new_empty([x.shape[0], outputs, *size])
    if y.numel() == 0:
        return y
    if share == 1:
        return _depthwise(_repeated(x, outputs), weight, axes, size)
    kernel = _kernel_factors(weight, axes)
    products = torch.bmm(_as_factors(axes.forward(x, *axes.of_x), geometry.groups), kernel)
    spectrum = _as_spectra(products, [x.shape[0], outputs], axes)
    return y.copy_(axes.inverse(spectrum, *axes.of_y, size))


def fft_conv_adjoint(y: Tensor, weight: Tensor, size: Sequence[int], geometry: Geometry) -> Tensor:
    """dL/dx: y [N, Cout, ...] and weight [Cout, Cin / groups, ...] to [N, Cin, *size]."""
    axes = _axes(size, weight.shape[2:], y.shape[2:], geometry)
    dtype = work_dtype(y, weight)
    y, weight = y.to(dtype), weight.to(dtype)
    outputs, share = weight.shape[:2]
    x = y.new_empty([y.shape[0], share * geometry.groups, *size])
    if x.numel() == 0:
        return x
    if outputs == 0 or y.numel() == 0:
        return x.zero_()
    if share == 1:
        own = _depthwise_adjoint(y, weight, axes, size)
        several = outputs // geometry.groups
        return own if several == 1 else own.reshape(y.shape[0], -1, several, *size).sum(2)
    kernel = _kernel_factors(weight, axes).mH
    products = torch.bmm(_as_factors(axes.forward(y, *axes.of_y), geometry.groups), kernel)
    spectrum = _as_spectra(products, x.shape[:2], axes)
    return x.copy_(axes.inverse(spectrum, *axes.of_x, size))


def fft_conv_correlation(x: Tensor, y: Tensor, size: Sequence[int], geometry: Geometry) -> Tensor:
    """dL/dw: x [N, Cin, ...] and y [N, Cout, ...] to [Cout, Cin / groups, *size]."""
    axes = _axes(x.shape[2:], size, y.shape[2:], geometry)
    dtype = work_dtype(x, y)
    x, y = x.to(dtype), y.to(dtype)
    share, outputs = x.shape[1] // geometry.groups, y.shape[1]
    weight = x.new_zeros([outputs, share, *size])
    if weight.numel() == 0 or x.numel() == 0 or y.numel() == 0:
        return weight
    if share == 1:
        x = _repeated(x, outputs)
        return weight.copy_(_depthwise_correlation(x, y, axes, size).unsqueeze(1))
    left = _as_factors(axes.forward(y, *axes.of_y), geometry.groups)
    right = _as_factors(axes.forward(x, *axes.of_x), geometry.groups)
    products = torch.bmm(left.mH, right)  # [groups F, Cout / groups, Cin / groups]
    products = products.reshape(geometry.groups, axes.bins, *products.shape[1:])
    spectrum = products.permute(0, 2, 3, 1).reshape(outputs, share, *axes.shape)
    return weight.copy_(axes.inverse(spectrum, *axes.of_weight, size))


# --- channels with one another: a product of matrices per frequency -------------------------------


def _as_factors(spectrum: Tensor, groups: int) -> Tensor:
    """[N, C, bins...] as matrices per group and frequency, [groups F, N, C / groups]."""
    factors = spectrum.reshape(spectrum.shape[0], groups, spectrum.shape[1] // groups, -1)
    return factors.permute(1, 3, 0, 2).contiguous().flatten(0, 1)


def _as_spectra(products: Tensor, leading: Sequence[int], axes: _Axes) -> Tensor:
    """Undoes :func:`_as_factors`."""
    factors = products.reshape(axes.geometry.groups, axes.bins, *products.shape[1:])
    return factors.permute(2, 0, 3, 1).reshape(*leading, *axes.shape)


def _kernel_factors(weight: Tensor, axes: _Axes) -> Tensor:
    """conj(W) as matrices, [groups F, Cin / groups, Cout / groups]."""

    def build() -> Tensor:
        groups, (outputs, share) = axes.geometry.groups, weight.shape[:2]
        spectrum = axes.forward(weight, *axes.of_weight)
        spectrum = spectrum.reshape(groups, outputs // groups, share, axes.bins)
        factors = spectrum.permute(0, 3, 2, 1).conj().resolve_conj()
        return factors.contiguous().flatten(0, 1)

    return KERNEL_SPECTRA.get(weight, ("factors", *axes.key), build)


# --- channels by themselves: a product per frequency ----------------------------------------------


def _repeated(x: Tensor, outputs: int) -> Tensor:
    """Each channel as often as kernels meet it."""
    several = outputs // x.shape[1]
    return x if several == 1 else x.repeat_interleave(several, 1)


def _depthwise(x: Tensor, weight: Tensor, axes: _Axes, size: Sequence[int]) -> Tensor:
    """y[n, c, t] = sum_k weight[c, k] x[n, c, stride t + dilation k - padding]."""
    stride = axes.geometry.stride
    every = [step * (count - 1) + 1 for step, count in zip(stride, size, strict=True)]
    y = _filtered(x, _response(weight, axes, adjoint=False), axes, every)
    return y[_every(stride)]


def _depthwise_adjoint(y: Tensor, weight: Tensor, axes: _Axes, size: Sequence[int]) -> Tensor:
    """x[n, c, s] = sum_k weight[c, k] y[n, c, t], over the t that met x[n, c, s]."""
    stride = axes.geometry.stride
    if any(step > 1 for step in stride):
        spans = zip(stride, y.shape[2:], strict=True)
        spread = y.new_zeros([*y.shape[:2], *(step * (count - 1) + 1 for step, count in spans)])
        spread[_every(stride)] = y
        y = spread
    return _filtered(y, _response(weight, axes, adjoint=True), axes, size)


def _every(stride: Sequence[int]) -> tuple[slice, ...]:
    return (slice(None), slice(None), *(slice(None, None, step) for step in stride))


def _filtered(x: Tensor, response: Tensor, axes: _Axes, size: Sequence[int]) -> Tensor:
    """By the fused kernel where there is one, which lines have none of."""
    if len(axes.grid) == 2:
        padded = torch.ops.freqops.fft_filter_padded
        grid, size = list(axes.grid), list(size)
        filtered: Tensor = padded(x, response[0], response[1], grid, size)
        return filtered
    kernel = torch.complex(response[0], response[1])[..., : axes.band[-1] + 1]
    out = x.new_empty([*x.shape[:-1], *size])
    for part in _portions(x, axes):
        spectrum = axes.forward(x[part], *axes.of_x).mul_(kernel[part[1]])
        out[part] = axes.inverse(spectrum, *axes.of_x, size)
    return out


def _cross_spectrum(x: Tensor, y: Tensor, axes: _Axes) -> Tensor:
    """The bins kept of sum_n conj(Y) X: [C, bins...], by the op that makes responses' gradients."""
    spread = y.new_zeros([*y.shape[:2], *axes.grid])
    steps = zip(axes.geometry.stride, y.shape[2:], strict=True)
    lattice = tuple(slice(0, step * (count - 1) + 1, step) for step, count in steps)
    spread[(slice(None), slice(None), *lattice)] = y
    behind = [0, axes.grid[1] - x.shape[-1], 0, axes.grid[0] - x.shape[-2]]
    padded = nn.functional.pad(x, behind)
    parts = torch.ops.freqops.spectral_correlation(spread, padded, x.shape[1], 2)
    # Columns that stand for their mirror images as well are counted twice, and all are divided.
    columns = torch.arange(axes.grid[1] // 2 + 1, device=x.device)
    paired = (columns > 0) & (2 * columns < axes.grid[1])
    gain = torch.where(paired, 0.5, 1.0).to(x.dtype) * math.prod(axes.grid)
    spectrum = torch.complex(parts[0] * gain, parts[1] * gain)[..., : axes.band[1] + 1]
    return axes.cut(spectrum, -2)


def _response(weight: Tensor, axes: _Axes, *, adjoint: bool) -> Tensor:
    """conj(W), or W, of weight [C, 1, ...]: real and imaginary part, [2, C, half grid]."""

    def build() -> Tensor:
        spectrum = axes.whole(axes.forward(weight.squeeze(1), *axes.of_weight))
        return torch.stack([spectrum.real, spectrum.imag if adjoint else -spectrum.imag])

    return KERNEL_SPECTRA.get(weight, ("response", adjoint, *axes.key), build)


def _depthwise_correlation(x: Tensor, y: Tensor, axes: _Axes, size: Sequence[int]) -> Tensor:
    """[C, *size]: how x and y correlate at the places of the taps, summed over n."""
    if len(axes.grid) == 2:
        return axes.inverse(_cross_spectrum(x, y, axes), *axes.of_weight, size)
    total = x.new_zeros([x.shape[1], *axes.shape], dtype=x.dtype.to_complex())
    for part in _portions(x, axes):
        spectrum = axes.forward(y[part], *axes.of_y).conj()
        total[part[1]] += axes.forward(x[part], *axes.of_x).mul_(spectrum).sum(0)
    return axes.inverse(total, *axes.of_weight, size)


def _portions(t: Tensor, axes: _Axes) -> list[tuple[slice, slice]]:
    """Images and channels that are transformed together."""
    images, channels = t.shape[:2]
    if t.device.type != "cpu":
        return [(slice(None), slice(None))]
    own = math.prod(axes.grid) * t.element_size()
    most = max(1, _PORTION * torch.get_num_threads() // own)
    if most >= channels:
        several = most // channels
        return [(slice(n, n + several), slice(None)) for n in range(0, images, several)]
    parts = [slice(c, c + most) for c in range(0, channels, most)]
    return [(slice(n, n + 1), part) for n in range(images) for part in parts]
