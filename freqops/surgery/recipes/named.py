"""named: the recipes with a name, and a user's mapping, as changes of the rules of "zhang"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from freqops.surgery.recipes.placement import Placer, Position
from freqops.surgery.recipes.recipe import Planned, Recipe, in_words, is_pointwise
from freqops.surgery.sites.site import OWN_FORWARD, Site
from freqops.surgery.steps.blurs import blur
from freqops.surgery.steps.calls import ConvCall
from freqops.surgery.steps.polyphase import Polyphase, SharedIndex
from freqops.surgery.steps.spectral import FLCPool, SameFLCPool, can_replace_average, flc_pool

#: Convolutions with fewer input channels are left alone by "composer", as composer does.
COMPOSER_CHANNELS = 16


class PoolOnly(Recipe):
    """Pools as "zhang" has them; convolutions are left alone."""

    name = "pool_only"
    _shares_blurs = False

    def _conv(self, site: Site) -> Planned | str:
        return "pool_only leaves convolutions as they are"


class Vasconcelos(Recipe):
    """As "zhang", with the blur directly behind each convolution."""

    name = "vasconcelos"
    _behind_call = "behind it"

    def _spot(self, site: Site) -> Position:
        return self._place.directly_behind(site)


class Composer(Recipe):
    """Max pools as "zhang" has them; a blur at stride 1 in front of convolutions."""

    name = "composer"
    _shares_blurs = False

    def _conv(self, site: Site) -> Planned | str:
        if site.channels is not None and site.channels < COMPOSER_CHANNELS:
            return f"composer leaves convolutions of fewer than {COMPOSER_CHANNELS} channels"
        if is_pointwise(site):  # the samples it skips need not be blurred
            return self._before(site)
        one = (1,) * site.dims
        step = blur(self._axis_taps(site), one, self._mode)
        after = f"{in_words(step)} before it, stride {site.stride}"
        if site.is_call:
            assert site.window is not None
            call = ConvCall(site.function, site.window, step, None, site.stride)
            return Planned(site, (self._call_edit(site, call),), after, site.runs)
        edits = (self._edit(site, "input", step), self._edit(site, "mark", None))
        return Planned(site, edits, after, site.runs)

    def _left(self, site: Site) -> Planned | str:
        return "composer treats max pools and convolutions"

    _avg_pool = _adaptive_avg_pool = _adaptive_max_pool = _interpolate = _left


class _Sampled(Recipe):
    """Everything at stride 1, then a sampler; for samplers that are no blur."""

    _shares_blurs = False

    def _max_pool(self, site: Site) -> Planned | str:
        if site.has_own_forward:
            return self._stride_one(site)
        return self._instead(site, self._at_stride_one(site, self._sampler(site)))

    def _avg_pool(self, site: Site) -> Planned | str:
        if site.window is not None and site.window.ceil_mode and not site.has_own_forward:
            return self._instead(site, self._at_stride_one(site, self._sampler(site)))
        return self._stride_one(site)

    def _adaptive(self, site: Site) -> Planned | str:
        step = self._at_stride_one(site, self._sampler(site))
        if site.kind == "interpolate":
            return self._instead(site, step)
        return self._ratio(site, step)

    _adaptive_avg_pool = _adaptive_max_pool = _interpolate = _adaptive


class Polyphases(_Sampled):
    """The grid of the samples is picked by the content; branches that meet share it."""

    name = "aps"

    def __init__(self, place: Placer, taps: Any, padding_mode: str) -> None:
        super().__init__(place, 1 if taps is None else taps, padding_mode)

    def plan(self, site: Site) -> Planned | str:
        """As the other recipes, for stride 2 only."""
        if site.stride != (2, 2):
            return f"polyphase sampling is for stride (2, 2), not {site.stride}"
        return super().plan(site)

    def _sampler(self, site: Site) -> nn.Module:
        return Polyphase(self._taps, self._mode)

    def finish(self, planned: Sequence[Planned]) -> None:
        """Sites that meet in a sum or a concatenation take the samples the first of them picks."""
        for step in [step for one in planned for step in _polyphases(one)]:
            step.shared, step.leads = None, True
        by_name = {one.site.name: one for one in planned}
        for group in self._place.meeting([one.site for one in planned]):
            shared = SharedIndex()
            members = [by_name[site.name] for site in group]
            for number, one in enumerate(sorted(members, key=lambda one: one.runs)):
                for step in _polyphases(one):
                    step.shared, step.leads = shared, number == 0


class Spectral(_Sampled):
    """Spectral pooling directly behind what runs at stride 1, and alone where that was an average.

    The authors' networks have it in front of the convolution and in the place of the maximum: their
    kernels are trained on the coarse map. Behind, a kernel goes on seeing the map it was trained
    on, and every size stays, whatever the padding. Either way an activation comes after it.
    """

    name = "flc"
    _behind_call = "behind it"

    def _spot(self, site: Site) -> Position:
        return self._place.directly_behind(site)

    _avg_pool = Recipe._avg_pool
    _adaptive_avg_pool = Recipe._adaptive_avg_pool

    def _interpolate(self, site: Site) -> Planned | str:
        return OWN_FORWARD if site.has_own_forward else self._instead(site, self._average(site))

    def _average(self, site: Site, taps: Any = None) -> nn.Module:
        assert site.window is not None
        if can_replace_average(site.window):
            return FLCPool(site.window)
        return self._at_stride_one(site, self._sampler(site))

    def _sampler(self, site: Site) -> nn.Module:
        if site.pads_as_same and not is_pointwise(site):
            assert site.window is not None
            return SameFLCPool(site.window)
        return flc_pool(site.stride)


class Chosen(_Sampled):
    """A user's mapping: {predicate of a site: factory of what samples it}."""

    name = "mapping"

    def __init__(
        self, place: Placer, table: Mapping[Callable[[Site], bool], Callable[[Site], Any]]
    ) -> None:
        super().__init__(place, None, "reflect")
        self._table = table

    def plan(self, site: Site) -> Planned | str:
        """By the first predicate that is true."""
        if not any(predicate(site) for predicate in self._table):
            return "no predicate of the recipe is true for it"
        return super().plan(site)

    def _sampler(self, site: Site) -> nn.Module:
        factory = next(made for predicate, made in self._table.items() if predicate(site))
        step = factory(site)
        if not isinstance(step, nn.Module):
            raise TypeError(
                f"antialias: a factory of recipe must return an nn.Module, got "
                f"{type(step).__name__} for {site.name}"
            )
        if step.state_dict():
            raise ValueError(
                "antialias: a factory of recipe must return a module that adds nothing to "
                f"state_dict, got {type(step).__name__} with {', '.join(step.state_dict())}"
            )
        return step


#: The recipes with a name.
RECIPES: dict[str, type[Recipe]] = {
    cls.name: cls for cls in (Recipe, PoolOnly, Composer, Vasconcelos, Spectral, Polyphases)
}


def _polyphases(planned: Planned) -> list[Polyphase]:
    steps = [edit.value for edit in planned.edits if isinstance(edit.value, nn.Module)]
    return [one for step in steps for one in step.modules() if isinstance(one, Polyphase)]
