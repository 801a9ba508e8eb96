"""walk: finds the sites of a model, as modules and as calls in a forward."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import fx, nn

from freqops.surgery.rewriting.calls import Place, place_of
from freqops.surgery.rewriting.source import NotRewritable
from freqops.surgery.sites.geometry import call_window, with_window
from freqops.surgery.sites.site import CONTAINERS, Site
from freqops.surgery.steps.convolutions import FrequencyCall
from freqops.surgery.steps.window import (
    PARAMETERS,
    bound,
    conv_window,
    interpolate_module,
    per_axis,
)
from freqops.surgery.tracing.graph import Call, Trace
from freqops.surgery.tracing.kinds import is_lazy
from freqops.surgery.treatment import base_class, is_treated, layout_of, step_names

# Those of freqops, timm, kornia, antialiased-cnns and composer.
_BLUR_NAME = re.compile(r"Blur(Max)?Pool|BlurConv|PolyphasePool|AntiAliasDown")
_KINDS: tuple[tuple[str, tuple[type[nn.Module], ...]], ...] = (
    ("conv", (nn.Conv1d, nn.Conv2d, nn.Conv3d)),
    ("max_pool", (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)),
    ("avg_pool", (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)),
    ("adaptive_avg_pool", (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)),
    ("adaptive_max_pool", (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)),
)
_OTHER_POOLS = (
    nn.LPPool1d,
    nn.LPPool2d,
    nn.LPPool3d,
    nn.FractionalMaxPool2d,
    nn.FractionalMaxPool3d,
)
_DONE = "already anti-aliased"
# Their modules compute with integers, or as if they did (qat).
QUANTISED = re.compile(r"torch\.ao\.nn\.(intrinsic\.)?(quantized|qat)\b|torchao\.")
INTEGERS = re.compile(r"torch\.ao\.nn\.(intrinsic\.)?quantized\.modules\b")


def find_sites(model: nn.Module, trace: Trace) -> list[Site]:
    """The sites of a model in the order in which they are called, without a trace as registered.

    Args:
        model: to look at; steps of earlier conversions are no sites.
        trace: of the model, perhaps a failed one.

    Returns:
        Every module and every call in a method that samples more coarsely, with what is in the
        way of a treatment. One entry for a module with several names.
    """
    modules = dict(model.named_modules())
    steps = step_paths(modules)
    closed = steps | {path for path, module in modules.items() if _is_blur(module)}
    paths = {
        path: module
        for path, module in modules.items()
        if not _inside(path.rpartition(".")[0], closed) and path not in steps
    }
    found = [_module_site(path, module, trace) for path, module in paths.items()]
    sites = [site for site in found if site is not None]
    closed |= {site.name for site in sites}
    names: dict[str, int] = {}
    sites += converted_calls(paths, names)
    sites += function_sites(modules, trace, closed, names)
    sites = [site for site in sites if _samples(site)]
    if any(INTEGERS.match(type(module).__module__) for module in modules.values()):
        why = "gets integers: convert the model before it is quantised"
        sites = [replace(site, obstacle=site.obstacle or why) for site in sites]
    return sorted(sites, key=lambda site: site.call.index if site.call else len(trace.calls))


def step_paths(modules: Mapping[str, nn.Module]) -> set[str]:
    """Paths of the steps of earlier conversions."""
    return {
        ".".join(filter(None, (path, step)))
        for path, module in modules.items()
        for step in step_names(module)
    }


def _inside(path: str, closed: set[str]) -> bool:
    """Whether a module at a path is one of these or in one of them."""
    parts = path.split(".")
    return any(".".join(parts[: i + 1]) in closed for i in range(len(parts)))


def _samples(site: Site) -> bool:
    """Whether it is worth a row: something is sampled, or might be."""
    return site.window is None or max(site.stride) > 1 or site.obstacle == _DONE


# --- modules ------------------------------------------------------------------------------------


def _is_blur(module: nn.Module) -> bool:
    return bool(_BLUR_NAME.search(base_class(module).__name__))


def _module_site(name: str, module: nn.Module, trace: Trace) -> Site | None:
    if _is_blur(module):
        return Site(name, "blur", module, obstacle="low-passes already")
    if QUANTISED.match(type(module).__module__) and _strides(module):
        return Site(name, "conv", module, obstacle="is quantised: convert the model before that")
    if isinstance(module, _OTHER_POOLS):
        return Site(name, "other_pool", module, obstacle="no recipe has a form of this pool")
    kind, dims = _kind(module)
    if not kind:
        return None
    site = Site(name, kind, module, obstacle=_module_obstacle(module))
    return with_window(with_calls(_with_arguments(site, dims), trace), dims)


def _strides(module: nn.Module) -> bool:
    stride: tuple[int, ...] = per_axis(getattr(module, "stride", 1), 1)
    return max(stride) > 1


def _kind(module: nn.Module) -> tuple[str, int]:
    """Kind and number of axes; ("", 0) for what is no site."""
    if isinstance(module, nn.Upsample):
        return "interpolate", 0
    for kind, classes in _KINDS:
        for dims, cls in enumerate(classes, 1):
            if isinstance(module, cls):
                return kind, dims
    return "", 0


def _with_arguments(site: Site, dims: int) -> Site:
    module: Any = site.module
    if site.kind == "conv":
        window = conv_window(module.__dict__, module.kernel_size)
        return replace(site, window=window, channels=module.in_channels)
    if site.kind == "interpolate":
        return replace(site, arguments=interpolate_module(module), function="interpolate")
    function = f"{site.kind}{dims}d"
    names = [name for name in PARAMETERS[function] if hasattr(module, name)]
    arguments = bound(function, (), {name: getattr(module, name) for name in names})
    return replace(site, function=function, arguments=arguments)


def with_calls(site: Site, trace: Trace) -> Site:
    """A module's site with its calls in the trace and what is in their way."""
    calls = trace.calls_of(site.name) if trace else ()
    if not calls:
        return replace(site, doubt="is never called on the example" if trace else "")
    why = "takes or gives more than one tensor"
    if site.arguments.get("return_indices") or all(c.single and len(c.inputs) == 1 for c in calls):
        why = ""
    return replace(
        site,
        call=calls[0],
        calls=len(calls),
        channels=site.channels or _channels(calls[0]),
        obstacle=site.obstacle or why,
    )


def _module_obstacle(module: nn.Module) -> str:
    if is_lazy(module):
        return "is lazy: run the model once, then convert it"
    if is_treated(module):
        return _DONE
    if "forward" in module.__dict__:
        return "has a forward that was set on the object"
    if hasattr(module, "stride") and "stride" not in module.__dict__:
        return "its stride is no attribute of the object"
    return ""


def _channels(call: Call) -> int | None:
    return call.input_size[1] if len(call.input_size) > 1 else None


# --- calls --------------------------------------------------------------------------------------


def function_sites(
    modules: Mapping[str, nn.Module], trace: Trace, closed: set[str], names: dict[str, int]
) -> Iterator[Site]:
    """Sites of the calls of functions in methods.

    Args:
        modules: of the model, by path.
        trace: of the model.
        closed: paths of modules whose own calls are no sites.
        names: how often each name was given; is added to.
    """
    seen: set[int] = set()
    for call in trace.functions(*PARAMETERS) if trace else ():
        if call.index in seen or _inside(call.path, closed):
            continue
        together = trace.same_spot(call)
        seen.update(one.index for one in together)
        sampling = next((one for one in together if _makes_smaller(one)), call)
        site = replace(_function_site(modules, sampling, names), calls=len(together))
        if any(_arguments(one) != _arguments(call) for one in together):
            site = replace(site, obstacle="is called with different arguments in one forward")
        yield site


def _makes_smaller(call: Call) -> bool:
    pairs = zip(call.input_size[2:], call.output_size[2:], strict=False)
    return any(after < before for before, after in pairs)


def _function_site(modules: Mapping[str, nn.Module], call: Call, names: dict[str, int]) -> Site:
    spot = call.spot
    path = spot.owner if spot and spot.owner is not None else call.path
    name = _call_name(path, spot.method if spot else "forward", call.name, names)
    site = Site(
        name,
        re.sub(r"\dd$", "", call.name),
        modules[path],
        channels=_channels(call),
        arguments=_arguments(call),
        function=call.name,
        is_call=True,
        call=call,
    )
    if site.kind == "conv":
        site = replace(site, window=call_window(site))
    site = with_window(site, 0 if site.kind == "interpolate" else int(call.name[-2]))
    try:
        place, obstacle = _place(modules[path], call)
    except NotRewritable as error:
        place, obstacle = None, str(error)
    return replace(site, place=place, obstacle=site.obstacle or obstacle)


def _arguments(call: Call) -> dict[str, Any]:
    given = {name: value for name, value in call.arguments.items() if name != "input"}
    return bound(call.name, (), given)


def _place(owner: nn.Module, call: Call) -> tuple[Place | None, str]:
    if call.spot is None or call.spot.owner is None:
        return None, call.spot.problem if call.spot and call.spot.problem else "has no source"
    if isinstance(owner, fx.GraphModule):
        return None, "is in a graph of torch.fx, which makes its forward itself"
    if isinstance(owner, CONTAINERS):
        return None, f"its {type(owner).__name__} would run a step as one of its own modules"
    return place_of(call.spot), ""


def converted_calls(paths: Mapping[str, nn.Module], names: dict[str, int]) -> Iterator[Site]:
    """Sites of the calls that are calls of a step by now; `names` as for the others."""
    for path, module in paths.items():
        for place, name in layout_of(module).calls:
            step: Any = module._modules[name]
            yield Site(
                _call_name(path, place.method, step.function, names),
                re.sub(r"\dd$", "", step.function),
                module,
                window=step.window if isinstance(step, FrequencyCall) else None,
                function=step.function,
                is_call=True,
                obstacle=step.done if isinstance(step, FrequencyCall) else _DONE,
            )


def _call_name(path: str, method: str, function: str, names: dict[str, int]) -> str:
    """The name of a call's site, with a number from the second one on."""
    name = ".".join(filter(None, (path, method))) + f":{function}"
    names[name] = names.get(name, 0) + 1
    return name if names[name] == 1 else f"{name}#{names[name]}"
