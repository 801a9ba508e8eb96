"""Who takes part in a row of convolutions: ours, torch's own in both layouts, torch.fft, a peer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import freqops
from freqops.bench import peers
from freqops.bench.case import Goal, Point, Row, sizes
from freqops.bench.convolution_compositions import (
    TransformedConvolution,
    band_of,
    fast_size,
)
from freqops.bench.timing import Contender, Role
from freqops.bench.ways import Way, contenders, tolerance

Convolution = Callable[[Tensor, Tensor], Tensor]

_TORCH: dict[int, Any] = {1: functional.conv1d, 2: functional.conv2d}
_EXACT: dict[int, Any] = {1: freqops.fft_conv1d, 2: freqops.fft_conv2d}
_LIMITED: dict[int, Any] = {1: freqops.band_limited_conv1d, 2: freqops.band_limited_conv2d}
# What an optimizer's step leaves is another weight, so that nobody has its spectrum yet; by this
# little, results are still those of the weight before.
_STEP = 1 - 2.0**-20


@dataclass(frozen=True)
class Conv:
    """What a row is about: a convolution whose output is as large as its input.

    Attributes:
        shape: of x.
        taps: of the kernel, along each axis, odd.
        outputs: channels of the result; None: depthwise.
        layout: of x: NCHW or NHWC; of lines NCHW.
        backward: whether the gradients for x and the weight are taken as well.
        dtype: of x and the weight.
        compression: share of the spectrum that is cut; None: an exact convolution.
        layer: where it comes from, where its maps are known by another name.
    """

    shape: tuple[int, ...]
    taps: int
    outputs: int | None = None
    layout: str = "NCHW"
    backward: bool = False
    dtype: torch.dtype = torch.float32
    compression: float | None = None
    layer: str = ""

    @property
    def dims(self) -> int:
        """Axes of a plane."""
        return len(self.shape) - 2

    @property
    def name(self) -> str:
        """Of the function."""
        return f"{self._op}{self.dims}d"

    @property
    def table(self) -> str:
        """Heading of the table that the row belongs to."""
        kind = "depthwise" if self.outputs is None else "dense"
        layout = "NCL" if self.dims == 1 else self.layout
        direction = "forward and backward" if self.backward else "forward"
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{self.name}, {kind}, {dtype}, {layout}, {direction}"

    @property
    def label(self) -> str:
        """Of the row in its table."""
        taps = "x".join([str(self.taps)] * self.dims)
        label = f"{taps} on {sizes(self.shape)}"
        if self.outputs is not None:
            label += f" to {self.outputs}"
        return label if self.compression is None else f"{label}, {self.compression:.0%} cut"

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Of the weight."""
        channels = self.shape[1]
        ends = (channels, 1) if self.outputs is None else (self.outputs, channels)
        return (*ends, *[self.taps] * self.dims)

    @property
    def moved_bytes(self) -> int:
        """What has to be read and written at least: maps and weight; a gradient as much again."""
        outputs = (self.shape[0], self.weight_shape[0], *self.shape[2:])
        elements = sum(torch.Size(one).numel() for one in (self.shape, outputs, self.weight_shape))
        return self.dtype.itemsize * elements * (2 if self.backward else 1)

    @property
    def grid(self) -> tuple[int, ...]:
        """Of the transforms: what wraps around an exact one lands beside the outputs."""
        around = self.taps // 2 if self.compression is None else self.taps - 1
        return tuple(fast_size(max(side + around, self.taps)) for side in self.shape[2:])

    def contenders(self) -> list[Contender]:
        """On tensors of the row."""
        # Centred: sums of positive numbers would hide errors.
        x = (torch.rand(self.shape) - 0.5).to(self.dtype)
        weight = (torch.rand(self.weight_shape) - 0.5).to(self.dtype)
        weight.requires_grad_(self.backward)
        return contenders(
            [self._way(weight, *entry) for entry in self._entries(weight)],
            x,
            self.moved_bytes,
            layout=self.layout,
            backward=self.backward,
            leaves=[weight] if self.backward else [],
        )

    def row(
        self,
        *goals: Goal,
        quick: bool = False,
        compiled: bool = False,
        point: Point | None = None,
    ) -> Row:
        """The row, as it is listed; one of a curve has the curve's table."""
        table = self.table
        if point is not None:
            kind = table.split(", ")[1]
            table = f"{self.name}, {kind}, float32: time per pixel over the {point.axis}"
        return Row(
            self._op,
            table,
            self.label,
            self.shape,
            self.contenders,
            dtype=self.dtype,
            layout=self.layout,
            backward=self.backward,
            goals=goals,
            tolerance=tolerance(self.dtype, self.backward),
            moved_bytes=self.moved_bytes,
            quick=quick,
            compiled=compiled,
            point=point,
            layer=self.layer,
        )

    @property
    def _op(self) -> str:
        return "fft_conv" if self.compression is None else "band_limited_conv"

    @property
    def _options(self) -> dict[str, int]:
        groups = self.shape[1] if self.outputs is None else 1
        return {"padding": self.taps // 2, "groups": groups}

    def _way(
        self,
        weight: Tensor,
        name: str,
        convolution: Convolution,
        role: Role = "peer",
        layout: str | None = None,
        compiles: bool = False,
    ) -> Way:
        if not self.backward:
            return Way(name, lambda x: convolution(x, weight), role, layout, compiles)

        def after_step(x: Tensor) -> Tensor:
            with torch.no_grad():
                weight.mul_(_STEP)
            return convolution(x, weight)

        return Way(name, after_step, role, layout)

    def _entries(self, weight: Tensor) -> list[tuple[Any, ...]]:
        """Name, function, role, layout of each who takes part; whether torch.compile of it does."""
        own = functools.partial(_TORCH[self.dims], **self._options)
        return self._exact(weight, own) if self.compression is None else self._limited(weight, own)

    def _exact(self, weight: Tensor, own: Convolution) -> list[tuple[Any, ...]]:
        options: dict[str, Any] = self._options
        ours = functools.partial(_EXACT[self.dims], **options)
        entries: list[tuple[Any, ...]] = [("freqops", ours, "ours"), ("torch", own)]
        if self.dims == 2:
            other = "NCHW" if self.layout == "NHWC" else "NHWC"
            entries.append((f"torch {other}", own, "peer", other))
        entries.append(("torch.fft", self._composition(weight), "peer", None, True))
        # Between all channels it makes a loop of products in Python: seconds, and its gradient.
        single = self.dtype == torch.float32
        if single and self.outputs is None and peers.has("fft-conv-pytorch"):
            entries.append(("fft-conv-pytorch", functools.partial(peers.fft_conv, **options)))
        by_spectrum = functools.partial(ours, algorithm="fft")
        return [*entries, ("always by spectrum", by_spectrum, "other")]

    def _limited(self, weight: Tensor, own: Convolution) -> list[tuple[Any, ...]]:
        share = self.compression or 0.0
        ours = functools.partial(_LIMITED[self.dims], compression=share, **self._options)
        entries: list[tuple[Any, ...]] = [
            ("freqops", ours, "ours"),
            ("torch.fft", self._composition(weight), "peer", None, not share),
        ]
        if share:
            pruned = self._composition(weight, pruned=True)
            entries.append(("torch.fft pruned", pruned, "peer", None, True))
        return [*entries, ("torch, no cut", own, "other" if share else "peer")]

    def _composition(self, weight: Tensor, *, pruned: bool = False) -> Convolution:
        band = band_of(self.grid, self.compression) if self.compression else ()
        return TransformedConvolution(
            weight,
            self.shape[2:],
            self.grid,
            band=band,
            pruned=pruned,
            keep=not self.backward,
        )


def both_layouts(conv: Conv) -> list[Conv]:
    """The same with channels in front of each other and behind."""
    return [replace(conv, layout=layout) for layout in ("NCHW", "NHWC")]
