"""Where numbers come from: machine, allocator, commit; versions and threads.

Standard library only until a function needs more: benchmarks/gpu.py reads it before anything is
built.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: Whose versions results name.
PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "ducc0",
    "kornia",
    "timm",
    "antialiased-cnns",
    "fft-conv-pytorch",
    "torchvision",
)
#: Where no cache size is found.
_USUAL_CACHE = 32 << 20

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
    for line in _text("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        words.setdefault(key.strip(), value.strip())
    name = words.get("model name", platform.processor() or platform.machine())
    if "cpu family" not in words:
        return name
    return f"{name} (family {words['cpu family']}, model {words['model']})"


def commit() -> str:
    """The checkout's commit, with a + where anything but the results and pages differs from it."""
    if not (ROOT / ".git").exists():
        return "unknown"  # installed; a repository around it is another
    head = _git("rev-parse", "--short", "HEAD")
    if not head:
        return "unknown"
    apart = (":(exclude)benchmarks/results", ":(exclude)docs", ":(exclude)*.md")
    return head + ("+" if _git("status", "--porcelain", "--", ".", *apart) else "")


def cache_bytes(device: str) -> int:
    """What the last cache before memory holds."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.get_device_properties(torch.device(device)).L2_cache_size)
    sizes = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        number, unit = re.fullmatch(r"(\d+)([KM]?)", _text(path).strip() or "0").groups()  # type: ignore[union-attr]
        sizes.append(int(number) << {"": 0, "K": 10, "M": 20}[unit])
    return max(sizes, default=_USUAL_CACHE) or _USUAL_CACHE


def describe_run(device: str) -> dict[str, Any]:
    """All of it, with what is installed and how many threads torch has been given.

    Args:
        device: that is measured on.
    """
    import torch

    from freqops import _C, __version__

    found: dict[str, Any] = {
        **describe(),
        "device": device,
        "threads": torch.get_num_threads(),
        "level": _C.cpu_level(),
        "cache_bytes": cache_bytes(device),
        "freqops": __version__,
        "compiler": _C.compiler,
        **versions(),
    }
    if device.startswith("cuda"):
        found["gpu"] = torch.cuda.get_device_name(torch.device(device))
        found["cuda"] = torch.version.cuda
    return found


def versions() -> dict[str, str]:
    """Those of :data:`PACKAGES` that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
