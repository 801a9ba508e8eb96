"""Does anti-aliasing a trained network help? Converts one, fine-tunes it, and compares.

    pip install scikit-image scikit-learn
    python examples/finetune_antialiased.py --out finetuned

A small residual network that downsamples five times learns to tell ten photographs apart by 32x32
patches of them. Then two copies are fine-tuned from the same weights, for the same epochs on the
same batches: one as it is, one after `freqops.antialias(model, "zhang")`. Patches come from the
training halves of the photographs of the demo, everything shown is measured on the test halves.

Accuracy is the share of right answers on windows of the test halves. Shift consistency (Zhang 2019)
is the share of pairs of windows at the same place, each displaced by 0 to 15 pixels along both
axes, that get the same answer, right or wrong. The displaced windows are cut from the photograph,
so that nothing is padded or wrapped around. No network, a few minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from demo_photographs import training_patches
from finetune_figure import figure
from PIL import Image
from torch import Tensor, nn
from train_demo import augmented

import freqops
from freqops.demo import CLASSES, PATCH
from freqops.demo.photographs import FOLDER
from freqops.plots import save_figure

SIDE = 32
#: Displacements per axis: every phase of a network that keeps one sample in 16, and more.
SHIFTS = 16
DISTANCES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16)
#: Pairs of windows per place before and after fine-tuning; between them it is two.
ENDS = 4
BATCH = 64
PATCHES_PER_CLASS = 200
BASE_RATE, TUNING_RATE = 3e-3, 1e-3


class Block(nn.Module):
    """Two 3x3 convolutions, the first with stride 2, and a 1x1 shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, 2)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        z: Tensor = self.relu2(y + self.shortcut(x))
        return z


class SmallResNet(nn.Module):
    """A strided convolution, a max pool and three blocks: 32x32 pixels become one."""

    def __init__(self, classes: int = len(CLASSES), width: int = 16) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = Block(width, 2 * width)
        self.layer2 = Block(2 * width, 4 * width)
        self.layer3 = Block(4 * width, 4 * width)
        self.head = nn.Linear(4 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores [N, classes] for pixels [N, 3, H, W] in [0, 1]."""
        x = self.pool(self.relu(self.bn(self.conv((images - 0.45) / 0.25))))
        x = self.layer3(self.layer2(self.layer1(x)))
        scores: Tensor = self.head(x.mean((2, 3)))
        return scores


# --- what is measured -----------------------------------------------------------------------------


class TestWindows:
    """Places in the test halves with room to be displaced.

    Args:
        every: takes one of so many places.
    """

    def __init__(self, every: int = 1) -> None:
        room = SIDE + DISTANCES[-1]
        corners = json.loads((FOLDER / "patches.json").read_text())
        found, labels = [], []
        for label, name in enumerate(CLASSES):
            with Image.open(FOLDER / f"{name}.png") as picture:
                half = np.asarray(picture.convert("RGB"))
            for top, left in corners[name][::every]:
                top, left = min(top, half.shape[0] - room), min(left, half.shape[1] - room)
                found.append(half[top : top + room, left : left + room])
                labels.append(label)
        self.pixels = torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255
        self.labels = torch.tensor(labels)

    def displaced(self, offsets: Tensor) -> Tensor:
        """Returns windows [N, 3, SIDE, SIDE], moved by offsets [N, 2] down and to the right."""
        pairs = zip(self.pixels, offsets.tolist(), strict=True)
        return torch.stack([p[:, y : y + SIDE, x : x + SIDE] for p, (y, x) in pairs])

    def accuracy_and_consistency(self, network: nn.Module, pairs: int) -> tuple[float, float]:
        """Returns the shares of right answers and of pairs with one answer (see the top)."""
        draw = torch.Generator().manual_seed(0)
        right, same = [], []
        for _ in range(pairs):
            offsets = torch.randint(SHIFTS, (2, len(self.labels), 2), generator=draw)
            one, other = (answers(network, self.displaced(entry)) for entry in offsets)
            right += [(one == self.labels).float(), (other == self.labels).float()]
            same.append((one == other).float())
        return torch.cat(right).mean().item(), torch.cat(same).mean().item()

    def consistency_by_distance(self, network: nn.Module) -> list[float]:
        """Returns the share of windows that keep their answer so many pixels to the right."""
        offsets = torch.zeros(len(self.labels), 2, dtype=torch.long)
        first, *others = [
            answers(network, self.displaced(offsets + torch.tensor([0, distance])))
            for distance in DISTANCES
        ]
        return [1.0] + [(first == other).float().mean().item() for other in others]


def answers(network: nn.Module, images: Tensor) -> Tensor:
    """Returns the class numbers a network gives, in eval mode."""
    network.eval()
    with torch.inference_mode():
        return torch.cat([network(batch).argmax(1) for batch in images.split(200)])


# --- training -------------------------------------------------------------------------------------


@dataclass
class Run:
    """One network: its accuracy and consistency from epoch 0 (before training) on."""

    accuracy: list[float] = field(default_factory=list)
    consistency: list[float] = field(default_factory=list)
    by_distance: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def measure(self, network: nn.Module, windows: TestWindows, pairs: int) -> None:
        """Adds one point."""
        accuracy, consistency = windows.accuracy_and_consistency(network, pairs)
        self.accuracy.append(accuracy)
        self.consistency.append(consistency)


def training_set(seed: int, per_class: int) -> tuple[Tensor, Tensor]:
    """Returns (images [N, 3, SIDE, SIDE], labels [N]), the middles of the demo's patches."""
    pixels, classes = training_patches(per_class, np.random.default_rng(seed))
    edge = (PATCH - SIDE) // 2
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return images[:, :, edge : edge + SIDE, edge : edge + SIDE], torch.from_numpy(classes)


def train(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    rate: float,
    seed: int,
    windows: TestWindows | None = None,
) -> Run:
    """Trains a network; with windows, measures it before and after each epoch."""
    torch.manual_seed(seed)
    run = Run()
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-2)
    steps = -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=epochs * steps, pct_start=0.1
    )
    for epoch in range(epochs):
        if windows is not None:
            run.measure(network, windows, pairs=2 if epoch else ENDS)
        begun = time.perf_counter()
        network.train()
        for chosen in torch.randperm(len(images)).split(BATCH):
            scores = network(augmented(images[chosen]))
            loss = F.cross_entropy(scores, labels[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        run.seconds += time.perf_counter() - begun
    if windows is not None:
        run.measure(network, windows, pairs=ENDS)
        run.by_distance = windows.consistency_by_distance(network)
    return run


def compared(
    recipes: Sequence[str], seed: int, epochs: tuple[int, int], per_class: int, every: int
) -> dict[str, Run]:
    """Returns {"as it was" and each recipe: its fine-tuning} of one trained network."""
    images, labels = training_set(seed, per_class)
    windows = TestWindows(every)
    torch.manual_seed(seed)
    trained = SmallResNet()
    train(trained, images, labels, epochs=epochs[0], rate=BASE_RATE, seed=seed)
    runs = {}
    for recipe in ("as it was", *recipes):
        network = copy.deepcopy(trained)
        if recipe != "as it was":
            report = freqops.antialias(network, recipe, example=images[:2])
            if seed == 0:
                print(report, flush=True)
        runs[recipe] = train(
            network,
            images,
            labels,
            epochs=epochs[1],
            rate=TUNING_RATE,
            seed=seed + 1000,
            windows=windows,
        )
        print(f"seed {seed}, {recipe}: {_shares(runs[recipe])}", flush=True)
    return runs


# --- what is shown --------------------------------------------------------------------------------


def _shares(run: Run) -> str:
    return (
        f"accuracy {100 * run.accuracy[0]:.1f} -> {100 * run.accuracy[-1]:.1f} %, "
        f"consistency {100 * run.consistency[0]:.1f} -> {100 * run.consistency[-1]:.1f} %, "
        f"{run.seconds:.0f} s"
    )


def summary(runs: Sequence[dict[str, Run]]) -> str:
    """Returns a table: means over the seeds, and the paired differences to the plain network."""
    lines = [f"{'fine-tuned':12s} {'accuracy':>9s} {'':14s} {'consistency':>12s}"]
    for recipe in runs[0]:
        cells = [f"{recipe:12s}"]
        for name, width in (("accuracy", 9), ("consistency", 12)):
            last = [100 * getattr(run[recipe], name)[-1] for run in runs]
            plain = [100 * getattr(run["as it was"], name)[-1] for run in runs]
            cells.append(f"{statistics.mean(last):{width}.1f}")
            gains = [a - b for a, b in zip(last, plain, strict=True)]
            cells.append(" " * 14 if recipe == "as it was" else f"({_spread(gains)})".ljust(14))
        lines.append(" ".join(cells).rstrip())
    note = "percent after fine-tuning, mean of {} seeds (difference to the plain one ± its s. d.)"
    return "\n".join([*lines, note.format(len(runs))])


def _spread(values: Sequence[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):+.1f} ± {deviation:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("finetuned"), help="where the files go")
    parser.add_argument("--recipes", nargs="+", default=["zhang"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--epochs", type=int, nargs=2, default=(20, 12), help="training, tuning")
    parser.add_argument("--per-class", type=int, default=PATCHES_PER_CLASS)
    parser.add_argument("--every", type=int, default=1, help="one of so many test places")
    arguments = parser.parse_args()
    runs = [
        compared(
            arguments.recipes, seed, tuple(arguments.epochs), arguments.per_class, arguments.every
        )
        for seed in range(arguments.seeds)
    ]
    arguments.out.mkdir(parents=True, exist_ok=True)
    records = [{name: asdict(run) for name, run in seed.items()} for seed in runs]
    (arguments.out / "finetuned.json").write_text(json.dumps(records, indent=1) + "\n")
    save_figure(figure(records, DISTANCES), arguments.out / "finetuned.png")
    print(summary(runs))


if __name__ == "__main__":
    main()
