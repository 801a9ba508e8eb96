"""The CUDA kernels on the host: the ops of build/libfreqops_replay.so, over torch CPU tensors.

They are those of libfreqops_cuda.so, source for source, in the namespace ``freqops_replay``. What
a kernel writes starts as NaN and lies between margins that the ops check (csrc/ops/cuda). The
environment variable FREQOPS_REPLAY_LIBRARY names another build of it, for development.
"""

import ctypes
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from freqops.ops import _cuda
from freqops.ops._cuda import Kernels

LIBRARY = Path(
    os.environ.get("FREQOPS_REPLAY_LIBRARY")
    or Path(__file__).parents[2] / "build" / "libfreqops_replay.so"
)
FORMS = ("plane", "even_odd", "lines")  # csrc/kernels/cuda/fft_filter.h
H200_SHARED_BYTES = 227 * 1024


class Program(NamedTuple):
    """A kernel compiled for a listed size, as csrc/kernels/replay/programs.cpp tells it."""

    form: str
    height: int
    width: int
    planes: int
    threads: int
    shared_bytes: int
    blocks_per_sm: int
    cluster_blocks: int


@cache
def library() -> ctypes.CDLL:
    if not LIBRARY.exists():
        raise FileNotFoundError(f"{LIBRARY} is missing: run make replay")
    torch.ops.load_library(LIBRARY)
    return ctypes.CDLL(str(LIBRARY))


def ops() -> Any:
    library()
    return torch.ops.freqops_replay


@cache
def programs() -> tuple[Program, ...]:
    question = library().freqops_replay_programs
    count = question(None, 0)
    fields = len(Program._fields)
    rows = (ctypes.c_int * (fields * count))()
    question(rows, count)
    return tuple(
        Program(FORMS[rows[i]], *rows[i + 1 : i + fields]) for i in range(0, fields * count, fields)
    )


@contextmanager
def device(
    *, backwards: bool = False, shared_bytes: int = H200_SHARED_BYTES, clusters: bool = True
) -> Iterator[None]:
    """Until the end of the block, plays another device than an H200 in order.

    Args:
        backwards: blocks and threads run from the last to the first.
        shared_bytes: what a block can be granted.
        clusters: whether blocks can form clusters.
    """
    library().freqops_replay_set_options(int(backwards), shared_bytes, int(clusters))
    try:
        yield
    finally:
        library().freqops_replay_set_options(0, H200_SHARED_BYTES, 1)


def last_launch() -> tuple[int, int]:
    """Threads of a block and bytes of shared memory of the program that ran last."""
    threads, shared_bytes = ctypes.c_int(), ctypes.c_int()
    library().freqops_replay_last_launch(ctypes.byref(threads), ctypes.byref(shared_bytes))
    return threads.value, shared_bytes.value


@contextmanager
def dispatched(kernels: Kernels) -> Iterator[None]:
    """Until the end of the block, torch.ops.freqops does on the CPU what it does on CUDA.

    Args:
        kernels: those of the replay, in the place of the CUDA library's.
    """
    overridden = torch.library.Library("freqops", "IMPL")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*other operators may also be overridden")
        for name, implementation in _cuda.implementations(kernels).items():
            overridden.impl(name, implementation, "CPU", allow_override=True)
    try:
        yield
    finally:
        overridden._destroy()


def takes(form: str, height: int, width: int) -> bool:
    answer: bool = ops().fft_filter_form_takes(form, height, width)
    return answer


def inside_margins(tensor: Tensor) -> Tensor:
    """A contiguous copy between NaN: what is read beside it shows in the result."""
    margin = max(1024, tensor.shape[-2] * tensor.shape[-1])
    margin += -margin % 16  # the copy stays aligned, as tensors mostly are
    buffer = torch.full((tensor.numel() + 2 * margin,), float("nan"), dtype=tensor.dtype)
    inside = buffer[margin : margin + tensor.numel()].view(tensor.shape)
    return inside.copy_(tensor)


def filtered(
    form: str,
    x: Tensor,
    real: Tensor,
    imag: Tensor | None = None,
    *,
    bank: bool = False,
    high: bool = False,
    backwards: bool = False,
) -> tuple[Tensor, ...]:
    """Planes through a form of the kernel, table included.

    Args:
        form: one of FORMS.
        x: [..., H, W], float32, float16 or bfloat16.
        real: [H, W // 2 + 1], [C, ...], or with `bank` [R, ...] or [R, C, ...]; float32.
        imag: the same shape or None.
        bank: whether the first axis of `real` counts responses.
        high: whether x - y is wanted as well.
        backwards: run blocks and threads from the last to the first.

    Returns:
        (y,) or (y, high), each of x's shape, with `bank` behind an axis R.
    """
    x, real = inside_margins(x), inside_margins(real)
    imag = None if imag is None else inside_margins(imag)
    responses = real.shape[0] if bank else 1
    channels = real.shape[-3] if real.dim() == 3 + bank else 0
    with device(backwards=backwards):
        table = inside_margins(ops().fft_filter_table(real, imag, form, x.shape[-1])[None])[0]
        results = ops().fft_filter_planes(
            x, table, form, responses, channels, imag is not None, high
        )
    return tuple(result if bank else result[0] for result in results)
