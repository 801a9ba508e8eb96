"""Makes everything in freqops/demo/ from the photographs: test halves, patch list, trained CNN.

    pip install scikit-image scikit-learn
    python examples/train_demo.py

Takes a few minutes on one CPU core and no network. The seed is fixed, so the same torch on the same
kind of CPU ends with the same weights; elsewhere the accuracy differs by a fraction of a percent.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from demo_photographs import PHOTOGRAPHS, test_corners, training_patches
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader

from freqops.demo import CLASSES, DemoNet
from freqops.demo.photographs import FOLDER
from freqops.demo.photographs import images as test_images

SEED = 0
STEPS = 3000
BATCH = 64
PEAK_RATE = 3e-3
PATCHES_PER_CLASS = 1000


def write_test_halves(folder: Path) -> None:
    """Writes each class's test half as PNG, and where its test patches lie."""
    corners = {}
    for name, photograph in PHOTOGRAPHS.items():
        _, half = photograph.halves()
        grey = (half == half[..., :1]).all()
        picture = Image.fromarray(half[..., 0] if grey else half)
        picture.save(folder / f"{name}.png", optimize=True)
        corners[name] = test_corners(half)
    lines = [f'  "{name}": {json.dumps(entry)}' for name, entry in corners.items()]
    (folder / "patches.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def augmented(images: Tensor) -> Tensor:
    """Returns the batch flipped, some of it grey, with other brightness, contrast and tint.

    Colour alone would tell half of the classes apart, so it is made unreliable: the network has to
    look at texture, which is what a frequency sweep is about.
    """
    count = len(images)
    if torch.rand(()) < 0.5:
        images = images.flip(3)
    if torch.rand(()) < 0.3:
        images = images.flip(2)
    luma = images.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    grey = (images * luma).sum(1, keepdim=True)
    images = torch.where(torch.rand(count, 1, 1, 1) < 0.3, grey, images)
    mean = images.mean((2, 3), keepdim=True)
    contrast = 1 + 0.3 * (2 * torch.rand(count, 1, 1, 1) - 1)
    tint = 1 + 0.3 * (2 * torch.rand(count, 3, 1, 1) - 1)
    brightness = 0.15 * (2 * torch.rand(count, 1, 1, 1) - 1)
    return ((images - mean) * contrast + mean * tint + brightness).clamp(0, 1)


def trained(steps: int) -> DemoNet:
    """Returns the network after `steps` steps on patches of the training halves."""
    pixels, classes = training_patches(PATCHES_PER_CLASS, np.random.default_rng(SEED))
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(classes)
    torch.manual_seed(SEED)
    network = DemoNet(len(CLASSES))
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    start = time.monotonic()
    for step in range(1, steps + 1):
        chosen = torch.randint(len(images), (BATCH,))
        scores = network(augmented(images[chosen]))
        loss = F.cross_entropy(scores, labels[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 250 == 0:
            print(f"step {step}: loss {loss.item():.3f}, {time.monotonic() - start:.0f} s")
    return network.eval()


def accuracy(network: DemoNet, folder: Path) -> list[float]:
    """Returns the share of right answers per class on the test patches."""
    right, seen = torch.zeros(len(CLASSES)), torch.zeros(len(CLASSES))
    with torch.inference_mode():
        for images, labels in DataLoader(test_images(folder), batch_size=100):
            hits = network(images).argmax(1) == labels
            right += torch.bincount(labels[hits], minlength=len(CLASSES))
            seen += torch.bincount(labels, minlength=len(CLASSES))
    return (right / seen).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the files go")
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # one thread sums in one order: the run can be repeated
    write_test_halves(arguments.out)
    network = trained(arguments.steps)
    save_file(network.state_dict(), arguments.out / "demo_net.safetensors")
    shares = accuracy(network, arguments.out)
    for name, share in zip(CLASSES, shares, strict=True):
        print(f"{name:10s} {100 * share:5.1f} %")
    print(f"{'mean':10s} {100 * sum(shares) / len(shares):5.1f} %")


if __name__ == "__main__":
    main()
