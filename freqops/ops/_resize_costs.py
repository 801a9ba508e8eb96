"""What the two ways of resizing (or filtering) planes cost on a CPU: matrices, or transforms.

The constants are nanoseconds of one core, fitted to measurements at 14 to 224 samples (AVX-512, Zen
4; benchmarks/resize_costs.py repeats them and says where the choice is wrong); only their ratios
matter. Around the crossover the two are close, so a machine of other ratios loses little.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from torch import Tensor

from freqops.ops._layout import is_channels_last

_MULTIPLY_ADD = 0.024  # of the matrices, in vectors
_UPWARDS = 1.35  # times that, where rows become more: every line is transposed
_SAMPLE = 0.25  # read or written
_CHANNELS_LAST_SAMPLE = 1.2  # gathered into planes, or scattered: the transforms want planes
_BUTTERFLY = 0.0214  # times n log2 n
_GENERIC = 0.0108  # times n p, for a prime factor p without a codelet
_ALONE = 1.4  # times both, for lines that are no rows of a plane
_CODELETS = (2, 3, 5, 7, 11, 13, 23)
_LANES = 16  # lines are transformed so many at a time
# Beyond, a matrix takes more memory than it is worth.
_MOST_ENTRIES = 1 << 22


def has_channels_as_lanes(x: Tensor) -> bool:
    """Whether channels are the fastest axis, and enough of them to fill a vector."""
    return is_channels_last(x) and x.shape[1] >= 8


def prefers_transforms(
    sizes: Sequence[int], targets: Sequence[int], *, channels_last: bool
) -> bool:
    """Whether planes of ``sizes`` become ``targets`` sooner by transforms than by matrices."""
    return _prefers_transforms(tuple(sizes), tuple(targets), channels_last)


@functools.lru_cache(maxsize=1024)
def _prefers_transforms(
    sizes: tuple[int, ...], targets: tuple[int, ...], channels_last: bool
) -> bool:
    if any(size * target > _MOST_ENTRIES for size, target in zip(sizes, targets, strict=True)):
        return True
    samples = math.prod(sizes) + math.prod(targets)
    matrices = _MULTIPLY_ADD * _multiply_adds(sizes, targets) + _SAMPLE * samples
    transforms = _transforms(sizes, targets)
    transforms += (_CHANNELS_LAST_SAMPLE if channels_last else _SAMPLE) * samples
    return transforms < matrices


def _multiply_adds(sizes: tuple[int, ...], targets: tuple[int, ...]) -> float:
    """Mirrored matrices take half of a product's, and half of those where every 2nd is a copy."""

    def share(size: int, target: int) -> float:
        return 0.25 if max(size, target) == 2 * min(size, target) else 0.5

    if len(sizes) == 1:
        return sizes[0] * targets[0] * share(sizes[0], targets[0])
    (height, width), (rows, columns) = sizes, targets
    lines = min(rows, height)  # whichever axis leaves less in between is summed first
    first = rows * height * (width if rows <= height else columns) * share(height, rows)
    both = first + lines * width * columns * share(width, columns)
    return both if rows <= height else _UPWARDS * both


def _transforms(sizes: tuple[int, ...], targets: tuple[int, ...]) -> float:
    if len(sizes) == 1:
        return _ALONE * (_transform(sizes[0]) + _transform(targets[0]))
    (height, width), (rows, columns) = sizes, targets
    kept = _in_lanes(min(height, rows))
    return (
        _in_lanes(width) * _transform(height)
        + kept * (_transform(width) + _transform(columns))
        + _in_lanes(columns) * _transform(rows)
    )


def _in_lanes(lines: int) -> int:
    return -(-lines // _LANES) * _LANES


def _transform(size: int) -> float:
    """Of one line, half of a pair."""
    rest, primes = size, 0
    for radix in _CODELETS:
        while rest % radix == 0:
            rest //= radix
    smooth = size // rest
    factor = 2
    while rest > 1:
        if factor * factor > rest:
            factor = rest
        if rest % factor == 0:
            rest //= factor
            primes += factor
        else:
            factor += 1
    return size * (_BUTTERFLY * math.log2(max(smooth, 2)) + _GENERIC * primes)
