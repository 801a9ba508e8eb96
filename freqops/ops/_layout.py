"""How outputs lie in memory, for fake kernels and compositions; compiled kernels do the same."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


def like_input(x: Tensor) -> Tensor:
    """Uninitialised, strided as x where x is dense (channels_last stays), contiguous elsewhere."""
    preserved = torch.empty_like(x)
    if preserved.stride() == x.stride():
        return preserved
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def slabs_like_input(x: Tensor, count: int) -> Tensor:
    """Uninitialised, [count, *x.shape]: so many slabs one after the other, each as like_input."""
    slab = like_input(x)
    return x.new_empty_strided((count, *x.shape), (x.numel(), *slab.stride()))


def is_channels_last(x: Tensor) -> bool:
    """Whether pooling x gives channels_last results: it is, and not contiguous as well."""
    return (
        x.dim() == 4
        and not x.is_contiguous()
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def like_pooled(x: Tensor, size: Sequence[int]) -> Tensor:
    """Uninitialised, its last axes of this size, the others x's; planes channels_last if x is."""
    out = x.new_empty([*x.shape[: -len(size)], *size])
    if len(size) == 2 and is_channels_last(x):
        return torch.empty_like(out, memory_format=torch.channels_last)
    return out


def in_format_of(x: Tensor, y: Tensor, dims: int = 2) -> Tensor:
    """y contiguous, or channels_last (channels_last_3d for volumes) if x is."""
    last = torch.channels_last if dims == 2 else torch.channels_last_3d
    if dims < 2 or x.dim() != dims + 2 or x.is_contiguous():
        return y.contiguous()
    if not x.is_contiguous(memory_format=last):
        return y.contiguous()
    return y.contiguous(memory_format=last)


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of an op's arithmetic and of its responses: half types round once, on store."""
    return torch.float64 if dtype == torch.float64 else torch.float32


@contextlib.contextmanager
def without_autocast(device: torch.device) -> Iterator[None]:
    """For torch's products and convolutions, whose factors autocast would round."""
    if device.type not in ("cpu", "cuda"):
        yield
        return
    with torch.autocast(device.type, enabled=False):
        yield
