"""Replacing a function call inside a method by a call of a submodule.

``F.max_pool2d(x, 2)`` in the forward of a module becomes ``self.<step>(x, 2)``: the method's source
is parsed, the one call expression replaced, and the result compiled in the method's own globals,
with its own closure (zero-argument ``super()`` works), defaults and decorators.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import CellType, CodeType, FunctionType
from typing import Any

from freqops.surgery.rewriting.source import NotRewritable, Source, call_at, source_of
from freqops.surgery.tracing.graph import Spot
from freqops.surgery.tracing.spots import functions_in, holds, static_attribute


@dataclass(frozen=True, order=True)
class Place:
    """A call expression in the source of a method. Pickles; hashable.

    Attributes:
        method: name of the method.
        line: of the expression, from the first line of the method's source (decorators included),
            which is 0.
        column: of the expression in its line, in bytes of UTF-8.
        text: the function as it is written there, "F.max_pool2d"; looked at again before a
            replacement, so that a source that has changed is noticed.
    """

    method: str
    line: int
    column: int
    text: str


def place_of(spot: Spot) -> Place:
    """The call expression behind an instruction a trace saw.

    Raises:
        NotRewritable: no source, no method of a module, a method that a subclass overrides, a
            function called through a local variable or an expression.
    """
    if spot.problem or spot.cls is None:
        raise NotRewritable(spot.problem or "it is called in no method of a module")
    function = _holding(spot.cls, spot.method, spot.code)
    source = source_of(function)
    call = call_at(source, spot.code, spot.instruction)
    _check(source, call)
    return _place(spot.method, source, call)


def rewritten(cls: type, steps: Mapping[Place, str]) -> dict[str, Callable[..., Any]]:
    """Methods of a class with some calls replaced; to be set on a subclass of it.

    Args:
        cls: the class (not the generated subclass) the places belong to.
        steps: {place: name of the attribute of self that is called instead}, with the arguments
            the function is given there.

    Returns:
        {name of the method: the new function, or its decorator's wrapper around it}.

    Raises:
        NotRewritable: as `place_of`, or the source has changed.
    """
    methods: dict[str, dict[Place, str]] = {}
    for place, step in steps.items():
        methods.setdefault(place.method, {})[place] = step
    return {name: _rewritten_method(cls, name, each) for name, each in methods.items()}


def _rewritten_method(cls: type, name: str, steps: Mapping[Place, str]) -> FunctionType:
    outermost = static_attribute(cls, name)
    for function in functions_in(outermost):
        try:
            source = source_of(function)
        except NotRewritable:
            continue  # a decorator's wrapper
        found = {_place(name, source, call): call for call in source.calls}
        if all(place in found for place in steps):
            for place in steps:
                _check(source, found[place])
            source = source.copied()
            found = {_place(name, source, call): call for call in source.calls}
            for place, step in steps.items():
                _replace(source, found[place], step)
            return _wrapped_again(outermost, function, _function(source))
    text = next(iter(steps)).text
    raise NotRewritable(f"{cls.__name__}.{name} has no {text} where it was")


def _holding(cls: type, method: str, code: CodeType) -> FunctionType:
    for function in functions_in(static_attribute(cls, method)):
        if holds(function.__code__, code):
            return function
    raise NotRewritable(f"{cls.__name__}.{method} is not the method it is called in")


def _place(method: str, source: Source, call: ast.Call) -> Place:
    line = call.lineno - source.function.__code__.co_firstlineno
    return Place(method, line, call.col_offset, ast.unparse(call.func))


# --- what may be replaced -----------------------------------------------------------------------


def _check(source: Source, call: ast.Call) -> None:
    """Refuses a call that need not always be of this function, or from which self is not seen."""
    root: ast.expr = call.func
    while isinstance(root, ast.Attribute):
        root = root.value
    if not isinstance(root, ast.Name):
        raise NotRewritable("the function called is the value of an expression")
    own = _self_name(source)
    if root.id != own and root.id in _bound_names(source):
        raise NotRewritable(f"it is called through the local variable {root.id}")
    if list(_bound_names(source)).count(own) != 1:
        raise NotRewritable(f"{own} is not always the module in {source.function.__qualname__}")


def _self_name(source: Source) -> str:
    arguments = source.definition.args
    names = [*arguments.posonlyargs, *arguments.args]
    if not names:
        raise NotRewritable(f"{source.function.__qualname__} takes no self")
    return names[0].arg


def _bound_names(source: Source) -> Iterator[str]:
    """Every name that is bound anywhere in the function, as often as it is."""
    for node in ast.walk(source.definition):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (one.asname or one.name.partition(".")[0] for one in node.names)
        elif node is not source.definition:  # except ... as, def, class
            name = getattr(node, "name", None)
            if isinstance(name, str):
                yield name


# --- the new function ---------------------------------------------------------------------------


def _replace(source: Source, call: ast.Call, step: str) -> None:
    own = ast.Name(_self_name(source), ast.Load())
    function = ast.Attribute(own, step, ast.Load())
    ast.copy_location(own, call.func)
    call.func = ast.copy_location(function, call.func)


def _function(source: Source) -> FunctionType:
    """The function of the tree, in every other respect the function the tree was made from."""
    old = source.function
    code = source.compiled()
    kept = {"co_name": old.__code__.co_name}
    if hasattr(code, "co_qualname"):
        kept["co_qualname"] = old.__code__.co_qualname
    cells = dict(zip(old.__code__.co_freevars, old.__closure__ or (), strict=True))
    closure = tuple(cells[name] for name in code.co_freevars)
    return _copied(old, code.replace(**kept), closure)  # type: ignore[arg-type]


def _copied(
    old: FunctionType, code: CodeType, closure: tuple[CellType, ...] | None
) -> FunctionType:
    new = FunctionType(code, old.__globals__, old.__name__, old.__defaults__, closure or None)
    new.__kwdefaults__ = old.__kwdefaults__
    new.__qualname__ = old.__qualname__
    new.__module__ = old.__module__
    new.__doc__ = old.__doc__
    new.__annotations__ = old.__annotations__
    new.__dict__.update(old.__dict__)
    return new


def _wrapped_again(outer: Any, old: FunctionType, new: FunctionType) -> FunctionType:
    """The wrapper that decorators have made around `old`, made around `new`.

    The decorators are not called again: the cells of their closures that hold the function are
    replaced, in copies.
    """
    if outer is old:
        return new
    inner = getattr(outer, "__wrapped__", None)
    if not isinstance(outer, FunctionType) or inner is None:
        raise NotRewritable("a decorator keeps the function where it can't be replaced")
    renewed = _wrapped_again(inner, old, new)
    cells = [
        CellType(renewed) if _content(one) is inner else one for one in outer.__closure__ or ()
    ]
    if all(one is another for one, another in zip(cells, outer.__closure__ or (), strict=True)):
        raise NotRewritable("a decorator keeps the function where it can't be replaced")
    wrapper = _copied(outer, outer.__code__, tuple(cells))
    wrapper.__dict__["__wrapped__"] = renewed
    return wrapper


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None
