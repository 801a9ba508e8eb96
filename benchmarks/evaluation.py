"""A filtered evaluation end to end: one sweep against the loops that people write.

    python benchmarks/evaluation.py                   prints a table
    python benchmarks/evaluation.py --quick           few images, two rounds: does it work?
    python benchmarks/evaluation.py --only demo       rows whose labels have these words

Every image is evaluated as it is and under 8 radii, low- and high-passed: 17 conditions. "freqops"
is :func:`freqops.evaluation.sweep`. "torch.fft" transforms every batch anew for every radius, as it
is usually written; "torch.fft, forward shared" transforms it once. "numpy" is the loop of Wang et
al. (2020): a plane at a time, in double precision, with the masks made before. "network" is the
floor: the network alone, on images that nobody filtered. All give the share of right answers under
every condition, which must agree.

The less a network computes, the more of the time is the filter's: the linear classifier shows what
is left of the filter's own advantage in a whole evaluation. All run in inference mode on the same
contiguous batches; the loops count right answers only, a sweep top-5, classes and NaN as well.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from whole_jobs import Effort, Rounds, by_rounds, median_ratio, run

import freqops
from freqops import demo
from freqops.bench import compositions, peers, tables
from freqops.bench.timing import Contender, check_agreement
from freqops.evaluation import sweep

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
import torchvision_ops

_torchvision_library = torchvision_ops.declare_missing()
import torchvision  # noqa: E402

RADII = 8
# Two answers close to each other may change places by rounding: so many of a thousand.
TOLERANCE = 2e-3
# A neighbour takes more of a round than the filter does, so there have to be many.
LEAST_ROUNDS = 9


@dataclass(frozen=True)
class Row:
    """What is evaluated.

    Attributes:
        name: of the network.
        network: makes it.
        images: how many.
        side: of the images.
        batch: images at a time.
        numpy: whether the published loop takes part.
    """

    name: str
    network: Callable[[], nn.Module]
    images: int
    side: int
    batch: int
    numpy: bool

    @property
    def label(self) -> str:
        """Of the row in its table."""
        return f"{self.name}, {self.images:,} images of {self.side}x{self.side}"

    def radii(self) -> list[float]:
        """In bins, up to the largest circle in the plane."""
        return [self.side / 2 * (index + 1) / RADII for index in range(RADII)]

    def batches(self) -> list[tuple[Tensor, Tensor]]:
        """Random images; labels are the network's own answers, so that accuracy has a meaning."""
        random = torch.Generator().manual_seed(0)
        network, made = self.network(), []
        for start in range(0, self.images, self.batch):
            count = min(self.batch, self.images - start)
            images = torch.rand(count, 3, self.side, self.side, generator=random)
            with torch.inference_mode():
                labels = network(images).argmax(1)
            made.append((images, labels))
        return made


def resnet18() -> nn.Module:
    """torchvision's, with weights of no training: what it costs does not depend on them."""
    torch.manual_seed(0)
    network: nn.Module = torchvision.models.resnet18(weights=None)
    return network.eval()


def linear(side: int) -> nn.Module:
    """The least that looks at every pixel."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * side * side, 10)).eval()


ROWS = (
    Row("demo network", demo.model, 1000, 32, 100, numpy=True),
    Row("demo network", demo.model, 200, 64, 50, numpy=True),
    Row("resnet18", resnet18, 16, 224, 8, numpy=True),
    Row("linear classifier", partial(linear, 224), 64, 224, 16, numpy=True),
)


# --- the loops ------------------------------------------------------------------------------------

Filtered = Iterable[tuple[Tensor, Tensor]]  # low- and high-passed, per radius


def by_loop(
    network: nn.Module,
    batches: list[tuple[Tensor, Tensor]],
    filtered: Callable[[Tensor], Filtered],
) -> Tensor:
    """Right answers, shares: unfiltered first, then low and high per radius."""
    right: dict[int, int] = defaultdict(int)
    total = 0
    with torch.inference_mode():
        for images, labels in batches:
            versions = [images]
            for index, version in enumerate(_in_turn(versions, filtered(images))):
                right[index] += int((network(version).argmax(1) == labels).sum())
            total += len(labels)
    return torch.tensor([right[index] / total for index in range(len(right))])


def _in_turn(first: list[Tensor], pairs: Filtered) -> Iterable[Tensor]:
    yield from first
    for pair in pairs:
        yield from pair


def by_sweep(network: nn.Module, row: Row, batches: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The same shares by freqops."""
    result = sweep(network, batches, row.radii(), progress=False)
    found = {(one["kind"], one["cutoff"]): one["top1"] for one in result.records}
    kinds = [("none", None)] + [(kind, r) for r in row.radii() for kind in ("low", "high")]
    return torch.tensor([found[kind] for kind in kinds])


def contenders(row: Row) -> list[Contender]:
    """Ours first; the network alone last."""
    network, batches = row.network(), row.batches()
    masks = [
        freqops.filters.low_pass((row.side, row.side), radius, unit="bins")
        for radius in row.radii()
    ]
    wholes = [peers.radial_mask(row.side, radius) for radius in row.radii()]

    def in_numpy(images: Tensor) -> Filtered:
        for whole in wholes:
            low, high = peers.numpy_low_high(images.double().numpy(), whole)
            yield torch.from_numpy(low).float(), torch.from_numpy(high).float()

    def unfiltered(images: Tensor) -> Filtered:
        return ((images, images) for _ in masks)

    def looped(filtered: Callable[[Tensor], Filtered]) -> Callable[[], Tensor]:
        return lambda: by_loop(network, batches, filtered)

    found = [
        Contender("freqops", lambda: by_sweep(network, row, batches), "ours"),
        Contender("torch.fft", looped(lambda x: compositions.torch_low_high(x, masks))),
        Contender(
            "torch.fft, forward shared",
            looped(lambda x: compositions.torch_low_high_sharing(x, masks)),
        ),
    ]
    if row.numpy:
        found.append(Contender("numpy", looped(in_numpy)))
    return [*found, Contender("network", looped(unfiltered), "floor")]


# --- measuring ------------------------------------------------------------------------------------


def measured(row: Row, effort: Effort) -> dict[str, Any]:
    """Checks that the shares agree, then times all turn by turn."""
    entries = contenders(quick(row) if effort.quick else row)
    check_agreement(entries, TOLERANCE)
    if not effort.quick:
        effort = effort._replace(least_rounds=max(effort.least_rounds, LEAST_ROUNDS))
    timings, rounds = by_rounds(entries, effort)
    return {
        "label": row.label,
        "conditions": 1 + 2 * RADII,
        "batch": row.batch,
        "contenders": [
            {"name": one.name, "role": one.role, **asdict(timings[one.name])} for one in entries
        ],
        "ratios": {one.name: median_ratio(rounds, one.name, "freqops") for one in entries[1:]},
        "ratio_quartiles": {one.name: quartiles(rounds, one.name) for one in entries[1:]},
    }


def quartiles(rounds: Rounds, name: str) -> list[float]:
    """The first and the third of a contender's ratios to ours within a round."""
    ratios = [a / b for a, b in zip(rounds[name], rounds["freqops"], strict=True)]
    first, _, third = statistics.quantiles(ratios, n=4, method="inclusive")
    return [first, third]


def quick(row: Row) -> Row:
    """The same with a few images."""
    return Row(row.name, row.network, min(row.images, 20), row.side, 10, row.numpy)


if __name__ == "__main__":
    run("evaluation", __doc__.splitlines()[0], ROWS, measured, tables.evaluation_section)
