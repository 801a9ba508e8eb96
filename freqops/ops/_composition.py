"""The ops as compositions of torch.fft, where no kernel of ours takes a call on CUDA (_cuda.py).

They go through cuFFT, with the DC and Nyquist columns made consistent before the inverse transform,
whose result cuFFT would leave undefined otherwise. :func:`freqops.explain` says what runs and why.
"""

from __future__ import annotations

import torch
from torch import Tensor

from freqops.ops._layout import compute_dtype, like_input, slabs_like_input


def symmetrised(response: Tensor, imag: Tensor | None, width: int, dims: int) -> Tensor:
    """The response with DC and Nyquist columns (G[k] + conj G[-k]) / 2; complex with imag."""
    real = _with_even_edges(response, width, dims, sign=1)
    if imag is None:
        return real
    return torch.complex(real, _with_even_edges(imag, width, dims, sign=-1))


def _with_even_edges(part: Tensor, width: int, dims: int, sign: int) -> Tensor:
    part = part.clone()
    edges = part[..., :: width // 2] if width % 2 == 0 else part[..., :1]
    mirrored = torch.roll(edges.flip(-2), 1, -2) if dims == 2 else edges
    edges.copy_((edges + sign * mirrored) / 2)
    return part


def _axes(dims: int) -> tuple[int, ...]:
    return tuple(range(-dims, 0))


def _spectrum(x: Tensor, dims: int) -> Tensor:
    spectrum: Tensor = torch.fft.rfftn(x.to(compute_dtype(x.dtype)), dim=_axes(dims))
    return spectrum


def _image(spectrum: Tensor, size: torch.Size) -> Tensor:
    image: Tensor = torch.fft.irfftn(spectrum, s=size, dim=_axes(len(size)))
    return image


def fft_filter(x: Tensor, response: Tensor, imag: Tensor | None, dims: int) -> Tensor:
    """The op of this name, into a new tensor."""
    return fft_filter_out(x, response, imag, dims, out=like_input(x))


def fft_filter_out(
    x: Tensor, response: Tensor, imag: Tensor | None, dims: int, *, out: Tensor
) -> Tensor:
    """The op's overload that writes to ``out``."""
    if x.numel() == 0:
        return out
    gain = symmetrised(response, imag, x.shape[-1], dims)
    return out.copy_(_image(_spectrum(x, dims) * gain, x.shape[-dims:]))


def filter_bank(x: Tensor, responses: Tensor, imag: Tensor | None, dims: int) -> Tensor:
    """The op of this name: the forward transform is shared."""
    out = slabs_like_input(x, responses.shape[0])
    if x.numel():
        _fill_bank(out, x, responses, imag, dims)
    return out


def _fill_bank(slabs: Tensor, x: Tensor, responses: Tensor, imag: Tensor | None, dims: int) -> None:
    spectrum, size = _spectrum(x, dims), x.shape[-dims:]
    gains = symmetrised(responses, imag, x.shape[-1], dims)
    for slab, gain in zip(slabs, gains, strict=True):
        slab.copy_(_image(spectrum * gain, size))


def filter_bank_adjoint(y: Tensor, responses: Tensor, imag: Tensor | None, dims: int) -> Tensor:
    """The op of this name: the sum is taken between the transforms, so one inverse is enough."""
    out = like_input(y[0])
    if y[0].numel() == 0:
        return out
    gains = symmetrised(responses, imag, y.shape[-1], dims).conj()
    spectrum = _spectrum(y[0], dims) * gains[0]
    for slab, gain in zip(y[1:], gains[1:], strict=True):
        spectrum += _spectrum(slab, dims) * gain
    return out.copy_(_image(spectrum, y.shape[-dims:]))


def low_high(x: Tensor, responses: Tensor, dims: int) -> tuple[Tensor, Tensor]:
    """The op of this name."""
    low = slabs_like_input(x, responses.shape[0])
    high = slabs_like_input(x, responses.shape[0])
    if x.numel() == 0:
        return low, high
    work = x.to(compute_dtype(x.dtype))
    exact = low if low.dtype == work.dtype else low.to(work.dtype)
    _fill_bank(exact, x, responses, None, dims)
    high.copy_(work - exact)  # half types: from the unrounded low
    if exact is not low:
        low.copy_(exact)
    return low, high


def split_bands(x: Tensor, responses: Tensor, dims: int) -> Tensor:
    """The op of this name."""
    bands = slabs_like_input(x, responses.shape[0] + 1)
    if x.numel() == 0:
        return bands
    work = x.to(compute_dtype(x.dtype))
    exact = bands if bands.dtype == work.dtype else bands.to(work.dtype)
    _fill_bank(exact[:-1], x, responses, None, dims)
    exact[-1] = work - exact[:-1].sum(0)
    return bands if exact is bands else bands.copy_(exact)


def spectral_correlation(x: Tensor, y: Tensor, channels: int, dims: int) -> tuple[Tensor, Tensor]:
    """The op of this name."""
    size = x.shape[-dims:]
    half = [*size[:-1], size[-1] // 2 + 1]
    dtype = compute_dtype(x.dtype)
    if x.numel() == 0:
        shape = [channels, *half] if channels else half
        return x.new_zeros(shape, dtype=dtype), x.new_zeros(shape, dtype=dtype)
    product = _spectrum(x, dims).conj() * _spectrum(y, dims)
    product = product.reshape(-1, *([channels] if channels else []), *half).sum(0)
    product *= 2 / size.numel()
    product[..., 0] /= 2
    if size[-1] % 2 == 0:
        product[..., -1] /= 2
    # Copies: a single bin is contiguous as it is, and the parts would share their memory.
    dense = torch.contiguous_format
    return product.real.clone(memory_format=dense), product.imag.clone(memory_format=dense)


def mix_amplitude_phase(amplitude: Tensor, phase: Tensor, over_channels: bool) -> Tensor:
    """The op of this name, without angles: |A| P / |P|, and |A| where P is 0."""
    out = like_input(amplitude)
    if amplitude.numel() == 0:
        return out
    dims = 3 if over_channels else 2
    spectrum = _spectrum(phase, dims)
    unit = torch.sgn(spectrum) + (spectrum == 0)
    return out.copy_(_image(_spectrum(amplitude, dims).abs() * unit, amplitude.shape[-dims:]))
