"""Replaced calls: against the untouched model run with the function itself exchanged."""

import copy
import functools
import importlib.util
import linecache
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.functional import max_pool2d as pooled

from freqops.surgery.rewriting.calls import Place, place_of, rewritten
from freqops.surgery.rewriting.source import NotRewritable
from freqops.surgery.tracing.trace import trace

original = F.max_pool2d
GAIN = 1.0  # a global that a test changes


def negated(input: Tensor, *args: object, **kwargs: object) -> Tensor:
    return -original(input, *args, **kwargs)


class Negated(nn.Module):
    """The step that takes the place of a max pool: no test can pass without it."""

    def forward(self, *args: object, **kwargs: object) -> Tensor:
        return -original(*args, **kwargs)


@pytest.fixture(params=["columns", "counting"])
def _search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to find an expression; Python 3.10 and -X no_debug_ranges have the second only."""
    if request.param == "counting":
        monkeypatch.setattr("freqops.surgery.rewriting.source._end_of", lambda code, at: None)
    elif sys.version_info < (3, 11):
        pytest.skip("this Python keeps no columns")


X = torch.randn(2, 4, 16, 16)


def convert(model: nn.Module, only: Callable[[int], bool] = lambda index: True) -> nn.Module:
    """Replaces max pools in the forward of the model's modules, those whose number `only` takes."""
    found = trace(model, X)
    assert found.error is None
    pools = found.functions("max_pool2d")
    assert pools
    for number, call in enumerate(pools):
        if only(number):
            exchange(model, call.spot.owner, [place_of(call.spot)])
    return model


def exchange(model: nn.Module, path: str, places: list[Place]) -> None:
    owner = model.get_submodule(path)
    base, before = type(owner), dict(getattr(owner, "replaced", {}))
    if before:
        base = type(owner).__mro__[1]
    steps = {**before, **dict.fromkeys(places, "negated")}
    owner.__class__ = type(f"New{base.__name__}", (base,), rewritten(base, steps))
    owner.replaced = steps
    owner.negated = Negated()


# --- every way to call ---------------------------------------------------------------------------


class Plain(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(x, 2)
        return x + 1


class Keywords(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        options = {"padding": 1}
        return F.max_pool2d(stride=2, input=x, *[], **options, kernel_size=(3, 2))  # noqa: B026


class Loop(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for size in (2, 3):
            x = F.max_pool2d(x, size, stride=2)
        return x


class Several(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2) + 2 * F.max_pool2d(F.max_pool2d(x, 3, 1, 1), 2)


class Chained(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2).flatten(1).mul(2)


class MultiLine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (
            F.max_pool2d(
                x,  # "größer", and bytes beyond ASCII
                2,
            )
            .mul(3)
            .add(1)
        )


class Unicode(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return {"größe": F.max_pool2d(x, 2), "höhe": 2 * F.max_pool2d(x, 4, 2, 1)}["höhe"]


class Comprehension(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([F.max_pool2d(part, 2) for part in x.split(1, dim=1)], dim=1)


class Conditional(nn.Module):
    def forward(self, x: Tensor, shrink: bool = True) -> Tensor:
        return F.max_pool2d(x, 2) if shrink else x


class Nested(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        factor = 3.0

        def inner(y: Tensor) -> Tensor:
            return factor * F.max_pool2d(y, 2)

        return inner(x) + (lambda y: F.max_pool2d(y, 4, 2, 1))(x)


class CalledByForward(nn.Module):
    def _forward(self, x: Tensor) -> list[Tensor]:
        return [F.max_pool2d(x, 2), x[..., ::2, ::2]]

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(self._forward(x), 1)


class Base(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 3


class Super(Base):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.max_pool2d(x, 2)) + (__class__ is Super)  # type: ignore[name-defined]


class Inherited(Plain):
    """The method is a base class's."""


class Private(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.__gain = 5.0

    def __pool(self, x: Tensor) -> Tensor:
        return self.__gain * F.max_pool2d(x, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.__pool(x)


class Defaults(nn.Module):
    def forward(self, x: Tensor, gain: float = 4.0, *, shift: float = 7.0) -> Tensor:
        return gain * F.max_pool2d(x, 2) + shift


class Global(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return GAIN * F.max_pool2d(x, 2)


class OtherName(nn.Module):
    def forward(module, x: Tensor) -> Tensor:
        return pooled(x, 2) + torch.nn.functional.max_pool2d(x, 2)


def scaled(factor: float) -> Callable[..., Callable[..., Tensor]]:
    def decorate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(function)
        def wrapper(*args: object, **kwargs: object) -> Tensor:
            return factor * function(*args, **kwargs)

        return wrapper

    return decorate


class Decorated(nn.Module):
    @scaled(2.0)
    @torch.no_grad()
    @scaled(3.0)
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)


def with_closure(factor: float) -> nn.Module:
    def helper(x: Tensor) -> Tensor:
        return factor * x

    class Closure(Base):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(helper(F.max_pool2d(x, 2)) + factor)

    return Closure()


CASES: dict[str, Callable[[], nn.Module]] = {
    cls.__name__: cls
    for cls in (
        Plain,
        Keywords,
        Loop,
        Several,
        Chained,
        MultiLine,
        Unicode,
        Comprehension,
        Conditional,
        Nested,
        CalledByForward,
        Super,
        Inherited,
        Private,
        Defaults,
        Global,
        OtherName,
        Decorated,
    )
}
CASES["closure"] = lambda: with_closure(2.5)
CASES["sequential"] = lambda: nn.Sequential(Plain(), nn.Sequential(Super(), nn.ReLU()))
cases = pytest.mark.parametrize("make", CASES.values(), ids=CASES)


def expected(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    with monkeypatch.context() as patch:
        patch.setattr(F, "max_pool2d", negated)
        patch.setattr(sys.modules[__name__], "pooled", negated)
        return model(X)


@cases
@pytest.mark.usefixtures("_search")
def test_equals_the_function_exchanged(
    make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = expected(make(), monkeypatch)
    assert not torch.equal(reference, make()(X))
    assert torch.equal(convert(make())(X), reference)


@cases
def test_compiles(make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    reference = expected(make(), monkeypatch)
    torch._dynamo.reset()
    compiled = torch.compile(convert(make()), fullgraph=True, backend="eager")
    assert torch.equal(compiled(X), reference)


@cases
def test_survives_deepcopy(make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    reference = expected(make(), monkeypatch)
    assert torch.equal(copy.deepcopy(convert(make()))(X), reference)


@cases
def test_places_pickle(make: Callable[[], nn.Module]) -> None:
    model = make()
    for call in trace(model, X).functions("max_pool2d"):
        place = place_of(call.spot)
        again = pickle.loads(pickle.dumps(place))
        assert again == place
        assert hash(again) == hash(place)
        assert rewritten(call.spot.cls, {again: "step"}).keys() == {place.method}


@pytest.mark.usefixtures("_search")
@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_one_of_several_on_a_line(chosen: int) -> None:
    """Evaluated in this order: the left, then of the nested two the inner one."""
    signs = [-1.0 if number == chosen else 1.0 for number in range(3)]
    left, inner = original(X, 2), signs[1] * original(X, 3, 1, 1)
    assert torch.equal(
        convert(Several(), lambda number: number == chosen)(X),
        signs[0] * left + 2 * (signs[2] * original(inner, 2)),
    )


def test_arguments_arrive_as_written() -> None:
    seen = []

    class Step(nn.Module):
        def forward(self, *args: object, **kwargs: object) -> Tensor:
            seen.append((args, kwargs))
            return original(*args, **kwargs)

    model = convert(Keywords())
    model.negated = Step()
    model(X)
    (args, kwargs) = seen[0]
    assert args == ()
    assert kwargs.pop("input") is X
    assert kwargs == {"stride": 2, "padding": 1, "kernel_size": (3, 2)}


def test_globals_stay_those_of_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    model = convert(Global())
    before = model(X)
    monkeypatch.setitem(globals(), "GAIN", 10.0)
    assert torch.equal(model(X), 10 * before)


def test_closure_stays_shared() -> None:
    """A new cell would hold a copy of what the original method's closure holds now."""
    model = with_closure(2.5)
    old = type(model).forward
    new = type(convert(model)).forward
    cells = dict(zip(new.__code__.co_freevars, new.__closure__, strict=True))
    for name, cell in zip(old.__code__.co_freevars, old.__closure__, strict=True):
        assert cells[name] is cell


@pytest.mark.parametrize("make", [Defaults, Decorated, Super], ids=lambda cls: cls.__name__)
def test_looks_like_the_original(make: Callable[[], nn.Module]) -> None:
    old, new = make.forward, type(convert(make())).forward
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(new, name) == getattr(old, name)
    assert new.__defaults__ == old.__defaults__
    assert new.__kwdefaults__ == old.__kwdefaults__
    inner, before = new, old
    while hasattr(before, "__wrapped__"):
        inner, before = inner.__wrapped__, before.__wrapped__
    assert inner is not before
    assert inner.__code__.co_filename == before.__code__.co_filename
    assert inner.__code__.co_firstlineno == before.__code__.co_firstlineno


def test_error_points_at_the_source_line() -> None:
    class Raises(nn.Module):
        def forward(self, *args: object) -> Tensor:
            raise RuntimeError("here")

    model = convert(MultiLine())
    model.negated = Raises()
    with pytest.raises(RuntimeError, match="here") as raised:
        model(X)
    lines = {str(one.statement).strip() for one in raised.traceback}
    assert any("F.max_pool2d(" in line for line in lines)


def test_base_class_is_not_changed() -> None:
    before = Plain.forward
    convert(Inherited())
    assert Plain.forward is before
    assert "forward" not in vars(Inherited)


# --- what is refused ------------------------------------------------------------------------------


def helper(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2)


class InHelper(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return helper(x)


class ThroughVariable(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pool = F.max_pool2d if self.training else F.avg_pool2d
        return pool(x, 2)


class ThroughExpression(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (F.max_pool2d if self.training else F.avg_pool2d)(x, 2)


class Overrides(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class SelfRebound(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return sum(F.max_pool2d(self, 2) for self in [x])


class OnInstance(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.forward = types.MethodType(Plain.forward, self)


class Unregistered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = [Plain()]

    def forward(self, x: Tensor) -> Tensor:
        return self.hidden[0](x)


class Keeps:
    """A decorator that is no function, and so has no closure to look into."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function

    def __get__(self, module: nn.Module, cls: type) -> Callable[..., Tensor]:
        return functools.partial(self.function, module)


class DecoratedByClass(nn.Module):
    @Keeps
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)


def without_source() -> nn.Module:
    names = {"nn": nn, "F": F}
    exec("class M(nn.Module):\n def forward(self, x):\n  return F.max_pool2d(x, 2)", names)
    return names["M"]()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (InHelper, "called in helper, which is no method"),
        (ThroughVariable, "the local variable pool"),
        (ThroughExpression, "the value of an expression"),
        (Overrides, "a forward that Overrides overrides"),
        (SelfRebound, "self is not always the module"),
        (OnInstance, "called in OnInstance.forward, which is set on the instance"),
        (Unregistered, "not part of the model"),
        (DecoratedByClass, "which is no method of a module"),
        (without_source, "source can't be found"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
@pytest.mark.usefixtures("_search")
def test_refuses(make: Callable[[], nn.Module], reason: str) -> None:
    (call,) = trace(make(), X).functions("max_pool2d")
    with pytest.raises(NotRewritable, match=reason):
        place_of(call.spot)


@pytest.mark.usefixtures("_search")
def test_operator_is_no_call() -> None:
    class Sum(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.relu() + x

    (call,) = trace(Sum(), X).functions("add")
    with pytest.raises(NotRewritable, match="no call expression"):
        place_of(call.spot)


SOURCE = """
import torch.nn.functional as F
from torch import nn

class M(nn.Module):
    def forward(self, x):
        return F.max_pool2d(x, 2)
"""


def module_from(path: Path, text: str) -> types.ModuleType:
    path.write_text(text)
    linecache.checkcache(str(path))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def test_notices_a_source_that_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "changing_model.py"
    model = module_from(path, SOURCE).M()
    (call,) = trace(model, X).functions("max_pool2d")
    place = place_of(call.spot)
    path.write_text(SOURCE.replace("(x, 2)", "(x + 1, 2)"))
    linecache.checkcache(str(path))
    with pytest.raises(NotRewritable, match="not what it was compiled from"):
        place_of(call.spot)
    changed = module_from(path, SOURCE.replace("F.max_pool2d", "F.avg_pool2d")).M
    with pytest.raises(NotRewritable, match=r"M.forward has no F.max_pool2d where it was"):
        rewritten(changed, {place: "step"})


def test_several_places_of_one_method_at_once() -> None:
    model = Several()
    places = [place_of(call.spot) for call in trace(model, X).functions("max_pool2d")]
    assert len(set(places)) == 3
    exchange(model, "", places)
    assert torch.equal(model(X), -original(X, 2) - 2 * original(-original(X, 3, 1, 1), 2))
