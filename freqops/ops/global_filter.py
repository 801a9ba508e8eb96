"""global_filter: a learned complex response per channel, by fft_filter."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from freqops.filters import check_count
from freqops.ops._checks import check_image
from freqops.ops.fft_filter import fft_filter1d, fft_filter2d


def _resized_columns(response: Tensor, old: int, new: int, *, rows: bool) -> Tensor:
    """The half-spectrum axis (-1) of a response, cropped or continued with zeros.

    Cropping to an even width needs no thought: the new Nyquist column should be the mean of the
    old +N/2 and -N/2, and that is what the filter makes of any such column. Padding an even
    width turns its Nyquist column into an interior one, so that mean is taken here, and halved.
    """
    kept = response[..., : min(old, new) // 2 + 1]
    if new <= old:
        return kept
    if old % 2 == 0:
        nyquist = kept[..., -1]
        mirrored = torch.roll(nyquist.flip(-1), 1, -1) if rows else nyquist
        kept = torch.cat([kept[..., :-1], ((nyquist + mirrored.conj()) / 4)[..., None]], -1)
    missing = new // 2 + 1 - kept.shape[-1]
    return torch.cat([kept, kept.new_zeros(*kept.shape[:-1], missing)], -1)


def _resized_rows(response: Tensor, new: int) -> Tensor:
    """The full-spectrum axis (-2) of a response, cropped or continued with zeros around Nyquist."""
    old = response.shape[-2]
    if new == old:
        return response
    smaller = min(old, new)
    half, below = (
        smaller // 2,
        (smaller - 1) // 2,
    )  # rows up to `below` have one meaning in both sizes
    positive = response[..., : below + 1, :]
    negative = response[..., old - below :, :]
    gap = new - 2 * below - 1
    if smaller % 2:
        middle = [_zero_rows(response, gap)]
    elif new < old:
        middle = [(_row(response, half) + _row(response, old - half)) / 2]
    else:
        shared = _row(response, half) / 2
        middle = [shared, _zero_rows(response, gap - 2), shared]
    return torch.cat([positive, *middle, negative], -2)


def _row(response: Tensor, index: int) -> Tensor:
    return response[..., index : index + 1, :]


def _zero_rows(response: Tensor, count: int) -> Tensor:
    return response.new_zeros(*response.shape[:-2], count, response.shape[-1])


class _GlobalFilter(nn.Module):
    _op: str
    size: tuple[int, ...]

    def __init__(self, channels: int, size: tuple[int, ...]) -> None:
        super().__init__()
        check_count(self._op, "channels", channels)
        for side in size:
            check_count(self._op, "size", side)
        self.channels = channels
        self.size = size
        self.weight = nn.Parameter(torch.empty(channels, *size[:-1], size[-1] // 2 + 1, 2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Starts at the identity: gain 1 plus noise of standard deviation 0.02 in both parts."""
        with torch.no_grad():
            self.weight.normal_(std=0.02)
            self.weight[..., 0] += 1

    def _check(self, x: Tensor) -> None:
        dims = len(self.size)
        check_image(self._op, x, dims, axes=dims + 1)
        if x.shape[-dims - 1] != self.channels:
            sides = ", ".join("HW"[-dims:])
            raise ValueError(
                f"{self._op}: x must have shape [..., {self.channels}, {sides}], "
                f"got {list(x.shape)}"
            )

    def extra_repr(self) -> str:
        """Channels and the size the filter was made for."""
        size = self.size if len(self.size) > 1 else self.size[0]
        return f"channels={self.channels}, size={size}"


class GlobalFilter2d(_GlobalFilter):
    """A learned complex gain per channel and frequency: GFNet's token mixer.

    `Rao et al. 2021 <https://arxiv.org/abs/2107.00645>`_, on images [..., C, H, W]: a circular
    depthwise convolution as large as the image. See :func:`fft_filter2d`.

    Images of another size than ``size`` are filtered by the same kernel spectrum, cropped or
    continued with zeros by signed frequency: a larger image loses what lies beyond it. A Nyquist
    bin that only one of the sizes has is shared equally by +N/2 and -N/2.

    Args:
        channels: C.
        size: (H, W) of the images, or one number for both.

    Attributes:
        weight: the parameter, [C, H, W//2+1, 2], real and imaginary part; 1 plus noise of standard
            deviation 0.02 to begin with, so that a network starts near the identity.
    """

    _op = "GlobalFilter2d"

    def __init__(self, channels: int, size: int | Sequence[int]) -> None:
        sides = tuple(size) if isinstance(size, Sequence) else (size, size)
        if len(sides) != 2:
            raise ValueError(f"GlobalFilter2d: size must be one number or (H, W), got {size}")
        super().__init__(channels, sides)

    def forward(self, x: Tensor) -> Tensor:
        """Filters x [..., C, H, W]."""
        self._check(x)
        response = torch.view_as_complex(self.weight)
        height, width = x.shape[-2:]
        if (height, width) != self.size:
            response = _resized_columns(response, self.size[1], width, rows=True)
            response = _resized_rows(response, height)
        return fft_filter2d(x, response)


class GlobalFilter1d(_GlobalFilter):
    """A learned complex gain per channel and frequency. See :class:`GlobalFilter2d`.

    Args:
        channels: C.
        size: length N of the signals.

    Attributes:
        weight: the parameter, [C, N//2+1, 2], real and imaginary part.
    """

    _op = "GlobalFilter1d"

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels, (size,))

    def forward(self, x: Tensor) -> Tensor:
        """Filters x [..., C, N]."""
        self._check(x)
        response = torch.view_as_complex(self.weight)
        if x.shape[-1] != self.size[0]:
            response = _resized_columns(response, self.size[0], x.shape[-1], rows=False)
        return fft_filter1d(x, response)
