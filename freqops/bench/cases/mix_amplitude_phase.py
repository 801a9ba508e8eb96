"""mix_amplitude_phase2d: amplitude of one image, phase of another (APR)."""

from __future__ import annotations

import functools

import torch

import freqops
from freqops.bench import compositions
from freqops.bench.case import Row, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders

SHAPES = ((64, 3, 32, 32), (16, 3, 224, 224))


def _bytes(shape: tuple[int, ...]) -> int:
    return 4 * torch.Size(shape).numel() * 3


def _mixed(shape: tuple[int, ...]) -> list[Contender]:
    x, phase = torch.rand(shape), torch.rand(shape)
    ways = [
        Way("freqops", lambda x: freqops.mix_amplitude_phase2d(x, phase), "ours"),
        Way("torch", lambda x: compositions.torch_mix(x, phase)),
        Way(
            "torch without angles",
            lambda x: compositions.torch_mix_without_angles(x, phase),
            compiles=True,
        ),
    ]
    return contenders(ways, x, _bytes(shape))


ROWS = [
    Row(
        "mix_amplitude_phase",
        "mix_amplitude_phase2d, float32",
        sizes(shape),
        shape,
        functools.partial(_mixed, shape),
        # A bin near 0 has no phase to speak of: rounding decides it.
        tolerance=1e-3,
        moved_bytes=_bytes(shape),
        quick=True,
        compiled=shape == SHAPES[1],
    )
    for shape in SHAPES
]
