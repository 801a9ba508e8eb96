"""The same results composed of torch.fft calls, on any device: as usually written, and better."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor


def torch_filter(x: Tensor, response: Tensor, dims: int = 2) -> Tensor:
    """The composition as it is usually written."""
    axes = tuple(range(-dims, 0))
    spectrum = torch.fft.rfftn(x, dim=axes)
    filtered: Tensor = torch.fft.irfftn(spectrum * response, s=x.shape[-dims:], dim=axes)
    return filtered


def torch_filter_in_place(x: Tensor, response: Tensor, dims: int = 2) -> Tensor:
    """The same with one temporary less."""
    axes = tuple(range(-dims, 0))
    spectrum = torch.fft.rfftn(x, dim=axes).mul_(response)
    filtered: Tensor = torch.fft.irfftn(spectrum, s=x.shape[-dims:], dim=axes)
    return filtered


def folded(response: Tensor, width: int) -> Tensor:
    """The response times what torch's inverse transform would scale by in a kernel of its own."""
    return response / (response.shape[-2] * width)


def torch_filter_folded(x: Tensor, response: Tensor) -> Tensor:
    """With a response of :func:`folded`, in place: no pass over memory that can be spared."""
    spectrum = torch.fft.rfft2(x).mul_(response)
    filtered: Tensor = torch.fft.irfft2(spectrum, s=x.shape[-2:], norm="forward")
    return filtered


def in_float(call: Callable[[Tensor], Any], dtype: torch.dtype) -> Callable[[Tensor], Any]:
    """A composition for half types, whose FFT torch does not have on the CPU; else as it is."""
    if dtype.itemsize > 2:
        return call

    def converted(x: Tensor) -> Any:
        result = call(x.float())
        if isinstance(result, Tensor):
            return result.to(dtype)
        return [one.to(dtype) for one in result]

    return converted


def torch_low_pass(x: Tensor, response: Tensor, radius: float) -> Tensor:
    """By axis, so that columns at or above the radius are neither transformed nor multiplied."""
    columns = min(math.ceil(radius), response.shape[-1])
    spectrum = torch.fft.fft(torch.fft.rfft(x)[..., :columns], dim=-2)
    spectrum.mul_(response[:, :columns])
    filtered: Tensor = torch.fft.irfft(torch.fft.ifft(spectrum, dim=-2), n=x.shape[-1])
    return filtered


def torch_bank(x: Tensor, responses: Sequence[Tensor]) -> list[Tensor]:
    """One image per response from one forward transform."""
    spectrum = torch.fft.rfft2(x)
    return [torch.fft.irfft2(spectrum * response, s=x.shape[-2:]) for response in responses]


def torch_bank_folded(x: Tensor, responses: Sequence[Tensor]) -> list[Tensor]:
    """The same with responses of :func:`folded`."""
    spectrum = torch.fft.rfft2(x)
    size = x.shape[-2:]
    return [torch.fft.irfft2(spectrum * k, s=size, norm="forward") for k in responses]


def torch_low_high(x: Tensor, masks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """(low, high) per mask, a transform forward and back for each mask."""
    for mask in masks:
        low = torch_filter_in_place(x, mask)
        yield low, x - low


def torch_low_high_sharing(x: Tensor, masks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """(low, high) per mask from one forward transform."""
    spectrum = torch.fft.rfft2(x)
    for mask in masks:
        low = torch.fft.irfft2(spectrum * mask, s=x.shape[-2:])
        yield low, x - low


def torch_mix(amplitude: Tensor, phase: Tensor) -> Tensor:
    """Amplitude of one and phase of the other, by magnitude and angle as published (APR)."""
    magnitude, angle = torch.fft.rfft2(amplitude).abs(), torch.fft.rfft2(phase).angle()
    mixed: Tensor = torch.fft.irfft2(torch.polar(magnitude, angle), s=amplitude.shape[-2:])
    return mixed


def torch_mix_without_angles(amplitude: Tensor, phase: Tensor) -> Tensor:
    """The same without trigonometry, for phases without a bin that is 0."""
    spectrum = torch.fft.rfft2(phase).sgn_().mul_(torch.fft.rfft2(amplitude).abs())
    mixed: Tensor = torch.fft.irfft2(spectrum, s=amplitude.shape[-2:])
    return mixed
