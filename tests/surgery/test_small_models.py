"""Small networks of the kinds people build themselves: sites, sizes, grid and the way back."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from surgery.models import sizes_inside
from torch import Tensor, nn

from freqops import BlurPool2d, MaxBlurPool2d, antialias, blur_pool1d, max_blur_pool2d


class SharedWeights(nn.Module):
    """DACNN: one encoder for two views, whose features are compared."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 5, 2, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.twin = self.encoder
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.encoder(x), self.twin(x.flip(-1))
        y: Tensor = self.head((one - other).abs().mean((2, 3)))
        return y


class Dilated(nn.Module):
    """CoConv's pyramid: branches of several dilations read one map, then a plain block."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.levels = nn.ModuleList(
            nn.Conv2d(16, 8, 3, 2, padding=d, dilation=d, bias=False) for d in (1, 2, 3, 4)
        )
        self.norm, self.act = nn.BatchNorm2d(32), nn.ReLU()
        self.last = nn.Conv2d(32, 8, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y: Tensor = self.last(self.act(self.norm(torch.cat([c(x) for c in self.levels], 1))))
        return y


class Spectrogram(nn.Module):
    """Pools frequencies and keeps every frame: MaxPool2d((2, 1))."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.pool = nn.MaxPool2d((2, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pool(torch.relu(self.two(self.pool(torch.relu(self.one(x))))))
        return y


class EEG(nn.Module):
    """EEGNet: a temporal and a spatial convolution, averages along time, a separable one."""

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Conv2d(1, 8, (1, 33), padding=(0, 16), bias=False)
        self.space = nn.Conv2d(8, 16, (12, 1), groups=8, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.pool = nn.AvgPool2d((1, 4))
        self.deep = nn.Conv2d(16, 16, (1, 16), stride=(1, 2), padding=(0, 8), groups=16)
        self.last = nn.AvgPool2d((1, 8))
        self.head = nn.LazyLinear(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.elu(self.norm(self.space(self.time(x.unsqueeze(1))))))
        x = F.dropout(self.last(F.elu(self.deep(x))), 0.25, self.training)
        y: Tensor = self.head(x.flatten(1))
        return y


class Genome(nn.Module):
    """Basset: wide filters over the four bases, pools of 3 and 4, a strided convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.motifs = nn.Conv1d(4, 16, 19, padding=9)
        self.deep = nn.Conv1d(16, 16, 11, stride=4, padding=5)
        self.norm = nn.BatchNorm1d(16)
        self.head = nn.Conv1d(16, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool1d(torch.relu(self.motifs(x)), 3)
        x = F.max_pool1d(F.gelu(self.norm(self.deep(x))), 4, 4)
        y: Tensor = self.head(x).mean(-1)
        return y


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...], int]] = {
    "shared weights": (SharedWeights, (2, 1, 33, 40), (1, 1, 50, 31), 2),
    "dilated branches": (Dilated, (2, 3, 33, 40), (1, 3, 50, 31), 5),
    "spectrogram": (Spectrogram, (2, 1, 40, 21), (1, 1, 33, 17), 1),
    "eeg": (EEG, (2, 12, 257), (1, 12, 256), 3),
    "genome": (Genome, (2, 4, 600), (1, 4, 601), 3),
}


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_small_model(name: str) -> None:
    make, size, other, sites = MODELS[name]
    model, x = make().eval(), torch.randn(size)
    model(x)  # a lazy layer gets its parameters
    y = torch.randn(other)
    plain, state = model(x), copy.deepcopy(model.state_dict())
    given = [model(one).shape for one in (x, y)]

    if name != "dilated branches":  # its shared blur is in front: one tap is none, and no test
        same = antialias(model, taps=1, example=x)
        torch.testing.assert_close(model(x), plain, rtol=1e-4, atol=1e-5)
        same.undo()
    report = antialias(model, example=x)
    assert len(report.converted) == len(report) == sites
    assert [model(one).shape for one in (x, y)] == given
    converted = model(x)
    assert not torch.allclose(converted, plain, rtol=1e-3)
    assert {key: value.shape for key, value in model.state_dict().items()} == {
        key: value.shape for key, value in state.items()
    }
    model.load_state_dict(state, strict=True)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again(x), converted)
    report.undo()
    assert torch.equal(model(x), plain)


def test_shared_weights_stay_shared() -> None:
    model = SharedWeights().eval()
    report = antialias(model)
    assert model.twin is model.encoder
    assert [row.name for row in report] == ["encoder.0", "encoder.3"]
    assert "it is called 2 times" in report["encoder.0"].after
    assert len(list(model.parameters())) == len(list(SharedWeights().parameters()))


def test_dilated_branches_share_one_blur() -> None:
    model = Dilated().eval()
    x = torch.randn(1, 3, 32, 32)
    before = sizes_inside(model, x)
    report = antialias(model, example=x)
    levels = [row for row in report if row.name.startswith("levels")]
    assert len(levels) == 4
    assert len({row.after for row in levels}) == 1
    blurs = [path for path, one in model.named_modules() if isinstance(one, BlurPool2d)]
    assert blurs == ["stem.2.antialias_output", "last.antialias_output"]
    now = sizes_inside(model, x)
    assert {path for path in before if now[path] != before[path]} == set()


def test_blur_along_the_pooled_axis_only() -> None:
    model, x = Spectrogram().eval(), torch.randn(1, 1, 40, 21)
    antialias(model, example=x)
    assert sum(isinstance(one, MaxBlurPool2d) for one in model.modules()) == 1
    y = torch.relu(model.one(x))
    expected = max_blur_pool2d(y, (2, 1), (3, 1), (2, 1))
    torch.testing.assert_close(model.pool(y), expected)
    frames = F.max_pool2d(y, (2, 1), 1)
    for column in (0, 7, 20):  # each frame by itself
        one = blur_pool1d(frames[..., column].contiguous())
        torch.testing.assert_close(expected[..., column], one)


# --- what is not a plain layer ------------------------------------------------------------------


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("stride", [2, 3, 4])
@torch.no_grad()
def test_tensorflow_padding_keeps_its_grid(kernel: int, stride: int) -> None:
    """With one tap nothing is blurred, and at stride 1 "SAME" pads otherwise than at the stride."""
    conv2d_same, pool2d_same, std_conv = (
        pytest.importorskip(f"timm.layers.{name}")
        for name in ("conv2d_same", "pool2d_same", "std_conv")
    )
    for size in (16, 17, 19, 22):
        x, other = torch.randn(1, 4, size, size + 1), torch.randn(1, 4, size + 5, size + 2)
        for layer in (
            conv2d_same.Conv2dSame(4, 4, kernel, stride),
            std_conv.ScaledStdConv2dSame(4, 4, kernel, stride, padding="same"),
            pool2d_same.MaxPool2dSame(kernel, stride),
            pool2d_same.AvgPool2dSame(kernel, stride),
        ):
            model = nn.Sequential(layer)
            plain = [model(one) for one in (x, other)]
            assert antialias(model, taps=1, example=x).converted
            for one, was in zip((x, other), plain, strict=True):
                torch.testing.assert_close(model(one), was)


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("stride", [2, 3, 4])
@torch.no_grad()
def test_tensorflow_padding_keeps_its_grid_in_the_spectrum(kernel: int, stride: int) -> None:
    """Coarse waves that fit the map come through untouched, sample for sample."""
    conv2d_same = pytest.importorskip("timm.layers.conv2d_same").Conv2dSame
    for outputs in (5, 6, 7):
        size = stride * outputs
        across, down = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        x = torch.cos(2 * torch.pi * (across + 2 * down) / size + 1).expand(1, 1, -1, -1)
        model = nn.Sequential(conv2d_same(1, 1, kernel, stride, bias=False))
        model[0].weight.zero_()
        model[0].weight[..., (kernel - 1) // 2, (kernel - 1) // 2] = 1  # never sees the padding
        plain = model(x)
        assert antialias(model, "flc", example=x).converted
        assert plain.std() > 0.5
        torch.testing.assert_close(model(x), plain, rtol=0, atol=1e-5)


class Half(nn.Module):
    def __init__(self, ratio: int, mode: str) -> None:
        super().__init__()
        self.ratio, self.mode = ratio, mode

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=1 / self.ratio, mode=self.mode)


@pytest.mark.parametrize("taps", [None, 2, 5])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "area"])
@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_interpolation_keeps_its_grid(ratio: int, mode: str, taps: Any) -> None:
    """The samples of a ramp say where they were taken."""
    model, x = Half(ratio, mode), torch.arange(24.0 * ratio).expand(1, 1, 24 * ratio, -1)
    plain = model(x)
    (row,) = antialias(model, taps=taps, example=x)
    assert row.after
    torch.testing.assert_close(model(x)[..., 6:-6], plain[..., 6:-6])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantised_modules_are_left_alone() -> None:
    quantisation = pytest.importorskip("torch.ao.quantization")

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.quant, self.dequant = quantisation.QuantStub(), quantisation.DeQuantStub()
            self.conv, self.relu = nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()
            self.pool = nn.MaxPool2d(2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.dequant(self.pool(self.relu(self.conv(self.quant(x)))))
            return y

    model, x = Model().eval(), torch.rand(1, 3, 16, 16)
    model.qconfig = quantisation.get_default_qconfig(torch.backends.quantized.engine)
    prepared = quantisation.prepare(model)
    prepared(x)
    ready = quantisation.convert(prepared)
    plain = ready(x)
    report = antialias(ready)
    assert not report.converted
    assert "is quantised" in report["conv"].reason
    assert "gets integers" in report["pool"].reason
    assert torch.equal(ready(x), plain)
