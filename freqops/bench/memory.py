"""What a call needs besides its inputs: growth of the most memory that was held at once.

On CUDA torch counts what it gives out. On the CPU each row is asked in a process of its own, whose
allocator returns what is freed to the system at once, so that the process's size is what is held:
``python -m freqops.bench.memory OP TABLE LABEL THREADS NAMES...``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import torch

from freqops.bench.case import Case, Row
from freqops.bench.timing import Contender, consume

# glibc: every block above 64 KiB is a mapping of its own, which free() gives back.
GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESETS_PEAK = "5"


def peaks(row: Row, case: Case, device: str) -> dict[str, int]:
    """Bytes by contender's name; none where the system does not say.

    Args:
        row: whose contenders are asked.
        case: the same with its tensors, which are used on CUDA.
        device: where.
    """
    if torch.device(device).type == "cuda":
        return {one.name: _on_cuda(one) for one in case.contenders if one.role != "floor"}
    # Of those that were timed: one that does not run would take the others' numbers with it.
    asked = [one.name for one in case.contenders if one.role in ("ours", "peer")]
    words = [row.op, row.table, row.label, str(torch.get_num_threads()), *asked]
    command = [sys.executable, "-m", "freqops.bench.memory", *words]
    environment = {**os.environ, **GIVES_BACK}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {}
    found: dict[str, int] = json.loads(done.stdout)
    return found


def _on_cuda(contender: Contender) -> int:
    consume(contender.result())
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    consume(contender.result())
    torch.cuda.synchronize()
    return int(torch.cuda.max_memory_allocated() - before)


def growth(contender: Contender) -> int:
    """Of this process's peak over one call, after one that loads libraries and makes plans."""
    consume(contender.result())
    _CLEAR.write_text(_RESETS_PEAK)
    before = kilobytes("VmRSS")
    consume(contender.result())
    return max(0, kilobytes("VmHWM") - before) * 1024


def kilobytes(name: str) -> int:
    """What the system says of this process, as VmHWM, the most it has occupied."""
    found = re.search(rf"^{name}:\s*(\d+) kB", STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"{STATUS} has no {name}")
    return int(found.group(1))


def main() -> None:
    """Prints a row's bytes by contender, as JSON."""
    from freqops.bench.cases import rows

    op, table, label, threads, *names = sys.argv[1:]
    torch.set_num_threads(int(threads))
    (row,) = [one for one in rows([op]) if (one.table, one.label) == (table, label)]
    case = row.case(compiles=True)
    found = {one.name: growth(one) for one in case.contenders if one.name in names}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
