"""Watching a model run: the calls of its modules and functions, and which tensor went where."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from freqops.surgery.tracing.graph import Call, Spot, Value
from freqops.surgery.tracing.kinds import function_name, looked_at_whole, named_arguments
from freqops.surgery.tracing.spots import spot_of


class Recorder(TorchFunctionMode):
    """Records calls while it is entered.

    `before` and `after` are to be the hooks of the model's modules, and a :class:`Below` to be
    entered after it.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._whole = {id(module): looked_at_whole(module) for module in model.modules()}
        self._values = _Values()
        self._drafts: list[_Draft] = []
        self._running: list[_Draft] = []
        self._aside = False  # what happens now is our own, or inside a function that is recorded
        self.compiled = False  # the ops that come now are called by code without Python frames

    def take_inputs(self, arguments: Any) -> tuple[Value, ...]:
        """The tensors a model is called with become values."""
        return tuple(self._values.new(tensor, None) for tensor in tensors_in(arguments))

    def values_of(self, result: Any) -> tuple[Value, ...]:
        """The values in what a model returned."""
        return self._values.of(tensors_in(result))

    def calls(self) -> tuple[Call, ...]:
        """What was recorded."""
        return tuple(draft.finished() for draft in self._drafts)

    def looks_away(self) -> bool:
        """Whether what happens now is not recorded: it is inside of what is."""
        return self._aside or self._hidden()

    # --- modules --------------------------------------------------------------------------------

    def before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The hook before a module's forward."""
        hidden = self.looks_away()
        with self._stepping_aside():
            tensors = [] if hidden else tensors_in((args, kwargs))
            draft = _Draft(
                len(self._drafts),
                type(module).__name__,
                module,
                self._paths.get(id(module), ""),
                self._whole.get(id(module), False),
                self._values.of(tensors),
                hidden=hidden,
                versions=_versions(tensors),
            )
            self._open(draft)
            self._running.append(draft)

    def after(self, module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        """The hook behind a module's forward."""
        draft = self._running.pop()
        draft.end = len(self._drafts)
        if draft.hidden:
            return
        with self._stepping_aside():
            if draft.atom:
                self._close(draft, result)
            else:
                draft.outputs = self.values_of(result)
                draft.single = isinstance(result, Tensor)

    # --- functions ------------------------------------------------------------------------------

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if self.looks_away():
            return func(*args, **kwargs)
        with self._stepping_aside():
            tensors = tensors_in((args, kwargs))
            inputs = self._values.of(tensors)
            versions = _versions(tensors)
            result = func(*args, **kwargs)
            if inputs and (tensors_in(result) or _written(versions)):
                self._function(func, args, kwargs, inputs, versions, result)
            return result

    def _function(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        inputs: tuple[Value, ...],
        versions: list[tuple[Tensor, int]],
        result: Any,
    ) -> None:
        name = function_name(function)
        path = self._running[-1].path if self._running else ""
        draft = _Draft(len(self._drafts), name, None, path, True, inputs, versions=versions)
        named = named_arguments(function, name, args, kwargs)
        draft.arguments = {key: sizes_for_tensors(value) for key, value in named.items()}
        if not self.compiled:
            draft.spot = spot_of(sys._getframe(2), self._paths)
        self._open(draft)
        draft.end = len(self._drafts)
        self._close(draft, result)

    # --- both -----------------------------------------------------------------------------------

    def _hidden(self) -> bool:
        return bool(self._running) and (self._running[-1].atom or self._running[-1].hidden)

    @contextmanager
    def _stepping_aside(self) -> Iterator[None]:
        before, self._aside = self._aside, True
        try:
            yield
        finally:
            self._aside = before

    def _open(self, draft: _Draft) -> None:
        if draft.hidden:
            return
        if self._running:
            draft.parent = self._running[-1].index
        self._drafts.append(draft)

    def _close(self, draft: _Draft, result: Any) -> None:
        """Gives values to what an atom wrote and returned."""
        outputs: dict[Value, None] = {}
        if draft.inputs:
            for tensor in _written(draft.versions):
                outputs |= dict.fromkeys(self._values.rewrite(tensor, draft.index))
            for tensor in tensors_in(result):
                known = self._values.of([tensor])
                outputs[known[0] if known else self._values.new(tensor, draft.index)] = None
        draft.outputs = tuple(outputs)
        draft.single = isinstance(result, Tensor)
        draft.versions = []


class Below(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Shows a recorder the ops of compiled code (torch.jit), which calls no Python function.

    Args:
        recorder: is entered outside of this.
        fake: the tensors have no numbers.
    """

    def __init__(self, recorder: Recorder, *, fake: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._recorder = recorder
        self._fake = fake

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if self._fake and func is _BATCH_NORM and self._recorder.looks_away():
            return _normalised(args[0])
        before, self._recorder.compiled = self._recorder.compiled, True
        try:
            return func(*args, **(kwargs or {}))  # through the recorder, where it is listening
        finally:
            self._recorder.compiled = before


_BATCH_NORM = torch.ops.aten.native_batch_norm.default


def _normalised(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A batch norm of fake tensors; torch takes each step of its formula, half a trace's time."""
    statistics = x.new_empty(0)  # nobody reads them
    return torch.empty_like(x), statistics, statistics


@dataclass
class _Draft:
    """A call while it runs; `Call` says what the fields are."""

    index: int
    name: str
    module: nn.Module | None
    path: str
    atom: bool
    inputs: tuple[Value, ...]
    parent: int | None = None
    end: int = 0
    arguments: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[Value, ...] = ()
    single: bool = False
    spot: Spot | None = None
    versions: list[tuple[Tensor, int]] = field(default_factory=list)
    hidden: bool = False  # happens inside an atom

    def finished(self) -> Call:
        kept = {f.name: getattr(self, f.name) for f in dataclasses.fields(Call)}
        return Call(**kept)


class _Values:
    """Which value each tensor holds just now."""

    def __init__(self) -> None:
        self._now: Any = WeakTensorKeyDictionary()
        self._count = 0

    def new(self, tensor: Tensor, producer: int | None) -> Value:
        value = Value(self._count, tuple(tensor.shape), producer)
        self._count += 1
        self._now[tensor] = value
        return value

    def of(self, tensors: list[Tensor]) -> tuple[Value, ...]:
        found = (self._now.get(tensor) for tensor in tensors)
        return tuple(value for value in found if value is not None)

    def rewrite(self, tensor: Tensor, producer: int) -> list[Value]:
        """A tensor was written to: it and its views hold new values."""
        memory = _memory(tensor)
        shared = [t for t in self._now if t is not tensor and _memory(t) == memory]
        return [self.new(one, producer) for one in (tensor, *shared)]


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _versions(tensors: list[Tensor]) -> list[tuple[Tensor, int]]:
    return [(tensor, _version(tensor)) for tensor in tensors]


def _written(versions: list[tuple[Tensor, int]]) -> list[Tensor]:
    return [tensor for tensor, version in versions if _version(tensor) != version]


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def tensors_in(structure: Any, depth: int = 8) -> list[Tensor]:
    """The tensors in lists, tuples, dicts, dataclasses and plain objects, in order, each once."""
    found: dict[int, Tensor] = {}
    for tensor in _walk(structure, depth):
        found.setdefault(id(tensor), tensor)
    return list(found.values())


def _walk(structure: Any, depth: int) -> Iterator[Tensor]:
    if isinstance(structure, Tensor):
        yield structure
    elif depth and not isinstance(structure, (str, bytes, int, float, type, nn.Module)):
        for part in _parts(structure):
            yield from _walk(part, depth - 1)


def _parts(structure: Any) -> list[Any]:
    if isinstance(structure, Mapping):
        return list(structure.values())
    if isinstance(structure, (list, tuple, set, frozenset)):
        return list(structure)
    plain = type(structure).__module__.partition(".")[0] not in ("builtins", "torch", "numpy")
    return list(vars(structure).values()) if plain and hasattr(structure, "__dict__") else []


def sizes_for_tensors(argument: Any) -> Any:
    """An argument with the sizes of tensors in their place: no trace keeps a tensor."""
    if isinstance(argument, Tensor):
        return argument.shape
    if type(argument) in (list, tuple):
        return type(argument)(sizes_for_tensors(one) for one in argument)
    if type(argument) is dict:
        return {key: sizes_for_tensors(one) for key, one in argument.items()}
    return argument
