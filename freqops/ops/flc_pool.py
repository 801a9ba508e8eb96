"""flc_pool: frequency-low-cut pooling, the spectral pooling of published anti-aliased networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from freqops.ops._checks import check_image
from freqops.ops._taps import counts_per_axis
from freqops.ops.spectral_pool import OutputSize, pooled


def flc_pool2d(x: Tensor, output_size: OutputSize = None) -> Tensor:
    """Images of half the size with the low half of their frequencies: FLC pooling.

    The spectrum is cropped around DC and transformed back, and its real part taken: the layer of
    `Grabinski et al. 2022 <https://arxiv.org/abs/2204.00491>`_, whose values these are. The mean is
    kept and nothing aliases. It differs from :func:`spectral_pool2d` in the sizes it chooses and,
    where both outputs are even, in one bin: that at both Nyquist frequencies is the mean of two
    diagonal corners of the spectrum instead of four.

    For sizes of 4 k + 2 the published layer (which gives 2 k + 1) cuts beside the centre and shifts
    every frequency by a bin; here the crop is centred at every size.

    Args:
        x: [..., H, W], float32, float64, float16 or bfloat16 (half types compute in float32 and
            round once), any sizes from 1 up.
        output_size: (h, w), or one number for both, at most the size of x. None for the published
            sizes: 2 k of 4 k and 4 k + 1, 2 k + 1 of 4 k + 2, 2 k + 2 of 4 k + 3; 1 of 1.

    Returns:
        [..., h, w], dtype of x, channels_last if x is.

    Raises:
        ValueError: a shape or number does not fit; among them an output larger than x.
        TypeError: x or the output size is of another type.

    Example:
        >>> flc_pool2d(torch.rand(8, 3, 14, 56)).shape
        torch.Size([8, 3, 7, 28])
    """
    op = "flc_pool2d"
    check_image(op, x, 2)
    sizes = x.shape[-2:]
    if output_size is None:
        return pooled(op, x, [_published(side) for side in sizes], "", "two_corner", "forward")
    targets = counts_per_axis(op, "output_size", output_size, 2)
    # Traced sizes are not compared: that would tie a graph to one answer.
    if not torch.compiler.is_compiling() and any(
        target > size for target, size in zip(targets, sizes, strict=True)
    ):
        raise ValueError(
            f"{op}: output_size must be at most {list(sizes)}, the size of x, got {list(targets)}"
        )
    return pooled(op, x, targets, "", "two_corner", "forward")


def _published(size: int) -> int:
    """From int(N / 4) up to int(3 N / 4), and never nothing; in terms that a tracer can bound."""
    least: int = torch.sym_max((size + 1) // 4 + (size + 2) // 4, 1)  # type: ignore[no-untyped-call]
    return least


class FLCPool2d(nn.Module):
    """Halves images by their spectrum. See :func:`flc_pool2d`.

    Args:
        output_size: as for :func:`flc_pool2d`.
    """

    def __init__(self, output_size: OutputSize = None) -> None:
        super().__init__()
        if output_size is not None:
            counts_per_axis(type(self).__name__, "output_size", output_size, 2)
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        """Halves x [..., H, W]."""
        return flc_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        """The output size, where one was given."""
        return "" if self.output_size is None else f"output_size={self.output_size}"
