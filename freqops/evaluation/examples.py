"""A few images as the models saw them: untouched, low-passed and high-passed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, SequentialSampler

from freqops.evaluation.conditions import Condition, filter_settings
from freqops.evaluation.errors import InputError
from freqops.evaluation.metrics import logits
from freqops.evaluation.runner import (
    Model,
    Runner,
    device_of,
    evaluation_mode,
    named_models,
    normalizations,
)
from freqops.evaluation.sharding import Batch


@dataclass
class ExampleGrid:
    """Rows of images, columns of conditions, and one model's answer under each.

    Attributes:
        model: the model's name.
        conditions: columns: ("none", None), then low and high of each cutoff.
        images: [rows, columns, C, H, W], not clipped.
        labels: the right classes [rows].
        predictions: the model's classes [rows, columns].
        confidences: softmax probability of the predicted class [rows, columns].
        class_names: in the order of the model's outputs; None when the data don't say.
        unit: of the cutoffs.
        outputs: number of the model's classes.
    """

    model: str
    conditions: list[Condition]
    images: Tensor
    labels: Tensor
    predictions: Tensor
    confidences: Tensor
    class_names: list[str] | None
    unit: str
    outputs: int

    def class_name(self, number: int) -> str:
        """Returns a class's name, or its number."""
        if self.class_names is not None and number < len(self.class_names):
            return self.class_names[number] or str(number)
        return str(number)


def example_grid(
    models: Model | Mapping[str, Model],
    data: Iterable[Batch],
    cutoffs: Sequence[float],
    *,
    rows: int = 8,
    samples: int | None = None,
    unit: str = "bins",
    norm: str = "l2",
    kind: str = "ideal",
    inclusive: bool = False,
    order: int = 2,
    normalize: Any = None,
    device: torch.device | str | None = None,
    class_names: Sequence[str] | None = None,
) -> ExampleGrid:
    """Returns evenly spaced images of the data under each cutoff, with the first model's answers.

    The images are not picked by result: number `(i + 0.5) * samples / rows` for row i.

    Args:
        models: callable or {name: callable}, of which the first is shown.
        data: iterable of (images, labels).
        cutoffs: one pair of columns each (low, high).
        rows: number of images.
        samples: number of images in the data; None counts a sized data set, or takes the first
            images of any other iterable.
        unit: this and the rest as in :func:`freqops.evaluation.sweep`.
        norm: of the two axes' frequencies.
        kind: of filter.
        inclusive: whether a frequency equal to the cutoff is low.
        order: of the Butterworth filter.
        normalize: (mean, std) or {name: (mean, std)}.
        device: where to evaluate.
        class_names: in the order of the model's outputs.

    Raises:
        InputError: as the sweep.
    """
    filters = filter_settings(
        cutoffs,
        kinds=("low", "high"),
        unit=unit,
        norm=norm,
        kind=kind,
        inclusive=inclusive,
        order=order,
    )
    name, model = next(iter(named_models(models).items()))
    where = device_of({name: model}, device)
    own = normalize.get(name) if isinstance(normalize, Mapping) else normalize
    runner = Runner(name, model, normalizations(own, [name])[name], None)
    images, labels = _pick(data, rows, samples)
    images = images.to(where)
    with evaluation_mode({name: model}):
        shown = dict(filters.filtered(images))
        columns = [Condition("none", None)]
        columns += [Condition(band, c) for c in filters.cutoffs for band in ("low", "high")]
        chances = [logits(runner(shown[condition])).float().softmax(1) for condition in columns]
    confidence, predicted = torch.stack(chances, 1).max(2)
    return ExampleGrid(
        name,
        columns,
        torch.stack([shown[condition] for condition in columns], 1).cpu(),
        labels,
        predicted.cpu(),
        confidence.cpu(),
        None if class_names is None else list(class_names),
        unit,
        chances[0].shape[1],
    )


def _pick(data: Iterable[Batch], rows: int, samples: int | None) -> tuple[Tensor, Tensor]:
    """Returns the chosen images and labels, reading no more of the data than needed."""
    if isinstance(data, DataLoader) and isinstance(data.sampler, SequentialSampler):
        dataset: Any = data.dataset
        total = len(dataset)
        wanted = _evenly(rows, total)
        items = [dataset[i] for i in wanted]
        images_here, labels_here = data.collate_fn(items)
        return images_here, torch.as_tensor(labels_here).flatten().cpu()
    wanted = list(range(rows)) if samples is None else _evenly(rows, samples)
    images: list[Tensor] = []
    labels: list[Tensor] = []
    seen = 0
    for batch_images, batch_labels in data:
        here = [i - seen for i in wanted if seen <= i < seen + len(batch_images)]
        images += [batch_images[i] for i in here]
        labels += [torch.as_tensor(batch_labels)[i].flatten()[0] for i in here]
        seen += len(batch_images)
        if seen > wanted[-1]:
            break
    if not images:
        raise InputError("examples: data holds no images")
    return torch.stack(images), torch.stack(labels).cpu()


def _evenly(rows: int, total: int) -> list[int]:
    return sorted({int((i + 0.5) * total / rows) for i in range(rows)})
