"""Images stored as arrays: .npz files and CIFAR's own files."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from freqops.evaluation.errors import InputError, first_line

Stored = tuple[np.ndarray[Any, Any], list[int], list[str] | None]

#: (images, labels) under the names people save them by: ours, MedMNIST's, Keras'.
NAMES = (
    ("images", "labels"),
    ("test_images", "test_labels"),
    ("x_test", "y_test"),
    ("x", "y"),
)


def read_npz(path: Path) -> Stored:
    """Returns (images [N, H, W, C], labels, class names) of an .npz file.

    Images may be uint8 or floating point in [0, 1], [N, H, W], [N, H, W, C] or [N, C, H, W] with
    C = 1 or 3. An optional array `classes` names the classes.

    Raises:
        InputError: no such file, not an archive, arrays missing or not fitting together.
    """
    if not path.exists():
        raise InputError(f"data {path}: no such file or folder")
    try:
        with np.load(path, allow_pickle=False) as archive:
            held = {name: archive[name] for name in archive.files}
    except Exception as error:
        raise InputError(f"data {path}: can't be read as .npz ({first_line(error)})") from error
    found = next((pair for pair in NAMES if pair[0] in held and pair[1] in held), None)
    if found is None:
        raise InputError(
            f"data {path}: needs arrays 'images' and 'labels', it holds {', '.join(held) or 'none'}"
        )
    images, labels = held[found[0]], held[found[1]]
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"data {path}: labels must be whole numbers [N], got {labels.dtype} "
            f"{list(labels.shape)}"
        )
    if len(images) != len(labels):
        raise InputError(f"data {path}: {len(images)} images but {len(labels)} labels")
    names = [str(name) for name in held["classes"]] if "classes" in held else None
    return _channels_last(images, path), labels.tolist(), names


def _channels_last(images: np.ndarray[Any, Any], path: Path) -> np.ndarray[Any, Any]:
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not {images.shape[1], images.shape[3]} & {1, 3}:
        raise InputError(
            f"data {path}: images must be [N, H, W], [N, H, W, C] or [N, C, H, W] with 1 or 3 "
            f"channels, got {list(images.shape)}"
        )
    if images.shape[3] not in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError(f"data {path}: images must be uint8 or floating point, got {images.dtype}")
    if images.size and not (np.nanmin(images) >= 0 and np.nanmax(images) <= 1):
        raise InputError(
            f"data {path}: floating-point images must lie in [0, 1], got "
            f"{np.nanmin(images):g} to {np.nanmax(images):g}"
        )
    return images


CIFAR = {
    "CIFAR10": ("cifar-10-batches-py", "test_batch", "batches.meta", "labels", "label_names"),
    "CIFAR100": ("cifar-100-python", "test", "meta", "fine_labels", "fine_label_names"),
}


class _ArraysOnly(pickle.Unpickler):
    """Unpickles numpy arrays and plain containers; any other class is refused.

    CIFAR comes as Python pickles, which could otherwise run code.
    """

    ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR file")
        return super().find_class(module, name)


def _unpickled(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        content = _ArraysOnly(file, encoding="bytes").load()
    return {key.decode() if isinstance(key, bytes) else key: v for key, v in content.items()}


def cifar_on_disk(name: str, root: Path) -> Stored:
    """Returns the test images, labels and class names of CIFAR's "python version" under `root`.

    Raises:
        InputError: the files aren't there or aren't CIFAR's.
    """
    folder, test, meta, label_key, names_key = CIFAR[name]
    inside = root if (root / test).exists() and root.name == folder else root / folder
    path = inside / test
    if not path.exists():
        raise InputError(f"data torchvision:{name}@{root}: there is no {path}")
    try:
        batch = _unpickled(path)
        pixels = np.asarray(batch["data"], dtype=np.uint8).reshape(-1, 3, 32, 32)
        labels = [int(label) for label in batch[label_key]]
        names = None
        if (inside / meta).exists():
            names = [
                entry.decode() if isinstance(entry, bytes) else str(entry)
                for entry in _unpickled(inside / meta)[names_key]
            ]
    except Exception as error:
        raise InputError(f"data: {path} can't be read as {name} ({first_line(error)})") from error
    if len(pixels) != len(labels):
        raise InputError(f"data: {path} holds {len(pixels)} images but {len(labels)} labels")
    return pixels.transpose(0, 2, 3, 1), labels, names
