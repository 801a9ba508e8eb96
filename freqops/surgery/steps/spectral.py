"""spectral: samples taken by cutting the spectrum, as many as a stride or a pool's windows give."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from freqops.ops import flc_pool2d, spectral_pool1d
from freqops.surgery.steps.blurs import shortest
from freqops.surgery.steps.window import Sizes, Window, first_of_same


class FLCPool(nn.Module):
    """FLC pooling in the sizes of a window; see :func:`freqops.flc_pool2d`.

    On one or three axes, where nobody has published values, the separable rule of
    :func:`freqops.spectral_pool1d` holds, which differs in one frequency, the corner.

    Args:
        window: as many samples as this gives; where it is more than a stride, the pooling stands
            in the place of an average over it. Axes of stride 1 are left as they are.
    """

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window

    @property
    def is_whole(self) -> bool:
        """Whether it does all that was done over the windows, not behind something at stride 1."""
        return max(self.window.kernel_size) > 1

    def forward(self, x: Tensor) -> Tensor:
        """Samples x [..., D, H, W], or as many axes as the window has."""
        return self._sampled(x, self.window.outputs(x.shape[-self.window.dims :]))

    def _sampled(self, x: Tensor, outputs: Sequence[int]) -> Tensor:
        if self.window.dims == 1:
            return spectral_pool1d(x, outputs[0])
        if max(self.window.stride[-2:]) > 1:
            x = flc_pool2d(x, (outputs[-2], outputs[-1]))
        if self.window.dims == 3 and self.window.stride[0] > 1:
            x = spectral_pool1d(x.movedim(-3, -1), outputs[0]).movedim(-1, -3)
        return x

    def extra_repr(self) -> str:
        """The stride."""
        ceil = ", ceil_mode=True" if self.window.ceil_mode else ""
        return f"stride={shortest(self.window.stride)}{ceil}"


class SameFLCPool(FLCPool):
    """Samples a map made at stride 1 with TensorFlow's "SAME" padding where the stride had them.

    As :class:`freqops.surgery.steps.pools.SameBlur`; to the transform a map is periodic, and so is
    what moves its first sample to the front.

    Args:
        window: of the convolution or pool.
    """

    @property
    def is_whole(self) -> bool:
        """It stands behind something at stride 1."""
        return False

    def forward(self, x: Tensor) -> Tensor:
        """Samples x [..., H, W], or as many axes as the window has: ceil(N / stride) of each."""
        dims, sizes = self.window.dims, x.shape[-self.window.dims :]
        firsts = [first_of_same(self.window, axis, size) for axis, size in enumerate(sizes)]
        x = torch.roll(x, [-first for first in firsts], list(range(-dims, 0)))
        pairs = zip(sizes, self.window.stride, strict=True)
        return self._sampled(x, [-(-size // stride) for size, stride in pairs])


def flc_pool(stride: Sizes) -> FLCPool:
    """What samples a map made at stride 1: ceil(N / stride) samples."""
    one = (1,) * len(stride)
    return FLCPool(Window(one, stride, (0,) * len(stride), one))


def can_replace_average(window: Window) -> bool:
    """Whether an average's windows lie side by side; longer ones are a low-pass of their own."""
    sides = zip(window.kernel_size, window.stride, window.padding, strict=True)
    return all(kernel == stride and padding == 0 for kernel, stride, padding in sides)
