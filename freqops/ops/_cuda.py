"""The ops on CUDA: by our kernels where they take the planes, else by compositions of torch.

What stands here is how an op becomes calls of the kernels, which are ops of their own in the CUDA
library (csrc/ops/cuda). Tests run the same functions on the CPU, over the host replay.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from freqops.ops import _axis_maps, _composition, _pooling_composition
from freqops.ops._layout import is_channels_last, like_input, like_pooled, slabs_like_input
from freqops.ops._responses import CACHE, current_stream

_KERNEL_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_MOST_PLANES = 2**31 - 1  # kernels count planes in 32 bits


class Kernels:
    """The ops, by the kernels of one library.

    Args:
        ops: the namespace of ``torch.ops`` with the ops of csrc/ops/cuda.
    """

    def __init__(self, ops: Any) -> None:
        self._ops = ops
        self._table = ops.fft_filter_table.default
        self._planes = ops.fft_filter_planes.default
        # A device does not change, and asking its driver takes as long as a small filter.
        self._answer = functools.lru_cache(maxsize=4096)(self._ask)

    @staticmethod
    def _ask(question: Callable[..., Any], device: torch.device, *arguments: Any) -> Any:
        with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
            return question(*arguments)

    # --- what the kernels take; `device` is where x lies if x only stands for a tensor there ------

    def form(self, x: Tensor, dims: int, device: torch.device | None = None) -> str:
        """The form of the filter's kernels that takes the planes of x; "none" where none does.

        Signals (``dims`` 1) are planes of height 1.
        """
        if _why_never(x, dims):
            return "none"
        question = self._ops.fft_filter_form.default
        form: str = self._answer(question, device or x.device, *_plane(x, dims))
        return form

    def padded_form(
        self,
        x: Tensor,
        sides: Sequence[int],
        grid: Sequence[int],
        size: Sequence[int],
        device: torch.device | None = None,
    ) -> str:
        """The form of fft_filter_padded's kernels that takes planes of these sides; or "none"."""
        if _why_never(x, len(grid)):
            return "none"
        question = self._ops.fft_filter_padded_form.default
        numbers = (tuple(_plane_sizes(sizes)) for sizes in (sides, grid, size))
        form: str = self._answer(question, device or x.device, *numbers)
        return form

    def padded_grid(
        self,
        x: Tensor,
        sides: Sequence[int],
        least: Sequence[int],
        size: Sequence[int],
        device: torch.device | None = None,
    ) -> tuple[int, ...]:
        """The smallest grid, of at least these sides, that fft_filter_padded has a kernel made for.

        Such a kernel skips the zeros, so it is sooner on its larger grid than those for any size.
        Empty where there is none.
        """
        if _why_never(x, 2):
            return ()
        question = self._ops.fft_filter_padded_grid.default
        numbers = tuple(sides), tuple(least), tuple(size)
        return tuple(self._answer(question, device or x.device, *numbers))

    def correlates(self, x: Tensor, dims: int, device: torch.device | None = None) -> bool:
        """Whether the kernels of spectral_correlation take the planes of x."""
        return self._correlates(x, dims, _plane(x, dims), device)

    def correlates_on(
        self, x: Tensor, grid: Sequence[int], device: torch.device | None = None
    ) -> bool:
        """Whether they take planes like x that zeros follow up to the grid."""
        return self._correlates(x, len(grid), _plane_sizes(grid), device)

    def _correlates(
        self, x: Tensor, dims: int, plane: Sequence[int], device: torch.device | None
    ) -> bool:
        if _why_never(x, dims):
            return False
        question = self._ops.spectral_correlation_takes.default
        return bool(self._answer(question, device or x.device, *plane))

    def mixes(self, x: Tensor, over_channels: bool, device: torch.device | None = None) -> bool:
        """Whether the kernels of mix_amplitude_phase take images like x."""
        if _why_never(x, 2):
            return False
        question = self._ops.mix_amplitude_phase_takes.default
        channels = x.shape[-3] if over_channels else 1
        answer = self._answer(question, device or x.device, channels, over_channels, *_plane(x, 2))
        return bool(answer)

    def resizes(self, x: Tensor, size: Sequence[int], device: torch.device | None = None) -> bool:
        """Whether the kernels of resize_spectrum take the planes, or signals, of x to this size."""
        dims = len(size)
        if _why_never(x, dims):
            return False
        question = self._ops.resize_spectrum_takes.default
        sizes = *_plane(x, dims), *_plane_sizes(size)
        return bool(self._answer(question, device or x.device, *sizes))

    @staticmethod
    def why_not(x: Tensor, dims: int, over_channels: bool = False) -> str:
        """Why no kernel takes x, in words, where none does."""
        never = _why_never(x, dims)
        if never is not None:
            return never
        height, width = _plane(x, dims)
        most = "at most 4 channels are transformed together, and " if over_channels else ""
        return f"{most}a line of planes of {height} x {width} must fit the device's shared memory"

    # --- the ops ----------------------------------------------------------------------------------

    def fft_filter(self, x: Tensor, response: Tensor, imag: Tensor | None, dims: int) -> Tensor:
        """The op of this name, into a new tensor."""
        form = self.form(x, dims)
        if form == "none" or x.numel() == 0:
            return _composition.fft_filter(x, response, imag, dims)
        (filtered,) = self._run(form, x, response, imag, dims)
        return _in_layout_of(x, filtered)

    def fft_filter_out(
        self, x: Tensor, response: Tensor, imag: Tensor | None, dims: int, *, out: Tensor
    ) -> Tensor:
        """The op's overload that writes to ``out``."""
        form = self.form(x, dims)
        if form == "none" or x.numel() == 0:
            return _composition.fft_filter_out(x, response, imag, dims, out=out)
        (filtered,) = self._run(form, x, response, imag, dims)
        return out.copy_(filtered)

    def fft_filter_padded(
        self,
        x: Tensor,
        response: Tensor,
        imag: Tensor | None,
        grid: Sequence[int],
        size: Sequence[int],
    ) -> Tensor:
        """The op of this name."""
        form = self.padded_form(x, x.shape[-len(grid) :], grid, size)
        if x.numel() == 0 or form == "none":
            return _composition.fft_filter_padded(x, response, imag, grid, size)
        dims = len(grid)
        parts = [None if t is None else t.contiguous() for t in (x, response, imag)]
        planes = [None if t is None else _as_planes(t, dims) for t in parts]
        sizes = [list(_plane_sizes(numbers)) for numbers in (grid, size)]
        y: Tensor = self._ops.fft_filter_padded_planes(*planes, *sizes)
        if dims == 1:
            return _reshaped(y, [*x.shape[:-1], *size])
        return like_pooled(x, size).copy_(y) if is_channels_last(x) else y

    def filter_bank(self, x: Tensor, responses: Tensor, imag: Tensor | None, dims: int) -> Tensor:
        """The op of this name: one forward transform for all responses."""
        form = self.form(x, dims)
        if form == "none" or x.numel() == 0:
            return _composition.filter_bank(x, responses, imag, dims)
        (bank,) = self._run(form, x, responses, imag, dims, bank=True)
        return _in_layout_of(x, bank)

    def filter_bank_adjoint(
        self, y: Tensor, responses: Tensor, imag: Tensor | None, dims: int
    ) -> Tensor:
        """The op of this name: slab r by the conjugate of response r, summed in float32."""
        x = y[0]
        form = self.form(x, dims)
        if form == "none" or x.numel() == 0:
            return _composition.filter_bank_adjoint(y, responses, imag, dims)

        def term(r: int) -> Tensor:
            conjugate = None if imag is None else -imag[r]
            part = (responses, r)
            (back,) = self._run(form, y[r].float(), responses[r], conjugate, dims, part_of=part)
            return back

        return _in_layout_of(x, functools.reduce(Tensor.add_, map(term, range(len(y)))))

    def low_high(self, x: Tensor, responses: Tensor, dims: int) -> tuple[Tensor, Tensor]:
        """The op of this name, in one kernel: x is still at hand where low is stored."""
        form = self.form(x, dims)
        if form == "none" or x.numel() == 0:
            return _composition.low_high(x, responses, dims)
        low, high = self._run(form, x, responses, None, dims, bank=True, high=True)
        return _in_layout_of(x, low), _in_layout_of(x, high)

    def low_high_out(
        self, x: Tensor, responses: Tensor, dims: int, *, low: Tensor, high: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The op's overload that writes to both."""
        made = self.low_high(x, responses, dims)
        return low.copy_(made[0]), high.copy_(made[1])

    def split_bands(self, x: Tensor, responses: Tensor, dims: int) -> Tensor:
        """The op of this name: a bank, and what it leaves of x; half types round at the end."""
        form = self.form(x, dims)
        if form == "none" or x.numel() == 0:
            return _composition.split_bands(x, responses, dims)
        exact = x.float()
        (bank,) = self._run(form, exact, responses, None, dims, bank=True)
        bands = slabs_like_input(x, responses.shape[0] + 1)
        bands[:-1] = bank
        bands[-1] = exact - bank.sum(0)
        return bands

    def spectral_correlation(
        self, x: Tensor, y: Tensor, channels: int, dims: int
    ) -> tuple[Tensor, Tensor]:
        """The op of this name."""
        if x.numel() == 0 or not self.correlates(x, dims):
            return _composition.spectral_correlation(x, y, channels, dims)
        planes = [_as_planes(images.contiguous(), dims) for images in (x, y)]
        real, imag = self._ops.spectral_correlation_planes.default(*planes, channels)
        shape = [*real.shape[:-2], *real.shape[-dims:]]
        return _reshaped(real, shape), _reshaped(imag, shape)

    def spectral_correlation_padded(
        self, x: Tensor, y: Tensor, channels: int, grid: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """spectral_correlation of planes that zeros follow up to the grid, without copies of them.

        No op of its own: convolutions call it below autograd, for grids of ``correlates_on``.
        """
        dims = len(grid)
        planes = [_as_planes(images.contiguous(), dims) for images in (x, y)]
        correlate = self._ops.spectral_correlation_padded_planes.default
        real, imag = correlate(*planes, channels, list(_plane_sizes(grid)))
        shape = [*real.shape[:-2], *real.shape[-dims:]]
        return _reshaped(real, shape), _reshaped(imag, shape)

    def mix_amplitude_phase(self, amplitude: Tensor, phase: Tensor, over_channels: bool) -> Tensor:
        """The op of this name."""
        if amplitude.numel() == 0 or not self.mixes(amplitude, over_channels):
            return _composition.mix_amplitude_phase(amplitude, phase, over_channels)
        mix = self._ops.mix_amplitude_phase_planes.default
        mixed = mix(amplitude.contiguous(), phase.contiguous(), over_channels)
        return _in_layout_of(amplitude, mixed)

    def resize_spectrum(
        self,
        x: Tensor,
        row_gains: Tensor,
        column_gains: Tensor,
        size: Sequence[int],
        two_corner: bool,
    ) -> Tensor:
        """The op of this name."""
        dims = len(size)
        if x.numel() == 0 or not self.resizes(x, size):
            return _composition.resize_spectrum(x, row_gains, column_gains, size, two_corner)
        if dims == 1:  # planes of one row, which stays as it is
            row_gains = _axis_maps.kept_gains(x, 1, 1, ("", "half", "forward"))
        resize = self._ops.resize_spectrum_planes.default
        planes = _as_planes(x.contiguous(), dims)
        y = resize(planes, row_gains, column_gains, _plane_sizes(size), two_corner)
        y = _reshaped(y, [*x.shape[:-dims], *size])
        return like_pooled(x, y.shape[-2:]).copy_(y) if is_channels_last(x) else y

    # --- filters ----------------------------------------------------------------------------------

    def _run(
        self,
        form: str,
        x: Tensor,
        real: Tensor,
        imag: Tensor | None,
        dims: int,
        *,
        bank: bool = False,
        high: bool = False,
        part_of: tuple[Tensor, int] | None = None,
    ) -> list[Tensor]:
        """[y], or [y, x - y] where ``high`` asks for it; contiguous, of x's shape.

        Args:
            form: of the kernels, one that takes x.
            x: images or signals.
            real: [H, W//2+1] or [C, H, W//2+1] for images, without H for signals.
            imag: the same shape or None.
            dims: number of transformed axes.
            bank: whether the responses have a leading axis R; the results have it too.
            high: whether x - y is wanted.
            part_of: the whole of which ``real`` is a slice, and the slice's index.
        """
        table = self._table_of(form, real, imag, x.shape[-1], dims, part_of or (real, None))
        count = real.shape[0] if bank else 1
        channels = real.shape[-dims - 1] if real.dim() > dims + bank else 0
        planes, complex_ = _as_planes(x.contiguous(), dims), imag is not None
        results = self._planes(planes, table, form, count, channels, complex_, high)
        return [_reshaped(y, [count, *x.shape] if bank else x.shape) for y in results]

    def _table_of(
        self,
        form: str,
        real: Tensor,
        imag: Tensor | None,
        width: int,
        dims: int,
        owner: tuple[Tensor, int | None],
    ) -> Tensor:
        """The responses in the order the kernels read; kept where nobody can change them."""

        def filled() -> Tensor:
            real_planes = _as_planes(real.contiguous(), dims)
            imag_planes = None if imag is None else _as_planes(imag.contiguous(), dims)
            table: Tensor = self._table(real_planes, imag_planes, form, width)
            return table

        stream = current_stream(real.device)
        # What is captured in a graph is filled when the graph runs, and its memory is the graph's.
        if imag is not None or stream is None:
            return filled()
        whole, part = owner
        return CACHE.derived(whole, (form, dims, width, part, stream), filled)


def _why_never(x: Tensor, dims: int) -> str | None:
    """Why no kernel of any device takes x, in words."""
    if x.dtype not in _KERNEL_DTYPES:
        return f"the kernels compute in float32, x is {str(x.dtype).removeprefix('torch.')}"
    height, width = _plane(x, dims)
    if x.numel() > _MOST_PLANES * height * width:
        return "the kernels take at most 2**31 - 1 planes"
    return None


def _plane(x: Tensor, dims: int) -> tuple[int, int]:
    return (x.shape[-2] if dims == 2 else 1), x.shape[-1]


def _plane_sizes(size: Sequence[int]) -> Sequence[int]:
    return size if len(size) == 2 else (1, *size)


def _as_planes(tensor: Tensor, dims: int) -> Tensor:
    return tensor if dims == 2 else tensor.unsqueeze(-2)


def _reshaped(result: Tensor, shape: Sequence[int]) -> Tensor:
    """Not as a view: autograd would not let the user write to one that an op returned."""
    if list(result.shape) == list(shape):
        return result
    reshaped: Tensor = torch.ops.aten._unsafe_view.default(result, shape)
    return reshaped


def _in_layout_of(x: Tensor, result: Tensor) -> Tensor:
    """The contiguous result, of x's shape or slabs of it, in x's dtype and memory format."""
    if result.dtype == x.dtype and result.stride()[-x.dim() :] == x.stride():
        return result
    slabs = result.dim() > x.dim()
    out = slabs_like_input(x, result.shape[0]) if slabs else like_input(x)
    if result.dtype == x.dtype and result.stride() == out.stride():
        return result
    return out.copy_(result)


def implementations(kernels: Kernels | None) -> dict[str, Callable[..., Any]]:
    """Every op by its name; without kernels all are compositions."""
    source: Any = kernels or _composition
    return {
        "fft_filter": source.fft_filter,
        "fft_filter.out": source.fft_filter_out,
        "fft_filter_padded": source.fft_filter_padded,
        "filter_bank": source.filter_bank,
        "filter_bank_adjoint": source.filter_bank_adjoint,
        "low_high": source.low_high,
        "low_high.out": source.low_high_out,
        "split_bands": source.split_bands,
        "spectral_correlation": source.spectral_correlation,
        "mix_amplitude_phase": source.mix_amplitude_phase,
        "resize_spectrum": source.resize_spectrum,
    }


KERNELS = Kernels(torch.ops.freqops) if hasattr(torch.ops.freqops, "fft_filter_planes") else None


def kernels_on(device: torch.device) -> Kernels | None:
    """The kernels for what lies on this device, if there are any."""
    return KERNELS if device.type == "cuda" else None


_library = torch.library.Library("freqops", "FRAGMENT")  # type: ignore[no-untyped-call]
for _name, _implementation in implementations(KERNELS).items():
    _library.impl(_name, _implementation, "CUDA")  # type: ignore[no-untyped-call]

# The pooling ops need nothing of Python where the library is loaded: it registers them itself.
HAS_POOLING = hasattr(torch.ops.freqops, "blur_pool_path")
POOLING = (
    "blur_pool",
    "blur_pool_adjoint",
    "max_blur_pool",
    "max_blur_pool_select",
    "max_blur_pool_backward",
)
if not HAS_POOLING:
    for _name in POOLING:
        _library.impl(_name, getattr(_pooling_composition, _name), "CUDA")  # type: ignore[no-untyped-call]


HAS_SEPARABLE = hasattr(torch.ops.freqops, "separable_path")
if not HAS_SEPARABLE:
    _library.impl("separable", _composition.separable, "CUDA")  # type: ignore[no-untyped-call]


def pooling_path(name: str, arguments: Sequence[Any], device: torch.device) -> str:
    """Which of the kernels' paths takes a call of a pooling op, in the library's word.

    Args:
        name: of the op.
        arguments: all of them; tensors only stand for those of the call.
        device: where those of the call lie.
    """
    x, *rest = arguments
    if name in ("max_blur_pool_select", "max_blur_pool_backward"):
        rest = rest[1:]
    taps_h, taps_w, *rest = rest
    size, window, max_padding = x.shape[-2:], (1, 1), (0, 0)
    if name == "blur_pool_adjoint":
        size, *rest = rest
    elif name != "blur_pool":
        window, max_padding, *rest = rest
    channels = x.shape[-3] if x.dim() > 2 else 1
    return _pooling_path(
        x.dtype,
        device,
        name,
        [math.prod(x.shape[:-3]), channels, *size],
        is_channels_last(x),
        [taps_h.shape[-1], taps_w.shape[-1]],
        taps_h.dim() > 1,
        window,
        max_padding,
        *rest,
    )


def _pooling_path(dtype: torch.dtype, device: torch.device, *numbers: Any) -> str:
    # The path depends on the type and the numbers; a tensor without elements names the device too.
    like = torch.empty(0, dtype=dtype, device=device)
    path: str = torch.ops.freqops.blur_pool_path.default(like, *numbers)
    return path


def separable_path(
    x: Tensor, outputs: Sequence[int], *, outer: bool, mirrored: bool, device: torch.device
) -> str:
    """Which of the kernels' forms takes a call of ``separable``, in the library's word.

    Args:
        x: stands for the planes of the call.
        outputs: along the height and the width, 0 where there is no matrix.
        outer: whether there are vectors.
        mirrored: whether that is promised of the matrices.
        device: where the planes of the call lie.
    """
    height, channels = ([1, 1, *x.shape][-2], [1, 1, 1, *x.shape][-3])
    size = [math.prod(x.shape[:-3]), channels, height, x.shape[-1]]
    return _separable_path(x.dtype, device, size, outputs, is_channels_last(x), outer, mirrored)


def _separable_path(dtype: torch.dtype, device: torch.device, *numbers: Any) -> str:
    like = torch.empty(0, dtype=dtype, device=device)
    path: str = torch.ops.freqops.separable_path.default(like, *numbers)
    return path
