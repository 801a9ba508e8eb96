"""flc_pool2d: every plane at half its size by a crop of its spectrum, with FLC pooling's values."""

from __future__ import annotations

import torch

from freqops.bench.case import Goal, Row
from freqops.bench.crops import LARGE, MIDDLE, ODD, SHAPES, SMALL, Crop
from freqops.bench.ways import FORMATS

# As fast as prototypes of the kernels were: times the exact products of matrices, and times the
# published layer, which the system's malloc made slower still.
REACHED = {LARGE: (5.0, 8.9, 8.9), MIDDLE: (5.5, 16.0, 57.0), SMALL: (10.0, 41.0, 41.0)}
EXACT = ("matmul",)
PUBLISHED = ("FLC layer",)


def goals(crop: Crop) -> list[Goal]:
    """For FLC pooling as published: forward, contiguous, float32."""
    plain = crop.layout == "NCHW" and crop.dtype == torch.float32 and not crop.backward
    if crop.rule != "flc" or not plain or crop.rotated or crop.shape not in REACHED:
        return []
    products, layer, layer_by_default = REACHED[crop.shape]
    return [
        Goal(products, default=products, against=EXACT),
        Goal(layer, default=layer_by_default, against=PUBLISHED),
    ]


def _all_rows() -> list[Row]:
    rows = []
    for shape in (*SHAPES, ODD):
        crop = Crop(shape, compiled=shape == MIDDLE)
        rows.append(crop.row(*goals(crop), quick=shape == SMALL))
    rows += [Crop(shape, backward=True, compiled=shape == MIDDLE).row() for shape in (*SHAPES, ODD)]
    rows += [
        Crop(shape, layout="NHWC").row(quick=shape == SMALL) for shape in (LARGE, MIDDLE, SMALL)
    ]
    rows += [Crop(shape, layout="NHWC", backward=True).row() for shape in (MIDDLE, SMALL)]
    rows += [Crop(MIDDLE, layout=layout, dtype=torch.bfloat16).row() for layout in FORMATS]
    return rows


ROWS = _all_rows()
