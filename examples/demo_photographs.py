"""Cuts the photographs of the embedded default into a training half and a test half.

The photographs come with scikit-image and scikit-learn, so nothing is downloaded. Their sources
and licences stand in freqops/demo/README.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage
import sklearn
from PIL import Image

from freqops.demo import CLASSES, PATCH

#: Pixels between the two halves that belong to neither.
GAP = 16
TEST_PATCHES = 120
#: Patches of less contrast (standard deviation of the grey values, 0 to 255) are left out:
#: bare sky and bare background look the same in every photograph.
LEAST_CONTRAST = 12.0

SKIMAGE = Path(skimage.__file__).parent / "data"
SKLEARN = Path(sklearn.__file__).parent / "datasets" / "images"


@dataclass(frozen=True)
class Photograph:
    """One photograph: its file, which axis is cut in two, and what is cut off before.

    Attributes:
        file: path inside the installed package.
        axis: 0 cuts into an upper and a lower half, 1 into a left and a right half.
        columns: only these columns are used.
        reduce: shrink by this whole number.
    """

    file: Path
    axis: int
    columns: tuple[int, int] | None = None
    reduce: int = 1

    def halves(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns (training half, test half), uint8 [H, W, 3], GAP pixels apart."""
        with Image.open(self.file) as picture:
            picture = picture.convert("RGB")
            pixels = np.asarray(picture.reduce(self.reduce) if self.reduce > 1 else picture)
        if self.columns is not None:
            pixels = pixels[:, self.columns[0] : self.columns[1]]
        middle, length = pixels.shape[self.axis] // 2, pixels.shape[self.axis]
        return (
            np.take(pixels, range(middle - GAP // 2), self.axis),
            np.take(pixels, range(middle + GAP // 2, length), self.axis),
        )


PHOTOGRAPHS = {
    "brick": Photograph(SKIMAGE / "brick.png", axis=1),
    "cat": Photograph(SKIMAGE / "chelsea.png", axis=1),
    "coffee": Photograph(SKIMAGE / "coffee.png", axis=1),
    "coins": Photograph(SKIMAGE / "coins.png", axis=0),
    "dahlia": Photograph(SKLEARN / "flower.jpg", axis=1),
    "galaxies": Photograph(SKIMAGE / "hubble_deep_field.jpg", axis=0, columns=(0, 640)),
    "grass": Photograph(SKIMAGE / "grass.png", axis=1),
    "gravel": Photograph(SKIMAGE / "gravel.png", axis=1),
    # the pagoda stands left of the middle of its photograph
    "pagoda": Photograph(SKLEARN / "china.jpg", axis=1, columns=(40, 372)),
    "retina": Photograph(SKIMAGE / "retina.jpg", axis=0, reduce=2),
}
assert tuple(PHOTOGRAPHS) == CLASSES


def contrast(patch: np.ndarray) -> float:
    """Returns the standard deviation of a patch's grey values."""
    return float(patch.mean(2).std())


def test_corners(half: np.ndarray) -> list[tuple[int, int]]:
    """Returns (top, left) of TEST_PATCHES patches, spread evenly over the half.

    The grid is as coarse as it can be; in the smaller photographs neighbouring patches overlap.
    """
    for step in range(PATCH, 1, -2):
        tops = range(0, half.shape[0] - PATCH + 1, step)
        lefts = range(0, half.shape[1] - PATCH + 1, step)
        corners = [
            (top, left)
            for top in tops
            for left in lefts
            if contrast(half[top : top + PATCH, left : left + PATCH]) >= LEAST_CONTRAST
        ]
        if len(corners) >= TEST_PATCHES:
            chosen = np.linspace(0, len(corners) - 1, TEST_PATCHES).round().astype(int)
            return [corners[i] for i in chosen]
    raise ValueError(f"a half of {half.shape[:2]} pixels holds no {TEST_PATCHES} patches")


def training_patches(per_class: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns (patches uint8 [N, PATCH, PATCH, 3], labels [N]) from random places."""
    patches, labels = [], []
    for label, photograph in enumerate(PHOTOGRAPHS.values()):
        half, _ = photograph.halves()
        found = 0
        while found < per_class:
            top = int(draw.integers(half.shape[0] - PATCH + 1))
            left = int(draw.integers(half.shape[1] - PATCH + 1))
            patch = half[top : top + PATCH, left : left + PATCH]
            if contrast(patch) >= LEAST_CONTRAST:
                patches.append(patch)
                labels.append(label)
                found += 1
    return np.stack(patches), np.array(labels)
