"""accelerate and band_limit on definitions people use: timm's ConvNeXt, torchvision's ResNet."""

import pytest
import torch
from torch import Tensor, nn

from freqops import BandLimitedConv2d, FFTConv2d, accelerate, band_limit

torchvision = pytest.importorskip("torchvision")
timm = pytest.importorskip("timm")


def close(y: Tensor, expected: Tensor) -> None:
    assert (y - expected).abs().max() <= 1e-5 * expected.abs().max()


def visible(model: nn.Module) -> nn.Module:
    """With layer scales of 1 in place of 1e-6, below which no block would count."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".gamma"):
                parameter.fill_(1.0)
    return model.eval()


def depthwise(site: object) -> bool:
    module: nn.Conv2d = site.module  # type: ignore[attr-defined]
    return module.groups == module.in_channels


@pytest.mark.parametrize("kernel", [7, 31])
def test_convnext(kernel: int) -> None:
    """Its own 7x7 kernels are sooner without FFT; with 31x31 most of them are sooner with it."""
    model = visible(timm.create_model("convnext_atto", depths=(1, 1, 1, 1), kernel_sizes=kernel))
    x = torch.randn(1, 3, 128, 128)
    expected, keys = model(x), list(model.state_dict())
    report = accelerate(model, example=x)
    converted = [row.name for row in report.converted]
    if kernel == 7:
        assert not converted
        assert {row.reason.split(": ")[-1] for row in report} == {
            "not depthwise",
            "torch's own is sooner",
        }
        report = accelerate(model, example=x, faster=depthwise)
    else:
        assert "stages.0.blocks.0.conv_dw" in converted
    assert isinstance(model.stages[0].blocks[0].conv_dw, FFTConv2d)
    assert list(model.state_dict()) == keys
    close(model(x), expected)
    kernels = model.stages[0].blocks[0].conv_dw.weight
    before = kernels.detach().clone()
    kernels.data[:, :, 3, 3] += 0.05  # what is compared does count
    assert (model(x) - expected).abs().max() > 1e-3 * expected.abs().max()
    kernels.data.copy_(before)
    report.undo()
    assert type(model.stages[0].blocks[0].conv_dw) is nn.Conv2d
    assert torch.equal(model(x), expected)


def test_resnet18() -> None:
    model = torchvision.models.resnet18().eval()
    x = torch.randn(1, 3, 64, 48)
    expected = model(x)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    for compression in (0.0, 0.5):
        report = band_limit(model, compression, example=x)
        assert len(report.converted) == 17
        assert len(report.left_alone) == 3  # shortcuts of one tap
        assert all("BandLimitedConv2d(compression=" in row.after for row in report.converted)
        assert isinstance(model.conv1, BandLimitedConv2d)
        model.load_state_dict(state, strict=True)
        torchvision.models.resnet18().load_state_dict(model.state_dict(), strict=True)
        if compression:
            assert not torch.allclose(model(x), expected, rtol=1e-2)
        else:
            close(model(x), expected)
        report.undo()
    assert torch.equal(model(x), expected)


def test_resnet18_has_nothing_to_accelerate() -> None:
    model = torchvision.models.resnet18().eval()
    report = accelerate(model, example=torch.randn(1, 3, 64, 64))
    assert not report.converted
    assert {row.reason for row in report} == {"not depthwise"}
