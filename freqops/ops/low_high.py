"""low_high: a low pass and what it leaves out, the second at the price of a subtraction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from freqops import filters
from freqops.ops._batching import fold, leading, unfold
from freqops.ops._checks import check_image, check_out
from freqops.ops._derivatives import Inputs, Needs, call, recorded, register_derivatives, total
from freqops.ops._layout import slabs_like_input
from freqops.ops._registration import fake, vmap
from freqops.ops._responses import as_cutoffs, correlation_per_response, is_single, response_for


def low_high2d(
    x: Tensor,
    cutoff: float | Sequence[float] | Tensor,
    *,
    unit: filters.Unit = "cycles",
    norm: filters.Norm = "l2",
    inclusive: bool = False,
    kind: filters.Kind = "ideal",
    order: int = 2,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Images split at a cutoff into a low-passed part and the rest: ``low + high == x``.

    The split of `Wang et al. 2020 <https://arxiv.org/abs/1905.13545>`_, at any number of cutoffs
    with one forward transform; ``high`` is a subtraction while the plane is in cache.

    Args:
        x: [..., H, W], float32, float64, float16 or bfloat16.
        cutoff: frequency in ``unit``; a number, or R of them as a sequence or Tensor [R]. A Tensor
            is differentiable where ``kind`` is smooth.
        unit: ``"cycles"`` per pixel, ``"nyquist"`` or ``"bins"``, as for
            :func:`freqops.filters.low_pass`.
        norm: ``"l2"``, ``"linf"`` or ``"l1"``.
        inclusive: frequencies equal to the cutoff go to ``low``.
        kind: ``"ideal"``, ``"butterworth"`` or ``"gaussian"``.
        order: of the Butterworth response.
        out: (low, high), written to and returned instead of new tensors: of their shapes, of x's
            dtype and device, each in memory of its own. Only where no gradient is recorded.

    Returns:
        (low, high), each [..., H, W] for one cutoff and [R, ..., H, W] for R, dtype and memory
        format of x. They are unclipped: values may leave the range of x.

    Raises:
        ValueError: a shape or option does not fit, or a cutoff is negative or NaN.
        TypeError: x or cutoff is of another type.

    Example:
        >>> images = torch.rand(8, 3, 32, 32)
        >>> low, high = low_high2d(images, [4, 8, 12, 16], unit="bins")
        >>> low.shape
        torch.Size([4, 8, 3, 32, 32])
    """
    check_image("low_high2d", x, 2)
    filters.check_options("low_high2d", kind, norm, unit, order)
    cutoffs = as_cutoffs("low_high2d", "cutoff", cutoff)
    responses = response_for(
        x, 2, _responses, cutoffs, unit=unit, norm=norm, inclusive=inclusive, kind=kind, order=order
    )
    if out is not None:
        return _into(x, responses, out, single=is_single(cutoff))
    low, high = call(torch.ops.freqops.low_high.default, x, responses, 2)
    return (low[0], high[0]) if is_single(cutoff) else (low, high)


def _into(x: Tensor, responses: Tensor, out: Any, *, single: bool) -> tuple[Tensor, Tensor]:
    """Both parts, written to the tensors of `out`, which have no axis for a single response."""
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        raise TypeError(f"low_high2d: out must be a pair of tensors, got {type(out).__name__}")
    shape = x.shape if single else (len(responses), *x.shape)
    gradient = recorded((x, responses, *out))
    for number, one in enumerate(out):
        name = f"out[{number}]"
        check_out("low_high2d", x, one, recorded=gradient, argument=name, shape=shape)
    low, high = out
    if torch.compiler.is_compiling():  # the compiler plans memory itself
        made = torch.ops.freqops.low_high(x, responses, 2)
        return low.copy_(made[0].view(shape)), high.copy_(made[1].view(shape))
    if low.numel() and low.untyped_storage().data_ptr() == high.untyped_storage().data_ptr():
        raise ValueError("low_high2d: out must be two tensors in memory of their own, got one")
    slabs = [one[None] if single else one for one in out]
    torch.ops.freqops.low_high.out(x, responses, 2, low=slabs[0], high=slabs[1])
    return low, high


def _responses(
    size: tuple[int, ...], cutoffs: Any, *, device: torch.device, **options: Any
) -> Tensor:
    if not isinstance(cutoffs, Tensor):  # float64: rounded to float32 one could move across a bin
        cutoffs = torch.tensor(cutoffs, dtype=torch.float64, device=device)
    return filters.low_pass(size, cutoffs, device=device, **options)


@fake("low_high")
def _fake(x: Tensor, responses: Tensor, dims: int) -> tuple[Tensor, Tensor]:
    count = responses.shape[0]
    return slabs_like_input(x, count), slabs_like_input(x, count)


@fake("low_high.out")
def _fake_out(
    x: Tensor, responses: Tensor, dims: int, *, low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    return low, high


def _backward(
    inputs: Inputs, needs: Needs, d_low: Tensor | None, d_high: Tensor | None
) -> tuple[Tensor | None, ...]:
    """low_r = F(x, K_r) and high_r = x - low_r."""
    x, responses, dims = inputs
    if d_low is None and d_high is None:
        return None, None, None
    filtered = total(d_low, None if d_high is None else -d_high)
    dx = d_responses = None
    if needs[0]:
        dx = torch.ops.freqops.filter_bank_adjoint(filtered, responses, None, dims)
        dx = total(dx, None if d_high is None else d_high.sum(0))
    if needs[1]:
        channels = responses.shape[1] if responses.dim() > dims + 1 else 0
        d_responses, _ = correlation_per_response(x, filtered, channels, dims)
    return dx, d_responses, None


def _tangent(inputs: Inputs, tangents: Inputs) -> tuple[Tensor, Tensor]:
    x, responses, dims = inputs
    dx, d_responses, _ = tangents
    if dx is not None:
        low, high = torch.ops.freqops.low_high(dx, responses, dims)
        if d_responses is None:
            return low, high
    moved = torch.ops.freqops.filter_bank(x, d_responses, None, dims)
    return (moved, -moved) if dx is None else (low + moved, high - moved)


def _reads(needs: Needs) -> Needs:
    return needs[1], True, False


register_derivatives("low_high", backward=_backward, jvp=_tangent, reads=_reads)


@vmap("low_high")
def _vmap(
    info: Any, in_dims: tuple[int | None, ...], x: Tensor, responses: Tensor, dims: int
) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
    x_dim, responses_dim, _ = in_dims
    size = info.batch_size
    low_high = torch.ops.freqops.low_high
    if responses_dim is None:
        return low_high(leading(x, x_dim, size), responses, dims), (1, 1)
    responses = leading(responses, responses_dim, size)
    if x_dim is None:
        low, high = low_high(x, responses.flatten(0, 1).contiguous(), dims)
        return (low.unflatten(0, (size, -1)), high.unflatten(0, (size, -1))), (0, 0)
    per_channel = responses.dim() > dims + 2
    planes = fold(leading(x, x_dim, size), dims, per_channel)
    low, high = low_high(planes, fold(responses, dims, per_channel).contiguous(), dims)
    low, low_dim = unfold(low, dims, per_channel, size)
    high, high_dim = unfold(high, dims, per_channel, size)
    return (low, high), (low_dim, high_dim)
