"""What antialias keeps of a model, and what it refuses."""

import copy
import doctest
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from surgery.models import (
    Calls,
    Parallel,
    Plain,
    Residual,
    Shared,
    Signals,
    Volumes,
    sizes_inside,
)
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.utils import parametrize

from freqops import BlurPool2d, antialias
from freqops.surgery.treatment import is_treated

MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], list[tuple[int, ...]]]] = {
    "plain": (Plain, (2, 3, 32, 32), [(1, 3, 5, 7), (2, 3, 31, 64), (1, 3, 33, 18)]),
    "residual": (Residual, (2, 3, 32, 32), [(1, 3, 7, 9), (2, 3, 31, 64), (1, 3, 45, 18)]),
    "calls": (Calls, (2, 3, 128, 128), [(1, 3, 99, 107), (2, 3, 150, 81), (1, 3, 127, 93)]),
    "signals": (Signals, (2, 4, 500), [(1, 4, 101), (2, 4, 350), (1, 4, 627)]),
    "volumes": (Volumes, (2, 1, 8, 32, 32), [(1, 1, 9, 31, 27), (1, 1, 11, 50, 29)]),
    "parallel": (Parallel, (2, 3, 32, 32), [(1, 3, 7, 9), (2, 3, 31, 50)]),
    "shared": (Shared, (2, 3, 64, 64), [(1, 3, 37, 51), (2, 3, 93, 40)]),
}
RECIPES = ["zhang", "pool_only", "vasconcelos", "composer", "flc", "aps"]


@pytest.fixture(params=MODELS)
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor, list[Tensor]]:
    make, size, others = MODELS[request.param]
    return make().eval(), torch.randn(size), [torch.randn(other) for other in others]


Case = tuple[nn.Module, Tensor, list[Tensor]]


# --- what is kept -------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", RECIPES)
def test_sizes_at_every_input_size(case: Case, recipe: str) -> None:
    """Also at others than that of the trace; only what lies before a blur may be larger."""
    model, x, others = case
    before = [sizes_inside(model, other) for other in (x, *others)]
    report = antialias(model, recipe, example=x)
    assert not [row for row in report if row.reason.startswith("with it")]
    exempt = {"conv", "norm", "one.conv1", "one.bn1", "two.conv1", "two.bn1"}
    exempt |= {"one.relu", "two.relu"}  # called twice, once before the blur
    for other, was in zip((x, *others), before, strict=True):
        now = sizes_inside(model, other)
        assert now.keys() == was.keys()
        different = {name for name in now if now[name] != was[name]}
        assert different <= exempt
        assert now[""] == was[""]


@pytest.mark.parametrize("recipe", RECIPES)
def test_undo_to_the_bit(case: Case, recipe: str) -> None:
    model, x, _ = case
    expected = model(x)
    before = {name: dict(vars(module)) for name, module in model.named_modules()}
    children = {name: list(module._modules) for name, module in model.named_modules()}
    report = antialias(model, recipe, example=x)
    changed = not torch.equal(model(x), expected)
    assert changed == bool(report.converted)
    report.undo()
    assert {name: dict(vars(module)) for name, module in model.named_modules()} == before
    assert {name: list(module._modules) for name, module in model.named_modules()} == children
    assert torch.equal(model(x), expected)
    report.undo()
    assert torch.equal(model(x), expected)


@pytest.mark.parametrize("recipe", RECIPES)
def test_state_dict(case: Case, recipe: str) -> None:
    model, x, _ = case
    plain = copy.deepcopy(model)
    shapes = {key: tensor.shape for key, tensor in model.state_dict().items()}
    parameters = list(model.parameters())
    antialias(model, recipe, example=x)
    assert {key: tensor.shape for key, tensor in model.state_dict().items()} == shapes
    assert list(model.state_dict()) == list(shapes)
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    model.load_state_dict(plain.state_dict(), strict=True)
    plain.load_state_dict(model.state_dict(), strict=True)


@pytest.mark.parametrize("recipe", RECIPES)
def test_copies(case: Case, recipe: str) -> None:
    model, x, others = case
    antialias(model, recipe, example=x)
    expected = [model(one) for one in (x, *others)]
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        for one, y in zip((x, *others), expected, strict=True):
            assert torch.equal(again(one), y)


@pytest.mark.parametrize("recipe", ["zhang", "flc", "aps"])
def test_compiles(case: Case, recipe: str) -> None:
    model, x, _ = case
    if not antialias(model, recipe, example=x).converted:
        assert recipe == "aps"  # it is for two axes
        return
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), model(x))


def test_gradients_reach_every_parameter(case: Case) -> None:
    model, x, _ = case
    antialias(model, example=x)
    model.train()(x).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_optimizer_made_before() -> None:
    model, x = Plain(), torch.randn(4, 3, 16, 16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    antialias(model, example=x)
    before = model.conv.weight.detach().clone()
    model(x).square().mean().backward()
    optimizer.step()
    assert not torch.equal(model.conv.weight, before)


def test_flags_hooks_dtype_and_format_stay() -> None:
    model = Plain().to(dtype=torch.float64, memory_format=torch.channels_last).train()
    model.norm.eval()
    model.conv.weight.requires_grad_(False)
    calls: list[str] = []
    model.conv.register_forward_hook(lambda *_: calls.append("conv"))
    model.relu.register_forward_pre_hook(lambda *_: calls.append("relu"))
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    antialias(model)
    assert calls == []  # the run that looks at the model calls nobody's hooks
    assert model.training
    assert not model.norm.training
    assert not model.conv.weight.requires_grad
    assert model.conv.weight.is_contiguous(memory_format=torch.channels_last)
    given: list[Tensor] = []
    model.pool.register_forward_hook(lambda m, a, y: given.append(y))
    assert model(x).dtype == torch.float64
    assert given[0].is_contiguous(memory_format=torch.channels_last)
    assert calls == ["conv", "relu"]


def test_batch_norm_is_not_updated_by_the_run() -> None:
    model = Plain().train()
    state = copy.deepcopy(model.state_dict())
    antialias(model, example=torch.randn(2, 3, 16, 16))
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


def test_parametrized_convolution() -> None:
    model, x = Plain().eval(), torch.randn(2, 3, 16, 16)
    parametrize.register_parametrization(model.conv, "weight", nn.Tanh())
    expected = model(x)
    report = antialias(model, example=x)
    assert report["conv"].after
    assert not torch.allclose(model(x), expected)
    report.undo()
    assert torch.equal(model(x), expected)


def test_model_without_memory() -> None:
    """Made on the meta device, converted, then given memory and weights."""
    with torch.device("meta"):
        model = Plain().eval()
    report = antialias(model)
    assert len(report.converted) == 2
    weights = Plain()
    model.to_empty(device="cpu").load_state_dict(weights.state_dict())
    antialias(weights.eval())
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(model(x), weights(x))


def test_half_precision_and_moves_afterwards() -> None:
    model = Plain().eval()
    antialias(model)
    x = torch.randn(2, 3, 16, 16)
    expected = model(x)
    torch.testing.assert_close(model.bfloat16()(x.bfloat16()).float(), expected, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("recipe", ["zhang", "flc", "aps"])
def test_exports(recipe: str) -> None:
    model, x = Residual().eval(), torch.randn(2, 3, 32, 32)
    antialias(model, recipe, example=x)
    exported = torch.export.export(model, (x,)).module()
    torch.testing.assert_close(exported(x), model(x))


def test_graph_module() -> None:
    """A model that torch.fx has traced: its modules are converted, its calls can't be."""
    model, x = torch.fx.symbolic_trace(Calls()).eval(), torch.randn(1, 3, 128, 128)
    plain = model(x)
    report = antialias(model, example=x)
    assert [row.name for row in report.converted] == ["one"]
    assert {row.reason for row in report.left_alone} == {
        "is in a graph of torch.fx, which makes its forward itself"
    }
    assert model(x).shape == plain.shape
    report.undo()
    assert torch.equal(model(x), plain)


def test_example_of_the_docstring() -> None:
    result = doctest.testmod(sys.modules["freqops.surgery.antialiasing"])
    assert result.attempted > 3
    assert result.failed == 0


# --- again --------------------------------------------------------------------------------------


def test_a_second_time_changes_nothing(case: Case) -> None:
    model, x, _ = case
    first = antialias(model, example=x)
    expected, classes = model(x), [type(module) for module in model.modules()]
    second = antialias(model, example=x)
    assert not second.converted
    assert {row.name for row in second if row.reason == "already anti-aliased"} == {
        row.name for row in first.converted
    }
    assert [type(module) for module in model.modules()] == classes
    second.undo()
    assert torch.equal(model(x), expected)


def test_recipes_one_after_the_other() -> None:
    model, x = Plain().eval(), torch.randn(2, 3, 17, 20)
    plain = model(x)
    both = copy.deepcopy(model)
    antialias(both, example=x)
    first = antialias(model, "pool_only", example=x)
    second = antialias(model, "zhang", example=x)
    assert torch.equal(model(x), both(x))
    first.undo()
    second.undo()
    assert torch.equal(model(x), plain)


def test_dry_run_changes_nothing(case: Case) -> None:
    model, x, _ = case
    expected = model(x)
    before = {name: (type(m), dict(vars(m))) for name, m in model.named_modules()}
    report = antialias(model, example=x, dry_run=True)
    assert {name: (type(m), dict(vars(m))) for name, m in model.named_modules()} == before
    assert torch.equal(model(x), expected)
    assert "would be converted" in str(report)
    assert [tuple(vars(row).values()) for row in report] == [
        tuple(vars(row).values()) for row in antialias(model, example=x)
    ]


# --- which sites --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("include", "exclude", "names"),
    [
        ("one", None, ["one.conv1", "one.shortcut.0"]),
        ("*.conv1", None, ["one.conv1", "two.conv1"]),
        (["one.conv1", "two.shortcut"], None, ["one.conv1", "two.shortcut.0"]),
        (lambda site: site.kernel_size == (3, 3), "two", ["one.conv1"]),
        (None, lambda site: site.channels == 8, ["two.conv1", "two.shortcut.0"]),
    ],
)
def test_include_and_exclude(include: Any, exclude: Any, names: list[str]) -> None:
    report = antialias(Residual(), include=include, exclude=exclude)
    assert [row.name for row in report.converted] == names
    assert {row.reason for row in report.left_alone} <= {"excluded", "not included"}


# --- what is refused ----------------------------------------------------------------------------


def compiled_inside(model: nn.Module) -> nn.Module:
    model.conv = torch.compile(model.conv)
    return model


def compiled_in_place(model: nn.Module) -> nn.Module:
    model.pool.compile()
    return model


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (torch.compile, "it is compiled: convert the model first"),
        (compiled_inside, "its conv is compiled: convert the model first"),
        (compiled_in_place, "its pool is compiled: convert the model first"),
        (nn.DataParallel, r"it is wrapped in DataParallel: convert model\.module"),
        (torch.jit.script, r"it is compiled by torch\.jit"),
    ],
)
def test_rejects_models(wrap: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"antialias: model must be a plain module, but {message}"):
        antialias(wrap(Plain()))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"recipe": "blur"}, ValueError, "recipe must be one of 'zhang', .*, got 'blur'"),
        ({"recipe": "flc", "taps": 3}, ValueError, "taps and padding_mode are those of a blur"),
        ({"recipe": "flc", "padding_mode": "zeros"}, ValueError, "taps and .* for recipe 'flc'"),
        ({"recipe": 3}, ValueError, "recipe must be one of .* or a mapping, got 3"),
        ({"recipe": {}}, TypeError, "recipe must map predicates"),
        ({"recipe": {"conv": BlurPool2d}}, TypeError, "recipe must map predicates"),
        ({"recipe": {callable: BlurPool2d}, "taps": 3}, ValueError, "taps must be None where"),
        ({"padding_mode": "mirror"}, ValueError, "padding_mode must be one of .* got 'mirror'"),
        ({"taps": 0}, ValueError, "taps must be at least 1, got 0"),
        ({"taps": 2.5}, TypeError, "taps must be an integer, a Tensor or one per axis, got float"),
        ({"taps": torch.ones(2, 3)}, ValueError, r"taps must be floating-point of shape \[k\]"),
        ({"taps": (3, 3, 3)}, ValueError, "taps must be one for all axes or one per axis, got 3"),
        ({"include": "convs"}, ValueError, "include must name sites .* got 'convs'"),
        ({"exclude": ["conv", "x"]}, ValueError, "exclude must name .* they are 'conv', 'pool'"),
        ({"include": 3}, TypeError, "include must be a name, several, or a predicate .* got int"),
    ],
)
def test_rejects_arguments(options: Any, error: type[Exception], message: str) -> None:
    model = Plain()
    with pytest.raises(error, match=f"antialias: {message}"):
        antialias(model, **options)
    assert not any(is_treated(module) for module in model.modules())


def test_rejects_distributed_models(tmp_path: Path) -> None:
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(Plain())
        with pytest.raises(ValueError, match=r"it is wrapped in DDP: convert model\.module"):
            antialias(model)
        sharded = fully_shard(Plain(), mesh=init_device_mesh("cpu", (1,)))
        with pytest.raises(ValueError, match="it is sharded by fully_shard: convert"):
            antialias(sharded)
    finally:
        dist.destroy_process_group()


def test_rejects_what_is_no_model() -> None:
    with pytest.raises(TypeError, match=r"model must be an nn\.Module, got builtin"):
        antialias(torch.relu)  # type: ignore[arg-type]


def test_a_failure_midway_leaves_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from freqops.surgery import convert

    def fail(*_: Any) -> str:
        raise KeyboardInterrupt

    model = Plain()
    monkeypatch.setattr(convert, "_harm", fail)
    with pytest.raises(KeyboardInterrupt):
        antialias(model)
    assert [type(module).__name__ for module in model.modules()] == [
        "Plain",
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
        "MaxPool2d",
        "Linear",
    ]
    assert model.conv.stride == (2, 2)
