"""accelerate and band_limit on definitions people use: timm's ConvNeXt, torchvision's ResNet."""

import pytest
import torch
from torch import Tensor, nn

from freqops import BandLimitedConv2d, FFTConv2d, accelerate, band_limit

torchvision = pytest.importorskip("torchvision")
timm = pytest.importorskip("timm")


def close(y: Tensor, expected: Tensor) -> None:
    scale = expected.abs().max().item()
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5 * max(scale, 1.0))


def depthwise(site: object) -> bool:
    module: nn.Conv2d = site.module  # type: ignore[attr-defined]
    return module.groups == module.in_channels


@pytest.mark.parametrize("kernel", [7, 31])
def test_convnext(kernel: int) -> None:
    """Its own 7x7 kernels are sooner without FFT; with 31x31, the stages of large maps gain."""
    model = timm.create_model("convnext_atto", depths=(1, 1, 1, 1), kernel_sizes=kernel).eval()
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
