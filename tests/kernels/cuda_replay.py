"""The CUDA kernels on the host: what build/libfreqops_replay.so offers, over torch CPU tensors."""

import ctypes
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

LIBRARY = Path(__file__).parents[2] / "build" / "libfreqops_replay.so"
ELEMENTS = {torch.float32: 0, torch.float16: 2, torch.bfloat16: 3}  # csrc/kernels/images.h


class PlanePlan(NamedTuple):
    """A row of csrc/kernels/cuda/fft_filter_plane.cuh as it was compiled."""

    height: int
    width: int
    pairs: int
    threads: int
    shared_bytes: int
    blocks_per_sm: int


@cache
def library() -> ctypes.CDLL:
    if not LIBRARY.exists():
        raise FileNotFoundError(f"{LIBRARY} is missing: run make build")
    return ctypes.CDLL(str(LIBRARY))


@cache
def plane_plans() -> tuple[PlanePlan, ...]:
    question = library().freqops_replay_fft_filter_plane_plans
    count = question(None, 0)
    fields = len(PlanePlan._fields)
    rows = (ctypes.c_int * (fields * count))()
    question(rows, count)
    return tuple(PlanePlan(*rows[i * fields : (i + 1) * fields]) for i in range(count))


def _inside_margins(tensor: torch.Tensor, margin: int) -> torch.Tensor:
    """A contiguous copy between NaN: what is read beside it shows in the result."""
    buffer = torch.full((tensor.numel() + 2 * margin,), float("nan"), dtype=tensor.dtype)
    inside = buffer[margin : margin + tensor.numel()].view(tensor.shape)
    return inside.copy_(tensor)


def fft_filter_plane(
    x: torch.Tensor,
    real: torch.Tensor,
    imag: torch.Tensor | None = None,
    *,
    backwards: bool = False,
) -> torch.Tensor:
    """The op of the same name, replayed. Nothing beside its tensors may be read or written.

    Args:
        x: [..., H, W], float32, float16 or bfloat16.
        real: [H, W // 2 + 1] or [C, H, W // 2 + 1], float32.
        imag: the same shape or None.
        backwards: run blocks and threads from the last to the first.
    """
    height, width = x.shape[-2:]
    channels = real.shape[0] if real.dim() == 3 else 1
    margin = height * width
    x, real = _inside_margins(x, margin), _inside_margins(real, margin)
    imag = None if imag is None else _inside_margins(imag, margin)
    buffer = torch.full((x.numel() + 2 * margin,), float("nan"), dtype=x.dtype)
    y = buffer[margin : margin + x.numel()]
    status = library().freqops_replay_fft_filter_plane(
        ELEMENTS[x.dtype],
        ctypes.c_void_p(x.data_ptr()),
        ctypes.c_void_p(y.data_ptr()),
        ctypes.c_void_p(real.data_ptr()),
        ctypes.c_void_p(None if imag is None else imag.data_ptr()),
        ctypes.c_int64(x.numel() // (height * width * channels)),
        ctypes.c_int64(channels),
        height,
        width,
        int(backwards),
    )
    if status != 0:
        raise ValueError(f"no plane plan for {height}x{width}")
    outside = torch.cat([buffer[:margin], buffer[margin + x.numel() :]])
    assert outside.isnan().all(), "the kernel wrote outside its output"
    return y.view(x.shape)
