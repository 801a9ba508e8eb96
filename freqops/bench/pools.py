"""Who takes part in a row of anti-aliased pooling: ours, its peers, and other functions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

import freqops
from freqops.bench import peers
from freqops.bench import pooling_compositions as compositions
from freqops.bench.pooling import Pool, Pooling, Shape
from freqops.bench.timing import Role
from freqops.bench.ways import Way

SHAPES: tuple[Shape, ...] = ((16, 64, 112, 112), (16, 256, 28, 28), (16, 512, 14, 14))
LARGE, MIDDLE, _ = SHAPES
# Of other networks, without goals: VGG's pools, and Inception's odd maps.
OTHERS: tuple[Shape, ...] = ((4, 128, 112, 112), (8, 64, 147, 147))

# The function of antialiased-cnns, by itself and as torch composes it, in the row's own layout.
SAME_LAYOUT = ("torch", "antialiased-cnns")
SAME_FUNCTION = (*SAME_LAYOUT, "timm", "compiled", "torch NHWC")


@dataclass(frozen=True)
class Blur(Pooling):
    """What a row is about.

    Attributes:
        shape: of x.
        taps: how many.
        layout: of x: NCHW or NHWC.
        window: of the maximum; 1: none, blur_pool2d.
        backward: whether the gradient for x is taken as well.
        dtype: of x.
        compiled: whether torch.compile takes part, which takes its time to compile.
        rotated: whether inputs take turns.
    """

    shape: Shape
    taps: int
    layout: str
    window: int = 1
    backward: bool = False
    dtype: torch.dtype = torch.float32
    compiled: bool = False
    rotated: bool = False

    @property
    def op(self) -> str:
        """The operator's word."""
        return "blur_pool" if self.window == 1 else "max_blur_pool"

    @property
    def name(self) -> str:
        """Of the function, as the tables' headings begin."""
        return "blur_pool2d" if self.window == 1 else "max_blur_pool2d, 2x2"

    @property
    def label(self) -> str:
        """Of the row in its table."""
        return f"{self.taps} taps"

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

    def ways(self, x: Tensor) -> list[Way]:
        """Those of the same function, and for information what computes something else."""
        window, taps = self.window, self.taps
        weight = compositions.blur_weight(x, taps)

        def composed(x: Tensor) -> Tensor:
            return compositions.torch_max_blur(x, weight, window)

        def after_maximum(blur: Pool) -> Pool:
            if window == 1:
                return blur
            return lambda x: blur(F.max_pool2d(x, window, 1))

        ways = [
            Way("freqops", _ours(window, taps), "ours"),
            Way("torch", composed, compiles=self.compiled),
        ]
        if peers.has("antialiased-cnns"):
            published = peers.antialiased_blur(x, taps)
            ways.append(Way("antialiased-cnns", after_maximum(published)))
        if self.layout == "NCHW":
            ways.append(Way("torch NHWC", composed, layout="NHWC"))
        if peers.has("timm"):
            # It pads even filters by half of their taps at either end: one output more, half a
            # step off.
            role: Role = "peer" if taps % 2 else "other"
            ways.append(Way("timm", after_maximum(peers.timm_blur(x, taps)), role))
        if peers.has("kornia"):
            ways.append(Way("kornia (zeros)", kornia(window, taps), "other"))
        plain = F.avg_pool2d if window == 1 else F.max_pool2d
        ways.append(Way(plain.__name__, lambda x: plain(x, 2, 2), "other"))
        return ways


def kornia(window: int, taps: int) -> Pool:
    """Zeros around the map; an even filter has an output less at some sizes."""
    filters = peers.library("kornia")
    if window == 1:
        return lambda x: filters.blur_pool2d(x, taps)
    return lambda x: filters.max_blur_pool2d(x, taps, max_pool_size=window)


def _ours(window: int, taps: int) -> Pool:
    if window == 1:
        return lambda x: freqops.blur_pool2d(x, taps)
    return lambda x: freqops.max_blur_pool2d(x, window, taps)
