"""fft_conv2d and fft_conv1d: layers of published networks with large kernels, and small ones."""

from __future__ import annotations

import torch

from freqops.bench.case import Goal, Point, Row
from freqops.bench.convolutions import Conv, both_layouts

# ConvNeXt-T's first stage, four images.
MIDDLE = (4, 96, 56, 56)
LARGE_TAPS = 31

# RepLKNet-31B by stage, UniRepLKNet-T where its kernels are large, SLaK-T's longest.
STAGES = (
    Conv((4, 128, 56, 56), 31, layer="RepLKNet-31B stage 1"),
    Conv((4, 256, 28, 28), 29, layer="RepLKNet-31B stage 2"),
    Conv((4, 512, 14, 14), 27, layer="RepLKNet-31B stage 3"),
    Conv((4, 1024, 7, 7), 13, layer="RepLKNet-31B stage 4"),
    Conv((4, 160, 28, 28), 13, layer="UniRepLKNet-T stage 2"),
    Conv((4, 320, 14, 14), 13, layer="UniRepLKNet-T stage 3"),
    Conv((1, 96, 56, 56), 51, layer="SLaK-T stage 1, its 51x5 and 5x51 in one"),
)
CONVNEXT = ((4, 192, 28, 28), (4, 384, 14, 14), (4, 768, 7, 7))
# ResNet's first stage, where the spectrum loses: 3x3. Seven and eleven as in stems.
DENSE, FEWER = (16, 64, 56, 56), (2, 64, 56, 56)
# Long convolutions as of sequence models; with more of them torch takes ten seconds a call.
LINES = ((8, 256, 1024), (1, 64, 16384))
ONE_IMAGE = (1, 96, 56, 56)
CURVE = (3, 5, 7, 9, 13, 21, LARGE_TAPS)
QUICK_CURVE = (3, 7, 13, LARGE_TAPS)


def goals(conv: Conv) -> list[Goal]:
    """What prototypes of the kernel reached on this shape, before it was written."""
    if (conv.shape, conv.taps, conv.layout) != (MIDDLE, LARGE_TAPS, "NCHW") or conv.backward:
        return []
    if conv.outputs is not None or conv.dtype != torch.float32:
        return []
    return [
        Goal(3.3, default=3.3, against=("torch.fft",)),
        Goal(6.5, default=6.5, against=("torch", "torch NHWC")),
    ]


def _all_rows() -> list[Row]:
    middle = [Conv(MIDDLE, taps) for taps in (3, 5, 7, 13, LARGE_TAPS)]
    gradients = [Conv(MIDDLE, taps, backward=True) for taps in (3, 7, 13)]
    gradients.append(Conv(ONE_IMAGE, LARGE_TAPS, backward=True))  # torch: half a second a call
    convs = [
        *(each for conv in (*middle, *STAGES) for each in both_layouts(conv)),
        *(each for shape in CONVNEXT for each in both_layouts(Conv(shape, 7))),
        *(each for conv in gradients for each in both_layouts(conv)),
        *(Conv(DENSE, taps, outputs=64) for taps in (3, 7, 11)),
        Conv(DENSE, 3, outputs=64, layout="NHWC"),
        *(Conv(FEWER, taps, outputs=64, backward=True) for taps in (3, 7)),
        *(Conv(shape, taps) for shape in LINES for taps in (31, 127, 1023)),
        *both_layouts(Conv(MIDDLE, LARGE_TAPS, dtype=torch.bfloat16)),
    ]
    quick = {  # 31 taps are on the curve of one image: torch takes a third of a second for four
        Conv(MIDDLE, 7, layout="NHWC", backward=True),
        Conv(DENSE, 3, outputs=64),
        Conv(LINES[0], 127),
        STAGES[3],
    }
    compiled = {
        *both_layouts(Conv(MIDDLE, LARGE_TAPS)),
        Conv(DENSE, 7, outputs=64),
        Conv(LINES[0], 127),
    }
    rows = [
        conv.row(*goals(conv), quick=conv in quick, compiled=conv in compiled) for conv in convs
    ]
    pixels = torch.Size(ONE_IMAGE).numel()
    rows += [
        Conv(ONE_IMAGE, taps).row(quick=taps in QUICK_CURVE, point=Point("taps", taps, pixels))
        for taps in CURVE
    ]
    return rows


ROWS = _all_rows()
