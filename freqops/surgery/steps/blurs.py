"""blurs: the taps of each axis, and blurs whose taps survive a model that has no memory yet.

A model may be made on the meta device and given memory by ``to_empty``, which leaves in every
buffer what was there; a checkpoint fills the rest, but taps stand in none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from freqops import ops
from freqops.surgery.steps.window import Sizes

AxisTaps = tuple["int | Tensor", ...]


# --- taps -----------------------------------------------------------------------------------------


def axis_taps(taps: Any, strides: Sequence[int]) -> AxisTaps:
    """Taps for each axis, for sampling at these strides.

    An axis that is not sampled is not blurred. A count k stands for the box of the stride's length
    convolved k - 1 times: binomial taps for stride 2, and for any stride zeros of the response at
    every frequency that folds onto a constant.
    """
    each = tuple(taps) if isinstance(taps, (tuple, list)) else (taps,) * len(strides)
    if len(each) != len(strides):
        raise ValueError(
            f"antialias: taps must be one for all axes or one per axis, got {len(each)} for a "
            f"site with {len(strides)}"
        )
    return tuple(
        1 if stride == 1 else one if isinstance(one, Tensor) else _boxes(one, stride)
        for one, stride in zip(each, strides, strict=True)
    )


@functools.cache  # the same object for all axes, and not to be written to
def _boxes(count: int, stride: int) -> int | Tensor:
    if stride == 2:
        return count
    taps = torch.ones(1, dtype=torch.float64)
    for _ in range(count - 1):
        padded = F.pad(taps, (stride - 1, stride - 1))
        taps = padded.unfold(0, stride, 1).sum(-1) / stride
    return taps.float()


def lengths(taps: AxisTaps) -> list[int]:
    """The number of taps of each axis."""
    return [one if isinstance(one, int) else one.shape[-1] for one in taps]


# --- modules --------------------------------------------------------------------------------------


class _Kept(nn.Module):
    """Writes the taps again when they come from the meta device."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with torch.device("cpu"):  # whatever device is the default just now
            super().__init__(*args, **kwargs)
        self._values = {name: taps.tolist() for name, taps in self.named_buffers()}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        empty = {name for name, taps in self.named_buffers() if taps.is_meta}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, taps in self.named_buffers():
            if name in empty and not taps.is_meta:
                taps.copy_(torch.tensor(self._values[name], device="cpu"))
        return self


class BlurPool1d(_Kept, ops.BlurPool1d):
    """:class:`freqops.BlurPool1d` that ``to_empty`` leaves whole."""


class BlurPool2d(_Kept, ops.BlurPool2d):
    """:class:`freqops.BlurPool2d` that ``to_empty`` leaves whole."""


class BlurPool3d(_Kept, ops.BlurPool3d):
    """:class:`freqops.BlurPool3d` that ``to_empty`` leaves whole."""


class MaxBlurPool1d(_Kept, ops.MaxBlurPool1d):
    """:class:`freqops.MaxBlurPool1d` that ``to_empty`` leaves whole."""


class MaxBlurPool2d(_Kept, ops.MaxBlurPool2d):
    """:class:`freqops.MaxBlurPool2d` that ``to_empty`` leaves whole."""


_BLUR_POOLS: tuple[Any, ...] = (BlurPool1d, BlurPool2d, BlurPool3d)


def blur(taps: AxisTaps, stride: Sizes, padding_mode: str) -> nn.Module:
    """A blur of the default size rule: ceil(N / stride) samples."""
    module: nn.Module = _BLUR_POOLS[len(stride) - 1](
        shortest(taps), shortest(stride), padding_mode=padding_mode
    )
    return module


def shortest(each: Sequence[Any]) -> Any:
    """One entry where all axes have the same."""
    return each[0] if all(one is each[0] or _same(one, each[0]) for one in each) else tuple(each)


def _same(one: Any, another: Any) -> bool:
    return isinstance(one, int) and isinstance(another, int) and one == another
