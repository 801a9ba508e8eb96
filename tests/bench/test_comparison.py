"""When a change is one: beyond the noise of both runs, the machine's own change divided out."""

import random
from dataclasses import asdict
from typing import Any

import pytest
from bench_results import made_up, made_up_row

from freqops.bench.comparison import compare
from freqops.bench.timing import timing


def change(before: float, after: float, *, spread: float = 0.02, drift: float = 1.0) -> str:
    """The verdict on ours, between others that all changed by `drift`."""
    first = made_up_row(spread=spread, freqops=before, torch=4.0, copy=1.0)
    second = made_up_row(spread=0.02, freqops=after, torch=4.0 * drift, copy=drift)
    (only,) = compare(made_up(first), made_up(second)).changes
    return only.verdict


@pytest.mark.parametrize(
    ("after", "spread", "verdict"),
    [
        (1.04, 0.02, "same"),  # below 5 % nothing is told from noise
        (1.06, 0.02, "slower"),
        (1.06, 0.10, "same"),  # the first run's spread
        (1.11, 0.10, "slower"),
        (0.96, 0.02, "same"),
        (0.94, 0.02, "faster"),
        (0.92, 0.10, "same"),
    ],
)
def test_noise_of_both_runs_decides(after: float, spread: float, verdict: str) -> None:
    assert change(1.0, after, spread=spread) == verdict


def test_the_machine_is_divided_out() -> None:
    assert change(1.0, 1.5, drift=1.5) == "same"
    assert change(1.0, 1.0, drift=0.5) == "slower"
    assert change(1.0, 1.0, drift=2.0) == "faster"


def test_drift_is_the_median_of_all_that_is_not_ours() -> None:
    """One peer's new version moves nothing else."""
    before = [made_up_row(label=f"{n}x8", freqops=1.0, torch=4.0, copy=1.0) for n in (1, 2, 3)]
    newer = made_up_row(label="1x8", freqops=1.0, torch=9.0, copy=1.0)
    found = compare(made_up(*before), made_up(newer, *before[1:]))
    assert (found.drift, found.others) == (1.0, 6)
    assert [one.verdict for one in found.changes] == ["same"] * 3
    assert found.regressions == []


def test_rows_are_matched_by_operator_table_shape_and_contender() -> None:
    both = made_up_row(label="2x8", freqops=1.0, **{"freqops out=": 1.0}, torch=3.0, copy=1.0)
    both["contenders"][1]["role"] = "ours"
    slow = made_up_row(label="2x8", freqops=1.0, **{"freqops out=": 2.0}, torch=3.0, copy=1.0)
    slow["contenders"][1]["role"] = "ours"
    found = compare(
        made_up(both, made_up_row(label="3x8")),
        made_up(made_up_row(label="4x8"), made_up_row(op="flc_pool", label="2x8"), slow),
    )
    assert [(one.label, one.name, one.verdict) for one in found.changes] == [
        ("2x8", "freqops", "same"),
        ("2x8", "freqops out=", "slower"),
    ]
    assert (found.only_before, found.only_after) == (1, 2)


def test_failed_rows_are_left_out() -> None:
    failed = {**made_up_row(), "contenders": [], "failed": "no kernel"}
    assert compare(made_up(made_up_row()), made_up(failed)).changes == []


def test_other_conditions_are_named() -> None:
    found = compare(made_up(), made_up(threads=4, cpu="Another CPU"))
    assert found.unlike == ["cpu was Some CPU, is Another CPU", "threads was 2, is 4"]
    assert compare(made_up(), made_up(date="another", load=3.0)).unlike == []


# --- made-up runs with noise ----------------------------------------------------------------------

ROWS = 50
SLOW = 7


def run(seed: int, *, noise: float, busy: float = 0.0, slower: float = 1.0) -> dict[str, Any]:
    """A run in which every contender's times have a deviate of their own and one by call.

    Some rows are timed in a busy moment, which meets all their contenders; one of ours may be
    slower.
    """
    rng = random.Random(seed)
    rows = []
    for number in range(ROWS):
        moment = rng.uniform(1.3, 2.0) if rng.random() < busy else 1.0
        row = made_up_row(label=f"{number}x8", freqops=1.0, torch=4.0, scipy=5.0, copy=0.3)
        for entry in row["contenders"]:
            mean = entry["median"] * moment * rng.lognormvariate(0, noise)
            if number == SLOW and entry["role"] == "ours":
                mean *= slower
            calls = [mean * (1 + abs(rng.gauss(0, noise))) for _ in range(9)]
            entry.update(asdict(timing([call / 1e3 for call in calls])))
        rows.append(row)
    return made_up(*rows)


@pytest.mark.parametrize(("noise", "busy"), [(0.005, 0.0), (0.02, 0.1), (0.05, 0.3), (0.2, 0.5)])
def test_equal_runs_rarely_raise_an_alarm(noise: float, busy: float) -> None:
    """Of 20 pairs of runs, a thousand rows, whatever the machine does."""
    pairs = [(run(n, noise=noise, busy=busy), run(1000 + n, noise=noise)) for n in range(20)]
    alarms = [len(compare(*pair).regressions) for pair in pairs]
    assert sum(alarms) <= 5


@pytest.mark.parametrize("noise", [0.005, 0.01])
def test_one_slower_row_is_found_and_no_other(noise: float) -> None:
    """15 % in one of 50 rows, between ten pairs of runs on a quiet machine."""
    for n in range(10):
        before = run(n, noise=noise)
        after = run(1000 + n, noise=noise, slower=1.15)
        assert [one.label for one in compare(before, after).regressions] == [f"{SLOW}x8"]


def test_change_that_medians_alone_show_is_none() -> None:
    before, after = made_up_row(), made_up_row()
    after["contenders"][0]["median"] *= 1.5
    (only,) = compare(made_up(before), made_up(after)).changes
    assert (only.ratio, only.verdict) == (1.0, "same")


def test_busy_moment_of_a_row_is_divided_out() -> None:
    """All of one row take twice as long, and the rest of the run says nothing of it."""
    quiet = [made_up_row(label=f"{n}x8") for n in range(1, 40)]
    busy = made_up_row(label="1x8", freqops=2.0, torch=8.0, copy=1.0)
    found = compare(made_up(*quiet), made_up(busy, *quiet[1:]))
    assert found.drift == 1.0
    assert found.changes[0].verdict == "same"
