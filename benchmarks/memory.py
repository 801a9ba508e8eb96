"""What a filter needs besides its input: growth of the peak, in multiples of the output.

Each contender runs alone in a process of its own (``python memory.py NAME THREADS``).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

CONTENDERS = ("freqops", "freqops out=", "torch", "torch in place", "scipy", "ducc0")
SHAPE = (64, 3, 224, 224)
OUTPUT_BYTES = 4 * 64 * 3 * 224 * 224


def measure(environment: Mapping[str, str], threads: int) -> list[dict[str, Any]]:
    """The growth of every contender's peak.

    This process must not have torch loaded: a child's peak starts at what its parent occupied.

    Args:
        environment: of the children; states the allocator.
        threads: of the contenders.

    Returns:
        Rows of ``name``, ``bytes`` and ``outputs`` (bytes over those of the output).
    """
    rows = []
    for name in CONTENDERS:
        command = [sys.executable, __file__, name, str(threads)]
        done = subprocess.run(command, env=dict(environment), stdout=subprocess.PIPE, check=True)
        grown = int(json.loads(done.stdout))
        rows.append({"name": name, "bytes": grown, "outputs": grown / OUTPUT_BYTES})
    return rows


def _growth(name: str, threads: int) -> int:
    import torch
    from compositions import torch_filter, torch_filter_in_place
    from peers import ducc0_filter, scipy_filter

    import freqops

    torch.set_num_threads(threads)
    x = torch.empty(SHAPE).uniform_()
    y = torch.zeros(SHAPE)  # touched before: memory of the caller's is not what out= costs
    response = freqops.filters.low_pass(SHAPE[-2:], 0.1, kind="butterworth")
    calls = {
        "freqops": lambda x: freqops.fft_filter2d(x, response),
        "freqops out=": lambda x: freqops.fft_filter2d(x, response, out=y[: len(x)]),
        "torch": lambda x: torch_filter(x, response),
        "torch in place": lambda x: torch_filter_in_place(x, response),
        "scipy": lambda x: scipy_filter(x, response),
        # Its spectrum and output are set aside beforehand, so setting them aside is counted.
        "ducc0": lambda x: ducc0_filter(x, response)(),
    }
    calls[name](x[:1])  # libraries, plans, threads
    before = _peak()
    calls[name](x)
    return _peak() - before


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(_growth(sys.argv[1], int(sys.argv[2]))))
    else:
        for row in measure(os.environ, threads=2):
            print(f"{row['name']:15} {row['outputs']:.2f} outputs")
