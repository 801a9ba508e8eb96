"""site: a place where a model samples its maps more coarsely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn

from freqops.surgery.rewriting.calls import Place
from freqops.surgery.steps.window import PARAMETERS, Sizes, Window
from freqops.surgery.tracing.graph import Call
from freqops.surgery.treatment import base_class

#: They run whatever they contain, a step included.
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, fx.GraphModule)
#: Why a module can't be computed in another way.
OWN_FORWARD = "its class has a forward of its own"


@dataclass(frozen=True, eq=False)
class Site:
    """A place where maps are sampled more coarsely; what predicates and factories are given.

    Attributes:
        name: the module's path, or "path.method:function" for a call in the method of a module.
        kind: "max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "conv",
            "interpolate", "blur" (one that is there already) or "other_pool".
        module: the module, or the one whose method the call is in.
        window: kernel, stride, padding and dilation, one entry per axis; of adaptive pools and
            interpolation those of the ratio in the trace. None where that is unknown.
        channels: of the input; None where neither module nor trace says.
        input_size: shape of its input in the trace, or None.
        output_size: shape of its output in the trace, or None.
        arguments: of the function, also where a module calls it.
        function: its name in torch.nn.functional; "" for convolution modules and blurs.
        place: of the call in the method's source; None for modules.
        is_call: it is a call in a method, not a module.
        call: its first call in the trace.
        calls: how often it is called there.
        obstacle: why no recipe can treat it, as a clause; "" if one can.
        doubt: why no recipe treats it unless it is included, as a clause.
    """

    name: str
    kind: str
    module: nn.Module
    window: Window | None = None
    channels: int | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    function: str = ""
    place: Place | None = None
    is_call: bool = False
    call: Call | None = None
    calls: int = 0
    obstacle: str = ""
    doubt: str = ""

    @property
    def dims(self) -> int:
        """Number of axes: 1 for signals, 2 for images, 3 for volumes."""
        return self.window.dims if self.window else 0

    @property
    def stride(self) -> Sizes:
        """One entry per axis."""
        return self.window.stride if self.window else ()

    @property
    def kernel_size(self) -> Sizes:
        """One entry per axis."""
        return self.window.kernel_size if self.window else ()

    @property
    def input_size(self) -> Sizes | None:
        """Shape of its first input in the trace."""
        return self.call.input_size if self.call else None

    @property
    def output_size(self) -> Sizes | None:
        """Shape of its first output in the trace."""
        return self.call.output_size if self.call else None

    @property
    def runs(self) -> int:
        """Index of its first call in the trace; 0 where there is none."""
        return self.call.index if self.call else 0

    @property
    def has_own_forward(self) -> bool:
        """Whether it is a module that runs another forward than that of torch's own class."""
        forward: Any = base_class(self.module).forward
        return not self.is_call and not forward.__module__.startswith("torch.nn.modules")

    @property
    def pads_as_same(self) -> bool:
        """Whether it pads its input itself as TensorFlow does, by its name or by its sizes."""
        if not self.has_own_forward or self.window is None:
            return False
        if self.input_size and self.output_size:
            sizes, outputs = self.input_size[-self.dims :], self.output_size[-self.dims :]
            same = [-(-size // stride) for size, stride in zip(sizes, self.stride, strict=True)]
            if list(outputs) != same:
                return False
            if self.window.outputs(sizes) != same:
                return True
        named = "Same" in base_class(self.module).__name__
        return named or getattr(self.module, "same_pad", False) is True

    def __str__(self) -> str:
        if not self.is_call:
            return f"{type(self.module).__name__}({_in_words(self)})"
        return f"F.{self.function}({_in_words(self)})"


def _in_words(site: Site) -> str:
    if not site.is_call:
        return site.module.extra_repr()
    if site.kind == "conv":
        return f"kernel_size={site.kernel_size}, stride={site.stride}"
    defaults = PARAMETERS[site.function]
    return ", ".join(
        f"{name}={value}" for name, value in site.arguments.items() if value != defaults.get(name)
    )
