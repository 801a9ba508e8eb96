"""convolutions: every convolution of a model, whether it samples more coarsely or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from freqops.ops import BandLimitedConv1d, BandLimitedConv2d, FFTConv1d, FFTConv2d
from freqops.surgery.sites.site import OWN_FORWARD, Site
from freqops.surgery.sites.walk import (
    INTEGERS,
    QUANTISED,
    converted_calls,
    function_sites,
    step_paths,
    with_calls,
)
from freqops.surgery.steps.window import conv_window
from freqops.surgery.tracing.graph import Trace
from freqops.surgery.tracing.kinds import is_lazy
from freqops.surgery.treatment import base_class

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_FUNCTIONS = {"conv1d", "conv2d", "conv3d", "convolution"}
_FREQUENCY = (FFTConv1d, FFTConv2d, BandLimitedConv1d, BandLimitedConv2d)


def find_convolutions(model: nn.Module, trace: Trace) -> list[Site]:
    """The convolutions of a model in the order in which they are called, calls of F.conv2d too.

    Args:
        model: to look at; transposed convolutions are left out.
        trace: of the model, perhaps a failed one.

    Returns:
        Every one, with what is in the way of computing it through the frequency domain. One entry
        for a module with several names.
    """
    modules = dict(model.named_modules())
    steps = step_paths(modules)
    own = {path: module for path, module in modules.items() if not _within(path, steps)}
    sites = list(_module_sites(own, trace))
    names: dict[str, int] = {}
    calls = [*converted_calls(own, names)]
    calls += function_sites(modules, trace, {*steps, *(site.name for site in sites)}, names)
    sites += [replace(site, doubt="") for site in calls if site.kind == "conv"]
    if any(INTEGERS.match(type(module).__module__) for module in modules.values()):
        why = "gets integers: convert the model before it is quantised"
        sites = [replace(site, obstacle=site.obstacle or why) for site in sites]
    return sorted(sites, key=lambda site: site.call.index if site.call else len(trace.calls))


def _within(path: str, steps: set[str]) -> bool:
    return any(path == step or path.startswith(f"{step}.") for step in steps)


def _module_sites(modules: Mapping[str, nn.Module], trace: Trace) -> Iterator[Site]:
    for path, module in modules.items():
        if QUANTISED.match(type(module).__module__) and "Conv" in type(module).__name__:
            yield Site(path, "conv", module, obstacle="is quantised: convert the model before that")
        elif isinstance(module, _CONVOLUTIONS):
            site = Site(
                path,
                "conv",
                module,
                window=conv_window(module.__dict__, module.kernel_size),
                channels=module.in_channels,
                arguments={"padding": module.padding, "groups": module.groups},
                obstacle=_obstacle(module),
            )
            yield with_calls(site, trace)


def _obstacle(module: nn.Module) -> str:
    if is_lazy(module):
        return "is lazy: run the model once, then convert it"
    kind = next((cls.__name__ for cls in _FREQUENCY if isinstance(module, cls)), "")
    if kind:
        return f"is {'an' if kind.startswith('FFT') else 'a'} {kind} already"
    if "forward" in module.__dict__:
        return "has a forward that was set on the object"
    return "" if _computes_as_torch(base_class(module)) else OWN_FORWARD


def _computes_as_torch(cls: Any) -> bool:
    """Whether a convolution's class leaves the convolution itself to torch's.

    A forward of its own may do so by the class below or by ``_conv_forward``, the method in
    which torch's classes convolve, and which a form replaces. The classes below may have another
    one each, down to the one that does not ask further.
    """
    (own,) = [one for one in _CONVOLUTIONS if issubclass(cls, one)]
    if cls._conv_forward is not own._conv_forward:
        return False
    for one in cls.__mro__[: cls.__mro__.index(own)]:
        forward = vars(one).get("forward")
        if forward is None:
            continue
        names = set(getattr(getattr(forward, "__code__", None), "co_names", ()))
        if names & _FUNCTIONS or not names & {"_conv_forward", "super"}:
            return False
        if "super" not in names:
            return True
    return True
