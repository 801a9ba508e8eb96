"""What is in results/, for the pages that are made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from freqops.bench import record

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results"
#: In the order in which they are read.
SUITES = ("filters", "pooling", "spectral", "convolution")
CROSSOVER = "convolution_crossover.json"

Result = dict[str, Any]


@dataclass
class Kept:
    """Result files by kind; each result has its file's name as "file".

    Attributes:
        suites: rows against peers on a CPU, in reading order.
        models: anti-aliased networks.
        evaluation: whole filtered evaluations.
        accelerated: networks with large kernels.
        memory: what calls need besides their input.
        crossover: convolutions by the size of their kernels; None where there is no such file.
        gpu: of `make gpu`, and rows against peers on a GPU.
    """

    suites: list[Result] = field(default_factory=list)
    models: list[Result] = field(default_factory=list)
    evaluation: list[Result] = field(default_factory=list)
    accelerated: list[Result] = field(default_factory=list)
    memory: list[Result] = field(default_factory=list)
    crossover: Result | None = None
    gpu: list[Result] = field(default_factory=list)

    def suite(self, name: str, allocator: str) -> Result | None:
        """The first in reading order: of the machine's best level."""
        for result in self.suites:
            environment = result["environment"]
            if suite_of(environment) == name and environment["allocator"] == allocator:
                return result
        return None

    def everything(self) -> Iterator[Result]:
        """All of them."""
        for kind in (self.suites, self.models, self.evaluation, self.accelerated, self.memory):
            yield from kind
        if self.crossover is not None:
            yield self.crossover
        yield from self.gpu


def read(folder: Path = RESULTS) -> Kept:
    """Reads a folder of results.

    Args:
        folder: of JSON files; those of no known kind are left out.
    """
    kept = Kept()
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text())
        result = {**(record.read(path) if "cases" in result else result), "file": path.name}
        if path.name == CROSSOVER:
            kept.crossover = result
        elif "steps" in result or on_gpu(result["environment"]):
            kept.gpu.append(result)
        elif "cases" in result:
            kept.suites.append(result)
        else:
            for kind in ("models", "evaluation", "accelerated", "memory"):
                if kind in result:
                    getattr(kept, kind).append(result)
    kept.suites.sort(key=reading_order)
    return kept


def reading_order(result: Result) -> tuple[str, int, int, str, int]:
    """By machine and suite; then all threads, the default allocator, the best level first."""
    environment = result["environment"]
    width = {"avx512": 0, "avx2": 1}.get(environment["level"], 2)
    part = SUITES.index(suite_of(environment))
    return environment["cpu"], part, -environment["threads"], environment["allocator"], width


def suite_of(environment: Result) -> str:
    """Which suite a result is of; the first one's files did not say."""
    return str(environment.get("suite", SUITES[0]))


def on_gpu(environment: Result) -> bool:
    """Whether a result's rows ran on one."""
    return str(environment.get("device", "cpu")).startswith("cuda")
