"""What every op asks of its arguments: one sentence that names op, argument, expected and got."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

LARGEST_PLANE = 2**26  # the CPU kernels count the positions of a plane in 32 bits, lanes included
_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def check_image(op: str, x: object, dims: int, *, argument: str = "x", axes: int = 0) -> None:
    """Checks that x is a strided floating-point tensor whose last ``dims`` axes are not empty.

    Args:
        op: name in the message.
        x: what to check.
        dims: number of transformed axes.
        argument: name in the message.
        axes: least number of dimensions; default: dims.

    Raises:
        TypeError: x is no tensor, or of another dtype or layout.
        ValueError: too few dimensions, a transformed axis of length 0, or too large a plane.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{op}: {argument} must be a Tensor, got {type(x).__name__}")
    if x.dtype not in _DTYPES:
        raise TypeError(
            f"{op}: {argument} must be float32, float64, float16 or bfloat16, got {x.dtype}"
        )
    if x.layout is not torch.strided:
        raise TypeError(f"{op}: {argument} must be a strided tensor, got layout {x.layout}")
    least = axes or dims
    if x.dim() < least:
        plural = "s" if least > 1 else ""
        raise ValueError(
            f"{op}: {argument} must have at least {least} dimension{plural}, got {x.dim()}"
        )
    for size in x.shape[-dims:]:
        if size < 1:
            raise ValueError(
                f"{op}: {argument} must have at least 1 sample along each transformed axis, "
                f"got shape {list(x.shape)}"
            )
    # A traced size must not be tied to a bound: torch.export would refuse an axis without one.
    if not torch.compiler.is_compiling() and math.prod(x.shape[-dims:]) > LARGEST_PLANE:
        raise ValueError(
            f"{op}: {argument} must have at most 2**26 samples per plane, got shape {list(x.shape)}"
        )


def check_response(
    op: str, x: Tensor, response: object, dims: int, *, argument: str = "response", bank: int = 0
) -> None:
    """Checks that a response fits x: the half spectrum's shape, or one such per channel of x.

    Args:
        op: name in the message.
        x: the image, checked before.
        response: what to check.
        dims: number of transformed axes.
        argument: name in the message.
        bank: 1 where a leading axis R counts responses.

    Raises:
        TypeError: response is no strided tensor.
        ValueError: its shape does not fit x, or it is on another device.
    """
    if not isinstance(response, Tensor) or response.layout is not torch.strided:
        got = response.layout if isinstance(response, Tensor) else type(response).__name__
        raise TypeError(f"{op}: {argument} must be a strided Tensor, got {got}")
    half = [*x.shape[-dims:-1], x.shape[-1] // 2 + 1]
    shape = list(response.shape)
    channels = len(shape) - dims - bank
    if channels not in (0, 1) or shape[-dims:] != half:
        count = "R, " if bank else ""
        sides = ", ".join(str(side) for side in half)
        raise ValueError(
            f"{op}: {argument} must have shape [{count}{sides}] or [{count}C, {sides}], got {shape}"
        )
    if channels and (x.dim() <= dims or x.shape[-dims - 1] != shape[bank]):
        sides = ", ".join(str(side) for side in [shape[bank], *x.shape[-dims:]])
        raise ValueError(
            f"{op}: x must have shape [..., {sides}] for {argument} of {shape[bank]} channels, "
            f"got {list(x.shape)}"
        )
    if bank and shape[0] < 1:
        raise ValueError(f"{op}: {argument} must hold at least 1 response, got shape {shape}")
    check_device(op, x, response, argument=argument)


def check_device(op: str, x: Tensor, other: Tensor, *, argument: str, first: str = "x") -> None:
    """Checks that two tensors are on the same device.

    Raises:
        ValueError: they are not.
    """
    if other.device != x.device:
        raise ValueError(f"{op}: {argument} must be on {x.device} like {first}, got {other.device}")


def check_out(
    op: str,
    x: Tensor,
    out: object,
    *,
    recorded: bool,
    argument: str = "out",
    shape: Sequence[Any] | None = None,
) -> None:
    """Checks the tensor a result is to be written to.

    Args:
        op: the op's name.
        x: the input.
        out: the tensor.
        recorded: whether a gradient is.
        argument: what out is called.
        shape: of the result; None is that of x.

    Raises:
        TypeError: out is no tensor or of another dtype.
        ValueError: out has another shape or device, overlaps itself or x, or a gradient is
            recorded, which could not flow through it.
    """
    what, expected = f"{op}: {argument}", list(x.shape if shape is None else shape)
    if not isinstance(out, Tensor):
        raise TypeError(f"{what} must be a Tensor, got {type(out).__name__}")
    if out.dtype != x.dtype:
        raise TypeError(f"{what} must be {x.dtype} like x, got {out.dtype}")
    if list(out.shape) != expected:
        raise ValueError(f"{what} must have shape {expected}, got {list(out.shape)}")
    check_device(op, x, out, argument=argument)
    if recorded:
        raise ValueError(f"{what} must be None where a gradient is recorded, got a Tensor")
    if any(size > 1 and not stride for size, stride in zip(out.shape, out.stride(), strict=True)):
        raise ValueError(f"{what} must not overlap itself, got strides {list(out.stride())}")
    if torch.compiler.is_compiling():  # tensors have no memory yet, and out is copied to
        return
    memory = out.untyped_storage().data_ptr()
    if memory and memory == x.untyped_storage().data_ptr():
        raise ValueError(f"{what} must not share memory with x, got a tensor that does")
