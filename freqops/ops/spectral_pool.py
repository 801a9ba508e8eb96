"""spectral_pool: planes resized by cropping, or padding, their spectrum."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from freqops.ops import _axis_maps, _composition
from freqops.ops._axis_maps import NORMS, NYQUIST_RULES, WINDOWS
from freqops.ops._batching import leading
from freqops.ops._checks import LARGEST_PLANE, check_image
from freqops.ops._derivatives import Inputs, Needs, call, register_derivatives
from freqops.ops._layout import like_pooled
from freqops.ops._registration import fake, vmap
from freqops.ops._resize_costs import has_channels_as_lanes, prefers_transforms
from freqops.ops._taps import counts_per_axis, remembered

OutputSize: TypeAlias = "int | Sequence[int] | None"
ScaleFactor: TypeAlias = "float | Sequence[float]"


# --- functions ----------------------------------------------------------------------------------


def spectral_pool2d(
    x: Tensor,
    output_size: OutputSize = None,
    *,
    scale_factor: ScaleFactor = 0.5,
    window: str | None = None,
    nyquist: str = "half",
    norm: str = "forward",
) -> Tensor:
    """Images of another size with the same low frequencies, and none of the others.

    The spectrum is cropped to that of the output, or continued with zeros: the spectral pooling of
    `Rippel et al. 2015 <https://arxiv.org/abs/1506.03767>`_, an ideal low-pass with any factor, up
    as well as down, and in one pass over the planes. Nothing aliases, and circular shifts come
    through (with ``nyquist="zero"`` exactly, also for even outputs). Where the size stays and there
    is no window, the result equals x bit by bit.

    Args:
        x: [..., H, W], float32, float64, float16 or bfloat16 (half types compute in float32 and
            round once), any sizes from 1 up.
        output_size: (h, w), or one number for both; smaller or larger than x. None: by the factor.
        scale_factor: outputs per sample, one number or (height, width): ``ceil(H * scale_factor)``
            of them. Without effect where there is an output size.
        window: None, or "hamming" to weaken high frequencies: per axis, the square root of a
            Hamming window over the spectrum of x, one at DC and periodic (`Grabinski et al. 2023
            <https://arxiv.org/abs/2307.09804>`_). It applies where the size stays as well.
        nyquist: weight of the bin at the smaller size's Nyquist frequency, if that size is even and
            smaller: "half" takes the mean of the two bins that meet there, "ortho" their sum over
            the square root of 2, "sum" their sum (as scipy), "zero" nothing. Upwards each of the
            two gets a half ("half", "sum"), 1 over the square root of 2, or nothing; with "ortho"
            and "sum", up and down again gives x back.
        norm: "forward" keeps the mean; "ortho" and "backward" are torch.fft's, with which it grows
            by sqrt(H W / (h w)) or H W / (h w).

    Returns:
        [..., h, w], dtype of x, channels_last if x is.

    Raises:
        ValueError: a shape, number or name does not fit.
        TypeError: an argument is of another type.

    Example:
        >>> images = torch.rand(8, 3, 33, 32)
        >>> spectral_pool2d(images).shape
        torch.Size([8, 3, 17, 16])
        >>> spectral_pool2d(images, (64, 100)).shape
        torch.Size([8, 3, 64, 100])
    """
    return _spectral_pool("spectral_pool2d", x, output_size, scale_factor, window, nyquist, norm, 2)


def spectral_pool1d(
    x: Tensor,
    output_size: OutputSize = None,
    *,
    scale_factor: ScaleFactor = 0.5,
    window: str | None = None,
    nyquist: str = "half",
    norm: str = "forward",
) -> Tensor:
    """Signals of another length with the same low frequencies; see :func:`spectral_pool2d`.

    Args:
        x: [..., N].
        output_size: length of the result; None: by the factor.
        scale_factor: outputs per sample: ``ceil(N * scale_factor)`` of them.
        window: as for :func:`spectral_pool2d`.
        nyquist: as for :func:`spectral_pool2d`.
        norm: as for :func:`spectral_pool2d`.

    Returns:
        [..., n], dtype of x, channels_last if x is.

    Raises:
        ValueError: a shape, number or name does not fit.
        TypeError: an argument is of another type.
    """
    return _spectral_pool("spectral_pool1d", x, output_size, scale_factor, window, nyquist, norm, 1)


def _spectral_pool(
    op: str,
    x: Tensor,
    output_size: OutputSize,
    scale_factor: ScaleFactor,
    window: str | None,
    nyquist: str,
    norm: str,
    dims: int,
) -> Tensor:
    check_image(op, x, dims)
    size = _numbers(op, dims, output_size, scale_factor, window, nyquist, norm)
    if output_size is None:
        size = tuple(_scaled(side, one) for side, one in zip(x.shape[-dims:], size, strict=True))
    return pooled(op, x, size, window or "", nyquist, norm)


def pooled(op: str, x: Tensor, size: Sequence[int], window: str, nyquist: str, norm: str) -> Tensor:
    """The op on as many axes as there are sizes; all else is checked before.

    Raises:
        ValueError: a plane of the result would be too large.
    """
    # A traced size must not be tied to a bound.
    if not torch.compiler.is_compiling() and math.prod(size) > LARGEST_PLANE:
        raise ValueError(
            f"{op}: output_size must give at most 2**26 samples per plane, got {list(size)}"
        )
    y: Tensor = call(torch.ops.freqops.spectral_pool.default, x, list(size), window, nyquist, norm)
    return y


@remembered
def _numbers(
    op: str,
    dims: int,
    output_size: OutputSize,
    scale_factor: ScaleFactor,
    window: str | None,
    nyquist: str,
    norm: str,
) -> tuple[Any, ...]:
    """The output size, or the scale factor of each axis where there is none.

    Raises:
        TypeError: a number is none.
        ValueError: a number or name has no meaning.
    """
    names = (
        ("window", window, (None, *WINDOWS)),
        ("nyquist", nyquist, NYQUIST_RULES),
        ("norm", norm, NORMS),
    )
    for argument, value, known in names:
        if value not in known:
            words = ", ".join(map(repr, known))
            raise ValueError(f"{op}: {argument} must be one of {words}, got {value!r}")
    factors = _factors(op, scale_factor, dims)
    if output_size is None:
        return factors
    return counts_per_axis(op, "output_size", output_size, dims)


def _factors(op: str, scale_factor: object, dims: int) -> tuple[float, ...]:
    each = (scale_factor,) * dims
    if isinstance(scale_factor, (tuple, list)):
        each = tuple(scale_factor)
    if len(each) != dims:
        raise ValueError(
            f"{op}: scale_factor must be one number or {dims}, one per axis, got {len(each)}"
        )
    factors = []
    for one in each:
        if not isinstance(one, (int, float, numbers.Real)) or isinstance(one, bool):
            raise TypeError(f"{op}: scale_factor must be a number, got {type(one).__name__}")
        try:
            factors.append(float(one))
        except OverflowError:
            factors.append(math.inf)
        if not 0 < factors[-1] < math.inf:
            raise ValueError(f"{op}: scale_factor must be above 0 and finite, got {factors[-1]}")
    return tuple(factors)


def _scaled(size: int, factor: float) -> int:
    """ceil(size * factor); in integers where that is exact, which traced sizes take to."""
    numerator, denominator = factor.as_integer_ratio()
    if denominator <= 2**10:
        return -(-size * numerator // denominator)
    return math.ceil(size * factor)


# --- the op -------------------------------------------------------------------------------------

# Two ways to one result. Products with matrices of an axis take N operations per sample, transforms
# take some log N and more care. On CUDA the first keep to planes of at most so many samples a side.
_LONGEST_BY_MATRIX = 128


def method(
    sizes: Sequence[int], targets: Sequence[int], rule: _axis_maps.Rule, x: Tensor, device: str
) -> str:
    """How an op takes planes of these sizes to those: "copy", "matrix", "fft" or "torch".

    Args:
        sizes: of the axes of a plane.
        targets: of the axes of the result.
        rule: window, nyquist, norm.
        x: the planes; their memory format counts.
        device: type of the device they lie on.
    """
    axes = zip(sizes, targets, strict=True)
    changed = [pair for pair in axes if not _axis_maps.is_identity(*pair, rule)]
    if not changed:
        return "copy"
    if not _by_transforms(changed, x, device):
        return "matrix"
    return "torch" if device == "cpu" and _are_few_long_lines(changed, x) else "fft"


def separable_outputs(
    sizes: Sequence[int], targets: Sequence[int], rule: _axis_maps.Rule
) -> list[int]:
    """What ``separable`` is asked for, by height and width; 0 where an axis stays."""
    axes = zip(sizes, targets, strict=True)
    outputs = [0 if _axis_maps.is_identity(*axis, rule) else axis[1] for axis in axes]
    return outputs if len(outputs) == 2 else [0, *outputs]


def transformed_axes(sizes: Sequence[int], targets: Sequence[int], rule: _axis_maps.Rule) -> slice:
    """Which axes ``resize_spectrum`` is asked for: where the height stays, lines are enough."""
    stays = _axis_maps.is_identity(sizes[0], targets[0], rule)
    return slice(1, 2) if len(sizes) == 2 and stays else slice(0, 2)


def needs_outer(
    op: str, sizes: Sequence[int], targets: Sequence[int], rule: _axis_maps.Rule
) -> bool:
    """Whether the matrices need vectors beside them: for the corner of "two_corner"."""
    cropped = (sizes, targets) if op == "spectral_pool" else (targets, sizes)
    return rule[1] == "two_corner" and len(sizes) == 2 and _axis_maps.has_corner(*cropped)


def _by_transforms(changed: Sequence[tuple[int, int]], x: Tensor, device: str) -> bool:
    """Whether axes of these sizes, which become others, are better transformed."""
    sizes, targets = zip(*changed, strict=True)
    if device == "cuda":
        longest: int = max(*sizes, *targets)
        return longest > _LONGEST_BY_MATRIX
    return prefers_transforms(sizes, targets, channels_last=has_channels_as_lanes(x))


# The kernel's lanes are lines: it takes 32 in the time of one. Measured: with longer ones than this
# torch's transforms, line by line, are sooner up to about 16; with shorter ones never.
_LONG_LINE, _FEW_LINES = 4096, 16


def _are_few_long_lines(changed: Sequence[tuple[int, int]], x: Tensor) -> bool:
    if len(changed) > 1 or changed[0][0] != x.shape[-1]:
        return False
    lines: int = math.prod(x.shape[:-1])
    return max(changed[0]) > _LONG_LINE and lines < _FEW_LINES


_library = torch.library.Library("freqops", "FRAGMENT")  # type: ignore[no-untyped-call]
for _name, _map in (("spectral_pool", "x"), ("spectral_pool_adjoint", "y")):
    _library.define(  # type: ignore[no-untyped-call]
        f"{_name}(Tensor {_map}, SymInt[] size, str window, str nyquist, str norm) -> Tensor"
    )


def _pool(x: Tensor, size: Sequence[int], window: str, nyquist: str, norm: str) -> Tensor:
    return _resized("spectral_pool", x, size, (window, nyquist, norm), transposed=False)


def _pool_adjoint(y: Tensor, size: Sequence[int], window: str, nyquist: str, norm: str) -> Tensor:
    return _resized("spectral_pool_adjoint", y, size, (window, nyquist, norm), transposed=True)


for _name, _implementation in (("spectral_pool", _pool), ("spectral_pool_adjoint", _pool_adjoint)):
    for _key in ("CPU", "CUDA"):
        _library.impl(_name, _implementation, _key)  # type: ignore[no-untyped-call]


def _resized(
    op: str, x: Tensor, targets: Sequence[int], rule: _axis_maps.Rule, transposed: bool
) -> Tensor:
    dims = len(targets)
    _check_call(op, x, targets, rule)
    sizes, targets = tuple(x.shape[-dims:]), tuple(targets)
    how = method(sizes, targets, rule, x, x.device.type)
    if how == "copy" or x.numel() == 0:
        out = like_pooled(x, [*x.shape[-2:-1], *targets] if dims == 1 else targets)
        return out.copy_(x) if how == "copy" else out
    # What is cropped, or continued, by the map itself: for the transpose the other way round.
    from_, to = (targets, sizes) if transposed else (sizes, targets)
    corner = needs_outer(op, sizes, targets, rule)
    axes = list(zip(from_, to, strict=True))
    if how in ("fft", "torch"):
        which = transformed_axes(sizes, targets, rule)
        gains = [_axis_maps.kept_gains(x, *axis, rule) for axis in axes[which]]
        row_gains = gains[0] if len(gains) == 2 else gains[0][:0]
        kernels = torch.ops.freqops.resize_spectrum.default
        transform = kernels if how == "fft" else _composition.resize_spectrum
        y: Tensor = transform(x, row_gains, gains[-1], targets[which], corner)
        return y
    matrices = {
        axis: _axis_maps.kept_matrix(x, *axis, rule, transposed)
        for axis in set(axes)
        if not _axis_maps.is_identity(*axis, rule)
    }
    rows = matrices.get(axes[0]) if dims == 2 else None
    outer = _axis_maps.kept_outer(x, from_, to, rule, transposed) if corner else None
    y = torch.ops.freqops.separable.default(x, rows, matrices.get(axes[-1]), outer, True)
    return y


def _check_call(op: str, x: Tensor, targets: Sequence[int], rule: _axis_maps.Rule) -> None:
    """What is wrong with a call of torch.ops, around the functions above: they say it better.

    Raises:
        RuntimeError: something is.
    """
    dims = len(targets)
    if dims not in (1, 2):
        raise RuntimeError(f"{op}: size must hold 1 or 2 numbers, got {dims}")
    if not x.is_floating_point() or x.layout != torch.strided:
        raise RuntimeError(f"{op}: x must be strided and floating-point, got {x.dtype}, {x.layout}")
    if x.dim() < dims or min(x.shape[-dims:]) < 1:
        raise RuntimeError(f"{op}: x must have {dims} axes with samples, got {list(x.shape)}")
    if min(targets) < 1 or math.prod(targets) > LARGEST_PLANE:
        raise RuntimeError(f"{op}: size must be of 1 to 2**26 samples, got {list(targets)}")
    if not _axis_maps.is_rule(rule):
        raise RuntimeError(f"{op}: window, nyquist and norm must be known names, got {rule}")


@fake("spectral_pool")
def _fake(x: Tensor, size: Any, window: str, nyquist: str, norm: str) -> Tensor:
    return like_pooled(x, size if len(size) == 2 else [*x.shape[-2:-1], *size])


@fake("spectral_pool_adjoint")
def _fake_adjoint(y: Tensor, size: Any, window: str, nyquist: str, norm: str) -> Tensor:
    return _fake(y, size, window, nyquist, norm)


# --- derivatives: both are linear, and each other's transpose -----------------------------------


def _backward(inputs: Inputs, needs: Needs, gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    x, size, *rule = inputs
    if gradient is None:
        return (None,) * 5
    whole = (x.shape if isinstance(x, Tensor) else x)[-len(size) :]
    return torch.ops.freqops.spectral_pool_adjoint(gradient, whole, *rule), *(None,) * 4


def _backward_adjoint(
    inputs: Inputs, needs: Needs, gradient: Tensor | None
) -> tuple[Tensor | None, ...]:
    y, size, *rule = inputs
    if gradient is None:
        return (None,) * 5
    whole = (y.shape if isinstance(y, Tensor) else y)[-len(size) :]
    return torch.ops.freqops.spectral_pool(gradient, whole, *rule), *(None,) * 4


def _reads(needs: Needs) -> Needs:
    return (False,) * len(needs)


def _tangent(inputs: Inputs, tangents: Inputs) -> Tensor:
    result: Tensor = torch.ops.freqops.spectral_pool(tangents[0], *inputs[1:])
    return result


def _tangent_adjoint(inputs: Inputs, tangents: Inputs) -> Tensor:
    result: Tensor = torch.ops.freqops.spectral_pool_adjoint(tangents[0], *inputs[1:])
    return result


register_derivatives("spectral_pool", backward=_backward, jvp=_tangent, reads=_reads)
register_derivatives(
    "spectral_pool_adjoint", backward=_backward_adjoint, jvp=_tangent_adjoint, reads=_reads
)


# --- vmap: the batch is one more leading dimension ----------------------------------------------


@vmap("spectral_pool")
def _vmap(info: Any, in_dims: Any, x: Tensor, *arguments: Any) -> tuple[Tensor, int]:
    x = leading(x, in_dims[0], info.batch_size)
    return torch.ops.freqops.spectral_pool(x, *arguments), 0


@vmap("spectral_pool_adjoint")
def _vmap_adjoint(info: Any, in_dims: Any, y: Tensor, *arguments: Any) -> tuple[Tensor, int]:
    y = leading(y, in_dims[0], info.batch_size)
    return torch.ops.freqops.spectral_pool_adjoint(y, *arguments), 0


# --- modules ------------------------------------------------------------------------------------


class _SpectralPool(nn.Module):
    _dims: int

    def __init__(
        self,
        output_size: OutputSize = None,
        scale_factor: ScaleFactor = 0.5,
        *,
        window: str | None = None,
        nyquist: str = "half",
        norm: str = "forward",
    ) -> None:
        super().__init__()
        op = type(self).__name__
        _numbers(op, self._dims, output_size, scale_factor, window, nyquist, norm)
        self.output_size, self.scale_factor = output_size, scale_factor
        self.window, self.nyquist, self.norm = window, nyquist, norm

    def forward(self, x: Tensor) -> Tensor:
        """Resizes the last axis of x, or the last two."""
        return _spectral_pool(
            f"spectral_pool{self._dims}d",
            x,
            self.output_size,
            self.scale_factor,
            self.window,
            self.nyquist,
            self.norm,
            self._dims,
        )

    def extra_repr(self) -> str:
        """The size or the factor, and what differs from the defaults."""
        if self.output_size is None:
            words = [f"scale_factor={self.scale_factor}"]
        else:
            words = [f"output_size={self.output_size}"]
        for name, default in (("window", None), ("nyquist", "half"), ("norm", "forward")):
            value = getattr(self, name)
            if value != default:
                words.append(f"{name}={value!r}")
        return ", ".join(words)


class SpectralPool1d(_SpectralPool):
    """Resizes signals by their spectrum. See :func:`spectral_pool1d`.

    Args:
        output_size: length of the result; None: by the factor.
        scale_factor: outputs per sample.
        window: as for :func:`spectral_pool1d`.
        nyquist: as for :func:`spectral_pool1d`.
        norm: as for :func:`spectral_pool1d`.
    """

    _dims = 1


class SpectralPool2d(_SpectralPool):
    """Resizes images by their spectrum. See :func:`spectral_pool2d`.

    Args:
        output_size: (h, w), or one number for both; None: by the factor.
        scale_factor: outputs per sample, one number or (height, width).
        window: as for :func:`spectral_pool2d`.
        nyquist: as for :func:`spectral_pool2d`.
        norm: as for :func:`spectral_pool2d`.
    """

    _dims = 2
