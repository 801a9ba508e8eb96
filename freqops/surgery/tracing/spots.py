"""From a Python frame to the method of a module in which it is, and the instruction it is at."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import torch
from torch import nn

from freqops.surgery.tracing.graph import Spot

_TORCH = Path(torch.__file__).parent
# Functions that stand between the caller and the function that is seen.
_BETWEEN = {str(Path(__file__).with_name("recorder.py"))} | {
    str(_TORCH / name)
    for name in (
        "_jit_internal.py",
        "_ops.py",
        "_tensor.py",
        "functional.py",
        "nn/functional.py",
        "overrides.py",
        "utils/_contextlib.py",
    )
}


def spot_of(frame: FrameType | None, paths: Mapping[int, str]) -> Spot | None:
    """The spot of the call that `frame` is in the course of.

    Args:
        frame: the frame of the function that was called, or one that it called.
        paths: {id of a module: its path}.
    """
    while frame is not None and frame.f_code.co_filename in _BETWEEN:
        frame = frame.f_back
    if frame is None:
        return None
    code, at, line = frame.f_code, frame.f_lasti, frame.f_lineno
    for outer in _around(frame):
        module = _first_argument(outer)
        if not isinstance(module, nn.Module):
            continue
        method = method_of(type(module), outer.f_code)  # type: ignore[arg-type]
        if method is None:
            continue
        path = paths.get(id(module))
        problem = _problem(module, method, outer.f_code, path)
        owner = None if problem else path
        return Spot(owner, type(module), method, code, at, line, problem)
    name = getattr(code, "co_qualname", code.co_name)
    problem = f"it is called in {name}, which is no method of a module"
    return Spot(None, None, code.co_name, code, at, line, problem)


def _around(frame: FrameType) -> Iterator[FrameType]:
    """The frames whose code holds the frame's code: it, and for nested functions those outside."""
    outer: FrameType | None = frame
    while outer is not None:
        if holds(outer.f_code, frame.f_code):
            yield outer
        outer = outer.f_back


def _first_argument(frame: FrameType) -> Any:
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    return frame.f_locals.get(names[0]) if names else None


def _problem(module: nn.Module, method: str, code: CodeType, path: str | None) -> str:
    where = f"{type(module).__name__}.{method}"
    if path is None:
        return f"it is called in {where} of a module that is not part of the model"
    if method in vars(module):
        return f"it is called in {where}, which is set on the instance"
    found = [function.__code__ for function in functions_in(static_attribute(type(module), method))]
    if code not in found:
        return f"it is called in a {method} that {type(module).__name__} overrides"
    return ""


@functools.lru_cache(maxsize=4096)
def holds(outer: CodeType, inner: CodeType) -> bool:
    """Whether a code object is another, or is nested in it."""
    if outer == inner:
        return True
    return any(isinstance(one, CodeType) and holds(one, inner) for one in outer.co_consts)


@functools.lru_cache(maxsize=4096)
def method_of(cls: type, code: CodeType) -> str | None:
    """The name under which a class or one of its bases has the function of a code object."""
    for base in cls.__mro__:
        names = sorted(vars(base), key=lambda name: name != code.co_name)
        for name in names:
            if any(one.__code__ == code for one in functions_in(vars(base)[name])):
                return name
    return None


def static_attribute(cls: type, name: str) -> Any:
    """What a class has under a name, without binding it; None where it has nothing."""
    return inspect.getattr_static(cls, name, None)


def functions_in(attribute: Any) -> Iterator[FunctionType]:
    """A function, and those its decorators (`functools.wraps`) have wrapped."""
    seen: set[int] = set()
    while isinstance(attribute, FunctionType) and id(attribute) not in seen:
        seen.add(id(attribute))
        yield attribute
        attribute = getattr(attribute, "__wrapped__", None)
