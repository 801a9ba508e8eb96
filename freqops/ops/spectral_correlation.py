"""spectral_correlation: the gradient of a response, w / (H W) sum conj(X) Y; it stays internal."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from freqops.ops._batching import fold, leading
from freqops.ops._derivatives import Inputs, Needs, register_derivatives, total
from freqops.ops._layout import compute_dtype
from freqops.ops._registration import fake, vmap


@fake("spectral_correlation")
def _fake(x: Tensor, y: Tensor, channels: int, dims: int) -> tuple[Tensor, Tensor]:
    half = [*x.shape[x.dim() - dims : -1], x.shape[-1] // 2 + 1]
    # channels is compared with a shape only: it may be one while a graph is traced.
    if channels != 0:
        half = [channels, *half]
    dtype = compute_dtype(x.dtype)
    return x.new_empty(half, dtype=dtype), x.new_empty(half, dtype=dtype)


def _backward(
    inputs: Inputs, needs: Needs, d_real: Tensor | None, d_imag: Tensor | None
) -> tuple[Tensor | None, ...]:
    """<v, S(x, y)> = <y, F(x, v)> = <x, F(y, conj v)>: a cotangent v is a response."""
    x, y, _, dims = inputs
    if d_real is None:
        if d_imag is None:
            return None, None, None, None
        d_real = torch.zeros_like(d_imag)
    real = d_real.contiguous()
    imag = None if d_imag is None else d_imag.contiguous()
    dx = dy = None
    if needs[0]:
        dx = torch.ops.freqops.fft_filter(y, real, None if imag is None else -imag, dims)
    if needs[1]:
        dy = torch.ops.freqops.fft_filter(x, real, imag, dims)
    return dx, dy, None, None


def _tangent(inputs: Inputs, tangents: Inputs) -> tuple[Tensor, Tensor]:
    x, y, channels, dims = inputs
    dx, dy, _, _ = tangents
    correlate = torch.ops.freqops.spectral_correlation
    by_x = correlate(dx, y, channels, dims) if dx is not None else (None, None)
    by_y = correlate(x, dy, channels, dims) if dy is not None else (None, None)
    return total(by_x[0], by_y[0]), total(by_x[1], by_y[1])


def _reads(needs: Needs) -> Needs:
    return needs[1], needs[0], False, False


register_derivatives("spectral_correlation", backward=_backward, jvp=_tangent, reads=_reads)


@vmap("spectral_correlation")
def _vmap(
    info: Any, in_dims: tuple[int | None, ...], x: Tensor, y: Tensor, channels: int, dims: int
) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
    size = info.batch_size
    x = fold(leading(x, in_dims[0], size), dims, channels > 0)
    y = fold(leading(y, in_dims[1], size), dims, channels > 0)
    flat = size * max(channels, 1)
    real, imag = torch.ops.freqops.spectral_correlation(x, y, flat, dims)
    if channels:
        real, imag = real.unflatten(0, (size, channels)), imag.unflatten(0, (size, channels))
    return (real, imag), (0, 0)
