"""pass_filter: modules that low-, high- or band-pass images of any size.

By fft_filter; a low-pass whose response is a product of one per axis (a Gaussian, a square) also as
a matrix per axis, where that is faster: on a CPU, in channels_last and at sizes with large prime
factors.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from freqops import filters
from freqops.ops._axis_maps import axis_matrix
from freqops.ops._checks import check_image
from freqops.ops._derivatives import call
from freqops.ops._layout import compute_dtype
from freqops.ops._resize_costs import has_channels_as_lanes, prefers_transforms
from freqops.ops._responses import kept_for, response_for
from freqops.ops.fft_filter import fft_filter1d, fft_filter2d

_FILTER = {1: fft_filter1d, 2: fft_filter2d}


class PassFilter(nn.Module):
    """What the pass filters share: cutoffs and options, a response per input size.

    The response is built from the size, dtype and device of each input and kept in a bounded cache
    shared by all modules. Cutoffs are numbers, or ``nn.Parameter`` of shape [] that are learned
    (smooth kinds) and the only thing in ``state_dict``.
    """

    _build: Callable[..., Tensor]
    _dims: int

    def __init__(
        self,
        cutoffs: dict[str, float | nn.Parameter],
        kind: filters.Kind,
        norm: filters.Norm,
        unit: filters.Unit,
        order: int,
        inclusive: bool,
    ) -> None:
        super().__init__()
        op = type(self).__name__
        filters.check_options(op, kind, norm, unit, order)
        for name, cutoff in cutoffs.items():
            filters.check_cutoff(op, name, cutoff)
            if isinstance(cutoff, Tensor) and (
                cutoff.dim() or not isinstance(cutoff, nn.Parameter)
            ):
                raise TypeError(
                    f"{op}: {name} must be a number or an nn.Parameter of shape [], got a Tensor"
                )
            setattr(self, name, cutoff)
        self._cutoffs = tuple(cutoffs)
        self.kind, self.norm, self.unit = kind, norm, unit
        self.order, self.inclusive = order, inclusive

    def forward(self, x: Tensor) -> Tensor:
        """Filters x along its last axis, or last two."""
        op = type(self).__name__
        check_image(op, x, self._dims)
        response = response_for(
            x,
            self._dims,
            type(self)._build,
            *(getattr(self, name) for name in self._cutoffs),
            kind=self.kind,
            norm=self.norm,
            unit=self.unit,
            order=self.order,
            inclusive=self.inclusive,
        )
        return _FILTER[self._dims](x, response)

    def extra_repr(self) -> str:
        """The arguments that decide the response."""
        values = [f"{name}={_number(getattr(self, name))}" for name in self._cutoffs]
        values += [f"kind={self.kind!r}", f"unit={self.unit!r}"]
        if self._dims > 1:
            values.append(f"norm={self.norm!r}")
        if self.kind == "butterworth":
            values.append(f"order={self.order}")
        if self.inclusive:
            values.append("inclusive=True")
        return ", ".join(values)


def _number(cutoff: float | Tensor) -> str:
    return f"{float(cutoff):g} (learned)" if isinstance(cutoff, Tensor) else f"{cutoff:g}"


class _OneCutoff(PassFilter):
    def __init__(
        self,
        cutoff: float | nn.Parameter,
        *,
        kind: filters.Kind = "ideal",
        norm: filters.Norm = "l2",
        unit: filters.Unit = "cycles",
        order: int = 2,
        inclusive: bool = False,
    ) -> None:
        super().__init__({"cutoff": cutoff}, kind, norm, unit, order, inclusive)


class _TwoCutoffs(PassFilter):
    def __init__(
        self,
        low: float | nn.Parameter,
        high: float | nn.Parameter,
        *,
        kind: filters.Kind = "ideal",
        norm: filters.Norm = "l2",
        unit: filters.Unit = "cycles",
        order: int = 2,
        inclusive: bool = False,
    ) -> None:
        super().__init__({"low": low, "high": high}, kind, norm, unit, order, inclusive)
        if float(low) > float(high):
            raise ValueError(
                f"{type(self).__name__}: low must not be above high, "
                f"got {float(low):g} and {float(high):g}"
            )


# Measured where planes lie one after the other: matrices are faster at 29, slower at 17.
_SMALLEST_FOR_MATRICES = 24


class LowPass2d(_OneCutoff):
    """Low-passes images of any size. See :func:`freqops.filters.low_pass`."""

    _build = staticmethod(filters.low_pass)
    _dims = 2
    cutoff: float | nn.Parameter

    def forward(self, x: Tensor) -> Tensor:
        """Filters x along its last two axes."""
        check_image(type(self).__name__, x, 2)
        if not self._takes_matrices(x):
            return super().forward(x)
        rows, columns = (self._matrix(x, size) for size in x.shape[-2:])
        y: Tensor = call(torch.ops.freqops.separable.default, x, rows, columns, None, True)
        return y

    def _takes_matrices(self, x: Tensor) -> bool:
        by_axis = (self.kind, self.norm) in (("gaussian", "l2"), ("ideal", "linf"))
        # A traced graph is for any size: no choice that depends on this one.
        if not by_axis or isinstance(self.cutoff, Tensor) or torch.compiler.is_compiling():
            return False
        if x.device.type != "cpu":  # what the choice weighs are times of a CPU
            return False
        size = tuple(x.shape[-2:])
        if has_channels_as_lanes(x):
            return not prefers_transforms(size, size, channels_last=True)
        if min(size) < _SMALLEST_FOR_MATRICES:
            return False
        return not prefers_transforms(size, size, channels_last=False)

    def _matrix(self, x: Tensor, size: int) -> Tensor:
        dtype = compute_dtype(x.dtype)

        def built() -> Tensor:
            response = filters.low_pass(
                size,
                self.cutoff,
                kind=self.kind,
                unit=self.unit,
                inclusive=self.inclusive,
                dtype=torch.float64,
                device=x.device,
            )
            return axis_matrix(response / size, size, size).to(dtype)

        options = (self.cutoff, self.kind, self.unit, self.inclusive)
        return kept_for(x, (LowPass2d, size, *options, dtype, x.device), built)


class HighPass2d(_OneCutoff):
    """High-passes images of any size. See :func:`freqops.filters.high_pass`."""

    _build = staticmethod(filters.high_pass)
    _dims = 2


class BandPass2d(_TwoCutoffs):
    """Band-passes images of any size. See :func:`freqops.filters.band_pass`."""

    _build = staticmethod(filters.band_pass)
    _dims = 2


class LowPass1d(_OneCutoff):
    """Low-passes signals of any length. See :func:`freqops.filters.low_pass`."""

    _build = staticmethod(filters.low_pass)
    _dims = 1


class HighPass1d(_OneCutoff):
    """High-passes signals of any length. See :func:`freqops.filters.high_pass`."""

    _build = staticmethod(filters.high_pass)
    _dims = 1


class BandPass1d(_TwoCutoffs):
    """Band-passes signals of any length. See :func:`freqops.filters.band_pass`."""

    _build = staticmethod(filters.band_pass)
    _dims = 1
