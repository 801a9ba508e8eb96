"""placement: where in a model a step can stand, as its trace has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from freqops.surgery.sites.site import CONTAINERS, Site
from freqops.surgery.tracing.activations import Activation, activation_after
from freqops.surgery.tracing.graph import Call, Trace
from freqops.surgery.treatment import Edit


@dataclass(frozen=True, eq=False)
class Position:
    """Where the step behind a site stands.

    Attributes:
        edit: puts it there; without the step.
        where: for people.
        runs: index in the trace of the call behind which it runs.
        larger: numbers of the traced values between the site and the step.
        maps: how many maps of full resolution there are then.
    """

    edit: Edit
    where: str
    runs: int
    larger: frozenset[int] = field(default_factory=frozenset)
    maps: int = 1


class Placer:
    """Answers where steps can stand in one model.

    Args:
        model: the model.
        trace: of it, perhaps a failed one.
    """

    def __init__(self, model: nn.Module, trace: Trace) -> None:
        self._trace = trace
        self._devices = _devices(model)

    def device(self, module: nn.Module) -> torch.device:
        """Where a module computes: its own parameters', else that of those registered before."""
        return self._devices.get(id(module), torch.device("cpu"))

    def directly_behind(self, site: Site) -> Position:
        """Behind the module itself."""
        return Position(Edit(site.module, "output"), "behind it", site.runs)

    def behind_activation(self, site: Site) -> Position:
        """Behind the activation a convolution's output goes through, else behind itself."""
        direct = self.directly_behind(site)
        why = self._no_activation(site)
        if why:
            return Position(direct.edit, f"before the activation: {why}", direct.runs)
        assert site.call is not None
        activation = activation_after(self._trace, site.call)
        if isinstance(activation, str):  # nothing to be in front of
            return Position(direct.edit, f"behind it: {activation}", direct.runs)
        return self._at(activation, site.call) or Position(
            direct.edit, f"before the activation: {activation.why_not or _CONTAINER}", direct.runs
        )

    def _no_activation(self, site: Site) -> str:
        if not self._trace:
            return f"no trace, {self._trace.error}"
        if site.call is None:
            return "it isn't called on the example"
        return f"it is called {site.calls} times" if site.calls > 1 else ""

    def _at(self, activation: Activation, call: Call) -> Position | None:
        calls = self._trace.calls[call.index : activation.call.index + 1]
        larger = {value.number for one in calls for value in one.outputs}
        maps, runs = len(larger), activation.call.index
        behind, before = activation.output_of, activation.input_of
        if behind is not None and behind.module is not None and _can_carry(behind.module):
            edit = Edit(behind.module, "output")
            larger.discard(activation.value.number)
            where = f"behind {behind.path or 'the model'}"
            return Position(edit, where, runs, frozenset(larger), maps)
        if before is not None and before.module is not None and _can_carry(before.module):
            edit = Edit(before.module, "input")
            where = f"behind its activation, before {before.path}"
            return Position(edit, where, runs, frozenset(larger), maps)
        return None

    def in_front_of(self, sites: Sequence[Site]) -> Edit | None:
        """Behind what makes the input of parallel sites, if nobody else reads it."""
        if not all(site.call and site.calls == 1 and not site.is_call for site in sites):
            return None
        call = sites[0].call
        assert call is not None
        readers = {id(call), *map(id, self._trace.readers_of_same_input(call))}
        value = call.inputs[0]
        producer = self._trace.producer(value)
        if readers != {id(site.call) for site in sites} or self._trace.is_output(value):
            return None
        if producer is None or producer.module is None or not _can_carry(producer.module):
            return None
        once = len(self._trace.calls_of(producer.path)) == 1 and producer.single
        return Edit(producer.module, "output") if once else None

    def meeting(self, sites: Sequence[Site]) -> list[list[Site]]:
        """Groups of sites whose outputs are added or joined, of two and more."""
        groups: list[tuple[set[int], list[Site]]] = []
        for site in sites:
            if site.call is None:
                continue
            merges = {merge.index for merge in self._trace.merges(site.call)}
            together = [site]
            for group in [group for group in groups if group[0] & merges]:
                merges |= group[0]
                together = [*group[1], *together]
                groups.remove(group)
            groups.append((merges, together))
        return [group for _, group in groups if len(group) > 1]


_CONTAINER = "it is written out in the forward of a container"


def _can_carry(module: nn.Module) -> bool:
    return not isinstance(module, CONTAINERS) and "forward" not in module.__dict__


def _devices(model: nn.Module) -> dict[int, torch.device]:
    devices, last = {}, torch.device("cpu")
    tensors = [*model.parameters(), *model.buffers()]
    if tensors:
        last = tensors[0].device
    for module in model.modules():
        own = next(iter([*module.parameters(recurse=False), *module.buffers(recurse=False)]), None)
        last = last if own is None else own.device
        devices[id(module)] = last
    return devices
