"""mix_amplitude_phase2d: amplitude of one image, phase of another (APR)."""

from __future__ import annotations

import functools

import torch

import freqops
from freqops.bench import compositions
from freqops.bench.case import GRADIENT, PLAIN, Row, Variant, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders

SHAPES = ((64, 3, 32, 32), (16, 3, 224, 224))


def _bytes(shape: tuple[int, ...], variant: Variant) -> int:
    return variant.moved_bytes(torch.Size(shape).numel() * 3)


def _mixed(shape: tuple[int, ...], variant: Variant) -> list[Contender]:
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
    return contenders(ways, x, _bytes(shape, variant), backward=variant.backward)


ROWS = [
    Row(
        "mix_amplitude_phase",
        f"mix_amplitude_phase2d, float32{variant.suffix}",
        sizes(shape),
        shape,
        functools.partial(_mixed, shape, variant),
        backward=variant.backward,
        # A bin near 0 has no phase to speak of: rounding decides it.
        tolerance=1e-3,
        moved_bytes=_bytes(shape, variant),
        quick=variant == PLAIN,
        compiled=variant == PLAIN and shape == SHAPES[1],
    )
    for variant in (PLAIN, GRADIENT)  # of the amplitude's image
    for shape in SHAPES
]
