"""treatment: a module keeps its identity and gets steps before, instead of and after its forward.

A treated module is the same object, of a subclass that is generated for its class and for what is
done to it. The steps are submodules without parameters or persistent buffers, so ``state_dict``
does not change; what walks over submodules (``.to``, ``print``, ``deepcopy``) finds the steps. Or
it takes another form: a class that computes with the same parameters in another way. What was done
stands in the class, as a :class:`Layout`, from which a pickled module gets its class again.
"""

from __future__ import annotations

import copyreg
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import nn
from torch.nn.utils import parametrize

from freqops.surgery.rewriting.calls import Place, rewritten

Role = Literal["attribute", "input", "instead", "output", "call", "mark", "form"]


@dataclass(frozen=True)
class Form:
    """Another way for a module to compute what it does with the parameters that it has.

    Attributes:
        cls: what it becomes an instance of, beside its own class: one with the same parameters.
        attributes: what instances of that have, and those of its own class have not.
    """

    cls: type[nn.Module]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """What is done to a module.

    Attributes:
        inputs: names of the steps its first argument goes through, in order.
        instead: name of the step that takes the place of its forward.
        outputs: names of the steps its result goes through, in order.
        calls: (place, step) of each functional call in its methods that became a call of a step.
        attributes: (name, what it was) of each attribute that has another value now.
        marked: it is anti-aliased by what is done to other modules.
        form: class whose forward it has.
        added: names of the attributes that came with that.
    """

    inputs: tuple[str, ...] = ()
    instead: str | None = None
    outputs: tuple[str, ...] = ()
    calls: tuple[tuple[Place, str], ...] = ()
    attributes: tuple[tuple[str, Any], ...] = ()
    marked: bool = False
    form: type[nn.Module] | None = None
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edit:
    """One change of one module.

    Attributes:
        module: to change.
        role: what of it: an attribute, a step before ("input"), instead of or after ("output") its
            forward, a step in place of a functional call in one of its methods, nothing but a mark
            that says it is taken care of, or the form it takes.
        value: the attribute's new value, the step, or the form; None for a mark.
        name: of the attribute, or what the step's name should begin with.
        place: of the functional call, for that role.
    """

    module: nn.Module
    role: Role
    value: Any = None
    name: str = ""
    place: Place | None = None


class Treatment:
    """Changes of modules that are made and taken back together, as often as one likes.

    Args:
        edits: the changes, in order.
    """

    def __init__(self, edits: Iterable[Edit] = ()) -> None:
        self.edits = tuple(edits)
        self._done: list[tuple[Edit, str]] = []

    def apply(self) -> None:
        """Makes the changes; when one fails, those before it are taken back."""
        try:
            for edit in self.edits[len(self._done) :]:
                self._done.append((edit, _apply(edit)))
        except BaseException:
            self.revert()
            raise

    def revert(self) -> None:
        """Takes every change back, the last one first; without effect where there is none.

        Raises:
            RuntimeError: a module isn't what the changes made of it any more.
        """
        for edit, name in self._done:
            _check_still_there(edit, name)
        while self._done:
            _revert(*self._done.pop())


def layout_of(module: nn.Module) -> Layout:
    """What is done to a module; an empty layout where that is nothing."""
    return getattr(type(module), "_antialias_layout", Layout())


def is_treated(module: nn.Module) -> bool:
    """Whether a module samples its maps in another way than its class says."""
    layout = layout_of(module)
    return bool(layout.attributes or layout.instead or layout.marked)


def base_class(module: nn.Module) -> type[nn.Module]:
    """A module's class without treatment and parametrization."""
    cls = type(module)
    return _base_of(cls.__bases__[0] if parametrize.is_parametrized(module) else cls)


def step_names(module: nn.Module) -> frozenset[str]:
    """Names of the submodules of a module that are steps."""
    layout = layout_of(module)
    instead = [layout.instead] if layout.instead else []
    calls = [step for _, step in layout.calls]
    return frozenset([*layout.inputs, *instead, *layout.outputs, *calls])


# --- one change ---------------------------------------------------------------------------------


def _apply(edit: Edit) -> str:
    module, layout = edit.module, layout_of(edit.module)
    if edit.role == "attribute":
        before = module.__dict__[edit.name]
        layout = replace(layout, attributes=(*layout.attributes, (edit.name, before)))
        _set_layout(module, layout)
        module.__dict__[edit.name] = edit.value
        return edit.name
    if edit.role == "mark":
        _set_layout(module, replace(layout, marked=True))
        return "mark"
    if edit.role == "form":
        return _reform(module, edit.value, layout)
    name = _free_name(module, edit.name or f"antialias_{edit.role}")
    _set_layout(module, _with_step(layout, edit, name))
    edit.value.train(module.training)
    module._modules[name] = edit.value
    return name


def _reform(module: nn.Module, form: Form, layout: Layout) -> str:
    assert layout.form is None, layout.form
    assert not any(hasattr(module, name) for name in form.attributes), form
    _set_layout(module, replace(layout, form=form.cls, added=tuple(form.attributes)))
    module.__dict__.update(form.attributes)
    return form.cls.__name__


def _with_step(layout: Layout, edit: Edit, name: str) -> Layout:
    if edit.role == "input":
        return replace(layout, inputs=(*layout.inputs, name))
    if edit.role == "output":
        return replace(layout, outputs=(*layout.outputs, name))
    if edit.role == "instead":
        assert layout.instead is None, name
        return replace(layout, instead=name)
    assert edit.place is not None
    return replace(layout, calls=(*layout.calls, (edit.place, name)))


def _check_still_there(edit: Edit, name: str) -> None:
    layout = layout_of(edit.module)
    if edit.role == "attribute":
        there = name in dict(layout.attributes)
    elif edit.role == "mark":
        there = layout.marked
    elif edit.role == "form":
        there = layout.form is edit.value.cls
    else:
        there = name in step_names(edit.module) and edit.module._modules.get(name) is edit.value
    if not there:
        raise RuntimeError(
            f"undo: a {base_class(edit.module).__name__} was changed after the conversion, its "
            f"{name} is not there any more; nothing was undone"
        )


def _revert(edit: Edit, name: str) -> None:
    module, layout = edit.module, layout_of(edit.module)
    if edit.role == "attribute":
        module.__dict__[name] = dict(layout.attributes)[name]
        rest = tuple(entry for entry in layout.attributes if entry[0] != name)
        _set_layout(module, replace(layout, attributes=rest))
        return
    if edit.role == "mark":
        _set_layout(module, replace(layout, marked=False))
        return
    if edit.role == "form":
        for added in layout.added:
            module.__dict__.pop(added, None)
        _set_layout(module, replace(layout, form=None, added=()))
        return
    _set_layout(
        module,
        replace(
            layout,
            inputs=tuple(step for step in layout.inputs if step != name),
            instead=None if layout.instead == name else layout.instead,
            outputs=tuple(step for step in layout.outputs if step != name),
            calls=tuple(entry for entry in layout.calls if entry[1] != name),
        ),
    )
    del module._modules[name]


def _free_name(module: nn.Module, wanted: str) -> str:
    name, number = wanted, 1
    while hasattr(module, name):
        number += 1
        name = f"{wanted}_{number}"
    return name


# --- classes ------------------------------------------------------------------------------------


def _set_layout(module: nn.Module, layout: Layout) -> None:
    """Gives a module the class of a layout, underneath the one torch parametrizes it with.

    torch takes a parametrization back by setting the class to the first base.
    """
    cls = type(module)
    inner = _class_for(base_class(module), layout)
    if not parametrize.is_parametrized(module):
        module.__class__ = inner
        return
    unique = ("__dict__", "__weakref__")
    namespace = {name: value for name, value in vars(cls).items() if name not in unique}
    module.__class__ = type(f"Parametrized{inner.__name__}", (inner,), namespace)


def _base_of(cls: type[nn.Module]) -> type[nn.Module]:
    base: type[nn.Module] = cls.__dict__.get("_antialias_base", cls)
    return base


def _class_for(base: type[nn.Module], layout: Layout) -> type[nn.Module]:
    """The subclass with a layout; one for all modules of the class that share it."""
    if layout == Layout():
        return base
    for known in base.__subclasses__():
        if known.__dict__.get("_antialias_layout") == layout:
            return known
    namespace: dict[str, Any] = {
        "_antialias_base": base,
        "_antialias_layout": layout,
        "__doc__": base.__doc__,
        # torch tells its own modules from a user's by this: torch.fx keeps them whole
        "__module__": base.__module__,
        "__reduce_ex__": _reduce_ex,
        **rewritten(base, dict(layout.calls)),
    }
    if layout.inputs or layout.instead or layout.outputs:
        namespace["forward"] = _forward(base, layout, namespace.get("forward"))
    metaclass: Any = type(base)
    bases = (base,) if layout.form is None else (layout.form, base)
    made: type[nn.Module] = metaclass(_name(base, layout), bases, namespace)
    return made


def _name(base: type[nn.Module], layout: Layout) -> str:
    """As print shows it: AntialiasedConv2d, FFTConv2d, FFTConv2dOfOwnConv."""
    name = base.__name__
    if layout.form is not None:
        form = layout.form.__name__
        name = form if form.endswith(name) else f"{form}Of{name}"
    only_form = Layout(form=layout.form, added=layout.added)
    return name if layout == only_form else f"Antialiased{name}"


def _forward(
    base: type[nn.Module], layout: Layout, replaced: Callable[..., Any] | None
) -> Callable[..., Any]:
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        for name in layout.inputs:
            if args:
                args = (getattr(self, name)(args[0]), *args[1:])
            else:
                first = next(iter(kwargs))
                kwargs = {**kwargs, first: getattr(self, name)(kwargs[first])}
        if layout.instead is not None:
            y = getattr(self, layout.instead)(*args, **kwargs)
        elif replaced is not None:
            y = replaced(self, *args, **kwargs)
        else:  # looked up on each call: somebody may patch the class
            y = (layout.form or base).forward(self, *args, **kwargs)
        for name in layout.outputs:
            y = getattr(self, name)(y)
        return y

    return forward


# --- pickle -------------------------------------------------------------------------------------


def _reduce_ex(self: nn.Module, protocol: Any) -> tuple[Any, ...]:
    """As the base class is pickled, with the class named by base and layout."""
    base: type[nn.Module] = self._antialias_base  # type: ignore[assignment]
    reduced: Any = base.__reduce_ex__(self, max(int(protocol), 2))
    made, arguments, *rest = reduced
    if made is not copyreg.__newobj__:  # type: ignore[attr-defined]
        raise pickle.PicklingError(
            f"{base.__name__} has a __reduce__ of its own; undo the conversion to pickle it, or "
            "save its state_dict"
        )
    return (rebuild, (base, layout_of(self), *arguments[1:]), *rest)


def rebuild(base: type[nn.Module], layout: Layout, *arguments: Any) -> nn.Module:
    """What pickle calls: a treated module without its state."""
    cls = _class_for(base, layout)
    module: nn.Module = cls.__new__(cls, *arguments)
    return module
