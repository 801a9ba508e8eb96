"""Running a model once, without its memory and without a trace of it, to see what calls what."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)

from freqops.surgery.tracing.examples import Arguments, as_arguments, guessed
from freqops.surgery.tracing.graph import Trace
from freqops.surgery.tracing.kinds import is_lazy
from freqops.surgery.tracing.recorder import Below, Recorder
from freqops.surgery.tracing.untouched import (
    kept_buffers,
    set_hooks,
    set_tensors,
    set_training,
    untouched,
)

_DATA_DEPENDENT = (DataDependentOutputException, DynamicOutputShapeException)
_FAKE_LOG = logging.getLogger("torch._subclasses.fake_tensor")


def trace(model: nn.Module, example: Any = None) -> Trace:
    """Runs a model once on fake tensors and returns what it called.

    Nothing is computed and no memory is taken; parameters, buffers, attributes, training flags and
    random states are afterwards what they were, and the model's hooks are not called (unless it
    returns nothing without them). In train mode if that works, so that auxiliary heads are seen,
    else in eval mode. Where fake tensors do not work and `example` has tensors, copies of these go
    through the model in eval mode.

    Args:
        model: any module.
        example: its input: a tensor, a tuple of positional or a dict of named arguments, or its
            shape as a torch.Size. None guesses a batch of two of a fitting size.

    Returns:
        A :class:`Trace`; one whose `error` is a sentence where the model could not be run, never
        an exception.
    """
    if any(is_lazy(module) for module in model.modules()):
        return Trace(error="the model has lazy modules: run it once, then convert it")
    candidates = guessed(model) if example is None else [as_arguments(model, example)]
    if not candidates:
        return Trace(error="no input can be guessed for this model; give example=")
    errors: list[Exception] = []
    without_result: Trace | None = None
    for arguments in candidates:
        for way in _ways(arguments):
            if way.hooked and without_result is None:
                continue
            try:
                found = _run(model, arguments, way)
            except Exception as error:  # whatever a model raises: the next way may work
                errors.append(error)
                continue
            if found.outputs:
                return found
            without_result = without_result or found
        if any(isinstance(error, _DATA_DEPENDENT) for error in errors):
            break  # another size will not help
    return without_result or Trace(error=_reason(errors))


@dataclass(frozen=True)
class _Way:
    """How a model is run."""

    training: bool
    fake: bool = True
    doubled: bool = False  # a batch of one: batch norm may refuse it where a map is one pixel
    hooked: bool = False  # some models collect what they return by hooks of their own

    def __str__(self) -> str:
        mode = "train" if self.training else "eval"
        return (
            f"{'fake' if self.fake else 'real'} tensors, {mode} mode"
            f"{', batch doubled' if self.doubled else ''}"
            f"{', its hooks called' if self.hooked else ''}"
        )


def _ways(arguments: Arguments) -> Iterator[_Way]:
    yield _Way(training=True)
    if arguments.is_batch_of_one():
        yield _Way(training=True, doubled=True)
    yield _Way(training=False)
    yield _Way(training=False, hooked=True)
    if arguments.is_real():
        yield _Way(training=False, fake=False)


def _run(model: nn.Module, arguments: Arguments, way: _Way) -> Trace:
    with ExitStack() as stack:
        stack.enter_context(untouched(model))
        stack.callback(setattr, _FAKE_LOG, "disabled", _FAKE_LOG.disabled)
        _FAKE_LOG.disabled = True  # it shows a traceback of every error, also of those caught here
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        recorder = Recorder(model)
        set_training(model, way.training)
        set_hooks(model, recorder.before, recorder.after, keep=way.hooked)
        if way.fake:
            fakes = FakeTensorMode(allow_non_fake_inputs=True)
            stack.enter_context(fakes)
            given = arguments.doubled() if way.doubled else arguments
            given = given.made(fakes.from_tensor)
            set_tensors(model, fakes.from_tensor)
        else:
            stack.enter_context(kept_buffers(model))
            given = arguments.made(torch.clone)
        inputs = recorder.take_inputs((given.args, given.kwargs))
        with recorder, Below(recorder, fake=way.fake):
            result = model(*given.args, **given.kwargs)
        return Trace(recorder.calls(), inputs, recorder.values_of(result), str(way))


def _reason(errors: list[Exception]) -> str:
    """The most telling of the errors, as a clause."""
    for error in errors:
        if isinstance(error, _DATA_DEPENDENT):
            return f"what the model does depends on the numbers in a tensor ({error.func})"
    lines = str(errors[0]).strip().splitlines() or [""]
    message = textwrap.shorten(lines[0], 160, placeholder=" ...").rstrip(".")
    return f"the model can't be run ({type(errors[0]).__name__}: {message})"
