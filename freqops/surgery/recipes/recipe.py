"""recipe: what becomes of a site; the rules of "zhang", one method per kind of site."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from freqops.surgery.recipes.placement import Placer, Position
from freqops.surgery.sites.site import OWN_FORWARD, Site
from freqops.surgery.steps.blurs import axis_taps, blur, lengths
from freqops.surgery.steps.calls import (
    ConvCall,
    InterpolateCall,
    Interpolation,
    PoolCall,
    RatioCall,
)
from freqops.surgery.steps.pools import AverageBlur, RatioPool, SameBlur, StrideOne, max_blur
from freqops.surgery.tracing.graph import Call
from freqops.surgery.treatment import Edit


@dataclass(frozen=True, eq=False)
class Planned:
    """What is to be done about a site.

    Attributes:
        site: the site.
        edits: changes of modules, in order.
        after: what it is then, for people.
        runs: index in the trace of the call at which its samples are taken.
        larger: numbers of the traced values that are larger from then on, up to the blur.
        maps: how many maps of full resolution there are then.
        added: (MACs, bytes) that it adds to a call, whose numbers have so many bytes; None where
            they follow from the steps.
    """

    site: Site
    edits: tuple[Edit, ...]
    after: str
    runs: int = 0
    larger: frozenset[int] = field(default_factory=frozenset)
    maps: int = 1
    added: Callable[[Call, int], tuple[int, int]] | None = None


class Recipe:
    """The rules of "zhang", which the other recipes change.

    Args:
        place: finds where a step behind a convolution can stand.
        taps: as `antialias` takes them; None is 3.
        padding_mode: of the blurs.
    """

    name = "zhang"
    _shares_blurs = True
    _behind_call = "before the activation: it is a call in a method"

    def __init__(self, place: Placer, taps: Any, padding_mode: str) -> None:
        self._place = place
        self._taps = 3 if taps is None else taps
        self._mode = padding_mode

    def plan_all(self, sites: Sequence[Site]) -> list[Planned | str]:
        """What is to be done about each site, or why nothing."""
        together = {}
        for group in self._parallel(sites):
            edit = self._place.in_front_of(group)
            if edit is not None:
                together.update(self._shared(group, edit))
        return [together.get(site.name) or self.plan(site) for site in sites]

    def _parallel(self, sites: Sequence[Site]) -> list[list[Site]]:
        """Convolutions of more than one sample, of one stride, that read the very same tensor."""
        if not self._shares_blurs:
            return []
        groups: dict[Any, list[Site]] = {}
        for site in sites:
            if site.kind == "conv" and site.call is not None and not is_pointwise(site):
                groups.setdefault((site.call.inputs[0].number, site.stride), []).append(site)
        return [group for group in groups.values() if len(group) > 1]

    def _shared(self, group: Sequence[Site], edit: Edit) -> dict[str, Planned]:
        """One blur at stride 1 in front of all; the convolutions keep their stride."""
        first = group[0]
        step = blur(self._axis_taps(first), (1,) * first.dims, self._mode)
        edit = replace(edit, value=step.to(self._place.device(edit.module)))
        names = ", ".join(site.name for site in group)
        after = f"{in_words(step)} before it, one for {names}; stride {first.stride}"
        planned = {
            site.name: Planned(site, (self._edit(site, "mark", None),), after) for site in group
        }
        planned[first.name] = replace(planned[first.name], edits=(edit, *planned[first.name].edits))
        return planned

    def plan(self, site: Site) -> Planned | str:
        """What is to be done about one site, or why nothing."""
        rule: Callable[[Site], Planned | str] = getattr(self, f"_{site.kind}")
        return rule(site)

    def finish(self, planned: Sequence[Planned]) -> None:
        """What concerns several sites."""

    # --- pools --------------------------------------------------------------------------------

    def _max_pool(self, site: Site) -> Planned | str:
        if site.has_own_forward:
            return self._stride_one(site)
        assert site.window is not None
        return self._instead(site, max_blur(site.window, self._axis_taps(site), self._mode))

    def _avg_pool(self, site: Site) -> Planned | str:
        if site.has_own_forward:
            return self._stride_one(site)
        return self._instead(site, self._average(site))

    def _average(self, site: Site, taps: Any = None) -> nn.Module:
        """A blur; behind the average where that is longer than the taps and would be missed."""
        assert site.window is not None
        taps = self._axis_taps(site) if taps is None else taps
        axes = zip(site.kernel_size, site.stride, lengths(taps), strict=True)
        if any(kernel > count for kernel, stride, count in axes if stride > 1):
            return self._at_stride_one(site, self._sampler(site))
        include = bool(site.arguments.get("count_include_pad", True))
        return AverageBlur(site.window, taps, self._mode, include)

    def _adaptive_avg_pool(self, site: Site) -> Planned | str:
        return self._ratio(site, self._average(site))

    def _adaptive_max_pool(self, site: Site) -> Planned | str:
        assert site.window is not None
        return self._ratio(site, max_blur(site.window, self._axis_taps(site), self._mode))

    def _interpolate(self, site: Site) -> Planned | str:
        if site.has_own_forward:
            return OWN_FORWARD
        if site.arguments["mode"] == "nearest":  # which takes the first sample of each group
            return self._instead(site, self._sampler(site))
        return self._instead(site, self._average(site, self._centred_taps(site)))

    def _centred_taps(self, site: Site) -> Any:
        """Taps whose middle can be that of the group: one more where the numbers don't fit."""
        given = self._taps if isinstance(self._taps, (tuple, list)) else (self._taps,) * site.dims
        taps = axis_taps(given, site.stride)
        fits = [(n - s) % 2 == 0 for n, s in zip(lengths(taps), site.stride, strict=True)]
        each = zip(given, fits, strict=True)
        more = [n + 1 if isinstance(n, int) and not fit else n for n, fit in each]
        return axis_taps(more, site.stride)

    def _ratio(self, site: Site, step: nn.Module) -> Planned | str:
        if site.has_own_forward:
            return OWN_FORWARD
        output_size = site.arguments["output_size"]
        return self._instead(site, RatioPool(site.function, output_size, site.stride, step))

    # --- convolutions -------------------------------------------------------------------------

    def _conv(self, site: Site) -> Planned | str:
        if is_pointwise(site):
            return self._before(site)
        return self._stride_one(site)

    def _before(self, site: Site) -> Planned:
        """The samples are taken of the input: the same function where the kernel is one sample."""
        step = self._sampler(site)
        one = (1,) * site.dims
        after = f"{in_words(step)}, then stride 1"
        if site.is_call:
            assert site.window is not None
            call = ConvCall(site.function, site.window, step, None, one)
            return Planned(site, (self._call_edit(site, call),), after, site.runs)
        edits = (self._edit(site, "input", step), self._edit(site, "attribute", one, "stride"))
        return Planned(site, edits, after, site.runs)

    def _stride_one(self, site: Site) -> Planned | str:
        """At stride 1; the samples are taken of the result, behind the activation if it has one."""
        if site.window is not None and site.window.ceil_mode and not site.is_call:
            return "its class has a forward of its own and ceil_mode, whose sizes nobody knows"
        step = self._sampler(site)
        one = (1,) * site.dims
        if site.is_call:
            return self._call_then(site, step)
        spot = self._spot(site)
        stride = one if isinstance(site.module.__dict__["stride"], tuple) else 1
        edits = (
            self._edit(site, "attribute", stride, "stride"),
            replace(spot.edit, value=step.to(self._place.device(spot.edit.module))),
        )
        after = f"stride 1, {in_words(step)} {spot.where}"
        return Planned(site, edits, after, spot.runs, spot.larger, spot.maps)

    def _call_then(self, site: Site, step: nn.Module) -> Planned:
        assert site.window is not None
        one = (1,) * site.dims
        if site.kind == "conv":
            call: nn.Module = ConvCall(site.function, site.window, None, step, one)
            after = f"stride 1, {in_words(step)} {self._behind_call}"
        else:
            call = PoolCall(site.function, site.window, self._at_stride_one(site, step))
            after = f"stride 1, {in_words(step)} behind it"
        return Planned(site, (self._call_edit(site, call),), after, site.runs)

    def _spot(self, site: Site) -> Position:
        if site.kind == "conv":
            return self._place.behind_activation(site)
        return self._place.directly_behind(site)

    # --- parts --------------------------------------------------------------------------------

    def _sampler(self, site: Site) -> nn.Module:
        """What takes the samples of a map of full resolution."""
        if site.pads_as_same and not is_pointwise(site):
            assert site.window is not None
            return SameBlur(site.window, self._axis_taps(site), self._mode)
        return blur(self._axis_taps(site), site.stride, self._mode)

    def _axis_taps(self, site: Site) -> Any:
        return axis_taps(self._taps, site.stride)

    def _at_stride_one(self, site: Site, sampler: nn.Module) -> nn.Module:
        assert site.window is not None
        pool = "max_pool" if "max_pool" in site.kind else "avg_pool"
        return StrideOne(pool, site.window, site.arguments, sampler)

    def _instead(self, site: Site, step: nn.Module) -> Planned:
        """The step does all that the site does."""
        if not site.is_call:
            if site.kind == "interpolate":
                known = InterpolateCall(site.stride, site.arguments["mode"], step)
                step = Interpolation(site.arguments, known)
            return Planned(site, (self._edit(site, "instead", step),), in_words(step), site.runs)
        if site.kind == "interpolate":
            call: nn.Module = InterpolateCall(site.stride, site.arguments["mode"], step)
        elif isinstance(step, RatioPool):
            call = RatioCall(step)
        else:
            assert site.window is not None
            call = PoolCall(site.function, site.window, step)
        return Planned(site, (self._call_edit(site, call),), in_words(step), site.runs)

    def _edit(self, site: Site, role: Any, value: Any, name: str = "") -> Edit:
        if isinstance(value, nn.Module):
            value = value.to(self._place.device(site.module))
        return Edit(site.module, role, value, name)

    def _call_edit(self, site: Site, step: nn.Module) -> Edit:
        step = step.to(self._place.device(site.module))
        return Edit(site.module, "call", step, f"antialias_{site.function}", site.place)


def is_pointwise(site: Site) -> bool:
    """Whether a convolution sees one sample along each axis it strides over."""
    window = site.window
    assert window is not None
    axes = zip(window.kernel_size, window.stride, window.padding, strict=True)
    return all(stride == 1 or (kernel == 1 and padding == 0) for kernel, stride, padding in axes)


def in_words(step: nn.Module) -> str:
    """A step as one line."""
    if isinstance(step, StrideOne) and step.maximum is not None:
        return f"stride 1, {in_words(step.sampler)} behind it"
    if isinstance(step, StrideOne):
        return f"{step.extra_repr()}, then {in_words(step.sampler)}"
    words = step.extra_repr().replace(", padding_mode='reflect'", "")
    return f"{type(step).__name__}({words})"
