"""Calls each form of each op once, on a few planes: what compute-sanitizer is run on.

Every tensor has memory of its own there (PYTORCH_NO_CUDA_MEMORY_CACHING, set by gpu.py), so that an
address beyond its end is nobody else's.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import torch
from gpu_scene import FORMS

import freqops

# In a block by one and by two stages, in a cluster, in the kernels for any size: one, and three.
SIZES = ((7, 7), (28, 28), (56, 56), (9, 10), (224, 224), (256, 256), (131, 129), (1, 37))
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# Channels and layout of pools; beyond so many samples nothing in them is new.
POOLED = ((3, torch.contiguous_format), (3, torch.channels_last), (8, torch.channels_last))
LARGEST_POOLED = 2**15


def main() -> None:
    """Ends without a word where everything could be called."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replay", type=Path, help="library of the host replay: run on the CPU")
    arguments = parser.parse_args()
    if arguments.replay is None:
        device, kernels = "cuda", torch.ops.freqops
    else:
        torch.ops.load_library(arguments.replay)
        device, kernels = "cpu", torch.ops.freqops_replay
    for height, width in SIZES:
        for form in FORMS:
            if kernels.fft_filter_form_takes(form, height, width):
                call_filters(kernels, form, height, width, device)
        call_ops(height, width, device)
        call_convolutions(kernels, height, width, device)
        if height * width <= LARGEST_POOLED:
            call_pools(kernels, height, width, device)
        call_separable(kernels, height, width, device)
        if device == "cuda":
            torch.cuda.synchronize()


def call_filters(kernels: Any, form: str, height: int, width: int, device: str) -> None:
    """Real and complex, shared and per channel, one response and several, with and without high."""
    channels, count = 2, 3
    x = torch.rand(3, channels, height, width, device=device)
    x[1, 0, 0, 0] = torch.nan  # the way of a pair that is redone
    for complex_response, per_channel, high in itertools.product((False, True), repeat=3):
        shape = (count, *([channels] if per_channel else []), height, width // 2 + 1)
        response = torch.rand(shape, device=device)
        table = kernels.fft_filter_table(
            response, response if complex_response else None, form, width
        )
        single = kernels.fft_filter_table(
            response[0], response[0] if complex_response else None, form, width
        )
        rest = (channels if per_channel else 0, complex_response, high)
        for dtype in DTYPES:
            kernels.fft_filter_planes(x.to(dtype), table, form, count, *rest)
            kernels.fft_filter_planes(x.to(dtype), single, form, 1, *rest)


def call_ops(height: int, width: int, device: str) -> None:
    """The ops as users call them, gradients of a learned response included."""
    x = torch.rand(3, 2, height, width, device=device, requires_grad=True)
    response = torch.rand(2, height, width // 2 + 1, device=device, requires_grad=True)
    freqops.fft_filter2d(x, response).sum().backward()
    freqops.filter_bank2d(x, torch.stack([response, response])).sum().backward()
    freqops.low_high2d(x, [0.1, 0.2])
    freqops.split_bands2d(x, [0.1, 0.2])
    freqops.mix_amplitude_phase2d(x, x.flip(0)).sum().backward()


def call_convolutions(kernels: Any, height: int, width: int, device: str) -> None:
    """Depthwise, by every form of the padded filter, with its response's gradient; and dense."""
    x = torch.rand(3, 2, height, width, device=device)
    x[1, 0, 0, 0] = torch.nan
    image, least = [height, width], [height + 1, width + 1]
    listed = kernels.fft_filter_padded_grid(image, least, image)
    for form, grid in (("plane", listed), ("lines", least)):
        if not grid:
            continue
        for response, dtype in itertools.product(
            (torch.rand(grid[0], grid[1] // 2 + 1, device=device),
             torch.rand(2, grid[0], grid[1] // 2 + 1, device=device)),
            DTYPES,
        ):  # fmt: skip
            images = x.to(dtype)
            for imag in (None, response):
                kernels.fft_filter_padded_planes(images, response, imag, grid, image, form)
            channels = 2 if response.dim() == 3 else 0
            kernels.spectral_correlation_padded_planes(images, images, channels, grid)
    x = torch.rand(3, 2, height, width, device=device, requires_grad=True)
    for share, groups in ((1, 2), (2, 1)):
        weight = torch.rand(2, share, 3, 3, device=device, requires_grad=True)
        options = {"padding": "same", "groups": groups}
        freqops.fft_conv2d(x, weight, algorithm="fft", **options).sum().backward()
        freqops.band_limited_conv2d(x, weight, compression=0.5, **options).sum().backward()


def call_pools(kernels: Any, height: int, width: int, device: str) -> None:
    """Both layouts, vectors that fit and that do not, fast and generic paths, and backward."""
    for channels, memory in POOLED:
        plain = torch.rand(2, channels, height, width, device=device).to(memory_format=memory)
        for dtype, taps in itertools.product((torch.float32, torch.bfloat16), (4, 6)):
            x = plain.to(dtype).requires_grad_()
            freqops.blur_pool2d(x, taps).sum().backward()
            if height > 1:
                freqops.max_blur_pool2d(x, 2, taps).sum().backward()
            freqops.max_blur_pool2d(x, 3, taps, max_padding=1).sum().backward()
        if device == "cpu" and hasattr(kernels, "blur_pool"):  # the host replay, by its own ops
            call_pool_kernels(kernels, plain)


def call_pool_kernels(kernels: Any, plain: torch.Tensor) -> None:
    """Each pooling op of the namespace once per type."""
    taps = torch.tensor([0.25, 0.5, 0.25])
    blur = ([2, 2], [1, 1, 1, 1], "reflect")
    for dtype in DTYPES:
        x = plain.to(dtype)
        y = kernels.blur_pool(x, taps, taps, *blur)
        kernels.blur_pool_adjoint(y, taps, taps, x.shape[-2:], *blur)
        maximum = ([3, 3], [1, 1])
        y = kernels.max_blur_pool(x, taps, taps, *maximum, *blur)
        kernels.max_blur_pool_select(x, x, taps, taps, *maximum, *blur)
        kernels.max_blur_pool_backward(x, y, taps, taps, *maximum, *blur)


def call_separable(kernels: Any, height: int, width: int, device: str) -> None:
    """Each form in both layouts: both axes, with the term beside them, one axis alone."""
    if not hasattr(kernels, "separable"):
        return
    outputs = ((height + 1) // 2, (width + 1) // 2)
    rows, columns = (
        torch.rand(m, n, device=device) for m, n in zip(outputs, (height, width), strict=True)
    )
    outer = torch.rand(sum(outputs) + height + width, device=device)
    for channels, memory in POOLED:
        plain = torch.rand(2, channels, height, width, device=device).to(memory_format=memory)
        for dtype, mirrored in itertools.product(DTYPES, (False, True)):
            x = plain.to(dtype)
            kernels.separable(x, rows, columns, None, mirrored)
            kernels.separable(x, rows, columns, outer, mirrored)
            kernels.separable(x, rows, None, None, mirrored)
            kernels.separable(x, None, columns, None, mirrored)


if __name__ == "__main__":
    main()
