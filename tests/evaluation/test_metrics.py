"""Each metric against its definition, and its state against being taken apart and put together."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from freqops.evaluation import InputError, MacroAUC, metrics, sweep
from freqops.evaluation.metrics import Accuracy, Mean, Stateful, metric_factory


@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 99))
def test_accuracy_equals_sorting(classes: int, count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    # few distinct scores: ties are frequent
    scores = torch.randint(0, 4, (count, classes), generator=generator).float()
    labels = torch.randint(0, classes, (count,), generator=generator)
    total = Accuracy()
    total.add(total.measure(scores, labels, count))
    record = total.compute()
    order = np.argsort(-scores.numpy(), axis=1, kind="stable")
    hits = order == labels.numpy()[:, None]
    assert record["top1"] == hits[:, :1].any(1).mean()
    assert record["top1"] == (scores.argmax(1) == labels).double().mean().item()
    assert record["top5"] == (hits[:, :5].any(1).mean() if classes >= 5 else None)
    assert len(record["per_class"]) == classes


def split_totals(make, outputs: Tensor, labels: Tensor, cuts: list[int]) -> list:
    """One total per part of the data."""
    parts = []
    for start, stop in zip([0, *cuts], [*cuts, len(labels)], strict=True):
        total = make()
        for i in range(start, stop, 3):
            batch = slice(i, min(i + 3, stop))
            count = batch.stop - batch.start
            total.add(total.measure(outputs[batch], labels[batch], count))
        parts.append(total)
    return parts


def weighted(outputs: Tensor, labels: Tensor) -> Tensor:
    return (outputs.gather(1, labels[:, None]) * 0.1).mean()


@pytest.mark.parametrize(
    "make",
    [Accuracy, lambda: Mean("m", weighted), lambda: Stateful("m", MacroAUC())],
    ids=["accuracy", "mean", "stateful"],
)
def test_merged_and_reloaded_totals_equal_one(make) -> None:
    outputs, labels = torch.randn(30, 7), torch.arange(30) % 5
    whole = split_totals(make, outputs, labels, [])[0].compute()
    parts = split_totals(make, outputs, labels, [9, 21])
    for order in ([0, 1, 2], [2, 0, 1]):
        merged = make()
        merged.merge([parts[i].state() for i in order])
        assert merged.compute() == whole
    reloaded = make()
    reloaded.load(copy.deepcopy(parts[0].state()))
    for i in range(9, 30, 3):
        reloaded.add(reloaded.measure(outputs[i : i + 3], labels[i : i + 3], 3))
    assert reloaded.compute() == whole


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 99))
def test_when_scores_are_counted_cannot_be_seen(limit: int, classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randint(0, 3, (20, classes), generator=generator).float()
    outputs[torch.rand(20, classes, generator=generator) < 0.05] = torch.nan
    labels = torch.randint(0, classes, (20,), generator=generator)
    with pytest.MonkeyPatch.context() as patch:
        totals = []
        for waiting in (1, limit, 10**6):
            patch.setattr(metrics, "WAITING_SCORES", waiting)
            (total,) = split_totals(Accuracy, outputs, labels, [])
            state = total.state()["counts"]
            assert torch.equal(state, total.state()["counts"])  # and asking adds nothing
            totals.append((state, total.compute()))
    first = totals[0][0]
    assert all(torch.equal(counts, first) for counts, _ in totals)
    assert all(record == totals[0][1] for _, record in totals)
    assert first[0].tolist() == torch.bincount(labels, minlength=classes).tolist()
    assert int(first[3].sum()) == int(outputs.isnan().any(1).sum())


def test_number_of_classes_must_stay() -> None:
    total = Accuracy()
    labels = torch.zeros(4, dtype=torch.int64)
    total.add(total.measure(torch.randn(4, 3), labels, 4))
    assert total.counts is None  # they wait
    with pytest.raises(InputError, match="one number of classes, got 2 after 3"):
        total.measure(torch.randn(4, 2), labels, 4)
    total.load(total.state())
    with pytest.raises(InputError, match="one number of classes, got 2 after 3"):
        total.measure(torch.randn(4, 2), labels, 4)


def test_mean_weighs_batches_and_keeps_shape() -> None:
    total = Mean("m", lambda outputs, labels: outputs.mean(0))
    outputs = torch.arange(12.0).reshape(6, 2)
    for part in (outputs[:4], outputs[4:]):
        total.add(total.measure(part, None, len(part)))
    assert total.compute() == {"m": outputs.mean(0).tolist()}
    with pytest.raises(InputError, match="same shape for every batch"):
        total.measure(torch.ones(2, 3), None, 2)


class Counter:
    """The least that is taken for a metric object."""

    def __init__(self) -> None:
        self.seen = 99

    def reset(self) -> None:
        self.seen = 0

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        self.seen += len(labels)

    def compute(self) -> dict[str, Tensor]:
        return {"count": torch.tensor(self.seen), "pair": torch.tensor([1, 2])}


class LikeTorchmetrics(torch.nn.Module):
    """State as torchmetrics keeps it: out of state_dict until persistent(True)."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = False
        self.register_buffer("hits", torch.zeros(()), persistent=False)
        self.register_buffer("total", torch.zeros(()), persistent=False)

    def persistent(self, mode: bool) -> None:
        self._non_persistent_buffers_set = set() if mode else {"hits", "total"}

    def reset(self) -> None:
        self.hits.zero_()
        self.total.zero_()

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        self.hits += (outputs.argmax(1) == labels).sum()
        self.total += len(labels)

    def compute(self) -> Tensor:
        return self.hits / self.total


def test_objects_and_names(net, loader) -> None:
    shared = Counter()
    result = sweep(net, loader, [4], metric={"n": shared, "m": weighted}, progress=False)
    for record in result.records:
        assert (record["n.count"], record["n.pair"]) == (22, [1, 2])
        assert isinstance(record["m"], float)
        assert "top1" not in record
    assert shared.seen == 99  # each condition had a copy
    assert result.default_metric() in ("n.count", "m")
    with pytest.raises(InputError, match="got the class Counter"):
        sweep(net, loader, [4], metric=Counter, progress=False)


def test_torchmetrics_like_object_equals_accuracy_and_resumes(net, loader, tmp_path) -> None:
    plain = sweep(net, loader, [4], progress=False)
    theirs = sweep(net, loader, [4], metric=LikeTorchmetrics(), progress=False)
    for a, b in zip(plain.records, theirs.records, strict=True):
        assert b["metric"] == pytest.approx(a["top1"])
    batches = list(loader)

    def stopped():
        yield from batches[:3]
        raise KeyboardInterrupt

    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        sweep(net, stopped(), [4], metric=LikeTorchmetrics(), resume=state, progress=False)
    again = sweep(net, iter(batches), [4], metric=LikeTorchmetrics(), resume=state, progress=False)
    assert again.records == theirs.records


def test_object_without_state_cannot_resume(net, loader, tmp_path) -> None:
    with pytest.raises(InputError, match="needs state_dict and load_state_dict"):
        sweep(
            net, loader, [4], metric=Counter(), resume=tmp_path / "s", save_every=0, progress=False
        )


@given(st.integers(0, 99))
def test_auc_equals_counting_pairs(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 3, (14, 3), generator=generator).double()
    labels = torch.randint(0, 3, (14,), generator=generator)
    metric = MacroAUC()
    metric.update(scores[:5], labels[:5])
    metric.update(scores[5:], labels[5:])
    chances = scores.softmax(1).numpy()
    areas = []
    for c in sorted(set(labels.tolist())):
        own, other = chances[labels == c, c], chances[labels != c, c]
        if len(own) and len(other):
            wins = (own[:, None] > other).mean() + 0.5 * (own[:, None] == other).mean()
            areas.append(wins)
    expected = np.mean(areas) if areas else np.nan
    assert metric.compute() == pytest.approx(expected, nan_ok=True)


def test_factory_makes_fresh_totals() -> None:
    make = metric_factory({"a": weighted, "b": MacroAUC()})
    first, second = make(), make()
    assert first[0] is not second[0]
    assert first[1].metric is not second[1].metric
