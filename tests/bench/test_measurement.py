"""What a measured row says: who was left out and why, what failed, what each needs."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from freqops.bench import measurement, memory
from freqops.bench.case import Row
from freqops.bench.measurement import Settings, measured
from freqops.bench.timing import Contender


def counted(contender: Contender, untimed: int, calls: int) -> list[float]:
    return [1e-3] * calls


def broken() -> None:
    raise ValueError("first line\nsecond line")


def row_of(**calls: Callable[[], Any]) -> Row:
    roles: dict[str, Any] = {"freqops": "ours", "ours_too": "ours", "copy": "floor"}

    def made() -> list[Contender]:
        return [Contender(name, call, roles.get(name, "peer")) for name, call in calls.items()]

    return Row("op", "table", "label", (2,), made)


SETTINGS = Settings(seconds=0, least_rounds=2)


def test_peers_that_differ_or_fail_are_left_out_and_named() -> None:
    row = row_of(
        freqops=lambda: torch.ones(2),
        right=lambda: torch.ones(2),
        wrong=lambda: torch.zeros(2),
        broken=broken,
        copy=lambda: None,
    )
    record = measured(row, SETTINGS, counted)
    assert [entry["name"] for entry in record["contenders"]] == ["freqops", "right", "copy"]
    assert record["not_compared"] == {
        "wrong": "differ by 1.0e+00",
        "broken": "does not run: first line",
    }
    assert {entry["median"] for entry in record["contenders"]} == {1.0}
    assert {entry["quartiles"] for entry in record["contenders"]} == {(1.0, 1.0)}


def test_row_that_does_not_run_says_why() -> None:
    def no_kernel() -> None:
        raise RuntimeError("no kernel image\nmore")

    record = measured(row_of(freqops=no_kernel, torch=lambda: torch.ones(2)), SETTINGS, counted)
    assert (record["failed"], record["contenders"]) == ("no kernel image", [])


def test_peer_that_stops_while_it_is_timed_is_left_out_and_the_others_are_timed() -> None:
    """It computes what is due when asked once; a later call fails."""

    def clock(contender: Contender, untimed: int, calls: int) -> list[float]:
        if contender.name == "fails":
            raise ValueError("out of plans\nmore")
        return counted(contender, untimed, calls)

    row = row_of(freqops=lambda: torch.ones(2), fails=lambda: torch.ones(2), copy=lambda: None)
    record = measured(row, SETTINGS, clock)
    assert [entry["name"] for entry in record["contenders"]] == ["freqops", "copy"]
    assert record["not_compared"] == {"fails": "stopped while it was timed: out of plans"}
    assert "failed" not in record


@pytest.mark.parametrize("name", ["freqops", "copy"])
def test_without_ours_or_the_copy_there_is_no_row(name: str) -> None:
    def clock(contender: Contender, untimed: int, calls: int) -> list[float]:
        if contender.name == name:
            raise TypeError("no such call")
        return counted(contender, untimed, calls)

    row = row_of(freqops=lambda: torch.ones(2), torch=lambda: torch.ones(2), copy=lambda: None)
    record = measured(row, SETTINGS, clock)
    assert record["failed"] == f"{name} stopped while it was timed: no such call"
    assert record["contenders"] == []


def test_interrupt_is_no_failure() -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measured(row_of(freqops=lambda: torch.ones(2), torch=stopped), SETTINGS, counted)


def test_two_of_ours_that_differ_fail_the_row() -> None:
    row = row_of(freqops=lambda: torch.ones(2), ours_too=lambda: torch.zeros(2))
    assert measured(row, SETTINGS, counted)["failed"] == "ours_too and freqops differ by 1.0e+00"


def test_tensors_are_made_on_the_device() -> None:
    seen: list[str] = []

    def made() -> list[Contender]:
        seen.append(torch.rand(1).device.type)
        return []

    Row("op", "table", "label", (2,), made).case("meta")
    assert seen == ["meta"]


GROWTH = """
import torch
from freqops.bench import memory
from freqops.bench.timing import Contender

def together():
    return [torch.ones(16 << 20), torch.ones(16 << 20)]

def in_turn():
    torch.ones(16 << 20)
    return torch.ones(16 << 20)

print(*(memory.growth(Contender("", call)) for call in (together, in_turn)))
"""


@pytest.mark.skipif(not memory.STATUS.exists(), reason="needs /proc")
def test_growth_is_what_a_call_holds_at_once() -> None:
    """Two buffers of 64 MiB alive together are told from one after the other."""
    done = subprocess.run(
        [sys.executable, "-c", GROWTH],
        env={**os.environ, **memory.GIVES_BACK},  # this process holds what other tests have freed
        capture_output=True,
        text=True,
        check=True,
    )
    both, one = map(int, done.stdout.split())
    assert both == pytest.approx(128 << 20, rel=0.1)
    assert one == pytest.approx(64 << 20, rel=0.1)


@pytest.mark.skipif(not memory.STATUS.exists(), reason="needs /proc")
def test_memory_is_asked_in_a_process_of_its_own() -> None:
    from freqops.bench.cases import rows

    row = next(row for row in rows(["fft_filter"]) if row.label == "16x64x56x56")
    found = memory.peaks(row, row.case(), "cpu")
    outputs = 4 * torch.Size(row.shape).numel()
    assert found["freqops"] == pytest.approx(outputs, rel=0.2)
    assert found["freqops out="] < 0.2 * outputs
    assert found["torch"] > 2 * outputs  # a spectrum, and another behind the product
    assert "copy" not in found


def test_threads_are_pinned() -> None:
    before = torch.get_num_threads()
    try:
        measurement.set_threads(1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
