"""Memory that is used batch after batch, as long as nobody holds on to what was in it."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import torch
from torch import Tensor

_ALIGNMENT = 64


class ReusedMemory:
    """Lends one block again and again, a new one where the last is still held.

    The system's allocator gives large blocks back at once, and the system clears them page by page
    for the next batch: that can take longer than filtering it. Every tensor lent has a storage of
    its own over the same Python buffer, which that storage counts as a reference until the last
    view of it is gone: so the buffer's count of references tells whether a model or a metric kept
    an image.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._alone = sys.getrefcount(self._buffer)

    def lend(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """Uninitialised, [slabs, *], of a dtype on the CPU; each slab laid out as ``like`` is.

        Args:
            shape: slabs first, then the sizes of ``like``.
            like: [*], its dtype and, if it is dense, its memory format.
        """
        count = math.prod(shape)
        needed = count * like.element_size() + _ALIGNMENT
        if len(self._buffer) < needed or sys.getrefcount(self._buffer) > self._alone:
            self._buffer = bytearray(needed)
        whole = torch.frombuffer(self._buffer, dtype=torch.uint8)
        start = -whole.data_ptr() % _ALIGNMENT
        flat = whole[start : start + count * like.element_size()].view(like.dtype)
        strides = torch.empty_like(like, device="meta").stride()
        return flat.as_strided(tuple(shape), (like.numel(), *strides), flat.storage_offset())
