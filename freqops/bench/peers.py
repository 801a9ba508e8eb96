"""What other libraries offer for the same result, each at its best: threads, no temporaries.

None is imported before a row asks for it, and none has to be there: :func:`library` is None for
one that is not, and :func:`missing` says how to get it.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from freqops.evaluation.errors import first_line

Array = NDArray[Any]


@dataclass(frozen=True)
class Peer:
    """A library that rows are compared with, where it is installed.

    Attributes:
        package: its name on PyPI, which the results' versions are called by.
        modules: what is imported of it.
        install: what to give pip.
    """

    package: str
    modules: tuple[str, ...]
    install: str = ""

    @property
    def command(self) -> str:
        """What installs it."""
        return f"pip install {self.install or self.package}"


#: By package. timm and antialiased-cnns would bring another torch and torchvision along.
PEERS = {
    peer.package: peer
    for peer in (
        Peer("scipy", ("scipy.fft", "scipy.signal")),
        Peer("ducc0", ("ducc0",)),
        Peer("kornia", ("kornia.filters",)),
        Peer("timm", ("timm.layers",), "--no-deps timm torchvision"),
        Peer("fft-conv-pytorch", ("fft_conv_pytorch",), "--no-deps fft-conv-pytorch"),
        Peer("antialiased-cnns", ("antialiased_cnns",), "--no-deps antialiased-cnns"),
    )
}


def has(package: str) -> bool:
    """Whether a peer can be imported."""
    return not _problem(package)


def library(package: str, module: str = "") -> Any:
    """A peer's module, its first by default; None where it can't be imported."""
    return importlib.import_module(module or PEERS[package].modules[0]) if has(package) else None


def missing() -> dict[str, str]:
    """The peers that take no part, each with what to do about it, or why it can't be imported."""
    return {package: why for package in PEERS if (why := _problem(package))}


@functools.cache
def _problem(package: str) -> str:
    peer = PEERS[package]
    try:
        if importlib.util.find_spec(peer.modules[0].partition(".")[0]) is None:
            return peer.command
        for module in peer.modules:
            importlib.import_module(module)
    except Exception as error:  # whatever a package does as it is imported
        return f"installed, cannot be imported: {first_line(error)}"
    return ""


# --- filters --------------------------------------------------------------------------------------


def scipy_filter(x: Tensor, response: Tensor, dims: int = 2) -> Tensor:
    """scipy.fft; the product on torch's threads, as numpy has none."""
    fft = library("scipy", "scipy.fft")
    axes = tuple(range(-dims, 0))
    workers = torch.get_num_threads()
    spectrum = fft.rfftn(x.numpy(), axes=axes, workers=workers)
    torch.from_numpy(spectrum).mul_(response)
    sides = x.shape[-dims:]
    filtered = fft.irfftn(spectrum, s=sides, axes=axes, workers=workers, overwrite_x=True)
    return torch.from_numpy(filtered)


def ducc0_filter(x: Tensor, response: Tensor, dims: int = 2) -> Callable[[Tensor], Tensor]:
    """ducc0 with memory for spectrum and output set aside before; returns the filter to call.

    Args:
        x: an image like those it will be called with.
        response: of its spectrum.
        dims: how many of the last axes are transformed.
    """
    ducc0 = library("ducc0")
    axes = tuple(range(-dims, 0))
    spectrum = torch.empty(*x.shape[:-1], x.shape[-1] // 2 + 1, dtype=torch.complex64)
    middle, target = spectrum.numpy(), np.empty(x.shape, np.float32)

    def run(x: Tensor) -> Tensor:
        threads = torch.get_num_threads()
        ducc0.fft.r2c(x.numpy(), axes=axes, out=middle, nthreads=threads)
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
    signal = library("scipy", "scipy.signal")
    lines: Array = signal.resample(x.detach().numpy(), size[0], axis=-2)
    return torch.from_numpy(signal.resample(lines, size[1], axis=-1))


def scipy_upfirdn(x: Tensor, taps: Tensor, up: int, down: int) -> Tensor:
    """Both axes by scipy's polyphase filter; it has no threads."""
    signal, line = library("scipy", "scipy.signal"), taps.numpy()
    rows: Array = signal.upfirdn(line, x.numpy(), up, down, axis=-2)
    return torch.from_numpy(signal.upfirdn(line, rows, up, down, axis=-1))


# --- the published low and high images ------------------------------------------------------------


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


# --- convolutions ---------------------------------------------------------------------------------


def fft_conv(x: Tensor, weight: Tensor, *, padding: int, groups: int) -> Tensor:
    """fft-conv-pytorch, in float32; it transforms the weight anew at every call."""
    y: Tensor = _fft_conv()(x, weight, padding=padding, groups=groups)
    return y


@functools.cache
def _fft_conv() -> Callable[..., Tensor]:
    # It indexes in a way that torch warns of, once a process and in the middle of the tables.
    warnings.filterwarnings("ignore", "Using a non-tuple sequence", UserWarning)
    convolve: Callable[..., Tensor] = library("fft-conv-pytorch").fft_conv
    return convolve


# --- pools ----------------------------------------------------------------------------------------


def timm_blur(x: Tensor, taps: int) -> Callable[[Tensor], Tensor]:
    """timm's layer for x's channels and type; it pads by reflection."""
    layer: Callable[[Tensor], Tensor] = library("timm").BlurPool2d(x.shape[1], taps).to(x)
    return layer


def antialiased_blur(x: Tensor, taps: int) -> Callable[[Tensor], Tensor]:
    """The published layer, whose licence is non-commercial."""
    module = library("antialiased-cnns")
    layer: Callable[[Tensor], Tensor] = module.BlurPool(x.shape[1], filt_size=taps).to(x)
    return layer
