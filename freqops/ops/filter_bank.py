"""filter_bank: one forward transform, R inverses; filter_bank_adjoint is its transpose."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from freqops.ops._batching import fold, leading, unfold
from freqops.ops._checks import check_image, check_response
from freqops.ops._derivatives import Inputs, Needs, call, register_derivatives, total
from freqops.ops._layout import like_input, slabs_like_input
from freqops.ops._registration import fake, vmap
from freqops.ops._responses import correlation_per_response, real_and_imaginary


def filter_bank2d(x: Tensor, responses: Tensor) -> Tensor:
    """The same images through R filters: slab r is ``fft_filter2d(x, responses[r])``.

    The forward transform, a third to a half of the work, is done once for all of them.

    Args:
        x: [..., H, W], float32, float64, float16 or bfloat16.
        responses: [R, H, W//2+1], or [R, C, H, W//2+1] for x [..., C, H, W]. Real or complex, any
            dtype; differentiable. DC and Nyquist columns as for :func:`fft_filter2d`.

    Returns:
        [R, ..., H, W]: R slabs one after the other, each with dtype and memory format of x.

    Raises:
        ValueError: a shape or device does not fit, or R is 0.
        TypeError: x or responses is of another type.

    Example:
        >>> from freqops.filters import low_pass
        >>> images, radii = torch.rand(8, 3, 32, 32), torch.tensor([4.0, 8.0, 12.0])
        >>> filter_bank2d(images, low_pass((32, 32), radii, unit="bins")).shape
        torch.Size([3, 8, 3, 32, 32])
    """
    return _filter_bank("filter_bank2d", x, responses, 2)


def filter_bank1d(x: Tensor, responses: Tensor) -> Tensor:
    """The same signals through R filters: slab r is ``fft_filter1d(x, responses[r])``.

    Args:
        x: [..., N], float32, float64, float16 or bfloat16.
        responses: [R, N//2+1], or [R, C, N//2+1] for x [..., C, N]. Real or complex, any dtype;
            differentiable.

    Returns:
        [R, ..., N]: R slabs one after the other, each with dtype and memory format of x.

    Raises:
        ValueError: a shape or device does not fit, or R is 0.
        TypeError: x or responses is of another type.
    """
    return _filter_bank("filter_bank1d", x, responses, 1)


def _filter_bank(op: str, x: Tensor, responses: Tensor, dims: int) -> Tensor:
    check_image(op, x, dims)
    check_response(op, x, responses, dims, argument="responses", bank=1)
    real, imag = real_and_imaginary(responses, x)
    bank: Tensor = call(torch.ops.freqops.filter_bank.default, x, real, imag, dims)
    return bank


@fake("filter_bank")
def _fake(x: Tensor, responses: Tensor, imag: Tensor | None, dims: int) -> Tensor:
    return slabs_like_input(x, responses.shape[0])


@fake("filter_bank_adjoint")
def _fake_adjoint(y: Tensor, responses: Tensor, imag: Tensor | None, dims: int) -> Tensor:
    return like_input(y[0])


def _backward(inputs: Inputs, needs: Needs, gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    x, responses, imag, dims = inputs
    if gradient is None:
        return None, None, None, None
    dx = d_real = d_imag = None
    if needs[0]:
        dx = torch.ops.freqops.filter_bank_adjoint(gradient, responses, imag, dims)
    if needs[1] or needs[2]:
        channels = responses.shape[1] if responses.dim() > dims + 1 else 0
        d_real, d_imag = correlation_per_response(x, gradient, channels, dims)
    return dx, d_real if needs[1] else None, d_imag if needs[2] else None, None


def _backward_adjoint(
    inputs: Inputs, needs: Needs, gradient: Tensor | None
) -> tuple[Tensor | None, ...]:
    """A(y) = sum_r F(y_r, conj K_r), so <g, A(y)> = sum_r <F(g, K_r), y_r>."""
    y, responses, imag, dims = inputs
    if gradient is None:
        return None, None, None, None
    dy = d_real = d_imag = None
    if needs[0]:
        dy = torch.ops.freqops.filter_bank(gradient, responses, imag, dims)
    if needs[1] or needs[2]:
        channels = responses.shape[1] if responses.dim() > dims + 1 else 0
        pairs = [
            torch.ops.freqops.spectral_correlation(gradient, slab, channels, dims)
            for slab in y.unbind(0)
        ]
        d_real = torch.stack([real for real, _ in pairs])
        d_imag = torch.stack([imag for _, imag in pairs])
    return dy, d_real if needs[1] else None, d_imag if needs[2] else None, None


def _tangent_by(name: str, inputs: Inputs, tangents: Inputs) -> Tensor:
    """Both ops are bilinear in the images and the responses."""
    op = getattr(torch.ops.freqops, name)
    images, responses, imag, dims = inputs
    d_images, d_real, d_imag, _ = tangents
    by_images = by_responses = None
    if d_images is not None:
        by_images = op(d_images, responses, imag, dims)
    if d_real is not None or d_imag is not None:
        d_real = torch.zeros_like(responses) if d_real is None else d_real
        by_responses = op(images, d_real, d_imag, dims)
    return total(by_images, by_responses)


def _tangent(inputs: Inputs, tangents: Inputs) -> Tensor:
    return _tangent_by("filter_bank", inputs, tangents)


def _tangent_adjoint(inputs: Inputs, tangents: Inputs) -> Tensor:
    return _tangent_by("filter_bank_adjoint", inputs, tangents)


def _reads(needs: Needs) -> Needs:
    return needs[1] or needs[2], True, needs[0], False


register_derivatives("filter_bank", backward=_backward, jvp=_tangent, reads=_reads)
register_derivatives(
    "filter_bank_adjoint", backward=_backward_adjoint, jvp=_tangent_adjoint, reads=_reads
)


@vmap("filter_bank")
def _vmap(
    info: Any,
    in_dims: tuple[int | None, ...],
    x: Tensor,
    responses: Tensor,
    imag: Tensor | None,
    dims: int,
) -> tuple[Tensor, int]:
    x_dim, real_dim, imag_dim, _ = in_dims
    size = info.batch_size
    if real_dim is None and imag_dim is None:
        moved = leading(x, x_dim, size)
        return torch.ops.freqops.filter_bank(moved, responses, imag, dims), 1
    real = leading(responses, real_dim, size)
    imag = None if imag is None else leading(imag, imag_dim, size)
    if x_dim is None:  # one bank of B R responses
        flat_imag = None if imag is None else imag.flatten(0, 1).contiguous()
        bank = torch.ops.freqops.filter_bank(x, real.flatten(0, 1).contiguous(), flat_imag, dims)
        return bank.unflatten(0, (size, -1)), 0
    per_channel = real.dim() > dims + 2
    planes = fold(leading(x, x_dim, size), dims, per_channel)
    real = fold(real, dims, per_channel).contiguous()
    imag = None if imag is None else fold(imag, dims, per_channel).contiguous()
    bank = torch.ops.freqops.filter_bank(planes, real, imag, dims)
    return unfold(bank, dims, per_channel, size)


@vmap("filter_bank_adjoint")
def _vmap_adjoint(
    info: Any,
    in_dims: tuple[int | None, ...],
    y: Tensor,
    responses: Tensor,
    imag: Tensor | None,
    dims: int,
) -> tuple[Tensor, int]:
    y_dim, real_dim, imag_dim, _ = in_dims
    size = info.batch_size
    if real_dim is None and imag_dim is None:
        moved = leading(y, y_dim, size).movedim(0, 1)
        return torch.ops.freqops.filter_bank_adjoint(moved, responses, imag, dims), 0
    real = leading(responses, real_dim, size)
    imag = None if imag is None else leading(imag, imag_dim, size)
    per_channel = real.dim() > dims + 2
    slabs = fold(leading(y, y_dim, size), dims, per_channel)
    real = fold(real, dims, per_channel).contiguous()
    imag = None if imag is None else fold(imag, dims, per_channel).contiguous()
    return unfold(
        torch.ops.freqops.filter_bank_adjoint(slabs, real, imag, dims), dims, per_channel, size
    )
