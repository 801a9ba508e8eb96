"""Running totals of one model under one condition.

A batch is measured first and added afterwards, so that a sweep can be interrupted between two
forward passes without half a batch in its totals; what is measured is small, whatever the model
returns. Every total can be written down as plain tensors (`state`), taken up again (`load`), and
added to the totals of other processes (`merge`), so an interrupted or a distributed sweep ends with
the numbers of an uninterrupted single one: counts are integers, and means are summed exactly
(`math.fsum`), so the order in which batches arrive can't show.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from freqops.evaluation.errors import InputError

State = dict[str, Any]
TOP = 5

# An accuracy keeps fewer scores than this uncounted: 128 KiB.
WAITING_SCORES = 2**14


class Total(Protocol):
    """What a sweep needs of a metric."""

    def measure(self, outputs: Any, labels: Any, samples: int) -> Any:
        """What one batch contributes; changes nothing."""

    def add(self, contribution: Any) -> None:
        """Adds what `measure` returned."""

    def state(self) -> State:
        """Everything gathered so far, as tensors, numbers and lists of them."""

    def load(self, state: State) -> None:
        """Takes up what `state` returned."""

    def merge(self, states: Sequence[State]) -> None:
        """Replaces what was gathered by the sum of all processes' states."""

    def compute(self) -> dict[str, Any]:
        """The fields this metric adds to a record."""


def logits(outputs: Any) -> Tensor:
    """Returns the class scores [N, classes] inside what a model returned.

    A tensor as it is; `.logits` of an output object (transformers, inception); the first entry of
    a tuple; "logits" or "out" of a mapping.
    """
    if isinstance(outputs, Mapping):
        found = outputs.get("logits", outputs.get("out"))
    elif hasattr(outputs, "logits"):
        found = outputs.logits
    elif isinstance(outputs, tuple | list) and outputs:
        found = outputs[0]
    else:
        found = outputs
    if not isinstance(found, Tensor) or found.dim() != 2:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(f"sweep: a model must return class scores [N, classes], got {shape}")
    return found


class Accuracy:
    """Top-1, top-5 and per-class accuracy as integer counts.

    An image's rank is the number of classes that score higher than its label; equal scores go to
    the lower index, as argmax does. Top-1 counts rank 0, top-5 ranks below 5 (None with fewer than
    five classes). A row with a NaN counts as wrong, and is counted in `nan_rows`.

    Counting a batch of a small network's scores takes as long as filtering its images, and counting
    many batches at once takes no longer: so copies of scores wait until there are enough.
    """

    def __init__(self) -> None:
        self.counts: Tensor | None = None  # [4, classes]: images, top-1, top-5, rows with NaN
        self.waiting: list[tuple[Tensor, Tensor]] = []  # scores and labels that are not in it

    def measure(self, outputs: Any, labels: Any, samples: int) -> tuple[Tensor, Tensor]:
        """Copies of class scores [N, classes] and labels [N], whose memory may be used again."""
        scores = logits(outputs).detach().to("cpu", torch.float64, copy=True)
        target = _class_labels(torch.as_tensor(labels), scores, samples)
        classes = scores.shape[1]
        before = self.waiting[0][0] if self.waiting else self.counts
        if before is not None and before.shape[1] != classes:
            raise InputError(
                f"sweep: a model must return one number of classes, got {classes} after "
                f"{before.shape[1]}"
            )
        return scores, target

    def add(self, contribution: tuple[Tensor, Tensor]) -> None:
        """Adds one batch, to be counted with others."""
        self.waiting.append(contribution)
        if sum(scores.numel() for scores, _ in self.waiting) >= WAITING_SCORES:
            self.counts, self.waiting = self._total(), []

    def _total(self) -> Tensor | None:
        """The count table with what waits; changes nothing, so an interrupt can't count twice."""
        if not self.waiting:
            return self.counts
        scores = torch.cat([scores for scores, _ in self.waiting])
        target = torch.cat([target for _, target in self.waiting])
        classes = scores.shape[1]
        own = scores.gather(1, target[:, None])
        earlier = torch.arange(classes) < target[:, None]
        rank = ((scores > own) | ((scores == own) & earlier)).sum(1)
        nan = scores.isnan().any(1)
        chosen = (rank >= 0, (rank < 1) & ~nan, (rank < TOP) & ~nan, nan)
        counts = torch.stack([torch.bincount(target[rows], minlength=classes) for rows in chosen])
        return counts if self.counts is None else self.counts + counts

    def state(self) -> State:
        """The count table."""
        return {"counts": self._total()}

    def load(self, state: State) -> None:
        """Takes up a count table."""
        self.counts, self.waiting = state["counts"], []

    def merge(self, states: Sequence[State]) -> None:
        """Adds the count tables."""
        tables = [state["counts"] for state in states if state["counts"] is not None]
        self.counts, self.waiting = torch.stack(tables).sum(0) if tables else None, []

    def compute(self) -> dict[str, Any]:
        """top1, top5, balanced (mean over classes that occur), per_class, nan_rows."""
        counts = self._total()
        if counts is None:
            return {"top1": None, "top5": None, "balanced": None, "per_class": [], "nan_rows": 0}
        images, first, top, nan = counts
        total = int(images.sum())
        per_class = [
            hits / count if count else None
            for hits, count in zip(first.tolist(), images.tolist(), strict=True)
        ]
        seen = [share for share in per_class if share is not None]
        return {
            "top1": int(first.sum()) / total if total else None,
            "top5": int(top.sum()) / total if total and len(per_class) >= TOP else None,
            "balanced": math.fsum(seen) / len(seen) if seen else None,
            "per_class": per_class,
            "nan_rows": int(nan.sum()),
        }


def _class_labels(labels: Tensor, scores: Tensor, samples: int) -> Tensor:
    """Returns a copy, int64 [N] on the CPU, after the checks that keep accuracy meaningful."""
    if labels.dtype.is_floating_point or labels.dtype.is_complex or labels.dtype == torch.bool:
        raise InputError(f"sweep: labels must be class numbers (integers), got {labels.dtype}")
    target = labels.detach().to("cpu", torch.int64, copy=True)
    if target.dim() == 2 and target.shape[1] == 1:
        target = target[:, 0]
    if target.dim() != 1 or target.shape[0] != samples or scores.shape[0] != samples:
        raise InputError(
            f"sweep: each batch needs one label and one output per image, got {samples} images, "
            f"labels {tuple(labels.shape)} and outputs {tuple(scores.shape)}"
        )
    least, most = (int(end) for end in target.aminmax()) if samples else (0, 0)
    if least < 0 or most >= scores.shape[1]:
        raise InputError(
            f"sweep: label {most if most >= scores.shape[1] else least} doesn't exist for a model "
            f"with {scores.shape[1]} outputs (labels must be 0 to {scores.shape[1] - 1})"
        )
    return target


class Mean:
    """Mean over images of `metric(outputs, labels)`, which averages over its batch."""

    def __init__(self, name: str, function: Callable[[Any, Any], Any]) -> None:
        self.name, self.function = name, function
        self.values: list[list[float]] = []
        self.weights: list[int] = []
        self.shape: list[int] | None = None

    def measure(
        self, outputs: Any, labels: Any, samples: int
    ) -> tuple[list[float], int, list[int]]:
        """The metric of one batch, the batch's number of images as its weight, and its shape."""
        value = torch.as_tensor(self.function(outputs, labels)).detach().double().cpu()
        shape = list(value.shape)
        if self.shape is not None and shape != self.shape:
            raise InputError(
                f"sweep: metric must return the same shape for every batch, got {shape} after "
                f"{self.shape}"
            )
        return value.flatten().tolist(), samples, shape

    def add(self, contribution: tuple[list[float], int, list[int]]) -> None:
        """Adds one batch's value and weight."""
        value, weight, self.shape = contribution
        self.values.append(value)
        self.weights.append(weight)

    def state(self) -> State:
        """The batches' values and weights."""
        return {"values": list(self.values), "weights": list(self.weights), "shape": self.shape}

    def load(self, state: State) -> None:
        """Takes up values and weights."""
        self.values, self.weights = list(state["values"]), list(state["weights"])
        self.shape = state["shape"]

    def merge(self, states: Sequence[State]) -> None:
        """Joins the lists; `math.fsum` makes their order irrelevant."""
        self.values = [value for state in states for value in state["values"]]
        self.weights = [weight for state in states for weight in state["weights"]]
        self.shape = next((s["shape"] for s in states if s["shape"] is not None), None)

    def compute(self) -> dict[str, Any]:
        """The weighted mean, in the metric's own shape."""
        total = sum(self.weights)
        if not total or self.shape is None:
            return {self.name: None}
        columns = zip(*self.values, strict=True)
        means = [
            math.fsum(v * w for v, w in zip(column, self.weights, strict=True)) / total
            for column in columns
        ]
        return {self.name: torch.tensor(means, dtype=torch.float64).reshape(self.shape).tolist()}


class Stateful:
    """A torchmetrics object, or anything with update(outputs, labels), compute() and reset()."""

    def __init__(self, name: str, metric: Any) -> None:
        self.name, self.metric = name, copy.deepcopy(metric)
        self.metric.reset()
        if hasattr(self.metric, "persistent"):  # torchmetrics keeps states out of state_dict
            self.metric.persistent(True)

    def measure(self, outputs: Any, labels: Any, samples: int) -> tuple[Any, Any]:
        """The batch itself: only the object knows what it keeps of it."""
        return outputs, labels

    def add(self, contribution: tuple[Any, Any]) -> None:
        """Hands the batch on."""
        self.metric.update(*contribution)

    def state(self) -> State:
        """The object's own state_dict."""
        if not hasattr(self.metric, "state_dict") or not hasattr(self.metric, "load_state_dict"):
            raise InputError(
                "sweep: a metric object needs state_dict and load_state_dict for resume, "
                f"{type(self.metric).__name__} has none"
            )
        return {"state": dict(self.metric.state_dict())}

    def load(self, state: State) -> None:
        """Loads the object's own state_dict."""
        self.metric.load_state_dict(state["state"])

    def merge(self, states: Sequence[State]) -> None:
        """Calls the object's merge_states, for objects that don't synchronise by themselves."""
        self.metric.merge_states([state["state"] for state in states])

    @property
    def synchronises_itself(self) -> bool:
        """torchmetrics objects gather from all processes inside compute()."""
        return hasattr(self.metric, "sync_context") or hasattr(self.metric, "dist_sync_fn")

    def compute(self) -> dict[str, Any]:
        """What the object computes; a mapping becomes one field per key."""
        value = self.metric.compute()
        if isinstance(value, Mapping):
            return {f"{self.name}.{key}": _plain(entry) for key, entry in value.items()}
        return {self.name: _plain(value)}


def _plain(value: Any) -> Any:
    return value.detach().cpu().tolist() if isinstance(value, Tensor) else value


def metric_factory(metric: Any) -> Callable[[], list[Total]]:
    """Returns a function that makes fresh totals for one model under one condition.

    Args:
        metric: None for accuracy; metric(outputs, labels); an object with update, compute and
            reset; or {name: one of those}.

    Raises:
        InputError: anything else.
    """
    if metric is None:
        return lambda: [Accuracy()]
    named = dict(metric) if isinstance(metric, Mapping) else {"metric": metric}
    makers = [_maker(name, entry) for name, entry in named.items()]
    if not makers:
        raise InputError("sweep: metric must name at least one metric, got an empty mapping")
    return lambda: [make() for make in makers]


def _maker(name: str, metric: Any) -> Callable[[], Total]:
    if isinstance(metric, type):
        raise InputError(f"sweep: metric must be an object, got the class {metric.__name__}")
    if all(callable(getattr(metric, word, None)) for word in ("update", "compute", "reset")):
        return lambda: Stateful(name, metric)
    if callable(metric):
        return lambda: Mean(name, metric)
    raise InputError(
        "sweep: metric must be a function of (outputs, labels) or have update, compute and reset, "
        f"got {type(metric).__name__}"
    )


def metric_name(metric: Any) -> str:
    """Returns a name that tells two metrics apart in a resume file's fingerprint."""
    if metric is None:
        return "accuracy"
    if isinstance(metric, Mapping):
        return ",".join(f"{key}={metric_name(value)}" for key, value in metric.items())
    named = metric if hasattr(metric, "__qualname__") else type(metric)
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', named)}"
