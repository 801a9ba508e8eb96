"""convert: sites, a choice of them and rules become a conversion, whatever the rules are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import nn

from freqops.surgery.conversion import Conversion
from freqops.surgery.recipes.recipe import Planned
from freqops.surgery.records import Row
from freqops.surgery.sites.site import Site
from freqops.surgery.tracing.graph import Call, Trace, Value
from freqops.surgery.tracing.trace import trace
from freqops.surgery.treatment import Treatment


class Rules(Protocol):
    """What becomes of sites."""

    name: str

    def plan_all(self, sites: Sequence[Site]) -> list[Planned | str]:
        """What is to be done about each site, or why nothing."""

    def finish(self, planned: Sequence[Planned]) -> None:
        """What concerns several sites; called again where less of the plan is carried out."""


def convert(
    model: nn.Module,
    sites: Sequence[Site],
    chosen: Mapping[str, str],
    rules: Rules,
    *,
    seen: Trace,
    example: Any,
    dry_run: bool,
) -> Conversion:
    """Does to a model what rules say about its sites, as far as every size stays.

    Args:
        model: changed in place, or not at all where something raises.
        sites: of the model.
        chosen: why a site is not to be treated, by name; "" where it is.
        rules: what becomes of each.
        seen: a trace of the model.
        example: the trace's input.
        dry_run: changes nothing.
    """
    before = {site.name: str(site) for site in sites}  # as long as it is what it was
    decisions = _decided(sites, chosen, rules)
    planned = [one for one in decisions.values() if isinstance(one, Planned)]
    rules.finish(planned)
    treatment = Treatment(edit for one in planned for edit in one.edits)
    if not dry_run:
        treatment, planned, problems = largest_sound(model, seen, example, planned, rules)
        decisions.update(problems)
    return Conversion(
        model,
        [_row(site, before[site.name], decisions[site.name]) for site in sites],
        planned,
        treatment,
        recipe=rules.name,
        how=f"seen on {seen.how}" if seen else f"without a trace: {seen.error}",
        dry_run=dry_run,
    )


def _decided(
    sites: Sequence[Site], chosen: Mapping[str, str], rules: Rules
) -> dict[str, Planned | str]:
    """What is to be done about each site by name, or why nothing."""
    left = {site.name: site.obstacle or chosen[site.name] for site in sites}
    free = [site for site in sites if not left[site.name]]
    plans = zip(free, rules.plan_all(free), strict=True)
    return {**left, **{site.name: plan for site, plan in plans}}


def _row(site: Site, before: str, decision: Planned | str) -> Row:
    if isinstance(decision, Planned):
        return Row(site.name, site.kind, before, decision.after, "")
    return Row(site.name, site.kind, before, "", decision)


# --- every size stays -----------------------------------------------------------------------------


def largest_sound(
    model: nn.Module, before: Trace, example: Any, planned: Sequence[Planned], rules: Rules
) -> tuple[Treatment, list[Planned], dict[str, str]]:
    """Applies what keeps every size.

    All of it, as a rule. Where that changes a size or breaks the model, the sites are treated one
    after the other and those that do harm are left alone.

    Args:
        model: to treat.
        before: its trace; a failed one can't be compared with, and everything is applied.
        example: the trace's input.
        planned: what is to be done.
        rules: the recipe, which has a last word about what is left of the plan.

    Returns:
        The treatment, applied; what of the plan it does; and {site: why it was left alone}.
    """
    treatment = _applied(planned)
    if not before:
        return treatment, list(planned), {}
    try:
        if not _harm(model, before, example, planned):
            rules.finish(planned)  # nothing of the run may stay
            return treatment, list(planned), {}
        treatment.revert()
        sound: list[Planned] = []
        problems = {}
        for one in planned:
            rules.finish([*sound, one])
            treatment = _applied([*sound, one])
            harm = _harm(model, before, example, [*sound, one])
            treatment.revert()
            if harm:
                problems[one.site.name] = harm
            else:
                sound.append(one)
        rules.finish(sound)
        treatment = _applied(sound)
    except BaseException:
        treatment.revert()
        raise
    return treatment, sound, problems


def _applied(planned: Sequence[Planned]) -> Treatment:
    treatment = Treatment(edit for one in planned for edit in one.edits)
    treatment.apply()
    return treatment


def _harm(model: nn.Module, before: Trace, example: Any, planned: Sequence[Planned]) -> str:
    """What is wrong with the model as it is now; "" if nothing is."""
    after = trace(model, example)
    if not after:
        return f"the model could not be run with it: {after.error}"
    larger = frozenset().union(*(one.larger for one in planned))
    # In the order in which they ended: a module before those it is in.
    for call in sorted(before.calls, key=lambda call: (call.end, -call.index)):
        if call.module is None:
            continue
        number = before.calls_of(call.path).index(call)
        again = after.calls_of(call.path)
        if len(again) <= number or any(value.number in larger for value in call.outputs):
            continue
        was, now = _given(call), _given(again[number])
        if was != now:
            return f"with it {call.path or 'the model'} would give {_words(now)}, not {_words(was)}"
    if _sizes(before.outputs) != _sizes(after.outputs):
        return f"with it the model would give {_words(_sizes(after.outputs))}"
    return ""


def _given(call: Call) -> list[tuple[int, ...]]:
    """What a call returned: what it wrote in place comes before that."""
    return _sizes(call.outputs[-1:] if call.single else call.outputs)


def _sizes(values: Sequence[Value]) -> list[tuple[int, ...]]:
    return [value.size for value in values]


def _words(shapes: Sequence[Sequence[int]]) -> str:
    return ", ".join(str(list(shape)) for shape in shapes)
