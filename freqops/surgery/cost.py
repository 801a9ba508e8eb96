"""cost: what a conversion adds, counted from sizes and measured by running both models in turns."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from freqops.ops import BlurPool1d, BlurPool2d, BlurPool3d, MaxBlurPool1d, MaxBlurPool2d
from freqops.surgery.recipes.recipe import Planned
from freqops.surgery.records import Cost, SiteCost
from freqops.surgery.sites.site import Site
from freqops.surgery.steps.pools import AverageBlur
from freqops.surgery.steps.spectral import FLCPool
from freqops.surgery.steps.window import Window, per_axis
from freqops.surgery.tracing.examples import Arguments, as_arguments
from freqops.surgery.tracing.graph import Call, Trace
from freqops.surgery.tracing.trace import trace
from freqops.surgery.treatment import Treatment

_BLURS = (BlurPool1d, BlurPool2d, BlurPool3d, MaxBlurPool1d, MaxBlurPool2d)
_FUSED = (MaxBlurPool1d, MaxBlurPool2d, AverageBlur)


def measure(
    model: nn.Module,
    example: Any,
    planned: Sequence[Planned],
    treatment: Treatment,
    repeats: int,
) -> Cost:
    """What applying a treatment costs.

    Args:
        model: with the treatment applied; afterwards too.
        example: what to run it on.
        planned: what the treatment does.
        treatment: to take back and apply in turns.
        repeats: runs of each.
    """
    arguments = as_arguments(model, example)
    treatment.revert()
    try:
        seen = trace(model, example)
    finally:
        treatment.apply()
    whole, parts = _times(model, arguments, planned, treatment, repeats)
    itemsize = next((p.element_size() for p in model.parameters() if p.is_floating_point()), 4)
    sites = tuple(
        SiteCost(one.site.name, *_counted(one, _calls_of(one, seen), itemsize), milliseconds)
        for one, milliseconds in zip(planned, parts, strict=True)
    )
    macs, total = sum(site.macs for site in sites), sum(site.bytes for site in sites)
    return Cost(sites, macs, total, *whole)


# --- counted ------------------------------------------------------------------------------------


def _calls_of(planned: Planned, seen: Trace) -> tuple[Call, ...]:
    """The site's calls in a trace of the same model, perhaps on another size."""
    was = planned.site.call
    if not seen or was is None:
        return ()
    if was.module is not None:
        return seen.calls_of(was.path)
    if was.index >= len(seen.calls):
        return ()
    now = seen.calls[was.index]
    return seen.same_spot(now) if (now.path, now.name) == (was.path, was.name) else ()


def _counted(planned: Planned, calls: Sequence[Call], itemsize: int) -> tuple[int, int]:
    """(MACs, bytes) that are added in all calls; 0 where the trace doesn't say."""
    if planned.added is not None:
        counted = [planned.added(call, itemsize) for call in calls]
        return sum(macs for macs, _ in counted), sum(amount for _, amount in counted)
    if planned.site.window is None or not list(_steps(planned)):
        return 0, 0  # the last: another site has the blur for both
    each = [_counted_once(planned, planned.site.window, call, itemsize) for call in calls]
    return sum(macs for macs, _ in each), sum(amount for _, amount in each)


def _counted_once(planned: Planned, window: Window, call: Call, itemsize: int) -> tuple[int, int]:
    site, dims = planned.site, window.dims
    given, sampled = call.input_size, call.output_size
    full = replace(window, stride=(1,) * dims, ceil_mode=False).outputs(given[-dims:])
    map_size = (*sampled[:-dims], *(given[-dims:] if site.pads_as_same else full))
    before_it = _is_before(planned)
    whole = any(isinstance(step, FLCPool) and step.is_whole for step in _steps(planned))
    size = given if before_it or whole else map_size
    macs = _blur_macs(planned, size, dims) + _spectral_macs(planned, size, sampled[-dims:])
    if whole or any(isinstance(step, _FUSED) for step in _steps(planned)):
        return macs, 0
    if before_it:
        pairs = zip(given[-dims:], per_axis(_strides(planned), dims), strict=True)
        samples = math.prod(given[:-dims]) * math.prod(-(-n // stride) for n, stride in pairs)
        return macs, 2 * samples * itemsize
    added = math.prod(map_size) - math.prod(sampled)
    if site.kind == "conv":
        macs += added * _per_output(site)
    return macs, 2 * itemsize * (planned.maps * added + math.prod(sampled))


def _is_before(planned: Planned) -> bool:
    """Whether the blur is in front of the site."""
    own = planned.site.module
    return any(
        edit.role == "mark"
        or (edit.role == "input" and edit.module is own)
        or getattr(edit.value, "before", None) is not None
        for edit in planned.edits
    )


def _per_output(site: Site) -> int:
    if site.is_call:
        return math.prod(site.arguments["weight"][1:])
    weight: Any = site.module.weight
    return math.prod(weight.shape[1:])


def _steps(planned: Planned) -> Iterator[nn.Module]:
    for edit in planned.edits:
        if isinstance(edit.value, nn.Module):
            yield from edit.value.modules()


def _strides(planned: Planned) -> tuple[int, ...]:
    for step in _steps(planned):
        if isinstance(step, _BLURS):
            return per_axis(step.stride, planned.site.dims)
        if isinstance(step, FLCPool):
            return step.window.stride
    return (1,)


def _blur_macs(planned: Planned, size: Sequence[int], dims: int) -> int:
    """One axis after the other, the first one first: what it leaves is read by the next."""
    total = 0
    for step in _steps(planned):
        if not isinstance(step, _BLURS):
            continue
        counts = [buffer.shape[-1] for buffer in step.buffers()]
        counts = counts * dims if len(counts) == 1 else counts
        left = list(size)
        for axis, (count, stride) in enumerate(
            zip(counts, per_axis(step.stride, dims), strict=True)
        ):
            at = len(left) - dims + axis
            left[at] = -(-left[at] // stride)
            total += math.prod(left) * count if count > 1 else 0
    return total


def _spectral_macs(planned: Planned, size: Sequence[int], sampled: Sequence[int]) -> int:
    """Of a matrix per axis, the first axis first; a transform takes fewer on large maps."""
    total = 0
    for step in _steps(planned):
        if not isinstance(step, FLCPool):
            continue
        left = list(size)
        for axis, (outputs, stride) in enumerate(zip(sampled, step.window.stride, strict=True)):
            at = len(left) - len(sampled) + axis
            full, left[at] = left[at], outputs
            total += math.prod(left) * full if stride > 1 else 0
    return total


# --- measured -----------------------------------------------------------------------------------


def _times(
    model: nn.Module,
    arguments: Arguments,
    planned: Sequence[Planned],
    treatment: Treatment,
    repeats: int,
) -> tuple[tuple[float, float], list[float]]:
    """Milliseconds (before, after) of the model, and what each site takes more."""
    given = arguments.made(lambda tensor: tensor)
    modules = list({id(edit.module): edit.module for one in planned for edit in one.edits}.values())

    def run() -> Any:
        return model(*given.args, **given.kwargs)

    whole: tuple[list[float], list[float]] = ([], [])
    parts: tuple[dict[int, list[float]], dict[int, list[float]]] = ({}, {})
    was_training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad():
            for repeat in range(repeats + 1):  # the first one is not counted
                for number, change in enumerate((treatment.revert, treatment.apply)):
                    change()
                    run()
                    milliseconds = _timed(run)
                    with _watched(modules) as spent:
                        run()
                    if repeat:
                        whole[number].append(milliseconds)
                        for key, value in spent.items():
                            parts[number].setdefault(key, []).append(value)
    finally:
        treatment.apply()
        for module, training in was_training.items():
            module.training = training
    medians = [{key: statistics.median(values) for key, values in part.items()} for part in parts]
    added = {key: medians[1][key] - medians[0].get(key, 0.0) for key in medians[1]}
    of_sites = [
        sum(added.get(key, 0.0) for key in {id(edit.module) for edit in one.edits})
        for one in planned
    ]
    return (statistics.median(whole[0]), statistics.median(whole[1])), of_sites


def _timed(run: Callable[[], Any]) -> float:
    _wait()
    begun = time.perf_counter()
    run()
    _wait()
    return 1e3 * (time.perf_counter() - begun)


def _wait() -> None:
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()


@contextmanager
def _watched(modules: Sequence[nn.Module]) -> Iterator[dict[int, float]]:
    """Adds up the milliseconds spent in modules, by id."""
    spent: dict[int, float] = {}
    begun: list[float] = []

    def before(module: nn.Module, args: Any) -> None:
        _wait()
        begun.append(time.perf_counter())

    def after(module: nn.Module, args: Any, result: Any) -> None:
        _wait()
        milliseconds = 1e3 * (time.perf_counter() - begun.pop())
        spent[id(module)] = spent.get(id(module), 0.0) + milliseconds

    hooks: list[Any] = [module.register_forward_pre_hook(before) for module in modules]
    hooks += [module.register_forward_hook(after) for module in modules]
    try:
        yield spent
    finally:
        for hook in hooks:
            hook.remove()
