"""Responses on their way to an op: split into their parts, or built from cutoffs and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from freqops import filters
from freqops.ops._layout import compute_dtype

Cutoffs: TypeAlias = "tuple[float, ...] | Tensor"


def real_and_imaginary(response: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """The contiguous parts the op wants, in the dtype x is computed in; gradients flow back."""
    dtype = compute_dtype(x.dtype)
    if response.is_complex():
        return response.real.to(dtype).contiguous(), response.imag.to(dtype).contiguous()
    if response.dtype != dtype:
        response = response.to(dtype)
    return response.contiguous(), None


def correlation_per_response(
    x: Tensor, gradients: Tensor, channels: int, dims: int
) -> tuple[Tensor, Tensor]:
    """The gradient for every response of a bank: S(x, gradients[r]), stacked over r."""
    pairs = [
        torch.ops.freqops.spectral_correlation(x, gradient, channels, dims)
        for gradient in gradients.unbind(0)
    ]
    return torch.stack([real for real, _ in pairs]), torch.stack([imag for _, imag in pairs])


def as_cutoffs(op: str, argument: str, value: float | Sequence[float] | Tensor) -> Cutoffs:
    """One cutoff or several as a tuple, or as a Tensor [R]; hashable unless it is a Tensor.

    Raises:
        ValueError: there is none, or one is negative or NaN, or a Tensor has more than 1 dimension.
        TypeError: it is neither a number, nor a sequence of them, nor a real Tensor.
    """
    if isinstance(value, Tensor):
        filters.check_cutoff(op, argument, value)
        if value.dim() > 1 or value.numel() < 1:
            raise ValueError(
                f"{op}: {argument} must be one number or have shape [R], got {list(value.shape)}"
            )
        return value.reshape(-1)
    cutoffs = tuple(value) if isinstance(value, Sequence) else (value,)
    if not cutoffs:
        raise ValueError(f"{op}: {argument} must hold at least 1 number, got none")
    for cutoff in cutoffs:
        filters.check_cutoff(op, argument, cutoff)
    return cutoffs


def is_single(value: float | Sequence[float] | Tensor) -> bool:
    """Whether a cutoff argument is one number, whose result has no axis R."""
    return value.dim() == 0 if isinstance(value, Tensor) else not isinstance(value, Sequence)


class ResponseCache:
    """The responses used last, bounded by their number and by what they occupy together."""

    def __init__(self, entries: int, nbytes: int) -> None:
        self._entries = entries
        self._nbytes = nbytes
        self._held: OrderedDict[Hashable, Tensor] = OrderedDict()
        self._lock = threading.Lock()  # data loaders and DataParallel call from several threads

    def get(self, key: Hashable, build: Callable[[], Tensor]) -> Tensor:
        """The response stored under the key, built if there is none."""
        with self._lock:
            response = self._held.get(key)
            if response is not None:
                self._held.move_to_end(key)
                return response
        # Outside inference mode: a response first needed there must serve training afterwards.
        with torch.inference_mode(False), torch.no_grad():
            response = torch.func.debug_unwrap(build())
        if type(response) is Tensor:  # a fake one belongs to the trace that made it
            with self._lock:
                self._held[key] = response
                while len(self._held) > self._entries or self.nbytes > self._nbytes:
                    self._held.popitem(last=False)
        return response

    @property
    def nbytes(self) -> int:
        """What the responses occupy."""
        return sum(response.nbytes for response in self._held.values())

    def __len__(self) -> int:
        return len(self._held)

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._held.clear()


CACHE = ResponseCache(entries=64, nbytes=128 << 20)


def response_for(
    x: Tensor, dims: int, build: Callable[..., Tensor], *cutoffs: Any, **options: Any
) -> Tensor:
    """``build(size, *cutoffs, **options, dtype=, device=)`` for the size, dtype and device of x.

    Args:
        x: the image; its last ``dims`` axes give the size.
        dims: number of transformed axes.
        build: a function of :mod:`freqops.filters`, or one like them.
        cutoffs: numbers, tuples of numbers, or Tensors; with a Tensor among them nothing is stored.
        options: hashable keyword arguments of ``build``.

    Returns:
        The response, contiguous. It may be shared with other calls: not to be written to.
    """
    dtype, device, size = compute_dtype(x.dtype), x.device, tuple(x.shape[-dims:])

    def built() -> Tensor:
        return build(size, *cutoffs, **options, dtype=dtype, device=device).contiguous()

    # A graph must hold the arithmetic, not a constant of the size that happened to be traced.
    if torch.compiler.is_compiling() or type(x) not in (Tensor, nn.Parameter):
        return built()
    if any(isinstance(cutoff, Tensor) for cutoff in cutoffs):
        return built()
    return CACHE.get((build, size, cutoffs, tuple(sorted(options.items())), dtype, device), built)
