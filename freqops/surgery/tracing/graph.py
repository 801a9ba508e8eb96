"""What a traced run of a model consists of: values, calls, and questions about them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Value:
    """A tensor as it was between two writes: one that depends on the model's input.

    Attributes:
        number: counts the values of the run; an in-place call makes a new one.
        size: its shape.
        producer: index of the call that made it (an atom); None for an input of the model.
    """

    number: int
    size: tuple[int, ...]
    producer: int | None


@dataclass(frozen=True)
class Spot:
    """The instruction that called a function.

    Attributes:
        owner: path of the module of whose class the method is; None where the call stands in a
            function that is no method of a module of the model.
        cls: the owner's class.
        method: name of the method, as `cls` has it; where there is no owner, of the function.
        code: the code object the call stands in (the method's, or one nested in it).
        instruction: offset of the call in `code`.
        line: in the file of `code`.
        problem: "" or why the call has no owner, as a clause.
    """

    owner: str | None
    cls: type | None
    method: str
    code: CodeType
    instruction: int
    line: int
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a module or of a function.

    Attributes:
        index: its place in `Trace.calls`, which is the order in which the calls began.
        name: class of the module, or name of the function without the `_` of an in-place form:
            "Conv2d", "max_pool2d", "add", "cat".
        module: the module called; None for a function.
        path: the module's path; for a function the path of the innermost module that was running.
        arguments: a function's arguments by name where its signature is known (F.*), else by
            position ("0", "1", ...); a tensor is given by its torch.Size. Empty for modules.
        parent: index of the innermost module call in which it happened; None for the model's own.
        end: one more than the index of the last call inside it.
        atom: it counts as one step of the graph: a function, or a module of torch.nn or freqops
            that is looked at as a whole. Calls inside an atom are not recorded.
        inputs: the values it reads, in order. Parameters, and what is computed from them alone,
            are no values.
        outputs: the values it returned or wrote; for a module that is no atom those of its last
            steps. A value that went through unchanged (Identity) is input and output.
        single: it returned one tensor and nothing else.
        spot: where a function was called.
    """

    index: int
    name: str
    module: nn.Module | None
    path: str
    arguments: Mapping[str, Any]
    parent: int | None
    end: int
    atom: bool
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    single: bool
    spot: Spot | None

    @property
    def input_size(self) -> tuple[int, ...]:
        """Shape of the first value it reads; () where it reads none."""
        return self.inputs[0].size if self.inputs else ()

    @property
    def output_size(self) -> tuple[int, ...]:
        """Shape of the first value it gives; () where it gives none."""
        return self.outputs[0].size if self.outputs else ()


@dataclass(frozen=True, eq=False)
class Trace:
    """One run of a model, or why there is none.

    Attributes:
        calls: in the order in which they began; those of functions and of modules.
        inputs: the values given to the model.
        outputs: the values it returned.
        how: how it was run, for reports: "fake tensors in train mode".
        error: one sentence where the model could not be run; then there are no calls.
    """

    calls: tuple[Call, ...] = ()
    inputs: tuple[Value, ...] = ()
    outputs: tuple[Value, ...] = ()
    how: str = ""
    error: str | None = None

    def __bool__(self) -> bool:
        return self.error is None

    # --- calls ----------------------------------------------------------------------------------

    def calls_of(self, path: str) -> tuple[Call, ...]:
        """The calls of one module, by its first name in `model.named_modules()`."""
        return self._calls_by_path.get(path, ())

    def functions(self, *names: str) -> tuple[Call, ...]:
        """The calls of functions of these names (all functions where none is given)."""
        found = (call for call in self.calls if call.module is None)
        return tuple(call for call in found if not names or call.name in names)

    def inside(self, call: Call) -> tuple[Call, ...]:
        """Everything that happened inside a module call, at any depth."""
        return self.calls[call.index + 1 : call.end]

    def around(self, call: Call) -> tuple[Call, ...]:
        """The module calls inside which a call happened, the innermost first."""
        found = []
        while call.parent is not None:
            call = self.calls[call.parent]
            found.append(call)
        return tuple(found)

    def same_spot(self, call: Call) -> tuple[Call, ...]:
        """The calls of a function made by the same instruction of the same module (a loop)."""
        if call.spot is None:
            return (call,)
        return self._calls_by_spot[_key(call.spot)]

    def is_called_once(self, call: Call) -> bool:
        """Whether a module call is the only one of its module."""
        return call.module is not None and len(self.calls_of(call.path)) == 1

    # --- values ---------------------------------------------------------------------------------

    def producer(self, value: Value) -> Call | None:
        """The atom that made a value; None for an input of the model."""
        return None if value.producer is None else self.calls[value.producer]

    def readers(self, value: Value) -> tuple[Call, ...]:
        """The atoms that read a value; those that hand it through unchanged are left out."""
        return self._readers_by_value.get(value, ())

    def is_output(self, value: Value) -> bool:
        """Whether the model returned the value, perhaps in a structure."""
        return value in self.outputs

    def consumers(self, call: Call) -> tuple[Call, ...]:
        """The atoms that read what a call gave, without those inside the call itself."""
        inside = range(call.index, call.end)
        found = {one.index: one for value in call.outputs for one in self.readers(value)}
        return tuple(found[index] for index in sorted(found) if index not in inside)

    def readers_of_same_input(self, call: Call) -> tuple[Call, ...]:
        """The other atoms that read the very tensor that is the call's first input."""
        if not call.inputs:
            return ()
        return tuple(one for one in self.readers(call.inputs[0]) if one is not call)

    def merges(self, call: Call) -> tuple[Call, ...]:
        """Atoms with two inputs of the call's output size, reached without a change of size.

        Two subsampling calls that share a merge have to keep the same samples. In order of
        the run; sums further on at the same size are listed too.
        """
        size = call.output_size[2:]
        found: dict[int, Call] = {}
        ahead = [value for value in call.outputs if value.size[2:] == size]
        seen = set(ahead)
        while ahead:
            for reader in self.readers(ahead.pop()):
                if sum(value.size[2:] == size for value in set(reader.inputs)) > 1:
                    found[reader.index] = reader
                new = [one for one in reader.outputs if one.size[2:] == size and one not in seen]
                seen.update(new)
                ahead.extend(new)
        return tuple(found[index] for index in sorted(found))

    # --- what is looked up ----------------------------------------------------------------------

    @functools.cached_property
    def _calls_by_path(self) -> dict[str, tuple[Call, ...]]:
        found: dict[str, list[Call]] = {}
        for call in self.calls:
            if call.module is not None:
                found.setdefault(call.path, []).append(call)
        return {path: tuple(calls) for path, calls in found.items()}

    @functools.cached_property
    def _calls_by_spot(self) -> dict[tuple[Any, ...], tuple[Call, ...]]:
        found: dict[tuple[Any, ...], list[Call]] = {}
        for call in self.calls:
            if call.spot is not None:
                found.setdefault(_key(call.spot), []).append(call)
        return {key: tuple(calls) for key, calls in found.items()}

    @functools.cached_property
    def _readers_by_value(self) -> dict[Value, tuple[Call, ...]]:
        found: dict[Value, list[Call]] = {}
        for call in self.calls:
            for value in dict.fromkeys(call.inputs):
                if call.atom and value not in call.outputs:
                    found.setdefault(value, []).append(call)
        return {value: tuple(calls) for value, calls in found.items()}


def _key(spot: Spot) -> tuple[Any, ...]:
    return spot.owner, id(spot.code), spot.instruction  # a code's own hash reads all of it
