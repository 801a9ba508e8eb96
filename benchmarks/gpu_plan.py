"""What `make gpu` measures: shapes, targets, and what was predicted. Standard library only."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

SIZES = (7, 8, 14, 16, 28, 32, 56, 64, 96, 112, 128, 160, 192, 224, 256, 299, 320, 384, 480, 512)
HEADLINE_BYTES = 200_000_000  # beyond every cache, so that nobody is flattered by it
RADII = (1, 2, 3, 4, 6, 8, 12, 16)  # bins, in 32nds of the size

Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class Target:
    """What ours is meant to reach.

    Attributes:
        times_naive: how many times as fast as torch.fft as usually written.
        share_of_copy: a device copy of the same bytes takes this share of our time.
    """

    times_naive: float
    share_of_copy: float | None = None


# Set before anything was run on a GPU, for an H200; from the design study's predictions.
_FILTER_TARGETS = {
    **dict.fromkeys((7, 8, 14, 16, 28, 32), Target(5.0, 0.75)),
    56: Target(5.5, 0.75),
    112: Target(5.0, 0.66),
    224: Target(5.0, 0.63),
    256: Target(4.0, 0.50),
    299: Target(2.8, 0.33),
    384: Target(4.0, 0.45),
    512: Target(4.0, 0.45),
}
_HALF_TARGET = Target(6.0)
# Anti-aliased pooling: four taps, stride 2, windows of 2x2; times torch's composition.
POOLED: tuple[Shape, ...] = ((64, 64, 112, 112), (64, 256, 56, 56))
_POOL_TARGETS = {
    ("float32", False): Target(3.0, 0.80),
    ("bfloat16", False): Target(3.0, 0.70),
    ("float32", True): Target(2.5, 0.70),
    ("bfloat16", True): Target(2.5, 0.70),
}
# Spectral pooling to half the size: counted instructions or memory, whichever is more.
_SPECTRAL_TARGETS = {
    ("float32", 14): Target(4.0, 0.70),
    ("float32", 28): Target(4.0, 0.70),
    ("float32", 56): Target(3.5, 0.60),
    ("float32", 112): Target(2.5, 0.45),
    ("bfloat16", 14): Target(5.0, 0.35),
    ("bfloat16", 28): Target(6.0, 0.45),
    ("bfloat16", 56): Target(6.0, 0.55),
    ("bfloat16", 112): Target(5.0, 0.50),
}
# Convolutions that keep the size, by sides of image and kernel: times torch's own in float32, from
# the instructions counted and, for torch, from multiplications; microseconds predicted for ours
# (docs/kernels.md). 64 images, as many channels as ResNet's stages have.
CONVOLVED: dict[tuple[int, int], tuple[Target | None, float]] = {
    (56, 31): (Target(10.0, 0.45), 50),
    (56, 13): (Target(2.0, 0.55), 39),
    (56, 7): (None, 39),
    (28, 29): (Target(6.0, 0.30), 35),
    (14, 27): (Target(4.0, 0.30), 18),
}
_STAGES = {56: 64, 28: 128, 14: 256}
# The study's shapes, and its prediction in microseconds on an H200 (docs/kernels.md).
PREDICTED: dict[Shape, float] = {
    (128, 3, 32, 32): 3,
    (1024, 3, 32, 32): 8.5,
    (64, 512, 7, 7): 5,
    (64, 256, 14, 14): 8.6,
    (64, 128, 28, 28): 15,
    (64, 64, 56, 56): 33,
    (64, 256, 56, 56): 126,
    (64, 64, 112, 112): 145,
    (64, 3, 224, 224): 37,
    (256, 3, 224, 224): 120,
    (64, 3, 256, 256): 48,
    (32, 3, 299, 299): 48,
    (32, 3, 384, 384): 56,
    (16, 3, 512, 512): 52,
}


_POOL_OPS: tuple[Literal["blur", "max_blur"], ...] = ("blur", "max_blur")
_LAYOUTS: tuple[Literal["NCHW", "NHWC"], ...] = ("NCHW", "NHWC")


@dataclass(frozen=True)
class Plan:
    """One row to measure, before anything of it exists."""

    op: Literal[
        "filter", "bank", "low_high", "mix", "blur", "max_blur", "spectral_pool",
        "depthwise", "band_limited",
    ]  # fmt: skip
    shape: Shape
    dtype: str
    target: Target | None = None
    predicted_us: float | None = None
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    backward: bool = False  # without the forward pass: for x, and for weights where there are any
    kernel: int = 0  # side of a convolution's

    @property
    def size(self) -> int:
        """Height and width."""
        return self.shape[-1]

    @property
    def label(self) -> str:
        """As tables show it."""
        words = [self.op, "x".join(map(str, self.shape)), self.dtype]
        if self.pools:
            words.append(self.layout)
        if self.convolves:
            words.insert(1, f"{self.kernel}x{self.kernel}")
        if self.pools or self.convolves:
            words.append("backward" if self.backward else "forward")
        return " ".join(words)

    @property
    def pools(self) -> bool:
        """Whether it is an anti-aliased pool, in one of two layouts and directions."""
        return self.op in ("blur", "max_blur")

    @property
    def convolves(self) -> bool:
        """Whether it is a convolution."""
        return self.op in ("depthwise", "band_limited")

    @property
    def multiplies(self) -> bool:
        """Whether torch may round a contender's products to TF32 or bfloat16."""
        return self.pools or self.convolves or self.op == "spectral_pool"

    def small(self) -> Plan:
        """The same with few planes: two and a half pairs of them, or channels for vectors."""
        images, channels = (2, 16) if self.pools else (3, 2) if self.convolves else (5, 1)
        return replace(self, shape=(images, channels, self.size, self.size))

    def record(self) -> dict[str, Any]:
        """For the results."""
        return {**asdict(self), "label": self.label}


def plans(sizes: Sequence[int] = SIZES) -> list[Plan]:
    """Every row: large tensors first, then the study's shapes, then the other ops."""
    rows = [
        Plan("filter", headline_shape(size, width), dtype, target)
        for size in sizes
        for dtype, width, target in (
            ("float32", 4, _FILTER_TARGETS.get(size)),
            ("bfloat16", 2, _HALF_TARGET),
        )
    ]
    rows += [
        Plan("filter", shape, "float32", predicted_us=microseconds)
        for shape, microseconds in PREDICTED.items()
    ]
    for size in (56, 224, 256):
        bank = headline_shape(size, 2 * (1 + len(RADII)))  # reads and writes as much as a filter
        large = headline_shape(size, 4)
        rows.append(Plan("bank", bank, "float32", Target(6.0) if size == 224 else None))
        rows.append(Plan("low_high", large, "float32", Target(4.0)))
        rows.append(Plan("mix", large, "float32", Target(4.0)))
    rows += [
        Plan("spectral_pool", headline_shape(size, 4 if dtype == "float32" else 2), dtype, target)
        for (dtype, size), target in _SPECTRAL_TARGETS.items()
    ]
    rows += [
        Plan(op, shape, dtype, target, None, layout, backward)
        for op, shape, layout in itertools.product(_POOL_OPS, POOLED, _LAYOUTS)
        for (dtype, backward), target in _POOL_TARGETS.items()
    ]
    rows += _convolutions()
    return [row for row in rows if row.size in sizes]


def _convolutions() -> list[Plan]:
    """Forward in both types, the gradients, and half the frequencies of a dense one."""
    rows = []
    for (size, kernel), (target, microseconds) in CONVOLVED.items():
        row = Plan("depthwise", (64, _STAGES[size], size, size), "float32", kernel=kernel)
        rows.append(replace(row, target=target, predicted_us=microseconds))
        rows += [replace(row, dtype="bfloat16"), replace(row, backward=True)]
    limited = Plan("band_limited", (64, 64, 56, 56), "float32", kernel=3)
    return [*rows, limited, replace(limited, backward=True)]


def headline_shape(size: int, element_bytes: int) -> Shape:
    """Feature maps below 160, images above; whole multiples of 8 images, above 200 MB."""
    channels = 64 if size < 160 else 3
    images = math.ceil(HEADLINE_BYTES / (element_bytes * channels * size * size))
    return (images + -images % 8, channels, size, size)
