"""Derivatives and vmap of the pooling ops: rules that the blur and the maximum before it share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from freqops.ops._batching import fold, leading, unfold
from freqops.ops._derivatives import Inputs, Needs, total
from freqops.ops._layout import compute_dtype
from freqops.ops._taps import binomial, per_channel


def output_shape(
    sizes: Sequence[Any], taps_h: Tensor, taps_w: Tensor, stride: Any, padding: Any
) -> list[Any]:
    """What the blur makes of an axis of each size, which may be traced."""
    return [
        (sizes[i] + padding[2 * i] + padding[2 * i + 1] - taps.shape[-1]) // stride[i] + 1
        for i, taps in enumerate((taps_h, taps_w))
    ]


# y = B(x, h, w) is linear in the map and in the taps of each axis, and so is its transpose A:
#   dx = A(dy, h, w),  dh[i] = <dy, B(x, e_i, w)>,  where e_i is tap i alone.


def taps_gradients(
    x: Tensor, y: Tensor, inputs: Inputs, needs: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients for the taps of <y, B(x, taps_h, taps_w)>, in the dtype of the taps.

    A tap alone is a sample of the padded map moved to its place: k small steps per axis, each a
    call of the op with one tap, after one that filters the other axis.

    Args:
        x: the map that is blurred.
        y: what its blur is multiplied by.
        inputs: taps_h, taps_w, stride, padding, padding_mode.
        needs: which of the taps need a gradient.
    """
    taps, (stride, padding, mode) = inputs[:2], inputs[2:]
    # Half types: sums of products as exact as those of the forward map.
    x, y = (tensor.to(compute_dtype(tensor.dtype)) for tensor in (x, y))
    gradients: list[Tensor | None] = [None, None]
    for axis in (0, 1):
        if needs[axis]:
            gradients[axis] = _axis_gradient(x, y, taps, axis, stride, padding, mode)
    return gradients


def _axis_gradient(
    x: Tensor, y: Tensor, taps: Inputs, axis: int, stride: Any, padding: Any, mode: str
) -> Tensor:
    op = torch.ops.freqops.blur_pool
    other = 1 - axis
    count = _length(taps[axis])
    one = torch.ones(1, dtype=x.dtype, device=x.device)
    passed = one if _is_shared(taps[other]) else one.expand(x.shape[-3], 1).contiguous()
    filters, steps = [passed, passed], [1, 1]
    filters[other], steps[other] = taps[other], stride[other]
    work = op(x, *filters, steps, _only(padding, other), mode)
    steps = [1, 1]
    steps[axis] = stride[axis]
    products = []
    for tap in range(count):
        ends = [0, 0, 0, 0]
        ends[2 * axis] = padding[2 * axis] - tap
        ends[2 * axis + 1] = padding[2 * axis + 1] - count + 1 + tap
        products.append((op(work, one, one, steps, ends, mode) * y).sum((-2, -1)))
    summed = torch.stack(products, -1)  # [..., (C,) k]
    kept = 1 if _is_shared(taps[axis]) else 2
    return summed.flatten(0, -kept - 1).sum(0) if summed.dim() > kept else summed


def _only(padding: Any, axis: int) -> list[Any]:
    return [amount if i // 2 == axis else 0 for i, amount in enumerate(padding)]


def shape_of(taps: Any) -> Any:
    """Of a tensor, or of one that was not kept for the backward pass."""
    return taps.shape if isinstance(taps, Tensor) else taps


def _length(taps: Any) -> int:
    length: int = shape_of(taps)[-1]
    return length


def _is_shared(taps: Any) -> bool:
    return len(shape_of(taps)) == 1


def multilinear_tangent(
    op: Any, inputs: Inputs, tangents: Inputs, factors: Sequence[int]
) -> Tensor:
    """The tangent of an op that is linear in each of these inputs: a call for each that moves.

    Args:
        op: to call.
        inputs: of the op.
        tangents: of the inputs, None where there is none.
        factors: places of those inputs; the last two are the taps.
    """
    terms = []
    for i in factors:
        if tangents[i] is not None:
            # A tangent may lie in memory as it likes; the kernels read taps one after the other.
            moved = tangents[i].contiguous() if i in factors[-2:] else tangents[i]
            terms.append(op(*inputs[:i], moved, *inputs[i + 1 :]))
    return total(*terms) if terms else torch.zeros_like(op(*inputs))


def map_pooling(
    op: Any, size: int, maps: int, in_dims: Sequence[int | None], arguments: Inputs
) -> tuple[Tensor, int]:
    """A pooling op over a batch axis: more leading dimensions, or with its taps more channels.

    Args:
        op: to call.
        size: of the batch.
        maps: how many of the first arguments are maps; the taps of both axes follow.
        in_dims: places of the batch axis.
        arguments: of the op.
    """
    images, taps = arguments[:maps], arguments[maps : maps + 2]
    rest = arguments[maps + 2 :]
    images = tuple(leading(x, in_dims[i], size) for i, x in enumerate(images))
    if in_dims[maps] is None and in_dims[maps + 1] is None:
        return op(*images, *(one.contiguous() for one in taps), *rest), 0
    taps = tuple(leading(one, in_dims[maps + i], size) for i, one in enumerate(taps))
    own_taps = taps[0].dim() > 2
    images = tuple(fold(x, 2, own_taps) for x in images)
    taps = tuple((one.flatten(0, 1) if own_taps else one).contiguous() for one in taps)
    return unfold(op(*images, *taps, *rest), 2, own_taps, size)


def reads_of_blur(needs: Needs) -> Needs:
    """What the backward of a map and the taps of its two axes reads: the other factors of each."""
    by_x, by_h, by_w, *rest = needs
    return by_h or by_w, by_x or by_w, by_x or by_h, *(False for _ in rest)


def as_planes(
    x: Tensor, taps: Sequence[Tensor], stride: Sequence[int], padding: Sequence[int]
) -> tuple[Tensor, tuple[Tensor, ...], list[int], list[int]]:
    """Signals as planes of height 1, whose one row is left as it is."""
    if len(stride) == 2:
        return x, tuple(taps), list(stride), list(padding)
    (across,) = taps
    along = binomial(x, 1)
    if across.dim() > 1:
        along = per_channel(along, across.shape[0])
    return x.unsqueeze(-2), (along, across), [1, *stride], [0, 0, *padding]
