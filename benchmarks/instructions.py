"""Instructions of the CPU kernels by callgrind, which depend on nothing else the machine does.

    python benchmarks/instructions.py             counts and compares; 1 where one is off
    python benchmarks/instructions.py --record    writes benchmarks/instructions.json

Valgrind knows no AVX-512, so the kernels counted are those for AVX2, on one thread. Only what is
executed in libfreqops_cpu.so counts: Python, torch and the allocator differ from call to call, the
kernels do not.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RECORD = Path(__file__).with_suffix(".json")
LEVEL = "avx2"
# One process for all cases, most of whose time is the import of torch.
LIMIT_SECONDS = 600

Case = tuple[int, Callable[[], Any]]  # elements of the input, the call


def cases() -> dict[str, Case]:
    """The calls counted, by name: every kernel, in the forms that shapes and types choose."""
    import torch

    import freqops

    random = torch.Generator().manual_seed(0)

    def planes(*shape: int, dtype: torch.dtype = torch.float32, last: bool = False) -> torch.Tensor:
        x = torch.rand(shape, generator=random).to(dtype)
        return x.contiguous(memory_format=torch.channels_last) if last else x

    def smooth(side: int) -> torch.Tensor:
        return torch.rand(side, side // 2 + 1, generator=random) + 0.5

    made: dict[str, Case] = {}

    def add(
        name: str, call: Callable[..., Any], x: torch.Tensor, *rest: Any, **options: Any
    ) -> None:
        layout = ", channels_last" if x.dim() == 4 and not x.is_contiguous() else ""
        kind = str(x.dtype).removeprefix("torch.")
        shape = "x".join(str(side) for side in x.shape)
        made[f"{name} {shape} {kind}{layout}"] = (
            x.numel(),
            functools.partial(call, x, *rest, **options),
        )

    ops = torch.ops.freqops
    half, double = torch.bfloat16, torch.float64
    add("fft_filter", freqops.fft_filter2d, planes(4, 3, 32, 32), smooth(32))
    add("fft_filter", freqops.fft_filter2d, planes(4, 3, 32, 32, dtype=half), smooth(32))
    add("fft_filter", freqops.fft_filter2d, planes(4, 3, 32, 32, dtype=double), smooth(32).double())
    add("fft_filter", freqops.fft_filter2d, planes(4, 16, 32, 32, last=True), smooth(32))
    add("fft_filter", freqops.fft_filter2d, planes(1, 2, 224, 224), smooth(224))
    add("fft_filter", freqops.fft_filter2d, planes(2, 2, 55, 55), smooth(55))
    add("fft_filter", freqops.fft_filter2d, planes(2, 2, 37, 37), smooth(37))
    add("fft_filter", freqops.fft_filter2d, planes(2, 16, 14, 14), smooth(14))
    add(
        "fft_filter1d",
        freqops.fft_filter1d,
        planes(4, 4, 2048),
        torch.rand(1025, generator=random) + 0.5,
    )
    low = freqops.filters.low_pass((224, 224), 28, unit="bins")
    add("fft_filter, low pass,", freqops.fft_filter2d, planes(1, 2, 224, 224), low)
    add("low_high", freqops.low_high2d, planes(4, 3, 32, 32), [2, 4, 8, 12], unit="bins")
    add(
        "spectral_correlation",
        ops.spectral_correlation,
        planes(4, 3, 32, 32),
        planes(4, 3, 32, 32),
        3,
        2,
    )
    add(
        "mix_amplitude_phase",
        freqops.mix_amplitude_phase2d,
        planes(4, 3, 32, 32),
        planes(4, 3, 32, 32),
    )
    for last in (False, True):
        for side in (28, 56):
            x = planes(2, 16, side, side, last=last)
            add("blur_pool, 3 taps,", freqops.blur_pool2d, x, 3)
            add("max_blur_pool, 4 taps,", freqops.max_blur_pool2d, x, taps=4)
        x = planes(2, 16, 28, 28, last=last)
        add("blur_pool, 7 taps,", freqops.blur_pool2d, x, 7)
        add("blur_pool, 3 taps,", freqops.blur_pool2d, x.to(half), 3)
        add(
            "blur_pool, 3 taps, and gradient,",
            gradient,
            x,
            functools.partial(freqops.blur_pool2d, taps=3),
        )
        add(
            "max_blur_pool, 4 taps, and gradient,",
            gradient,
            x,
            functools.partial(freqops.max_blur_pool2d, taps=4),
        )
        add("flc_pool", freqops.flc_pool2d, x)
        add(
            "polyphase_pool, and gradient,",
            gradient,
            x,
            lambda x: freqops.polyphase_pool2d(x)[0],
        )
    add("flc_pool", freqops.flc_pool2d, planes(1, 4, 112, 112))
    add("spectral_pool", freqops.spectral_pool2d, planes(2, 4, 55, 55), (28, 28))
    for last in (False, True):
        x = planes(2, 8, 56, 56, last=last)
        add("fft_conv, 31 taps,", convolve(freqops.fft_conv2d, planes(8, 1, 31, 31)), x)
    x, taps = planes(2, 8, 1024), planes(8, 1, 255)
    add("fft_conv1d, 255 taps,", convolve(freqops.fft_conv1d, taps), x)
    both = functools.partial(gradient, call=convolve(freqops.fft_conv1d, taps))
    add("fft_conv1d, 255 taps, and gradient,", both, x)
    return made


def convolve(function: Callable[..., Any], weight: Any) -> Callable[[Any], Any]:
    """A depthwise convolution through the spectrum."""
    options = {"padding": "same", "groups": weight.shape[0], "algorithm": "fft"}
    return functools.partial(function, weight=weight, **options)


def gradient(x: Any, call: Callable[[Any], Any]) -> Any:
    """Forward and backward pass."""
    import torch

    x = x.detach().requires_grad_()
    y = call(x)
    return torch.autograd.grad(y, x, torch.ones_like(y))


# --- counting -----------------------------------------------------------------------------------


def count() -> dict[str, Any]:
    """Every case's instructions, and what made the kernels.

    Raises:
        RuntimeError: valgrind is not there, or the counted process failed.
    """
    if not shutil.which("valgrind") or not shutil.which("vgdb"):
        raise RuntimeError("counting needs valgrind (apt install valgrind)")
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--vgdb=yes", "--quiet"]
        command += [f"--vgdb-prefix={folder}/vgdb", f"--callgrind-out-file={folder}/out"]
        command += [sys.executable, __file__, "--counted", folder]
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        variables = {
            "FREQOPS_CPU": LEVEL,
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join(paths),
        }
        done = subprocess.run(
            command,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
        summary = Path(folder) / "summary.json"
        if done.returncode or not summary.exists():
            raise RuntimeError(f"the counted process failed:\n{done.stdout}{done.stderr}")
        result: dict[str, Any] = json.loads(summary.read_text())
        for index, case in enumerate(result["cases"].values()):
            case["instructions"] = in_library(Path(folder) / f"out.{index + 1}")
    return result


def counted(folder: Path) -> None:
    """What runs under callgrind: every case twice to warm up, then once by itself."""
    import torch

    from freqops import _C

    torch.set_num_threads(1)
    tell(folder, "instrumentation", "on")
    summary: dict[str, Any] = {"compiler": _C.compiler, "level": _C.cpu_level(), "cases": {}}
    for name, (elements, call) in cases().items():
        call()
        call()
        summary["cases"][name] = {"elements": elements}
        tell(folder, "zero")
        call()
        tell(folder, "dump")
    (folder / "summary.json").write_text(json.dumps(summary))


def tell(folder: Path, *words: str) -> None:
    """Gives callgrind, which runs this process, a command."""
    command = ["vgdb", f"--vgdb-prefix={folder}/vgdb", f"--pid={os.getpid()}", *words]
    subprocess.run(command, check=True, capture_output=True)


_NAME = re.compile(r"(c?)ob=\((\d+)\)(?: (.*))?$")
_COST = re.compile(r"[+\-*\d]\S* (\d+)$")


def in_library(profile: Path) -> int:
    """Instructions that callgrind saw in the CPU library itself, not in what it calls."""
    total, inside = 0, False
    names: dict[str, str] = {}  # given where a number is first used
    lines = iter(profile.read_text().splitlines())
    for line in lines:
        if line.startswith("calls="):
            next(lines)  # what was called, counted where it is
        elif found := _NAME.match(line):
            called, number, name = found.groups()
            names.setdefault(number, name)
            if not called:
                inside = "libfreqops_cpu" in names[number]
        elif inside and (cost := _COST.match(line)):
            total += int(cost[1])
    return total


# --- the record ---------------------------------------------------------------------------------

# Counts of one binary repeat to the instruction, but for the search of kept tables, which goes by
# their contents and addresses: 3 % of the smallest calls. Beyond that fewer instructions are to be
# recorded as well, or the next regression hides behind them.
TOLERANCE = 0.05


def deviations(result: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """What differs from the record, a sentence each; none where it was made by another compiler.

    Args:
        result: of :func:`count`.
        record: an earlier one.
    """
    if (result["compiler"], result["level"]) != (record["compiler"], record["level"]):
        return []
    found = []
    for name in sorted({*result["cases"], *record["cases"]}):
        if name not in record["cases"] or name not in result["cases"]:
            found.append(
                f"{name}: {'not recorded' if name in result['cases'] else 'recorded, gone'}"
            )
            continue
        now, then = (one["cases"][name]["instructions"] for one in (result, record))
        if abs(now / then - 1) > TOLERANCE:
            found.append(f"{name}: {now:,} instructions, {then:,} recorded ({now / then - 1:+.1%})")
    return found


def table(result: dict[str, Any], record: dict[str, Any]) -> str:
    """The counts, and their ratio to the record's where that has them."""
    lines = []
    for name, case in result["cases"].items():
        count, each = case["instructions"], case["instructions"] / case["elements"]
        known = record.get("cases", {}).get(name)
        ratio = f"{count / known['instructions']:6.3f} of the record" if known else "new"
        lines.append(f"{name:70} {count:10,} {each:7.2f} each  {ratio}")
    return "\n".join(lines)


def main() -> int:
    """Counts and compares, or records; 1 where a count is off."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(ROOT)}")
    parser.add_argument("--counted", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.counted:
        counted(arguments.counted)
        return 0
    try:
        result = count()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 2
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    print(table(result, record))
    if arguments.record:
        RECORD.write_text(json.dumps(result, indent=1) + "\n")
        return 0
    if result["compiler"] != record["compiler"]:
        print(f"recorded with {record['compiler']}, this is {result['compiler']}: not compared")
        return 0
    found = deviations(result, record)
    if found:
        print("\n".join(["", "Off the record (--record makes a new one):", *found]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
