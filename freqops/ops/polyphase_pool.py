"""polyphase_pool: keeps one of the four polyphase components, chosen by the image itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from freqops.ops._batching import leading
from freqops.ops._checks import check_device, check_image
from freqops.ops._derivatives import Inputs, Needs, call, register_derivatives
from freqops.ops._layout import compute_dtype, in_format_of, like_pooled
from freqops.ops._pooling_rules import shape_of
from freqops.ops._registration import fake, vmap
from freqops.ops._taps import Taps, TapsModule, check_mode, check_taps, counts_per_axis, is_integer
from freqops.ops.blur_pool import blur_pool2d

CRITERIA = ("l2", "l1", "linf", "non_abs_max", "l2_min", "l1_min")
_COMPONENTS = ((0, 0), (1, 0), (0, 1), (1, 1))  # (row, column) parity of components 0 to 3


def polyphase_pool2d(
    x: Tensor,
    taps: Taps = 1,
    *,
    criterion: str = "l2",
    padding_mode: str = "circular",
    index: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Images sampled at stride 2 on the grid their own content picks: shifts move the result along.

    `Chaman and Dokmanic 2021 <https://arxiv.org/abs/2011.14214>`_. Of the four polyphase components
    (0: even rows and columns, 1: odd rows, 2: odd columns, 3: both odd) each sample keeps the one
    of the largest norm over all channels and positions; the lowest index if several tie. An
    image of even size that is shifted circularly gives the same samples, shifted.

    Args:
        x: [..., C, H, W] (or [H, W]), float32, float64, float16 or bfloat16. An odd axis gets a
            copy of its first row or column at the end.
        taps: of a blur at stride 1 before the choice, as for :func:`blur_pool2d`; 1 is none.
        criterion: what is largest: "l2", "l1", "linf" (norms), "non_abs_max" (the maximum itself);
            or smallest: "l2_min", "l1_min". Sums are taken in float32 (float64 for float64).
        padding_mode: of the blur.
        index: components to keep instead, int64, one for each sample: what another call returned,
            so that both branches of a residual block sample the same grid.

    Returns:
        The samples [..., C, ceil(H / 2), ceil(W / 2)], dtype and memory format of x, and the index,
        int64 [...]. Gradients flow through the component that was kept.

    Raises:
        ValueError: a shape, device or name does not fit, or an index is not 0 to 3.
        TypeError: x, taps or index is of another type.

    Example:
        >>> x = torch.randn(4, 3, 8, 8)
        >>> y, index = polyphase_pool2d(x)
        >>> moved, _ = polyphase_pool2d(x.roll((1, 2), (-2, -1)))
        >>> y.shape, torch.equal(moved.flatten().sort()[0], y.flatten().sort()[0])
        (torch.Size([4, 3, 4, 4]), True)
    """
    op = "polyphase_pool2d"
    check_image(op, x, 2)
    check_taps(op, taps, 2)
    check_mode(op, padding_mode)
    _check_criterion(op, criterion)
    if index is not None:
        _check_index(op, index, x, "x")
    work = _blurred(x, taps, padding_mode)
    planes = work if x.dim() > 2 else work.unsqueeze(0)
    if index is None:
        scores = torch.ops.freqops.polyphase_norms(planes.detach(), criterion.removesuffix("_min"))
        index = scores.argmin(-1) if criterion.endswith("_min") else scores.argmax(-1)
    kept = call(torch.ops.freqops.polyphase_pool.default, planes, index, True)
    if x.dim() == 2:
        kept = kept.squeeze(0)
    return in_format_of(x, kept), index


def polyphase_unpool2d(
    y: Tensor,
    index: Tensor,
    output_size: int | Sequence[int],
    taps: Taps = 1,
    *,
    padding_mode: str = "circular",
) -> Tensor:
    """Samples put back on the grid they came from, among zeros; then the blur.

    The way back of :func:`polyphase_pool2d` for decoders. No gain makes up for the zeros: three of
    four samples are 0. What an odd size has no place for, a sample of the appended row or column,
    is left out.

    Args:
        y: [..., C, h, w] (or [h, w]).
        index: component of each sample, int64 [...], from :func:`polyphase_pool2d`.
        output_size: (H, W) of the result, or one number for both; h is ceil(H / 2), w likewise.
        taps: of a blur at stride 1 afterwards, as for :func:`blur_pool2d`; 1 is none.
        padding_mode: of the blur.

    Returns:
        [..., C, H, W], dtype and memory format of y.

    Raises:
        ValueError: a shape, device or name does not fit, or an index is not 0 to 3.
        TypeError: y, taps or index is of another type.
    """
    op = "polyphase_unpool2d"
    check_image(op, y, 2, argument="y")
    check_taps(op, taps, 2)
    check_mode(op, padding_mode)
    _check_index(op, index, y, "y")
    height, width = counts_per_axis(op, "output_size", output_size, 2)
    expected = [(height + 1) // 2, (width + 1) // 2]
    if not torch.compiler.is_compiling() and list(y.shape[-2:]) != expected:
        raise ValueError(
            f"{op}: y must have shape [..., {expected[0]}, {expected[1]}] for output_size "
            f"{[height, width]}, got {list(y.shape)}"
        )
    planes = y if y.dim() > 2 else y.unsqueeze(0)
    grid = call(torch.ops.freqops.polyphase_unpool.default, planes, index, [height, width], False)
    if y.dim() == 2:
        grid = grid.squeeze(0)
    return in_format_of(y, _blurred(grid, taps, padding_mode))


def _check_criterion(op: str, criterion: object) -> None:
    if criterion not in CRITERIA:
        names = ", ".join(repr(name) for name in CRITERIA)
        raise ValueError(f"{op}: criterion must be one of {names}, got {criterion!r}")


def _check_index(op: str, index: object, x: Tensor, argument: str) -> None:
    if not isinstance(index, Tensor) or index.dtype != torch.int64:
        got = index.dtype if isinstance(index, Tensor) else type(index).__name__
        raise TypeError(f"{op}: index must be an int64 Tensor, got {got}")
    lead = list(x.shape[:-3])
    if list(index.shape) != lead:
        raise ValueError(
            f"{op}: index must have shape {lead}, one for each sample of {argument}, "
            f"got {list(index.shape)}"
        )
    check_device(op, x, index, argument="index", first=argument)
    # Values can be looked at only where there are some, and where that does not wait for a GPU.
    if torch.compiler.is_compiling() or index.device.type != "cpu":
        return
    values = torch.func.debug_unwrap(index)
    if type(values) is Tensor and not bool(((values >= 0) & (values < 4)).all()):
        raise ValueError(f"{op}: index must be 0, 1, 2 or 3, got {values.tolist()}")


def _blurred(x: Tensor, taps: Taps, padding_mode: str) -> Tensor:
    if is_integer(taps) and taps == 1:
        return x
    return blur_pool2d(x, taps, 1, padding_mode=padding_mode)


# --- fakes --------------------------------------------------------------------------------------


@fake("polyphase_norms")
def _fake_norms(x: Tensor, norm: str) -> Tensor:
    return x.new_empty([*x.shape[:-3], 4], dtype=torch.float64)


@fake("polyphase_pool")
def _fake_pool(x: Tensor, index: Tensor, circular: bool) -> Tensor:
    return like_pooled(x, [(side + 1) // 2 for side in x.shape[-2:]])


@fake("polyphase_unpool")
def _fake_unpool(y: Tensor, index: Tensor, size: Sequence[int], circular: bool) -> Tensor:
    return like_pooled(y, size)


# --- compositions, for CUDA ---------------------------------------------------------------------


def composed_norms(x: Tensor, norm: str) -> Tensor:
    """The norms of the four components of each image, [..., 4]."""
    work = _evened(x.to(compute_dtype(x.dtype)), True)
    if norm == "l2":
        work = work.square()
    elif norm != "non_abs_max":
        work = work.abs()
    pairs = work.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))  # type: ignore[no-untyped-call]
    over = (-5, -4, -2)
    scores: Tensor = pairs.sum(over) if norm in ("l2", "l1") else pairs.amax(over)
    return scores.transpose(-2, -1).flatten(-2).double()  # by column parity, then by row parity


def composed_pool(x: Tensor, index: Tensor, circular: bool) -> Tensor:
    """One component of each image."""
    work = _evened(x, circular)
    kept = work[..., 0::2, 0::2]
    for number, (row, column) in enumerate(_COMPONENTS[1:], 1):
        kept = torch.where(_as_map(index == number, x), work[..., row::2, column::2], kept)
    return _stored(x, kept)


def composed_unpool(y: Tensor, index: Tensor, size: Sequence[int], circular: bool) -> Tensor:
    """The component back in its place, among zeros."""
    rows = []
    for row in (0, 1):
        pair = [torch.where(_as_map(index == row + 2 * column, y), y, 0.0) for column in (0, 1)]
        rows.append(torch.stack(pair, -1).flatten(-2))
    grid = torch.stack(rows, -2).flatten(-3, -2)
    if circular:  # what lies behind an odd axis goes back to where it came from
        for axis, side in ((-2, size[0]), (-1, size[1])):
            if side % 2:
                grid.select(axis, 0).add_(grid.select(axis, side))
    return _stored(y, grid[..., : size[0], : size[1]])


def _evened(x: Tensor, circular: bool) -> Tensor:
    """An odd axis with one sample more, its first or zero."""
    for axis in (-2, -1):
        more = x.narrow(axis, 0, x.shape[axis] % 2)
        x = torch.cat([x, more if circular else torch.zeros_like(more)], axis)
    return x


def _stored(x: Tensor, result: Tensor) -> Tensor:
    return like_pooled(x, result.shape[-2:]).copy_(result)


_library = torch.library.Library("freqops", "FRAGMENT")  # type: ignore[no-untyped-call]
for _name, _composed in (
    ("polyphase_norms", composed_norms),
    ("polyphase_pool", composed_pool),
    ("polyphase_unpool", composed_unpool),
):
    _library.impl(_name, _composed, "CUDA")  # type: ignore[no-untyped-call]


# --- derivatives --------------------------------------------------------------------------------


def _pool_backward(
    inputs: Inputs, needs: Needs, gradient: Tensor | None
) -> tuple[Tensor | None, ...]:
    x, index, circular = inputs
    if gradient is None:
        return None, None, None
    unpool = torch.ops.freqops.polyphase_unpool
    return unpool(gradient, index, list(shape_of(x)[-2:]), circular), None, None


def _pool_tangent(inputs: Inputs, tangents: Inputs) -> Tensor:
    kept: Tensor = torch.ops.freqops.polyphase_pool(tangents[0], *inputs[1:])
    return kept


def _unpool_backward(
    inputs: Inputs, needs: Needs, gradient: Tensor | None
) -> tuple[Tensor | None, ...]:
    _, index, _, circular = inputs
    if gradient is None:
        return (None,) * 4
    return torch.ops.freqops.polyphase_pool(gradient, index, circular), None, None, None


def _unpool_tangent(inputs: Inputs, tangents: Inputs) -> Tensor:
    grid: Tensor = torch.ops.freqops.polyphase_unpool(tangents[0], *inputs[1:])
    return grid


def _reads(needs: Needs) -> Needs:
    return False, True, *[False] * (len(needs) - 2)


register_derivatives("polyphase_pool", backward=_pool_backward, jvp=_pool_tangent, reads=_reads)
register_derivatives(
    "polyphase_unpool", backward=_unpool_backward, jvp=_unpool_tangent, reads=_reads
)


# --- vmap ---------------------------------------------------------------------------------------


@vmap("polyphase_norms")
def _vmap_norms(info: Any, in_dims: Any, x: Tensor, norm: str) -> tuple[Tensor, int]:
    return torch.ops.freqops.polyphase_norms(x.movedim(in_dims[0], 0), norm), 0


def _mapped(op: Any, info: Any, in_dims: Any, arguments: Any) -> tuple[Tensor, int]:
    x, index = (leading(arguments[i], in_dims[i], info.batch_size) for i in (0, 1))
    return op(x, index, *arguments[2:]), 0


@vmap("polyphase_pool")
def _vmap_pool(info: Any, in_dims: Any, *arguments: Any) -> tuple[Tensor, int]:
    return _mapped(torch.ops.freqops.polyphase_pool, info, in_dims, arguments)


@vmap("polyphase_unpool")
def _vmap_unpool(info: Any, in_dims: Any, *arguments: Any) -> tuple[Tensor, int]:
    return _mapped(torch.ops.freqops.polyphase_unpool, info, in_dims, arguments)


# --- helpers, module ----------------------------------------------------------------------------


def _as_map(mask: Tensor, x: Tensor) -> Tensor:
    """One entry for each sample, in the shape that meets x."""
    return mask[(..., *[None] * (x.dim() - mask.dim()))]


class PolyphasePool2d(TapsModule):
    """Samples images on the grid their content picks. See :func:`polyphase_pool2d`.

    Args:
        taps: of the blur before the choice, as for :class:`BlurPool2d`; 1 is none.
        criterion: as for :func:`polyphase_pool2d`.
        padding_mode: of the blur.
    """

    def __init__(
        self, taps: Taps = 1, *, criterion: str = "l2", padding_mode: str = "circular"
    ) -> None:
        super().__init__("PolyphasePool2d", taps, 2)
        _check_criterion("PolyphasePool2d", criterion)
        check_mode("PolyphasePool2d", padding_mode)
        self._none = is_integer(taps) and taps == 1
        self.criterion = criterion
        self.padding_mode = padding_mode

    def forward(self, x: Tensor, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Samples x [..., C, H, W]; returns the samples and the index of their components."""
        taps: Any = 1 if self._none else self._taps()
        return polyphase_pool2d(
            x, taps, criterion=self.criterion, padding_mode=self.padding_mode, index=index
        )

    def extra_repr(self) -> str:
        """Taps by their number or shape, criterion and padding mode."""
        return (
            f"{self._taps_in_words()}, criterion={self.criterion!r}, "
            f"padding_mode={self.padding_mode!r}"
        )
