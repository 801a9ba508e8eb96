"""Who takes part in a row of anti-aliased pooling: ours, its peers, and other functions."""

from __future__ import annotations

from dataclasses import dataclass

import compositions
import kornia.filters
import peers
import torch
import torch.nn.functional as F
from case import Case, Goal
from torch import Tensor
from ways import FORMATS, Pool, Way, contenders, tolerance

import freqops

__all__ = ["FORMATS", "LARGE", "MIDDLE", "SHAPES", "Row"]

SHAPES = ((16, 64, 112, 112), (16, 256, 28, 28), (16, 512, 14, 14))
LARGE, MIDDLE, _ = SHAPES


@dataclass(frozen=True)
class Row:
    """What a row is about.

    Attributes:
        shape: of x.
        taps: how many.
        layout: of x: NCHW or NHWC.
        window: of the maximum; 1: none, blur_pool2d.
        backward: whether the gradient for x is taken as well.
        dtype: of x.
        compiled: whether torch.compile takes part, which takes its time to compile.
    """

    shape: tuple[int, int, int, int]
    taps: int
    layout: str
    window: int = 1
    backward: bool = False
    dtype: torch.dtype = torch.float32
    compiled: bool = False

    @property
    def table(self) -> str:
        """Heading of the table that the row belongs to."""
        name = "blur_pool2d" if self.window == 1 else "max_blur_pool2d, 2x2"
        direction = "forward and backward" if self.backward else "forward"
        return f"{name}, {str(self.dtype).removeprefix('torch.')}, {self.layout}, {direction}"

    @property
    def label(self) -> str:
        """Of the row in its table."""
        return f"{'x'.join(map(str, self.shape))} {self.taps} taps"

    @property
    def moved_bytes(self) -> int:
        """What has to be read and written at least; the maximum's gradient reads x once more."""
        *planes, height, width = self.shape
        maps = [side - self.window + 1 for side in (height, width)]
        outputs = planes[0] * planes[1] * -(-maps[0] // 2) * -(-maps[1] // 2)
        inputs = planes[0] * planes[1] * height * width
        forward = inputs + outputs
        backward = inputs + outputs + (inputs if self.window > 1 else 0)
        return self.dtype.itemsize * (forward + (backward if self.backward else 0))

    def case(self, *goals: Goal) -> Case:
        """The contenders on tensors of the row."""
        x = torch.rand(self.shape).to(self.dtype)
        entries = contenders(_ways(self, x), x, self.layout, self.backward, self.moved_bytes)
        agreement = tolerance(self.dtype, self.backward)
        return Case(self.table, self.label, entries, goals, agreement, self.moved_bytes)


def _ways(row: Row, x: Tensor) -> dict[str, Way]:
    """Those of the same function, and for information what computes something else."""
    window, taps = row.window, row.taps
    weight = compositions.blur_weight(x, taps)

    def composed(x: Tensor) -> Tensor:
        return compositions.torch_max_blur(x, weight, window)

    def after_maximum(blur: Pool) -> Pool:
        if window == 1:
            return blur
        return lambda x: blur(F.max_pool2d(x, window, 1))

    ways = {"freqops": Way(_ours(window, taps), "ours"), "torch": Way(composed)}
    published = peers.antialiased_blur(x, taps)
    if published is not None:
        ways["antialiased-cnns"] = Way(after_maximum(published))
    if row.layout == "NCHW":
        ways["torch NHWC"] = Way(composed, layout="NHWC")
    # timm pads even filters by half of their taps at either end: an output more, half a step off.
    ways["timm"] = Way(after_maximum(peers.timm_blur(x, taps)), "peer" if taps % 2 else "other")
    if row.compiled:
        torch.compiler.reset()  # beyond a few shapes dynamo goes back to eager without a word
        ways["compiled"] = Way(torch.compile(composed, dynamic=False, fullgraph=True))
    ways["kornia (zeros)"] = Way(_kornia(window, taps), "other")
    plain = F.avg_pool2d if window == 1 else F.max_pool2d
    ways[plain.__name__] = Way(lambda x: plain(x, 2, 2), "other")
    return ways


def _ours(window: int, taps: int) -> Pool:
    if window == 1:
        return lambda x: freqops.blur_pool2d(x, taps)
    return lambda x: freqops.max_blur_pool2d(x, window, taps)


def _kornia(window: int, taps: int) -> Pool:
    """Zeros around the map; an even filter has an output less at some sizes."""
    if window == 1:
        return lambda x: kornia.filters.blur_pool2d(x, taps)
    return lambda x: kornia.filters.max_blur_pool2d(x, taps, max_pool_size=window)
