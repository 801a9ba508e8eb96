"""Accuracy on low- and high-passed images, cutoff by cutoff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from freqops.evaluation.checkpoint import Checkpoint, model_digest
from freqops.evaluation.conditions import filter_settings
from freqops.evaluation.errors import InputError
from freqops.evaluation.evaluator import Evaluator
from freqops.evaluation.metrics import metric_factory, metric_name
from freqops.evaluation.result import SweepResult
from freqops.evaluation.runner import (
    Model,
    Runner,
    autocast_dtype,
    device_of,
    evaluation_mode,
    named_models,
    normalizations,
)
from freqops.evaluation.sharding import Batch, batch_count, check_order, world


def sweep(
    models: Model | Mapping[str, Model],
    data: Iterable[Batch],
    cutoffs: Iterable[float] | Tensor | float,
    *,
    unit: str = "bins",
    kinds: Sequence[str] | str = ("low", "high"),
    norm: str = "l2",
    kind: str = "ideal",
    inclusive: bool = False,
    order: int = 2,
    metric: Any = None,
    normalize: Any = None,
    device: torch.device | str | None = None,
    autocast: torch.dtype | str | bool | None = None,
    max_batches: int | None = None,
    progress: bool = True,
    resume: str | Path | None = None,
    save_every: float = 30.0,
    keep_predictions: bool = False,
    class_names: Sequence[str] | None = None,
) -> SweepResult:
    """Returns each model's accuracy on every low- and high-passed version of the images.

    The experiment of Wang et al., "High-Frequency Component Helps Explain the Generalization of
    Convolutional Neural Networks" (https://arxiv.org/abs/1905.13545): how much of a network's
    accuracy rests on frequencies below a radius, how much on those above. Each batch is filtered
    once for all cutoffs, kinds and models, by one forward transform (several where all filtered
    images of a batch take more than 1 GiB); the unfiltered images are evaluated too. Values of
    filtered pixels may leave [0, 1]; they are not clipped.

    Under torch.distributed each process evaluates every world-size-th batch and all of them return
    the totals, equal to one process's. Every process must pass the same arguments.

    Args:
        models: callable or {name: callable}. Modules run in eval mode without gradients and get
            their training flags back; `device` moves them.
        data: iterable of (images [N, C, H, W] floating point in [0, 1], labels [N] class numbers;
            any labels with your own `metric`).
        cutoffs: radii, in `unit`; one that occurs twice counts once.
        unit: "bins" (DFT index, as the paper), "cycles" (per pixel, Nyquist 0.5) or "nyquist".
        kinds: "low", "high" or both.
        norm: "l2" (radial), "linf" (square) or "l1", as `freqops.low_high2d`.
        kind: "ideal", "butterworth" or "gaussian".
        inclusive: whether a frequency equal to the cutoff is low.
        order: of the Butterworth filter.
        metric: None for top-1, top-5, balanced and per-class accuracy; metric(outputs, labels),
            a mean over its batch; an object with update, compute and reset (torchmetrics); or
            {name: metric}.
        normalize: (mean, std), numbers or one per channel, applied after filtering;
            {model name: (mean, std)} where models differ.
        device: where to evaluate; None is where the first model's parameters are.
        autocast: dtype the models run in ("bfloat16", "float16"); True for the device's default.
            The filter always computes in the images' own dtype.
        max_batches: evaluate the first so many batches only.
        progress: show a bar with the time left (on the first process).
        resume: file that holds the state of an unfinished sweep. The same call continues from it
            and ends with the numbers of an uninterrupted one; it is removed at the end.
        save_every: seconds between two writes of that file; Ctrl-C writes it too.
        keep_predictions: keep each image's predicted class in `SweepResult.predictions`.
        class_names: names for the report, in the order of the model's outputs.

    Returns:
        One record per model and condition, see :class:`SweepResult`.

    Raises:
        InputError: (a ValueError) anything that can't be evaluated, in one sentence.
        SweepInterrupted: (a KeyboardInterrupt) after Ctrl-C.

    Example:
        >>> from freqops import demo
        >>> from freqops.evaluation import sweep
        >>> result = sweep(demo.model(), demo.data(), [4, 8, 16])  # doctest: +SKIP
        >>> print(result.table())  # doctest: +SKIP
    """
    filters = filter_settings(
        cutoffs, kinds=kinds, unit=unit, norm=norm, kind=kind, inclusive=inclusive, order=order
    )
    if max_batches is not None and max_batches < 1:
        raise InputError(f"sweep: max_batches must be at least 1, got {max_batches}")
    check_order(data, resumable=resume is not None)
    named = named_models(models)
    where = device_of(named, device)
    dtype = autocast_dtype(autocast, where)
    statistics = normalizations(normalize, list(named))
    rank, processes = world()
    # only a file needs them, and a large model's takes as long as a batch
    digests = {n: 0 if resume is None else model_digest(m) for n, m in named.items()}
    fingerprint = {
        **{name: str(value) for name, value in asdict(filters).items()},
        "models": ", ".join(f"{n} ({digests[n]:08x})" for n in named),
        "metric": metric_name(metric),
        "normalize": str(statistics),
        "autocast": str(dtype),
        "device": where.type,
        "max_batches": str(max_batches),
        "batches": str(batch_count(data, max_batches)),
        "keep_predictions": str(keep_predictions),
        "processes": str(processes),
    }
    fresh = metric_factory(metric)
    run = Evaluator(
        filters=filters,
        runners=[Runner(n, m, statistics[n], dtype) for n, m in named.items()],
        totals={(n, *c): fresh() for n in named for c in filters.conditions()},
        device=where,
        keep_predictions=keep_predictions,
        checkpoint=Checkpoint(resume, fingerprint, rank),
        save_every=save_every,
    )
    with evaluation_mode(named):
        run.run(data, max_batches, progress=progress and rank == 0)
    result = run.result()
    names = None if class_names is None else [str(name) for name in class_names]
    result.settings.update(
        models=list(named), metric=metric_name(metric), class_names=names, torch=torch.__version__
    )
    result.settings.update(device=str(where), autocast=None if dtype is None else str(dtype))
    result.settings.update(normalize={n: s for n, s in statistics.items() if s is not None})
    run.checkpoint.remove()
    return result
