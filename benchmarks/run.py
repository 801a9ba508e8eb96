"""Runs the suite in every allocator state and CPU level; keeps the results and the README's tables.

    python benchmarks/run.py                      everything; writes results/ and README.md
    python benchmarks/run.py --quick              few rounds: does it work? prints, writes nothing
    python benchmarks/run.py --only gradient      some cases (pytest's -k); prints, writes nothing
    python benchmarks/run.py --render             README.md from what is in results/

Standard library only: torch must not be loaded here, see memory.py.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import memory
import tables
from environment import ALLOCATORS, ROOT, describe

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results"
README = FOLDER / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

Result = dict[str, Any]


def main() -> int:
    """Runs what was asked for; 1 where a case failed."""
    arguments = parsed()
    if arguments.render:
        write_readme()
        return 0
    partial = bool(arguments.quick or arguments.only)
    status = 0
    for run in arguments.runs.split(",") if arguments.runs else usual_runs():
        allocator, _, level = run.partition(":")
        print(f"== {allocator} allocator, {level}", flush=True)
        result, failed = run_suite(allocator, level, arguments)
        status |= failed
        if partial or failed:
            print(tables.section(result) if result else "no results", flush=True)
        elif result:
            keep(file_name(result["environment"]), result)
    if arguments.only is None:
        status |= run_memory(arguments.threads, write=not partial)
    if not partial:
        write_readme()
    return status


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", default="", help="such as default:avx512,warm:avx2")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.5, help="about how long for each case")
    parser.add_argument("--quick", action="store_true", help="two rounds a case")
    parser.add_argument("--only", metavar="EXPRESSION", help="pytest's -k")
    parser.add_argument("--render", action="store_true", help="only write the README's tables")
    arguments = parser.parse_args()
    for run in filter(None, arguments.runs.split(",")):
        allocator, _, level = run.partition(":")
        if allocator not in ALLOCATORS or not level:
            parser.error(f"--runs: must be of {', '.join(ALLOCATORS)}, a colon, a level, got {run}")
    return arguments


def usual_runs() -> list[str]:
    """Both allocator states at the machine's best level; below AVX-512 where it would have that.

    AVX2 in warm memory only: page faults hide the difference.
    """
    command = [sys.executable, "-c", "from freqops import _C; print(_C.cpu_level())"]
    done = subprocess.run(
        command, env=surroundings("default"), capture_output=True, text=True, check=True
    )
    best = done.stdout.strip()
    return [f"default:{best}", f"warm:{best}", *(["warm:avx2"] if best == "avx512" else [])]


def run_suite(
    allocator: str, level: str, arguments: argparse.Namespace
) -> tuple[Result | None, bool]:
    """The suite in a process of its own; its result, and whether a case failed."""
    variables = surroundings(allocator)
    variables["FREQOPS_CPU"] = level
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.json"
        command = [sys.executable, "-m", "pytest", "-c", str(FOLDER / "pytest.ini"), str(FOLDER)]
        command += ["-q", "--benchmark-quiet", f"--benchmark-json={raw}"]
        command += [f"--threads={arguments.threads}", f"--seconds={arguments.seconds}"]
        if arguments.quick:
            command += ["--seconds=0", "--least-rounds=2"]
        if arguments.only is not None:
            command += ["-k", arguments.only]
        failed = subprocess.run(command, env=variables).returncode != 0
        text = raw.read_text() if raw.exists() else ""
    if not text:
        return None, True
    output = json.loads(text)
    cases = [entry["extra_info"] for entry in output["benchmarks"]]
    return {"environment": output["environment"], "cases": cases}, failed


def run_memory(threads: int, *, write: bool) -> bool:
    """Measures memory; whether that failed."""
    print("== memory", flush=True)
    try:
        result = {
            "environment": describe(),
            "memory": memory.measure(surroundings("default"), threads),
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
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") + ".json"


def keep(name: str, result: Result) -> None:
    """Writes a result file."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(json.dumps(result, indent=1) + "\n")


def write_readme() -> None:
    """Puts the tables of everything in results/ between the README's markers."""
    results = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    suites = sorted((result for result in results if "cases" in result), key=reading_order)
    sections = [tables.section(result) for result in suites]
    sections += [tables.memory_section(result) for result in results if "memory" in result]
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    body = "\n\n".join([BEGIN, *sections, END])
    README.write_text(before + body + after)


def reading_order(result: Result) -> tuple[str, int, str, int]:
    """By machine; what users get first: all threads, the default allocator, the best level."""
    environment = result["environment"]
    width = {"avx512": 0, "avx2": 1}.get(environment["level"], 2)
    return environment["cpu"], -environment["threads"], environment["allocator"], width


if __name__ == "__main__":
    sys.exit(main())
