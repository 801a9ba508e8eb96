"""fft_filter: every plane times a response in the frequency domain, in one pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from freqops.ops._batching import fold, leading, unfold
from freqops.ops._checks import check_image, check_out, check_response
from freqops.ops._derivatives import Inputs, Needs, call, recorded, register_derivatives, total
from freqops.ops._layout import like_input
from freqops.ops._registration import fake, vmap
from freqops.ops._responses import real_and_imaginary


def fft_filter2d(x: Tensor, response: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Images filtered in the frequency domain: ``irfft2(rfft2(x) * response, s=(H, W))``.

    Each plane goes forward, is multiplied and comes back while it sits in cache; no spectrum is
    ever stored. This is circular convolution with the response's impulse response.

    Args:
        x: [..., H, W], float32, float64, float16 or bfloat16 (half types compute in float32 and
            round once), any sizes from 1 up.
        response: gain per bin of the half spectrum, [H, W//2+1] for all planes or [C, H, W//2+1],
            one per channel of x [..., C, H, W]. Real or complex, any dtype; differentiable. In the
            DC column and, for even W, the Nyquist column a response that no real filter has is
            replaced by (G[k] + conj G[-k]) / 2, as torch's irfft2 does on the CPU.
        out: written to and returned instead of a new tensor: of x's shape, dtype and device, in
            memory of its own. Only where no gradient is recorded.

    Returns:
        The filtered images, shape, dtype and memory format of x.

    Raises:
        ValueError: a shape or device does not fit.
        TypeError: x or response is of another type.

    Example:
        >>> from freqops.filters import low_pass
        >>> images = torch.rand(8, 3, 32, 32)
        >>> fft_filter2d(images, low_pass((32, 32), 4, unit="bins")).shape
        torch.Size([8, 3, 32, 32])
    """
    return _fft_filter("fft_filter2d", x, response, 2, out)


def fft_filter1d(x: Tensor, response: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Signals filtered in the frequency domain: ``irfft(rfft(x) * response, n=N)``.

    Args:
        x: [..., N], as for :func:`fft_filter2d`.
        response: gain per bin, [N//2+1], or [C, N//2+1] for x [..., C, N]. Real or complex;
            differentiable. The imaginary part at DC and, for even N, at Nyquist is without effect.
        out: as for :func:`fft_filter2d`.

    Returns:
        The filtered signals, shape, dtype and memory format of x.

    Raises:
        ValueError: a shape or device does not fit.
        TypeError: x or response is of another type.
    """
    return _fft_filter("fft_filter1d", x, response, 1, out)


def _fft_filter(op: str, x: Tensor, response: Tensor, dims: int, out: Tensor | None) -> Tensor:
    check_image(op, x, dims)
    check_response(op, x, response, dims)
    real, imag = real_and_imaginary(response, x)
    if out is None:
        filtered: Tensor = call(torch.ops.freqops.fft_filter.default, x, real, imag, dims)
        return filtered
    check_out(op, x, out, recorded=recorded((x, response, out)))
    if torch.compiler.is_compiling():  # the compiler plans memory itself
        return out.copy_(torch.ops.freqops.fft_filter(x, real, imag, dims))
    torch.ops.freqops.fft_filter.out(x, real, imag, dims, out=out)
    return out


@fake("fft_filter")
def _fake(x: Tensor, response: Tensor, imag: Tensor | None, dims: int) -> Tensor:
    return like_input(x)


@fake("fft_filter.out")
def _fake_out(
    x: Tensor, response: Tensor, imag: Tensor | None, dims: int, *, out: Tensor
) -> Tensor:
    return out


def _backward(inputs: Inputs, needs: Needs, gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    """y = F(x, K) is bilinear: dx = F(g, conj K), dK = S(x, g)."""
    x, response, imag, dims = inputs
    if gradient is None:
        return None, None, None, None
    dx = d_real = d_imag = None
    if needs[0]:
        conjugate = None if imag is None else -imag
        dx = torch.ops.freqops.fft_filter(gradient, response, conjugate, dims)
    if needs[1] or needs[2]:
        channels = response.shape[0] if response.dim() > dims else 0
        d_real, d_imag = torch.ops.freqops.spectral_correlation(x, gradient, channels, dims)
    return dx, d_real if needs[1] else None, d_imag if needs[2] else None, None


def _tangent(inputs: Inputs, tangents: Inputs) -> Tensor:
    x, response, imag, dims = inputs
    dx, d_real, d_imag, _ = tangents
    by_x = by_response = None
    if dx is not None:
        by_x = torch.ops.freqops.fft_filter(dx, response, imag, dims)
    if d_real is not None or d_imag is not None:
        d_real = torch.zeros_like(response) if d_real is None else d_real
        by_response = torch.ops.freqops.fft_filter(x, d_real, d_imag, dims)
    return total(by_x, by_response)


def _reads(needs: Needs) -> Needs:
    return needs[1] or needs[2], True, needs[0], False


register_derivatives("fft_filter", backward=_backward, jvp=_tangent, reads=_reads)


@vmap("fft_filter")
def _vmap(
    info: Any,
    in_dims: tuple[int | None, ...],
    x: Tensor,
    response: Tensor,
    imag: Tensor | None,
    dims: int,
) -> tuple[Tensor, int]:
    x_dim, real_dim, imag_dim, _ = in_dims
    size = info.batch_size
    if real_dim is None and imag_dim is None:
        moved = leading(x, x_dim, size)
        return torch.ops.freqops.fft_filter(moved, response, imag, dims), 0
    real = leading(response, real_dim, size).contiguous()
    imag = None if imag is None else leading(imag, imag_dim, size).contiguous()
    if x_dim is None:  # many responses, one x: a bank, with one forward transform
        return torch.ops.freqops.filter_bank(x, real, imag, dims), 0
    per_channel = real.dim() > dims + 1
    planes = fold(leading(x, x_dim, size), dims, per_channel)
    real = fold(real, dims, per_channel)
    imag = None if imag is None else fold(imag, dims, per_channel)
    filtered = torch.ops.freqops.fft_filter(planes, real, imag, dims)
    return unfold(filtered, dims, per_channel, size)


class _FFTFilter(nn.Module):
    response: Tensor

    def __init__(self, response: Tensor) -> None:
        super().__init__()
        if isinstance(response, nn.Parameter):
            self.response = response
        else:
            self.register_buffer("response", response, persistent=False)

    def extra_repr(self) -> str:
        """The response's shape, and whether it is learned."""
        learned = ", learned" if isinstance(self.response, nn.Parameter) else ""
        return f"response={list(self.response.shape)}{learned}"


class FFTFilter2d(_FFTFilter):
    """Filters images by one response. See :func:`fft_filter2d`.

    Args:
        response: [H, W//2+1] or [C, H, W//2+1]. An ``nn.Parameter`` is learned and kept in
            ``state_dict``; any other tensor is a buffer that adds no key.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Filters x [..., H, W]."""
        return fft_filter2d(x, self.response)


class FFTFilter1d(_FFTFilter):
    """Filters signals by one response. See :func:`fft_filter1d`.

    Args:
        response: [N//2+1] or [C, N//2+1]. An ``nn.Parameter`` is learned and kept in
            ``state_dict``; any other tensor is a buffer that adds no key.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Filters x [..., N]."""
        return fft_filter1d(x, self.response)
