"""Nothing of the run that makes a trace is left; how the run is done."""

import logging
import random

import numpy as np
import pytest
import torch
from surgery.tracing.traced import SMALL, Lambda, Small, names, only, traced
from torch import Tensor, nn

from freqops.surgery.tracing.trace import trace


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
