"""separable: a matrix along each axis of every plane; it stays internal, under spectral pooling.

    y = R x C^T + p_h (q_h^T x q_w) p_w^T

with rows R [h, H], columns C [w, W] (None leaves an axis as it is) and, where the map is not quite
separable, the vectors p and q of both axes in one, ``outer``. ``mirrored`` is a promise that
``A[-m, -n] == A[m, n]`` for both matrices, indices modulo their sizes: a kernel may read the first
half of the rows only. Derivatives are those of the formula, for matrices that keep the promise.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from freqops.ops._batching import leading
from freqops.ops._composition import product_of_planes
from freqops.ops._derivatives import Inputs, Needs, register_derivatives, total
from freqops.ops._layout import compute_dtype, like_pooled, without_autocast
from freqops.ops._registration import fake, vmap


@fake("separable")
def _fake(
    x: Tensor, rows: Tensor | None, columns: Tensor | None, outer: Tensor | None, mirrored: bool
) -> Tensor:
    height = x.shape[-2:-1] if rows is None else rows.shape[:1]
    return like_pooled(x, [*height, x.shape[-1] if columns is None else columns.shape[0]])


@fake("resize_spectrum")
def _fake_resized(
    x: Tensor, row_gains: Tensor, column_gains: Tensor, size: Any, two_corner: bool
) -> Tensor:
    return like_pooled(x, size if len(size) == 2 else [*x.shape[-2:-1], *size])


# --- derivatives --------------------------------------------------------------------------------


def _transposed(matrix: Tensor | None) -> Tensor | None:
    return None if matrix is None else matrix.mT.contiguous()


def _vectors(outer: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, ...]:
    """p_h, q_h, p_w and q_w."""
    vectors: tuple[Tensor, ...] = torch.split(outer, [*rows.shape, *columns.shape])
    return vectors


def _backward(inputs: Inputs, needs: Needs, gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    x, rows, columns, outer, mirrored = inputs
    if gradient is None:
        return (None,) * 5
    dx = d_rows = d_columns = d_outer = None
    if needs[0]:
        swapped = None
        if outer is not None:
            p_h, q_h, p_w, q_w = _vectors(outer, rows, columns)
            swapped = torch.cat([q_h, p_h, q_w, p_w])
        op = torch.ops.freqops.separable
        dx = op(gradient, _transposed(rows), _transposed(columns), swapped, mirrored)
    if any(needs[1:4]):
        # Half types: sums of products as exact as those of the forward map.
        work = x.to(compute_dtype(x.dtype))
        gradient = gradient.to(work.dtype)
        if needs[1]:
            d_rows = _rows_gradient(work, columns, gradient, mirrored)
        if needs[2]:
            d_columns = _columns_gradient(work, rows, gradient, mirrored)
        if needs[3]:
            d_outer = _outer_gradient(work, _vectors(outer, rows, columns), gradient)
    return dx, d_rows, d_columns, d_outer, None


# y = R z with z = x C^T, summed over planes: dR = sum g z^T; and likewise for C. Of many planes as
# many small products, then their sum: one long product would want copies, and is slower itself.

_PLANES_TOGETHER = 32


def _rows_gradient(x: Tensor, columns: Tensor | None, gradient: Tensor, mirrored: bool) -> Tensor:
    if columns is not None:
        x = torch.ops.freqops.separable(x, None, columns, None, mirrored)
    planes, others = (one.reshape(-1, *one.shape[-2:]) for one in (gradient, x))
    with without_autocast(x.device):
        return torch.bmm(planes, others.mT).sum(0)


def _columns_gradient(x: Tensor, rows: Tensor | None, gradient: Tensor, mirrored: bool) -> Tensor:
    if rows is not None:
        x = torch.ops.freqops.separable(x, rows, None, None, mirrored)
    count = math.prod(x.shape[:-2])
    portions = count
    if isinstance(count, int):  # no question about a traced size
        portions = count // _PLANES_TOGETHER if count % _PLANES_TOGETHER == 0 else count
        portions = max(portions, 1)
    planes, others = (one.reshape(portions, -1, one.shape[-1]) for one in (gradient, x))
    with without_autocast(x.device):
        return torch.bmm(planes.mT, others).sum(0)


def _outer_gradient(x: Tensor, vectors: tuple[Tensor, ...], gradient: Tensor) -> Tensor:
    """Of <g, p_h (q_h^T x q_w) p_w^T>: with s = q_h^T x q_w, t = p_h^T g p_w, s t per plane."""
    p_h, q_h, p_w, q_w = vectors
    with without_autocast(x.device):
        g_w, g_h = gradient @ p_w, gradient.mT @ p_h
        x_w, x_h = x @ q_w, x.mT @ q_h
        s, t = ((one * q).sum(-1, keepdim=True) for one, q in ((x_w, q_h), (g_w, p_h)))
    parts = torch.cat([s * g_w, t * x_w, s * g_h, t * x_h], -1)
    return parts.reshape(-1, parts.shape[-1]).sum(0)


def _tangent(inputs: Inputs, tangents: Inputs) -> Tensor:
    x, rows, columns, outer, mirrored = inputs
    dx, d_rows, d_columns, d_outer, _ = tangents
    op = torch.ops.freqops.separable
    by_x: Tensor | None = None if dx is None else op(dx, rows, columns, outer, mirrored)
    if d_rows is None and d_columns is None and d_outer is None:
        assert by_x is not None
        return by_x
    # A tangent of one matrix is no mirrored one by itself.
    work, terms = x.to(compute_dtype(x.dtype)), [by_x]
    if d_rows is not None:
        terms.append(op(work, d_rows.contiguous(), columns, None, False))
    if d_columns is not None:
        terms.append(op(work, rows, d_columns.contiguous(), None, False))
    if d_outer is not None:
        vectors, moved = (_vectors(one, rows, columns) for one in (outer, d_outer))
        terms.append(_outer_tangent(work, vectors, moved))
    return total(*terms).to(x.dtype)


def _outer_tangent(x: Tensor, vectors: tuple[Tensor, ...], moved: tuple[Tensor, ...]) -> Tensor:
    """That of p_h s p_w^T with s = q_h^T x q_w: linear in each of the four vectors."""
    p_h, q_h, p_w, q_w = (one.unsqueeze(-1) for one in vectors)
    dp_h, dq_h, dp_w, dq_w = (one.unsqueeze(-1) for one in moved)
    with without_autocast(x.device):
        s = q_h.mT @ x @ q_w
        ds = dq_h.mT @ x @ q_w + q_h.mT @ x @ dq_w
        tangent: Tensor = p_h * ds * p_w.mT + dp_h * s * p_w.mT + p_h * s * dp_w.mT
    return tangent


def _reads(needs: Needs) -> Needs:
    by_x, by_rows, by_columns, by_outer, _ = needs
    # The shapes of both matrices say where `outer` is cut.
    of_matrices = by_x or by_outer
    return (
        by_rows or by_columns or by_outer,
        of_matrices or by_columns,
        of_matrices or by_rows,
        of_matrices,
        False,
    )


register_derivatives("separable", backward=_backward, jvp=_tangent, reads=_reads)


# --- vmap ---------------------------------------------------------------------------------------


@vmap("separable")
def _vmap(
    info: Any,
    in_dims: tuple[int | None, ...],
    x: Tensor,
    rows: Tensor | None,
    columns: Tensor | None,
    outer: Tensor | None,
    mirrored: bool,
) -> tuple[Tensor, int]:
    """More planes; or, where a matrix has the batch axis, products of torch."""
    x = leading(x, in_dims[0], info.batch_size)
    if in_dims[1:4] == (None, None, None):
        return torch.ops.freqops.separable(x, rows, columns, outer, mirrored), 0
    between = [1] * (x.dim() - 3)

    def spread(one: Tensor | None, in_dim: int | None) -> Tensor | None:
        if one is None or in_dim is None:
            return one
        one = one.movedim(in_dim, 0)
        return one.reshape(one.shape[0], *between, *one.shape[1:])

    spread_out = map(spread, (rows, columns, outer), in_dims[1:4])
    work = x.to(compute_dtype(x.dtype))
    line = x.dim() == 2  # [B, W]: a line of a plane
    y = product_of_planes(work.unsqueeze(-2) if line else work, *spread_out)
    return (y.squeeze(-2) if line else y).to(x.dtype).contiguous(), 0
