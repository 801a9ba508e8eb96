"""torch.compile as a peer: of the same function, lazily, and never the failure of a row."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from freqops.bench import compiled, measurement
from freqops.bench.case import Row
from freqops.bench.measurement import Settings
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders

ONCE = Settings(seconds=0, least_rounds=1)


def row_of(composition: Callable[[Tensor], Any]) -> Row:
    def made() -> Sequence[Contender]:
        ways = [Way("freqops", transformed, "ours"), Way("torch", composition, compiles=True)]
        return contenders(ways, torch.rand(4, 4), 128)

    return Row("fft_filter", "table", "4x4", (4, 4), made, compiled=True)


def transformed(x: Tensor) -> Tensor:
    return torch.fft.rfft2(x)


def with_a_number_of_a_tensor(x: Tensor) -> Tensor:
    x.sum().tolist()
    return torch.fft.rfft2(x)


@pytest.fixture
def compiler() -> None:
    if reason := compiled.problem():
        pytest.skip(reason)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CXX", "no-such-compiler -O3")
    compiled.problem.cache_clear()
    yield
    compiled.problem.cache_clear()


@pytest.mark.usefixtures("compiler")
def test_composition_is_compiled_once_and_timed() -> None:
    record = measurement.measured(row_of(transformed), ONCE)
    names = [entry["name"] for entry in record["contenders"]]
    assert names == ["freqops", "torch", "compiled", "copy"]
    assert record["not_compared"] == {}


@pytest.mark.usefixtures("compiler")
def test_what_cannot_be_compiled_is_not_compared() -> None:
    """The reason is torch.compile's own, in one sentence; the row's other times stay."""
    record = measurement.measured(row_of(with_a_number_of_a_tensor), ONCE)
    (reason,) = record["not_compared"].values()
    assert reason.startswith("does not run: torch.compile: ")
    assert "tolist" in reason
    assert "\n" not in reason
    assert "failed" not in record
    assert [entry["name"] for entry in record["contenders"]] == ["freqops", "torch", "copy"]


def test_nothing_is_compiled_where_it_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def called(*arguments: Any, **options: Any) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr(torch, "compile", called)
    quick = Settings(seconds=0, least_rounds=1, compiles=False)
    record = measurement.measured(row_of(transformed), quick)
    assert record["not_compared"] == {}
    assert "torch.compile" not in measurement.absent_peers(quick)


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_it_is_an_absent_peer() -> None:
    record = measurement.measured(row_of(transformed), ONCE)
    assert [entry["name"] for entry in record["contenders"]] == ["freqops", "torch", "copy"]
    assert record["not_compared"] == {}
    said = measurement.absent_peers(ONCE)["torch.compile"]
    assert said == (
        "its backend writes C++, and there is no no-such-compiler -O3 here (CXX names another)"
    )
