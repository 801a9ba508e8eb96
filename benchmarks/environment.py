"""Where numbers come from: machine, allocator, commit. Standard library only."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# No memory goes back to the system, so none is faulted in anew: what jemalloc, tcmalloc or memory
# kept by the caller give. glibc reads them when the process starts.
ALLOCATORS: dict[str, dict[str, str]] = {
    "default": {},
    "warm": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"},
}


def describe() -> dict[str, str | int | float]:
    """What does not depend on any package."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "allocator": allocator(),
        "commit": commit(),
        "python": platform.python_version(),
    }


def allocator() -> str:
    """Which of :data:`ALLOCATORS` this process was started in."""
    if os.environ.get("LD_PRELOAD"):
        return "preloaded"
    for name, variables in ALLOCATORS.items():
        held = {key: os.environ[key] for key in ALLOCATORS["warm"] if key in os.environ}
        if held == variables:
            return name
    return "other"


def cpu_model() -> str:
    """The processor's name; virtual machines hide it, so its family and model too."""
    words: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        words.setdefault(key.strip(), value.strip())
    name = words.get("model name", platform.processor() or platform.machine())
    if "cpu family" not in words:
        return name
    return f"{name} (family {words['cpu family']}, model {words['model']})"


def commit() -> str:
    """The checkout's commit, with a + where anything but the results differs from it."""
    head = _git("rev-parse", "--short", "HEAD")
    if not head:
        return "unknown"
    apart = (":(exclude)benchmarks/results", ":(exclude)benchmarks/README.md")
    return head + ("+" if _git("status", "--porcelain", "--", ".", *apart) else "")


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
