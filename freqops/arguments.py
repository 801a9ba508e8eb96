"""The command line's arguments as values: texts in, numbers and names out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from freqops.evaluation import ImageData, InputError, LoadedModel, MacroAUC
from freqops.evaluation.conditions import default_cutoffs
from freqops.evaluation.images import Geometry
from freqops.evaluation.words import is_factory, made_by_factory
from freqops.filters import UNITS

#: Means and standard deviations that published weights were trained with.
PRESETS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}


def split_words(words: Sequence[str]) -> tuple[list[str], str]:
    """Returns (MODEL words, DATA word): the last of several words is DATA."""
    if len(words) > 1:
        return listed(words[:-1]) or ["demo"], words[-1]
    return listed(words) or ["demo"], "demo"


def listed(values: Sequence[str] | None) -> list[str]:
    """Returns the parts of repeated and comma-separated words."""
    return [part.strip() for value in values or () for part in value.split(",") if part.strip()]


def cutoff_list(text: str | None, data: ImageData, unit: str) -> list[float]:
    """Reads 4,8,12 or 4:28:4; without a text, cutoffs that suit the images' size."""
    if text is None:
        if data.size is None:
            raise InputError("cutoffs: give --cutoffs, the size of these images isn't known")
        if unit not in UNITS:
            raise InputError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
        return default_cutoffs(data.size, unit)
    numbers: list[float] = []
    try:
        for part in listed([text]):
            first, *rest = [float(number) for number in part.split(":")]
            if not rest:
                numbers.append(first)
                continue
            last, step = rest if len(rest) > 1 else (rest[0], 1.0)
            if step <= 0:
                raise ValueError
            count = int((last - first) / step + 1e-9) + 1
            numbers += [round(first + i * step, 9) for i in range(count)]
    except ValueError as error:
        raise InputError(f"cutoffs must look like 4,8,12 or 4:28:4, got {text!r}") from error
    return numbers


def normalization(
    preset: str, mean: str | None, std: str | None, models: dict[str, LoadedModel]
) -> dict[str, Any]:
    """Returns {model: (mean, std) or None} from --mean and --std, --normalize, or the weights."""
    if (mean is None) != (std is None):
        raise InputError("mean and std: give both --mean and --std, or neither")
    if mean is not None and std is not None:
        try:
            pair = tuple([float(v) for v in listed([side])] for side in (mean, std))
        except ValueError as error:
            raise InputError(f"mean and std must be numbers, got {mean!r} and {std!r}") from error
        return dict.fromkeys(models, pair)
    if preset == "auto":
        return {name: model.normalize for name, model in models.items()}
    if preset != "none" and preset not in PRESETS:
        known = ", ".join(PRESETS)
        raise InputError(f"normalize must be one of auto, none, {known}, got {preset!r}")
    return dict.fromkeys(models, PRESETS.get(preset))


def geometry(
    crop: int | None, resize: int | None, models: Sequence[LoadedModel]
) -> Geometry | None:
    """Returns the resize and crop asked for, else what the first weights were trained with."""
    for name, value in (("image-size", crop), ("resize", resize)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, got {value}")
    if crop is not None or resize is not None:
        return Geometry(resize if resize is not None else crop, crop)
    return next((model.geometry for model in models if model.geometry is not None), None)


def class_numbers(path: Path) -> dict[str, int]:
    """Reads {"folder": 3} or ImageNet's {"3": ["folder", "name"]}."""
    try:
        content = json.loads(path.read_text())
        if all(isinstance(value, list) for value in content.values()):
            return {str(value[0]): int(key) for key, value in content.items()}
        return {str(key): int(value) for key, value in content.items()}
    except FileNotFoundError as error:
        raise InputError(f"class-index {path}: no such file") from error
    except (ValueError, AttributeError, TypeError, IndexError) as error:
        raise InputError(f"class-index {path}: must be JSON, folder to number") from error


def metric_from(word: str) -> Any:
    """Returns what `sweep` takes as metric for accuracy, auc or a factory's word."""
    if word == "accuracy":
        return None
    if word == "auc":
        return {"auc": MacroAUC()}
    if is_factory(word):
        return {word.rpartition(":")[2]: made_by_factory(word, "metric")}
    raise InputError(f"metric must be accuracy, auc or package.module:factory, got {word!r}")


def taps_from(text: str | None) -> int | Tensor | None:
    """Reads how many taps, or the taps themselves: 5 or 0.25,0.5,0.25."""
    if text is None:
        return None
    try:
        if text.strip().isdigit():
            return int(text)
        taps = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(
            f"taps must be a number of taps or the taps, as 0.25,0.5,0.25, got {text!r}"
        ) from error
    if (
        not abs(sum(taps) - 1) < 1e-3
    ):  # another gain at every site: nobody's wish, and easily mistyped
        raise InputError(f"taps must add up to 1, got {text!r}, which adds up to {sum(taps):g}")
    return torch.tensor(taps)


def input_size(text: str | None, model: LoadedModel) -> tuple[int, ...] | None:
    """Reads 3,224,224, or 224 for pictures in colour; else the size the weights were trained with.

    Returns:
        The size of one input without the batch, None where nothing says it.
    """
    if text is None:
        side = None if model.geometry is None else model.geometry.crop
        return None if side is None else (3, side, side)
    try:
        size = tuple(int(part) for part in listed([text.replace("x", ",")]))
    except ValueError:
        size = ()
    if not size or min(size) < 1:
        raise InputError(f"input-size must look like 224 or 3,224,224, got {text!r}")
    return (3, size[0], size[0]) if len(size) == 1 else size
