"""What other libraries offer for the same result, each at its best: threads, no temporaries."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import ducc0
import numpy as np
import scipy.fft
import scipy.signal
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


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


def scipy_resample(x: Tensor, size: Sequence[int]) -> Tensor:
    """Both axes of a map resampled by scipy's crop of the spectrum; it has no threads."""
    lines: Array = scipy.signal.resample(x.detach().numpy(), size[0], axis=-2)
    return torch.from_numpy(scipy.signal.resample(lines, size[1], axis=-1))


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


def timm_blur(x: Tensor, taps: int) -> Callable[[Tensor], Tensor]:
    """timm's layer for x's channels and type; it pads by reflection."""
    layers = importlib.import_module("timm.layers")  # loads torchvision: not with every peer
    layer: Callable[[Tensor], Tensor] = layers.BlurPool2d(x.shape[1], taps).to(x.dtype)
    return layer


def antialiased_blur(x: Tensor, taps: int) -> Callable[[Tensor], Tensor] | None:
    """The published layer; None where it is not installed: its licence is non-commercial."""
    if importlib.util.find_spec("antialiased_cnns") is None:
        return None
    module = importlib.import_module("antialiased_cnns")
    layer: Callable[[Tensor], Tensor] = module.BlurPool(x.shape[1], filt_size=taps).to(x.dtype)
    return layer
