"""Which kernel would run on given arguments, and why: no fallback happens silently."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from freqops import _C, ops
from freqops._libraries import CUDA
from freqops.ops import _cuda, _notes, spectral_pool
from freqops.ops._convolutions import convolution_path
from freqops.ops._responses import CACHE

_BANK = ("fft_filter", "filter_bank", "filter_bank_adjoint", "low_high", "split_bands")

# By the filter's forms (csrc/kernels/cuda/fft_filter.h) and the other ops.
_CUDA_KERNELS = {
    "plane": "two planes at a time, as real and imaginary part, stay in shared memory of one block",
    "even_odd": "a plane, its even and odd columns as real and imaginary part, stays in the shared "
    "memory of one block or of a cluster of blocks",
    "lines": "planned at run time for this size: planes stay in shared memory where they fit, else "
    "rows, columns and rows are transformed by a kernel each, in chunks that fit the L2 cache",
    "spectral_correlation": "transforms to and from spectra that stay in the L2 cache, in chunks",
    "mix_amplitude_phase": "transforms to and from spectra that stay in the L2 cache, in chunks",
}
_CUDA_REMARKS = {
    "filter_bank_adjoint": "one filter per response, summed in float32",
    "split_bands": "a bank, then torch takes its sum from x",
}
_POOLING_PATHS = {
    "stencil": "taps, window and strides of the fast path: 16-byte accesses, every row read once",
    "tiled": "beyond the stencils (taps, strides, window, padding, float64): a block has a tile",
    "generic": "beyond tiles (very long taps, or back through a maximum): one thread per output",
}
_CONVOLUTIONS = ("fft_conv", "fft_conv_adjoint", "fft_conv_correlation")
_SPECTRAL = ("spectral_pool", "spectral_pool_adjoint")
_RESIZES = ("separable", "resize_spectrum")  # what they come down to
_POLYPHASE = ("polyphase_norms", "polyphase_pool", "polyphase_unpool")
# By what spectral_pool.method answers: the op it calls, and why.
_RESIZING = {
    "copy": ("copy", "the size stays and there is no window: x is copied"),
    "matrix": ("separable", "a matrix along each axis, sooner than transforms at these sizes"),
    "fft": ("resize_spectrum", "through the spectrum, sooner than matrices at these sizes"),
    "torch": ("torch.fft", "a few long lines: torch.fft there and back, one by one, is sooner"),
}
_SEPARABLE_PATHS = {
    "plane": "a block holds planes in its shared memory, and applies one axis, then the other",
    "tensor_cores": "the same with matrix instructions, which half types have",
    "lines": "a kernel for each axis: one axis alone, or planes that shared memory does not hold",
}
_KEPT_TABLE = "the response's table is kept for calls to come: freqops built the response itself"
_NEW_TABLE = "the response's table is filled in every call: the response may have changed"


@dataclass(frozen=True)
class Explanation:
    """What :func:`explain` found; its ``str`` is meant to be read.

    Attributes:
        op: the function or module that was asked about.
        device: of the arguments.
        kernel: what runs there.
        reasons: why it runs and how it goes about it, one line each.
    """

    op: str
    device: str
    kernel: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.op} on {self.device}: {self.kernel}"]
        return "\n".join(lines + [f"  {reason}" for reason in self.reasons])


@dataclass(frozen=True)
class _Call:
    name: str
    x: Tensor  # on the meta device: shape, strides and dtype only
    response: Tensor | None = None
    dims: int = 2
    kept_response: bool = False  # built by freqops, for calls to come as well
    over_channels: bool = False
    arguments: tuple[Any, ...] = ()  # all of them, of a pooling op
    composed: tuple[str, str] | None = None  # what runs instead of an op of ours, and why


def _call(name: str, args: tuple[Any, ...]) -> _Call:
    if name in _BANK:
        return _Call(name, args[0], args[1], int(args[-1]), CACHE.holds(args[1]))
    if name == "mix_amplitude_phase":
        return _Call(name, args[0], over_channels=args[-1])
    if name == "fft_filter_padded":
        return _Call(name, args[0], dims=len(args[3]), arguments=args)
    if name in (*_cuda.POOLING, *_RESIZES, *_SPECTRAL, *_CONVOLUTIONS, *_POLYPHASE):
        return _Call(name, args[0], arguments=args)
    return _Call(name, args[0], dims=args[-1])


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the compiled ops that a call comes down to."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[_Call] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.namespace == "freqops":
            self.calls.append(_call(func._schema.name.removeprefix("freqops::"), args))
        return func(*args, **(kwargs or {}))


def explain(op: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Explanation:
    """Tells which kernel would run on these arguments and why; nothing is computed.

    Args:
        op: a function of freqops or its name, or an ``nn.Module`` made of such functions.
        args: what it would be called with.
        kwargs: what it would be called with.

    Returns:
        An :class:`Explanation`; print it.

    Raises:
        ValueError: no such op; or what the op itself raises for these arguments.
        TypeError: as the op itself.

    Example:
        >>> explanation = explain("fft_filter2d", torch.rand(3, 32, 32), torch.ones(32, 17))
        >>> explanation.device
        'cpu'
    """
    function, name = _resolved(op)
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    device = tensors[0].device if tensors else torch.device("cpu")
    calls = _recorded(function, args, kwargs, device.type)
    if not calls:
        return Explanation(name, str(device), "none", ("no op of freqops is called",))
    kernel, _ = _described(calls[0], device)
    reasons: list[str] = []
    for call in calls:
        own, why = _described(call, device)
        if len(calls) > 1:
            reasons.append(f"{call.name}: {own}")
        reasons += why
    return Explanation(name, str(device), kernel, tuple(reasons))


def _resolved(op: Callable[..., Any] | str) -> tuple[Callable[..., Any], str]:
    if isinstance(op, str):
        if op not in ops.__all__:
            functions = ", ".join(name for name in ops.__all__ if name.islower())
            raise ValueError(f"explain: op must be one of {functions}, got {op!r}")
        return getattr(ops, op), op
    return op, getattr(op, "__name__", type(op).__name__)


def _recorded(function: Callable[..., Any], args: Any, kwargs: Any, device: str) -> list[_Call]:
    """Calls the function on tensors without contents: its checks run, no kernel does."""

    def emptied(tensor: Tensor) -> Tensor:
        strides = tensor.stride()
        empty = torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype, device="meta")
        return empty.requires_grad_(tensor.requires_grad)  # gradients may cost more than they bring

    args, kwargs = tree_map_only(Tensor, emptied, (args, kwargs))
    recorder = _Recorder()

    def noted(name: str, kernel: str, reason: str, x: Tensor) -> None:
        recorder.calls.append(_Call(name, x, composed=(kernel, reason)))

    token, of_device = _notes.LISTENER.set(noted), _notes.DEVICE.set(device)
    try:
        with recorder:
            if isinstance(function, nn.Module):
                state = dict(function.named_parameters()) | dict(function.named_buffers())
                state = {key: emptied(value) for key, value in state.items()}
                torch.func.functional_call(function, state, args, kwargs)
            else:
                function(*args, **kwargs)
    finally:
        _notes.LISTENER.reset(token)
        _notes.DEVICE.reset(of_device)
    return recorder.calls


def _described(call: _Call, device: torch.device) -> tuple[str, list[str]]:
    if call.composed is not None:
        kernel, reason = call.composed
        return kernel, [reason]
    if call.name in _CONVOLUTIONS and device.type in ("cpu", "cuda"):
        return convolution_path(call.name, call.arguments, device)
    if device.type == "cuda":
        kernel, why = _on_cuda(call, device)
    elif device.type == "cpu":
        kernel, why = _on_cpu(call)
    else:
        return "none", [f"freqops has kernels for cpu and cuda, none for {device.type}"]
    if call.x.dtype in (torch.float16, torch.bfloat16):
        why.append(f"{_name(call.x.dtype)} is computed in float32 and rounded once, on store")
    return kernel, why


def _on_cpu(call: _Call) -> tuple[str, list[str]]:
    kernel = f"fused {call.name} kernel, {_C.cpu_level()}"
    why: list[str] = []
    if call.name in _BANK:
        height = call.x.shape[-2] if call.dims == 2 else 1
        work = "float64" if call.x.dtype == torch.float64 else "float32"
        why.append(_C.fft_filter_plan(height, call.x.shape[-1], work, _planes_together(call)))
    if call.name in _SPECTRAL:
        name, why = _resizing(call, "cpu")
        if name == "copy":
            return "torch copy", why
        if name == "torch.fft":
            return "torch.fft composition", why
        kernel = f"fused {name} kernel, {_C.cpu_level()}"
    if call.name in (*_cuda.POOLING, *_RESIZES, *_SPECTRAL, *_POLYPHASE):
        return kernel, why + _pooling_layout(call.x)
    if not _one_stride_leads(call.x, call.dims):
        why.append(
            "x is copied first: its axes before the channels cannot be walked with one stride, "
            f"shape {list(call.x.shape)}, strides {list(call.x.stride())}"
        )
    return kernel, why


def _pooling_layout(x: Tensor) -> list[str]:
    """Along which axis the vectors lie, and whether x has to be copied for that."""
    if x.is_contiguous():
        return ["contiguous: vectors lie along the width"]
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return ["channels_last: vectors lie along the channels"]
    return [
        "contiguous: vectors lie along the width",
        "x is copied first: it is neither contiguous nor channels_last, "
        f"shape {list(x.shape)}, strides {list(x.stride())}",
    ]


def _planes_together(call: _Call) -> int:
    """How many planes meet the same response: enough of them, and small, become lanes."""
    if call.name == "filter_bank_adjoint" or call.response is None:
        return 1
    own_axis = 1 if call.name == "fft_filter" else 0
    per_channel = call.response.dim() + own_axis > call.dims + 1
    shared = call.x.shape[: -call.dims - 1] if per_channel else call.x.shape[: -call.dims]
    return max(1, math.prod(shared))


def _one_stride_leads(x: Tensor, dims: int) -> bool:
    """Whether the axes before the channels lie as if they were one, which the kernels walk."""
    leading = [(x.shape[i], x.stride(i)) for i in range(x.dim() - dims - 1) if x.shape[i] != 1]
    return all(
        outer_stride == inner_stride * inner
        for (_, outer_stride), (inner, inner_stride) in itertools.pairwise(leading)
    )


def _resizing(call: _Call, device: str) -> tuple[str, list[str]]:
    """The op that a spectral pooling calls, or "copy", and why."""
    x, targets, *rule = call.arguments
    sizes = x.shape[-len(targets) :]
    name, why = _RESIZING[spectral_pool.method(sizes, targets, tuple(rule), x, device)]
    words = [" x ".join(map(str, axes)) for axes in (sizes, targets)]
    return name, [f"{words[0]} to {words[1]}: {why}"]


def _resizing_on_cuda(call: _Call, device: torch.device) -> tuple[str, list[str]]:
    name, why = _resizing(call, "cuda") if call.name in _SPECTRAL else (call.name, [])
    if name == "copy":
        return "torch copy", why
    if name == "separable" and _cuda.HAS_SEPARABLE:
        path = _separable_path(call, device)
        why.append(_SEPARABLE_PATHS[path])
        return f"fused separable CUDA kernel, {path} path", [*why, *_pooling_layout(call.x)]
    composition = "torch composition" if name == "separable" else "torch.fft composition"
    kernels = _cuda.KERNELS
    if name == "separable" or kernels is None:
        why.append("the library of CUDA kernels is not loaded (see `freqops info`)")
        return composition, [*why, f"CUDA library: {CUDA.reason}"]
    size = _transformed_size(call)
    if not kernels.resizes(call.x, size, device):
        return composition, [*why, kernels.why_not(call.x, len(size))]
    why.append("rows and columns are transformed by kernels each, in chunks that fit the L2 cache")
    return "CUDA kernels", why


def _transformed_size(call: _Call) -> Any:
    if call.name not in _SPECTRAL:
        return call.arguments[3]
    x, targets, *rule = call.arguments
    sizes = x.shape[-len(targets) :]
    return targets[spectral_pool.transformed_axes(sizes, targets, tuple(rule))]


def _separable_path(call: _Call, device: torch.device) -> str:
    if call.name in _SPECTRAL:
        x, targets, *rule = call.arguments
        sizes = x.shape[-len(targets) :]
        outputs = spectral_pool.separable_outputs(sizes, targets, tuple(rule))
        outer = spectral_pool.needs_outer(call.name, sizes, targets, tuple(rule))
        mirrored = True
    else:
        x, *matrices, vectors, mirrored = call.arguments
        outputs = [0 if matrix is None else matrix.shape[0] for matrix in matrices]
        outer = vectors is not None
    return _cuda.separable_path(x, outputs, outer=outer, mirrored=mirrored, device=device)


def _on_cuda(call: _Call, device: torch.device) -> tuple[str, list[str]]:
    if call.name in (*_RESIZES, *_SPECTRAL):
        return _resizing_on_cuda(call, device)
    if call.name in _cuda.POOLING:
        return _pooling_on_cuda(call, device)
    if call.name in _POLYPHASE:
        return "torch composition", ["four strided views or copies, by torch.where"]
    kernels = _cuda.KERNELS
    if kernels is None:
        why = ["the library of CUDA kernels is not loaded (see `freqops info`)"]
        return "torch.fft composition", [*why, f"CUDA library: {CUDA.reason}"]
    x = call.x[0] if call.name == "filter_bank_adjoint" else call.x
    form = ""
    if call.name in _BANK:
        form = kernels.form(x, call.dims, device)
        taken = form != "none"
    elif call.name == "fft_filter_padded":
        grid, size = call.arguments[3:]
        form = kernels.padded_form(x, x.shape[-len(grid) :], grid, size, device)
        taken = form != "none"
    elif call.name == "mix_amplitude_phase":
        taken = kernels.mixes(x, call.over_channels, device)
    else:
        taken = kernels.correlates(x, call.dims, device)
    if not taken:
        return "torch.fft composition", [kernels.why_not(x, call.dims, call.over_channels)]
    why = [_CUDA_KERNELS[form or call.name]]
    if form:
        why.append(_KEPT_TABLE if call.kept_response else _NEW_TABLE)
    if call.name in _CUDA_REMARKS:
        why.append(_CUDA_REMARKS[call.name])
    if not call.x.is_contiguous():
        why.append(f"x is copied first: it is not contiguous, strides {list(call.x.stride())}")
    return f"fused CUDA kernel, {form} form" if form else "CUDA kernels", why


def _pooling_on_cuda(call: _Call, device: torch.device) -> tuple[str, list[str]]:
    if not _cuda.HAS_POOLING:
        why = ["the library of CUDA kernels is not loaded (see `freqops info`)"]
        return "torch composition", [*why, f"CUDA library: {CUDA.reason}"]
    path = _cuda.pooling_path(call.name, call.arguments, device)
    return f"fused CUDA kernel, {path} path", [_POOLING_PATHS[path], *_pooling_layout(call.x)]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
