"""Who takes part in a row of spectral pooling: ours, its peers, and other functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import compositions
import peers
import torch
from case import Case, Goal
from compositions import AxisProducts
from torch import Tensor
from ways import Pool, Way, contenders, tolerance

import freqops

SHAPES = ((16, 64, 112, 112), (16, 64, 56, 56), (16, 256, 28, 28), (16, 512, 14, 14))
LARGE, MIDDLE, SMALL, SMALLEST = SHAPES
ODD = (16, 64, 55, 55)

Rule = Literal["flc", "half", "sum"]


@dataclass(frozen=True)
class Row:
    """What a row is about.

    Attributes:
        shape: of x.
        rule: of the Nyquist bins; flc: flc_pool2d, else spectral_pool2d's.
        layout: of x: NCHW or NHWC.
        backward: whether the gradient for x is taken as well.
        dtype: of x.
        compiled: whether torch.compile takes part, which takes its time to compile.
    """

    shape: tuple[int, int, int, int]
    rule: Rule = "flc"
    layout: str = "NCHW"
    backward: bool = False
    dtype: torch.dtype = torch.float32
    compiled: bool = False

    @property
    def table(self) -> str:
        """Heading of the table that the row belongs to."""
        name = "flc_pool2d" if self.rule == "flc" else f'spectral_pool2d, nyquist="{self.rule}"'
        direction = "forward and backward" if self.backward else "forward"
        return f"{name}, {str(self.dtype).removeprefix('torch.')}, {self.layout}, {direction}"

    @property
    def label(self) -> str:
        """Of the row in its table."""
        return f"{'x'.join(map(str, self.shape))} to {'x'.join(map(str, self.size))}"

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

    def case(self, *goals: Goal) -> Case:
        """The contenders on tensors of the row."""
        x = torch.rand(self.shape).to(self.dtype)
        entries = contenders(_ways(self, x), x, self.layout, self.backward, self.moved_bytes)
        agreement = tolerance(self.dtype, self.backward)
        return Case(self.table, self.label, entries, goals, agreement, self.moved_bytes)


def is_shifted(shape: tuple[int, ...]) -> bool:
    """Whether the published FLC layer is a bin off, and so another function."""
    return any(side % 4 == 2 for side in shape[-2:])


def _ways(row: Row, x: Tensor) -> dict[str, Way]:
    """Those of the same function, and for information what computes something else."""
    ways = {"freqops": Way(_ours(row), "ours")}
    if row.rule == "flc":
        published = "other" if is_shifted(row.shape) else "peer"
        ways["FLC layer"] = Way(_in_float(compositions.published_flc), published)
    products = _products(row, x)
    ways["matmul"] = Way(products)
    if row.rule == "flc":
        ways["matmul, corner"] = Way(_products(row, x, low_rank=True))
    if row.compiled:
        torch.compiler.reset()  # beyond a few shapes dynamo goes back to eager without a word
        ways["compiled"] = Way(torch.compile(products, dynamic=False, fullgraph=True))
    for name, crop in (
        ("rfft2", compositions.torch_crop),
        ("rfft, pruned", compositions.torch_crop_pruned),
    ):
        ways[name] = Way(_crop(crop, row.size, row.rule))
    if row.rule == "sum" and not row.backward and row.dtype == torch.float32:
        ways["scipy.signal"] = Way(lambda x: peers.scipy_resample(x, row.size))
    if row.size[0] % 2 == 0 and not row.backward:
        ways["rfft2, one-sided"] = Way(_crop(compositions.torch_crop, row.size, ""), "other")
    return ways


def _ours(row: Row) -> Pool:
    if row.rule == "flc":
        return freqops.flc_pool2d
    return lambda x: freqops.spectral_pool2d(x, row.size, nyquist=row.rule)


def _products(row: Row, x: Tensor, *, low_rank: bool = False) -> Pool:
    flc, both = row.rule == "flc", row.rule == "sum"
    return AxisProducts(x, row.size, corner=flc, sum_nyquist=both, low_rank=low_rank)


def _crop(crop: Pool, size: tuple[int, int], nyquist: str) -> Pool:
    return lambda x: crop(x, size, nyquist)  # type: ignore[call-arg]


def _in_float(pool: Pool) -> Pool:
    """For half types, whose FFT torch does not have on the CPU."""
    return lambda x: pool(x.float()).to(x.dtype)
