"""The generated subclasses: what they keep, and that nothing is left when they go."""

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from surgery.models import Calls, Plain
from torch import Tensor, nn
from torch.nn.utils import parametrize

from freqops import BlurPool2d, MaxBlurPool2d
from freqops.surgery.treatment import (
    Edit,
    Form,
    Treatment,
    base_class,
    is_treated,
    layout_of,
    step_names,
)


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


class OwnPickle(nn.Conv2d):
    def __reduce__(self) -> Any:
        return OwnPickle, (3, 4, 3)


class Scaled(nn.Conv2d):
    """A form: the same parameters, another number to go with them."""

    gain: float

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.gain * super()._conv_forward(input, weight, bias)


class Centred(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean())


def scaled(module: nn.Module, gain: float = 3.0) -> Edit:
    return Edit(module, "form", Form(Scaled, {"gain": gain}))


def edits(model: Plain) -> list[Edit]:
    return [
        Edit(model.conv, "attribute", (1, 1), "stride"),
        Edit(model.relu, "output", BlurPool2d()),
        Edit(model.pool, "instead", MaxBlurPool2d(3, max_padding=1)),
    ]


def by_hand(model: Plain, x: Tensor) -> Tensor:
    """What the edits make of the model, without them."""
    y = nn.functional.conv2d(x, model.conv.weight, stride=1, padding=1)
    y = BlurPool2d()(torch.relu(model.norm(y)))
    return model.head(MaxBlurPool2d(3, max_padding=1)(y).mean((2, 3)))


@pytest.fixture
def model() -> Plain:
    return Plain().eval()


def attributes(model: nn.Module) -> dict[str, dict[str, Any]]:
    """What every module holds, dictionaries copied."""
    return {
        name: {
            key: value.copy() if isinstance(value, dict) else value
            for key, value in vars(module).items()
        }
        for name, module in model.named_modules()
    }


def test_computes_what_it_says(model: Plain) -> None:
    x = torch.randn(2, 3, 17, 20)
    plain = model(x)
    Treatment(edits(model)).apply()
    assert torch.equal(model(x), by_hand(model, x))
    assert not torch.allclose(model(x), plain)


def test_revert_leaves_nothing(model: Plain) -> None:
    x = torch.randn(2, 3, 17, 20)
    before, expected = attributes(model), model(x)
    classes = [type(module) for module in model.modules()]
    treatment = Treatment(edits(model))
    treatment.apply()
    assert attributes(model) != before
    treatment.revert()
    assert attributes(model) == before
    assert list(vars(model.conv)) == list(before["conv"])  # in the same order
    assert [type(module) for module in model.modules()] == classes
    assert torch.equal(model(x), expected)
    treatment.revert()  # there is nothing any more
    treatment.apply()
    assert torch.equal(model(x), by_hand(model, x))


def test_keeps_class_identity_and_state(model: Plain) -> None:
    conv, parameters, keys = model.conv, list(model.parameters()), list(model.state_dict())
    Treatment(edits(model)).apply()
    assert model.conv is conv
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(model.pool, nn.MaxPool2d)
    assert base_class(conv) is nn.Conv2d
    assert type(conv).__name__ == "AntialiasedConv2d"
    assert all(one is other for one, other in zip(model.parameters(), parameters, strict=True))
    assert list(model.state_dict()) == keys
    assert "antialias_output" in repr(model.relu)


def test_one_class_for_all_of_a_kind() -> None:
    first, second = nn.ReLU(), nn.ReLU()
    Treatment([Edit(one, "output", BlurPool2d()) for one in (first, second)]).apply()
    assert type(first) is type(second)
    third = nn.ReLU()
    Treatment([Edit(third, "input", BlurPool2d())]).apply()
    assert type(third) is not type(first)


def test_steps_run_in_order() -> None:
    conv = nn.Conv2d(3, 4, 1, stride=2)
    steps: list[nn.Module] = [nn.Softplus(), nn.Sigmoid(), nn.Tanh(), nn.Softsign()]
    roles: list[Any] = ["input", "input", "output", "output"]
    treatment = Treatment([Edit(conv, r, s) for r, s in zip(roles, steps, strict=True)])
    treatment.apply()
    x = torch.randn(1, 3, 4, 4)
    y = nn.functional.conv2d(steps[1](steps[0](x)), conv.weight, conv.bias, 2)
    y = steps[3](steps[2](y))
    assert torch.equal(conv(x), y)
    assert torch.equal(conv(input=x), y)  # by name
    assert step_names(conv) == {
        "antialias_input",
        "antialias_input_2",
        "antialias_output",
        "antialias_output_2",
    }


def test_a_name_that_is_taken() -> None:
    module = nn.ReLU()
    module.antialias_output = nn.Tanh()
    Treatment([Edit(module, "output", BlurPool2d())]).apply()
    assert isinstance(module.antialias_output, nn.Tanh)
    assert isinstance(module.antialias_output_2, BlurPool2d)


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "save"])
def test_copies(model: Plain, way: str) -> None:
    x = torch.randn(2, 3, 17, 20)
    treatment = Treatment(edits(model))
    treatment.apply()
    expected = model(x)
    if way == "pickle":
        again = pickle.loads(pickle.dumps(model))
    elif way == "deepcopy":
        again = copy.deepcopy(model)
    else:
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        again = torch.load(file, weights_only=False)
    treatment.revert()  # the copy is on its own
    assert type(again.conv) is not nn.Conv2d
    assert torch.equal(again(x), expected)
    assert type(again.relu) is type(pickle.loads(pickle.dumps(again.relu)))
    assert again.conv.weight is not model.conv.weight


def test_copy_of_a_class_with_its_own_pickle_is_refused() -> None:
    conv = OwnPickle(3, 4, 3)
    Treatment([Edit(conv, "output", BlurPool2d())]).apply()
    with pytest.raises(pickle.PicklingError, match="__reduce__ of its own; undo"):
        pickle.dumps(conv)


def test_compiles(model: Plain) -> None:
    Treatment(edits(model)).apply()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for size in (17, 20):
        x = torch.randn(2, 3, size, size)
        torch.testing.assert_close(compiled(x), model(x))


def test_compiled_afterwards_sees_the_undo(model: Plain) -> None:
    x = torch.randn(2, 3, 17, 17)
    plain = model(x)
    treatment = Treatment(edits(model))
    treatment.apply()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), model(x))
    treatment.revert()
    torch.testing.assert_close(compiled(x), plain)


def test_hooks_stay(model: Plain) -> None:
    seen: list[tuple[int, ...]] = []
    handle = model.relu.register_forward_hook(lambda m, a, y: seen.append(tuple(y.shape)))
    model.relu.register_forward_pre_hook(lambda m, a: seen.append(tuple(a[0].shape)))
    Treatment(edits(model)).apply()
    model(torch.randn(1, 3, 16, 16))
    assert seen == [(1, 8, 16, 16), (1, 8, 8, 8)]
    handle.remove()


def test_training_flag_and_moves_reach_the_steps(model: Plain) -> None:
    model.train()
    Treatment(edits(model)).apply()
    assert model.relu.antialias_output.training
    model.eval().double()
    assert not model.relu.antialias_output.training
    assert model.relu.antialias_output.taps.dtype == torch.float64
    assert model(torch.randn(1, 3, 16, 16, dtype=torch.float64)).dtype == torch.float64


# --- parametrizations ---------------------------------------------------------------------------


@pytest.mark.parametrize("removed", ["never", "while treated", "after"])
def test_parametrized_before(removed: str) -> None:
    conv = nn.Conv2d(3, 4, 3, stride=2)
    parametrize.register_parametrization(conv, "weight", Doubled())
    x = torch.randn(1, 3, 9, 9)
    plain = conv(x)
    treatment = Treatment(
        [Edit(conv, "attribute", (1, 1), "stride"), Edit(conv, "output", BlurPool2d())]
    )
    treatment.apply()
    expected = BlurPool2d()(nn.functional.conv2d(x, conv.weight, conv.bias))
    assert torch.equal(conv(x), expected)
    assert torch.equal(copy.deepcopy(conv)(x), expected)
    if removed == "while treated":
        parametrize.remove_parametrizations(conv, "weight")
        assert is_treated(conv)
        torch.testing.assert_close(conv(x), expected)
    treatment.revert()
    torch.testing.assert_close(conv(x), plain)
    if removed == "after":
        parametrize.remove_parametrizations(conv, "weight")
    if removed != "never":
        assert type(conv) is nn.Conv2d
        torch.testing.assert_close(conv(x), plain)


def test_parametrized_afterwards() -> None:
    conv = nn.Conv2d(3, 4, 3, stride=2)
    treatment = Treatment([Edit(conv, "attribute", (1, 1), "stride")])
    treatment.apply()
    parametrize.register_parametrization(conv, "weight", Doubled())
    x = torch.randn(1, 3, 9, 9)
    assert conv(x).shape[-1] == 7
    treatment.revert()
    assert torch.equal(conv(x), nn.functional.conv2d(x, conv.weight, conv.bias, 2))
    parametrize.remove_parametrizations(conv, "weight")
    assert type(conv) is nn.Conv2d


# --- what goes wrong ----------------------------------------------------------------------------


def test_all_or_nothing(model: Plain) -> None:
    before = attributes(model)
    broken = Edit(model.head, "attribute", 1, "stride")  # has none
    with pytest.raises(KeyError):
        Treatment([*edits(model), broken]).apply()
    assert attributes(model) == before
    assert type(model.relu) is nn.ReLU


def test_revert_of_what_was_changed_since(model: Plain) -> None:
    treatment = Treatment(edits(model))
    treatment.apply()
    model.pool.antialias_instead = nn.Identity()
    with pytest.raises(RuntimeError, match="MaxPool2d was changed after the conversion"):
        treatment.revert()
    assert is_treated(model.conv)  # all or nothing here too


def test_treatments_of_one_module_are_independent() -> None:
    """Two reports may have put steps on one module, and be taken back in any order."""
    module, x = nn.ReLU(), torch.randn(1, 2, 8, 8)
    first = Treatment([Edit(module, "output", BlurPool2d())])
    second = Treatment([Edit(module, "input", nn.Tanh())])
    first.apply()
    second.apply()
    first.revert()
    assert torch.equal(module(x), torch.relu(torch.tanh(x)))
    second.revert()
    assert type(module) is nn.ReLU
    assert not module._modules


def test_marks() -> None:
    conv = nn.Conv2d(3, 4, 3)
    x = torch.randn(1, 3, 5, 5)
    expected = conv(x)
    treatment = Treatment([Edit(conv, "mark")])
    treatment.apply()
    assert is_treated(conv)
    assert torch.equal(conv(x), expected)
    treatment.revert()
    assert not is_treated(conv)
    assert layout_of(Calls()) == layout_of(conv)


# --- forms --------------------------------------------------------------------------------------


def test_form() -> None:
    conv, x = nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8)
    held, plain, weight = list(vars(conv)), conv(x), conv.weight
    treatment = Treatment([scaled(conv)])
    treatment.apply()
    assert isinstance(conv, Scaled)
    assert type(conv).__name__ == "ScaledOfConv2d"
    assert base_class(conv) is nn.Conv2d
    assert conv.weight is weight
    assert not is_treated(conv)  # it samples as it did
    assert torch.equal(conv(x), 3 * plain)
    for again in (copy.deepcopy(conv), pickle.loads(pickle.dumps(conv))):
        assert type(again) is type(conv)
        assert torch.equal(again(x), 3 * plain)
    conv.gain = 5.0
    assert torch.equal(conv(x), 5 * plain)
    treatment.revert()
    assert type(conv) is nn.Conv2d
    assert list(vars(conv)) == held
    assert torch.equal(conv(x), plain)
    treatment.apply()
    assert conv.gain == 3.0


@pytest.mark.parametrize("first", ["form", "output"])
def test_form_with_a_step(first: str) -> None:
    conv, x = nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8)
    plain = conv(x)
    one, other = Treatment([scaled(conv)]), Treatment([Edit(conv, "output", nn.Tanh())])
    for treatment in (one, other) if first == "form" else (other, one):
        treatment.apply()
    assert type(conv).__name__ == "AntialiasedScaledOfConv2d"
    assert torch.equal(conv(x), torch.tanh(3 * plain))
    one.revert()
    assert torch.equal(conv(x), torch.tanh(plain))
    other.revert()
    assert type(conv) is nn.Conv2d


def test_form_of_a_class_with_a_forward() -> None:
    conv, x = Centred(3, 4, 3), torch.randn(1, 3, 8, 8)
    plain = conv(x)
    treatment = Treatment([scaled(conv)])
    treatment.apply()
    assert isinstance(conv, Scaled)
    assert isinstance(conv, Centred)
    assert torch.equal(conv(x), 3 * plain)
    treatment.revert()
    assert type(conv) is Centred


def test_form_of_a_parametrized_module() -> None:
    conv, x = nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8)
    parametrize.register_parametrization(conv, "weight", Doubled())
    plain = conv(x)
    treatment = Treatment([scaled(conv)])
    treatment.apply()
    assert torch.equal(conv(x), 3 * plain)
    parametrize.remove_parametrizations(conv, "weight")
    assert isinstance(conv, Scaled)
    torch.testing.assert_close(conv(x), 3 * plain)
    treatment.revert()
    assert type(conv) is nn.Conv2d


def test_revert_of_a_form_that_was_taken() -> None:
    conv = nn.Conv2d(3, 4, 3)
    treatment = Treatment([scaled(conv)])
    treatment.apply()
    conv.__class__ = nn.Conv2d
    with pytest.raises(RuntimeError, match="Conv2d was changed after the conversion"):
        treatment.revert()
