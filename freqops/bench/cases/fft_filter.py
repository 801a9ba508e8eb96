"""fft_filter1d and fft_filter2d: every plane forward, times a response, and back."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

import freqops
from freqops.bench import compositions, peers
from freqops.bench.case import Goal, Point, Row, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders
from freqops.filters import low_pass

OP = "fft_filter"

# Goals: how many times faster than the best peer. Response without zeros, low pass below H/8.
GOALS: dict[tuple[int, ...], tuple[float, float]] = {
    (64, 3, 224, 224): (4.2, 7.0),
    (64, 3, 32, 32): (5.0, 8.0),
    (16, 64, 56, 56): (4.0, 5.5),
    (16, 256, 14, 14): (6.5, 8.0),
    (8, 3, 512, 512): (3.5, 6.0),
    (8, 3, 299, 299): (2.6, 4.6),
}
# With the system's malloc every large temporary is faulted in: goals against torch, there alone.
FAULTED_GOALS = {(64, 3, 224, 224): (9.5, 13.0)}
GRADIENT_GOALS: dict[tuple[int, ...], float] = {
    (64, 3, 224, 224): 5.0,
    (16, 64, 56, 56): 4.0,
    (16, 256, 14, 14): 5.0,
}
# Without a goal: what a call costs by itself, and a large prime.
SMALL, PRIME = (1, 1, 16, 16), (8, 3, 257, 257)
TWO = ((64, 3, 224, 224), (16, 64, 56, 56))


def smooth(*size: int) -> Tensor:
    """A response without a zero: nothing can be left out."""
    return low_pass(size, 0.1, kind="butterworth", device=torch.get_default_device())


def _goals(shape: tuple[int, ...], band: int) -> list[Goal]:
    if shape not in GOALS:
        return []
    warm = GOALS[shape][band]
    if shape not in FAULTED_GOALS:
        return [Goal(warm, default=warm)]
    return [Goal(warm, default=FAULTED_GOALS[shape][band], default_against=("torch",))]


def _bytes(shape: Sequence[int], dtype: torch.dtype = torch.float32, times: int = 2) -> int:
    """Read once, written once."""
    return times * dtype.itemsize * torch.Size(shape).numel()


def _ways(x: Tensor, response: Tensor, dims: int = 2, *, compiles: bool = True) -> list[Way]:
    """Ours with and without memory of the caller's, and the peers."""
    ours = freqops.fft_filter2d if dims == 2 else freqops.fft_filter1d
    y = torch.empty_like(x)
    ways = [
        Way("freqops", lambda x: ours(x, response), "ours"),
        Way("freqops out=", lambda x: ours(x, response, out=y), "ours"),
        Way("torch", lambda x: compositions.torch_filter(x, response, dims), compiles=compiles),
        Way("torch in place", lambda x: compositions.torch_filter_in_place(x, response, dims)),
    ]
    if not x.is_cuda and peers.has("scipy"):
        ways.append(Way("scipy", lambda x: peers.scipy_filter(x, response, dims)))
    if not x.is_cuda and peers.has("ducc0"):
        ways.append(Way("ducc0", peers.ducc0_filter(x, response, dims)))
    return ways


def _any_response(shape: tuple[int, ...]) -> list[Contender]:
    x = torch.rand(shape)
    return contenders(_ways(x, smooth(*shape[-2:])), x, _bytes(shape))


def _signals(shape: tuple[int, ...]) -> list[Contender]:
    x = torch.rand(shape)
    return contenders(_ways(x, smooth(shape[-1]), dims=1), x, _bytes(shape))


def _low_pass(shape: tuple[int, ...], share: int) -> list[Contender]:
    x, radius = torch.rand(shape), shape[-1] / share
    response = low_pass(shape[-2:], radius, unit="bins", device=x.device)
    pruned = Way(
        "torch pruned",
        lambda x: compositions.torch_low_pass(x, response, radius),
        compiles=True,
    )
    return contenders([*_ways(x, response, compiles=False), pruned], x, _bytes(shape))


def _half_types(shape: tuple[int, ...], dtype: torch.dtype) -> list[Contender]:
    x, response = torch.rand(shape).to(dtype), smooth(*shape[-2:])
    ways = [
        Way("freqops", lambda x: freqops.fft_filter2d(x, response), "ours"),
        Way(
            "torch via float32",
            compositions.in_float(lambda x: compositions.torch_filter_in_place(x, response), dtype),
            compiles=True,
        ),
    ]
    return contenders(ways, x, _bytes(shape, dtype))


def _channels_last(shape: tuple[int, ...]) -> list[Contender]:
    kept = torch.channels_last
    x, response = torch.rand(shape).to(memory_format=kept), smooth(*shape[-2:])
    y = torch.empty_like(x)

    def in_layout(x: Tensor) -> Tensor:
        return compositions.torch_filter_in_place(x, response).contiguous(memory_format=kept)

    ways = [
        Way("freqops", lambda x: freqops.fft_filter2d(x, response), "ours"),
        Way("freqops out=", lambda x: freqops.fft_filter2d(x, response, out=y), "ours"),
        Way("torch, layout kept", in_layout, compiles=True),
        Way("torch, any layout", lambda x: compositions.torch_filter_in_place(x, response)),
    ]
    return contenders(ways, x, _bytes(shape), layout="NHWC")


def _gradient(shape: tuple[int, ...], *, learned: bool) -> list[Contender]:
    x, response = torch.rand(shape), smooth(*shape[-2:])
    leaves = [response.requires_grad_()] if learned else []
    ways = [
        Way("freqops", lambda x: freqops.fft_filter2d(x, response), "ours"),
        Way("torch", lambda x: compositions.torch_filter(x, response)),
    ]
    if not learned:  # autograd forbids it where the response wants a gradient
        ways.append(
            Way("torch in place", lambda x: compositions.torch_filter_in_place(x, response))
        )
    return contenders(ways, x, _bytes(shape, times=4), backward=True, leaves=leaves)


# --- curves ---------------------------------------------------------------------------------------

_PIXELS = 1_200_000
_SIDES = (16, 32, 56, 112, 224, 299, 448)
_BATCHES = (1, 4, 16, 64, 256)


def _curve_row(shape: tuple[int, ...], axis: str, at: int) -> Row:
    return Row(
        OP,
        f"fft_filter2d, float32: time per pixel over the {axis}",
        sizes(shape),
        shape,
        functools.partial(_any_response, shape),
        moved_bytes=_bytes(shape),
        quick=True,
        point=Point(axis, at, torch.Size(shape).numel()),
    )


def _all_rows() -> list[Row]:
    plain = "fft_filter2d, float32, response without zeros"
    rows = [
        Row(
            OP,
            plain,
            sizes(shape),
            shape,
            functools.partial(_any_response, shape),
            goals=_goals(shape, 0),
            moved_bytes=_bytes(shape),
            quick=shape in (*TWO, (16, 256, 14, 14), SMALL),
            compiled=shape in TWO,
        )
        for shape in (*GOALS, SMALL, PRIME)
    ]
    for share in (8, 4):
        rows += [
            Row(
                OP,
                f"fft_filter2d, float32, ideal low pass below H/{share}",
                sizes(shape),
                shape,
                functools.partial(_low_pass, shape, share),
                goals=_goals(shape, 1) if share == 8 else [],
                moved_bytes=_bytes(shape),
                quick=share == 8 and shape == TWO[1],
                compiled=shape in TWO,
            )
            for shape in GOALS
        ]
    rows += [
        Row(
            OP,
            "fft_filter2d, half types",
            f"{sizes(shape)} {str(dtype).removeprefix('torch.')}",
            shape,
            functools.partial(_half_types, shape, dtype),
            dtype=dtype,
            # Both round once; a sum in another order may round to the neighbour.
            tolerance=2 * torch.finfo(dtype).eps,
            moved_bytes=_bytes(shape, dtype),
            quick=shape == TWO[1] and dtype == torch.bfloat16,
            compiled=shape == TWO[1] and dtype == torch.bfloat16,
        )
        for dtype in (torch.float16, torch.bfloat16)
        for shape in TWO
    ]
    rows += [
        Row(
            OP,
            "fft_filter2d, float32, channels_last",
            sizes(shape),
            shape,
            functools.partial(_channels_last, shape),
            layout="NHWC",
            moved_bytes=_bytes(shape),
            compiled=shape == TWO[1],
        )
        for shape in TWO
    ]
    rows += [
        Row(
            OP,
            "fft_filter1d, float32, response without zeros",
            sizes(shape),
            shape,
            functools.partial(_signals, shape),
            moved_bytes=_bytes(shape),
            quick=len(shape) == 3,
            compiled=len(shape) == 3,
        )
        for shape in ((64, 8, 16000), (256, 384))
    ]
    rows += [
        Row(
            OP,
            "fft_filter2d, forward and backward",
            sizes(shape),
            shape,
            functools.partial(_gradient, shape, learned=False),
            backward=True,
            goals=[Goal(GRADIENT_GOALS[shape])],
            moved_bytes=_bytes(shape, times=4),
            quick=shape == TWO[1],
        )
        for shape in GRADIENT_GOALS
    ]
    rows += [
        Row(
            OP,
            "fft_filter2d, forward and backward, response learned",
            f"{sizes(shape)} real, shared",
            shape,
            functools.partial(_gradient, shape, learned=True),
            backward=True,
            moved_bytes=_bytes(shape, times=4),
        )
        for shape in TWO
    ]
    for side in _SIDES:
        count = max(1, round(_PIXELS / 3 / side**2))
        rows.append(_curve_row((count, 3, side, side), "size", side))
    rows += [_curve_row((count, 3, 64, 64), "batch", count) for count in _BATCHES]
    return rows


ROWS = _all_rows()
