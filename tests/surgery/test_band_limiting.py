"""band_limit: which convolutions are cut, to which band, and that nothing else changes."""

import copy
import io
import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from surgery.models import Calls, Parallel, Plain, Residual, Signals
from surgery.test_treatment import attributes
from torch import Tensor, nn

from freqops import BandLimitedConv2d, accelerate, antialias, band_limit, band_limited_conv2d
from freqops.surgery import Row

MODELS: dict[str, tuple[type[nn.Module], tuple[int, ...]]] = {
    "plain": (Plain, (2, 3, 30, 41)),
    "residual": (Residual, (2, 3, 32, 32)),
    "calls": (Calls, (1, 3, 128, 96)),
    "parallel": (Parallel, (2, 3, 17, 24)),
    "signals": (Signals, (2, 4, 256)),
}


def made(name: str) -> tuple[nn.Module, Tensor]:
    make, size = MODELS[name]
    return make().eval(), torch.randn(size)


def close(y: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)


@pytest.fixture(params=list(MODELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# --- what it computes ----------------------------------------------------------------------------


def test_without_compression_nothing_changes(name: str) -> None:
    model, x = made(name)
    expected = model(x)
    report = band_limit(model, 0, example=x)
    assert report.converted
    close(model(x), expected)


def test_sizes_stay_and_numbers_change(name: str) -> None:
    model, x = made(name)
    expected = model(x)
    band_limit(model, 0.5, example=x)
    y = model(x)
    assert y.shape == expected.shape
    assert not torch.allclose(y, expected, rtol=1e-3, atol=1e-3)


def test_computes_what_the_function_does() -> None:
    """With a batch norm between, and the shortcut that stays."""
    model, x = made("residual")
    block: Any = copy.deepcopy(model).one  # type: ignore[union-attr]
    band_limit(model, 0.6, example=x, include="one")
    x = torch.randn(2, 8, 20, 21)
    y = band_limited_conv2d(x, block.conv1.weight, None, 2, 1, compression=0.6)
    y = F.relu(block.bn1(y))
    y = block.bn2(band_limited_conv2d(y, block.conv2.weight, None, 1, 1, compression=0.6))
    shortcut = band_limited_conv2d(x, block.shortcut[0].weight, None, 2, compression=0.6)
    expected = F.relu(y + block.shortcut[1](shortcut))
    close(model.one(x), expected)  # type: ignore[operator,union-attr]


def test_undo_gives_back_the_same_bits(name: str) -> None:
    model, x = made(name)
    before, classes = attributes(model), [type(module) for module in model.modules()]
    expected = model(x)
    report = band_limit(model, 0.75, example=x)
    assert attributes(model) != before
    report.undo()
    assert attributes(model) == before
    assert [type(module) for module in model.modules()] == classes
    assert torch.equal(model(x), expected)


def test_dry_run_changes_nothing(name: str) -> None:
    model, x = made(name)
    before = attributes(model)
    report = band_limit(model, 0.75, example=x, dry_run=True)
    assert report.converted
    assert attributes(model) == before


def test_checkpoints_both_ways(name: str) -> None:
    model, x = made(name)
    other, _ = made(name)
    parameters = list(model.parameters())
    saved = {key: value.clone() for key, value in other.state_dict().items()}
    band_limit(model, 0.5, example=x)
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    model.load_state_dict(saved, strict=True)
    band_limit(other, 0.5, example=x)
    assert torch.equal(model(x), other(x))
    plain, _ = made(name)
    plain.load_state_dict(model.state_dict(), strict=True)


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "save"])
def test_copies(name: str, way: str) -> None:
    model, x = made(name)
    report = band_limit(model, 0.5, example=x)
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
    report.undo()
    assert torch.equal(again(x), expected)


def test_compiles(name: str) -> None:
    model, x = made(name)
    band_limit(model, 0.5, example=x)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    close(compiled(x), model(x))


def test_trains() -> None:
    """The loss of a tiny task goes down, and every parameter takes part."""
    model, x = made("residual")
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    report = band_limit(model.train(), 0.5, example=x)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = (model(x) - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert len(report.converted) == 5


# --- rows ----------------------------------------------------------------------------------------


def test_rows() -> None:
    """The share of the half spectrum's area: 0.36 is left, so 0.6 of each side."""
    model, x = made("plain")
    (row,) = band_limit(model, 0.64, example=torch.randn(1, 3, 30, 54))
    assert row == Row(
        "conv",
        "conv",
        "Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)",
        "BandLimitedConv2d(compression=0.64), 0-9x0-16 of 0-16x0-28 frequencies of 32x56 samples",
        "",
    )
    conv: Any = model.get_submodule("conv")
    assert isinstance(conv, BandLimitedConv2d)
    assert conv.compression == 0.64
    assert repr(conv).startswith("BandLimitedConv2d(3, 8, kernel_size=(3, 3)")
    assert model(x).shape == (2, 5)


def test_every_frequency() -> None:
    (row,) = band_limit(Plain(), 0.0, example=torch.randn(1, 3, 30, 54))
    assert row.after == "BandLimitedConv2d(compression=0.0), every frequency"


def test_one_tap_is_left_alone_unless_included() -> None:
    model, x = made("residual")
    report = band_limit(model, 0.5, example=x)
    assert {row.name: row.reason for row in report.left_alone} == dict.fromkeys(
        ("one.shortcut.0", "two.shortcut.0"),
        "one tap: a band would be a low-pass only; include it by name",
    )
    report.undo()
    report = band_limit(model, 0.5, example=x, include="*shortcut*")
    assert [row.name for row in report.converted] == ["one.shortcut.0", "two.shortcut.0"]


def test_exclude() -> None:
    model, x = made("residual")
    report = band_limit(model, 0.5, example=x, exclude=["one", "stem"])
    assert [row.name for row in report.converted] == ["two.conv1", "two.conv2"]


def test_call_with_other_arguments_is_the_function() -> None:
    """What was converted for one stride is no band-limited convolution at another."""

    class Strided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))
            self.stride = 1

        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(x, self.weight, None, self.stride)

    model, x = Strided(), torch.randn(1, 3, 16, 16)
    (row,) = band_limit(model, 0.5, example=x)
    assert row.name == "forward:conv2d"
    assert row.after.startswith("band_limited_conv2d(compression=0.5), 0-")
    assert torch.equal(model(x), band_limited_conv2d(x, model.weight, compression=0.5))
    model.stride = 2
    close(model(x), F.conv2d(x, model.weight, None, 2))
    (again,) = band_limit(model, 0.5, example=x)
    assert again.reason == "already a band-limited convolution"


def test_after_other_conversions() -> None:
    """Each computes a convolution in one way, whichever came first; antialias has its own rows."""
    conv = nn.Conv2d(8, 8, 27, 2, 13, groups=8)
    x = torch.randn(1, 8, 64, 64)
    first = accelerate(conv, example=x, faster=lambda site: True)
    (row,) = band_limit(conv, 0.5, example=x)
    assert row.reason == "is an FFTConv2d already"
    first.undo()
    band_limit(conv, 0.5, example=x)
    (row,) = accelerate(conv, example=x)
    assert row.reason == "is a BandLimitedConv2d already"
    (row,) = antialias(conv, example=x)
    assert row.after.startswith("stride 1, BlurPool2d(taps=3, stride=2)")
    assert type(conv).__name__ == "AntialiasedBandLimitedConv2d"
    assert conv(x).shape == (1, 8, 32, 32)


def test_cost() -> None:
    """By hand: half the area of 17 x 17 frequencies is 12 x 12, the rows on both sides of 0."""
    model = nn.Conv2d(3, 8, 3, padding=1).eval()
    x = torch.randn(2, 3, 30, 30)
    (site,) = band_limit(model, 0.5, example=x).cost(x, repeats=1).sites
    bins, planes = 23 * 12, 2 * (3 + 8)
    assert site.macs == planes * 1.25 * 1024 * 10 + 4 * bins * 2 * 24 - 2 * 8 * 900 * 27
    assert site.bytes == 8 * bins * (2 * planes + 24)


@pytest.mark.parametrize(
    ("compression", "error", "sentence"),
    [
        (1.0, ValueError, r"band_limit: compression must be in \[0, 1\), got 1.0"),
        (-0.1, ValueError, r"band_limit: compression must be in \[0, 1\), got -0.1"),
        (float("nan"), ValueError, r"band_limit: compression must be in \[0, 1\), got nan"),
        ("half", TypeError, "band_limit: compression must be a number, got str"),
        (True, TypeError, "band_limit: compression must be a number, got bool"),
    ],
)
def test_rejects(compression: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        band_limit(Plain(), compression)
