"""What every operator computes, in plain torch: the specification, read top to bottom.

Nothing here is fast. Each function takes the full complex spectrum, applies one formula and comes
back, in the dtype of its input (the tests ask in float64), differentiable by torch's own autograd.
The signatures are those of the public functions.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from freqops import filters


def full_response(response: Tensor, size: Sequence[int]) -> Tensor:
    """The gain at every bin of the full spectrum that a half one stands for.

    The output is real, so the gain at -k is the conjugate of that at k. Interior columns state
    each pair once. The DC column and, for even widths, the Nyquist column hold both members of
    their pairs, which may contradict: the pair then gets the mean of one and the other's
    conjugate. This is what torch's CPU irfft2 and numpy compute; cuFFT leaves it undefined.

    Args:
        response: [..., W//2+1] (1-D) or [..., H, W//2+1], real or complex.
        size: (W,) or (H, W).

    Returns:
        Complex, [..., W] or [..., H, W], Hermitian: G[-k] = conj(G[k]), indices modulo the size.
    """
    axes = tuple(range(-len(size), 0))
    width = size[-1]
    real = not response.is_complex()
    half = torch.complex(response, response * 0) if real else response.resolve_conj()
    # Stated once: every column up to W//2. Stated by its mirror: the rest.
    once = torch.nn.functional.pad(torch.view_as_real(half), (0, 0, 0, width - half.shape[-1]))
    column = torch.arange(width, device=response.device)
    interior = (column > 0) & (2 * column < width)
    weight = torch.where(interior, 1.0, 0.5).to(once.dtype)
    stated = torch.view_as_complex(once.contiguous()) * weight * (2 * column <= width)
    return stated + _mirrored(stated, axes).conj()


def _mirrored(spectrum: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The value at -k, indices modulo the size, in the place of that at k."""
    return torch.roll(torch.flip(spectrum, axes), (1,) * len(axes), axes)


def _filtered(x: Tensor, response: Tensor, dims: int) -> Tensor:
    axes = tuple(range(-dims, 0))
    gain = full_response(response, x.shape[-dims:])
    filtered: Tensor = torch.fft.ifftn(torch.fft.fftn(x, dim=axes) * gain, dim=axes).real
    return filtered


def fft_filter1d(x: Tensor, response: Tensor) -> Tensor:
    """Re IFFT(FFT(x) G): [..., N] with [N//2+1], or [..., C, N] with [C, N//2+1]."""
    return _filtered(x, response, 1)


def fft_filter2d(x: Tensor, response: Tensor) -> Tensor:
    """Re IFFT2(FFT2(x) G): [..., H, W] with [H, W//2+1], or [..., C, H, W] with [C, H, W//2+1]."""
    return _filtered(x, response, 2)


def filter_bank1d(x: Tensor, responses: Tensor) -> Tensor:
    """Slab r is x filtered by responses[r]: [R, ..., N]."""
    return torch.stack([_filtered(x, response, 1) for response in responses])


def filter_bank2d(x: Tensor, responses: Tensor) -> Tensor:
    """Slab r is x filtered by responses[r]: [R, ..., H, W]."""
    return torch.stack([_filtered(x, response, 2) for response in responses])


def filter_bank_adjoint(y: Tensor, responses: Tensor, dims: int) -> Tensor:
    """The transpose of the bank: sum_r y[r] filtered by conj(responses[r])."""
    slabs = zip(y, responses, strict=True)
    return torch.stack([_filtered(slab, response.conj(), dims) for slab, response in slabs]).sum(0)


def low_high2d(
    x: Tensor,
    cutoff: filters.Cutoff,
    *,
    unit: filters.Unit = "cycles",
    norm: filters.Norm = "l2",
    inclusive: bool = False,
    kind: filters.Kind = "ideal",
    order: int = 2,
) -> tuple[Tensor, Tensor]:
    """(low, x - low): low-passed at one cutoff, or [R, ...] at R cutoffs."""
    response = filters.low_pass(
        x.shape[-2:],
        cutoff,
        unit=unit,
        norm=norm,
        inclusive=inclusive,
        kind=kind,
        order=order,
        dtype=x.dtype,
    )
    low = filter_bank2d(x, response) if response.dim() > 2 else fft_filter2d(x, response)
    return low, x - low


def split_bands2d(
    x: Tensor,
    cutoffs: Sequence[float],
    *,
    unit: filters.Unit = "cycles",
    norm: filters.Norm = "l2",
    inclusive: bool = False,
) -> Tensor:
    """Bands [0, c0), [c0, c1), ... [c_last, infinity) of x: [len(cutoffs)+1, ..., H, W]."""
    edges = [*cutoffs, float("inf")]
    below = [
        filters.low_pass(
            x.shape[-2:], edge, unit=unit, norm=norm, inclusive=inclusive, dtype=x.dtype
        )
        for edge in edges
    ]
    bands = [below[0], *(upper - lower for lower, upper in itertools.pairwise(below))]
    return filter_bank2d(x, torch.stack(bands))


def spectral_correlation(x: Tensor, y: Tensor, channels: int, dims: int) -> tuple[Tensor, Tensor]:
    """The gradient of <y, filter(x, K)> for K: what one half-spectrum number of K does, summed.

    A number in an interior column acts on its bin and the mirrored one, hence weight 2; those of
    the DC and Nyquist columns act once, as each of their pairs is stated twice.

    Args:
        x: [..., N] or [..., H, W].
        y: as x.
        channels: 0 sums over all planes; C keeps the axis in front of the transformed ones apart.
        dims: number of transformed axes, 1 or 2.

    Returns:
        Real and imaginary part of w / (H W) sum conj(X) Y, [(C,) H, W//2+1].
    """
    axes = tuple(range(-dims, 0))
    size = x.shape[-dims:]
    product = torch.fft.fftn(x, dim=axes).conj() * torch.fft.fftn(y, dim=axes)
    column = torch.arange(size[-1] // 2 + 1, device=x.device)
    interior = (column > 0) & (2 * column < size[-1])
    weight = torch.where(interior, 2.0, 1.0).to(x.dtype) / size.numel()
    product = product[..., : size[-1] // 2 + 1] * weight
    product = product.reshape(-1, *product.shape[-dims - (channels > 0) :]).sum(0)
    return product.real, product.imag


def mix_amplitude_phase2d(
    amplitude: Tensor, phase: Tensor, *, over_channels: bool = False
) -> Tensor:
    """Re IFFT(|FFT(amplitude)| exp(i angle(FFT(phase)))), over (H, W) or (C, H, W).

    The phase of a bin that is exactly 0 is 0, and nothing flows back through it.
    """
    axes = (-3, -2, -1) if over_channels else (-2, -1)
    spectrum = torch.fft.fftn(phase, dim=axes)
    unit = torch.sgn(spectrum) + (spectrum == 0)
    mixed: Tensor = torch.fft.ifftn(torch.fft.fftn(amplitude, dim=axes).abs() * unit, dim=axes).real
    return mixed


def resized_response(response: Tensor, old: Sequence[int], new: Sequence[int]) -> Tensor:
    """The half response of a filter trained at one size, for images of another.

    The kernel's spectrum is cropped, or continued with zeros, by signed frequency, one axis at a
    time. A Nyquist bin that only one of the sizes has is shared between +N/2 and -N/2: cropping to
    an even size takes their mean, padding gives each one half.

    Args:
        response: [..., W//2+1] or [..., H, W//2+1], real or complex.
        old: its (W,) or (H, W).
        new: size of the images.

    Returns:
        Complex, [..., w//2+1] or [..., h, w//2+1].
    """
    spectrum = full_response(response, old)
    for axis, (size, target) in enumerate(zip(old, new, strict=True), -len(old)):
        frequency = torch.arange(target, device=response.device)
        frequency = torch.where(2 * frequency < target, frequency, frequency - target)
        taken = torch.zeros(target, size, dtype=torch.double, device=response.device)
        smaller = min(size, target)
        for row, k in enumerate(frequency.tolist()):
            if 2 * abs(k) < smaller or size == target:
                taken[row, k % size] = 1
            elif 2 * abs(k) == smaller:
                # Cropping: two bins of the old spectrum meet in one. Padding: one becomes two.
                taken[row, k % size] += 0.5
                if target < size:
                    taken[row, -k % size] += 0.5
        spectrum = torch.tensordot(spectrum, taken.to(spectrum.dtype), ([axis], [1]))
        spectrum = spectrum.movedim(-1, axis)
    return spectrum[..., : new[-1] // 2 + 1]
