"""Responses and taps as pure functions of size and cutoff.

A *response* is the gain at every bin of a real FFT: ``[W//2+1]`` for a row, ``[H, W//2+1]`` for a
plane, frequencies in torch's order (DC first, negative rows in the upper half). Everything here
depends on frequency through its magnitude alone, so a response is real, even, and shifts nothing.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

Size: TypeAlias = int | Sequence[int]
Cutoff: TypeAlias = float | Tensor
Kind: TypeAlias = Literal["ideal", "butterworth", "gaussian"]
Norm: TypeAlias = Literal["l2", "linf", "l1"]
Unit: TypeAlias = Literal["cycles", "nyquist", "bins"]

__all__ = [
    "band_pass",
    "binomial_taps",
    "frequency_response",
    "gaussian_taps",
    "high_pass",
    "kaiser_taps",
    "lanczos_taps",
    "low_pass",
]

KINDS = ("ideal", "butterworth", "gaussian")
NORMS = ("l2", "linf", "l1")
UNITS = ("cycles", "nyquist", "bins")

# A cutoff such as 5 / 224 or sqrt(2) / 4 is a rounded number that means a bin exactly. Rounding it,
# squaring and scaling cost at most six units of 2^-53 (2^-24 in a float32 Tensor): a bin this near
# to the cutoff is on it.
_ROUNDING = {torch.float64: 6 * 2.0**-53, torch.float32: 6 * 2.0**-24}


def low_pass(
    size: Size,
    cutoff: Cutoff,
    *,
    kind: Kind = "ideal",
    norm: Norm = "l2",
    unit: Unit = "cycles",
    order: int = 2,
    inclusive: bool = False,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """The response that keeps frequencies below a cutoff.

    With ``kind="ideal"`` and ``unit="bins"`` this is the mask of `Wang et al. 2020
    <https://arxiv.org/abs/1905.13545>`_: bin (k, l) passes when k^2 + l^2 < r^2, decided in exact
    arithmetic. A cutoff of 0 passes nothing (``inclusive=True``: DC alone), infinity everything.

    Args:
        size: length of a row, or (H, W) of a plane.
        cutoff: frequency in ``unit``; a float, or a Tensor [R] for R responses at once. For
            ``"gaussian"`` it is the standard deviation, exp(-f^2 / (2 cutoff^2)); for
            ``"butterworth"`` the frequency where the power is halved,
            1 / sqrt(1 + (f / cutoff)^(2 order)). A Tensor is differentiable in these two kinds.
        kind: ``"ideal"``, ``"butterworth"`` or ``"gaussian"``.
        norm: how the frequencies of two axes make one: ``"l2"`` radial, ``"linf"`` square,
            ``"l1"`` diamond.
        unit: ``"cycles"`` per pixel (Nyquist is 0.5), ``"nyquist"`` (a fraction of it), or
            ``"bins"`` (signed integer DFT index, whatever the size).
        order: of the Butterworth response, at least 1; unused otherwise.
        inclusive: the ideal response also keeps frequencies equal to the cutoff.
        dtype: of the result; default: that of a floating Tensor cutoff, else torch's default dtype.
        device: of the result; default: that of a Tensor cutoff, else torch's default device.

    Returns:
        The real response, [W//2+1] or [H, W//2+1]; for a Tensor cutoff [R] with R in front.

    Raises:
        ValueError: an unknown kind, norm or unit, a size below 1, an order below 1, or a cutoff
            that is negative or NaN.
        TypeError: size or cutoff of another type.

    Example:
        >>> int(low_pass(32, 4, unit="bins").sum())  # bins 0, 1, 2 and 3
        4
    """
    check_options("low_pass", kind, norm, unit, order)
    sides = _sides("low_pass", size)
    check_cutoff("low_pass", "cutoff", cutoff)
    gain = _low_pass(sides, cutoff, kind, norm, unit, order, inclusive, device)
    return gain.to(_result_dtype(dtype, cutoff))


def high_pass(
    size: Size,
    cutoff: Cutoff,
    *,
    kind: Kind = "ideal",
    norm: Norm = "l2",
    unit: Unit = "cycles",
    order: int = 2,
    inclusive: bool = False,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """The response that removes what :func:`low_pass` keeps: exactly ``1 - low_pass(...)``.

    Args:
        size: length of a row, or (H, W) of a plane.
        cutoff: frequency in ``unit``; a float, or a Tensor [R].
        kind: as for :func:`low_pass`.
        norm: as for :func:`low_pass`.
        unit: as for :func:`low_pass`.
        order: as for :func:`low_pass`.
        inclusive: of the low pass: True takes frequencies equal to the cutoff out of the high pass.
        dtype: as for :func:`low_pass`.
        device: as for :func:`low_pass`.

    Returns:
        The real response, [W//2+1] or [H, W//2+1]; for a Tensor cutoff [R] with R in front.

    Raises:
        ValueError: as :func:`low_pass`.
        TypeError: as :func:`low_pass`.
    """
    check_options("high_pass", kind, norm, unit, order)
    sides = _sides("high_pass", size)
    check_cutoff("high_pass", "cutoff", cutoff)
    low = _low_pass(sides, cutoff, kind, norm, unit, order, inclusive, device)
    return 1 - low.to(_result_dtype(dtype, cutoff))


def band_pass(
    size: Size,
    low: Cutoff,
    high: Cutoff,
    *,
    kind: Kind = "ideal",
    norm: Norm = "l2",
    unit: Unit = "cycles",
    order: int = 2,
    inclusive: bool = False,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """The response that keeps frequencies between two cutoffs: low_pass(high) - low_pass(low).

    For the ideal kind that is low <= f < high, so neighbouring bands never share a bin and leave
    none out; for every kind, bands that meet add up to one wider band.

    Args:
        size: length of a row, or (H, W) of a plane.
        low: lower cutoff in ``unit``, a float or a Tensor [R]; 0 leaves the band open below.
        high: upper cutoff in ``unit``, not below ``low``; infinity leaves the band open above.
        kind: as for :func:`low_pass`.
        norm: as for :func:`low_pass`.
        unit: as for :func:`low_pass`.
        order: as for :func:`low_pass`.
        inclusive: moves both ends: low < f <= high.
        dtype: as for :func:`low_pass`.
        device: as for :func:`low_pass`.

    Returns:
        The real response, [W//2+1] or [H, W//2+1]; for Tensor cutoffs [R] with R in front.

    Raises:
        ValueError: as :func:`low_pass`, and for ``low`` above ``high``.
        TypeError: as :func:`low_pass`.
    """
    check_options("band_pass", kind, norm, unit, order)
    sides = _sides("band_pass", size)
    check_cutoff("band_pass", "low", low)
    check_cutoff("band_pass", "high", high)
    if not isinstance(low, Tensor) and not isinstance(high, Tensor) and low > high:
        raise ValueError(f"band_pass: low must not be above high, got {low} and {high}")
    upper = _low_pass(sides, high, kind, norm, unit, order, inclusive, device)
    lower = _low_pass(sides, low, kind, norm, unit, order, inclusive, device)
    return (upper - lower).to(_result_dtype(dtype, high, low))


def _low_pass(
    sides: tuple[int, ...],
    cutoff: Cutoff,
    kind: str,
    norm: str,
    unit: str,
    order: int,
    inclusive: bool,
    device: torch.device | str | None,
) -> Tensor:
    """float64, from the ratio of two squares: the bins' frequency (integers) and the cutoff."""
    if device is None and isinstance(cutoff, Tensor):
        device = cutoff.device
    squares = _squared_frequency(sides, norm, unit, device)
    threshold = _squared_cutoff(sides, cutoff, unit, device)
    threshold = threshold.reshape(threshold.shape + (1,) * len(sides))
    if kind == "ideal":
        dtype = cutoff.dtype if isinstance(cutoff, Tensor) else torch.float64
        # A radius in bins is taken as it is written.
        near = 0.0 if unit == "bins" else _ROUNDING.get(dtype, _ROUNDING[torch.float64])
        if inclusive:
            return (squares <= threshold * (1 + near)).double()
        return (squares < threshold * (1 - near)).double()
    # The double where: 0 / 0 must reach neither the value nor the gradient.
    open_ = threshold > 0
    ratio = squares / torch.where(open_, threshold, 1.0)
    gain = torch.exp(-ratio / 2) if kind == "gaussian" else torch.rsqrt(1 + ratio**order)
    return torch.where(open_, gain, 0.0)


def _squared_frequency(
    sides: tuple[int, ...], norm: str, unit: str, device: torch.device | str | None
) -> Tensor:
    """Squares of integers in float64: f in bins, or f H W for the other units.

    Multiplying by H W instead of dividing by each keeps ties exact: (k/H)^2 + (l/W)^2 rounds, the
    integers do not below 2^53 (planes of 10^8 pixels).
    """
    width = sides[-1]
    column = torch.arange(width // 2 + 1, dtype=torch.float64, device=device)
    if len(sides) == 1:
        return column.square()
    height = sides[0]
    row = torch.arange(height, dtype=torch.float64, device=device)
    row = torch.minimum(row, height - row)[:, None]
    if unit != "bins":
        row, column = row * width, column * height
    if norm == "l2":
        return row.square() + column.square()
    return (torch.maximum(row, column) if norm == "linf" else row + column).square()


def _squared_cutoff(
    sides: tuple[int, ...], cutoff: Cutoff, unit: str, device: torch.device | str | None
) -> Tensor:
    """The cutoff on the scale of :func:`_squared_frequency`."""
    value = torch.as_tensor(cutoff, dtype=torch.float64, device=device)
    if unit == "nyquist":
        value = value / 2
    if unit != "bins":
        for side in sides:
            value = value * side
    # A cutoff above 0 keeps DC, also where its square underflows.
    square = value.square().clamp(min=torch.finfo(torch.float64).tiny)
    return torch.where(value > 0, square, 0.0)


def binomial_taps(
    n: int, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Tensor:
    """Binomial blur taps: row n-1 of Pascal's triangle over 2^(n-1).

    n = 2 is the box, 3 the triangle [1, 2, 1] / 4, 5 is [1, 4, 6, 4, 1] / 16: the filters of `Zhang
    2019 <https://arxiv.org/abs/1904.11486>`_. From n = 2 on they remove Nyquist completely.

    Args:
        n: number of taps, at least 1.
        dtype: of the result; default: torch's default dtype.
        device: of the result; default: torch's default device.

    Returns:
        The taps, [n], sum 1.

    Raises:
        ValueError: n below 1.
        TypeError: n is not an integer.
    """
    check_count("binomial_taps", "n", n)
    taps = [math.comb(n - 1, j) / 2.0 ** (n - 1) for j in range(n)]
    return _normalised(torch.tensor(taps, dtype=torch.float64, device=device), dtype)


def gaussian_taps(
    n: int,
    sigma: float,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Gaussian blur taps: exp(-t^2 / (2 sigma^2)) at the n samples around the centre.

    Args:
        n: number of taps, at least 1.
        sigma: standard deviation in samples, above 0.
        dtype: of the result; default: torch's default dtype.
        device: of the result; default: torch's default device.

    Returns:
        The taps, [n], sum 1.

    Raises:
        ValueError: n below 1, or sigma not above 0.
        TypeError: n is not an integer.
    """
    check_count("gaussian_taps", "n", n)
    _check_positive("gaussian_taps", "sigma", sigma)
    # The distance from the nearest sample: a narrow Gaussian between two samples must not be 0 / 0.
    squares = _centred(n, device).square()
    return _normalised(torch.exp(-(squares - squares.min()) / (2 * sigma**2)), dtype)


def kaiser_taps(
    n: int,
    cutoff: float,
    beta: float = 5.0,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Low-pass taps by the window method: an ideal low pass under a Kaiser window.

    Args:
        n: number of taps, at least 1.
        cutoff: in cycles per sample, above 0, at most 0.5; the gain there is about one half.
        beta: shape of the window: larger suppresses the stop band further and widens the
            transition. 5 gives about -53 dB.
        dtype: of the result; default: torch's default dtype.
        device: of the result; default: torch's default device.

    Returns:
        The taps, [n], sum 1.

    Raises:
        ValueError: n below 1, cutoff outside (0, 0.5], or beta negative.
        TypeError: n is not an integer.
    """
    check_count("kaiser_taps", "n", n)
    _check_positive("kaiser_taps", "cutoff", cutoff)
    if cutoff > 0.5:
        raise ValueError(f"kaiser_taps: cutoff must be at most 0.5 cycles per sample, got {cutoff}")
    if not beta >= 0:
        raise ValueError(f"kaiser_taps: beta must not be negative, got {beta}")
    time = _centred(n, device)
    window = torch.special.i0(beta * (1 - (time / max((n - 1) / 2, 0.5)).square()).clamp(0).sqrt())
    return _normalised(torch.special.sinc(2 * cutoff * time) * window, dtype)


def lanczos_taps(
    n: int,
    a: int,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Lanczos taps: sinc(t) sinc(t / a), |t| < a, stretched over n samples.

    The cutoff is a / n cycles per sample: n = 4 a is a filter for downsampling by 2.

    Args:
        n: number of taps, at least 1.
        a: number of lobes on each side, at least 1.
        dtype: of the result; default: torch's default dtype.
        device: of the result; default: torch's default device.

    Returns:
        The taps, [n], sum 1.

    Raises:
        ValueError: n or a below 1.
        TypeError: n or a is not an integer.
    """
    check_count("lanczos_taps", "n", n)
    check_count("lanczos_taps", "a", a)
    time = _centred(n, device) * (2 * a / n)
    return _normalised(torch.special.sinc(time) * torch.special.sinc(time / a), dtype)


def frequency_response(taps: Tensor, size: int, *, origin: int = 0) -> Tensor:
    """The complex gain of a tap filter at every bin of a row.

    ``fft_filter1d(x, frequency_response(taps, N))`` is the circular convolution of x with the taps;
    ``torch.outer`` of a full and a half response makes the separable one of a plane.

    Args:
        taps: [n], or [..., n] for several filters; differentiable.
        size: length N of the row; taps beyond it wrap around.
        origin: index of the tap at sample 0. 0 is a causal filter, which delays; (n - 1) // 2
            centres the taps, and symmetric taps of odd length then have a real response.

    Returns:
        The response sum_j taps[j] exp(-2 pi i k (j - origin) / N), complex, [..., N//2+1].

    Raises:
        ValueError: taps has no dimension or no tap, or size is below 1.
        TypeError: taps is not a floating-point tensor, or size not an integer.

    Example:
        >>> frequency_response(binomial_taps(3), 4, origin=1).real
        tensor([1.0000, 0.5000, 0.0000])
    """
    _check_taps("frequency_response", taps)
    check_count("frequency_response", "size", size)
    # Half precision would lose the phase: the angles are made and summed in float32 at least.
    work = taps if taps.dtype == torch.float64 else taps.float()
    sample = torch.arange(taps.shape[-1], device=taps.device) - origin
    bins = torch.arange(size // 2 + 1, device=taps.device)
    # The product of indices is reduced modulo N while it is an integer: the angle stays exact.
    angle = torch.outer(sample, bins).remainder(size).double() * (-2 * math.pi / size)
    return torch.complex(work @ angle.cos().to(work.dtype), work @ angle.sin().to(work.dtype))


def _centred(n: int, device: torch.device | str | None) -> Tensor:
    return torch.arange(n, dtype=torch.float64, device=device) - (n - 1) / 2


def _normalised(taps: Tensor, dtype: torch.dtype | None) -> Tensor:
    return (taps / taps.sum()).to(torch.get_default_dtype() if dtype is None else dtype)


def _result_dtype(dtype: torch.dtype | None, *cutoffs: Cutoff) -> torch.dtype:
    if dtype is not None:
        return dtype
    for cutoff in cutoffs:
        if isinstance(cutoff, Tensor) and cutoff.is_floating_point():
            return cutoff.dtype
    return torch.get_default_dtype()


def check_options(op: str, kind: str, norm: str, unit: str, order: int = 1) -> None:
    """Checks the options that every response and every op made of responses takes.

    Raises:
        ValueError: an unknown kind, norm or unit, or an order below 1.
        TypeError: order is not an integer.
    """
    for argument, value, known in (
        ("kind", kind, KINDS),
        ("norm", norm, NORMS),
        ("unit", unit, UNITS),
    ):
        if value not in known:
            names = ", ".join(repr(name) for name in known)
            raise ValueError(f"{op}: {argument} must be one of {names}, got {value!r}")
    check_count(op, "order", order)


def check_count(op: str, argument: str, value: object) -> None:
    """Checks that a value is an integer from 1 up.

    Raises:
        TypeError: it is not an integer.
        ValueError: it is below 1.
    """
    # SymInt: sizes while torch.export traces; Integral: numpy's.
    if not isinstance(value, (int, torch.SymInt, numbers.Integral)) or isinstance(value, bool):
        raise TypeError(f"{op}: {argument} must be an integer, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{op}: {argument} must be at least 1, got {value}")


def _check_taps(op: str, taps: object) -> None:
    if not isinstance(taps, Tensor) or not taps.is_floating_point():
        got = taps.dtype if isinstance(taps, Tensor) else type(taps).__name__
        raise TypeError(f"{op}: taps must be a floating-point tensor, got {got}")
    if taps.dim() < 1 or taps.shape[-1] < 1:
        raise ValueError(f"{op}: taps must have shape [..., n], got {list(taps.shape)}")


def _check_positive(op: str, argument: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{op}: {argument} must be above 0, got {value}")


def _sides(op: str, size: Size) -> tuple[int, ...]:
    sides = tuple(size) if isinstance(size, Sequence) else (size,)
    if len(sides) not in (1, 2):
        raise ValueError(f"{op}: size must be an integer or (H, W), got {size}")
    for side in sides:
        check_count(op, "size", side)
    return sides


def check_cutoff(op: str, argument: str, cutoff: object) -> None:
    """Checks that a cutoff is a frequency: a number or real Tensor, from 0 to infinity.

    Raises:
        ValueError: it is negative or NaN.
        TypeError: it is something else.
    """
    if isinstance(cutoff, Tensor):
        if cutoff.is_complex():
            raise TypeError(f"{op}: {argument} must be real, got {cutoff.dtype}")
        # Values can be looked at only where there are some: not while a graph is traced.
        if torch.compiler.is_compiling() or cutoff.device.type == "meta":
            return
        values = torch.func.debug_unwrap(cutoff.detach())
        if type(values) is Tensor and not bool((values >= 0).all()):
            raise ValueError(f"{op}: {argument} must not be negative or NaN, got {values.tolist()}")
    elif isinstance(cutoff, bool) or not isinstance(cutoff, (int, float, numbers.Real)):
        raise TypeError(
            f"{op}: {argument} must be a number or a Tensor, got {type(cutoff).__name__}"
        )
    elif not float(cutoff) >= 0:
        raise ValueError(f"{op}: {argument} must not be negative or NaN, got {cutoff}")
