"""Filtered evaluations and accelerated networks, whole: who takes part and what must agree."""

from typing import Any

import accelerated_models
import evaluation
import pytest
import torch
from bench_results import ENVIRONMENT
from whole_jobs import Effort

from freqops import demo
from freqops.bench import tables
from freqops.bench.timing import Contender, check_agreement

CONDITIONS = 1 + 2 * evaluation.RADII
TINY = evaluation.Row("demo network", demo.model, 5, 32, 2, numpy=True)
ALL = ["freqops", "torch.fft", "torch.fft, forward shared", "numpy", "network"]
MADE = {**ENVIRONMENT, "date": "?", "load": 0, "commit": "?", "python": "?"}


@pytest.fixture(scope="module")
def contenders() -> list[Contender]:
    return evaluation.contenders(TINY)


def test_who_takes_part(contenders: list[Contender]) -> None:
    assert [one.name for one in contenders] == ALL
    assert [one.role for one in contenders] == ["ours", "peer", "peer", "peer", "floor"]
    without = evaluation.Row("demo network", demo.model, 2, 32, 2, numpy=False)
    assert "numpy" not in [one.name for one in evaluation.contenders(without)]


def test_shares_agree(contenders: list[Contender]) -> None:
    """The unfiltered share is 1, as labels are the network's answers; a filter takes from it."""
    check_agreement(contenders, evaluation.TOLERANCE)
    shares = contenders[0].result()
    assert shares.shape == (CONDITIONS,)
    assert shares[0] == 1
    assert shares.min() < 1
    assert torch.equal(contenders[-1].result(), torch.ones(CONDITIONS))  # nobody filtered


def test_a_loop_with_other_filters_is_refused(contenders: list[Contender]) -> None:
    """The network alone, were it a peer: it does not filter."""
    unfiltered = Contender("unfiltered", contenders[-1].run, "peer")
    with pytest.raises(AssertionError, match="unfiltered and freqops differ"):
        check_agreement([contenders[0], unfiltered], evaluation.TOLERANCE)


def test_rows_are_those_of_the_issue() -> None:
    for row in evaluation.ROWS:
        assert row.radii()[-1] == row.side / 2
    assert [row.images for row in evaluation.ROWS if row.side == 32] == [1000]


def test_record_and_table() -> None:
    row = evaluation.measured(TINY, Effort(0, 2))
    assert [one["name"] for one in row["contenders"]] == ALL
    assert set(row["ratios"]) == set(ALL[1:])
    assert row["conditions"] == CONDITIONS
    assert all(first <= third for first, third in row["ratio_quartiles"].values())
    assert set(row["ratio_quartiles"]) == set(ALL[1:])
    row["ratio_quartiles"] = {name: [2.0, 3.0] for name in ALL[1:]}
    row["ratio_quartiles"]["torch.fft, forward shared"] = [0.7, 1.1]
    row["ratios"] = {
        "torch.fft": 2.5,
        "torch.fft, forward shared": 0.8,
        "numpy": 9.0,
        "network": 0.5,
    }
    for entry in row["contenders"]:
        entry["median"] = 1000.0
    text = tables.evaluation_section({"environment": MADE, "evaluation": [row]})
    assert text.splitlines()[-1] == (
        "| demo network, 5 images of 32x32 | 17 | 1 | 1 (2.50x) | 1 **(~0.80x)** | 1 (9.00x) "
        "| 1 | 50% |"
    )
    del row["ratio_quartiles"]  # as in results of before
    text = tables.evaluation_section({"environment": MADE, "evaluation": [row]})
    assert "1 **(0.80x)**" in text


def test_accelerated_networks_agree_with_their_twins(monkeypatch: pytest.MonkeyPatch) -> None:
    def small() -> torch.nn.Module:
        block = accelerated_models.PointwiseAround
        return accelerated_models.network((8, 16), (1, 1), ([31], [13]), block)

    monkeypatch.setitem(accelerated_models.NETWORKS, "small", small)
    row = accelerated_models.Row("small", 1)
    found: dict[str, Any] = accelerated_models.measured(row, Effort(0, 2, quick=True))
    assert len(found["contenders"]) == 4
    assert all(some <= of for some, of in found["converted"].values())
    text = tables.accelerated_section({"environment": MADE, "accelerated": [found]})
    assert text.splitlines()[-1].startswith("| small, 1 image | ")
    assert text.splitlines()[-1].count("x) |") == 2
