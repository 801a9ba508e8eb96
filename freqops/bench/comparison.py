"""Two results of the same rows: what changed beyond the noise of both."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from freqops.bench.verdict import relative_spread

#: No change below this is told from noise, however small the spreads.
LEAST_NOISE = 0.05
#: What has to be equal for times to be comparable.
CONDITIONS = ("device", "cpu", "gpu", "cores", "threads", "allocator", "level", "torch")
# A change has to show in both: one loaded moment moves the median, one lucky call the minimum.
_ESTIMATES = ("median", "minimum")
# A twentieth of what is not ours changes by more than `scatter`, which would be an alarm in a run
# of twenty rows; twice as much is beyond all but one normal deviate in ten thousand.
_TWENTIETHS = 20
_MARGIN = 2.0

Key = tuple[str, str, str, str]
Entry = Mapping[str, Any]
Result = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One contender of ours in one row.

    Attributes:
        op: the operator's word.
        table: of the row.
        label: of the row.
        name: of the contender.
        before: its median in the first result, in milliseconds.
        after: its median in the second.
        ratio: after over before with the machine's change divided out: of medians and of minima,
            by the change of all peers and by that of the row's own, whichever is nearest to 1.
        noise: what the ratio has to be beyond.
    """

    op: str
    table: str
    label: str
    name: str
    before: float
    after: float
    ratio: float
    noise: float

    @property
    def verdict(self) -> Literal["slower", "faster", "same"]:
        """Slower or faster where the ratio is beyond the noise."""
        if self.ratio > 1 + self.noise:
            return "slower"
        return "faster" if self.ratio < 1 / (1 + self.noise) else "same"


@dataclass(frozen=True)
class Comparison:
    """What two results say of each other.

    Attributes:
        changes: a row for each contender of ours that is in both, in the first result's order.
        drift: by how much peers and copies changed, the median of their medians' ratios: it is the
            machine's change, as no code of ours runs in them.
        scatter: how far peers and copies are from their common change, 19 of 20 of them. Code that
            is not ours moved so far by itself, so no change of ours below it counts.
        others: how many peers and copies were compared.
        unlike: conditions that differ, each in a sentence.
        only_before: rows of the first result alone.
        only_after: rows of the second alone.
        broken: rows that ran in the first and failed in the second, each with why.
    """

    changes: Sequence[Change]
    drift: float
    scatter: float
    others: int
    unlike: Sequence[str]
    only_before: int
    only_after: int
    broken: Sequence[str]

    @property
    def regressions(self) -> list[Change]:
        """What became slower."""
        return [change for change in self.changes if change.verdict == "slower"]


def compare(before: Result, after: Result) -> Comparison:
    """Matches the rows of two results by operator, table, shape and contender.

    Args:
        before: what was.
        after: what is.
    """
    first, second = _entries(before), _entries(after)
    shared = [key for key in first if key in second]
    others = [key for key in shared if first[key]["role"] != "ours"]
    machines = [
        _Machine({key: second[key][name] / first[key][name] for key in others})
        for name in _ESTIMATES
    ]

    def ratio(key: Key) -> float:
        estimates = []
        for name, machine in zip(_ESTIMATES, machines, strict=True):
            estimates += machine.divided(key, second[key][name] / first[key][name])
        return _nearest_to_1(estimates)

    scatter = _scatter([ratio(key) for key in others])
    changes = [
        Change(
            *key,
            first[key]["median"],
            second[key]["median"],
            ratio(key),
            max(
                LEAST_NOISE,
                _MARGIN * scatter,
                *(relative_spread(dict(one[key])) for one in (first, second)),
            ),
        )
        for key in shared
        if first[key]["role"] == "ours"
    ]
    rows = [{key[:3] for key in entries} for entries in (first, second)]
    broken = [case for case in after["cases"] if "failed" in case and _row(case) in rows[0]]
    return Comparison(
        changes,
        machines[0].change,
        scatter,
        len(others),
        _unlike(before, after),
        len(rows[0] - rows[1]) - len(broken),
        len(rows[1] - rows[0]),
        [f"{case['table']}, {case['label']}: {case['failed']}" for case in broken],
    )


class _Machine:
    """By how much the machine changed between two runs: all of it, and while a row was timed.

    Args:
        ratios: after over before of peers and copies.
    """

    def __init__(self, ratios: Mapping[Key, float]) -> None:
        self.change = statistics.median(ratios.values()) if ratios else 1.0
        self._rows: dict[tuple[str, ...], dict[str, float]] = {}
        for key, ratio in ratios.items():
            self._rows.setdefault(key[:3], {})[key[3]] = ratio

    def divided(self, key: Key, ratio: float) -> list[float]:
        """A contender's ratio by the change of all, and by that of the others of its row."""
        row = [other for name, other in self._rows.get(key[:3], {}).items() if name != key[3]]
        return [ratio / self.change, *([ratio / statistics.median(row)] if row else [])]


def _nearest_to_1(ratios: Sequence[float]) -> float:
    """The smallest change that all of them show; 1 where one says faster and another slower."""
    if min(ratios) < 1 < max(ratios):
        return 1.0
    return min(ratios, key=lambda ratio: abs(math.log(ratio)))


def _scatter(ratios: Iterable[float]) -> float:
    """What all but a twentieth of them stay within, up or down."""
    sizes = [math.exp(abs(math.log(ratio))) - 1 for ratio in ratios]
    if len(sizes) < 2:
        return 0.0
    return statistics.quantiles(sizes, n=_TWENTIETHS, method="inclusive")[-1]


def _entries(result: Result) -> dict[Key, Entry]:
    return {
        (*_row(case), entry["name"]): entry
        for case in result["cases"]
        for entry in case["contenders"]
    }


def _row(case: Mapping[str, Any]) -> tuple[str, str, str]:
    return case["op"], case["table"], case["label"]


def _unlike(before: Result, after: Result) -> list[str]:
    first, second = before["environment"], after["environment"]
    unlike = [
        f"{name} was {first.get(name, 'unknown')}, is {second.get(name, 'unknown')}"
        for name in CONDITIONS
        if first.get(name) != second.get(name)
    ]
    # The least of fewer calls, as of a quick run, is larger.
    seconds = [result.get("settings", {}).get("seconds") for result in (before, after)]
    if None not in seconds and seconds[0] != seconds[1]:
        unlike.append(f"seconds a row was {seconds[0]}, is {seconds[1]}")
    return unlike
