"""Where transforms overtake matrices: what freqops/ops/_resize_costs.py was fitted to.

    python benchmarks/resize_costs.py                 planes one after the other
    python benchmarks/resize_costs.py --channels-last

Nanoseconds of one thread's own time per sample of x, least of some runs; and whether the cost model
picks the faster of the two.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

import freqops  # noqa: F401  (registers the ops)
from freqops.ops import _axis_maps
from freqops.ops._resize_costs import prefers_transforms

RULE = ("", "half", "forward")
HALVED = [(n, (n + 1) // 2) for n in (14, 28, 32, 55, 56, 61, 64, 80, 96, 97, 112, 128, 160, 224)]
OTHERS = [(16, 32), (28, 56), (48, 96), (64, 128), (56, 14), (112, 28), (56, 49), (96, 89)]


def least_time(call: Callable[[], object], runs: int = 9) -> float:
    call()
    times = []
    for _ in range(runs):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels-last", action="store_true")
    last: bool = parser.parse_args().channels_last
    torch.set_num_threads(1)
    for size, target in HALVED + OTHERS:
        channels = max(64 if last else 4, min(256, 200_000 // size**2))
        x = torch.randn(2, channels, size, size)
        x = x.contiguous(memory_format=torch.channels_last) if last else x
        matrix = _axis_maps.kept_matrix(x, size, target, RULE, False)
        gains = _axis_maps.kept_gains(x, size, target, RULE)
        by_matrix = least_time(
            lambda x=x, a=matrix: torch.ops.freqops.separable(x, a, a, None, True)
        )
        by_transform = least_time(
            lambda x=x, g=gains, to=target: torch.ops.freqops.resize_spectrum(
                x, g, g, [to, to], False
            )
        )
        picks = prefers_transforms((size,) * 2, (target,) * 2, channels_last=last)
        right = picks == (by_transform < by_matrix)
        each = [f"{1e9 * seconds / x.numel():6.2f}" for seconds in (by_matrix, by_transform)]
        chosen = "transforms" if picks else "matrices"
        verdict = "" if right else "  (the slower one)"
        print(
            f"{size:4} to {target:3}: matrices {each[0]}, transforms {each[1]}; {chosen}{verdict}"
        )


if __name__ == "__main__":
    main()
