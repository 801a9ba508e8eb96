"""Who takes part in a row of spectral pooling: ours, its peers, and other functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

import freqops
from freqops.bench import peers
from freqops.bench import pooling_compositions as compositions
from freqops.bench.case import sizes
from freqops.bench.pooling import Pool, Pooling, Shape
from freqops.bench.pooling_compositions import AxisProducts
from freqops.bench.timing import Role
from freqops.bench.ways import Way

Rule = Literal["flc", "half", "sum"]

SHAPES: tuple[Shape, ...] = (
    (16, 64, 112, 112),
    (16, 64, 56, 56),
    (16, 256, 28, 28),
    (16, 512, 14, 14),
)
LARGE, MIDDLE, SMALL, SMALLEST = SHAPES
ODD: Shape = (16, 64, 55, 55)


@dataclass(frozen=True)
class Crop(Pooling):
    """What a row is about.

    Attributes:
        shape: of x.
        rule: of the Nyquist bins; flc: flc_pool2d, else spectral_pool2d's.
        layout: of x: NCHW or NHWC.
        backward: whether the gradient for x is taken as well.
        dtype: of x.
        compiled: whether torch.compile takes part, which takes its time to compile.
        rotated: whether inputs take turns.
    """

    shape: Shape
    rule: Rule = "flc"
    layout: str = "NCHW"
    backward: bool = False
    dtype: torch.dtype = torch.float32
    compiled: bool = False
    rotated: bool = False

    @property
    def op(self) -> str:
        """The operator's word."""
        return "flc_pool" if self.rule == "flc" else "spectral_pool"

    @property
    def name(self) -> str:
        """Of the function, as the tables' headings begin."""
        return "flc_pool2d" if self.rule == "flc" else f'spectral_pool2d, nyquist="{self.rule}"'

    @property
    def label(self) -> str:
        """Of the row in its table."""
        return f"to {sizes(self.size)}"

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the result: half, rounded up; FLC rounds 4 k + 1 down."""
        height, width = (
            (side + (side % 4 != 1 or self.rule != "flc")) // 2 for side in self.shape[-2:]
        )
        return height, width

    @property
    def moved_bytes(self) -> int:
        """What has to be read and written at least; a gradient is as much again."""
        (batch, channels, height, width), (h, w) = self.shape, self.size
        forward = batch * channels * (height * width + h * w)
        return self.dtype.itemsize * forward * (2 if self.backward else 1)

    def ways(self, x: Tensor) -> list[Way]:
        """Those of the same function, and for information what computes something else."""
        ways = [Way("freqops", self._ours(), "ours")]
        if self.rule == "flc":
            role: Role = "other" if is_shifted(self.shape) else "peer"
            ways.append(Way("FLC layer", _in_float(compositions.published_flc), role))
        ways.append(Way("matmul", self._products(x), compiles=self.compiled))
        if self.rule == "flc":
            ways.append(Way("matmul, corner", self._products(x, low_rank=True)))
        ways += [
            Way("rfft2", lambda x: compositions.torch_crop(x, self.size, self.rule)),
            Way("rfft, pruned", lambda x: compositions.torch_crop_pruned(x, self.size, self.rule)),
        ]
        plain = self.dtype == torch.float32 and not self.backward and not x.is_cuda
        if self.rule == "sum" and plain and peers.has("scipy"):
            ways.append(Way("scipy.signal", lambda x: peers.scipy_resample(x, self.size)))
        if self.size[0] % 2 == 0 and not self.backward:
            one_sided = Way(
                "rfft2, one-sided", lambda x: compositions.torch_crop(x, self.size, ""), "other"
            )
            ways.append(one_sided)
        return ways

    def _ours(self) -> Pool:
        if self.rule == "flc":
            return freqops.flc_pool2d
        return lambda x: freqops.spectral_pool2d(x, self.size, nyquist=self.rule)

    def _products(self, x: Tensor, *, low_rank: bool = False) -> Pool:
        flc, both = self.rule == "flc", self.rule == "sum"
        return AxisProducts(x, self.size, corner=flc, sum_nyquist=both, low_rank=low_rank)


def is_shifted(shape: tuple[int, ...]) -> bool:
    """Whether the published FLC layer is a bin off, and so another function."""
    return any(side % 4 == 2 for side in shape[-2:])


def _in_float(pool: Pool) -> Pool:
    """For half types, whose FFT torch does not have on the CPU."""
    return lambda x: pool(x.float()).to(x.dtype)
