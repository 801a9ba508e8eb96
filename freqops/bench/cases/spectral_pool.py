"""spectral_pool2d: every plane at half its size by a crop of its spectrum."""

from __future__ import annotations

from freqops.bench.case import Row
from freqops.bench.crops import LARGE, MIDDLE, ODD, SHAPES, SMALL, Crop


def _all_rows() -> list[Row]:
    rows = [
        Crop(shape, "half", compiled=shape == MIDDLE).row(quick=shape == ODD)
        for shape in (*SHAPES, ODD)
    ]
    rows += [Crop(shape, "half", backward=True).row() for shape in (LARGE, MIDDLE, ODD)]
    rows += [Crop(shape, "sum").row(quick=shape == SMALL) for shape in (MIDDLE, SMALL)]
    rows.append(Crop(SMALL, "half", rotated=True).row())
    return rows


ROWS = _all_rows()
