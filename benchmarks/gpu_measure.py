"""Measures the rows of gpu_plan.py, a line of JSON each, in a process that gpu.py starts.

A kernel that reads where it must not takes the whole process with it: the rows before are written
by then, and `gpu.py` goes on behind the one that failed.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from gpu_clock import (
    SHORT_BYTES,
    captured,
    event_clock,
    inputs_beyond_cache,
    per_call,
    rotating,
)
from gpu_plan import Plan, plans
from gpu_scene import scene
from gpu_ways import Scene, Way
from interleave import Contender, Timing, check_agreement, interleave, wall_clock

_LONGEST = 3.0  # seconds for a row
# Relative to the largest value; half types round once, and may fall to different sides.
_AGREEMENT = {"float32": 1e-4, "bfloat16": 2 * torch.finfo(torch.bfloat16).eps}
# torch's convolution may take TF32, and its gradient of a pool is rounded at every step.
_POOL_AGREEMENT = {"float32": 2e-3, "bfloat16": 8 * torch.finfo(torch.bfloat16).eps}


def main() -> None:
    """Appends to --out."""
    arguments = parsed()
    torch.manual_seed(0)
    rows = plans([int(size) for size in arguments.sizes.split(",")])
    kernels = replayed(arguments.replay) if arguments.dry_run else torch.ops.freqops
    end = time.monotonic() + arguments.seconds
    for number in range(arguments.start, len(rows)):
        left = end - time.monotonic()
        if left <= 0:
            return
        seconds = 0.0 if arguments.dry_run else min(_LONGEST, left / (len(rows) - number))
        write(arguments.out, {"number": number, **attempted(rows[number], kernels, seconds)})
        check_device()


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=int, default=0, help="the first row's number")
    parser.add_argument("--seconds", type=float, required=True, help="for all rows")
    parser.add_argument("--dry-run", action="store_true", help="few images, on the CPU")
    parser.add_argument("--replay", type=Path, help="library of the host replay, for --dry-run")
    return parser.parse_args()


def replayed(library: Path | None) -> Any:
    """The kernels on the host, where their library was built."""
    if library is None:
        return None
    torch.ops.load_library(library)
    return torch.ops.freqops_replay


def write(path: Path, record: dict[str, Any]) -> None:
    """Adds a line that a crash later on cannot take back."""
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def attempted(plan: Plan, kernels: Any, seconds: float) -> dict[str, Any]:
    """The row's record; where something was raised, what that said instead of times."""
    print(plan.label, flush=True)
    try:
        return measured(plan, kernels, seconds)
    except Exception as error:
        traceback.print_exc()
        return {"plan": plan.record(), "failed": said(error)}


def check_device() -> None:
    """Ends the process where a kernel's error has left the device unusable for it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


def said(error: Exception) -> str:
    """In one line."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"


def measured(plan: Plan, kernels: Any, seconds: float) -> dict[str, Any]:
    """Checks that all compute the same, then times them turn by turn."""
    on_gpu = torch.cuda.is_available() and kernels is torch.ops.freqops
    device = "cuda" if on_gpu else "cpu"
    shape = plan.shape if on_gpu else plan.small().shape
    memory = torch.channels_last if plan.layout == "NHWC" else torch.contiguous_format
    x = torch.rand(shape, device=device).to(getattr(torch, plan.dtype), memory_format=memory)
    cache = torch.cuda.get_device_properties(x.device).L2_cache_size if on_gpu else 0
    inputs = inputs_beyond_cache(x, cache)
    taking_part = scene(plan, inputs, kernels)
    ways = taking_part.ways
    agreement = _POOL_AGREEMENT if plan.multiplies else _AGREEMENT
    check_agreement([on_first(way) for way in ways], agreement[plan.dtype])
    errors = errors_of(taking_part, len(x))
    in_graphs = on_gpu and taking_part.moved_bytes < SHORT_BYTES
    contenders = [captured(way) if in_graphs else rotating(way) for way in ways]
    clock = event_clock if on_gpu else wall_clock
    timings = interleave(contenders, seconds=seconds, least_rounds=10 if on_gpu else 2, clock=clock)
    if in_graphs:
        timings = {name: per_call(timing, ways, name) for name, timing in timings.items()}
    return {
        "plan": plan.record(),
        "device": device,
        "moved_bytes": taking_part.moved_bytes,
        "inputs": len(inputs),
        "in_graphs": in_graphs,
        "contenders": [entry(way, timings[way.name], errors.get(way.name)) for way in ways],
    }


def on_first(way: Way) -> Contender:
    """The way on its first input alone, which is everybody's, for comparing results."""
    return Contender(way.name, functools.partial(way.call, way.inputs[0]), way.role)


def errors_of(taking_part: Scene, images: int) -> dict[str, float]:
    """Relative L2 error against float64 of the first and the last image of a filter or pool."""
    if taking_part.exact is None:
        return {}
    ends = [0, images - 1]
    exact = taking_part.exact(ends)
    return {
        way.name: float((way.call(way.inputs[0])[ends].double() - exact).norm() / exact.norm())
        for way in taking_part.ways
        if way.role != "floor"
    }


def entry(way: Way, timing: Timing, error: float | None) -> dict[str, Any]:
    """A contender's part of the record, in milliseconds."""
    return {"name": way.name, "role": way.role, "error": error, **asdict(timing)}


if __name__ == "__main__":
    sys.exit(main())
