"""Two results of the same rows: what changed beyond the noise of both."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from freqops.bench.verdict import relative_spread

#: No change below this is told from noise, however small the spreads.
LEAST_NOISE = 0.05
#: What has to be equal for times to be comparable.
CONDITIONS = ("device", "cpu", "gpu", "cores", "threads", "allocator", "level", "torch")

Key = tuple[str, str, str, str]
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
        ratio: after over before, with the machine's drift divided out.
        noise: the larger relative spread of the two, at least LEAST_NOISE.
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
        drift: by how much peers and copies changed, the median of their ratios: it is the
            machine's change, as no code of ours runs in them.
        others: how many ratios that median is of.
        unlike: conditions that differ, each in a sentence.
        only_before: rows of the first result alone.
        only_after: rows of the second alone.
    """

    changes: Sequence[Change]
    drift: float
    others: int
    unlike: Sequence[str]
    only_before: int
    only_after: int

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
    ratios = [
        second[key]["median"] / first[key]["median"] for key in shared if _is_others(first[key])
    ]
    drift = statistics.median(ratios) if ratios else 1.0
    changes = [
        _change(key, first[key], second[key], drift)
        for key in shared
        if first[key]["role"] == "ours"
    ]
    rows = [{key[:3] for key in entries} for entries in (first, second)]
    return Comparison(
        changes,
        drift,
        len(ratios),
        _unlike(before["environment"], after["environment"]),
        len(rows[0] - rows[1]),
        len(rows[1] - rows[0]),
    )


def _entries(result: Result) -> dict[Key, Mapping[str, Any]]:
    return {
        (case["op"], case["table"], case["label"], entry["name"]): entry
        for case in result["cases"]
        for entry in case["contenders"]
    }


def _is_others(entry: Mapping[str, Any]) -> bool:
    return bool(entry["role"] != "ours")


def _change(key: Key, before: Mapping[str, Any], after: Mapping[str, Any], drift: float) -> Change:
    noise = max(LEAST_NOISE, *(relative_spread(dict(entry)) for entry in (before, after)))
    medians = before["median"], after["median"]
    return Change(*key, *medians, medians[1] / medians[0] / drift, noise)


def _unlike(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} was {before.get(name, 'unknown')}, is {after.get(name, 'unknown')}"
        for name in CONDITIONS
        if before.get(name) != after.get(name)
    ]
