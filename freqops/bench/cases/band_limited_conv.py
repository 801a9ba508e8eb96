"""band_limited_conv2d with less and less of the spectrum, and band_limited_conv1d."""

from __future__ import annotations

from freqops.bench.case import Row
from freqops.bench.convolutions import Conv

# Of the half spectrum's area; the paper's networks (Dziedzic et al. 2019) train at half of it.
CUTS = (0.0, 0.25, 0.5, 0.75)
DENSE, DEPTHWISE = (16, 64, 56, 56), (4, 96, 56, 56)
# The second layer of the fully convolutional network that the paper takes for time series.
SERIES = (16, 128, 512)


def _all_rows() -> list[Row]:
    convs = [Conv(DENSE, taps, outputs=64, compression=cut) for taps in (3, 7) for cut in CUTS]
    convs += [Conv(DEPTHWISE, 7, compression=cut) for cut in CUTS]
    convs += [Conv((2, 64, 56, 56), 3, outputs=64, backward=True, compression=cut) for cut in CUTS]
    convs += [Conv(SERIES, 5, outputs=256, compression=cut) for cut in (0.0, 0.5)]
    quick = {
        Conv(DENSE, 3, outputs=64, compression=0.5),
        Conv(DEPTHWISE, 7, compression=0.5),
        Conv(SERIES, 5, outputs=256, compression=0.5),
    }
    return [conv.row(quick=conv in quick, compiled=conv in quick) for conv in convs]


ROWS = _all_rows()
