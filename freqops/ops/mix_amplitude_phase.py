"""mix_amplitude_phase: the amplitude spectrum of one image with the phase spectrum of another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from freqops.ops._batching import leading
from freqops.ops._checks import check_device, check_image
from freqops.ops._derivatives import Inputs, Needs, call, register_derivatives, total
from freqops.ops._layout import compute_dtype, like_input
from freqops.ops._registration import fake, vmap


def mix_amplitude_phase2d(
    amplitude: Tensor, phase: Tensor, *, over_channels: bool = False
) -> Tensor:
    """Images with the amplitude spectrum of one batch and the phase of another.

    ``Re IFFT(|FFT(amplitude)| exp(i angle(FFT(phase))))``: the recombination of `Chen et al. 2021
    <https://arxiv.org/abs/2108.08487>`_, where a network should follow the phase. A bin that is
    exactly 0 in ``phase`` has phase 0.

    Args:
        amplitude: [..., H, W], float32, float64, float16 or bfloat16.
        phase: of the same shape, dtype and device.
        over_channels: transforms [..., C, H, W] over all three axes, as the paper's code does;
            False mixes every plane by itself.

    Returns:
        The mixed images, shape and dtype of ``amplitude`` and its memory format; unclipped.
        Differentiable in both; where the spectrum of ``phase`` is 0 nothing flows back to it.

    Raises:
        ValueError: shapes or devices differ, or there are too few dimensions.
        TypeError: an argument is no floating-point Tensor, or dtypes differ.

    Example:
        >>> images = torch.rand(8, 3, 32, 32)
        >>> mixed = mix_amplitude_phase2d(images.roll(1, 0), images, over_channels=True)
        >>> mixed.shape
        torch.Size([8, 3, 32, 32])
    """
    op = "mix_amplitude_phase2d"
    axes = 3 if over_channels else 2
    check_image(op, amplitude, axes, argument="amplitude")
    check_image(op, phase, axes, argument="phase")
    if phase.shape != amplitude.shape:
        raise ValueError(
            f"{op}: phase must have shape {list(amplitude.shape)} like amplitude, "
            f"got {list(phase.shape)}"
        )
    if phase.dtype != amplitude.dtype:
        raise TypeError(f"{op}: phase must be {amplitude.dtype} like amplitude, got {phase.dtype}")
    check_device(op, amplitude, phase, argument="phase", first="amplitude")
    mixed: Tensor = call(
        torch.ops.freqops.mix_amplitude_phase.default, amplitude, phase, bool(over_channels)
    )
    return mixed


@fake("mix_amplitude_phase")
def _fake(amplitude: Tensor, phase: Tensor, over_channels: bool) -> Tensor:
    return like_input(amplitude)


# The derivatives are compositions of torch's own differentiable ops, hence of any order. With
# A, P the spectra, U = P / |P| (1 where P is 0) and sgn(Z) = Z / |Z| (0 where Z is 0):
#   y  = IFFT(|A| U)
#   dy = IFFT(Re(conj(sgn A) dA) U + |A| i U Im(conj(U) dP) / |P|)
# The spectra of real images are Hermitian, so half of them is all there is to know, and the
# transposed map is the same formula with the roles of the factors exchanged.


def _axes(over_channels: bool) -> tuple[int, ...]:
    return (-3, -2, -1) if over_channels else (-2, -1)


def _spectrum(image: Tensor, over_channels: bool) -> Tensor:
    work = image.to(compute_dtype(image.dtype))
    spectrum: Tensor = torch.fft.rfftn(work, dim=_axes(over_channels))
    return spectrum


def _image(spectrum: Tensor, like: Tensor, over_channels: bool) -> Tensor:
    axes = _axes(over_channels)
    size = [like.shape[axis] for axis in axes]
    image: Tensor = torch.fft.irfftn(spectrum, s=size, dim=axes)
    return image.to(like.dtype)


def _unit(spectrum: Tensor) -> Tensor:
    return torch.sgn(spectrum) + (spectrum == 0)


def _rotation(amplitude: Tensor, phase: Tensor, other: Tensor) -> Tensor:
    """|A| Im(conj(U) Z) / |P|, and 0 where P is 0."""
    zero = phase == 0
    modulus = torch.where(zero, 1.0, phase.abs())
    turn = amplitude.abs() * (_unit(phase).conj() * other).imag / modulus
    return torch.where(zero, 0.0, turn)


def _backward(inputs: Inputs, needs: Needs, gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    amplitude, phase, over_channels = inputs
    if gradient is None or amplitude.numel() == 0:
        return (gradient if needs[0] else None), (gradient if needs[1] else None), None
    a, p = _spectrum(amplitude, over_channels), _spectrum(phase, over_channels)
    g = _spectrum(gradient, over_channels)
    unit = _unit(p)
    d_amplitude = d_phase = None
    if needs[0]:
        d_amplitude = _image((unit.conj() * g).real * torch.sgn(a), amplitude, over_channels)
    if needs[1]:
        d_phase = _image(_rotation(a, p, g) * 1j * unit, phase, over_channels)
    return d_amplitude, d_phase, None


def _tangent(inputs: Inputs, tangents: Inputs) -> Tensor:
    amplitude, phase, over_channels = inputs
    d_amplitude, d_phase, _ = tangents
    if amplitude.numel() == 0:
        return total(d_amplitude, d_phase)
    a, p = _spectrum(amplitude, over_channels), _spectrum(phase, over_channels)
    unit = _unit(p)
    by_amplitude = by_phase = None
    if d_amplitude is not None:
        change = (torch.sgn(a).conj() * _spectrum(d_amplitude, over_channels)).real
        by_amplitude = change * unit
    if d_phase is not None:
        by_phase = _rotation(a, p, _spectrum(d_phase, over_channels)) * 1j * unit
    return _image(total(by_amplitude, by_phase), amplitude, over_channels)


def _reads(needs: Needs) -> Needs:
    return True, True, False


register_derivatives("mix_amplitude_phase", backward=_backward, jvp=_tangent, reads=_reads)


@vmap("mix_amplitude_phase")
def _vmap(
    info: Any,
    in_dims: tuple[int | None, ...],
    amplitude: Tensor,
    phase: Tensor,
    over_channels: bool,
) -> tuple[Tensor, int]:
    amplitude = leading(amplitude, in_dims[0], info.batch_size)
    phase = leading(phase, in_dims[1], info.batch_size)
    return torch.ops.freqops.mix_amplitude_phase(amplitude, phase, over_channels), 0
