"""Traces: what is called, and which tensor goes where."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from surgery.tracing.traced import SMALL, Lambda, NormAct, Small, names, only, traced
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import freqops


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
