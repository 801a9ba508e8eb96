"""What a sweep compares: the untouched images and each band at each cutoff."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from torch import Tensor

from freqops.evaluation.errors import InputError
from freqops.evaluation.memory import ReusedMemory
from freqops.evaluation.words import nearest
from freqops.filters import KINDS, NORMS, UNITS, Kind, Norm, Unit
from freqops.ops.low_high import low_high2d

BANDS = ("low", "high")

#: The filtered images in memory at a time stay under this many bytes (but one cutoff is always
#: processed, however large the batch): what a sweep adds to the memory the models need. Eight
#: cutoffs of 64 RGB images of 224x224 fit, so they share one forward transform.
FILTERED_BYTES = 2**30


class Condition(NamedTuple):
    """One column of a sweep: ("none", None), ("low", cutoff) or ("high", cutoff)."""

    kind: str
    cutoff: float | None


@dataclass(frozen=True)
class FilterSettings:
    """Cutoffs and the meaning of a cutoff, as `freqops.low_high2d` takes them."""

    cutoffs: tuple[float, ...]
    kinds: tuple[str, ...] = BANDS
    unit: str = "bins"
    norm: str = "l2"
    kind: str = "ideal"
    inclusive: bool = False
    order: int = 2

    def conditions(self) -> list[Condition]:
        """The unfiltered baseline first, then each kind over all cutoffs."""
        filtered = [Condition(kind, cutoff) for kind in self.kinds for cutoff in self.cutoffs]
        return [Condition("none", None), *filtered]

    def filtered(
        self, images: Tensor, memory: tuple[ReusedMemory, ReusedMemory] | None = None
    ) -> Iterator[tuple[Condition, Tensor]]:
        """Yields each condition with its images; cutoffs of one group share one transform.

        Args:
            images: [N, C, H, W].
            memory: where the low-passed and the high-passed ones go, if they are on the CPU.
        """
        yield Condition("none", None), images
        # low and high of this group, and high of the one before, whose last view is still in use
        bytes_per_cutoff = 3 * images.numel() * images.element_size()
        group = max(1, FILTERED_BYTES // bytes_per_cutoff)
        for start in range(0, len(self.cutoffs), group):
            cutoffs = self.cutoffs[start : start + group]
            out = None
            if memory is not None and images.is_cpu:
                shape = (len(cutoffs), *images.shape)
                out = memory[0].lend(shape, images), memory[1].lend(shape, images)
            low, high = low_high2d(
                images,
                cutoffs,
                unit=cast(Unit, self.unit),
                norm=cast(Norm, self.norm),
                inclusive=self.inclusive,
                kind=cast(Kind, self.kind),
                order=self.order,
                out=out,
            )
            for kind in self.kinds:
                stack = low if kind == "low" else high
                for i, cutoff in enumerate(cutoffs):
                    yield Condition(kind, cutoff), stack[i]
            del low, high, stack, out


def filter_settings(
    cutoffs: Iterable[float] | Tensor | float,
    *,
    kinds: Sequence[str] | str,
    unit: str,
    norm: str,
    kind: str,
    inclusive: bool,
    order: int,
) -> FilterSettings:
    """Returns checked settings; a repeated cutoff counts once.

    Raises:
        InputError: an empty list, a cutoff that isn't a finite number >= 0, an unknown word.
    """
    values = cutoffs.tolist() if isinstance(cutoffs, Tensor) else cutoffs
    if isinstance(values, int | float):
        values = [values]
    numbers = tuple(dict.fromkeys(float(value) for value in values))
    if not numbers:
        raise InputError("sweep: cutoffs must hold at least one number, got none")
    for number in numbers:
        if not math.isfinite(number) or number < 0:
            raise InputError(f"sweep: cutoffs must be finite and at least 0, got {number:g}")
    bands = (kinds,) if isinstance(kinds, str) else tuple(dict.fromkeys(kinds))
    if not bands or any(band not in BANDS for band in bands):
        raise InputError(f"sweep: kinds must be taken from 'low' and 'high', got {bands!r}")
    words = (("unit", unit, UNITS), ("norm", norm, NORMS), ("kind", kind, KINDS))
    for argument, word, known in words:
        if word not in known:
            hint = nearest(word, known)
            raise InputError(
                f"sweep: {argument} must be one of {', '.join(known)}, got {word!r}{hint}"
            )
    if order < 1:
        raise InputError(f"sweep: order must be at least 1, got {order}")
    return FilterSettings(numbers, bands, unit, norm, kind, inclusive, order)


def axis_limit(size: tuple[int, int], unit: str) -> float:
    """Returns the Nyquist frequency of the longer axis in `unit`: where an axis' content ends."""
    return {"bins": max(size) / 2, "cycles": 0.5, "nyquist": 1.0}[unit]


def check_cutoffs_reach(settings: FilterSettings, size: tuple[int, int]) -> None:
    """Raises InputError for a cutoff far outside the spectrum of images of that size.

    The corner of the plane lies at sqrt(2) times Nyquist; up to twice Nyquist is let through,
    because published radii (28 at 32 pixels) lie beyond the corner and mean "everything". More
    than that is a unit mixed up.
    """
    limit = 2 * axis_limit(size, settings.unit)
    for cutoff in settings.cutoffs:
        if cutoff > limit:
            raise InputError(
                f"sweep: cutoff {cutoff:g} is out of range: in unit {settings.unit!r} images of "
                f"{size[0]}x{size[1]} pixels take cutoffs from 0 to {limit:g}"
            )


def default_cutoffs(size: tuple[int, int], unit: str) -> list[float]:
    """Returns eight cutoffs from 1/12 of the Nyquist frequency up to it, denser at the bottom.

    In bins they are whole numbers (2, 4, 6, 8, 12, 16, 20, 24 for 48 pixels), else hundredths.
    """
    limit = axis_limit(size, unit)
    steps = [limit * part / 12 for part in (1, 2, 3, 4, 6, 8, 10, 12)]
    if unit == "bins":
        return list(dict.fromkeys(float(max(1, round(step))) for step in steps))
    return [round(step, 2) for step in steps]
