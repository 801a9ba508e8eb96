"""How outputs lie in memory, for fake kernels and compositions; compiled kernels do the same."""

from __future__ import annotations

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


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of an op's arithmetic and of its responses: half types round once, on store."""
    return torch.float64 if dtype == torch.float64 else torch.float32
