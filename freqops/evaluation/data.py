"""From the command line's DATA word to batches of (images in [0, 1], labels)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

from freqops.evaluation.errors import InputError
from freqops.evaluation.images import ArrayImages, FolderImages, Geometry, PictureImages
from freqops.evaluation.sharding import Batch
from freqops.evaluation.stored import cifar_on_disk, read_npz
from freqops.evaluation.words import is_factory, made_by_factory, nearest, optional_import

FORMS = "demo, a folder, torchvision:NAME@ROOT, FILE.npz or package.module:factory"


@dataclass
class ImageData:
    """Images to evaluate on.

    Attributes:
        name: short name for tables.
        batches: iterable of (images [N, C, H, W] in [0, 1], labels [N]).
        class_names: in the order of the labels; None when the data don't say.
        samples: number of images; None when the data don't say.
        size: (height, width) of the images; None when not known before reading them.
    """

    name: str
    batches: Iterable[Batch]
    class_names: list[str] | None = None
    samples: int | None = None
    size: tuple[int, int] | None = None


def load_data(
    word: str = "demo",
    *,
    batch_size: int = 64,
    workers: int | None = None,
    geometry: Geometry | None = None,
    limit: int | None = None,
    class_index: dict[str, int] | None = None,
) -> ImageData:
    """Returns the images a DATA word stands for.

    Args:
        word: "demo" | a folder with one subfolder per class | "torchvision:CIFAR10@ROOT" (read
            from the files under ROOT; nothing is downloaded) | "file.npz" with images and labels |
            "package.module:factory", a function without arguments that returns a Dataset or an
            iterable of batches.
        batch_size: images per batch (a factory's own batches keep theirs).
        workers: processes that decode images; None is up to four for a folder, none else.
        geometry: resize and centre crop for pictures in files; None takes them as they are.
        limit: evaluate so many images, evenly spaced over the data.
        class_index: {class folder: the model's output number}; None numbers the sorted folders.

    Raises:
        InputError: in one sentence, whatever is wrong with the data.
    """
    if batch_size < 1:
        raise InputError(f"data: batch size must be at least 1, got {batch_size}")
    if limit is not None and limit < 1:
        raise InputError(f"data: limit must be at least 1, got {limit}")
    name, images, class_names = _open(word, geometry or Geometry(), class_index)
    if not isinstance(images, Dataset) or isinstance(images, IterableDataset | DataLoader):
        if limit is not None:
            raise InputError(f"data {word}: a limit needs a Dataset, the factory made batches")
        return _batches(name, images)
    samples = len(images)  # type: ignore[arg-type]
    if samples == 0:
        raise InputError(f"data {word}: there are no images")
    if limit is not None and limit < samples:
        chosen = np.linspace(0, samples - 1, limit).round().astype(int).tolist()
        images, samples = Subset(images, chosen), limit
    if workers is None:
        workers = min(4, os.cpu_count() or 1) if isinstance(images, FolderImages) else 0
    first = images[0][0]
    loader = DataLoader(
        images, batch_size=batch_size, num_workers=workers, pin_memory=torch.cuda.is_available()
    )
    return ImageData(name, loader, class_names, samples, _size(first))


def _size(image: Any) -> tuple[int, int] | None:
    known = isinstance(image, Tensor) and image.dim() >= 2
    return (int(image.shape[-2]), int(image.shape[-1])) if known else None


def _batches(name: str, batches: Any) -> ImageData:
    """Wraps a factory's own iterable of batches."""
    if not isinstance(batches, Iterable):
        raise InputError(
            f"data {name}: the factory must return a Dataset or an iterable of (images, labels), "
            f"got {type(batches).__name__}"
        )
    dataset = getattr(batches, "dataset", None)
    samples = len(dataset) if hasattr(dataset, "__len__") else None  # type: ignore[arg-type]
    names = getattr(dataset, "classes", getattr(batches, "classes", None))
    return ImageData(name, batches, None if names is None else [str(n) for n in names], samples)


def _open(
    word: str, geometry: Geometry, class_index: dict[str, int] | None
) -> tuple[str, Any, list[str] | None]:
    """Returns (name, dataset or iterable of batches, class names)."""
    if word == "demo":
        from freqops import demo

        return "demo", demo.images(), list(demo.CLASSES)
    if word.startswith("torchvision:"):
        return _torchvision(word, geometry)
    path = Path(word).expanduser()
    if path.suffix == ".npz":
        pixels, labels, names = read_npz(path)
        return path.stem, ArrayImages(pixels, labels), names
    if path.is_dir():
        folder = FolderImages(path, geometry, class_index)
        return path.name or str(path), folder, folder.class_names
    if path.exists():
        raise InputError(f"data {word}: is neither a folder nor an .npz file")
    if is_factory(word):
        made = made_by_factory(word, "data")
        names = getattr(made, "classes", None)
        return word, made, None if names is None else [str(name) for name in names]
    looks_like_path = os.sep in word or path.suffix != ""
    hint = "" if looks_like_path else f"; DATA is {FORMS}{nearest(word, ['demo'])}"
    raise InputError(f"data {word}: no such file or folder{hint}")


def _torchvision(word: str, geometry: Geometry) -> tuple[str, Any, list[str] | None]:
    """Opens the test part of a torchvision data set; CIFAR files are read without torchvision."""
    name, at, root = word.removeprefix("torchvision:").partition("@")
    if not at or not root:
        raise InputError(f"data {word}: say where the files are, torchvision:{name}@FOLDER")
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise InputError(f"data {word}: there is no folder {root}")
    if name in ("CIFAR10", "CIFAR100"):
        pixels, labels, names = cifar_on_disk(name, folder)
        return name, ArrayImages(pixels, labels), names
    datasets = optional_import("torchvision.datasets", f"data {word}")
    if name not in datasets.__all__:
        raise InputError(
            f"data {word}: torchvision has no data set {name!r}{nearest(name, datasets.__all__)}"
        )
    pictures = _test_part(getattr(datasets, name), folder, word)
    classes: Sequence[Any] | None = getattr(pictures, "classes", None)
    names = None if classes is None else [str(c) for c in classes]
    return name, PictureImages(pictures, geometry), names


def _test_part(make: Any, folder: Path, word: str) -> Any:
    """Calls a torchvision data set with whichever of its two words means "test"."""
    last: Exception | None = None
    for choice in ({"train": False}, {"split": "test"}, {"split": "val"}, {}):
        try:
            return make(str(folder), **choice)
        except (TypeError, ValueError) as error:  # another spelling of "test"
            last = error
        except Exception as error:
            last = error
            break
    reason = str(last).splitlines()[0] if str(last) else type(last).__name__
    raise InputError(f"data {word}: {reason.rstrip('.')}") from last
