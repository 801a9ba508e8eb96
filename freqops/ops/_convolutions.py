"""The three convolution ops, each the derivative of one trilinear form (_convolution_composition).

``fft_conv`` makes y of x and w, ``fft_conv_adjoint`` x of y and w, ``fft_conv_correlation`` w of x
and y; the gradients and tangents of each are made by the other two and itself. All take the numbers
of a :class:`Geometry` and the size of what they make, and compute in float32, or float64 if one
input is. Their results are not rounded to half types: a bias may come before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from freqops.ops import _convolution_composition, _cuda
from freqops.ops._batching import leading
from freqops.ops._convolution_rules import (
    Geometry,
    bands,
    check_geometry,
    fits_transform,
    grids,
    work_dtype,
)
from freqops.ops._derivatives import Inputs, Needs, call, register_derivatives, total
from freqops.ops._layout import in_format_of, is_channels_last, without_autocast
from freqops.ops._pooling_rules import shape_of
from freqops.ops._registration import define, fake, vmap

_NUMBERS = (
    "SymInt[] size, SymInt[] stride, SymInt[] padding, SymInt[] dilation, SymInt groups, "
    "SymInt[] grid, SymInt[] band, float compression"
)
_COMPOSITION = "torch.fft composition"  # as explain calls it
# What an op is named after, what it is given, and the places of these in (x, weight, y).
_OPS = {
    "fft_conv": ("x", "weight"),
    "fft_conv_adjoint": ("y", "weight"),
    "fft_conv_correlation": ("x", "y"),
}


def convolved(
    name: str,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    size: Sequence[int],
    geometry: Geometry,
) -> Tensor:
    """Planes [..., Cin, ...] convolved to [..., Cout, *size]; the arguments are checked before.

    Raises:
        ValueError: the transforms would be too large.
    """
    dims = len(geometry.stride)
    if not torch.compiler.is_compiling():  # traced sizes must not be tied to a bound
        grid = grids(x.shape[-dims:], weight.shape[2:], size, geometry)
        if not fits_transform(grid):
            raise ValueError(
                f"{name}: x with its padding must fit a grid of at most 2**26 samples, got "
                f"{' x '.join(map(str, grid))}"
            )
    planes = x.reshape(-1, *x.shape[-dims - 1 :]) if x.dim() != dims + 2 else x
    dtype = work_dtype(x)
    if weight.dtype == torch.float64:  # half types as they are: so their spectra can be kept
        weight = weight.to(dtype)
    op = torch.ops.freqops.fft_conv.default
    y: Tensor = call(op, planes, weight, list(size), *_listed(geometry))
    if bias is not None:
        y = y + bias.to(dtype).reshape(-1, *[1] * dims)
    if x.dim() != dims + 2:
        y = y.reshape(*x.shape[: -dims - 1], *y.shape[1:])
    return in_format_of(x, y.to(x.dtype), dims)


def _listed(geometry: Geometry) -> tuple[Any, ...]:
    """As the ops take it."""
    *numbers, compression = geometry
    values = [list(value) if isinstance(value, tuple) else value for value in numbers]
    return *values, float(compression)


# --- the ops ------------------------------------------------------------------------------------


def _made(name: str, one: Any, other: Any, size: Sequence[int], geometry: Geometry) -> list[int]:
    """The shape of what an op makes of two tensors, or of their shapes."""
    first, second = shape_of(one), shape_of(other)
    if name == "fft_conv":
        return [first[0], second[0], *size]
    if name == "fft_conv_adjoint":
        return [first[0], second[1] * geometry.groups, *size]
    return [second[1], first[1] // geometry.groups, *size]


def _register(name: str) -> None:
    compute: Callable[..., Tensor] = getattr(_convolution_composition, name)
    inputs = ", ".join(f"Tensor {one}" for one in _OPS[name])

    def shapes(one: Tensor, other: Tensor, size: Sequence[int], *numbers: Any) -> Tensor:
        made = _made(name, one, other, size, _geometry(numbers))
        return _empty(name, one, made, work_dtype(one, other), one.device)

    def implementation(one: Tensor, other: Tensor, size: Sequence[int], *numbers: Any) -> Tensor:
        geometry = _geometry(numbers)
        check_geometry(name, one, other, size, geometry)
        with without_autocast(one.device):
            y = compute(one, other, size, geometry)
        # As the fake has it, sides of 1 included.
        if y.stride() == _empty(name, one, y.shape, y.dtype, "meta").stride():
            return y
        return _empty(name, one, y.shape, y.dtype, y.device).copy_(y)

    define(f"{name}({inputs}, {_NUMBERS}) -> Tensor", implementation)
    fake(name)(shapes)


def _empty(
    name: str, one: Tensor, shape: Sequence[int], dtype: torch.dtype, device: torch.device | str
) -> Tensor:
    """channels_last for maps made of one that is, contiguous elsewhere."""
    out = one.new_empty(shape, dtype=dtype, device=device)
    if name != "fft_conv_correlation" and is_channels_last(one):
        return torch.empty_like(out, memory_format=torch.channels_last)
    return out


def _geometry(numbers: Inputs) -> Geometry:
    stride, padding, dilation, groups, grid, band, compression = numbers
    steps = (tuple(stride), tuple(padding), tuple(dilation))
    return Geometry(*steps, groups, tuple(grid), tuple(band), compression)


for _name in _OPS:
    _register(_name)


def convolution_path(name: str, arguments: Inputs, device: torch.device) -> tuple[str, list[str]]:
    """What computes a call of one of the ops, and how it goes about it, in words."""
    one, other, size, *numbers = arguments
    geometry = _geometry(tuple(numbers))
    made = _made(name, one, other, size, geometry)
    shapes = {of: list(shape_of(t)) for of, t in zip(_OPS[name], (one, other), strict=True)}
    x, weight, y = (shapes.get(of, made)[2:] for of in ("x", "weight", "y"))
    share = shapes["weight"][1] if "weight" in shapes else made[1]
    alone = share == 1  # each channel by itself: kernels of ours
    if alone and name != "fft_conv_correlation":
        grid = _convolution_composition.filter_grid(one, x, weight, y, geometry, device)
    else:
        grid = grids(x, weight, y, geometry)
    words = " x ".join(map(str, grid))
    why = [f"on a grid of {words} samples"]
    if geometry.cuts:
        kept = ", ".join(f"0 to {n}" for n in bands(grid, geometry))
        why.append(f"frequencies kept: {kept} of {', '.join(str(side // 2) for side in grid)}")
    if not alone:
        return _COMPOSITION, [*why, "a product of matrices of channels per frequency"]
    if name == "fft_conv_correlation":
        kernel = _correlation_kernel(one, shapes["x"][0], grid, device)
        return kernel, [*why, "each channel's spectra multiplied and summed over the images"]
    # What is filtered is x, or y with zeros where a stride leaves samples out.
    lattice = [step * (n - 1) + 1 for step, n in zip(geometry.stride, y, strict=True)]
    sides = (x, lattice) if name == "fft_conv" else (lattice, x)
    kernel = _filter_kernel(one, sides, grid, device)
    return kernel, [*why, "each channel filtered by itself"]


def _filter_kernel(
    planes: Tensor,
    sides: tuple[Sequence[int], Sequence[int]],
    grid: Sequence[int],
    device: torch.device,
) -> str:
    """What computes fft_filter_padded for planes of the first sides, to the second."""
    kernels, form = _cuda.kernels_on(device), "none"
    if device.type == "cpu":
        return "fft_filter_padded kernel"
    if kernels is not None:
        form = kernels.padded_form(planes, sides[0], grid, sides[1], device)
    return _COMPOSITION if form == "none" else f"fft_filter_padded kernel, {form} form"


def _correlation_kernel(
    planes: Tensor, images: int, grid: Sequence[int], device: torch.device
) -> str:
    """What computes spectral_correlation on the grid."""
    if _convolution_composition.correlates_by_torch(images, device):
        return _COMPOSITION
    kernels = _cuda.kernels_on(device)
    if device.type == "cpu":
        return "spectral_correlation kernel"
    taken = kernels is not None and kernels.correlates_on(planes, grid, device)
    return "spectral_correlation kernels, on padded planes" if taken else _COMPOSITION


# --- derivatives --------------------------------------------------------------------------------


def _sizes(tensor: Any) -> list[int]:
    return list(shape_of(tensor)[2:])


def _conv_backward(inputs: Inputs, needs: Needs, g: Tensor | None) -> tuple[Tensor | None, ...]:
    x, weight, _, *numbers = inputs
    dx = d_weight = None
    if g is not None and needs[0]:
        dx = torch.ops.freqops.fft_conv_adjoint(g, weight, _sizes(x), *numbers)
    if g is not None and needs[1]:
        d_weight = torch.ops.freqops.fft_conv_correlation(x, g, _sizes(weight), *numbers)
    return dx, d_weight, *[None] * 8


def _adjoint_backward(inputs: Inputs, needs: Needs, g: Tensor | None) -> tuple[Tensor | None, ...]:
    y, weight, _, *numbers = inputs
    dy = d_weight = None
    if g is not None and needs[0]:
        dy = torch.ops.freqops.fft_conv(g, weight, _sizes(y), *numbers)
    if g is not None and needs[1]:
        d_weight = torch.ops.freqops.fft_conv_correlation(g, y, _sizes(weight), *numbers)
    return dy, d_weight, *[None] * 8


def _correlation_backward(
    inputs: Inputs, needs: Needs, g: Tensor | None
) -> tuple[Tensor | None, ...]:
    x, y, _, *numbers = inputs
    dx = dy = None
    if g is not None and needs[0]:
        dx = torch.ops.freqops.fft_conv_adjoint(y, g, _sizes(x), *numbers)
    if g is not None and needs[1]:
        dy = torch.ops.freqops.fft_conv(x, g, _sizes(y), *numbers)
    return dx, dy, *[None] * 8


def _reads(needs: Needs) -> Needs:
    """Each factor's gradient is made of the other one."""
    return needs[1], needs[0], *[False] * 8


def _tangent_of(name: str) -> Callable[[Inputs, Inputs], Tensor]:
    def tangent(inputs: Inputs, tangents: Inputs) -> Tensor:
        op = getattr(torch.ops.freqops, name)
        one, other, *rest = inputs
        d_one, d_other, *_ = tangents
        by_one = None if d_one is None else op(d_one, other, *rest)
        by_other = None if d_other is None else op(one, d_other, *rest)
        return total(by_one, by_other)

    return tangent


for _name, _backward in (
    ("fft_conv", _conv_backward),
    ("fft_conv_adjoint", _adjoint_backward),
    ("fft_conv_correlation", _correlation_backward),
):
    register_derivatives(_name, backward=_backward, jvp=_tangent_of(_name), reads=_reads)


# --- vmap ---------------------------------------------------------------------------------------


def _map(name: str) -> None:
    def mapped(info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> tuple[Tensor, int]:
        op = getattr(torch.ops.freqops, name)
        one, other, size, stride, padding, dilation, groups, *rest = arguments
        batch = info.batch_size
        one = leading(one, in_dims[0], batch)
        if in_dims[1] is None and name != "fft_conv_correlation":  # more images
            y = op(one.flatten(0, 1), *arguments[1:])
            return y.unflatten(0, (batch, -1)), 0
        # More groups: one has its channels on the second axis, and so has a map; a weight's outputs
        # are on its first.
        other = leading(other, in_dims[1], batch)
        one = one.movedim(0, 1).flatten(1, 2)
        if name == "fft_conv_correlation":
            other = other.movedim(0, 1).flatten(1, 2)
        else:
            other = other.flatten(0, 1)
        y = op(one, other, size, stride, padding, dilation, groups * batch, *rest)
        if name == "fft_conv_correlation":
            return y.unflatten(0, (batch, -1)), 0
        return y.unflatten(1, (batch, -1)), 1

    vmap(name)(mapped)


for _name in _OPS:
    _map(_name)
