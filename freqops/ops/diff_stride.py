"""diff_stride: pooling by a crop of the spectrum whose edges, and so the stride, are learned."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from freqops.ops import _notes
from freqops.ops._checks import check_device, check_image
from freqops.ops._derivatives import call, recorded
from freqops.ops._layout import compute_dtype, in_format_of
from freqops.ops._responses import kept_for

_OP = "DiffStride2d"

# Planes with a longer side are transformed; on smaller ones two products of matrices with few
# entries are quicker than two transforms. Not their area: what makes the matrix of an axis grows
# with the cube of its length.
_LONGEST_PRODUCT = 64
_WHY_TRANSFORMED = f"more than {_LONGEST_PRODUCT} samples a side: torch.fft there and back"

_WHY = f"the size of what {_OP} returns depends on its stride's value"
_Function = TypeVar("_Function", bound=Callable[..., Any])


def _outside_graphs(function: _Function) -> _Function:
    """torch.compile breaks its graph here, rather than at each number read from the parameter."""
    reason = f"{_WHY}; not so with cropping=False"
    outside: _Function = torch.compiler.disable(function, reason=reason)  # type: ignore[no-untyped-call]
    return outside


# --- the stride ---------------------------------------------------------------------------------


class _Held(torch.autograd.Function):
    """A clamp that holds back only the part of a gradient that leads further away.

    Beyond a limit torch.clamp has no gradient at all, and a stride that once stepped over would
    stay there; were every gradient let through, it would drift away without effect on anything.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(stride: Tensor, lower: float, upper: float) -> Tensor:
        return stride.clamp(lower, upper)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float, float], output: Tensor) -> None:
        stride, *limits = inputs
        ctx.save_for_backward(stride)
        ctx.limits = limits

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (stride,) = ctx.saved_tensors
        lower, upper = ctx.limits
        away = ((stride < lower) & (gradient > 0)) | ((stride > upper) & (gradient < 0))
        return torch.where(away, 0.0, gradient), None, None


class _HeldForward(_Held):
    """The same with forward mode, which torch.compile cannot trace."""

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        return tangent.clone()


def _held(stride: Tensor, lower: float, upper: float) -> Tensor:
    function = _Held if torch.compiler.is_compiling() else _HeldForward
    held: Tensor = function.apply(stride, lower, upper)  # type: ignore[no-untyped-call]
    return held


# --- the map ------------------------------------------------------------------------------------


def _pooled(x: Tensor, rows: Tensor, columns: Tensor, size: Sequence[int]) -> Tensor:
    """Re IFFT2, at a size of its own, of what the gains keep of FFT2(x).

    Args:
        x: [..., H, W].
        rows: gain of each of the ``size[0]`` lowest frequencies, DC first, negative ones last.
        columns: gain of each of the ``size[1] // 2 + 1`` lowest frequencies.
        size: (h, w) of the result.
    """
    if max(x.shape[-2:]) > _LONGEST_PRODUCT and x.numel():
        _notes.note(_OP, "torch.fft composition", _WHY_TRANSFORMED, x)
        return _by_transform(x, rows, columns, size)
    if x.device.type == "cpu" and recorded((rows, columns)):
        return _by_axes(x, rows, columns, size)
    return _by_matrices(x, rows, columns, size)


def _by_transform(x: Tensor, rows: Tensor, columns: Tensor, size: Sequence[int]) -> Tensor:
    dtype = compute_dtype(x.dtype)
    old, (height, width) = x.shape[-2], size
    kept = width // 2 + 1
    spectrum = torch.fft.fft(torch.fft.rfft(x.to(dtype))[..., :kept], dim=-2)
    if height < old:  # and so even
        half = height // 2
        spectrum = torch.cat([spectrum[..., :half, :], spectrum[..., old - half :, :]], -2)
    lines = torch.fft.ifft(spectrum * rows.to(dtype)[:, None], dim=-2)
    # The real part of the whole: bins that are their own mirror have no imaginary part, and cuFFT
    # gives anything where one is left in. The mirror of the others is implied.
    gains, paired = columns.to(dtype), _paired(torch.arange(kept, device=x.device), width)
    parts = torch.view_as_real(lines) * torch.stack([gains, gains * paired], -1)
    y = torch.fft.irfft(torch.view_as_complex(parts), n=width)
    return in_format_of(x, y.to(x.dtype))


def _by_matrices(x: Tensor, rows: Tensor, columns: Tensor, size: Sequence[int]) -> Tensor:
    """Re(A x B^T) = Re A x Re B^T - Im A x Im B^T: the rows' gains of +k and -k differ."""
    work = x.to(compute_dtype(x.dtype))  # half types are rounded after the sum
    pairs = zip(_matrices(work, rows, 0, size), _matrices(work, columns, 1, size), strict=True)
    separable = torch.ops.freqops.separable.default
    real, imaginary = (call(separable, work, along, across, None, False) for along, across in pairs)
    y: Tensor = real - imaginary
    return y.to(x.dtype)


def _by_axes(x: Tensor, rows: Tensor, columns: Tensor, size: Sequence[int]) -> Tensor:
    """The same axis by axis, real and imaginary part in one: for the sake of the gradients.

    What lies between the axes is what the gradients of the matrices are made of, so that it is
    computed once. Both parts are side by side behind the columns, and alternate with the rows in
    front of the second product.
    """
    work = x.to(compute_dtype(x.dtype))
    across = torch.cat([*_matrices(work, columns, 1, size)])
    real, imaginary = _matrices(work, rows, 0, size)
    down = torch.stack([real, -imaginary], -1).flatten(1)
    separable = torch.ops.freqops.separable.default
    lines = call(separable, work, None, across, None, False)
    lines = lines.reshape(*x.shape[:-2], 2 * x.shape[-2], size[1])
    y: Tensor = call(separable, lines, down, None, None, False)
    return y.to(x.dtype)


def _matrices(x: Tensor, gains: Tensor, axis: int, size: Sequence[int]) -> Sequence[Tensor]:
    """Real and imaginary part of sum_k gain_k exp(2 pi i k (m / M - n / N)) / M, each [M, N]."""
    new, old = size[axis], x.shape[axis - 2]
    waves = kept_for(x, (_waves, new, old, axis, x.device), lambda: _waves(x, new, old, axis))
    both = (waves[: 2 * new] * torch.cat([gains, gains])) @ waves[2 * new :].T
    matrices = both.to(x.dtype)
    return matrices[:new], matrices[new:]


def _waves(x: Tensor, new: int, old: int, axis: int) -> Tensor:
    """cos and sin, then sin and -cos, at outputs, over 1 / M; cos and sin at inputs; by frequency.

    By columns each frequency but DC and Nyquist stands for its mirror as well.
    """
    if axis == 0:
        bins = torch.arange(new, device=x.device)
        bins = torch.where(2 * bins < new, bins, bins - new)
        weights = torch.ones_like(bins)
    else:
        bins = torch.arange(new // 2 + 1, device=x.device)
        weights = 1 + _paired(bins, new)
    (cosine, sine), inputs = _cosine_sine(bins, new), _cosine_sine(bins, old)
    outputs = torch.cat([torch.cat([cosine, sine], 1), torch.cat([sine, -cosine], 1)])
    return torch.cat([outputs * weights.repeat(2) / new, torch.cat(inputs, 1)])


def _paired(columns: Tensor, width: int) -> Tensor:
    """Which columns of a half spectrum are not their own mirror."""
    return (columns > 0) & (2 * columns != width)


def _cosine_sine(bins: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Of each frequency at each position, [size, bins]."""
    positions = torch.arange(size, device=bins.device)
    # Reduced as integers: large multiples of 2 pi / N would cost digits.
    turns = torch.outer(positions, bins).remainder(size).double() * (2 * math.pi / size)
    return turns.cos(), turns.sin()


# --- module -------------------------------------------------------------------------------------


class DiffStride2d(nn.Module):
    """Pools images by strides that are learned: DiffStride, by a smooth crop of the spectrum.

    `Riad et al. 2022 <https://arxiv.org/abs/2202.01653>`_. Along an axis of N samples, frequencies
    up to ``N / (2 stride)`` bins pass, the ``smoothness`` bins beyond fade out linearly, and what
    is left is transformed back at its own size: the layer downsamples by less than its stride
    says, and so that a loss sees the stride through the fading bins. The gradient of the stride is
    that of these gains; the size follows without one.

    Values are those of the published layer wherever it is well defined: gain ``H W / (h w)`` (DC
    is kept as a sum), frequency -k of the rows faded like k - 1. Three of its slips are mended.
    At an odd height its rows are faded around a neighbour of DC. A plane of odd width loses a
    column even where nothing is cropped. And it writes the limited stride over its parameter; here
    the parameter is the optimiser's alone, and a gradient that would lead further beyond a limit
    is held back, so that the stride can return.

    The size of the result depends on the parameter's *value*: on CUDA every call waits for it,
    ``torch.compile`` breaks the graph at this layer (what follows is compiled anew, for any size,
    when it first changes), and neither ``fullgraph=True``, ``torch.export``, a CUDA graph nor
    ``vmap`` over strides is possible. With ``cropping=False`` all of them are.

    Args:
        stride: where to start, at least 1: one, or one per axis (height, width).
        smoothness: bins over which the gain falls from 1 to 0, above 0.
        shared: one parameter for both axes.
        bounds: least and greatest stride, None where there is no bound. Whatever they are, an axis
            of N samples is held between N / (N - smoothness) (not if N <= smoothness) and N / 2.
        cropping: False returns the full size, low-passed only.

    Attributes:
        stride: the parameter, [2], or [1] where shared. ``requires_grad_(False)`` fixes it.

    Raises:
        ValueError: a number is out of its range.
        TypeError: an argument is of another type.

    Example:
        >>> pool = DiffStride2d(2)
        >>> pool(torch.rand(8, 3, 64, 56)).shape
        torch.Size([8, 3, 40, 36])
    """

    def __init__(
        self,
        stride: float | Sequence[float],
        smoothness: float = 4.0,
        *,
        shared: bool = False,
        bounds: tuple[float | None, float | None] = (1.0, None),
        cropping: bool = True,
    ) -> None:
        super().__init__()
        self._start = _checked_strides(stride, shared)
        self.smoothness = _number("smoothness", smoothness)
        if not 0 < self.smoothness < math.inf:
            raise ValueError(f"{_OP}: smoothness must be above 0 and finite, got {smoothness}")
        self.shared = shared
        self.bounds = _checked_bounds(bounds, self._start)
        self.cropping = cropping
        self.stride = nn.Parameter(torch.empty(len(self._start)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Starts at the stride the layer was made with."""
        with torch.no_grad():
            self.stride.copy_(torch.tensor(self._start))

    @_outside_graphs
    def output_size(self, size: Sequence[int]) -> tuple[int, int]:
        """(h, w) of what an image of (H, W) becomes at the present stride.

        Along each axis ``2 ceil(smoothness + N / (2 stride))``, at most N.

        Raises:
            ValueError: the stride is NaN, or the layer is being exported.
        """
        if not self.cropping:
            return size[0], size[1]
        if torch.compiler.is_exporting():
            raise ValueError(f"{_OP}: cropping must be False to export, got True: {_WHY}")
        # Without values, on the meta device, the stride is taken to be where it started.
        strides = self._start if self.stride.is_meta else self.stride.detach().double().tolist()
        if any(math.isnan(stride) for stride in strides):
            raise ValueError(f"{_OP}: stride must be a number, got {strides}")
        new = []
        for old, stride in zip(size, strides * (2 // len(strides)), strict=True):
            lower, upper = self._limits(old)
            passband = old / min(max(stride, lower), upper)
            new.append(min(2 * math.ceil(self.smoothness + passband / 2), old))
        return new[0], new[1]

    def forward(self, x: Tensor) -> Tensor:
        """Pools x [..., H, W]."""
        check_image(_OP, x, 2)
        check_device(_OP, x, self.stride, argument="stride")
        old = x.shape[-2:]
        height, width = self.output_size(old) if self.cropping else old
        place = torch.arange(height, device=x.device)
        rows = self._gains(0, old[0], torch.where(2 * place < height, place, height - 1 - place))
        columns = self._gains(-1, old[1], torch.arange(width // 2 + 1, device=x.device) - 1)
        return _pooled(x, rows, columns, (height, width))

    def _limits(self, size: int) -> tuple[float, float]:
        """Where the stride of an axis is held: 2 bins at least pass, size - smoothness at most."""
        lower, upper = self.bounds
        least = size / (size - self.smoothness) if size > self.smoothness else 1.0
        # No comparison whose answer is known: of a traced size it is a guard, and torch.export
        # refuses one that it cannot prove.
        lower = max(lower, least) if lower > 1 else least
        upper = max(upper, least) if upper < math.inf else upper
        return min(lower, size / 2), min(upper, size / 2)

    def _gains(self, entry: int, size: int, positions: Tensor) -> Tensor:
        """1 up to half the passband, then down to 0; torch.clamp passes gradients at both ends."""
        stride = self.stride[entry].double()
        lower, upper = self._limits(size)
        if lower < upper:
            held = _held(stride, lower, upper)
        else:  # nothing to learn: a gradient of 0, for what wants one of every parameter
            held = torch.where(stride.isnan(), stride, upper)
        # In this order a stride that puts a bin on an end of the slope is not rounded off it.
        return (1 + (size / held / 2 - positions) / self.smoothness).clamp(0, 1)

    def extra_repr(self) -> str:
        """The present stride, and what differs from the defaults."""
        strides = self._start if self.stride.is_meta else self.stride.tolist()
        shown = ", ".join(f"{stride:.4g}" for stride in strides)
        words = [f"stride={shown}" if self.shared else f"stride=({shown})"]
        words.append(f"smoothness={self.smoothness:g}")
        words += ["shared=True"] if self.shared else []
        words += [f"bounds={self.bounds}"] if self.bounds != (1.0, math.inf) else []
        words += ["cropping=False"] if not self.cropping else []
        return ", ".join(words)


def _number(argument: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{_OP}: {argument} must be a number, got {type(value).__name__}")
    return float(value)


def _checked_strides(stride: object, shared: bool) -> list[float]:
    given = list(stride) if isinstance(stride, (tuple, list)) else [stride]
    if len(given) not in (1, 1 if shared else 2):
        wanted = "one number as it is shared" if shared else "one number or (height, width)"
        raise ValueError(f"{_OP}: stride must be {wanted}, got {stride}")
    strides = [_number("stride", one) for one in given]
    return strides if shared or len(strides) == 2 else strides * 2


def _checked_bounds(bounds: object, strides: Sequence[float]) -> tuple[float, float]:
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
        raise ValueError(f"{_OP}: bounds must be (least, greatest), got {bounds}")
    lower = 1.0 if bounds[0] is None else _number("bounds", bounds[0])
    upper = math.inf if bounds[1] is None else _number("bounds", bounds[1])
    if not 1 <= lower <= upper:
        raise ValueError(f"{_OP}: bounds must be at least 1 and in order, got {bounds}")
    if not all(lower <= stride <= upper and stride < math.inf for stride in strides):
        raise ValueError(f"{_OP}: stride must be within {lower:g} and {upper:g}, got {strides}")
    return lower, upper
