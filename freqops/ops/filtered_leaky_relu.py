"""filtered_leaky_relu: a nonlinearity between an upsampling and a downsampling filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from freqops.filters import check_count
from freqops.ops import _notes
from freqops.ops._checks import check_device, check_image
from freqops.ops._layout import compute_dtype
from freqops.ops.upfirdn import Filter, check_filter, check_number, ends, factors, upfirdn2d


def filtered_leaky_relu2d(
    x: Tensor,
    fu: Filter = None,
    fd: Filter = None,
    bias: Tensor | None = None,
    up: int | Sequence[int] = 1,
    down: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    gain: float = 2**0.5,
    slope: float = 0.2,
    clamp: float | None = None,
    flip_filter: bool = False,
) -> Tensor:
    """A leaky ReLU on a finer grid, so that its new frequencies do not fold back.

    StyleGAN3's, `Karras et al. 2021 <https://arxiv.org/abs/2106.12423>`_: (1) the bias is added;
    (2) :func:`upfirdn2d` with ``fu``, ``up``, ``padding`` and gain ``up_x up_y``; (3) leaky ReLU
    times ``gain``, then limited to [-clamp, clamp]; (4) :func:`upfirdn2d` with ``fd`` and ``down``.

    Args:
        x: [..., C, H, W], float32, float64, float16 or bfloat16; half types compute in float32
            throughout and round once.
        fu: filter before the nonlinearity, as for :func:`upfirdn2d`; differentiable.
        fd: filter after it.
        bias: [C], or None.
        up: factor, or a pair (x, y).
        down: factor, or a pair (x, y).
        padding: on the finer grid, before ``fu``, as for :func:`upfirdn2d`; it carries no bias.
        gain: factor of the nonlinearity.
        slope: of the leaky ReLU below 0, and its derivative at 0.
        clamp: largest magnitude after the gain, or None. The derivative is 0 beyond it, not at it.
        flip_filter: as for :func:`upfirdn2d`, for both filters.

    Returns:
        [..., C, h, w], dtype and memory format of x.

    Raises:
        ValueError: a shape, device or number does not fit, or nothing is left for a filter.
        TypeError: an argument is of another type.

    Example:
        >>> from freqops.filters import kaiser_taps
        >>> taps = kaiser_taps(12, 0.25)
        >>> x = torch.randn(1, 3, 12, 12)
        >>> filtered_leaky_relu2d(x, taps, taps, up=2, down=2, padding=(11, 11)).shape
        torch.Size([1, 3, 12, 12])
    """
    op = "filtered_leaky_relu2d"
    check_image(op, x, 2)
    check_options(op, gain, slope, clamp)
    check_filter(op, fu, "fu")
    check_filter(op, fd, "fd")
    rise = factors(op, "up", up)
    factors(op, "down", down)
    ends(op, padding)
    work = x.to(compute_dtype(x.dtype))
    if bias is not None:
        _check_bias(op, x, bias)
        work = work + bias.to(work.dtype)[:, None, None]
    # What lies on the finer grid is the most memory by far: a gain that turns no sign is left to
    # the filter, and the ReLU takes the place of what the filter made.
    first, second = (gain, 1.0) if gain >= 0 else (1.0, gain)
    fine = upfirdn2d(work, fu, up, 1, padding, flip_filter, gain=rise[0] * rise[1] * first)
    _notes.note(op, "torch composition", "leaky ReLU, gain and clamp between the filters", x)
    own = fine is not work and fu is not None and slope >= 0
    work = torch.nn.functional.leaky_relu(fine, slope, inplace=own)
    if second != 1:
        work = work * second
    if clamp is not None:
        work = work.clamp(-clamp, clamp)
    return upfirdn2d(work, fd, 1, down, 0, flip_filter).to(x.dtype)


def check_options(op: str, gain: object, slope: object, clamp: Any) -> None:
    """Checks the numbers of the nonlinearity.

    Raises:
        TypeError: one is no number.
        ValueError: clamp is negative or NaN.
    """
    check_number(op, "gain", gain)
    check_number(op, "slope", slope)
    if clamp is not None:
        check_number(op, "clamp", clamp)
        if not clamp >= 0:
            raise ValueError(f"{op}: clamp must not be negative or NaN, got {clamp}")


def _check_bias(op: str, x: Tensor, bias: object) -> None:
    if not isinstance(bias, Tensor) or not bias.is_floating_point():
        got = bias.dtype if isinstance(bias, Tensor) else type(bias).__name__
        raise TypeError(f"{op}: bias must be a floating-point Tensor or None, got {got}")
    if x.dim() < 3 or list(bias.shape) != [x.shape[-3]]:
        raise ValueError(
            f"{op}: bias must have shape [C] for x [..., C, H, W], got {list(bias.shape)} for "
            f"{list(x.shape)}"
        )
    check_device(op, x, bias, argument="bias")


class FilteredLeakyReLU2d(nn.Module):
    """A leaky ReLU between two filters. See :func:`filtered_leaky_relu2d`.

    Args:
        fu: filter before the nonlinearity; a buffer that adds no key to ``state_dict``.
        fd: filter after it; likewise.
        up: factor, or a pair (x, y).
        down: factor, or a pair (x, y).
        padding: as for :func:`filtered_leaky_relu2d`.
        gain: factor of the nonlinearity.
        slope: of the leaky ReLU below 0.
        clamp: largest magnitude after the gain, or None.
        flip_filter: as for :func:`filtered_leaky_relu2d`.
        channels: C of a learned ``bias`` [C] that starts at 0; None for no bias.
    """

    bias: Tensor | None

    def __init__(
        self,
        fu: Filter = None,
        fd: Filter = None,
        up: int | Sequence[int] = 1,
        down: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        gain: float = 2**0.5,
        slope: float = 0.2,
        clamp: float | None = None,
        flip_filter: bool = False,
        *,
        channels: int | None = None,
    ) -> None:
        super().__init__()
        op = "FilteredLeakyReLU2d"
        check_options(op, gain, slope, clamp)
        factors(op, "up", up)
        factors(op, "down", down)
        ends(op, padding)
        self._filters: dict[str, list[str]] = {}
        for name, f in (("fu", fu), ("fd", fd)):
            check_filter(op, f, name)
            self._keep(name, f)
        self.up = up
        self.down = down
        self.padding = padding
        self.gain = gain
        self.slope = slope
        self.clamp = clamp
        self.flip_filter = flip_filter
        if channels is None:
            self.register_parameter("bias", None)
        else:
            check_count(op, "channels", channels)
            self.bias = nn.Parameter(torch.zeros(channels))

    def _keep(self, name: str, f: Filter) -> None:
        if f is None:
            self._filters[name] = []
        elif isinstance(f, Tensor):
            self._filters[name] = [name]
            self.register_buffer(name, f.detach().clone(), persistent=False)
        else:
            self._filters[name] = [f"{name}_x", f"{name}_y"]
            for own, one in zip(self._filters[name], f, strict=True):
                self.register_buffer(own, one.detach().clone(), persistent=False)

    def _filter(self, name: str) -> Filter:
        each = [getattr(self, own) for own in self._filters[name]]
        if not each:
            return None
        return each[0] if len(each) == 1 else each

    def forward(self, x: Tensor) -> Tensor:
        """Applies the nonlinearity to x [..., C, H, W]."""
        return filtered_leaky_relu2d(
            x,
            self._filter("fu"),
            self._filter("fd"),
            self.bias,
            self.up,
            self.down,
            self.padding,
            self.gain,
            self.slope,
            self.clamp,
            self.flip_filter,
        )

    def extra_repr(self) -> str:
        """Factors, padding and the numbers of the nonlinearity."""
        clamp = "" if self.clamp is None else f", clamp={self.clamp}"
        return (
            f"up={self.up}, down={self.down}, padding={self.padding}, gain={self.gain:.4g}, "
            f"slope={self.slope}{clamp}"
        )
