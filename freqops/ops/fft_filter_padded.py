"""fft_filter_padded: planes followed by zeros, filtered on a larger grid; under the convolutions.

    y = irfft2(rfft2(x followed by zeros up to grid) * response)[..., :size[0], :size[1]]

with a response [gh, gw//2+1], or one per channel, on the grid; lines likewise, where the grid has
one number. It stays internal: a linear correlation with a kernel w is the response
conj(rfft2(w on the grid)).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from freqops.ops._batching import fold, leading, unfold
from freqops.ops._derivatives import Inputs, Needs, register_derivatives, total
from freqops.ops._layout import compute_dtype, like_pooled
from freqops.ops._pooling_rules import shape_of
from freqops.ops._registration import fake, vmap


@fake("fft_filter_padded")
def _fake(x: Tensor, response: Tensor, imag: Tensor | None, grid: Any, size: Any) -> Tensor:
    return like_pooled(x, size)


def on_grid(x: Tensor, grid: Any) -> Tensor:
    """x followed by zeros along each of its last axes."""
    sides = zip(reversed(grid), reversed(x.shape[-len(grid) :]), strict=True)
    behind = [number for side, size in sides for number in (0, side - size)]
    return nn.functional.pad(x, behind)


def _backward(inputs: Inputs, needs: Needs, gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    """Of y = crop F(pad x, K): dx = crop F(pad g, conj K), dK = S(pad x, pad g)."""
    x, response, imag, grid, _ = inputs
    dx = d_real = d_imag = None
    if gradient is not None and needs[0]:
        conjugate = None if imag is None else -imag
        sides = list(shape_of(x)[-len(grid) :])
        dx = torch.ops.freqops.fft_filter_padded(gradient, response, conjugate, grid, sides)
    if gradient is not None and (needs[1] or needs[2]):
        shape = shape_of(response)
        channels = shape[0] if len(shape) > len(grid) else 0
        pair = (on_grid(x, grid), on_grid(gradient, grid))
        d_real, d_imag = torch.ops.freqops.spectral_correlation(*pair, channels, len(grid))
    return dx, d_real if needs[1] else None, d_imag if needs[2] else None, None, None


def _tangent(inputs: Inputs, tangents: Inputs) -> Tensor:
    x, response, imag, grid, size = inputs
    dx, d_real, d_imag, _, _ = tangents
    op = torch.ops.freqops.fft_filter_padded
    by_x = None if dx is None else op(dx, response, imag, grid, size)
    by_response = None
    if d_real is not None or d_imag is not None:
        d_real = torch.zeros_like(response) if d_real is None else d_real
        by_response = op(x, d_real, d_imag, grid, size)
    return total(by_x, by_response)


def _reads(needs: Needs) -> Needs:
    return needs[1] or needs[2], needs[0], needs[0], False, False


register_derivatives("fft_filter_padded", backward=_backward, jvp=_tangent, reads=_reads)


@vmap("fft_filter_padded")
def _vmap(
    info: Any,
    in_dims: tuple[int | None, ...],
    x: Tensor,
    response: Tensor,
    imag: Tensor | None,
    grid: Any,
    size: Any,
) -> tuple[Tensor, int]:
    op = torch.ops.freqops.fft_filter_padded
    batch = info.batch_size
    x = leading(x, in_dims[0], batch)
    if in_dims[1] is None and in_dims[2] is None:
        return op(x, response, imag, grid, size), 0
    response = leading(response, in_dims[1], batch).to(compute_dtype(x.dtype))
    imag = None if imag is None else leading(imag, in_dims[2], batch)
    dims = len(grid)
    per_channel = response.dim() > dims + 1
    planes, response = fold(x, dims, per_channel), fold(response, dims, per_channel).contiguous()
    imag = None if imag is None else fold(imag, dims, per_channel).contiguous()
    return unfold(op(planes, response, imag, grid, size), dims, per_channel, batch)
