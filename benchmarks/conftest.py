"""Options of the suite, and the fixtures: bench_X.py is given the rows of freqops.bench.cases.X."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision_ops

from freqops.bench import measurement
from freqops.bench.case import Row
from freqops.bench.cases import operators
from freqops.bench.machine import describe_run
from freqops.bench.timing import consume


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("freqops")
    threads = int(os.environ.get("FREQOPS_BENCH_THREADS", "2"))
    group.addoption("--threads", type=int, default=threads, help="threads of ours and of the peers")
    group.addoption("--seconds", type=float, default=2.5, help="about how long to time each case")
    group.addoption("--least-rounds", type=int, default=5, help="however long they take")
    group.addoption("--peaks", action="store_true", help="the memory each contender needs as well")


# timm's layers load torchvision, which a CPU-only torch needs help with.
_torchvision_library = torchvision_ops.declare_missing()

# When the suite starts: later the load is its own.
DESCRIPTION = describe_run("cpu")


def pytest_configure(config: pytest.Config) -> None:
    measurement.set_threads(config.getoption("--threads"))


def pytest_benchmark_update_json(
    config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]
) -> None:
    output_json["environment"] = {**DESCRIPTION, "threads": torch.get_num_threads()}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "row" in metafunc.fixturenames:
        op = metafunc.module.__name__.rpartition(".")[2].removeprefix("bench_")
        metafunc.parametrize("row", operators()[op], ids=str)


@pytest.fixture
def measure(benchmark: Any, pytestconfig: pytest.Config) -> Callable[[Row], None]:
    """Measures a row as `freqops bench` does, and notes its record.

    pytest-benchmark's own numbers are of ours alone, back to back; the tables are made of the
    records. A peer that computes something else fails the row: here all of them are known.
    """
    least_rounds = pytestconfig.getoption("--least-rounds")
    settings = measurement.Settings(
        seconds=pytestconfig.getoption("--seconds"),
        least_rounds=least_rounds,
        peaks=pytestconfig.getoption("--peaks"),
    )

    def run(row: Row) -> None:
        record = measurement.measured(row, settings)
        assert "failed" not in record, record["failed"]
        assert not record["not_compared"], record["not_compared"]
        benchmark.group = row.table
        benchmark.extra_info.update(record)
        ours = row.case().contenders[0]
        benchmark.pedantic(lambda: consume(ours.run()), rounds=least_rounds, iterations=1)

    return run
