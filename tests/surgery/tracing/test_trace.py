"""Traces: what is called, which tensor goes where, and that nothing of the run is left."""

import logging
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import freqops
from freqops.surgery.tracing.activations import Activation, activation_after
from freqops.surgery.tracing.graph import Call, Trace
from freqops.surgery.tracing.trace import trace

SMALL = torch.Size([2, 4, 16, 16])


def traced(model: nn.Module, example: Any = SMALL) -> Trace:
    found = trace(model, example)
    assert found.error is None, found.error
    return found


def only(calls: tuple[Call, ...]) -> Call:
    assert len(calls) == 1, [(call.path, call.name) for call in calls]
    return calls[0]


def names(calls: tuple[Call, ...]) -> list[str]:
    return [call.path if call.module is not None else call.name for call in calls]


class Lambda(nn.Module):
    """A model of one function; `conv` and the others are there to be called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.other = nn.Conv2d(4, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.inplace = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.pool = nn.MaxPool2d(2)
        self.identity = nn.Identity()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)

    def add(self, **modules: nn.Module) -> "Lambda":
        for name, module in modules.items():
            self.add_module(name, module)
        return self


# --- what is called -------------------------------------------------------------------------------


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.body(x), 2, padding=1)
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


def test_calls_in_order() -> None:
    found = traced(Small())
    assert [(call.name, call.path, call.atom) for call in found.calls] == [
        ("Small", "", False),
        ("Sequential", "body", False),
        ("Conv2d", "body.0", True),
        ("BatchNorm2d", "body.1", True),
        ("ReLU", "body.2", True),
        ("max_pool2d", "", True),
        ("adaptive_avg_pool2d", "", True),
        ("flatten", "", True),
        ("Linear", "head", True),
    ]
    assert [(call.parent, call.end) for call in found.calls[:4]] == [
        (None, 9),
        (0, 5),
        (1, 3),
        (1, 4),
    ]
    assert names(found.inside(found.calls[1])) == ["body.0", "body.1", "body.2"]
    assert names(found.around(found.calls[3])) == ["body", ""]
    sizes = [call.output_size for call in found.calls if call.atom]
    assert sizes == [
        *[(2, 8, 8, 8)] * 3,
        (2, 8, 5, 5),
        (2, 8, 1, 1),
        (2, 8),
        (2, 3),
    ]
    assert [value.size for value in found.inputs] == [(2, 4, 16, 16)]
    assert found.outputs == found.calls[-1].outputs
    pool = only(found.functions("max_pool2d"))
    assert {k: pool.arguments[k] for k in ("kernel_size", "padding")} == {
        "kernel_size": 2,
        "padding": 1,
    }
    assert pool.arguments["input"] == (2, 8, 8, 8)
    assert (pool.spot.owner, pool.spot.method) == ("", "forward")
    first = Small.forward.__code__.co_firstlineno
    assert pool.spot.line == first + 1


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda m, x: F.max_pool2d(x, 2), "max_pool2d"),
        (lambda m, x: F.max_pool2d(x, 2, return_indices=True), "max_pool2d"),
        (lambda m, x: torch.max_pool2d(x, 2), "max_pool2d"),
        (lambda m, x: F.avg_pool2d(x, 2), "avg_pool2d"),
        (lambda m, x: F.adaptive_max_pool2d(x, 2), "adaptive_max_pool2d"),
        (lambda m, x: F.interpolate(x, scale_factor=0.5), "interpolate"),
        (lambda m, x: F.conv2d(x, m.conv.weight, stride=2), "conv2d"),
        (lambda m, x: torch.relu_(x), "relu"),
        (lambda m, x: x.relu(), "relu"),
        (lambda m, x: F.leaky_relu(x, inplace=True), "leaky_relu"),
        (lambda m, x: x + 1, "add"),
        (lambda m, x: 1 - x, "rsub"),
        (lambda m, x: torch.ops.aten.relu(x), "relu"),
        (lambda m, x: x.mT, "mT"),
    ],
)
def test_names_of_functions(function: Callable[..., Any], name: str) -> None:
    assert only(traced(Lambda(function)).functions()).name == name


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda m, x: torch.max_pool2d(x, 3, 2, 1), {"kernel_size": 3, "stride": 2, "padding": 1}),
        (lambda m, x: F.max_pool2d(x, 2, return_indices=True)[0], {"return_indices": True}),
        (lambda m, x: F.avg_pool2d(x, (2, 1), ceil_mode=True), {"kernel_size": (2, 1)}),
        (lambda m, x: F.conv2d(x, m.conv.weight, None, 2), {"stride": 2, "weight": (4, 4, 3, 3)}),
        (lambda m, x: F.interpolate(x, None, 0.5), {"size": None, "scale_factor": 0.5}),
        (lambda m, x: F.adaptive_avg_pool2d(x, (2, 3)), {"output_size": (2, 3)}),
    ],
)
def test_arguments_by_name(function: Callable[..., Any], expected: Mapping[str, Any]) -> None:
    arguments = only(traced(Lambda(function)).functions()).arguments
    assert expected.items() <= arguments.items()
    assert arguments["input"] == SMALL


def test_parameters_are_no_values() -> None:
    """Weight standardisation and a position table are not part of the graph."""

    def forward(m: Lambda, x: Tensor) -> Tensor:
        weight = F.interpolate(m.conv.weight * 2, scale_factor=2)
        return F.conv2d(x, weight) + torch.ones(())

    found = traced(Lambda(forward))
    assert names(found.functions()) == ["conv2d", "add"]
    assert [len(call.inputs) for call in found.functions()] == [1, 1]


class Subclassed(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), self.weight, self.bias, self.stride)


class NormAct(nn.BatchNorm2d):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(super().forward(x))


def test_layers_of_torch_are_whole() -> None:
    """A convolution with a forward of its own too; a norm that holds its activation is not."""
    found = traced(nn.Sequential(Subclassed(4, 4, 3, 2), NormAct(4), nn.Flatten()))
    atoms = [(call.name, call.path) for call in found.calls if call.atom]
    assert atoms == [
        ("Subclassed", "0"),
        ("batch_norm", "1"),
        ("ReLU", "1.act"),
        ("Flatten", "2"),
    ]


def test_own_ops() -> None:
    def forward(m: Lambda, x: Tensor) -> Tensor:
        return freqops.blur_pool2d(freqops.max_blur_pool2d(x, 3))

    found = traced(nn.Sequential(freqops.BlurPool2d(4), Lambda(forward)))
    assert found.calls_of("0")[0].output_size == (2, 4, 8, 8)
    assert found.outputs[0].size == (2, 4, 2, 2)
    assert found.producer(found.outputs[0]) is not None


def test_shared_modules_and_loops() -> None:
    def forward(m: Lambda, x: Tensor) -> Tensor:
        for _ in range(3):
            x = F.avg_pool2d(m.relu(x), 2)
        return F.avg_pool2d(x, 2)

    found = traced(Lambda(forward))
    assert len(found.calls_of("relu")) == 3
    pools = found.functions("avg_pool2d")
    assert [len(found.same_spot(pool)) for pool in pools] == [3, 3, 3, 1]
    assert not found.is_called_once(found.calls_of("relu")[0])
    assert found.is_called_once(found.calls[0])


def test_compiled_code_is_seen() -> None:
    """torch.jit runs ops without Python; their values would be lost."""

    @torch.jit.script
    def swish(x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)

    found = traced(Lambda(lambda m, x: m.relu(swish(m.conv(x)))))
    relu = only(found.calls_of("relu"))
    assert found.producer(relu.inputs[0]).name == "mul"
    assert found.producer(relu.inputs[0]).spot is None


def test_autograd_functions_are_seen() -> None:
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2

    found = traced(Lambda(lambda m, x: m.relu(Twice.apply(m.conv(x)))))
    assert names(found.consumers(only(found.calls_of("conv")))) == ["mul"]


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing(reentrant: bool) -> None:
    def forward(m: Lambda, x: Tensor) -> Tensor:
        return m.relu(checkpoint(m.conv, x, use_reentrant=reentrant))

    found = traced(Lambda(forward))
    assert names(found.consumers(only(found.calls_of("conv")))) == ["relu"]


def test_caught_errors() -> None:
    """A call that raises is never closed; those after it must not be taken for its inside."""

    class Raises(nn.ReLU):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError(x.shape)

    def forward(m: Lambda, x: Tensor) -> Tensor:
        try:
            x = m.raises(x)
        except RuntimeError:
            x = m.other(x)
        return m.relu(x)

    model = Lambda(forward)
    model.raises = nn.Sequential(Raises())
    found = traced(model)
    assert names(found.consumers(only(found.calls_of("other")))) == ["relu"]
    assert only(found.calls_of("relu")).parent == 0


# --- values ---------------------------------------------------------------------------------------


def consumers_of_conv(function: Callable[..., Any]) -> list[str]:
    found = traced(Lambda(function))
    return names(found.consumers(only(found.calls_of("conv"))))


def test_in_place_calls_make_new_values() -> None:
    def forward(m: Lambda, x: Tensor) -> Tensor:
        y = m.conv(x)
        before = y * 3
        y.relu_()
        return m.pool(y) + m.pool(before)

    assert consumers_of_conv(forward) == ["mul", "relu"]
    found = traced(Lambda(forward))
    assert names(found.consumers(only(found.functions("relu")))) == ["pool"]


def test_in_place_modules_make_new_values() -> None:
    def forward(m: Lambda, x: Tensor) -> Tensor:
        y = m.conv(x)
        m.inplace(y)  # the result is not used, y is
        return m.pool(y)

    found = traced(Lambda(forward))
    assert names(found.consumers(only(found.calls_of("inplace")))) == ["pool"]


def test_writing_to_a_view_is_seen() -> None:
    def forward(m: Lambda, x: Tensor) -> Tensor:
        y = m.conv(x)
        y[:, :2].relu_()
        return m.pool(y)

    found = traced(Lambda(forward))
    assert found.producer(only(found.calls_of("pool")).inputs[0]).name == "relu"


def test_setitem_and_augmented_sums() -> None:
    def forward(m: Lambda, x: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        y[:, ::2] = m.conv(x)[:, ::2]
        y += x
        return m.pool(y)

    found = traced(Lambda(forward))
    pool = only(found.calls_of("pool"))
    add = found.producer(pool.inputs[0])
    assert add.name == "add"
    assert found.producer(add.inputs[0]).name == "setitem"


def test_identity_is_no_reader() -> None:
    def forward(m: Lambda, x: Tensor) -> Tensor:
        y = m.conv(x)
        return m.relu(m.identity(y)) + y.contiguous()

    assert consumers_of_conv(forward) == ["relu", "add"]


def test_readers_of_same_input() -> None:
    def forward(m: Lambda, x: Tensor) -> Tensor:
        y = m.relu(x)
        return m.conv(y) + m.other(y) + m.pool(y.clone()).mean()

    found = traced(Lambda(forward))
    same = found.readers_of_same_input(only(found.calls_of("conv")))
    assert names(same) == ["other", "clone"]


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(1, 4, 3, 2, 1)

    def forward(self, image: Tensor, *, depth: Tensor, scale: float = 1.0) -> dict[str, Any]:
        total = self.left(image) + self.right(depth) * scale
        return {"maps": [total, {"deep": total.mean()}]}


def test_result_collected_by_hooks() -> None:
    """As timm's features_only does: without its hooks the model returns nothing."""

    class Collects(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Conv2d(4, 4, 3, 2), nn.ReLU())
            self.kept: list[Tensor] = []
            self[0].register_forward_hook(lambda module, args, result: self.kept.append(result))

        def forward(self, x: Tensor) -> list[Tensor]:
            super().forward(x)
            return list(self.kept)

    model = Collects()
    found = traced(model)
    assert found.how == "fake tensors, eval mode, its hooks called"
    assert found.is_output(found.calls_of("0")[0].outputs[0])
    assert model.kept == []
    assert len(model(torch.rand(SMALL))) == 1


def test_without_any_result() -> None:
    found = traced(Lambda(lambda m, x: (m.conv(x), None)[1]))
    assert found.outputs == ()
    assert found.calls_of("conv")


def test_structures() -> None:
    image, depth = torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 8)
    found = traced(TwoInputs(), {"image": image, "depth": depth, "scale": 2.0})
    assert [value.size for value in found.inputs] == [(1, 3, 8, 8), (1, 1, 8, 8)]
    assert [value.size for value in found.outputs] == [(1, 4, 4, 4), ()]
    assert names(found.consumers(found.calls[0])) == []
    positional = traced(Lambda(lambda m, a, b: m.conv(a) + b), (SMALL, SMALL))
    assert len(positional.inputs) == 2


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_layers(kind: type[nn.RNNBase]) -> None:
    found = traced(nn.Sequential(nn.Conv1d(8, 8, 3), kind(10, 5)), torch.Size([3, 8, 12]))
    assert names(found.consumers(only(found.calls_of("0")))) == ["1"]
    assert found.calls_of("1")[0].output_size == (3, 8, 5)


def test_parametrized_and_tied_weights() -> None:
    first, second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
    second.weight = first.weight
    model = nn.Sequential(first, second, nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 2, 1)))
    found = traced(model)
    assert [call.path for call in found.calls if call.atom] == ["0", "1", "2"]
    assert found.calls_of("2")[0].output_size == (2, 2, 16, 16)
    assert first.weight is second.weight


def test_compiled_modules_run_their_own_code() -> None:
    model = Small()
    model.body.compile(backend="eager")
    wrapped = torch.compile(nn.Sequential(nn.Conv2d(4, 4, 1)), backend="eager")
    assert traced(model).calls_of("body.0")
    found = traced(nn.Sequential(wrapped, nn.ReLU()))
    assert names(found.consumers(found.calls_of("0._orig_mod.0")[0])) == ["1"]


def test_traced_graphs() -> None:
    found = traced(torch.fx.symbolic_trace(Small()))
    pool = only(found.functions("max_pool2d"))
    assert pool.spot.owner == ""
    assert found.outputs[0].size == (2, 3)


def test_scripted_children_are_whole() -> None:
    child = torch.jit.script(nn.Sequential(nn.Conv2d(4, 4, 3, 2), nn.ReLU()))
    found = traced(Lambda(lambda m, x: m.relu(m.child(m.conv(x)))).add(child=child))
    assert names(found.consumers(only(found.calls_of("conv")))) == ["child"]
    assert found.producer(only(found.calls_of("relu")).inputs[0]).path == "child"


def test_merges() -> None:
    def forward(m: Lambda, x: Tensor) -> Tensor:
        y, z = m.pool(x), F.avg_pool2d(x, 2)
        y = torch.cat([m.conv(y), z], 1)[:, :4]
        gate = torch.sigmoid(y.mean((2, 3), keepdim=True))
        return F.max_pool2d(y * gate, 2) + F.avg_pool2d(x, 4)

    found = traced(Lambda(forward))
    (first, fine, coarse, direct) = (
        only(found.calls_of("pool")),
        found.functions("avg_pool2d")[0],
        only(found.functions("max_pool2d")),
        found.functions("avg_pool2d")[1],
    )
    assert [call.name for call in found.merges(first)] == ["cat"]  # the gate has one pixel
    assert found.merges(first) == found.merges(fine)
    assert [call.name for call in found.merges(coarse)] == ["add"]
    assert found.merges(coarse) == found.merges(direct)


# --- activations ----------------------------------------------------------------------------------


class Swish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class HardSwish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mul(F.relu6(x + 3.0).div_(6.0))


class Gained(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x).mul_(1.7)


def activation(function: Callable[..., Any], **modules: nn.Module) -> tuple[Trace, Any]:
    found = traced(Lambda(function).add(**modules))
    conv = only(found.calls_of("conv"))
    return found, activation_after(found, conv)


ACTIVATIONS = {
    "module": lambda m, x: m.relu(m.conv(x)),
    "in place": lambda m, x: m.inplace(m.conv(x)),
    "function": lambda m, x: F.relu(m.conv(x)),
    "method": lambda m, x: m.conv(x).relu_(),
    "behind norm and dropout": lambda m, x: F.hardswish(m.drop(m.bn(m.conv(x)))),
    "scaled before": lambda m, x: F.silu(m.conv(x) * 0.5 + 1),
    "elu": lambda m, x: F.elu(m.conv(x)),
    "leaky": lambda m, x: F.leaky_relu(m.conv(x), 0.1),
    "clamp": lambda m, x: m.conv(x).clamp(min=0),
    "written out": lambda m, x: Swish()(m.conv(x)),
}


@pytest.mark.parametrize("function", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_finds_activations(function: Callable[..., Any]) -> None:
    found, one = activation(lambda m, x: m.pool(function(m, x)))
    assert isinstance(one, Activation)
    assert one.input_of is only(found.calls_of("pool"))
    assert one.value == one.input_of.inputs[0]


def test_called_once_gives_the_module() -> None:
    found, one = activation(lambda m, x: m.other(m.relu(m.bn(m.conv(x)))))
    assert one.output_of is only(found.calls_of("relu"))
    assert one.input_of is only(found.calls_of("other"))
    assert one.why_not == ""


@pytest.mark.parametrize("cls", [Swish, HardSwish, Gained, lambda: NormAct(4)])
def test_activation_inside_a_module(cls: Callable[[], nn.Module]) -> None:
    """The innermost module that ends with the value, where the activation itself is a function."""
    found, one = activation(
        lambda m, x: m.conv2(m.act(m.conv(x))).sum(), act=cls(), conv2=nn.Conv2d(4, 4, 1)
    )
    inner = found.calls_of("act.act") or found.calls_of("act")
    assert one.output_of is only(inner)
    assert one.value == one.input_of.inputs[0]


def test_shared_activation_gives_the_reader() -> None:
    found, one = activation(lambda m, x: m.relu(m.other(m.relu(m.conv(x)))))
    assert one.output_of is None
    assert one.input_of is only(found.calls_of("other"))


def test_several_readers_inside_one_module() -> None:
    block = Lambda(lambda m, x: m.conv(x) + m.other(x))
    found, one = activation(lambda m, x: m.block(F.relu(m.conv(x))), block=block)
    assert one.output_of is None
    assert one.input_of is only(found.calls_of("block"))


def test_no_place_for_a_step() -> None:
    _, one = activation(lambda m, x: m.other(y := F.relu(m.conv(x))) + y)
    assert (one.output_of, one.input_of) == (None, None)
    assert one.why_not == "relu is a function and its value has 2 readers"
    _, one = activation(lambda m, x: m.relu(m.pool(y := m.relu(m.conv(x)))).sum() + y.sum())
    assert one.why_not == "relu is called 2 times and its value has 2 readers"


def test_second_activation_is_not_looked_for() -> None:
    _, one = activation(lambda m, x: m.other(torch.sigmoid(F.relu(m.conv(x)))))
    assert (one.call.name, one.input_of) == ("relu", None)
    assert one.why_not == "relu is a function and its value is read by a function, sigmoid"


def test_reader_inside_forbids_the_output() -> None:
    """A block that ends with the value and reads it too would read what the step made of it."""

    def inside(m: Lambda, x: Tensor) -> Tensor:
        y = F.relu(m.bn(x))
        m.seen = m.other(y)
        return y

    _, one = activation(lambda m, x: m.pool(m.block(m.conv(x))), block=Lambda(inside))
    assert one.output_of is None


def test_returned_activation() -> None:
    found, one = activation(lambda m, x: [y := m.relu(m.conv(x)), m.pool(y)])
    assert one.output_of is only(found.calls_of("relu"))
    assert one.input_of is None


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda m, x: m.relu(m.conv(x) + x), "add comes first"),
        (lambda m, x: m.relu(m.other(m.bn(m.conv(x)))), "Conv2d comes first"),
        (lambda m, x: m.relu(m.pool(m.conv(x))), "MaxPool2d comes first"),
        (lambda m, x: m.conv(x) * 2, "the model returns it before an activation"),
        (lambda m, x: m.relu(y := m.conv(x)) + y.mean(), "ReLU and mean read it"),
        (lambda m, x: [m.conv(x).sum(), x], "sum comes first"),
        (lambda m, x: m.relu(m.conv(x).permute(0, 2, 3, 1)), "permute comes first"),
        (lambda m, x: (m.conv(x), x)[1] * 2, "nothing reads it"),
    ],
)
def test_what_comes_before_an_activation(function: Callable[..., Any], reason: str) -> None:
    _, one = activation(function)
    assert one == reason


# --- nothing is left ------------------------------------------------------------------------------


class Stateful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.drop = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout()
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("average", torch.zeros(4))
        self.cache: dict[str, Tensor] = {}
        self.features: list[Tensor] = []
        self.fail = False

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        self.average = 0.9 * self.average + x.mean()
        x = self.drop(self.bn(self.conv(x)))
        self.cache["x"] = self.last = x
        self.features.append(x)
        x = x * torch.rand(()) + random.random() + np.random.rand()  # noqa: NPY002
        if self.fail:
            raise RuntimeError("asked to fail. In two lines\nof which this is one")
        return x


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("real", [False, True])
def test_leaves_nothing(fail: bool, real: bool) -> None:
    model = Stateful().train()
    model.bn.eval()
    model.fail = fail
    example = torch.rand(2, 3, 8, 8) if real else torch.Size([2, 3, 8, 8])
    hook_calls: list[int] = []
    handles = [
        model.conv.register_forward_hook(lambda *a: hook_calls.append(1)),
        model.register_forward_pre_hook(lambda *a: hook_calls.append(1)),
    ]
    objects = {name: id(t) for name, t in (*model.named_parameters(), *model.named_buffers())}
    numbers = {name: t.clone() for name, t in model.state_dict().items()}
    versions = [t._version for t in model.state_dict().values()]
    attributes = [dict(vars(module)) for module in model.modules()]
    hooks = [dict(module._forward_hooks) for module in model.modules()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002

    assert (trace(model, example).error is not None) == fail

    assert {n: id(t) for n, t in (*model.named_parameters(), *model.named_buffers())} == objects
    assert all(torch.equal(t, numbers[name]) for name, t in model.state_dict().items())
    if not (fail and real):  # then real tensors went through, and the counters were put back
        assert [t._version for t in model.state_dict().values()] == versions
    for module, before in zip(model.modules(), attributes, strict=True):
        assert vars(module).keys() == before.keys()
        assert all(vars(module)[key] is value for key, value in before.items())
    assert [dict(module._forward_hooks) for module in model.modules()] == hooks
    assert (model.cache, model.features) == ({}, [])
    assert (model.training, model.bn.training) == (True, False)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])  # noqa: NPY002
    assert hook_calls == []
    model.fail = False
    model(torch.rand(2, 3, 8, 8))
    assert len(hook_calls) == len(handles)


def test_error_is_one_sentence() -> None:
    model = Stateful()
    model.fail = True
    found = trace(model)
    assert not found
    assert found.calls == ()
    assert found.error == "the model can't be run (RuntimeError: asked to fail. In two lines)"


def test_failing_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    """torch logs a traceback for each size that does not fit, where the next one may."""
    found = trace(nn.Sequential(nn.Conv2d(3, 1, 3), nn.Flatten(), nn.Linear(900, 2)))
    assert found.inputs[0].size == (2, 3, 32, 32)
    assert caplog.records == []
    assert not logging.getLogger("torch._subclasses.fake_tensor").disabled


def test_flow_that_depends_on_data() -> None:
    def forward(m: Lambda, x: Tensor) -> Tensor:
        return m.pool(m.conv(x)) if x.mean() > 0 else m.conv(x)

    found = trace(Lambda(forward), SMALL)
    assert found.error.startswith("what the model does depends on the numbers in a tensor")
    model = Lambda(forward)
    assert trace(model, torch.ones(SMALL)).outputs[0].size == (2, 4, 8, 8)
    assert trace(model, -torch.ones(SMALL)).outputs[0].size == (2, 4, 16, 16)
    assert torch.equal(model.bn.num_batches_tracked, torch.tensor(0))


def test_other_sizes_do_not_help_against_that() -> None:
    runs: list[int] = []

    def forward(m: Lambda, x: Tensor) -> Tensor:
        runs.append(1)
        return m.conv(x) if x.mean() > 0 else x

    assert not trace(Lambda(forward))
    assert len(runs) == 2  # in train and in eval mode


def test_example_is_not_changed() -> None:
    example = torch.rand(SMALL)
    before = example.clone()
    traced(Lambda(lambda m, x: x.mul_(2)), example)
    assert torch.equal(example, before)
    fails_on_fakes = Lambda(lambda m, x: x.mul_(2 if x.sum() > 0 else 3))
    traced(fails_on_fakes, example)
    assert torch.equal(example, before)


def test_train_mode_if_possible() -> None:
    assert "train" in traced(Small()).how
    one_pixel = nn.Sequential(nn.Conv2d(4, 4, 16), nn.BatchNorm2d(4))
    found = traced(one_pixel, torch.rand(1, 4, 16, 16))
    assert found.how == "fake tensors, train mode, batch doubled"

    def forward(m: Lambda, x: Tensor) -> Tensor:
        if m.training:
            raise ValueError("targets are needed")
        return m.conv(x)

    assert traced(Lambda(forward)).how == "fake tensors, eval mode"


@pytest.mark.parametrize(
    ("model", "size"),
    [
        (nn.Conv2d(5, 4, 3), (2, 5, 224, 224)),
        (nn.Sequential(nn.Conv1d(2, 4, 9), nn.AvgPool1d(4)), (2, 2, 1024)),
        (nn.Conv3d(1, 4, 3).double(), (2, 1, 16, 112, 112)),
        (nn.Linear(7, 3).to(torch.bfloat16), (2, 7)),
        (nn.Sequential(nn.Flatten(), nn.MaxPool1d(2)), (2, 3, 224, 224)),
        (nn.Conv2d(3, 4, 3, device="meta"), (2, 3, 224, 224)),
        (nn.Sequential(nn.Conv2d(3, 1, 1), nn.Flatten(), nn.Linear(1024, 2)), (2, 3, 32, 32)),
    ],
    ids=str,
)
def test_guesses_an_input(model: nn.Module, size: tuple[int, ...]) -> None:
    found = trace(model)
    assert found.error is None
    assert found.inputs[0].size == size


def test_words_are_not_guessed() -> None:
    model = nn.Sequential(nn.Embedding(10, 4), nn.Conv1d(3, 3, 1))
    assert "give example=" in trace(model).error
    assert traced(model, torch.zeros(2, 3, dtype=torch.long)).outputs[0].size == (2, 3, 4)


def test_under_other_modes() -> None:
    def forward(m: Lambda, x: Tensor) -> Tensor:
        y = m.conv(x)
        if x.sum() > 0:
            y.relu_()
        return m.pool(y)

    with torch.inference_mode():  # whose tensors do not count what is written to them
        found = traced(Lambda(forward), torch.ones(SMALL))
    assert found.how == "real tensors, eval mode"
    assert names(found.consumers(only(found.calls_of("conv")))) == ["relu"]
    with torch.autocast("cpu", torch.bfloat16):
        assert traced(Small(), torch.rand(SMALL)).outputs[0].size == (2, 3)


# --- models of others -----------------------------------------------------------------------------


def zoo_model(word: str) -> nn.Module:
    library, name = word.split(":")
    zoo = pytest.importorskip("torchvision.models" if library == "torchvision" else library)
    if library == "timm":
        return zoo.create_model(name)
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return zoo.get_model(name, **options)


ZOO = [
    "torchvision:resnet18",
    "torchvision:inception_v3",
    "torchvision:googlenet",
    "torchvision:densenet121",
    "torchvision:shufflenet_v2_x1_0",
    "torchvision:convnext_tiny",
    "torchvision:efficientnet_b0",
    "timm:inception_v4",
    "timm:tf_efficientnet_b0",
    "timm:nfnet_f0",
    "timm:hrnet_w18_small",
    "timm:dla34",
    "timm:resnetblur18",
    "timm:ghostnet_100",
]


@pytest.mark.parametrize("word", ZOO)
def test_zoo(word: str) -> None:
    """Every layer that is called is seen, and every value has a producer."""
    model = zoo_model(word)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = trace(model)
    assert found.error is None
    assert found.how == "fake tensors, train mode"
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    called = {id(call.module) for call in found.calls}
    layers = [n for n, m in model.named_modules() if list(m.parameters(recurse=False))]
    assert len(layers) > 20
    assert not [name for name in layers if id(model.get_submodule(name)) not in called]
    for call in found.calls:
        for value in call.inputs:
            assert value in found.inputs or found.producer(value).atom
        assert call.outputs


SEEN = {
    "torchvision:resnet18": torch.Size([2, 3, 64, 64]),
    "torchvision:inception_v3": torch.Size([2, 3, 96, 96]),
    "torchvision:shufflenet_v2_x1_0": torch.Size([2, 3, 64, 64]),
    "timm:hrnet_w18_small": torch.Size([2, 3, 64, 64]),
}


@pytest.mark.parametrize("word", SEEN)
def test_sizes_are_those_of_a_real_run(word: str) -> None:
    """Hooks on a run with numbers are the witness."""
    model = zoo_model(word).eval()
    paths = {id(module): path for path, module in model.named_modules()}
    real: list[tuple[str, torch.Size]] = []

    def hook(module: nn.Module, args: Any, result: Any) -> None:
        if isinstance(result, Tensor):
            real.append((paths[id(module)], tuple(result.shape)))

    handles = [module.register_forward_hook(hook) for module in model.modules()]
    with torch.no_grad():
        model(torch.rand(SEEN[word]))
    for handle in handles:
        handle.remove()
    found = [
        (call.path, call.output_size)
        for call in sorted(
            traced(model, SEEN[word]).calls, key=lambda call: (call.end, -call.index)
        )
        if call.single and call.module is not None
    ]
    assert found == real


def test_inception_mixed_pools() -> None:
    found = traced(zoo_model("torchvision:inception_v3"), torch.Size([2, 3, 299, 299]))
    pools = {call.path: call for call in found.functions("max_pool2d")}
    assert set(pools) == {"Mixed_6a", "Mixed_7a"}
    for path, size in (("Mixed_6a", 17), ("Mixed_7a", 8)):
        assert (pools[path].spot.owner, pools[path].spot.method) == (path, "_forward")
        assert pools[path].output_size[2:] == (size, size)
        assert [call.name for call in found.consumers(pools[path])] == ["cat"]
    assert "AuxLogits" in {call.path for call in found.functions("avg_pool2d")}
    conv = found.calls_of("Mixed_6a.branch3x3.conv")[0]
    one = activation_after(found, conv)
    assert (one.call.name, one.output_of.path) == ("relu", "Mixed_6a.branch3x3")
    assert found.merges(conv)[0] == found.merges(pools["Mixed_6a"])[0]


def test_resnet_block_with_one_relu() -> None:
    """torchvision's BasicBlock uses its relu twice; timm's has two."""
    found = traced(zoo_model("torchvision:resnet18"), torch.Size([2, 3, 224, 224]))
    conv, shortcut = found.calls_of("layer2.0.conv1")[0], found.calls_of("layer2.0.downsample.0")[0]
    one = activation_after(found, conv)
    assert (one.output_of, one.input_of.path) == (None, "layer2.0.conv2")
    assert names(found.readers_of_same_input(conv)) == ["layer2.0.downsample.0"]
    assert activation_after(found, shortcut) == "add comes first"
    assert found.merges(conv)[0] is found.merges(shortcut)[0]
    found = traced(zoo_model("timm:resnet18"), torch.Size([2, 3, 224, 224]))
    one = activation_after(found, found.calls_of("layer2.0.conv1")[0])
    assert one.output_of.path == "layer2.0.act1"


def test_norms_of_timm_that_activate() -> None:
    found = traced(zoo_model("timm:resnetv2_50d_evos"), torch.Size([2, 3, 64, 64]))
    one = activation_after(found, found.calls_of("stages.1.blocks.0.conv2")[0])
    assert one.output_of.path == "stages.1.blocks.0.norm3"
    found = traced(zoo_model("timm:tf_efficientnet_b0"), torch.Size([2, 3, 64, 64]))
    one = activation_after(found, found.calls_of("conv_stem")[0])
    assert one.output_of.path == "bn1.act"


@pytest.mark.filterwarnings("error")
def test_lazy_modules_have_no_trace() -> None:
    found = trace(nn.Sequential(nn.LazyConv2d(4, 3, 2), nn.ReLU()), torch.randn(1, 3, 8, 8))
    assert found.error == "the model has lazy modules: run it once, then convert it"


class Collector(nn.Module):
    """Returns nothing; a hook of its own fails."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.conv.register_forward_pre_hook(self.refuse)

    def refuse(self, module: nn.Module, args: Any) -> None:
        raise ValueError("refused")

    def forward(self, x: Tensor) -> None:
        self.conv(x)


@pytest.mark.filterwarnings("error")
def test_a_hook_that_raises() -> None:
    found = trace(Collector(), torch.randn(1, 3, 8, 8))
    assert not found.error
    assert [call.name for call in found.calls] == ["Collector", "Conv2d"]
