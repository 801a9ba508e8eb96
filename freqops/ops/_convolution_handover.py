"""Calls whose like were handed to torch's own convolution before.

On a small map torch's convolution takes fifty microseconds, and as long again what precedes it in
Python: the checks of operands and numbers, the choice of a way. What they say depends on shapes,
strides, types and numbers alone; of calls that went to torch these are kept, with the numbers as
torch takes them, and the next call of the same kind goes there at once.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from freqops.ops import _notes

Kind: TypeAlias = "tuple[Any, ...] | None"
Numbers: TypeAlias = "tuple[Any, ...] | None"

_MOST_KINDS = 1024
# Subclasses, fake and traced tensors among them, may mean something else by the same shape.
_PLAIN = (Tensor, nn.Parameter)
_KINDS: dict[Kind, Numbers] = {}


def recognised(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    arguments: tuple[Any, ...],
    algorithm: str | None,
    dims: int,
) -> tuple[Kind, Numbers]:
    """All that the way of a call depends on, and its numbers if such a call was handed over before.

    Microseconds count here. Nothing is checked yet.

    Args:
        x: as the caller gave it.
        weight: likewise.
        bias: likewise.
        arguments: stride, padding, dilation and groups, likewise.
        algorithm: the one asked for.
        dims: number of axes.

    Returns:
        (kind, numbers): None for the kind where nothing is to be kept of the call; None for the
        numbers where nothing is known.
    """
    if torch.compiler.is_compiling() or type(x) not in _PLAIN or type(weight) not in _PLAIN:
        return None, None
    if bias is not None and type(bias) not in _PLAIN:
        return None, None
    if torch.is_autocast_enabled("cuda" if x.is_cuda else "cpu"):
        return None, None
    if _notes.LISTENER.get() is not None:
        return None, None
    try:
        step, ends, spread, groups = arguments
        kind = (  # one flat tuple: what is nested takes longer
            x.shape,
            x.stride(),
            x.dtype,
            x.device,
            x.requires_grad,
            weight.shape,
            weight.dtype,
            weight.device,
            weight.requires_grad,
            None if bias is None else (bias.shape, bias.dtype, bias.device),
            arguments,
            type(step),  # 1.0 equals 1, and is to be refused
            type(ends),
            type(spread),
            type(groups),
            algorithm,
            dims,
            torch.is_grad_enabled(),
        )
        return kind, _KINDS.get(kind)
    except (RuntimeError, TypeError):  # no strides; numbers in lists
        return None, None


def hand_over(kind: Kind, *numbers: Any) -> None:
    """Keeps that calls of a kind go to torch with these numbers."""
    if kind is None:
        return
    if len(_KINDS) >= _MOST_KINDS:
        _KINDS.clear()
    _KINDS[kind] = numbers
