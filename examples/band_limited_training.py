"""What does a network lose that sees low frequencies only? Trains one at several compressions.

    pip install scikit-image scikit-learn
    python examples/band_limited_training.py --out band_limited

A small convolutional network learns to tell ten photographs apart by 32x32 patches of them: as it
is, and with the convolutions of `freqops.band_limit(network, c)`, which leave a share c of the area
of the spectra of maps and kernels out (Dziedzic et al. 2019, https://arxiv.org/abs/1911.09287). All
networks of a seed begin with the same weights and see the same batches. Patches come from the
training halves of the demo's photographs, accuracy is that on windows of their test halves. Beside
it stands the accuracy of the unconverted network when it is cut after its training.

Time is that of a training step, all networks taking their steps in turns. Memory is what a step on
a large batch takes more than the process had before, at most: counted by the system in a process of
its own, so that nothing else is in it; on a GPU by torch. Kept is what the forward pass leaves
behind for the backward pass. No network, about ten minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from band_limited_figure import figure
from finetune_antialiased import SIDE, TestWindows, training_set
from torch import Tensor, nn
from train_demo import augmented

import freqops
from freqops.demo import CLASSES
from freqops.plots import save_figure

COMPRESSIONS = (0.0, 0.25, 0.5, 0.75)  # with 0 the network is not converted
BATCH, RATE, PATCHES_PER_CLASS = 64, 3e-3, 200
MEMORY_BATCH = 256
ROUNDS = 30  # of steps that are timed
_STATUS = Path("/proc/self/status")


class SmallCNN(nn.Module):
    """Three stages of two 3x3 convolutions at 32, 16 and 8 pixels."""

    def __init__(self, classes: int = len(CLASSES), width: int = 16) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        inputs = 3
        for outputs in (width, 2 * width, 4 * width):
            for _ in range(2):
                conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
                stages += [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
                inputs = outputs
            stages.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*stages)
        self.head = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores [N, classes] for pixels [N, 3, H, W] in [0, 1]."""
        scores: Tensor = self.head(self.features((images - 0.45) / 0.25).mean((2, 3)))
        return scores


@dataclass
class Run:
    """One network.

    Attributes:
        accuracy: on the test windows, after each epoch.
        cut_afterwards: that of the unconverted network, cut to the same band after its training.
        step_milliseconds: median of training steps.
        peak_megabytes: memory that a step takes at most.
        kept_megabytes: of it, what is kept for the backward pass.
    """

    accuracy: list[float] = field(default_factory=list)
    cut_afterwards: float = 0.0
    step_milliseconds: float = 0.0
    peak_megabytes: float = 0.0
    kept_megabytes: float = 0.0


def converted(network: nn.Module, compression: float, device: str = "cpu") -> nn.Module:
    """Returns the network, band-limited in place unless nothing is to be cut."""
    if compression:
        freqops.band_limit(network, compression, example=torch.rand(2, 3, SIDE, SIDE).to(device))
    return network


# --- accuracy -------------------------------------------------------------------------------------


def windows(every: int) -> tuple[Tensor, Tensor]:
    """Returns (images, labels) of the test halves, one of so many places."""
    found = TestWindows(every)
    return found.displaced(torch.zeros(len(found.labels), 2, dtype=torch.long)), found.labels


def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Returns the share of right answers, in eval mode."""
    network.eval()
    device = next(network.parameters()).device
    with torch.inference_mode():
        answers = [network(batch.to(device)).argmax(1).cpu() for batch in images.split(200)]
    return (torch.cat(answers) == labels).float().mean().item()


def train(
    network: nn.Module,
    training: tuple[Tensor, Tensor],
    testing: tuple[Tensor, Tensor],
    *,
    epochs: int,
    seed: int,
) -> Run:
    """Trains a network and measures it after each epoch."""
    torch.manual_seed(seed)
    images, labels = training
    device = next(network.parameters()).device
    run = Run()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=epochs * -(-len(images) // BATCH), pct_start=0.2
    )
    for _ in range(epochs):
        network.train()
        for chosen in torch.randperm(len(images)).split(BATCH):
            batch, wanted = augmented(images[chosen]).to(device), labels[chosen].to(device)
            step(network, batch, wanted, optimizer)
            schedule.step()
        run.accuracy.append(accuracy(network, *testing))
    return run


def step(
    network: nn.Module, images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer
) -> None:
    """One step of an optimizer, waited for."""
    optimizer.zero_grad()
    F.cross_entropy(network(images), labels, label_smoothing=0.05).backward()
    optimizer.step()
    if images.is_cuda:
        torch.cuda.synchronize()


# --- time and memory ------------------------------------------------------------------------------


def step_times(width: int, rounds: int, device: str) -> list[float]:
    """Returns the milliseconds of a training step at each compression, medians of steps in turn."""
    torch.manual_seed(0)
    start = SmallCNN(width=width).to(device)
    networks = [converted(copy.deepcopy(start), cut, device).train() for cut in COMPRESSIONS]
    optimizers = [torch.optim.AdamW(network.parameters()) for network in networks]
    images = torch.rand(BATCH, 3, SIDE, SIDE).to(device)
    labels = torch.randint(len(CLASSES), (BATCH,)).to(device)
    spent: list[list[float]] = [[] for _ in networks]
    for turn in range(rounds + 2):
        for network, optimizer, times in zip(networks, optimizers, spent, strict=True):
            begun = time.perf_counter()
            step(network, images, labels, optimizer)
            if turn > 1:  # what is made once is made
                times.append(1e3 * (time.perf_counter() - begun))
    return [statistics.median(times) for times in spent]


def memory(compression: float, width: int, batch: int, device: str) -> tuple[float, float]:
    """Returns (most that a step takes, what is kept for the backward pass) in megabytes."""
    torch.manual_seed(0)
    network = converted(SmallCNN(width=width).to(device), compression, device)
    optimizer = torch.optim.AdamW(network.parameters())
    images, labels = torch.rand(batch, 3, SIDE, SIDE, device=device), torch.zeros(batch).long()
    labels = labels.to(device)
    step(network, images[:2], labels[:2], optimizer)  # what is made once is made
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    before = _peak(device, anew=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step(network, images, labels, optimizer)
    amount = sum(nbytes for address, nbytes in kept.items() if address not in own)
    return _peak(device) - before, amount / 2**20


def _peak(device: str, *, anew: bool = False) -> float:
    """Returns the most megabytes that were taken so far, or since this was called with anew."""
    if device != "cpu":
        if anew:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated() / 2**20
    if not _STATUS.exists():  # not Linux: the most since the process began
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    # Not getrusage: a process begins with the peak of the one that started it.
    if anew:
        _STATUS.with_name("clear_refs").write_text("5")
    (line,) = [line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def memory_alone(compression: float, width: int, batch: int, device: str) -> tuple[float, float]:
    """Returns :func:`memory`, measured in a new process."""
    # glibc then gives a freed tensor back at once: the peak is that of the live ones.
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "65536")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(memory, compression, width, batch, device).result()


# --- all of it ------------------------------------------------------------------------------------


def compared(seed: int, arguments: argparse.Namespace) -> dict[str, Run]:
    """Returns {compression in percent: its training}, from the same weights on the same batches."""
    training = training_set(seed, arguments.per_class)
    testing = windows(arguments.every)
    torch.manual_seed(seed)
    start = SmallCNN(width=arguments.width).to(arguments.device)
    runs: dict[str, Run] = {}
    plain = copy.deepcopy(start)
    for compression in COMPRESSIONS:
        network = converted(copy.deepcopy(start), compression, arguments.device)
        run = train(network, training, testing, epochs=arguments.epochs, seed=seed)
        if not compression:
            plain = network
        cut = converted(copy.deepcopy(plain), compression, arguments.device)
        run.cut_afterwards = accuracy(cut, *testing)
        runs[f"{100 * compression:.0f}"] = run
        print(f"seed {seed}, {100 * compression:.0f} % cut: {_words(run)}", flush=True)
    return runs


def _words(run: Run) -> str:
    after = f"cut after training {100 * run.cut_afterwards:.1f} %"
    return f"accuracy {100 * run.accuracy[-1]:.1f} %, {after}"


def summary(records: Sequence[dict[str, Run]]) -> str:
    """Returns a table: means over the seeds, and their standard deviations."""
    header = ("cut", "accuracy", "cut afterwards", "ms a step", "peak MiB", "kept MiB")
    lines = ["  ".join(f"{name:>14s}" for name in header)]
    for cut in records[0]:
        runs = [record[cut] for record in records]
        cells = [
            f"{cut} %",
            _mean([100 * run.accuracy[-1] for run in runs]),
            _mean([100 * run.cut_afterwards for run in runs]),
            f"{runs[0].step_milliseconds:.1f}",
            f"{runs[0].peak_megabytes:.1f}",
            f"{runs[0].kept_megabytes:.1f}",
        ]
        lines.append("  ".join(f"{cell:>14s}" for cell in cells))
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    spread = f" +- {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


def measure(record: dict[str, Run], arguments: argparse.Namespace) -> None:
    """Adds time and memory, which do not depend on the seed."""
    times = step_times(arguments.width, arguments.rounds, arguments.device)
    for (cut, run), milliseconds in zip(record.items(), times, strict=True):
        run.step_milliseconds = milliseconds
        numbers = (float(cut) / 100, arguments.width, MEMORY_BATCH, arguments.device)
        run.peak_megabytes, run.kept_megabytes = memory_alone(*numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("band_limited"), help="where files go")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--per-class", type=int, default=PATCHES_PER_CLASS)
    parser.add_argument("--every", type=int, default=1, help="one of so many test places")
    parser.add_argument("--width", type=int, default=16, help="channels of the first stage")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="steps that are timed")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    print(freqops.band_limit(SmallCNN(), 0.5, example=torch.rand(2, 3, SIDE, SIDE)), flush=True)
    records = [compared(seed, arguments) for seed in range(arguments.seeds)]
    measure(records[0], arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    content = [{cut: asdict(run) for cut, run in record.items()} for record in records]
    (arguments.out / "band_limited.json").write_text(json.dumps(content, indent=1) + "\n")
    save_figure(figure(content), arguments.out / "band_limited.png")
    print(summary(records))


if __name__ == "__main__":
    main()
