"""Runs the suite in every allocator state and CPU level; keeps the results and makes the pages.

    python benchmarks/run.py                      everything; writes results/ and the pages
    python benchmarks/run.py --quick              few rounds: does it work? prints, writes nothing
    python benchmarks/run.py --suites pooling     a part; writes its results/ and the pages
    python benchmarks/run.py --only gradient      some cases (pytest's -k); prints, writes nothing
    python benchmarks/run.py --render             the pages from what is in results/

The pages are README.md here, docs/benchmarks.md with its pictures, and the tables of times in
README.md and docs/ (see pages.py).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kept
import memory
import pages
from kept import FOLDER, RESULTS

from freqops.bench import model_tables, record, tables
from freqops.bench.machine import ALLOCATORS, ROOT, describe

Result = dict[str, Any]


@dataclass(frozen=True)
class Suite:
    """Files of cases whose results are kept together.

    Attributes:
        files: of the folder ops.
        seconds: about how long a case is timed.
        narrow: whether it is also run below AVX-512 where the machine has that.
    """

    files: tuple[str, ...]
    seconds: float
    narrow: bool


SUITES = {
    "filters": Suite(
        (
            "bench_fft_filter.py",
            "bench_filter_bank.py",
            "bench_low_high.py",
            "bench_split_bands.py",
            "bench_mix_amplitude_phase.py",
            "bench_pass_filter.py",
            "bench_global_filter.py",
        ),
        2.5,
        narrow=True,
    ),
    "pooling": Suite(
        (
            "bench_blur_pool.py",
            "bench_max_blur_pool.py",
            "bench_polyphase_pool.py",
            "bench_upfirdn.py",
            "bench_filtered_leaky_relu.py",
        ),
        1.0,
        narrow=False,
    ),
    "spectral": Suite(
        ("bench_flc_pool.py", "bench_spectral_pool.py", "bench_diff_stride.py"), 1.0, narrow=False
    ),
    "convolution": Suite(
        ("bench_fft_conv.py", "bench_band_limited_conv.py", "bench_spectral_conv.py"),
        1.0,
        narrow=False,
    ),
}
# Whole networks: each a script of its own, and how its result is shown.
NETWORKS: dict[str, tuple[str, Callable[[Result], str]]] = {
    "models": ("models.py", model_tables.models_section),
    "evaluation": ("evaluation.py", tables.evaluation_section),
    "accelerated": ("accelerated_models.py", tables.accelerated_section),
}
PARTS = (*SUITES, *NETWORKS, "memory")


def main() -> int:
    """Runs what was asked for; 1 where a case failed."""
    arguments = parsed()
    if arguments.render:
        pages.write(kept.read())
        return 0
    partial = bool(arguments.quick or arguments.only)
    parts = arguments.suites.split(",")
    status = 0
    for name in [part for part in parts if part in SUITES]:
        runs = arguments.runs.split(",") if arguments.runs else usual_runs(SUITES[name])
        for run in runs:
            status |= run_and_keep(name, run, arguments, write=not partial)
    for name in [part for part in parts if part in NETWORKS and arguments.only is None]:
        status |= run_networks(name, arguments)
    if arguments.only is None and "memory" in parts:
        status |= run_memory(arguments.threads, write=not partial)
    if not partial:
        pages.write(kept.read())
    return status


def run_and_keep(name: str, run: str, arguments: argparse.Namespace, *, write: bool) -> bool:
    """A suite in one state, written where asked for and whole; whether a case failed."""
    allocator, _, level = run.partition(":")
    print(f"== {name}: {allocator} allocator, {level}", flush=True)
    result, failed = run_suite(name, allocator, level, arguments)
    if failed or not write:
        print(tables.section(result) if result else "no results", flush=True)
    elif result:
        keep(file_name(result["environment"]), result)
    return failed


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suites", default=",".join(PARTS), help="such as pooling,memory")
    parser.add_argument("--runs", default="", help="such as default:avx512,warm:avx2")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, help="about how long for each case")
    parser.add_argument("--quick", action="store_true", help="two rounds a case")
    parser.add_argument("--only", metavar="EXPRESSION", help="pytest's -k")
    parser.add_argument("--render", action="store_true", help="only write the pages")
    arguments = parser.parse_args()
    for name in arguments.suites.split(","):
        if name not in PARTS:
            parser.error(f"--suites: must be of {', '.join(PARTS)}, got {name}")
    for run in filter(None, arguments.runs.split(",")):
        allocator, _, level = run.partition(":")
        if allocator not in ALLOCATORS or not level:
            parser.error(f"--runs: must be of {', '.join(ALLOCATORS)}, a colon, a level, got {run}")
    return arguments


def usual_runs(suite: Suite) -> list[str]:
    """Both allocator states at the machine's best level; a narrow suite below AVX-512 as well.

    AVX2 in warm memory only: page faults hide the difference.
    """
    command = [sys.executable, "-c", "from freqops import _C; print(_C.cpu_level())"]
    done = subprocess.run(
        command, env=surroundings("default"), capture_output=True, text=True, check=True
    )
    best = done.stdout.strip()
    below = ["warm:avx2"] if suite.narrow and best == "avx512" else []
    return [f"default:{best}", f"warm:{best}", *below]


def run_suite(
    name: str, allocator: str, level: str, arguments: argparse.Namespace
) -> tuple[Result | None, bool]:
    """The suite in a process of its own; its result, and whether a case failed."""
    variables = surroundings(allocator)
    variables["FREQOPS_CPU"] = level
    suite = SUITES[name]
    seconds = suite.seconds if arguments.seconds is None else arguments.seconds
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.json"
        command = [sys.executable, "-m", "pytest", "-c", str(FOLDER / "pytest.ini")]
        command += [str(FOLDER / "ops" / file) for file in suite.files]
        command += ["-q", "--benchmark-quiet", f"--benchmark-json={raw}"]
        command += [f"--threads={arguments.threads}", f"--seconds={seconds}"]
        if arguments.quick:
            command += ["--seconds=0", "--least-rounds=2"]
        if arguments.only is not None:
            command += ["-k", arguments.only]
        done = subprocess.run(command, env=variables)
        nothing_chosen = arguments.only is not None and done.returncode == 5
        failed = done.returncode != 0 and not nothing_chosen
        text = raw.read_text() if raw.exists() else ""
    if not text:
        return None, failed
    output = json.loads(text)
    cases = [entry["extra_info"] for entry in output["benchmarks"]]
    environment = {**output["environment"], "suite": name}
    return record.result_of(cases, environment, {"suite": name, "seconds": seconds}), failed


def run_networks(name: str, arguments: argparse.Namespace) -> bool:
    """Measures networks end to end, with the allocator that users get; whether that failed."""
    print(f"== {name}", flush=True)
    script, section = NETWORKS[name]
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "result.json"
        command = [sys.executable, str(FOLDER / script), f"--out={raw}"]
        command += [f"--threads={arguments.threads}", *(["--quick"] if arguments.quick else [])]
        if arguments.seconds is not None:
            command += [f"--seconds={arguments.seconds}"]
        failed = subprocess.run(command, env=surroundings("default")).returncode != 0
        if failed:
            return True
        result = json.loads(raw.read_text())
    if arguments.quick:
        print(section(result))
    else:
        keep(file_name({**result["environment"], "suite": name}), result)
    return False


def run_memory(threads: int, *, write: bool) -> bool:
    """Measures memory; whether that failed."""
    print("== memory", flush=True)
    try:
        result = {
            "environment": describe(),
            "memory": memory.measure(surroundings("default"), threads),
            "pooling": memory.measure_pooling(surroundings("default"), threads),
        }
    except subprocess.CalledProcessError:
        return True
    if write:
        keep("memory.json", result)
    else:
        print(tables.memory_section(result))
    return False


def surroundings(allocator: str) -> dict[str, str]:
    """The environment of a run, with this checkout's freqops and nothing left of another state."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    variables.pop("FREQOPS_CPU", None)
    paths = [str(ROOT), *filter(None, [variables.get("PYTHONPATH")])]
    return {**variables, **ALLOCATORS[allocator], "PYTHONPATH": os.pathsep.join(paths)}


def file_name(environment: dict[str, Any]) -> str:
    """One file per machine and state, overwritten by the next run: git keeps the history."""
    words = "{cpu} {allocator} {level} {threads} threads".format(**environment)
    if environment.get("suite", "filters") != "filters":
        words += f" {environment['suite']}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") + ".json"


def keep(name: str, result: Result) -> None:
    """Writes a result file."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(record.text(result))


if __name__ == "__main__":
    sys.exit(main())
