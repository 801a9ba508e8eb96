"""convolutions: what a call of a convolution in a forward becomes a call of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

import freqops.ops as ops
from freqops.surgery.steps.calls import CallStep
from freqops.surgery.steps.window import Window, conv_window


class FrequencyCall(CallStep):
    """A convolution's call, computed through the frequency domain.

    Args:
        function: "conv1d" or "conv2d".
        window: the one it was traced with.
        options: of the convolution that takes its place.
    """

    done = ""

    def __init__(self, function: str, window: Window, options: Mapping[str, Any]) -> None:
        super().__init__(function)
        self.window = window
        self.options = dict(options)

    def _is_known(self, x: Tensor, arguments: Mapping[str, Any]) -> bool:
        return conv_window(arguments, tuple(arguments["weight"].shape[2:])) == self.window

    def _converted(self, x: Tensor, arguments: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Which function, and the options."""
        options = [f"{name}={value!r}" for name, value in self.options.items() if value is not None]
        return ", ".join([self.function, *options])


class FFTConv(FrequencyCall):
    """See :func:`freqops.fft_conv2d`."""

    done = "already an FFT convolution"

    def _converted(self, x: Tensor, arguments: Mapping[str, Any]) -> Any:
        return getattr(ops, f"fft_{self.function}")(x, **arguments, **self.options)


class BandLimitedConv(FrequencyCall):
    """See :func:`freqops.band_limited_conv2d`."""

    done = "already a band-limited convolution"

    def _converted(self, x: Tensor, arguments: Mapping[str, Any]) -> Any:
        return getattr(ops, f"band_limited_{self.function}")(x, **arguments, **self.options)
