"""The activation behind a call, and where a step behind it can stand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from surgery.tracing.traced import Lambda, NormAct, only, traced
from torch import Tensor, nn

from freqops.surgery.tracing.activations import Activation, activation_after
from freqops.surgery.tracing.graph import Trace


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
