"""pass_filter: modules that low-, high- or band-pass images of any size, by fft_filter."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from freqops import filters
from freqops.ops._checks import check_image
from freqops.ops._responses import response_for
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


class LowPass2d(_OneCutoff):
    """Low-passes images of any size. See :func:`freqops.filters.low_pass`."""

    _build = staticmethod(filters.low_pass)
    _dims = 2


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
