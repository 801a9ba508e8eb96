"""Taps, strides and padding on their way to an op: one entry per axis, in the form it takes."""

from __future__ import annotations

import functools
import numbers
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from freqops.filters import binomial_taps, check_count
from freqops.ops._checks import check_device
from freqops.ops._layout import compute_dtype
from freqops.ops._responses import kept_for

Taps: TypeAlias = "int | Tensor | Sequence[int | Tensor]"
Stride: TypeAlias = "int | Sequence[int]"
Padding: TypeAlias = "int | Sequence[int | Sequence[int]] | None"

PADDING_MODES = ("reflect", "replicate", "zeros", "circular")
_Answer = TypeVar("_Answer")
_SIDES = {1: "N", 2: "H, W", 3: "D, H, W"}


def is_integer(value: object) -> bool:
    """Whether a value is an integer: numpy's and traced ones included, booleans not."""
    kinds = (int, torch.SymInt, numbers.Integral)
    return isinstance(value, kinds) and not isinstance(value, bool)


def remembered(function: Callable[..., _Answer]) -> Callable[..., _Answer]:
    """Works an answer about plain numbers out once: checks in Python cost more than a small kernel.

    What comes back is shared between calls, not to be written to.
    """
    cached = functools.lru_cache(maxsize=1024, typed=True)(function)

    @functools.wraps(function)
    def answer(*arguments: Any) -> _Answer:
        if torch.compiler.is_compiling():
            return function(*arguments)
        try:
            hash(arguments)
        except TypeError:  # lists, traced sizes
            return function(*arguments)
        return cached(*arguments)

    return answer


# --- taps ---------------------------------------------------------------------------------------


def check_taps(op: str, taps: object, dims: int, *, argument: str = "taps") -> None:
    """Checks taps for ``dims`` axes, as far as that goes without x.

    Raises:
        TypeError: they are no integer, floating-point Tensor or one of these per axis.
        ValueError: there are none, or their shape has no meaning.
    """
    if type(taps) is int and taps > 0:
        return
    if isinstance(taps, (tuple, list)):
        if len(taps) != dims:
            entries = "1 entry" if dims == 1 else f"{dims} entries"
            raise ValueError(
                f"{op}: {argument} must be one for all axes or hold {entries}, got {len(taps)}"
            )
        for one in taps:
            _check_axis_taps(op, one, argument, most=2)
    else:
        _check_axis_taps(op, taps, argument, most=dims + 1)


def _check_axis_taps(op: str, taps: object, argument: str, most: int) -> None:
    if is_integer(taps):
        check_count(op, argument, taps)
        return
    if not isinstance(taps, Tensor) or not taps.is_floating_point():
        got = taps.dtype if isinstance(taps, Tensor) else type(taps).__name__
        raise TypeError(
            f"{op}: {argument} must be an integer or a floating-point Tensor, got {got}"
        )
    if taps.dim() not in (1, 2, most) or 0 in taps.shape:
        shapes = "[k] or [C, k]" if most == 2 else f"[k], [C, k] or [C{', k' * (most - 1)}]"
        raise ValueError(
            f"{op}: {argument} must have shape {shapes}, none of them 0, got {list(taps.shape)}"
        )


def is_separable(taps: object) -> bool:
    """Whether taps are one filter per axis; [C, k, k] is a single one for all axes together."""
    return not isinstance(taps, Tensor) or taps.dim() < 3


def taps_per_axis(
    op: str, x: Tensor, taps: Any, dims: int, *, argument: str = "taps"
) -> tuple[Tensor, ...]:
    """One tensor for each axis, in x's compute dtype: all [k], or all [C, k].

    Args:
        op: name in messages.
        x: the image, checked before.
        taps: checked by :func:`check_taps`, and separable.
        dims: number of axes.
        argument: name in messages.

    Raises:
        ValueError: taps are on another device, or there are not as many channels as in x.
    """
    if isinstance(taps, (tuple, list)):
        ready = tuple(_ready(op, x, one, argument) for one in taps)
    else:
        ready = (_ready(op, x, taps, argument),) * dims
    if all(one.dim() == 1 for one in ready):
        return ready
    for one in ready:
        if one.dim() > 1:
            check_channels(op, x, one, dims, argument=argument)
    channels = x.shape[-dims - 1]
    return tuple(per_channel(one, channels) for one in ready)


def per_channel(taps: Tensor, channels: int) -> Tensor:
    """Taps [k] for every channel: [C, k]."""
    return taps if taps.dim() > 1 else taps.expand(channels, -1).contiguous()


def check_channels(op: str, x: Tensor, taps: Tensor, dims: int, *, argument: str = "taps") -> None:
    """Checks that x has as many channels as there are taps.

    Raises:
        ValueError: it has not.
    """
    if x.dim() <= dims or x.shape[-dims - 1] != taps.shape[0]:
        raise ValueError(
            f"{op}: x must have shape [..., {taps.shape[0]}, {_SIDES[dims]}] for {argument} of "
            f"{taps.shape[0]} channels, got {list(x.shape)}"
        )


def _ready(op: str, x: Tensor, taps: int | Tensor, argument: str) -> Tensor:
    if not isinstance(taps, Tensor):
        return binomial(x, operator.index(taps))  # a traced count is a constant
    check_device(op, x, taps, argument=argument)
    dtype = compute_dtype(x.dtype)
    return (taps if taps.dtype == dtype else taps.to(dtype)).contiguous()


def binomial(x: Tensor, count: int) -> Tensor:
    """Binomial taps where x is, in its compute dtype; shared between calls, not to be written."""
    dtype = compute_dtype(x.dtype)
    key = (binomial_taps, count, dtype, x.device)
    return kept_for(x, key, lambda: binomial_taps(count, dtype=dtype, device=x.device))


def tap_counts(taps: Any, dims: int) -> tuple[int, ...]:
    """How many taps each axis has, of taps as the user gave them."""
    if isinstance(taps, (tuple, list)):
        return tuple(one.shape[-1] if isinstance(one, Tensor) else int(one) for one in taps)
    if not isinstance(taps, Tensor):
        return (int(taps),) * dims
    return (taps.shape[-1],) * dims if taps.dim() < 3 else tuple(taps.shape[1:])


# --- numbers ------------------------------------------------------------------------------------


def counts_per_axis(
    op: str, argument: str, value: Any, dims: int, *, least: int = 1
) -> tuple[int, ...]:
    """One integer for each axis, from an integer or a sequence of them.

    Raises:
        TypeError: one is not an integer.
        ValueError: one is below ``least``, or there are not as many as axes.
    """
    each = tuple(value) if isinstance(value, (tuple, list, torch.Size)) else (value,) * dims
    if len(each) != dims:
        raise ValueError(
            f"{op}: {argument} must be one integer or {dims}, one per axis, got {len(each)}"
        )
    for one in each:
        if not is_integer(one):
            raise TypeError(f"{op}: {argument} must be an integer, got {type(one).__name__}")
        if one < least:
            raise ValueError(f"{op}: {argument} must be at least {least}, got {one}")
    return each


def check_mode(op: str, padding_mode: object) -> None:
    """Checks the name of a padding mode.

    Raises:
        ValueError: there is no such mode.
    """
    if padding_mode not in PADDING_MODES:
        names = ", ".join(repr(name) for name in PADDING_MODES)
        raise ValueError(f"{op}: padding_mode must be one of {names}, got {padding_mode!r}")


def padding_per_axis(
    op: str, padding: Padding, counts: Sequence[int], *, argument: str = "padding"
) -> list[int]:
    """[before, after] of each axis, one after the other.

    Args:
        op: name in messages.
        padding: None for the amounts that keep ceil(N / stride) outputs; an integer for every end;
            two integers (before, after) for every axis; or one of these per axis, at least one of
            them a pair.
        counts: taps of each axis.
        argument: name in messages.

    Raises:
        TypeError: an amount is not an integer.
        ValueError: the number of entries has no meaning.
    """
    if padding is None:
        return [amount for count in counts for amount in ((count - 1) // 2, count // 2)]
    if not isinstance(padding, (tuple, list)):
        return [_amount(op, argument, padding)] * (2 * len(counts))
    if len(padding) == 2 and not any(isinstance(entry, (tuple, list)) for entry in padding):
        return [_amount(op, argument, amount) for amount in padding] * len(counts)
    if len(padding) != len(counts) or not any(isinstance(e, (tuple, list)) for e in padding):
        raise ValueError(
            f"{op}: {argument} must be None, an integer, a pair (before, after) or "
            f"{len(counts)} of them, one per axis, got {padding!r}"
        )
    pairs = zip(padding, counts, strict=True)
    ends = [padding_per_axis(op, entry, [count], argument=argument) for entry, count in pairs]
    return [amount for pair in ends for amount in pair]


@remembered
def blur_numbers(
    op: str, dims: int, counts: tuple[int, ...], stride: Stride, padding: Padding, mode: str
) -> tuple[tuple[int, ...], list[int]]:
    """Stride of each axis and [before, after] of each axis.

    Raises:
        TypeError: a number is none.
        ValueError: a number, or the name of the padding mode, has no meaning.
    """
    check_mode(op, mode)
    steps = counts_per_axis(op, "stride", stride, dims)
    return steps, padding_per_axis(op, padding, counts)


def _amount(op: str, argument: str, amount: Any) -> int:
    if not is_integer(amount):
        raise TypeError(f"{op}: {argument} must be an integer, got {type(amount).__name__}")
    return amount  # type: ignore[no-any-return]


def output_sizes(
    op: str,
    sizes: Sequence[int],
    counts: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    what: str = "x",
) -> list[int]:
    """What the blur makes of an axis of each size.

    Raises:
        ValueError: with its padding an axis is shorter than the taps.
    """
    outputs = []
    for i, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        length = size + padding[2 * i] + padding[2 * i + 1]
        # A traced size must not be tied to a bound.
        if not torch.compiler.is_compiling() and length < count:
            raise ValueError(
                f"{op}: padding must leave at least {count} samples of {what} for {count} taps, "
                f"got {size} with padding ({padding[2 * i]}, {padding[2 * i + 1]})"
            )
        outputs.append((length - count) // stride[i] + 1)
    return outputs


# --- what a module keeps ------------------------------------------------------------------------


def fixed_taps(taps: Any, dims: int) -> list[Tensor]:
    """Copies of taps for buffers: one if all axes share it, else one per axis."""
    each = list(taps) if isinstance(taps, (tuple, list)) else [taps]
    return [
        one.detach().clone() if isinstance(one, Tensor) else binomial_taps(one, dtype=torch.float32)
        for one in each
    ]


class TapsModule(nn.Module):
    """A module with taps: buffers that add no state, or parameters.

    Args:
        op: name in messages.
        taps: as the functions take them.
        dims: number of axes.
    """

    def __init__(self, op: str, taps: Any, dims: int) -> None:
        super().__init__()
        check_taps(op, taps, dims)
        each = fixed_taps(taps, dims)
        axes = "dhw"[-dims:]
        self._names = ["taps"] if len(each) == 1 else [f"taps_{axis}" for axis in axes]
        for name, one in zip(self._names, each, strict=True):
            self.register_buffer(name, one, persistent=False)

    def _taps(self) -> Any:
        if len(self._names) == 1:
            return getattr(self, self._names[0])
        return tuple(getattr(self, name) for name in self._names)

    def _taps_in_words(self) -> str:
        each = [list(getattr(self, name).shape) for name in self._names]
        words = ", ".join(str(shape[0] if len(shape) == 1 else shape) for shape in each)
        return f"taps={words}" if len(each) == 1 else f"taps=({words})"
