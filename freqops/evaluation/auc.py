"""Area under the ROC curve, which unlike accuracy isn't fooled by rare classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from freqops.evaluation.metrics import logits


class MacroAUC:
    """Mean over classes of the area under the one-against-rest ROC curve.

    A metric object for :func:`freqops.evaluation.sweep`: the probability that a random image of a
    class scores higher for that class than a random other image, ties counting one half, averaged
    over the classes that occur. It keeps all softmax scores, N x classes floats per condition.
    Buda et al. use it to compare models on unbalanced classes
    (https://arxiv.org/abs/1710.05381).

    Example:
        >>> from freqops.evaluation import MacroAUC, sweep
        >>> result = sweep(model, loader, [4, 8], metric=MacroAUC())  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self.scores: list[Tensor] = []
        self.labels: list[Tensor] = []

    def reset(self) -> None:
        """Forgets everything."""
        self.scores, self.labels = [], []

    def update(self, outputs: Any, labels: Any) -> None:
        """Adds class scores [N, classes] (or an output object that holds them) and labels [N]."""
        self.scores.append(logits(outputs).detach().double().cpu().softmax(1))
        self.labels.append(torch.as_tensor(labels).detach().cpu().long().flatten())

    def state_dict(self) -> dict[str, list[Tensor]]:
        """The batches seen so far."""
        return {"scores": list(self.scores), "labels": list(self.labels)}

    def load_state_dict(self, state: Mapping[str, Sequence[Tensor]]) -> None:
        """Takes up what `state_dict` returned."""
        self.scores, self.labels = list(state["scores"]), list(state["labels"])

    def merge_states(self, states: Sequence[Mapping[str, Sequence[Tensor]]]) -> None:
        """Joins the batches of several processes."""
        self.scores = [batch for state in states for batch in state["scores"]]
        self.labels = [batch for state in states for batch in state["labels"]]

    def compute(self) -> float:
        """Returns the macro average in [0, 1]; NaN when fewer than two classes occur."""
        if not self.scores:
            return float("nan")
        scores, labels = torch.cat(self.scores), torch.cat(self.labels)
        areas = [_area(scores[:, c], labels == c) for c in sorted(set(labels.tolist()))]
        known = [area for area in areas if area is not None]
        return sum(known) / len(known) if known else float("nan")


def _area(scores: Tensor, positive: Tensor) -> float | None:
    """Mann-Whitney: (sum of the positives' mid-ranks - their least possible sum) / pairs."""
    pairs = int(positive.sum()) * int((~positive).sum())
    if pairs == 0:
        return None
    _, inverse, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    ends = counts.cumsum(0).double()
    mid_rank = (ends - (counts - 1) / 2)[inverse]
    least = positive.sum() * (positive.sum() + 1) / 2
    return float((mid_rank[positive].sum() - least) / pairs)
