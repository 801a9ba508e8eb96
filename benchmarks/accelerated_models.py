"""Networks with large kernels end to end: as they are, and after freqops.accelerate.

    python benchmarks/accelerated_models.py                       prints a table
    python benchmarks/accelerated_models.py --quick               small images, two rounds
    python benchmarks/accelerated_models.py --only "replknet 1"   rows whose labels have these words

Each of them takes turns with its accelerated twin, in both memory formats, so that what else the
machine does meets all four. The networks have the widths, depths and kernels of published ones, in
the form that is deployed (small kernels merged into the large one), with random weights:

* replknet: RepLKNet-31B (Ding et al. 2022), 31x31, 29x29, 27x27 and 13x13 taps by stage;
* unireplknet: like UniRepLKNet-T (Ding et al. 2024), 3x3 taps, then 13x13, in the third stage
  13x13 and 3x3 in turn;
* convnext: ConvNeXt-T (Liu et al. 2022), 7x7 taps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from whole_jobs import Effort, by_rounds, run

import freqops
from freqops.bench import tables
from freqops.bench.timing import Contender, check_agreement

FORMATS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}


# --- networks -------------------------------------------------------------------------------------


def depthwise(width: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Returns a kernel per channel that keeps the size, or halves it."""
    return nn.Conv2d(width, width, kernel, stride, kernel // 2, groups=width)


class PointwiseAround(nn.Module):
    """RepLKNet's: a pointwise convolution on each side of the kernel, then a part of two."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.spatial = nn.Sequential(
            nn.BatchNorm2d(width), nn.Conv2d(width, width, 1), nn.ReLU(),
            depthwise(width, kernel), nn.ReLU(), nn.Conv2d(width, width, 1),
        )  # fmt: skip
        self.wide = nn.Sequential(
            nn.BatchNorm2d(width), nn.Conv2d(width, 4 * width, 1), nn.GELU(),
            nn.Conv2d(4 * width, width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Adds both parts, one after the other."""
        x = x + self.spatial(x)
        y: Tensor = x + self.wide(x)
        return y


class KernelFirst(nn.Module):
    """ConvNeXt's: the kernel, a norm over channels, a wide part; UniRepLKNet adds gates."""

    def __init__(self, width: int, kernel: int, *, gated: bool) -> None:
        super().__init__()
        self.kernel = depthwise(width, kernel)
        self.norm = nn.LayerNorm(width)
        self.gate = None
        if gated:
            self.gate = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width // 4, 1), nn.ReLU(),
                nn.Conv2d(width // 4, width, 1), nn.Sigmoid(),
            )  # fmt: skip
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Adds what it computes to x."""
        y = self.kernel(x)
        if self.gate is not None:
            y = y * self.gate(y)
        y = self.narrow(F.gelu(self.wide(self.norm(y.permute(0, 2, 3, 1)))))
        return x + y.permute(0, 3, 1, 2)


def network(
    widths: Sequence[int],
    depths: Sequence[int],
    kernels: Sequence[Sequence[int]],
    block: Callable[[int, int], nn.Module],
) -> nn.Module:
    """Returns four stages at a quarter to a 32nd of the image's size, and a head.

    Args:
        widths: channels of each stage.
        depths: blocks of each stage.
        kernels: sides of each stage's kernels, over and over.
        block: makes one of width and kernel.
    """
    layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 4), nn.BatchNorm2d(widths[0])]
    before = widths[0]
    for width, depth, sides in zip(widths, depths, kernels, strict=True):
        if width != before:
            layers.append(nn.Conv2d(before, width, 2, 2))
        layers += [block(width, side) for side in islice(cycle(sides), depth)]
        before = width
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 1000)]
    return nn.Sequential(*layers, *pool)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "replknet": lambda: network(
        (128, 256, 512, 1024), (2, 2, 18, 2), ([31], [29], [27], [13]), PointwiseAround
    ),
    "unireplknet": lambda: network(
        (80, 160, 320, 640), (3, 3, 18, 3), ([3], [13], [13, 3], [13]),
        lambda width, kernel: KernelFirst(width, kernel, gated=True),
    ),
    "convnext": lambda: network(
        (96, 192, 384, 768), (3, 3, 9, 3), ([7],) * 4,
        lambda width, kernel: KernelFirst(width, kernel, gated=False),
    ),
}  # fmt: skip


LONG = ("replknet", 4)

# --- rows -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A network and how many images it is given."""

    network: str
    images: int

    @property
    def label(self) -> str:
        """Of the row in its table."""
        return f"{self.network}, {self.images} image{'s' if self.images > 1 else ''}"


def rows() -> list[Row]:
    """All there are."""
    # Four images of RepLKNet as it is take torch 16 seconds a call.
    return [Row(name, images) for name in NETWORKS for images in (1, 4) if (name, images) != LONG]


def measured(row: Row, effort: Effort) -> dict[str, Any]:
    """Checks that a network and its twins agree to 1e-5, then times them turn by turn."""
    torch.manual_seed(0)
    side = 64 if effort.quick else 224
    plain = NETWORKS[row.network]().eval()
    images = torch.rand(row.images, 3, side, side)
    contenders, converted = [], {}
    for layout, memory_format in FORMATS.items():
        x = images.contiguous(memory_format=memory_format)
        own: Any = copy.deepcopy(plain)
        own.to(memory_format=memory_format)
        twin = copy.deepcopy(own)
        report = freqops.accelerate(twin, example=x)
        converted[layout] = [len(report.converted), len(report)]
        for name, model in (("accelerated", twin), ("plain", own)):
            contenders.append(Contender(f"{name}, {layout}", _call(model, x)))
    check_agreement(contenders, 1e-5)
    timings, _ = by_rounds(contenders, effort)
    return {
        "label": row.label,
        "side": side,
        "converted": converted,
        "contenders": [{"name": name, **asdict(timing)} for name, timing in timings.items()],
    }


def _call(model: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    def infer() -> Tensor:
        with torch.inference_mode():
            result: Tensor = model(x)
        return result

    return infer


if __name__ == "__main__":
    run("accelerated", __doc__.splitlines()[0], rows(), measured, tables.accelerated_section)
