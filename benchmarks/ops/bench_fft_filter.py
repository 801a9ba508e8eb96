"""fft_filter1d and fft_filter2d: every plane forward, times a response, and back."""

from __future__ import annotations

from collections.abc import Callable

import compositions
import peers
import pytest
import torch
from case import Case, Goal, sizes
from interleave import Contender
from torch import Tensor

import freqops
from freqops.filters import low_pass

Compare = Callable[[Case], None]

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


def smooth(*size: int) -> Tensor:
    """A response without a zero: nothing can be left out."""
    return low_pass(size, 0.1, kind="butterworth")


def goals(shape: tuple[int, ...], band: int) -> list[Goal]:
    if shape not in GOALS:
        return []
    warm = GOALS[shape][band]
    if shape not in FAULTED_GOALS:
        return [Goal(warm, default=warm)]
    return [Goal(warm, default=FAULTED_GOALS[shape][band], default_against=("torch",))]


def filters(x: Tensor, response: Tensor, dims: int = 2) -> list[Contender]:
    """Ours with and without memory of the caller's, the peers, and the copy no filter can beat."""
    ours = freqops.fft_filter2d if dims == 2 else freqops.fft_filter1d
    y = torch.empty_like(x)
    return [
        Contender("freqops", lambda: ours(x, response), "ours"),
        Contender("freqops out=", lambda: ours(x, response, out=y), "ours"),
        Contender("torch", lambda: compositions.torch_filter(x, response, dims)),
        Contender("torch in place", lambda: compositions.torch_filter_in_place(x, response, dims)),
        Contender("scipy", lambda: peers.scipy_filter(x, response, dims)),
        Contender("ducc0", peers.ducc0_filter(x, response, dims)),
        Contender("copy", lambda: y.copy_(x), "floor"),
    ]


@pytest.mark.parametrize("shape", [*GOALS, SMALL, PRIME], ids=str)
def bench_any_response(compare: Compare, shape: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    contenders = filters(x, smooth(*shape[-2:]))
    table = "fft_filter2d, float32, response without zeros"
    compare(Case(table, sizes(x), contenders, goals(shape, 0)))


@pytest.mark.parametrize("share", [8, 4])
@pytest.mark.parametrize("shape", GOALS, ids=str)
def bench_low_pass(compare: Compare, shape: tuple[int, ...], share: int) -> None:
    x, radius = torch.rand(shape), shape[-1] / share
    response = low_pass(shape[-2:], radius, unit="bins")
    *contenders, floor = filters(x, response)
    pruned = Contender("torch pruned", lambda: compositions.torch_low_pass(x, response, radius))
    case = Case(
        f"fft_filter2d, float32, ideal low pass below H/{share}",
        sizes(x),
        [*contenders, pruned, floor],
        goals(shape, 1) if share == 8 else [],
    )
    compare(case)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(64, 3, 224, 224), (16, 64, 56, 56)], ids=str)
def bench_half_types(compare: Compare, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x, response = torch.rand(shape).to(dtype), smooth(*shape[-2:])
    y = torch.empty_like(x)
    contenders = [
        Contender("freqops", lambda: freqops.fft_filter2d(x, response), "ours"),
        Contender("torch via float32", lambda: compositions.torch_filter_in_float(x, response)),
        Contender("copy", lambda: y.copy_(x), "floor"),
    ]
    label = f"{sizes(x)} {str(dtype).removeprefix('torch.')}"
    # Both round once; a sum in another order may round to the neighbour.
    tolerance = 2 * torch.finfo(dtype).eps
    compare(Case("fft_filter2d, half types", label, contenders, tolerance=tolerance))


@pytest.mark.parametrize("shape", [(64, 3, 224, 224), (16, 64, 56, 56)], ids=str)
def bench_channels_last(compare: Compare, shape: tuple[int, ...]) -> None:
    kept = torch.channels_last
    x, response = torch.rand(shape).to(memory_format=kept), smooth(*shape[-2:])
    y = torch.empty_like(x)

    def in_layout() -> Tensor:
        return compositions.torch_filter_in_place(x, response).contiguous(memory_format=kept)

    contenders = [
        Contender("freqops", lambda: freqops.fft_filter2d(x, response), "ours"),
        Contender("freqops out=", lambda: freqops.fft_filter2d(x, response, out=y), "ours"),
        Contender("torch, layout kept", in_layout),
        Contender("torch, any layout", lambda: compositions.torch_filter_in_place(x, response)),
        Contender("copy", lambda: y.copy_(x), "floor"),
    ]
    compare(Case("fft_filter2d, float32, channels_last", sizes(x), contenders))


@pytest.mark.parametrize("shape", [(64, 8, 16000), (256, 384)], ids=str)
def bench_signals(compare: Compare, shape: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    contenders = filters(x, smooth(shape[-1]), dims=1)
    compare(Case("fft_filter1d, float32, response without zeros", sizes(x), contenders))


def gradients(x: Tensor, response: Tensor, *, in_place: bool) -> list[Contender]:
    """Forward and backward, for every input that asks for a gradient."""
    upstream, y = torch.rand_like(x), torch.empty_like(x)
    inputs = tuple(tensor for tensor in (x, response) if tensor.requires_grad)

    def both(filtered: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, ...]:
        output = filtered(x, response)
        parts = torch.autograd.grad(output, inputs, upstream)
        return output, *(torch.view_as_real(g) if g.is_complex() else g for g in parts)

    def copy_twice() -> None:
        y.copy_(x.detach())
        y.copy_(upstream)

    contenders = [
        Contender("freqops", lambda: both(freqops.fft_filter2d), "ours"),
        Contender("torch", lambda: both(compositions.torch_filter)),
    ]
    if in_place:  # autograd forbids it where the response wants a gradient
        contenders.append(
            Contender("torch in place", lambda: both(compositions.torch_filter_in_place)),
        )
    return [*contenders, Contender("copy", copy_twice, "floor")]


@pytest.mark.parametrize("shape", GRADIENT_GOALS, ids=str)
def bench_gradient(compare: Compare, shape: tuple[int, ...]) -> None:
    x = torch.rand(shape, requires_grad=True)
    contenders = gradients(x, smooth(*shape[-2:]), in_place=True)
    target = [Goal(GRADIENT_GOALS[shape])]
    compare(Case("fft_filter2d, forward and backward", sizes(x), contenders, target))


@pytest.mark.parametrize("shape", [(64, 3, 224, 224), (16, 64, 56, 56)], ids=str)
def bench_learned_response(compare: Compare, shape: tuple[int, ...]) -> None:
    x = torch.rand(shape, requires_grad=True)
    response = smooth(*shape[-2:]).requires_grad_()
    contenders = gradients(x, response, in_place=False)
    table = "fft_filter2d, forward and backward, response learned"
    compare(Case(table, f"{sizes(x)} real, shared", contenders))


def bench_global_filter(compare: Compare) -> None:
    """The layer of GFNet: a complex response per channel."""
    x = torch.rand(16, 256, 14, 14, requires_grad=True)
    response = torch.randn(256, 14, 8, dtype=torch.complex64).requires_grad_()
    contenders = gradients(x, response, in_place=False)
    table = "fft_filter2d, forward and backward, response learned"
    compare(Case(table, f"{sizes(x)} complex, per channel", contenders))
