"""geometry: the window of a site from its arguments and the sizes in a trace, and what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from freqops.surgery.sites.site import Site
from freqops.surgery.steps.window import (
    Sizes,
    Window,
    conv_window,
    interpolation_ratio,
    per_axis,
    pool_window,
)

#: Strides from here on cut images into patches, as vision transformers do.
PATCHES = 8

_GLOBAL = "global: one sample is left of an axis"


def with_window(site: Site, dims: int) -> Site:
    """A site with its window and what that says about it.

    Args:
        site: with its arguments and its call in the trace; a convolution has its window already.
        dims: number of axes; for interpolation the trace has it.
    """
    if site.kind in ("max_pool", "avg_pool"):
        site = replace(site, window=pool_window(site.arguments, dims))
    elif site.kind != "conv":
        site = _with_ratio(site, dims)
    return _judged(site)


def call_window(site: Site) -> Window:
    """The window of a functional convolution: the trace keeps its weight's shape."""
    return conv_window(site.arguments, site.arguments["weight"][2:])


def _with_ratio(site: Site, dims: int) -> Site:
    """Adaptive pools and interpolation: the window is the ratio of the sizes in the trace."""
    if site.call is None:
        alone = per_axis(site.arguments.get("output_size"), 1)
        why = _GLOBAL if set(alone) == {1} else "its ratio is known in a trace only"
        return _hindered(site, why)
    dims = dims or len(site.call.input_size) - 2
    sizes, outputs = site.call.input_size[-dims:], site.call.output_size[-dims:]
    pairs = list(zip(outputs, sizes, strict=True))
    if site.kind == "interpolate":
        ratio = interpolation_ratio(sizes, site.arguments)
        if site.arguments["align_corners"] or site.arguments["antialias"]:
            site = _hindered(site, "align_corners or antialias: another kind of sampling")
    else:
        ratio = _adaptive_ratio(sizes, site.arguments["output_size"])
        if any(out == 1 < size for out, size in pairs):
            site = _hindered(site, _GLOBAL)
    if ratio is None and all(out >= size for out, size in pairs):
        ratio = (1,) * dims  # makes larger
    if ratio is None:
        return _hindered(site, "its sizes have no whole ratio")
    return replace(site, window=Window(ratio, ratio, (0,) * dims, (1,) * dims))


def _adaptive_ratio(sizes: Sequence[int], output_size: Any) -> Sizes | None:
    wanted = per_axis(output_size, len(sizes))
    pairs = [(size, size if out is None else out) for size, out in zip(sizes, wanted, strict=True)]
    if any(size % out for size, out in pairs):
        return None
    return tuple(size // out for size, out in pairs)


def _judged(site: Site) -> Site:
    """What the arguments and the window say: indices, patches, averages over everything."""
    if site.arguments.get("return_indices"):
        return _hindered(site, "returns indices, which an unpooling layer reads")
    if site.arguments.get("divisor_override") is not None:
        return _hindered(site, "divisor_override makes it more than an average")
    if site.window is None:
        return site
    if site.kind == "conv":
        axes = zip(site.stride, site.kernel_size, strict=True)
        if any(stride >= PATCHES and kernel <= stride for stride, kernel in axes):
            why = f"stride {max(site.stride)} cuts it into patches; include it by name"
            return replace(site, doubt=why)
    if site.kind != "avg_pool":
        return site
    if site.call is None and max(site.kernel_size) > 3:
        return replace(site, doubt="may be global, which only a trace can tell")
    sizes = site.input_size[-site.dims :] if site.input_size else ()
    pairs = zip(site.kernel_size, sizes, strict=False)
    return _hindered(site, _GLOBAL) if any(kernel >= n > 1 for kernel, n in pairs) else site


def _hindered(site: Site, why: str) -> Site:
    """The first reason stays."""
    return site if site.obstacle else replace(site, obstacle=why)
