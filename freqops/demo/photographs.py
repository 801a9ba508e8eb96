"""The test patches of the embedded default, cut from the photographs' test halves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from freqops.evaluation.images import ArrayImages

FOLDER = Path(__file__).parent

#: What each patch shows; the label is the position in this tuple.
CLASSES = (
    "brick",
    "cat",
    "coffee",
    "coins",
    "dahlia",
    "galaxies",
    "grass",
    "gravel",
    "pagoda",
    "retina",
)

#: Side of a patch in pixels.
PATCH = 48


def images(folder: Path = FOLDER) -> ArrayImages:
    """Returns the test patches: 120 per class, 48x48 RGB, in the order of `CLASSES`."""
    corners = json.loads((folder / "patches.json").read_text())
    patches, labels = [], []
    for label, name in enumerate(CLASSES):
        with Image.open(folder / f"{name}.png") as picture:
            half = np.asarray(picture.convert("RGB"))
        for top, left in corners[name]:
            patches.append(half[top : top + PATCH, left : left + PATCH])
            labels.append(label)
    return ArrayImages(np.stack(patches), labels)


def data(batch_size: int = 100) -> DataLoader[tuple[Tensor, int]]:
    """Returns batches of (images [N, 3, 48, 48] in [0, 1], labels [N])."""
    return DataLoader(images(), batch_size=batch_size)
