"""Where an activation stands behind a call, and where a step can be put behind the activation."""

from __future__ import annotations

from dataclasses import dataclass

from freqops.surgery.tracing.graph import Call, Trace, Value
from freqops.surgery.tracing.kinds import is_activation, is_passed, is_pointwise


@dataclass(frozen=True)
class Activation:
    """The activation that follows a call, and where a step behind it can stand.

    Attributes:
        call: the activation, or the last step of one that is written out (x * sigmoid(x)).
        value: what a step behind the activation has to replace.
        output_of: the innermost module call that returns this value and nothing else, whose
            module is called once in the run, and inside which nobody reads the value.
        input_of: the module call (an atom or not) that is the only reader, whose module is
            called once and which has no other input. Looked for even if there is `output_of`.
            (Several readers inside that one module count as one.)
        why_not: "" or why there is neither, as a clause: "its relu is called 3 times and ...".
    """

    call: Call
    value: Value
    output_of: Call | None
    input_of: Call | None
    why_not: str


def activation_after(trace: Trace, call: Call) -> Activation | str:
    """The activation a call's output reaches through normalisation, dropout and scaling.

    A clause ("add comes first") where the model's end, a sum, convolution, pool, layout change or
    second reader comes before one.

    Goes through the readers in the order of the run and keeps the values that are still to be read
    (the front). Where an activation has been met and one value is left, this value stands for the
    activation: so x * sigmoid(x) is found as a whole. If no step can stand there, scalings that
    follow are tried too (timm's activations with a gain).
    """
    if not call.single or len(call.outputs) != 1:
        return "it does not give one tensor"
    front = set(call.outputs)
    size = call.outputs[0].size
    last: Call | None = None
    first_found: Activation | None = None
    activated = False
    while True:
        if activated and len(front) == 1 and last is not None:
            found = _activation(trace, last, next(iter(front)))
            if found.output_of or found.input_of:
                return found
            first_found = first_found or found
        reader = _next_reader(trace, front, last or call)
        reason = _obstacle(trace, reader, front, size, activated)
        if reason or reader is None:
            return first_found or reason
        activated = activated or is_activation(reader.name, reader.module)
        front = {v for v in front if _readers_behind(trace, v, reader)} | set(reader.outputs)
        last = reader


def _readers_behind(trace: Trace, value: Value, call: Call) -> list[Call]:
    """The readers that come after a call and are not inside it."""
    return [one for one in trace.readers(value) if one.index >= max(call.index + 1, call.end)]


def _next_reader(trace: Trace, front: set[Value], last: Call) -> Call | None:
    readers = [one for value in front for one in _readers_behind(trace, value, last)]
    return min(readers, key=lambda one: one.index, default=None)


def _obstacle(
    trace: Trace, reader: Call | None, front: set[Value], size: tuple[int, ...], activated: bool
) -> str:
    """Why the search ends before this reader; "" where it goes on."""
    if any(trace.is_output(value) for value in front):
        return "the model returns it before an activation"
    if reader is None:
        return "nothing reads it"
    alone = len(front) == 1 and len(trace.readers(next(iter(front)))) == 1
    if alone:  # a chain, of which the second activation is not looked for
        passes = is_passed(reader.name, reader.module) or (
            not activated and is_pointwise(reader.name, reader.module)
        )
    else:
        passes = is_pointwise(reader.name, reader.module)
    if passes and set(reader.inputs) <= front and all(one.size == size for one in reader.outputs):
        return ""
    for value in sorted(front, key=lambda one: one.number):
        names = [one.name for one in trace.readers(value)]
        if len(names) > 1:
            return f"{' and '.join(dict.fromkeys(names))} read it"
    return f"{reader.name} comes first"


def _activation(trace: Trace, call: Call, value: Value) -> Activation:
    readers = trace.readers(value)
    output_of = _ends_with(trace, value, readers)
    input_of = None if trace.is_output(value) else _begins_with(trace, value, readers)
    why_not = "" if output_of or input_of else _why_not(trace, call, value, readers)
    return Activation(call, value, output_of, input_of, why_not)


def _ends_with(trace: Trace, value: Value, readers: tuple[Call, ...]) -> Call | None:
    """The innermost module call that gives the value, to readers that are all outside."""
    producer = trace.producer(value)
    if producer is None:
        return None
    for one in (producer, *trace.around(producer)):
        if (
            trace.is_called_once(one)
            and one.single
            and one.outputs == (value,)
            and not any(one.index < reader.index < one.end for reader in readers)
        ):
            return one
    return None


def _begins_with(trace: Trace, value: Value, readers: tuple[Call, ...]) -> Call | None:
    """The innermost module call that takes the value and nothing else, and has all readers."""
    if not readers:
        return None
    for one in (readers[0], *trace.around(readers[0])):
        if (
            trace.is_called_once(one)
            and one.inputs == (value,)
            and all(one.index <= reader.index < one.end for reader in readers)
        ):
            return one
    return None


def _why_not(trace: Trace, call: Call, value: Value, readers: tuple[Call, ...]) -> str:
    if call.module is None:
        is_shared = f"{call.name} is a function"
    else:
        is_shared = f"{call.path} is called {len(trace.calls_of(call.path))} times"
    if trace.is_output(value):
        return f"{is_shared} and the model returns its value"
    if len(readers) > 1:
        return f"{is_shared} and its value has {len(readers)} readers"
    reader = readers[0] if readers else None
    if reader is None:
        return f"{is_shared} and nothing reads its value"
    if reader.module is None:
        return f"{is_shared} and its value is read by a function, {reader.name}"
    return f"{is_shared} and so is {reader.path}, which reads its value"
