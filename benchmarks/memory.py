"""What a filter or a pool needs besides its input: growth of the process's peak.

Each contender runs alone in a process of its own: ``python memory.py NAME THREADS``, and for pools
``python memory.py OP LAYOUT NAME THREADS``.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from freqops.bench.memory import kilobytes

CONTENDERS = ("freqops", "freqops out=", "torch", "torch in place", "scipy", "ducc0")
SHAPE = (64, 3, 224, 224)
OUTPUT_BYTES = 4 * 64 * 3 * 224 * 224

POOLS = ("blur_pool2d", "max_blur_pool2d")
LAYOUTS = ("NCHW", "NHWC")
POOL_CONTENDERS = ("freqops", "torch")
POOL_SHAPE = (16, 64, 112, 112)
TAPS = 4


def measure(environment: Mapping[str, str], threads: int) -> list[dict[str, Any]]:
    """The growth of every contender's peak.

    Args:
        environment: of the children; states the allocator.
        threads: of the contenders.

    Returns:
        Rows of ``name``, ``bytes`` and ``outputs`` (bytes over those of the output).
    """
    rows = []
    for name in CONTENDERS:
        grown = int(_asked(environment, name, threads))
        rows.append({"name": name, "bytes": grown, "outputs": grown / OUTPUT_BYTES})
    return rows


def measure_pooling(environment: Mapping[str, str], threads: int) -> list[dict[str, Any]]:
    """What pools take: ours against torch's composition, in both layouts.

    Args:
        environment: of the children; states the allocator.
        threads: of the contenders.

    Returns:
        Rows of ``op``, ``layout``, ``name`` and in bytes: ``inference``, growth of the peak over
        a call; ``kept`` by the forward pass of training until the backward pass, ``kept_input``
        of which is x itself; ``training``, growth of the peak over both passes.
    """
    return [
        {"op": op, "layout": layout, "name": name, **_asked(environment, op, layout, name, threads)}
        for op, layout, name in itertools.product(POOLS, LAYOUTS, POOL_CONTENDERS)
    ]


def _asked(environment: Mapping[str, str], *words: object) -> Any:
    """What a process of its own answers."""
    command = [sys.executable, __file__, *map(str, words)]
    done = subprocess.run(command, env=dict(environment), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def _growth(name: str, threads: int) -> int:
    import torch

    import freqops
    from freqops.bench.compositions import torch_filter, torch_filter_in_place
    from freqops.bench.peers import ducc0_filter, scipy_filter

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
        "ducc0": lambda x: ducc0_filter(x, response)(x),
    }
    calls[name](x[:1])  # libraries, plans, threads
    before = _peak()
    calls[name](x)
    return _peak() - before


def _pool_growth(op: str, layout: str, name: str, threads: int) -> dict[str, int]:
    import torch

    import freqops
    from freqops.bench.pooling_compositions import blur_weight, torch_max_blur

    torch.set_num_threads(threads)
    window = 1 if op == "blur_pool2d" else 2
    memory = torch.channels_last if layout == "NHWC" else torch.contiguous_format
    x = torch.empty(POOL_SHAPE).uniform_().contiguous(memory_format=memory)
    weight = blur_weight(x, TAPS)
    calls = {
        ("blur_pool2d", "freqops"): lambda x: freqops.blur_pool2d(x, TAPS),
        ("max_blur_pool2d", "freqops"): lambda x: freqops.max_blur_pool2d(x, window, TAPS),
    }
    pool = calls.get((op, name), lambda x: torch_max_blur(x, weight, window))
    small = x[:1].clone(memory_format=memory).requires_grad_()
    upstream = torch.ones_like(pool(x.detach()[:1])).expand(len(x), -1, -1, -1)
    upstream = upstream.contiguous(memory_format=memory)
    torch.autograd.grad(pool(small), small, upstream[:1])  # libraries, plans, threads
    before = _peak()
    pool(x)
    inference = _peak() - before
    kept: dict[int, int] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    x.requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = pool(x)
    kept.pop(weight.untyped_storage().data_ptr(), None)
    del y
    # The process's peak is of all calls: the inference before needed less, whoever was asked.
    torch.autograd.grad(pool(x), x, upstream)
    return {
        "inference": inference,
        "kept": sum(kept.values()),
        "kept_input": kept.get(x.untyped_storage().data_ptr(), 0),
        "training": _peak() - before,
    }


def _peak() -> int:
    """Of this process alone; getrusage's would begin at what the parent occupied."""
    return kilobytes("VmHWM") * 1024


if __name__ == "__main__":
    *words, threads = sys.argv[1:] or ["2"]
    if len(words) == 1:
        print(json.dumps(_growth(words[0], int(threads))))
    elif words:
        op, layout, name = words
        print(json.dumps(_pool_growth(op, layout, name, int(threads))))
    else:
        for row in measure(os.environ, int(threads)):
            print(f"{row['name']:15} {row['outputs']:.2f} outputs")
        for row in measure_pooling(os.environ, int(threads)):
            print(row)
