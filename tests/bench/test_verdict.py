"""How a row is judged: best peer, goals, losses."""

from typing import Any

import pytest

from freqops.bench import tables
from freqops.bench.case import Case, Goal, Row
from freqops.bench.timing import Contender, Timing
from freqops.bench.verdict import first_verdict, verdicts


def record(goals: list[Goal], **minima: float) -> dict[str, Any]:
    roles = {"freqops": "ours", "copy": "floor", "kornia": "other"}
    contenders = [Contender(name, lambda: None, roles.get(name, "peer")) for name in minima]  # type: ignore[arg-type]
    timings = {name: Timing(value, value, 0, 1) for name, value in minima.items()}
    row = Row("op", "table", "row", (1,), lambda: contenders, goals=goals, moved_bytes=2_000_000)
    return Case(row, contenders).record(timings)


WARM = {"allocator": "warm", "level": "avx512"}


def test_every_goal_of_a_row_is_judged_against_its_own_peers() -> None:
    goals = [Goal(2.0, against=("fast",)), Goal(9.0, against=("slow", "slower"))]
    row = record(goals, freqops=1.0, fast=2.5, slow=8.0, slower=9.0, kornia=0.5, copy=0.5)
    (verdict,) = verdicts(row, WARM)
    assert [(aim.ratio, aim.rival, aim.met) for aim in verdict.aims] == [
        (2.5, "fast", True),
        (8.0, "slow", False),
    ]
    assert verdict.ratio == 2.5  # kornia computes something else
    text = tables._table([row], WARM)
    assert "2.0 met vs fast; 9.0 **missed** (8.00) vs slow" in text
    assert text.splitlines()[-1].endswith("| 50% | 2.0 |")
    assert "0.5 / 0.5 (0.5x)" in text


def test_goal_of_an_allocator_counts_there_alone() -> None:
    goals = [Goal(2.0, default=5.0, against=("fast",)), Goal(3.0, against=("fast",))]
    row = record(goals, freqops=1.0, fast=4.0, copy=0.5)
    (warm,) = verdicts(row, WARM)
    (default,) = verdicts(row, {**WARM, "allocator": "default"})
    assert [aim.met for aim in warm.aims] == [True, True]
    assert [(aim.number, aim.met) for aim in default.aims] == [(5.0, False)]


def test_narrow_vectors_may_miss_by_a_fifth() -> None:
    row = record([Goal(5.0, against=("fast",))], freqops=1.0, fast=4.0, copy=0.5)
    (verdict,) = verdicts(row, {**WARM, "level": "avx2"})
    assert [aim.met for aim in verdict.aims] == [True]


def test_row_without_a_peer_is_not_judged() -> None:
    row = record([], freqops=1.0, kornia=0.5, copy=0.5)
    assert verdicts(row, WARM) == []
    assert first_verdict(row, WARM) is None


def test_loss_is_a_loss_by_the_least_margin() -> None:
    lost, won = (first_verdict(record([], freqops=1.0, fast=t, copy=0.5), WARM) for t in (0.99, 1))
    assert lost is not None
    assert won is not None
    assert (lost.lost, won.lost) == (True, False)


@pytest.mark.parametrize(
    ("ours", "fast", "uncertain"),
    [(1.2, 2.4, False), (1.5, 2.0, True), (1.0, 2.6, True), (3.0, 6.0, False)],
)
def test_ratio_is_uncertain_where_medians_tell_another(
    ours: float, fast: float, uncertain: bool
) -> None:
    """What slows both alike is no doubt about their ratio."""
    row = record([], freqops=1.0, fast=2.0, copy=0.5)
    row["contenders"][0]["median"], row["contenders"][1]["median"] = ours, fast
    judged = first_verdict(row, WARM)
    assert judged is not None
    assert judged.uncertain == uncertain
