"""calls: what a functional call in a forward becomes a call of.

A step takes the function's own arguments. It does what it was made for when they are those the
trace saw; called with others (another stride, a size without an integer ratio), it is the function.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from freqops.surgery.steps.pools import RatioPool
from freqops.surgery.steps.window import (
    Sizes,
    Window,
    bound,
    conv_window,
    interpolation_ratio,
    per_axis,
    pool_window,
)


class CallStep(nn.Module):
    """Takes the place of a function; see the module's text.

    Args:
        function: its name in torch.nn.functional.
    """

    def __init__(self, function: str) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Takes the function's arguments."""
        kwargs = dict(kwargs)
        x: Tensor = args[0] if args else kwargs.pop("input")
        arguments = bound(self.function, args[1:], kwargs)
        if self._is_known(x, arguments):
            return self._converted(x, arguments)
        return getattr(F, self.function)(x, **self._accepted(arguments))

    def _accepted(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """avg_pool1d has no divisor_override."""
        if self.function == "avg_pool1d":
            arguments.pop("divisor_override")
        return arguments

    def _is_known(self, x: Tensor, arguments: Mapping[str, Any]) -> bool:
        raise NotImplementedError

    def _converted(self, x: Tensor, arguments: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Which function."""
        return self.function


class PoolCall(CallStep):
    """A pool's call.

    Args:
        function: "max_pool2d", ...
        window: the one it was traced with.
        step: takes the map, does all of the pooling.
    """

    def __init__(self, function: str, window: Window, step: nn.Module) -> None:
        super().__init__(function)
        self.window = window
        self.step = step

    def _is_known(self, x: Tensor, arguments: Mapping[str, Any]) -> bool:
        plain = not arguments.get("return_indices") and arguments.get("divisor_override") is None
        return plain and pool_window(arguments, self.window.dims) == self.window

    def _converted(self, x: Tensor, arguments: Mapping[str, Any]) -> Any:
        return self.step(x)


class ConvCall(CallStep):
    """A convolution's call: at stride 1, blurred before or behind.

    Args:
        function: "conv2d", ...
        window: the one it was traced with.
        before: blurs (and samples) the input, or None.
        behind: blurs and samples the result, or None.
        stride: of the convolution now.
    """

    def __init__(
        self,
        function: str,
        window: Window,
        before: nn.Module | None,
        behind: nn.Module | None,
        stride: Sizes,
    ) -> None:
        super().__init__(function)
        self.window = window
        self.before = before
        self.behind = behind
        self.stride = stride

    def _is_known(self, x: Tensor, arguments: Mapping[str, Any]) -> bool:
        kernel = arguments["weight"].shape[2:]
        return conv_window(arguments, tuple(kernel)) == self.window

    def _converted(self, x: Tensor, arguments: Mapping[str, Any]) -> Any:
        if self.before is not None:
            x = self.before(x)
        y = getattr(F, self.function)(x, **{**arguments, "stride": self.stride})
        return y if self.behind is None else self.behind(y)


class RatioCall(CallStep):
    """A call of an adaptive pool.

    Args:
        pool: for the output size of the trace.
    """

    def __init__(self, pool: RatioPool) -> None:
        super().__init__(pool.function)
        self.pool = pool

    def _is_known(self, x: Tensor, arguments: Mapping[str, Any]) -> bool:
        dims = len(self.pool.ratio)
        same = per_axis(arguments["output_size"], dims) == per_axis(self.pool.output_size, dims)
        return same and not arguments.get("return_indices")

    def _converted(self, x: Tensor, arguments: Mapping[str, Any]) -> Any:
        return self.pool(x)


class InterpolateCall(CallStep):
    """Downsampling by interpolation, as long as the sizes are a whole multiple of the output's.

    Args:
        ratio: of the sizes seen in the trace.
        mode: seen in the trace.
        step: samples the input at that ratio. At other sizes it is the function.
    """

    def __init__(self, ratio: Sizes, mode: str, step: nn.Module) -> None:
        super().__init__("interpolate")
        self.ratio = ratio
        self.mode = mode
        self.step = step

    def _is_known(self, x: Tensor, arguments: Mapping[str, Any]) -> bool:
        same = arguments["mode"] == self.mode and not arguments["align_corners"]
        if not same or arguments["antialias"]:
            return False
        return interpolation_ratio(x.shape[2:], arguments) == self.ratio

    def _converted(self, x: Tensor, arguments: Mapping[str, Any]) -> Any:
        return self.step(x)


class Interpolation(nn.Module):
    """An Upsample that makes smaller.

    Args:
        arguments: it gives to interpolate.
        call: what is called instead.
    """

    def __init__(self, arguments: Mapping[str, Any], call: InterpolateCall) -> None:
        super().__init__()
        self.arguments = dict(arguments)
        self.call = call

    def forward(self, x: Tensor) -> Any:
        """Samples x [N, C, H, W], or another number of axes."""
        return self.call(x, **self.arguments)
