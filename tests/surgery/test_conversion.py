"""The report: rows, table, JSON, cost."""

import json
from pathlib import Path

import pytest
import torch
from surgery.models import Calls, Parallel, Plain, Residual, Volumes
from torch import nn

from freqops import Conversion, antialias
from freqops.surgery import Cost, Row
from freqops.surgery.treatment import is_treated


@pytest.fixture
def model() -> Plain:
    return Plain().eval()


def test_rows(model: Plain) -> None:
    report = antialias(model, "pool_only")
    assert isinstance(report, Conversion)
    assert len(report) == 2
    conv, pool = report
    assert conv == report[0] == report["conv"]
    assert conv == Row(
        "conv",
        "conv",
        "Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)",
        "",
        "pool_only leaves convolutions as they are",
    )
    assert pool.kind == "max_pool"
    assert pool.reason == ""
    assert report.converted == (pool,)
    assert report.left_alone == (conv,)
    with pytest.raises(AttributeError):
        conv.after = "changed"  # type: ignore[misc]
    with pytest.raises(KeyError):
        report["nothing"]


def test_table(model: Plain) -> None:
    text = str(antialias(model, "pool_only"))
    header, line, conv, pool, summary = text.splitlines()
    assert header.split() == ["site", "was", "is"]
    assert set(line) == {"-"}
    assert conv.endswith("left alone: pool_only leaves convolutions as they are")
    assert pool.endswith("MaxBlurPool2d(kernel_size=3, max_padding=1, taps=3, stride=2)")
    assert summary.startswith("1 of 2 sites converted by 'pool_only'; seen on fake tensors")
    assert conv.index("left alone") == pool.index("MaxBlurPool2d") == header.index("is")


def test_json(model: Plain, tmp_path: Path) -> None:
    report = antialias(model)
    report.save(tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["recipe"] == "zhang"
    assert content["dry_run"] is False
    assert [Row(**row) for row in content["rows"]] == list(report)


# --- cost ---------------------------------------------------------------------------------------


def test_counts(model: Plain) -> None:
    """By hand: 32 x 32 in, so the convolution makes 32 x 32 instead of 16 x 16 maps."""
    report = antialias(model)
    cost = report.cost(torch.randn(2, 3, 32, 32), repeats=1)
    conv, pool = cost.sites
    added = 2 * 8 * (32 * 32 - 16 * 16)
    blur = 2 * 8 * 3 * (16 * 32 + 16 * 16)
    assert conv.macs == added * 27 + blur
    # conv, norm and relu each write a larger map that is read again; then the blur writes
    assert conv.bytes == 2 * 4 * (3 * added + 2 * 8 * 16 * 16)
    assert pool.macs == 2 * 8 * 3 * (8 * 16 + 8 * 8)
    assert pool.bytes == 0
    assert cost.macs == conv.macs + pool.macs
    assert cost.bytes == conv.bytes


def test_counts_of_a_shortcut() -> None:
    """The blur in front of a 1x1 convolution adds no convolution."""
    report = antialias(Residual().eval(), include="one.shortcut.0")
    (site,) = report.cost(torch.randn(1, 3, 32, 32), repeats=1).sites
    assert site.macs == 8 * 3 * (16 * 32 + 16 * 16)
    assert site.bytes == 2 * 4 * 8 * 16 * 16


def test_counts_of_a_shared_blur() -> None:
    """It counts once, and blurs what the convolutions read."""
    report = antialias(Parallel().eval())
    first, *others = report.cost(torch.randn(1, 3, 32, 32), repeats=1).sites
    assert first.macs == 2 * 8 * 3 * 32 * 32
    assert first.bytes == 2 * 4 * 8 * 32 * 32
    assert {(site.macs, site.bytes) for site in others} == {(0, 0)}


def test_counts_of_composer() -> None:
    report = antialias(Residual().eval(), "composer", include="two.conv1")
    (site,) = report.cost(torch.randn(1, 3, 32, 32), repeats=1).sites
    assert site.macs == 2 * 16 * 3 * 16 * 16


def test_counts_of_spectral_pooling() -> None:
    """A matrix along each axis; behind the convolution, in front of the shortcut."""
    report = antialias(Residual().eval(), "flc", include="one")
    conv, shortcut = report.cost(torch.randn(2, 3, 31, 40), repeats=1).sites
    added = 31 * 40 - 16 * 20
    assert conv.macs == 2 * 16 * (8 * 9 * added + 16 * 31 * 40 + 16 * 40 * 20)
    assert conv.bytes == 2 * 4 * 2 * 16 * (added + 16 * 20)
    assert shortcut.macs == 2 * 8 * (16 * 31 * 40 + 16 * 40 * 20)
    assert shortcut.bytes == 2 * 4 * 2 * 8 * 16 * 20


def test_counts_of_spectral_pooling_alone() -> None:
    """In the place of an average it reads and writes what that did; one axis has no stride."""
    model = nn.Sequential(nn.AvgPool2d((1, 3)))
    (site,) = antialias(model, "flc").cost(torch.randn(2, 3, 9, 20), repeats=1).sites
    assert (site.macs, site.bytes) == (2 * 3 * 9 * 20 * 6, 0)


def test_counts_follow_the_example(model: Plain) -> None:
    report = antialias(model, example=torch.randn(1, 3, 16, 16))
    small = report.cost(torch.randn(1, 3, 16, 16), repeats=1)
    large = report.cost(torch.randn(4, 3, 32, 32), repeats=1)
    assert large.macs == 16 * small.macs


def test_measured(model: Plain) -> None:
    x = torch.randn(2, 3, 64, 64)
    model.train()
    report = antialias(model)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    model.eval()
    expected = model(x)
    model.train()
    cost = report.cost(x, repeats=3)
    assert isinstance(cost, Cost)
    assert model.training
    assert cost.milliseconds_before > 0
    assert cost.milliseconds_after > 0
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert not model.conv._forward_hooks
    assert is_treated(model.conv)
    assert torch.equal(model.eval()(x), expected)
    assert [line.split()[0] for line in str(cost).splitlines()[2:-1]] == ["conv", "pool", "total"]
    assert json.loads(cost.to_json())["sites"][0]["name"] == "conv"


@pytest.mark.parametrize("recipe", ["zhang", "flc"])
@pytest.mark.parametrize(
    ("make", "size"), [(Calls, (1, 3, 128, 128)), (Volumes, (1, 1, 8, 32, 32))]
)
def test_cost_of_all_kinds(make: type[nn.Module], size: tuple[int, ...], recipe: str) -> None:
    report = antialias(make().eval(), recipe, example=torch.randn(size))
    cost = report.cost(torch.randn(size), repeats=1)
    assert [site.name for site in cost.sites] == [row.name for row in report]
    assert all(site.macs > 0 for site in cost.sites)


def test_cost_of_nothing(model: Plain) -> None:
    x = torch.randn(1, 3, 16, 16)
    report = antialias(model)
    report.undo()
    with pytest.raises(RuntimeError, match="undone or a dry run"):
        report.cost(x)
    with pytest.raises(RuntimeError, match="undone or a dry run"):
        antialias(model, dry_run=True).cost(x)
