"""Options of the suite, and the fixture that times a case."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
import tables
import torch
import torchvision_ops
from case import Case
from environment import describe
from interleave import check_agreement, consume, interleave


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("freqops")
    threads = int(os.environ.get("FREQOPS_BENCH_THREADS", "2"))
    group.addoption("--threads", type=int, default=threads, help="threads of ours and of the peers")
    group.addoption("--seconds", type=float, default=2.5, help="about how long to time each case")
    group.addoption("--least-rounds", type=int, default=5, help="however long they take")


# timm's layers load torchvision, which a CPU-only torch needs help with.
_torchvision_library = torchvision_ops.declare_missing()

# When the suite starts: later the load is its own.
DESCRIPTION = describe()


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(config.getoption("--threads"))
    torch.manual_seed(0)


def pytest_benchmark_update_json(
    config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]
) -> None:
    from freqops import _C

    output_json["environment"] = {
        **DESCRIPTION,
        "threads": torch.get_num_threads(),
        "level": _C.cpu_level(),
        "freqops": _C.__version__,
        "compiler": _C.compiler,
        **{name: version(name) for name in tables.PACKAGES},
    }


@pytest.fixture
def compare(benchmark: Any, pytestconfig: pytest.Config) -> Callable[[Case], None]:
    """Checks that a case's contenders agree, times them in turns, and notes the row.

    pytest-benchmark's own numbers are of ours alone, back to back; the table is made of the turns.
    """
    seconds = pytestconfig.getoption("--seconds")
    least_rounds = pytestconfig.getoption("--least-rounds")

    def run(case: Case) -> None:
        check_agreement(case.contenders, case.tolerance)
        timings = interleave(case.contenders, seconds=seconds, least_rounds=least_rounds)
        benchmark.group = case.table
        benchmark.extra_info.update(case.record(timings))
        ours = case.contenders[0]
        assert ours.role == "ours", f"{case.label}: ours has to be the first contender"
        benchmark.pedantic(lambda: consume(ours.run()), rounds=least_rounds, iterations=1)

    return run
