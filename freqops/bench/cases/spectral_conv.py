"""spectral_conv2d, the layer of the Fourier neural operator."""

from __future__ import annotations

import functools

import torch

import freqops
from freqops.bench import convolution_compositions as compositions
from freqops.bench.case import Row, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders

# Input, output channels, modes: the published one for Navier-Stokes at 64x64, and a wider one.
LAYERS = (((16, 32, 64, 64), 32, 24), ((4, 64, 128, 128), 64, 32))
NAMES = {64: "FNO-2D, Navier-Stokes"}


def _weight_shape(shape: tuple[int, ...], outputs: int, modes: int) -> tuple[int, ...]:
    return (shape[1], outputs, modes, modes // 2 + 1, 2)


def _bytes(shape: tuple[int, ...], outputs: int, modes: int, *, backward: bool) -> int:
    """Both maps and the weight; a gradient is as much again."""
    maps = (shape, (shape[0], outputs, *shape[2:]), _weight_shape(shape, outputs, modes))
    return 4 * sum(torch.Size(one).numel() for one in maps) * (2 if backward else 1)


def _layers(shape: tuple[int, ...], outputs: int, modes: int, *, backward: bool) -> list[Contender]:
    x = torch.rand(shape)
    weight = torch.rand(_weight_shape(shape, outputs, modes)) - 0.5
    weight.requires_grad_(backward)
    ways = [
        Way("freqops", lambda x: freqops.spectral_conv2d(x, weight, modes=modes), "ours"),
        Way(
            "FNO layer",
            lambda x: compositions.published_spectral_conv(x, torch.view_as_complex(weight)),
        ),
        Way(
            "torch.fft pruned",
            lambda x: compositions.pruned_spectral_conv(x, torch.view_as_complex(weight)),
            compiles=True,
        ),
    ]
    moved = _bytes(shape, outputs, modes, backward=backward)
    leaves = [weight] if backward else []
    return contenders(ways, x, moved, backward=backward, leaves=leaves)


ROWS = [
    Row(
        "spectral_conv",
        f"spectral_conv2d, float32, NCHW, forward{' and backward' * backward}",
        f"{modes} modes, {sizes(shape)} to {outputs}",
        shape,
        functools.partial(_layers, shape, outputs, modes, backward=backward),
        backward=backward,
        moved_bytes=_bytes(shape, outputs, modes, backward=backward),
        quick=shape == LAYERS[0][0],
        compiled=shape == LAYERS[0][0] and not backward,
        layer=NAMES.get(shape[-1], ""),
    )
    for backward in (False, True)
    for shape, outputs, modes in LAYERS
]
