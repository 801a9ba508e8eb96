"""One pass over the data: filter a batch once, run every model, add to the totals."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from freqops.evaluation.checkpoint import Checkpoint, digest
from freqops.evaluation.conditions import FilterSettings, check_cutoffs_reach
from freqops.evaluation.errors import InputError, SweepInterrupted
from freqops.evaluation.memory import ReusedMemory
from freqops.evaluation.metrics import Stateful, Total, logits
from freqops.evaluation.result import SweepResult
from freqops.evaluation.runner import Runner
from freqops.evaluation.sharding import Batch, batch_count, gather, numbered_batches, world

Key = tuple[str, str, float | None]


@dataclass
class Evaluator:
    """A sweep under way: the totals so far, and how to add a batch to them.

    Attributes:
        filters: the conditions.
        runners: the models.
        totals: one list of metrics per (model, kind, cutoff).
        device: where the images go.
        keep_predictions: whether to keep each image's class.
        checkpoint: where an unfinished state is kept.
        save_every: seconds between two writes of it.
        whole: the totals hold whole batches only: False while one is being added.
        done: batches of this process that are in the totals.
        samples: images in them.
        last_digest: checksum of the last of them.
        image_size: [C, H, W] of the first.
        predictions: (number of the batch, classes) per model and condition.
        memory: where the low-passed and the high-passed images of each batch go.
    """

    filters: FilterSettings
    runners: list[Runner]
    totals: dict[Key, list[Total]]
    device: torch.device
    keep_predictions: bool
    checkpoint: Checkpoint
    save_every: float
    whole: bool = True
    done: int = 0
    samples: int = 0
    last_digest: int = 0
    image_size: list[int] | None = None
    predictions: dict[Key, list[tuple[int, Tensor]]] = field(default_factory=dict)
    memory: tuple[ReusedMemory, ReusedMemory] = field(
        default_factory=lambda: (ReusedMemory(), ReusedMemory())
    )

    def run(self, data: Iterable[Batch], max_batches: int | None, *, progress: bool) -> None:
        """Evaluates this process's remaining batches."""
        rank, processes = world()
        total = batch_count(data, max_batches)
        saved_digest = self._restore()
        # a restored sweep starts at the last finished batch, to see that the data are the same
        start = rank + (self.done if saved_digest is None else self.done - 1) * processes
        own = None if total is None else len(range(rank, total, processes))
        bar = tqdm(
            total=own,
            initial=self.done,
            disable=not progress,
            desc="filter + evaluate",
            unit="batch",
            dynamic_ncols=True,
        )
        saved = time.monotonic()
        try:
            with bar:
                for number, batch in numbered_batches(data, start, max_batches, processes):
                    if saved_digest is not None:
                        self._check_same(number, batch, saved_digest)
                        saved_digest = None
                        continue
                    self._add(number, batch)
                    bar.update()
                    if time.monotonic() - saved >= self.save_every:
                        self._save()
                        saved = time.monotonic()
            if saved_digest is not None:
                raise self._other_data("the data have ended")
        except KeyboardInterrupt as stop:
            if self.done and self.whole:
                self._save()
            raise SweepInterrupted(self.done, own, self.checkpoint.existing()) from stop

    def _add(self, number: int, batch: Batch) -> None:
        """Evaluates one batch under every condition, then adds all of it to the totals.

        The totals change only after the last forward pass, so an interrupt leaves them at the end
        of a batch and a resumed sweep adds this batch as if nothing had happened.
        """
        images, labels = _checked(batch, number)
        if self.image_size is None:
            self.image_size = list(images.shape[1:])
            check_cutoffs_reach(self.filters, (images.shape[2], images.shape[3]))
        check = digest(images, labels) if self.checkpoint.path is not None else 0
        images = images.to(self.device, non_blocking=True)
        if isinstance(labels, Tensor):
            labels = labels.to(self.device, non_blocking=True)
        count = images.shape[0]
        measured: list[tuple[Total, Any]] = []
        predicted: list[tuple[Key, Tensor]] = []
        for condition, filtered in self.filters.filtered(images, self.memory) if count else ():
            for runner in self.runners:
                key = (runner.name, *condition)
                outputs = runner(filtered)
                measured += [(t, t.measure(outputs, labels, count)) for t in self.totals[key]]
                if self.keep_predictions:
                    predicted.append((key, logits(outputs).float().argmax(1).cpu()))
        self.whole = False
        for total, contribution in measured:
            total.add(contribution)
        for key, classes in predicted:
            self.predictions.setdefault(key, []).append((number, classes))
        self.done += 1
        self.samples += count
        self.last_digest = check
        self.whole = True

    def _save(self) -> None:
        if self.checkpoint.path is None:
            return
        totals = [[total.state() for total in totals] for totals in self.totals.values()]
        predictions = [self.predictions.get(key, []) for key in self.totals]
        self.checkpoint.save(
            {
                "done": self.done,
                "samples": self.samples,
                "last_digest": self.last_digest,
                "image_size": self.image_size,
                "totals": totals,
                "predictions": predictions,
            }
        )

    def _restore(self) -> int | None:
        """Takes up a saved state; returns the checksum of its last batch, None without a state."""
        state = self.checkpoint.load()
        if state is None:
            return None
        self.done, self.samples = state["done"], state["samples"]
        self.last_digest, self.image_size = state["last_digest"], state["image_size"]
        for totals, states in zip(self.totals.values(), state["totals"], strict=True):
            for total, saved in zip(totals, states, strict=True):
                total.load(saved)
        if self.keep_predictions:
            self.predictions = dict(zip(self.totals, state["predictions"], strict=True))
        return self.last_digest

    def _check_same(self, number: int, batch: Batch, saved_digest: int) -> None:
        if digest(*_checked(batch, number)) != saved_digest:
            raise self._other_data(f"batch {number} has changed")

    def _other_data(self, how: str) -> InputError:
        return InputError(
            f"sweep: {self.checkpoint.path} comes from other data or another order of it: {how}; "
            "delete it to start afresh"
        )

    def result(self) -> SweepResult:
        """Returns the records, with all processes' totals added up."""
        samples = sum(gather(self.samples))
        if samples == 0:
            raise InputError("sweep: data holds no images")
        records = []
        for key, totals in self.totals.items():
            fields: dict[str, Any] = {}
            for total in totals:
                _reduce(total)
                fields.update(total.compute())
            records.append(dict(zip(("model", "kind", "cutoff"), key, strict=True)))
            records[-1].update(samples=samples, **fields)
        _warn_about_nan(records)
        size = next((size for size in gather(self.image_size) if size), None)
        settings = {**asdict(self.filters), "samples": samples, "image_size": size}
        settings.update(cutoffs=list(self.filters.cutoffs), kinds=list(self.filters.kinds))
        return SweepResult(records, settings, self._all_predictions())

    def _all_predictions(self) -> dict[Key, Tensor]:
        """Joins the processes' predictions in the order of the data."""
        if not self.keep_predictions:
            return {}
        joined = {}
        for key in self.totals:
            parts = [part for rank in gather(self.predictions.get(key, [])) for part in rank]
            joined[key] = torch.cat([part for _, part in sorted(parts, key=lambda p: p[0])])
        return joined


def _reduce(total: Total) -> None:
    """Adds up one metric over all processes."""
    if world()[1] == 1:
        return
    if isinstance(total, Stateful):
        if total.synchronises_itself:
            return
        if not hasattr(total.metric, "merge_states"):
            raise InputError(
                f"sweep: metric {type(total.metric).__name__} can't be used under "
                "torch.distributed: it neither synchronises itself nor has merge_states"
            )
    total.merge(gather(total.state()))


def _checked(batch: Any, number: int) -> tuple[Tensor, Any]:
    """Returns (images, labels) of one batch after the checks the filter relies on."""
    try:
        images, labels = batch
    except (TypeError, ValueError) as error:
        raise InputError(
            f"sweep: data must yield pairs (images, labels), batch {number} is none"
        ) from error
    if not isinstance(images, Tensor) or images.dim() != 4:
        shape = list(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise InputError(f"sweep: images must be a tensor [N, C, H, W], got {shape}")
    if not images.dtype.is_floating_point:
        raise InputError(
            f"sweep: images must be floating point in [0, 1], got {images.dtype} (divide by 255)"
        )
    if number == 0 and images.numel() and (images.min() < -0.01 or images.max() > 1.01):
        warnings.warn(
            f"sweep: pixels should lie in [0, 1], the first batch has {images.min():.3g} to "
            f"{images.max():.3g}: normalise by `normalize=`, after the filter",
            stacklevel=2,
        )
    return images, labels


def _warn_about_nan(records: list[dict[str, Any]]) -> None:
    bad = [record for record in records if record.get("nan_rows")]
    if bad:
        worst = max(bad, key=lambda record: record["nan_rows"])
        warnings.warn(
            f"sweep: model {worst['model']!r} returned NaN for {worst['nan_rows']} of "
            f"{worst['samples']} images ({worst['kind']} {worst['cutoff']}); they count as wrong",
            stacklevel=3,
        )
