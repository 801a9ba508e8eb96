"""Lists the kernels that a call launches: torch.fft's compositions and ours, by torch's profiler.

How many passes over memory a composition takes decides how much there is to win. On a machine
without a GPU the list is that of torch's operators, which shows that the listing works.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

import freqops
from freqops.bench import compositions
from freqops.filters import low_pass

SIZES = (7, 14, 28, 32, 56, 112, 224, 256, 299, 384, 512)


def main() -> None:
    """Writes --out: by size and composition, what was launched and how often."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    wanted = [int(size) for size in arguments.sizes.split(",")]
    listed = {size: kernels_by_call(size) for size in SIZES if size in wanted}
    arguments.out.write_text(json.dumps(listed, indent=1) + "\n")


def kernels_by_call(size: int) -> dict[str, dict[str, int]]:
    """What each way of filtering launches, by its name."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    x = torch.rand(16, 4, size, size, device=device)
    response = low_pass((size, size), 0.1, kind="butterworth", device=device)
    folded = compositions.folded(response, size)
    layer = freqops.LowPass2d(0.1, kind="butterworth")
    calls: dict[str, Callable[[], Any]] = {
        "naive": lambda: compositions.torch_filter(x, response),
        "tuned": lambda: compositions.torch_filter_folded(x, folded),
        "rfft2": lambda: torch.fft.rfft2(x),
        "freqops, any response": lambda: freqops.fft_filter2d(x, response),
        "freqops, its own response": lambda: layer(x),
    }
    return {name: launched(call) for name, call in calls.items()}


def launched(call: Callable[[], Any]) -> dict[str, int]:
    """What the second call launches: the first may make plans."""
    on_gpu = torch.cuda.is_available()
    activity = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
    where = DeviceType.CUDA if on_gpu else DeviceType.CPU
    call()
    with profile(activities=[activity]) as run:
        call()
        if on_gpu:
            torch.cuda.synchronize()
    events = run.events() or []
    return dict(Counter(event.name for event in events if event.device_type == where))


if __name__ == "__main__":
    main()
