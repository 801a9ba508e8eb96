"""All there is to see on a GPU machine, in under ten minutes, with its own Python and torch.

    python benchmarks/gpu.py                       every step; writes results/gpu-<device>.json
    python benchmarks/gpu.py --sizes 56,224        these sizes only
    python benchmarks/gpu.py --only build,measure  some of the steps
    python benchmarks/gpu.py --dry-run             what a machine without a GPU can do of it

Steps: build (for this machine's GPU), tests (pytest -m cuda), sanitizer (memcheck and racecheck of
compute-sanitizer, on small sizes), kernels (what torch.fft and we launch per call), measure (every
size against torch.fft and a copy). A step that fails or runs out of time leaves what the others
found. A dry run writes its result into build/gpu.

Nothing is downloaded or installed, and the GPU's settings are left as they are. Standard library
only: torch is loaded in the steps' own processes.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_plan
import gpu_report
from environment import ROOT, describe

HERE = Path(__file__).resolve().parent
BUILD = ROOT / "build" / "gpu"
# Seconds that a step may take; measuring gets what is left.
LIMITS = {"build": 240.0, "tests": 150.0, "sanitizer": 110.0, "kernels": 45.0, "measure": 600.0}

Result = dict[str, Any]


class StepFailed(Exception):
    """What a step could not do, in a sentence; with what it found all the same."""

    def __init__(self, sentence: str, **found: Any) -> None:
        super().__init__(sentence)
        self.found = found


class Run:
    """What the steps have in common.

    Args:
        sizes: to measure.
        dry: whether there is no GPU to do it on.
        end: of the time for all steps, on the monotonic clock.
    """

    def __init__(self, sizes: list[int], dry: bool, end: float) -> None:
        self.sizes = sizes
        self.dry = dry
        self.end = end
        # Where freqops is: in a dry run the usual build, until the step that builds another.
        built = (BUILD / "freqops" / "libfreqops_cuda.so").exists()
        self.package = BUILD if built and not dry else ROOT

    def left(self, step: str) -> float:
        """Seconds for the step. A dry run is on any machine, whose build may take its time."""
        return 3600.0 if self.dry else min(LIMITS[step], self.end - time.monotonic())

    def variables(self, **more: str) -> dict[str, str]:
        """The environment of a step's processes, with the freqops that was built for them."""
        paths = [str(self.package), *filter(None, [os.environ.get("PYTHONPATH")])]
        replay = {} if self.replay is None else {"FREQOPS_REPLAY_LIBRARY": str(self.replay)}
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **replay, **more}

    @property
    def replay(self) -> Path | None:
        """The kernels on the host, which stand in for them in a dry run; of the same build."""
        named = os.environ.get("FREQOPS_REPLAY_LIBRARY")
        folder = BUILD if self.package == BUILD else ROOT / "build"
        path = Path(named) if named else folder / "libfreqops_replay.so"
        return path if path.exists() else None

    @property
    def size_option(self) -> list[str]:
        """As the steps' scripts read it."""
        return ["--sizes", ",".join(map(str, self.sizes))]

    def python(self, step: str, script: str, *options: object, **more: str) -> str:
        """Runs a script beside this one; its output."""
        command = [sys.executable, HERE / script, *options]
        return execute(step, command, self.left(step), self.variables(**more))


def execute(
    name: str, command: list[Any], seconds: float, variables: dict[str, str] | None = None
) -> str:
    """Runs a command in build/gpu, where Python finds the freqops built there; output in NAME.log.

    Raises:
        StepFailed: it ended with an error, or not in time.
    """
    log = BUILD / f"{name}.log"
    words = [str(word) for word in command]
    with log.open("w") as file:
        # A group of its own, so that what it started ends with it.
        process = subprocess.Popen(
            words, stdout=file, stderr=subprocess.STDOUT, env=variables, cwd=BUILD,
            start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(timeout=max(1.0, seconds))
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    text = log.read_text(errors="replace")
    if status is None:
        raise StepFailed(f"{name} did not end within {seconds:.0f} s", output=text[-2000:])
    if status != 0:
        print(text[-3000:], flush=True)
        raise StepFailed(f"{name} ended with {status}; see {log}", output=text[-2000:])
    return text


def tool(name: str) -> str | None:
    """The program of this Python's environment before one of the system."""
    return shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)


def missing(*modules: str) -> list[str]:
    """Those of the modules that this Python does not have."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


# --- steps ----------------------------------------------------------------------------------------


def build(run: Run) -> Result:
    """Every library, CUDA's for the GPU of this machine, in a folder beside the usual build."""
    cmake, ninja = tool("cmake"), tool("ninja")
    if cmake is None or (ninja or tool("make")) is None:
        raise StepFailed("the build needs cmake, and ninja or make")
    if missing("pybind11", "torch"):
        raise StepFailed(
            f"the build needs {', '.join(missing('pybind11', 'torch'))} in {sys.executable}"
        )
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []
    execute(
        "configure",
        [
            *(cmake, "-S", ROOT, "-B", BUILD, *generator),
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-DFREQOPS_OUTPUT_DIR={BUILD / 'freqops'}",
            f"-DFREQOPS_CUDA={os.environ.get('FREQOPS_CUDA', '') if run.dry else 1}",
            f"-DFREQOPS_CUDA_ARCHS={os.environ.get('FREQOPS_CUDA_ARCHS', '')}",
        ],
        run.left("build"),
    )
    # Not the host replay: it is for machines without a GPU, and compiles as long as the rest.
    targets = [] if run.dry else ["--target", "freqops_cuda", "freqops_cpu", "_C"]
    jobs = str(os.cpu_count() or 1)
    execute("build", [cmake, "--build", BUILD, "--parallel", jobs, *targets], run.left("build"))
    for entry in (ROOT / "freqops").iterdir():
        link = BUILD / "freqops" / entry.name
        if entry.suffix != ".so" and entry.name != "__pycache__" and not link.exists():
            link.symlink_to(entry)
    run.package = BUILD
    question = "from freqops import _C, _libraries; print(_C.cuda_archs, *_libraries.CUDA)"
    said = execute("import", [sys.executable, "-c", question], 60, run.variables()).strip()
    if not run.dry and "True" not in said:
        raise StepFailed(f"the CUDA library was built but not loaded: {said}")
    return {"library": said}


def tests(run: Run) -> Result:
    """The tests of kernels and ops that need a device."""
    if missing("pytest", "hypothesis"):
        raise StepFailed(f"the tests need {', '.join(missing('pytest', 'hypothesis'))}")
    report = BUILD / "tests.xml"
    report.unlink(missing_ok=True)
    options = ["-c", ROOT / "pyproject.toml", "-m", "cuda", "-q", "-p", "no:cacheprovider"]
    options.append(f"--junitxml={report}")
    if run.dry:
        options.append("--collect-only")
    elif not missing("xdist"):
        options += ["-n", str(min(6, os.cpu_count() or 1))]
    folders = [ROOT / "tests" / name for name in ("ops", "kernels", "benchmarks")]
    command = [sys.executable, "-m", "pytest", *folders, *options]
    try:
        text = execute("tests", command, run.left("tests"), run.variables())
    except StepFailed as error:
        raise StepFailed(str(error), **error.found, **counts(report)) from None
    return {"last_line": text.strip().splitlines()[-1], **counts(report)}


def counts(report: Path) -> Result:
    """Of pytest's own report, where there is one."""
    if not report.exists():
        return {}
    suite = next(ElementTree.parse(report).iter("testsuite"))
    names = [
        f"{case.get('classname')}::{case.get('name')}"
        for case in suite.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    numbers = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
    return {**numbers, "failing": names}


def sanitizer(run: Run) -> Result:
    """Reads and writes beyond memory, and races in shared memory."""
    if run.dry:
        if run.replay is None:
            raise StepFailed(
                "a dry run needs the host replay, libfreqops_replay.so; run make replay"
            )
        run.python("sanitizer", "gpu_smallest.py", "--replay", run.replay)
        return {"dry run": "every form and op called once, on the host"}
    program = tool("compute-sanitizer")
    if program is None:
        raise StepFailed("compute-sanitizer is not installed; it comes with the CUDA toolkit")
    found: Result = {}
    failed = []
    for check in ("memcheck", "racecheck"):
        command = [program, "--tool", check, "--error-exitcode", "86", sys.executable]
        variables = run.variables(PYTORCH_NO_CUDA_MEMORY_CACHING="1")
        # Half of the time for each; what the first leaves is the second's.
        seconds = run.left("sanitizer") / (2 if check == "memcheck" else 1)
        try:
            text = execute(check, [*command, HERE / "gpu_smallest.py"], seconds, variables)
        except StepFailed as error:
            text = error.found["output"]
            failed.append(str(error))
        found[check] = " ".join(re.findall(r"=+ (.*SUMMARY.*)", text))
        if not found[check]:
            failed.append(f"{check} came to no summary")
    if failed:
        raise StepFailed("; ".join(failed), **found)
    return found


def kernels(run: Run) -> Result:
    """What torch.fft and we launch per call."""
    out = BUILD / "kernels.json"
    run.python("kernels", "gpu_kernels.py", *run.size_option, "--out", out)
    by_size = json.loads(out.read_text())
    for size, calls in by_size.items():
        launched = ", ".join(f"{name} {sum(counts.values())}" for name, counts in calls.items())
        print(f"{size}: {launched}")
    return {"by_size": by_size}


def measure(run: Run) -> Result:
    """Every row; a process that breaks down is followed by another, behind the row it broke at."""
    out = BUILD / "rows.jsonl"
    out.unlink(missing_ok=True)
    rows: list[Result] = []
    broken: list[str] = []
    while run.left("measure") > 5:
        start = rows[-1]["number"] + 1 if rows else 0
        # It watches the time itself and ends well before it would be ended.
        options: list[object] = [*run.size_option, "--out", out, "--start", start]
        options += ["--seconds", f"{run.left('measure') - 15:.0f}"]
        if run.dry:
            options += ["--dry-run", *(["--replay", run.replay] if run.replay else [])]
        try:
            run.python("measure", "gpu_measure.py", *options)
            done = True
        except StepFailed as error:
            done = False
            broken.append(str(error))
        had = len(rows)
        rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
        if done:
            break
        if len(rows) == had:  # not a line: the row it began with took the process with it
            plan = gpu_plan.plans(run.sizes)[start].record()
            row = {"number": start, "plan": plan, "failed": broken[-1]}
            with out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            rows.append(row)
            if len(broken) > 5:
                break
    # Those it had no time for as well: a missing row must not look like one that went well.
    measured = {row["number"] for row in rows if "failed" not in row}
    wanted = enumerate(gpu_plan.plans(run.sizes))
    absent = [plan.label for number, plan in wanted if number not in measured]
    if absent:
        raise StepFailed(f"not measured: {', '.join(absent)}", rows=rows)
    return {"rows": rows}


STEPS: dict[str, Callable[[Run], Result]] = {
    "build": build,
    "tests": tests,
    "sanitizer": sanitizer,
    "kernels": kernels,
    "measure": measure,
}


# --- the whole ------------------------------------------------------------------------------------


def main() -> int:
    """Runs the steps; 1 where one failed."""
    arguments = parsed()
    BUILD.mkdir(parents=True, exist_ok=True)
    sizes = [int(size) for size in arguments.sizes.split(",")]
    run = Run(sizes, arguments.dry_run, time.monotonic() + arguments.seconds)
    result: Result = {"environment": surroundings(arguments), "steps": {}}
    out = BUILD / "dry-run.json" if run.dry else arguments.out / file_name(result["environment"])
    for name in arguments.only.split(","):
        result["steps"][name] = perform(name, run)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")
    show(result, out, dry=run.dry)
    return int(any("failed" in step for step in result["steps"].values()))


def parsed() -> argparse.Namespace:
    """The command line."""
    sizes_text = ",".join(map(str, gpu_plan.SIZES))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=sizes_text, help="such as 56,224")
    parser.add_argument("--only", default=",".join(STEPS), help="such as build,measure")
    parser.add_argument("--seconds", type=float, default=570, help="for all steps together")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the result")
    parser.add_argument("--commit", help="where the checkout has no history")
    parser.add_argument("--dry-run", action="store_true", help="what can be done without a GPU")
    arguments = parser.parse_args()
    for name in arguments.only.split(","):
        if name not in STEPS:
            parser.error(f"--only: must be of {', '.join(STEPS)}, got {name}")
    for size in arguments.sizes.split(","):
        if size not in sizes_text.split(","):
            parser.error(f"--sizes: must be of {sizes_text}, got {size}")
    if not arguments.dry_run and gpu() is None:
        parser.error("nvidia-smi shows no GPU here; --dry-run does what can be done without one")
    return arguments


def surroundings(arguments: argparse.Namespace) -> Result:
    """Where the numbers come from."""
    return {
        **describe(),
        **({"commit": arguments.commit} if arguments.commit else {}),
        "gpu": gpu(),
        "toolkit": toolkit(),
        "packages": packages(),
        "command": sys.argv[1:],
    }


def gpu() -> Result | None:
    """The first GPU: what it is and how it is set."""
    fields = (
        "name", "driver_version", "compute_cap", "memory.total", "clocks.sm", "clocks.max.sm",
        "clocks.mem", "clocks.max.mem", "power.limit", "temperature.gpu", "mig.mode.current",
    )  # fmt: skip
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0 or not done.stdout.strip():
        return None
    values = done.stdout.strip().splitlines()[0].split(", ")
    return dict(zip(fields, values, strict=False))


def toolkit() -> str | None:
    """The version that nvcc names."""
    program = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if program is None:
        return None
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    found = re.search(r"release (\S+),", done.stdout)
    return found.group(1) if found else None


def packages() -> Result:
    """Versions of what the steps use, as far as it is installed."""
    names = ("torch", "numpy", "pytest", "hypothesis", "pybind11", "cmake", "ninja")
    found: Result = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def perform(name: str, run: Run) -> Result:
    """A step's result, how long it took and what it failed at."""
    print(f"== {name}", flush=True)
    start = time.monotonic()
    try:
        if run.left(name) < 5:
            raise StepFailed("no time was left for it")
        result = STEPS[name](run)
    except StepFailed as error:
        result = {"failed": str(error), **error.found}
        print(f"{name}: {error}", flush=True)
    return {"seconds": round(time.monotonic() - start, 1), **result}


def file_name(environment: Result) -> str:
    """One file per device, overwritten by the next run: git keeps the history."""
    return (
        "gpu-" + re.sub(r"[^a-z0-9]+", "-", environment["gpu"]["name"].lower()).strip("-") + ".json"
    )


def show(result: Result, out: Path, *, dry: bool) -> None:
    """The short table, last: where output is cut, its end is kept."""
    rows = result["steps"].get("measure", {}).get("rows", [])
    if dry and rows:
        print("would measure (checked here with few images, on the CPU):")
        for row in rows:
            failed = f": FAILED, {row['failed']}" if "failed" in row else ""
            print(f"  {row['plan']['label']}{failed}")
    if rows and not dry:
        print(gpu_report.table(rows))
        print("*: replayed from CUDA graphs. us: of the kernel alone; op us: as users call it.")
        print(gpu_report.summary(rows))
    for name, step in result["steps"].items():
        print(f"{name}: {step['seconds']} s, {step.get('failed', 'done')}")
    print(f"written: {out}")


if __name__ == "__main__":
    sys.exit(main())
