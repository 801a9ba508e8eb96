"""What others offer for the same result, each at its best: threads, no needless temporaries."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ducc0
import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


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


def torch_filter_in_float(x: Tensor, response: Tensor) -> Tensor:
    """For half types, whose FFT torch does not have on the CPU."""
    return torch_filter_in_place(x.float(), response).to(x.dtype)


def torch_low_pass(x: Tensor, response: Tensor, radius: float) -> Tensor:
    """By axis, so that columns at or above the radius are neither transformed nor multiplied."""
    columns = min(math.ceil(radius), response.shape[-1])
    spectrum = torch.fft.fft(torch.fft.rfft(x)[..., :columns], dim=-2)
    spectrum.mul_(response[:, :columns])
    filtered: Tensor = torch.fft.irfft(torch.fft.ifft(spectrum, dim=-2), n=x.shape[-1])
    return filtered


def scipy_filter(x: Tensor, response: Tensor, dims: int = 2) -> Tensor:
    """scipy.fft; the product on torch's threads, as numpy has none."""
    axes = tuple(range(-dims, 0))
    workers = torch.get_num_threads()
    spectrum = scipy.fft.rfftn(x.numpy(), axes=axes, workers=workers)
    torch.from_numpy(spectrum).mul_(response)
    sides = x.shape[-dims:]
    filtered = scipy.fft.irfftn(spectrum, s=sides, axes=axes, workers=workers, overwrite_x=True)
    return torch.from_numpy(filtered)


def ducc0_filter(x: Tensor, response: Tensor, dims: int = 2) -> Callable[[], Tensor]:
    """ducc0 with memory for spectrum and output set aside before; returns the filter to call."""
    axes = tuple(range(-dims, 0))
    spectrum = torch.empty(*x.shape[:-1], x.shape[-1] // 2 + 1, dtype=torch.complex64)
    source, middle, target = x.numpy(), spectrum.numpy(), np.empty(x.shape, np.float32)

    def run() -> Tensor:
        threads = torch.get_num_threads()
        ducc0.fft.r2c(source, axes=axes, out=middle, nthreads=threads)
        spectrum.mul_(response)
        ducc0.fft.c2r(
            middle,
            axes=axes,
            lastsize=x.shape[-1],
            forward=False,
            inorm=2,
            out=target,
            nthreads=threads,
            allow_overwriting_input=True,
        )
        return torch.from_numpy(target)

    return run


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


def radial_mask(size: int, radius: float) -> Array:
    """The shifted mask of Wang et al. 2020, bin by bin in Python as published."""
    mask = np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            distance = np.sqrt((row - size / 2) ** 2 + (column - size / 2) ** 2)
            if distance < radius:
                mask[row, column] = 1.0
    return mask


def numpy_low_high(x: Array, mask: Array) -> tuple[Array, Array]:
    """The published low and high images: numpy in double precision, plane by plane."""
    low, high = np.empty_like(x), np.empty_like(x)
    for image in range(x.shape[0]):
        for channel in range(x.shape[1]):
            spectrum = np.fft.fftshift(np.fft.fft2(x[image, channel]))
            kept, removed = (
                np.fft.ifftshift(spectrum * mask),
                np.fft.ifftshift(spectrum * (1 - mask)),
            )
            low[image, channel] = np.fft.ifft2(kept).real
            high[image, channel] = np.fft.ifft2(removed).real
    return low, high
