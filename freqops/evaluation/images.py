"""Data sets of images in memory, in folders, and behind torchvision's data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from freqops.evaluation.errors import InputError, first_line

Item = tuple[Tensor, int]


@dataclass(frozen=True)
class Geometry:
    """Resize the shorter side, then cut the centre; None leaves that step out."""

    resize: int | None = None
    crop: int | None = None

    def __call__(self, picture: Image.Image) -> Image.Image:
        """Returns the resized and cropped picture (bilinear, antialiased, as torchvision's)."""
        if self.resize is not None:
            width, height = picture.size
            scale = self.resize / min(width, height)
            size = (max(1, int(width * scale + 0.5)), max(1, int(height * scale + 0.5)))
            picture = picture.resize(size, Image.Resampling.BILINEAR)
        if self.crop is not None:
            width, height = picture.size
            left, top = (width - self.crop) // 2, (height - self.crop) // 2
            picture = picture.crop((left, top, left + self.crop, top + self.crop))
        return picture


def as_tensor(pixels: np.ndarray[Any, Any]) -> Tensor:
    """Returns uint8 [H, W, C] as float32 [C, H, W] in [0, 1]."""
    # copied: arrays from PIL are read-only, which torch doesn't take
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float().div_(255)


class ArrayImages(Dataset[Item]):
    """Images [N, H, W, C], uint8 or float in [0, 1], with one label each."""

    def __init__(self, images: np.ndarray[Any, Any], labels: Sequence[int]) -> None:
        self.images, self.labels = images, [int(label) for label in labels]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Item:
        image = self.images[index]
        if image.dtype == np.uint8:
            return as_tensor(image), self.labels[index]
        pixels = np.ascontiguousarray(image, dtype=np.float32)
        return torch.from_numpy(pixels).permute(2, 0, 1), self.labels[index]


class FolderImages(Dataset[Item]):
    """Pictures in FOLDER/CLASS/..., classes numbered in sorted order or by `class_index`."""

    def __init__(self, folder: Path, geometry: Geometry, class_index: dict[str, int] | None):
        self.geometry = geometry
        known = set(Image.registered_extensions())
        classes = sorted(entry for entry in folder.iterdir() if entry.is_dir())
        if not classes:
            raise InputError(f"data {folder}: the folder has no class subfolders")
        numbers = _class_numbers(folder, [entry.name for entry in classes], class_index)
        self.files: list[tuple[Path, int]] = []
        for entry in classes:
            pictures = sorted(p for p in entry.rglob("*") if p.suffix.lower() in known)
            self.files += [(picture, numbers[entry.name]) for picture in pictures]
        if not self.files:
            raise InputError(f"data {folder}: the class subfolders hold no images")
        self.class_names: list[str] = [""] * (max(numbers.values()) + 1)
        for name, number in numbers.items():
            self.class_names[number] = name
        self._check_sizes()

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Item:
        path, label = self.files[index]
        try:
            with Image.open(path) as picture:
                pixels = np.asarray(self.geometry(picture.convert("RGB")))
        except Exception as error:
            raise InputError(
                f"data: {path} can't be read as an image ({_reason(error)})"
            ) from error
        return as_tensor(pixels), label

    def _check_sizes(self) -> None:
        """Reads every header now, so that a bad file shows before hours of evaluation."""
        common: tuple[tuple[int, int], Path] | None = None
        for path, _ in self.files:
            try:
                with Image.open(path) as picture:
                    size = picture.size
            except Exception as error:
                raise InputError(
                    f"data: {path} can't be read as an image ({_reason(error)})"
                ) from error
            if self.geometry.crop is not None:
                continue
            if common is not None and size != common[0]:
                raise InputError(
                    f"data: images differ in size ({common[1]} is {_by(common[0])}, {path} is "
                    f"{_by(size)}); give an image size to cut all of them to"
                )
            common = common or (size, path)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _reason(error: Exception) -> str:
    if "cannot identify" in str(error):
        return "no known image format"
    return first_line(error)


def _class_numbers(
    folder: Path, names: list[str], class_index: dict[str, int] | None
) -> dict[str, int]:
    if class_index is None:
        return {name: number for number, name in enumerate(names)}
    missing = [name for name in names if name not in class_index]
    if missing:
        raise InputError(f"data {folder}: the class index has no entry for folder {missing[0]!r}")
    return {name: class_index[name] for name in names}


class PictureImages(Dataset[Item]):
    """A data set of (PIL picture, label), as torchvision's, turned into tensors."""

    def __init__(self, pictures: Any, geometry: Geometry) -> None:
        self.pictures, self.geometry = pictures, geometry

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Item:
        picture, label = self.pictures[index]
        picture = self.geometry(picture)
        picture = picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
        pixels = np.asarray(picture)
        return as_tensor(pixels[..., None] if pixels.ndim == 2 else pixels), int(label)
