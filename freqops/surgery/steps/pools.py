"""pools: modules that do all of a pool's work, anti-aliased, with the sizes of the pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from freqops.ops import (
    blur_pool1d,
    blur_pool2d,
    blur_pool3d,
    max_blur_pool1d,
    max_blur_pool2d,
)
from freqops.surgery.steps.blurs import (
    AxisTaps,
    MaxBlurPool1d,
    MaxBlurPool2d,
    blur,
    lengths,
    shortest,
)
from freqops.surgery.steps.window import Sizes, Window, first_of_same, per_axis

_BLURS: tuple[Any, ...] = (blur_pool1d, blur_pool2d, blur_pool3d)


_MAX_BLUR_POOLS: tuple[Any, ...] = (MaxBlurPool1d, MaxBlurPool2d)


_MAX_POOLS: tuple[Any, ...] = (F.max_pool1d, F.max_pool2d, F.max_pool3d)


_AVG_POOLS: tuple[Any, ...] = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)


def max_blur(window: Window, taps: AxisTaps, padding_mode: str) -> nn.Module:
    """Anti-aliased max pooling with the sizes of torch's, fused where there is a kernel for it."""
    if window.dims == 3 or any(dilation > 1 for dilation in window.dilation):
        return MaxThenBlur(window, taps, padding_mode)
    module: nn.Module = _MAX_BLUR_POOLS[window.dims - 1](
        shortest(window.kernel_size),
        shortest(taps),
        shortest(window.stride),
        max_padding=shortest(window.padding),
        ceil_mode=window.ceil_mode,
        padding_mode=padding_mode,
    )
    return module


class _WindowStep(nn.Module):
    """A blur that gives as many samples as a pool's windows: its padding depends on the size."""

    def __init__(self, window: Window, taps: AxisTaps, padding_mode: str) -> None:
        super().__init__()
        self.window = window
        self.padding_mode = padding_mode
        self._counts = lengths(taps)
        self.blur = blur(taps, window.stride, padding_mode)

    def _sampled(self, x: Tensor, outputs: Sequence[int], before: Sequence[int]) -> Tensor:
        """x blurred, so many samples of each axis, the first at -before."""
        dims, stride = self.window.dims, self.window.stride
        padding = [
            (
                before[i],
                (outputs[i] - 1) * stride[i] + self._counts[i] - x.shape[i - dims] - before[i],
            )
            for i in range(dims)
        ]
        taps = self._taps()
        y: Tensor = _BLURS[dims - 1](
            x, taps, stride, padding=padding, padding_mode=self.padding_mode
        )
        return y

    def _taps(self) -> Any:
        keeper: Any = self.blur
        return keeper._taps()

    def extra_repr(self) -> str:
        """What differs from a pool that is nothing but its kernel and stride."""
        window = self.window
        words = [f"kernel_size={window.kernel_size}", f"stride={window.stride}"]
        words += [f"padding={window.padding}"] if any(window.padding) else []
        words += [f"dilation={window.dilation}"] if max(window.dilation) > 1 else []
        words += ["ceil_mode=True"] if window.ceil_mode else []
        return ", ".join([*words, f"taps={shortest(self._counts)}"])


class SameBlur(_WindowStep):
    """Samples a map made at stride 1 with TensorFlow's "SAME" padding where the stride had them.

    Blurring it from its first sample would shift everything behind: see `first_of_same`.

    Args:
        window: of the convolution or pool.
        taps: of the blur, one entry per axis.
        padding_mode: of the blur.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Samples x [..., H, W], or as many axes as the window has: ceil(N / stride) of each."""
        sizes = x.shape[-self.window.dims :]
        outputs = [-(-n // stride) for n, stride in zip(sizes, self.window.stride, strict=True)]
        firsts = [first_of_same(self.window, axis, size) for axis, size in enumerate(sizes)]
        pairs = zip(self._counts, firsts, strict=True)
        before = [(count - 1) // 2 - first for count, first in pairs]
        return self._sampled(x, outputs, before)


class MaxThenBlur(_WindowStep):
    """Max pooling at stride 1, then the blur, for what the fused kernel doesn't do.

    Args:
        window: of the pool; any dilation.
        taps: of the blur, one entry per axis.
        padding_mode: of the blur.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Pools x [..., D, H, W], or as many axes as the window has."""
        window, dims = self.window, self.window.dims
        outputs = window.outputs(x.shape[-dims:])
        if window.ceil_mode:
            x = self._with_room(x)
        one = (1,) * dims
        pool = _MAX_POOLS[dims - 1]
        maxima = pool(x, window.kernel_size, one, window.padding, window.dilation)
        return self._sampled(maxima, outputs, [(count - 1) // 2 for count in self._counts])

    def _with_room(self, x: Tensor) -> Tensor:
        """torch's ceil_mode has an output where not one window fits."""
        window = self.window
        missing = []
        for i in reversed(range(window.dims)):
            reach = window.dilation[i] * (window.kernel_size[i] - 1) + 1
            missing += [0, max(0, reach - x.shape[i - window.dims] - 2 * window.padding[i])]
        return F.pad(x, missing, value=float("-inf")) if any(missing) else x


class AverageBlur(_WindowStep):
    """A blur in the place of an average: as many samples, the taps centred on the window.

    Where one has an even and the other an odd length, half a sample is missing: the taps are moved
    to the side of the first sample, where convolutions and Zhang's layer for averages have theirs.
    An axis of stride 1 keeps its average.

    Args:
        window: of the average pool.
        taps: of the blur, one entry per axis.
        padding_mode: of the blur.
        count_include_pad: of the average, for axes of stride 1.
    """

    def __init__(
        self, window: Window, taps: AxisTaps, padding_mode: str, count_include_pad: bool = True
    ) -> None:
        super().__init__(window, taps, padding_mode)
        self.count_include_pad = count_include_pad
        pairs = list(zip(window.kernel_size, window.stride, strict=True))
        self._kept = tuple(kernel if stride == 1 else 1 for kernel, stride in pairs)

    def forward(self, x: Tensor) -> Tensor:
        """Pools x [..., H, W], or as many axes as the window has."""
        window, dims = self.window, self.window.dims
        outputs = window.outputs(x.shape[-dims:])
        before = [
            -((kernel - count) // 2) + padding
            for count, kernel, padding in zip(
                self._counts, window.kernel_size, window.padding, strict=True
            )
        ]
        if max(self._kept) > 1:
            x = self._averaged(x)
            before = [0 if step == 1 else b for step, b in zip(window.stride, before, strict=True)]
        return self._sampled(x, outputs, before)

    def _averaged(self, x: Tensor) -> Tensor:
        window = self.window
        padding = tuple(
            amount if kernel > 1 else 0
            for amount, kernel in zip(window.padding, self._kept, strict=True)
        )
        pool = _AVG_POOLS[window.dims - 1]
        y: Tensor = pool(x, self._kept, (1,) * window.dims, padding, False, self.count_include_pad)
        return y


def _maximum(window: Window) -> Callable[[Tensor], Tensor] | None:
    """torch's maximum at stride 1, by our kernel: on the CPU torch takes 4 to 18 times as long."""
    if window.dims == 3 or max(window.dilation) > 1:
        return None
    op = max_blur_pool1d if window.dims == 1 else max_blur_pool2d
    kernel, padding = shortest(window.kernel_size), shortest(window.padding)
    return partial(op, kernel_size=kernel, taps=1, stride=1, max_padding=padding)


class StrideOne(nn.Module):
    """A pool at stride 1, then what takes the samples.

    Args:
        pool: "max_pool" or "avg_pool".
        window: of the pool; its stride is the sampler's.
        arguments: of an average, as far as they matter.
        sampler: takes the samples.
    """

    def __init__(
        self, pool: str, window: Window, arguments: Mapping[str, Any], sampler: nn.Module
    ) -> None:
        super().__init__()
        self.function = f"{pool}{window.dims}d"
        self.arguments: dict[str, Any] = {
            "kernel_size": window.kernel_size,
            "stride": (1,) * window.dims,
            "padding": window.padding,
        }
        if pool == "max_pool":
            self.arguments["dilation"] = window.dilation
        elif "count_include_pad" in arguments:
            self.arguments["count_include_pad"] = arguments["count_include_pad"]
        self.window = window
        self.maximum = _maximum(window) if pool == "max_pool" else None
        self.sampler = sampler

    def forward(self, x: Tensor) -> Any:
        """Pools x [N, C, H, W], or another number of axes."""
        y = self._with_last(x) if self.window.ceil_mode else self._pooled(x)
        return self.sampler(y)

    def _pooled(self, x: Tensor, **arguments: Any) -> Tensor:
        if self.maximum is not None and not arguments:
            return self.maximum(x)
        y: Tensor = getattr(F, self.function)(x, **{**self.arguments, **arguments})
        return y

    def _with_last(self, x: Tensor) -> Tensor:
        """With ceil_mode a last window may reach beyond the padding; nothing there counts."""
        window, dims = self.window, self.window.dims
        outputs = window.outputs(x.shape[-dims:])
        padding: list[int] = []
        beyond: list[int] = []
        for i in reversed(range(dims)):
            reach = window.dilation[i] * (window.kernel_size[i] - 1) + 1
            end = (outputs[i] - 1) * window.stride[i] + reach - 2 * window.padding[i]
            padding += [window.padding[i]] * 2
            beyond += [0, max(0, end - x.shape[i - dims])]
        if "max" in self.function:
            low = float("-inf")
            return self._pooled(F.pad(F.pad(x, padding, value=low), beyond, value=low), padding=0)
        counted = x.new_ones((*[1] * (x.dim() - dims), *x.shape[-dims:]))
        include = float(self.arguments.get("count_include_pad", True))
        counted = F.pad(F.pad(counted, padding, value=include), beyond)
        sums = self._pooled(F.pad(F.pad(x, padding), beyond), padding=0)
        return sums / self._pooled(counted, padding=0)

    def extra_repr(self) -> str:
        """The function and its arguments."""
        words = [f"{name}={value}" for name, value in self.arguments.items()]
        return ", ".join([self.function, *words])


class RatioPool(nn.Module):
    """Adaptive pooling as long as the sizes are a fixed whole multiple of the output's.

    Args:
        function: "adaptive_avg_pool2d", ...
        output_size: its argument.
        ratio: of the sizes seen in the trace.
        step: does the pooling for that ratio. At other sizes it is the function.
    """

    def __init__(self, function: str, output_size: Any, ratio: Sizes, step: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.output_size = output_size
        self.ratio = ratio
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        """Pools x [..., H, W], or as many axes as the function has."""
        wanted = per_axis(self.output_size, len(self.ratio))
        sizes = x.shape[-len(self.ratio) :]
        if all(
            ratio == 1 if out is None else size == ratio * out
            for size, out, ratio in zip(sizes, wanted, self.ratio, strict=True)
        ):
            y: Tensor = self.step(x)
            return y
        kept: Tensor = getattr(F, self.function)(x, self.output_size)
        return kept

    def extra_repr(self) -> str:
        """Output size and ratio."""
        return f"{self.function}, output_size={self.output_size}, ratio={self.ratio}"
