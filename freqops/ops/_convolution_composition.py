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

from freqops.ops import _cuda
from freqops.ops._convolution_rules import (
    Geometry,
    bands,
    exact_grid,
    fits_transform,
    grids,
    work_dtype,
)
from freqops.ops._kernel_spectra import KERNEL_SPECTRA, KernelSpectrum
from freqops.ops.fft_filter_padded import on_grid

# Images of many channels are taken in portions, so that what is held does not grow with a batch:
# all whose spectra occupy so much, and not so few that reading the kernel's matrices would be most
# of the work.
_MIXED_PORTION = 1 << 26  # bytes of spectrum; on a GPU 16 times that, which has more to keep busy
_FEWEST_IMAGES = 16


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
        spectrum = self.with_all_rows(t, starts, steps)
        return spectrum if len(self.grid) == 1 else self.cut(spectrum)

    def with_all_rows(self, t: Tensor, starts: Sequence[int], steps: Sequence[int]) -> Tensor:
        """As ``forward``, but of the columns kept all rows."""
        t = self._spread(t, -1, starts[-1], steps[-1])
        spectrum: Tensor = torch.fft.rfft(t, n=self.grid[-1])[..., : self.band[-1] + 1]
        if len(self.grid) == 1:
            return spectrum
        spectrum = self._spread(spectrum, -2, starts[-2], steps[-2])
        # Transposed as it is copied to be padded, which torch.fft would do behind that.
        whole: Tensor = torch.fft.fft(spectrum.mT, n=self.grid[-2])
        return whole.mT

    def inverse(
        self, spectrum: Tensor, starts: Sequence[int], steps: Sequence[int], size: Sequence[int]
    ) -> Tensor:
        """The samples at start + step i on the grid, i counting up to the size."""
        if len(self.grid) == 2:
            spectrum = torch.fft.ifft(self._uncut(spectrum, -2), dim=-2)
            spectrum = self._picked(spectrum, -2, starts[-2], steps[-2], size[-2])
        # The products of spectra of real planes have no imaginary part at DC and Nyquist but
        # rounding, which is all that cuFFT might do something else with.
        samples = torch.fft.irfft(spectrum, n=self.grid[-1])
        return self._picked(samples, -1, starts[-1], steps[-1], size[-1])

    def whole(self, spectrum: Tensor) -> Tensor:
        """The bins kept, with zeros in the place of all others of the half spectrum."""
        spectrum = self._uncut(spectrum, -2) if len(self.grid) == 2 else spectrum
        missing = self.grid[-1] // 2 - self.band[-1]
        return nn.functional.pad(spectrum, (0, missing)) if missing else spectrum

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

    def cut(self, spectrum: Tensor, dim: int = -2) -> Tensor:
        """Of all rows, which lie along an axis of the tensor, those that are kept."""
        rows, band = self.grid[0], self.band[0]
        if self.shape[0] == rows:
            return spectrum
        low = spectrum.narrow(dim, 0, band + 1)
        return torch.cat([low, spectrum.narrow(dim, rows - band, band)], dim) if band else low

    def _uncut(self, spectrum: Tensor, dim: int) -> Tensor:
        """Undoes :meth:`cut`, with zeros; the result's last axis is the rows'."""
        rows, band = self.grid[0], self.band[0]
        if self.shape[0] == rows:
            return spectrum
        spectrum = spectrum.movedim(dim, -1)
        whole = spectrum.new_zeros([*spectrum.shape[:-1], rows])
        whole[..., : band + 1] = spectrum[..., : band + 1]
        if band:
            whole[..., -band:] = spectrum[..., -band:]
        return whole.movedim(-1, dim)


def _axes(
    sizes: Sequence[int],
    kernel: Sequence[int],
    outputs: Sequence[int],
    geometry: Geometry,
    filtered: Tensor | None = None,
) -> _Axes:
    """On the grid of ``grids``; of ``filter_grid`` for planes that are filtered by themselves."""
    if filtered is None:
        grid = grids(sizes, kernel, outputs, geometry)
    else:
        grid = filter_grid(filtered, sizes, kernel, outputs, geometry, filtered.device)
    if not fits_transform(grid):
        raise RuntimeError(f"grid must have at most 2**26 samples, got {list(grid)}")
    return _Axes(geometry, grid, bands(grid, geometry))


def filter_grid(
    planes: Tensor,
    sizes: Sequence[int],
    kernel: Sequence[int],
    outputs: Sequence[int],
    geometry: Geometry,
    device: torch.device,
) -> tuple[int, ...]:
    """The grid on which planes are filtered one by one: on CUDA one that a kernel is made for.

    Where frequencies are cut the grid decides which ones there are, so there it depends on the
    sizes alone, as it does where it is given.

    Args:
        planes: what is filtered, x or y; their dtype counts.
        sizes: of x.
        kernel: sizes of the weight.
        outputs: sizes of y.
        geometry: of the convolution.
        device: where the planes lie, or would.
    """
    kernels = _cuda.kernels_on(device)
    chosen = not geometry.grid and not geometry.cuts and len(sizes) == 2
    if kernels is not None and chosen and set(geometry.stride) == {1}:
        lattice = (geometry.stride, geometry.padding, geometry.dilation)
        spans = zip(sizes, kernel, outputs, *lattice, strict=True)
        least = [exact_grid(*span) for span in spans]
        listed = kernels.padded_grid(planes, sizes, least, outputs, device)
        if listed:
            return listed
    return grids(sizes, kernel, outputs, geometry)


# --- the ops ------------------------------------------------------------------------------------


def fft_conv(x: Tensor, weight: Tensor, size: Sequence[int], geometry: Geometry) -> Tensor:
    """dL/dy: x [N, Cin, ...] and weight [Cout, Cin / groups, ...] to [N, Cout, *size]."""
    dtype = work_dtype(x, weight)
    x = x.to(dtype)
    outputs, share = weight.shape[:2]
    filtered = x if share == 1 else None
    axes = _axes(x.shape[2:], weight.shape[2:], size, geometry, filtered)
    y = x.new_empty([x.shape[0], outputs, *size])
    if y.numel() == 0:
        return y
    if share == 1:
        return _depthwise(_repeated(x, outputs), weight, axes, size)
    kernel = _kernel_factors(weight, axes, dtype)
    for part in _images(x, outputs, axes):
        products = torch.bmm(_factors(x[part], *axes.of_x, axes), kernel)
        y[part] = axes.inverse(_spectra(products, axes), *axes.of_y, size).flatten(1, 2)
    return y


def fft_conv_adjoint(y: Tensor, weight: Tensor, size: Sequence[int], geometry: Geometry) -> Tensor:
    """dL/dx: y [N, Cout, ...] and weight [Cout, Cin / groups, ...] to [N, Cin, *size]."""
    dtype = work_dtype(y, weight)
    y = y.to(dtype)
    outputs, share = weight.shape[:2]
    filtered = y if share == 1 else None
    axes = _axes(size, weight.shape[2:], y.shape[2:], geometry, filtered)
    x = y.new_empty([y.shape[0], share * geometry.groups, *size])
    if x.numel() == 0:
        return x
    if outputs == 0 or y.numel() == 0:
        return x.zero_()
    if share == 1:
        own = _depthwise_adjoint(y, weight, axes, size)
        several = outputs // geometry.groups
        return own if several == 1 else own.reshape(y.shape[0], -1, several, *size).sum(2)
    kernel = _kernel_factors(weight, axes, dtype).mH
    for part in _images(y, x.shape[1], axes):
        products = torch.bmm(_factors(y[part], *axes.of_y, axes), kernel)
        x[part] = axes.inverse(_spectra(products, axes), *axes.of_x, size).flatten(1, 2)
    return x


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
    factors = (
        (_factors(y[part], *axes.of_y, axes).mH, _factors(x[part], *axes.of_x, axes))
        for part in _images(x, outputs, axes)
    )
    products = torch.bmm(*next(factors))  # [groups F, Cout / groups, Cin / groups]
    for of_y, of_x in factors:
        products.baddbmm_(of_y, of_x)
    planes = axes.inverse(_spectra(products.mT, axes), *axes.of_weight, size).flatten(1, 2)
    return weight.copy_(planes.transpose(0, 1))


# --- channels with one another: a product of matrices per frequency -------------------------------


def _images(t: Tensor, others: int, axes: _Axes) -> list[slice]:
    """Those that are transformed together, given how many channels they are mixed to."""
    own = max(t.shape[1], others) * axes.bins * 2 * t.element_size()
    most = _MIXED_PORTION if t.device.type == "cpu" else 16 * _MIXED_PORTION
    several = max(_FEWEST_IMAGES, most // own)
    return [slice(n, n + several) for n in range(0, t.shape[0], several)]


def _factors(t: Tensor, starts: Sequence[int], steps: Sequence[int], axes: _Axes) -> Tensor:
    """Spectra of t [N, C, ...] as matrices per group and frequency, [groups F, N, C / groups].

    Frequencies are counted column by column: what is cut and what is moved are copied once.
    """
    spectrum = axes.with_all_rows(t, starts, steps)
    groups = axes.geometry.groups
    channels = spectrum.reshape(len(t), groups, t.shape[1] // groups, *spectrum.shape[2:])
    if len(axes.grid) == 1:
        return channels.permute(1, 3, 0, 2).contiguous().flatten(0, 1)
    return axes.cut(channels.permute(1, 4, 3, 0, 2), 2).contiguous().flatten(0, 2)


def _spectra(products: Tensor, axes: _Axes) -> Tensor:
    """Products [groups F, N, C / groups] as spectra [N, groups, C / groups, bins...].

    A view: ``inverse`` copies it to where it is transformed.
    """
    bins = axes.shape[::-1]
    products = products.reshape(axes.geometry.groups, *bins, *products.shape[1:])
    order = (2, 0, 3, 1) if len(bins) == 1 else (3, 0, 4, 2, 1)
    return products.permute(order)


def _kernel_factors(weight: Tensor, axes: _Axes, dtype: torch.dtype) -> Tensor:
    """conj(W) as matrices, [groups F, Cin / groups, Cout / groups]."""

    def build() -> Tensor:
        planes = weight.to(dtype).transpose(0, 1)  # inputs in the place of images
        return _factors(planes, *axes.of_weight, axes).conj().resolve_conj()

    return KERNEL_SPECTRA.get(weight, ("factors", dtype, *axes.key), build).values


# --- channels by themselves: a product per frequency ----------------------------------------------


def _repeated(x: Tensor, outputs: int) -> Tensor:
    """Each channel as often as kernels meet it."""
    several = outputs // x.shape[1]
    return x if several == 1 else x.repeat_interleave(several, 1)


def _depthwise(x: Tensor, weight: Tensor, axes: _Axes, size: Sequence[int]) -> Tensor:
    """y[n, c, t] = sum_k weight[c, k] x[n, c, stride t + dilation k - padding]."""
    stride = axes.geometry.stride
    every = [step * (count - 1) + 1 for step, count in zip(stride, size, strict=True)]
    y = _filtered(x, _response(weight, axes, x.dtype, adjoint=False), axes, every)
    return y[_every(stride)]


def _depthwise_adjoint(y: Tensor, weight: Tensor, axes: _Axes, size: Sequence[int]) -> Tensor:
    """x[n, c, s] = sum_k weight[c, k] y[n, c, t], over the t that met x[n, c, s]."""
    y = _on_every_sample(y, axes.geometry.stride)
    return _filtered(y, _response(weight, axes, y.dtype, adjoint=True), axes, size)


def _on_every_sample(y: Tensor, stride: Sequence[int]) -> Tensor:
    """With zeros between, as many as a stride leaves out."""
    if all(step == 1 for step in stride):
        return y
    spans = zip(stride, y.shape[2:], strict=True)
    spread = y.new_zeros([*y.shape[:2], *(step * (count - 1) + 1 for step, count in spans)])
    spread[_every(stride)] = y
    return spread


def _every(stride: Sequence[int]) -> tuple[slice, ...]:
    return (slice(None), slice(None), *(slice(None, None, step) for step in stride))


def _filtered(x: Tensor, response: KernelSpectrum, axes: _Axes, size: Sequence[int]) -> Tensor:
    """By the fused kernel, each plane or line at a time."""
    op = torch.ops.freqops.fft_filter_padded
    arguments = (x, *response.values.unbind(), list(axes.grid), list(size))
    if response.key and _cuda.kernels_on(x.device) is None:
        kept: Tensor = op.kept(*arguments, key=response.key)
        return kept
    filtered: Tensor = op(*arguments)
    return filtered


def correlates_by_torch(images: int, device: torch.device) -> bool:
    """Whether spectra are multiplied by torch: of one image on a CPU, whose planes have no partner.

    The kernel transforms planes in pairs. An image and its gradient cannot be one: where one is
    much the smaller, it would drown in the other's rounding.
    """
    return images == 1 and device.type == "cpu"


def _cross_spectrum(x: Tensor, y: Tensor, axes: _Axes) -> Tensor:
    """The bins kept of sum_n conj(Y) X: [C, bins...], by the op that makes responses' gradients."""
    kernels = _cuda.kernels_on(x.device)
    if kernels is None and correlates_by_torch(x.shape[0], x.device):
        of_y = axes.forward(y.squeeze(0), *axes.of_y)
        return of_y.conj() * axes.forward(x.squeeze(0), *axes.of_x)
    y = _on_every_sample(y, axes.geometry.stride)
    if kernels is not None and kernels.correlates_on(x, axes.grid):
        parts = kernels.spectral_correlation_padded(y, x, x.shape[1], axes.grid)
    else:
        padded = [on_grid(planes, axes.grid) for planes in (y, x)]
        parts = torch.ops.freqops.spectral_correlation(*padded, x.shape[1], len(axes.grid))
    # Columns that stand for their mirror images as well are counted twice, and all are divided.
    columns = torch.arange(axes.grid[-1] // 2 + 1, device=x.device)
    paired = (columns > 0) & (2 * columns < axes.grid[-1])
    gain = torch.where(paired, 0.5, 1.0).to(x.dtype) * math.prod(axes.grid)
    spectrum = torch.complex(parts[0] * gain, parts[1] * gain)[..., : axes.band[-1] + 1]
    return spectrum if len(axes.grid) == 1 else axes.cut(spectrum)


def _response(weight: Tensor, axes: _Axes, dtype: torch.dtype, *, adjoint: bool) -> KernelSpectrum:
    """conj(W), or W, of weight [C, 1, ...]: real and imaginary part, [2, C, half grid]."""

    def build() -> Tensor:
        if adjoint:  # in a training step the forward pass has just made the other one
            parts = _response(weight, axes, dtype, adjoint=False).values
        else:
            spectrum = axes.whole(axes.forward(weight.to(dtype).squeeze(1), *axes.of_weight))
            parts = torch.view_as_real(spectrum).movedim(-1, 0)
        conjugate = parts.new_empty(parts.shape)
        conjugate[0] = parts[0]
        torch.neg(parts[1], out=conjugate[1])
        return conjugate

    return KERNEL_SPECTRA.get(weight, ("response", dtype, adjoint, *axes.key), build)


def _depthwise_correlation(x: Tensor, y: Tensor, axes: _Axes, size: Sequence[int]) -> Tensor:
    """[C, *size]: how x and y correlate at the places of the taps, summed over n."""
    return axes.inverse(_cross_spectrum(x, y, axes), *axes.of_weight, size)
