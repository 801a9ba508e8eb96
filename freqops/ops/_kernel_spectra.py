"""Spectra of convolution kernels, kept from call to call as long as the kernel is the same.

The transform of a weight costs as much as that of as many planes as it has, and between two steps
of an optimizer, or in evaluation for good, it gives the same result. Neither a tensor's version
counter (a write through ``.data`` leaves it alone) nor its address (a new tensor may lie where one
was freed) says that the values are still the same, so they themselves are compared, with a
copy; that reads once what the transform would have read. On CUDA the answer would have to be waited
for, so there nothing is kept.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

_numbers = itertools.count(1)


@dataclass(frozen=True)
class KernelSpectrum:
    """A spectrum that nobody writes to.

    Attributes:
        values: what was built.
        weight: a copy of the kernel it was built from; None where nothing is kept.
        key: stands for these values and no others in this process, so that what is made of them
            can be kept without another look at them; 0 where nothing is kept.
    """

    values: Tensor
    weight: Tensor | None = None
    key: int = 0

    @property
    def nbytes(self) -> int:
        """What both tensors occupy."""
        return self.values.nbytes + (0 if self.weight is None else self.weight.nbytes)


class KernelSpectra:
    """The spectra used last, bounded by their number and by what they occupy together."""

    def __init__(self, entries: int, nbytes: int) -> None:
        self._entries = entries
        self._nbytes = nbytes
        self._held: OrderedDict[Hashable, KernelSpectrum] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, weight: Tensor, key: Hashable, build: Callable[[], Tensor]) -> KernelSpectrum:
        """What ``build`` makes of the weight: kept if the weight is what it was, else made anew.

        Args:
            weight: the kernel; its values decide.
            key: what else the spectrum depends on.
            build: makes it.
        """
        if weight.device.type != "cpu":
            return KernelSpectrum(build())
        own = (weight.data_ptr(), weight.shape, weight.stride(), weight.dtype, key)
        with self._lock:
            held = self._held.get(own)
            if held is not None:
                self._held.move_to_end(own)
        if held is not None and held.weight is not None and torch.equal(held.weight, weight):
            return held
        # Copied before it is read: a weight that changes meanwhile then differs from its copy.
        copy = weight.clone()
        held = KernelSpectrum(build(), copy, next(_numbers))
        with self._lock:
            self._held.pop(own, None)
            if held.nbytes <= self._nbytes:
                self._held[own] = held
            while len(self._held) > self._entries or self.nbytes > self._nbytes:
                self._held.popitem(last=False)
        return held

    @property
    def nbytes(self) -> int:
        """What spectra and copies of weights occupy."""
        return sum(held.nbytes for held in self._held.values())

    def __len__(self) -> int:
        return len(self._held)

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._held.clear()


KERNEL_SPECTRA = KernelSpectra(entries=128, nbytes=256 << 20)
