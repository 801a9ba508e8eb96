"""Who takes part in a row of convolutions: ours, torch's own in both layouts, torch.fft, a peer."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from case import Case, Goal, sizes
from interleave import Contender
from torch import Tensor
from torch.nn import functional
from ways import FORMATS, tolerance

import freqops
from freqops.ops._convolution_rules import Geometry, bands, grids
from freqops.ops._kernel_spectra import KERNEL_SPECTRA

Convolution = Callable[[Tensor, Tensor], Tensor]

_OPS = {2: (functional.conv2d, freqops.fft_conv2d), 1: (functional.conv1d, freqops.fft_conv1d)}


@dataclass(frozen=True)
class Row:
    """What a row is about: a convolution whose output is as large as its input.

    Attributes:
        shape: of x.
        taps: of the kernel, along each axis.
        outputs: channels of the result; None: depthwise.
        layout: of x: NCHW or NHWC; of lines NCHW.
        backward: whether the gradients for x and the weight are taken as well.
        dtype: of x and the weight.
        compression: share of the spectrum that is cut; None: an exact convolution.
    """

    shape: tuple[int, ...]
    taps: int
    outputs: int | None = None
    layout: str = "NCHW"
    backward: bool = False
    dtype: torch.dtype = torch.float32
    compression: float | None = None

    @property
    def dims(self) -> int:
        """Axes of a plane."""
        return len(self.shape) - 2

    @property
    def groups(self) -> int:
        """Of channels."""
        return self.shape[1] if self.outputs is None else 1

    @property
    def table(self) -> str:
        """Heading of the table that the row belongs to."""
        name = "fft_conv" if self.compression is None else "band_limited_conv"
        kind = "depthwise" if self.outputs is None else "dense"
        layout = "NCL" if self.dims == 1 else self.layout
        direction = "forward and backward" if self.backward else "forward"
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{name}{self.dims}d, {kind}, {dtype}, {layout}, {direction}"

    @property
    def label(self) -> str:
        """Of the row in its table."""
        taps = "x".join([str(self.taps)] * self.dims)
        shape = "x".join(map(str, self.shape))
        label = f"{taps} on {shape}"
        if self.outputs is not None:
            label += f" to {self.outputs}"
        return label if self.compression is None else f"{label}, {self.compression:.0%} cut"

    @property
    def geometry(self) -> Geometry:
        """As the ops see it."""
        ones = (1,) * self.dims
        cut = self.compression or 0.0
        padding = (self.taps // 2,) * self.dims
        return Geometry(ones, padding, ones, self.groups, compression=cut)

    @property
    def grid(self) -> tuple[int, ...]:
        """Of our transforms, and of the composition's."""
        sides = self.shape[2:]
        return grids(sides, (self.taps,) * self.dims, sides, self.geometry)

    def operands(self) -> tuple[Tensor, Tensor]:
        """Input, contiguous, and weight."""
        outputs = self.outputs or self.shape[1]
        x = torch.rand(self.shape) - 0.5
        weight = torch.rand(outputs, self.shape[1] // self.groups, *[self.taps] * self.dims) - 0.5
        return x.to(self.dtype), weight.to(self.dtype)

    def case(self, *goals: Goal) -> Case:
        """The contenders on tensors of the row."""
        x, weight = self.operands()
        size = x.element_size() * (x.numel() + x.numel() // x.shape[1] * weight.shape[0])
        moved = size * (2 if self.backward else 1)
        entries = _contenders(self, x, weight, moved)
        agreement = tolerance(self.dtype, self.backward)
        return Case(self.table, self.label, entries, goals, agreement, moved)


def _contenders(row: Row, x: Tensor, weight: Tensor, moved: int) -> list[Contender]:
    """Ours; the peers; our other way, for information; the copy."""
    own, ours = _OPS[row.dims]
    numbers = {"padding": row.taps // 2, "groups": row.groups}
    other_layout = "NCHW" if row.layout == "NHWC" else "NHWC"
    composed = _composition(row, weight)
    ways: list[tuple[str, Any, Convolution, str]]
    if row.compression is not None:
        cutting: Any = freqops.band_limited_conv2d if row.dims == 2 else freqops.band_limited_conv1d
        share = row.compression

        def limited(x: Tensor, w: Tensor) -> Tensor:
            y: Tensor = cutting(x, w, compression=share, **numbers)
            return y

        role = "other" if share else "peer"
        ways = [
            ("freqops", "ours", limited, row.layout),
            ("torch.fft", "peer", composed, row.layout),
            ("torch, no cut", role, lambda x, w: own(x, w, **numbers), row.layout),
        ]
    else:
        ways = [
            ("freqops", "ours", lambda x, w: ours(x, w, **numbers), row.layout),
            ("torch", "peer", lambda x, w: own(x, w, **numbers), row.layout),
            ("torch.fft", "peer", composed, row.layout),
            (
                "always by spectrum",
                "other",
                lambda x, w: ours(x, w, algorithm="fft", **numbers),
                row.layout,
            ),
        ]
        if row.dims == 2:
            torchs: Convolution = lambda x, w: own(x, w, **numbers)  # noqa: E731
            ways.insert(2, (f"torch {other_layout}", "peer", torchs, other_layout))
        if published := _published(row):
            ways.append(("fft-conv-pytorch", "peer", published, row.layout))
    entries = [_contender(*way, x, weight, row) for way in ways]
    half = moved // x.element_size() // 2
    source, target = x.new_zeros(half), x.new_zeros(half)
    return [*entries, Contender("copy", lambda: target.copy_(source), "floor")]


def _contender(
    name: str, role: Any, convolve: Convolution, layout: str, x: Tensor, weight: Tensor, row: Row
) -> Contender:
    x, weight = x.detach(), weight.detach().requires_grad_(row.backward)
    if row.dims == 2:
        x = x.contiguous(memory_format=FORMATS[layout])
    x.requires_grad_(row.backward)
    if not row.backward:
        return Contender(name, lambda: convolve(x, weight), role)
    upstream = torch.linspace(-1, 1, convolve(x, weight).numel(), dtype=x.dtype)
    upstream = upstream.reshape(convolve(x, weight).shape)
    if row.dims == 2:
        upstream = upstream.contiguous(memory_format=FORMATS[layout])

    def both() -> tuple[Tensor, ...]:
        KERNEL_SPECTRA.clear()  # a step of training has another weight each time
        y = convolve(x, weight)
        return y.detach(), *torch.autograd.grad(y, (x, weight), upstream)

    return Contender(name, both, role)


def _composition(row: Row, weight: Tensor) -> Convolution:
    """By torch.fft on our grid; in evaluation the weight's spectrum is kept, as ours is.

    Half types, which torch.fft does not have on the CPU, compute in float32.
    """
    axes, grid = tuple(range(-row.dims, 0)), row.grid
    mask = _mask(row)

    def spectrum(weight: Tensor) -> Tensor:
        behind = [edge for side in reversed(grid) for edge in (0, side - row.taps)]
        placed = functional.pad(weight.float(), behind)
        placed = placed.roll([-(row.taps // 2)] * row.dims, axes)
        transformed = torch.fft.rfftn(placed, dim=axes).conj()
        return transformed.resolve_conj() if mask is None else transformed * mask

    kept = None if row.backward else spectrum(weight.detach())
    inside = (..., *(slice(side) for side in row.shape[2:]))

    def convolve(x: Tensor, weight: Tensor) -> Tensor:
        kernel = spectrum(weight) if kept is None else kept
        planes = torch.fft.rfftn(x.float(), s=grid, dim=axes)
        if row.outputs is None:
            product = planes * kernel.squeeze(1)
        else:
            product = torch.einsum("ni...,oi...->no...", planes, kernel)
        return torch.fft.irfftn(product, s=grid, dim=axes)[inside].to(x.dtype)

    return convolve


def _mask(row: Row) -> Tensor | None:
    """Ones at the bins that are kept, where some are cut."""
    if not row.compression:
        return None
    limits, grid = bands(row.grid, row.geometry), row.grid
    columns = (torch.arange(grid[-1] // 2 + 1) <= limits[-1]).float()
    if row.dims == 1:
        return columns
    rows = torch.arange(grid[0])
    return (torch.minimum(rows, grid[0] - rows) <= limits[0]).float()[:, None] * columns


def _published(row: Row) -> Convolution | None:
    """The package of that name, where it is installed; in float32 alone."""
    installed = importlib.util.find_spec("fft_conv_pytorch") is not None
    if not installed or row.dtype != torch.float32 or (row.backward and row.outputs is not None):
        return None
    convolve: Any = importlib.import_module("fft_conv_pytorch").fft_conv
    numbers = {"padding": row.taps // 2, "groups": row.groups}
    return lambda x, weight: convolve(x, weight, **numbers)


# --- spectral_conv ------------------------------------------------------------------------------


def spectral_case(shape: tuple[int, int, int, int], outputs: int, modes: int) -> Case:
    """A layer of the Fourier neural operator, and its published formula written anew.

    That takes the modes with positive and those with negative vertical frequencies apart, each by
    an einsum, into zeros of the half spectrum's size (Li et al. 2021).
    """
    x = torch.rand(shape)
    weight = torch.rand(shape[1], outputs, modes, modes // 2 + 1, 2) - 0.5
    gains = torch.view_as_complex(weight)
    negative, positive = gains[:, :, : modes // 2], gains[:, :, modes // 2 :]
    columns, height = modes // 2 + 1, shape[-2]

    def published() -> Tensor:
        spectrum = torch.fft.rfft2(x)
        mixed = spectrum.new_zeros(shape[0], outputs, *spectrum.shape[-2:])
        upper = slice(0, positive.shape[2])
        lower = slice(height - negative.shape[2], height)
        for rows, part in ((upper, positive), (lower, negative)):
            low = spectrum[..., rows, :columns]
            mixed[..., rows, :columns] = torch.einsum("nihw,iohw->nohw", low, part)
        return torch.fft.irfft2(mixed, s=shape[-2:])

    source, target = torch.zeros(shape), torch.zeros(shape)
    entries = [
        Contender("freqops", lambda: freqops.spectral_conv2d(x, weight, modes=modes), "ours"),
        Contender("FNO layer", published, "peer"),
        Contender("copy", lambda: target.copy_(source), "floor"),
    ]
    label = f"{modes} modes, {sizes(x)} to {outputs}"
    return Case("spectral_conv2d, float32, NCHW, forward", label, entries)
