"""Responses on their way to an op: split into their parts, or built from cutoffs and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
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


@dataclass
class _Held:
    """A response, and what was made of it for a kernel."""

    response: Tensor
    derived: dict[Hashable, Tensor] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return self.response.nbytes + sum(tensor.nbytes for tensor in self.derived.values())


class ResponseCache:
    """The responses used last, bounded by their number and by what they occupy together.

    Nobody else holds them to write to, so what is derived from one can be kept as long as it is.
    """

    def __init__(self, entries: int, nbytes: int) -> None:
        self._entries = entries
        self._nbytes = nbytes
        self._held: OrderedDict[tuple[Hashable, int], _Held] = OrderedDict()
        self._by_identity: dict[int, _Held] = {}  # of responses that are held, so they are alive
        self._captured: dict[Hashable, Tensor] = {}
        self._lock = threading.Lock()  # data loaders and DataParallel call from several threads

    def get(self, key: Hashable, build: Callable[[], Tensor], stream: int = 0) -> Tensor:
        """The response stored under the key, built if there is none.

        Args:
            key: what the response depends on.
            build: makes it.
            stream: the stream of :func:`current_stream`. Another one may not be past the work that
                fills the response, nor this one past the work that reads it when it is dropped.
        """
        with self._lock:
            held = self._held.get((key, stream))
            if held is not None:
                self._held.move_to_end((key, stream))
                return held.response
        response = _outside_every_mode(build)
        if type(response) is not Tensor:  # a fake one belongs to the trace that made it
            return response
        with self._lock:
            held = self._held.setdefault(
                (key, stream), _Held(response)
            )  # another thread's, if first
            self._by_identity[id(held.response)] = held
            self._drop_beyond_bounds()
        return held.response

    def get_captured(self, key: Hashable, build: Callable[[], Tensor]) -> Tensor:
        """The response for a CUDA graph that is being captured.

        The graph keeps its address, so one that is held is never dropped from now on; capturing
        waits for other streams first, so it may be any stream's. One that is not held is built
        within the graph and belongs to it.
        """
        with self._lock:
            if key not in self._captured:
                found = (held for (own, _), held in self._held.items() if own == key)
                held = next(found, None)
                if held is not None:
                    self._captured[key] = held.response
            if key in self._captured:
                return self._captured[key]
        return _outside_every_mode(build)

    def holds(self, response: Tensor) -> bool:
        """Whether this very tensor is one of those held."""
        with self._lock:
            return id(response) in self._by_identity

    def derived(self, response: Tensor, key: Hashable, build: Callable[[], Tensor]) -> Tensor:
        """What ``build`` makes of a response: kept with one that is held, else made anew."""
        with self._lock:
            held = self._by_identity.get(id(response))
            if held is not None and key in held.derived:
                return held.derived[key]
        made = build()
        with self._lock:
            held = self._by_identity.get(id(response))
            if held is not None:
                made = held.derived.setdefault(key, made)
                self._drop_beyond_bounds()
        return made

    def _drop_beyond_bounds(self) -> None:
        while len(self._held) > self._entries or self.nbytes > self._nbytes:
            _, dropped = self._held.popitem(last=False)
            self._by_identity.pop(id(dropped.response), None)

    @property
    def nbytes(self) -> int:
        """What the responses occupy, and what is derived from them."""
        return sum(held.nbytes for held in self._held.values())

    def __len__(self) -> int:
        return len(self._held)

    def clear(self) -> None:
        """Forgets everything but what a CUDA graph reads."""
        with self._lock:
            self._held.clear()
            self._by_identity.clear()


def _outside_every_mode(build: Callable[[], Tensor]) -> Tensor:
    """Outside inference mode: a response first needed there must serve training afterwards."""
    with torch.inference_mode(False), torch.no_grad():
        response: Tensor = torch.func.debug_unwrap(build())
    return response


def current_stream(device: torch.device) -> int | None:
    """What orders the work on a device at the moment; None while it is captured into a graph."""
    if device.type != "cuda":
        return 0
    if torch._C._cuda_isCurrentStreamCapturing():
        return None
    return torch._C._cuda_getCurrentRawStream(device.index)


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

    if any(isinstance(cutoff, Tensor) for cutoff in cutoffs):
        return built()
    key = (build, size, cutoffs, tuple(sorted(options.items())), dtype, device)
    return kept_for(x, key, built)


def kept_for(x: Tensor, key: Hashable, build: Callable[[], Tensor]) -> Tensor:
    """What ``build`` makes for calls with tensors like x, from the cache where that can be.

    Args:
        x: the image.
        key: what the result depends on, device and dtype included.
        build: makes it.
    """
    # A graph must hold the arithmetic, not a constant of the size that happened to be traced.
    if torch.compiler.is_compiling() or type(x) not in (Tensor, nn.Parameter):
        return build()
    stream = current_stream(x.device)
    return CACHE.get_captured(key, build) if stream is None else CACHE.get(key, build, stream)
