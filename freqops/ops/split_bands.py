"""split_bands: R band passes and what they leave out, so that the bands add up to the image."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from freqops import filters
from freqops.ops._batching import fold, leading, unfold
from freqops.ops._checks import check_image
from freqops.ops._derivatives import Inputs, Needs, call, register_derivatives, total
from freqops.ops._layout import slabs_like_input
from freqops.ops._registration import fake, vmap
from freqops.ops._responses import as_cutoffs, correlation_per_response, response_for


def split_bands2d(
    x: Tensor,
    cutoffs: Sequence[float] | Tensor,
    *,
    unit: filters.Unit = "cycles",
    norm: filters.Norm = "l2",
    inclusive: bool = False,
) -> Tensor:
    """Images split into frequency bands, ascending, whose sum is the image.

    Band r holds the frequencies from cutoff r-1 up to, without, cutoff r; the last one those from
    the last cutoff on. One forward transform serves all bands; the last costs a subtraction.

    Args:
        x: [..., H, W], float32, float64, float16 or bfloat16.
        cutoffs: R ascending frequencies in ``unit``, a sequence or Tensor [R]; the bands are ideal,
            so nothing flows back to them.
        unit: ``"cycles"`` per pixel, ``"nyquist"`` or ``"bins"``, as for
            :func:`freqops.filters.low_pass`.
        norm: ``"l2"``, ``"linf"`` or ``"l1"``.
        inclusive: a frequency equal to a cutoff belongs to the band below it, not above.

    Returns:
        [R+1, ..., H, W], dtype and memory format of x per band.

    Raises:
        ValueError: a shape or option does not fit; cutoffs are negative, NaN, none or descending.
        TypeError: x or cutoffs is of another type.

    Example:
        >>> images = torch.rand(8, 3, 32, 32)
        >>> bands = split_bands2d(images, [0.125, 0.25])
        >>> torch.allclose(bands.sum(0), images, atol=1e-5)
        True
    """
    check_image("split_bands2d", x, 2)
    filters.check_options("split_bands2d", "ideal", norm, unit)
    edges = as_cutoffs("split_bands2d", "cutoffs", cutoffs)
    _check_ascending(edges)
    responses = response_for(x, 2, _bands, edges, unit=unit, norm=norm, inclusive=inclusive)
    bands: Tensor = call(torch.ops.freqops.split_bands.default, x, responses, 2)
    return bands


def _check_ascending(edges: tuple[float, ...] | Tensor) -> None:
    if isinstance(edges, Tensor):
        if torch.compiler.is_compiling() or edges.device.type == "meta":
            return  # no values to look at
        edges = tuple(torch.func.debug_unwrap(edges.detach()).flatten().tolist())
    if any(upper < lower for lower, upper in itertools.pairwise(edges)):
        raise ValueError(f"split_bands2d: cutoffs must be ascending, got {list(edges)}")


def _bands(size: tuple[int, ...], edges: Any, *, device: torch.device, **options: Any) -> Tensor:
    if not isinstance(edges, Tensor):  # float64: rounded to float32 one could move across a bin
        edges = torch.tensor(edges, dtype=torch.float64, device=device)
    below = filters.low_pass(size, edges, device=device, **options)
    return torch.cat([below[:1], below[1:] - below[:-1]])


@fake("split_bands")
def _fake(x: Tensor, responses: Tensor, dims: int) -> Tensor:
    return slabs_like_input(x, responses.shape[0] + 1)


def _backward(inputs: Inputs, needs: Needs, gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    """The last band is x - sum_r F(x, K_r): its gradient passes to x, and negated to every band."""
    x, responses, dims = inputs
    if gradient is None:
        return None, None, None
    filtered, rest = gradient[:-1] - gradient[-1], gradient[-1]
    dx = d_responses = None
    if needs[0]:
        dx = torch.ops.freqops.filter_bank_adjoint(filtered, responses, None, dims) + rest
    if needs[1]:
        channels = responses.shape[1] if responses.dim() > dims + 1 else 0
        d_responses, _ = correlation_per_response(x, filtered, channels, dims)
    return dx, d_responses, None


def _tangent(inputs: Inputs, tangents: Inputs) -> Tensor:
    x, responses, dims = inputs
    dx, d_responses, _ = tangents
    by_x = by_responses = None
    if dx is not None:
        by_x = torch.ops.freqops.split_bands(dx, responses, dims)
    if d_responses is not None:
        moved = torch.ops.freqops.filter_bank(x, d_responses, None, dims)
        by_responses = torch.cat([moved, -moved.sum(0, keepdim=True)])
    return total(by_x, by_responses)


def _reads(needs: Needs) -> Needs:
    return needs[1], True, False


register_derivatives("split_bands", backward=_backward, jvp=_tangent, reads=_reads)


@vmap("split_bands")
def _vmap(
    info: Any, in_dims: tuple[int | None, ...], x: Tensor, responses: Tensor, dims: int
) -> tuple[Tensor, int]:
    x_dim, responses_dim, _ = in_dims
    size = info.batch_size
    if responses_dim is None:
        return torch.ops.freqops.split_bands(leading(x, x_dim, size), responses, dims), 1
    responses = leading(responses, responses_dim, size)
    per_channel = responses.dim() > dims + 2
    planes = fold(leading(x, x_dim, size), dims, per_channel)
    bands = torch.ops.freqops.split_bands(
        planes, fold(responses, dims, per_channel).contiguous(), dims
    )
    return unfold(bands, dims, per_channel, size)
