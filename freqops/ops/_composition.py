"""The ops as compositions of torch.fft, where no kernel of ours takes a call on CUDA (_cuda.py).

They go through cuFFT, with the DC and Nyquist columns made consistent before the inverse transform,
whose result cuFFT would leave undefined otherwise. :func:`freqops.explain` says what runs and why.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from freqops.ops._layout import (
    compute_dtype,
    like_input,
    like_pooled,
    slabs_like_input,
    without_autocast,
)


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


def fft_filter_padded(
    x: Tensor, response: Tensor, imag: Tensor | None, grid: Sequence[int], size: Sequence[int]
) -> Tensor:
    """The op of this name: the transforms fill up with zeros themselves.

    Raises:
        RuntimeError: x or what is asked for is larger than the grid, or numbers are missing.
    """
    spans = x.shape[-len(grid) :], size
    if len(grid) not in (1, 2) or any(
        len(span) != len(grid) or any(n > m for n, m in zip(span, grid, strict=True))
        for span in spans
    ):
        raise RuntimeError(
            f"fft_filter_padded: grid must hold x and the output, got {list(grid)} for "
            f"{list(x.shape)} and {list(size)}"
        )
    out = like_pooled(x, size)
    if out.numel() == 0:
        return out
    dims = len(grid)
    axes = tuple(range(-dims, 0))
    gain = symmetrised(response, imag, grid[-1], dims)
    spectrum = torch.fft.rfftn(x.to(compute_dtype(x.dtype)), s=tuple(grid), dim=axes) * gain
    y = _image(spectrum, torch.Size(grid))[..., : size[-1]]
    return out.copy_(y if dims == 1 else y[..., : size[0], :])


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


def low_high_out(
    x: Tensor, responses: Tensor, dims: int, *, low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    """The op's overload that writes to both."""
    made = low_high(x, responses, dims)
    return low.copy_(made[0]), high.copy_(made[1])


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


# --- spectral pooling ---------------------------------------------------------------------------


def separable(
    x: Tensor, rows: Tensor | None, columns: Tensor | None, outer: Tensor | None, mirrored: bool
) -> Tensor:
    """The op of this name; a promise to be mirrored is of no use here."""
    height = x.shape[-2:-1] if rows is None else rows.shape[:1]
    out = like_pooled(x, [*height, x.shape[-1] if columns is None else columns.shape[0]])
    if out.numel() == 0:
        return out
    return out.copy_(product_of_planes(x.to(compute_dtype(x.dtype)), rows, columns, outer))


def product_of_planes(
    x: Tensor, rows: Tensor | None, columns: Tensor | None, outer: Tensor | None
) -> Tensor:
    """rows x columns^T + p_h (q_h^T x q_w) p_w^T, at the precision torch's products are set to.

    Args:
        x: [..., H, W], or [..., W] without rows, of the dtype of the others.
        rows: [h, H], with leading axes of its own if they fit those of x; or None.
        columns: [w, W], as rows.
        outer: p_h, q_h, p_w and q_w one after the other along the last axis; or None.
    """
    with without_autocast(x.device):
        y: Tensor = x if rows is None else rows @ x
        y = y if columns is None else y @ columns.mT
        if outer is None:
            return y
        assert rows is not None
        assert columns is not None
        lengths = [*rows.shape[-2:], *columns.shape[-2:]]
        p_h, q_h, p_w, q_w = torch.split(outer, lengths, -1)
        sums = q_h.unsqueeze(-2) @ x @ q_w.unsqueeze(-1)
        return y + p_h.unsqueeze(-1) * sums * p_w.unsqueeze(-2)


def resize_spectrum(
    x: Tensor, row_gains: Tensor, column_gains: Tensor, size: Sequence[int], two_corner: bool
) -> Tensor:
    """The op of this name: a half spectrum whose bins are taken over, or folded, axis by axis."""
    width, target = x.shape[-1], size[-1]
    out = like_pooled(x, [*x.shape[-2:-1], target] if len(size) == 1 else size)
    if out.numel() == 0:
        return out
    kept = min(width, target)
    spectrum = torch.fft.rfft(x.to(compute_dtype(x.dtype)), dim=-1)[..., : kept // 2 + 1]
    # The bin K/2 stands for two that meet there (width > target), whose sum is twice the real
    # part, or for the half of a pair (width < target), whose mirror image the inverse knows.
    gains = column_gains.to(spectrum.real.dtype)
    if kept % 2 == 0 and width > target:
        gains = torch.cat([gains[:-1], 2 * gains[-1:]])
    spectrum = spectrum * gains
    if len(size) == 2:
        height = x.shape[-2]
        same_way = (height > size[0] and width > target) or (height < size[0] and width < target)
        corner = two_corner and same_way and kept % 2 == 0
        spectrum = torch.fft.fft(spectrum, dim=-2)
        spectrum = _resized_rows(spectrum, row_gains, size[0], corner)
        spectrum = torch.fft.ifft(spectrum, dim=-2, norm="forward")
    # A real line has no imaginary part in these, and cuFFT leaves open what becomes of one.
    spectrum[..., 0].imag.zero_()
    if target % 2 == 0 and kept == target:
        spectrum[..., -1].imag.zero_()
    return out.copy_(torch.fft.irfft(spectrum, n=target, dim=-1, norm="forward"))


def _resized_rows(spectrum: Tensor, gains: Tensor, target: int, corner: bool) -> Tensor:
    """Rows in torch's order of frequencies; ``corner``: as "two_corner" has it, if K is even."""
    size = spectrum.shape[-2]
    kept = min(size, target)
    gains = gains.to(spectrum.real.dtype)[:, None]
    half, below = kept // 2, (kept + 1) // 2
    out = spectrum.new_zeros([*spectrum.shape[:-2], target, spectrum.shape[-1]])
    out[..., :below, :] = spectrum[..., :below, :] * gains[:below]
    negative = spectrum[..., size - below + 1 :, :] * gains[1:below].flip(0)
    out[..., target - below + 1 :, :] = negative
    if kept % 2:
        return out
    nyquist = spectrum[..., half, :] * gains[half]
    out[..., half, :] = nyquist
    if size > target:
        out[..., half, :] += spectrum[..., size - half, :] * gains[half]
    elif size < target:
        out[..., target - half, :] = nyquist
    if corner:
        out[..., half, -1] = 2 * nyquist[..., -1]
        if size < target:
            out[..., target - half, -1] = 0
    return out
