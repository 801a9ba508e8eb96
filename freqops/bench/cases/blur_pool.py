"""blur_pool2d: every plane low-passed and sampled at every second row and column."""

from __future__ import annotations

import functools

import torch

import freqops
from freqops.bench import peers
from freqops.bench.case import Goal, Row
from freqops.bench.pools import (
    LARGE,
    MIDDLE,
    OTHERS,
    SAME_FUNCTION,
    SAME_LAYOUT,
    SHAPES,
    Blur,
    kornia,
)
from freqops.bench.timing import Contender
from freqops.bench.ways import FORMATS, Way, contenders

TAPS = (3, 4, 7)


def forward_goals(blur: Blur) -> list[Goal]:
    """Against every peer in any layout; channels behind each other also against that layout."""
    if blur.shape == MIDDLE:
        number = 5.0 if blur.taps == 7 else 3.6
        return [Goal(number, default=number, against=SAME_FUNCTION)]
    if blur.shape != LARGE:
        return []
    any_layout = Goal(2.5, default=10.0, against=SAME_FUNCTION)
    own_layout = Goal(4.0, default=18.0, against=SAME_LAYOUT)
    return [any_layout, own_layout] if blur.layout == "NCHW" else [any_layout]


def gradient_goals(blur: Blur) -> list[Goal]:
    """For forward and backward."""
    if blur.shape != LARGE:
        return []
    if blur.layout == "NHWC":
        return [Goal(2.7, against=SAME_LAYOUT)]
    return [Goal(2.7, against=("torch NHWC",)), Goal(5.3, against=SAME_LAYOUT)]


def _of_zeros(layout: str) -> list[Contender]:
    """kornia's function, which has zeros around the map."""
    x = torch.rand(LARGE)
    ways = [Way("freqops", lambda x: freqops.blur_pool2d(x, 3, padding_mode="zeros"), "ours")]
    if peers.has("kornia"):
        ways.append(Way("kornia", kornia(1, 3)))
    return contenders(ways, x, Blur(LARGE, 3, layout).moved_bytes, layout=layout)


def _all_rows() -> list[Row]:
    rows = []
    for layout in FORMATS:
        for shape in SHAPES:
            for taps in TAPS:
                compiled = taps == 3 and shape in (LARGE, MIDDLE)
                blur = Blur(shape, taps, layout, compiled=compiled)
                quick = (shape, taps, layout) == (LARGE, 4, "NCHW")
                rows.append(blur.row(*forward_goals(blur), quick=quick))
    for layout in FORMATS:
        for shape in SHAPES:
            for taps in TAPS:
                compiled = taps == 3 and shape == LARGE
                blur = Blur(shape, taps, layout, backward=True, compiled=compiled)
                quick = (shape, taps, layout) == (MIDDLE, 4, "NHWC")
                rows.append(blur.row(*gradient_goals(blur), quick=quick))
    rows += [Blur(LARGE, 4, layout, dtype=torch.bfloat16).row() for layout in FORMATS]
    rows += [
        Row(
            "blur_pool",
            "blur_pool2d, float32, zeros around the map, forward",
            f"{'x'.join(map(str, LARGE))} 3 taps, {layout}",
            LARGE,
            functools.partial(_of_zeros, layout),
            layout=layout,
            moved_bytes=Blur(LARGE, 3, layout).moved_bytes,
        )
        for layout in FORMATS
    ]
    rows += [Blur(shape, 3, layout).row() for shape in OTHERS for layout in FORMATS]
    rows.append(Blur(MIDDLE, 3, "NCHW", rotated=True).row(quick=True))
    return rows


ROWS = _all_rows()
