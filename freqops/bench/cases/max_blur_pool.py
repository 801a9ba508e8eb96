"""max_blur_pool2d: maxima of 2x2 at stride 1, low-passed and sampled, in one pass."""

from __future__ import annotations

import torch

from freqops.bench.case import Goal, Row
from freqops.bench.pools import LARGE, MIDDLE, OTHERS, SAME_LAYOUT, SHAPES, Blur
from freqops.bench.ways import FORMATS

TAPS = (3, 4)


def forward_goals(blur: Blur) -> list[Goal]:
    """torch's maximum is far slower where channels lie behind each other, hence two scales."""
    if blur.shape == LARGE and blur.layout == "NCHW":
        return [Goal(4.0, against=("torch NHWC",)), Goal(37.0, against=SAME_LAYOUT)]
    if blur.shape == LARGE:
        return [Goal(2.1, against=("compiled",)), Goal(4.0, against=SAME_LAYOUT)]
    if blur.shape == MIDDLE and blur.layout == "NCHW":
        return [Goal(75.0, default=75.0, against=SAME_LAYOUT)]
    if blur.shape == MIDDLE:
        return [Goal(4.8, default=4.8, against=("compiled",))]
    return []


def gradient_goals(blur: Blur) -> list[Goal]:
    """For forward and backward."""
    if blur.shape != LARGE:
        return []
    if blur.layout == "NHWC":
        return [Goal(3.0, against=SAME_LAYOUT)]
    return [Goal(3.0, against=("torch NHWC",)), Goal(15.0, against=SAME_LAYOUT)]


def _all_rows() -> list[Row]:
    rows = []
    for layout in FORMATS:
        for shape in SHAPES:
            for taps in TAPS:
                blur = Blur(shape, taps, layout, window=2, compiled=shape in (LARGE, MIDDLE))
                rows.append(blur.row(*forward_goals(blur)))
    for layout in FORMATS:
        for shape in SHAPES:
            for taps in TAPS:
                compiled = taps == 3 and shape == LARGE
                blur = Blur(shape, taps, layout, window=2, backward=True, compiled=compiled)
                quick = (shape, taps, layout) == (MIDDLE, 3, "NHWC")
                rows.append(blur.row(*gradient_goals(blur), quick=quick))
    rows += [Blur(LARGE, 4, layout, window=2, dtype=torch.bfloat16).row() for layout in FORMATS]
    rows += [Blur(shape, 3, layout, window=2).row() for shape in OTHERS for layout in FORMATS]
    return rows


ROWS = _all_rows()
