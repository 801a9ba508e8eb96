"""What antialias finds in a model, and what it leaves alone and why."""

from typing import Any

import torch
import torch.nn.functional as F
from surgery.models import (
    Calls,
)
from torch import Tensor, nn

import freqops
from freqops import BlurPool2d, antialias
from freqops.surgery.steps.blurs import axis_taps
from freqops.surgery.treatment import is_treated


def reasons(model: nn.Module, **options: Any) -> dict[str, str]:
    return {row.name: row.reason for row in antialias(model, **options)}


class Traps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 4, 3, padding="same")
        self.indices = nn.MaxPool2d(2, return_indices=True)
        self.divided = nn.AvgPool2d(2, divisor_override=3)
        self.blur = BlurPool2d()
        self.unused = nn.Conv2d(4, 4, 3, 2)
        self.patched = nn.MaxPool2d(2)
        self.patched.forward = lambda x: F.max_pool2d(x, 2)  # type: ignore[method-assign]
        self.gentle = nn.MaxPool2d(3, 1, 1)
        self.lp = nn.LPPool2d(2, 2)
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)
        self.whole = nn.AvgPool2d(4)
        self.last = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.indices(self.one(x))
        x = self.lp(self.gentle(self.patched(self.blur(self.divided(x)))))
        x = self.up(x)
        values, _ = F.max_pool2d(x, 2, return_indices=True)
        y: Tensor = self.last(self.whole(values))
        return y


def test_left_alone() -> None:
    model = Traps().eval()
    found = reasons(model, example=torch.randn(2, 3, 128, 128))
    assert found == {
        "indices": "returns indices, which an unpooling layer reads",
        "divided": "divisor_override makes it more than an average",
        "blur": "low-passes already",
        "patched": "has a forward that was set on the object",
        "lp": "no recipe has a form of this pool",
        "forward:max_pool2d": "returns indices, which an unpooling layer reads",
        "whole": "global: one sample is left of an axis",
        "unused": "is never called on the example",
    }
    assert not any(is_treated(module) for module in model.modules())


def test_patches_are_converted_when_named() -> None:
    model, x = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.GELU()), torch.randn(2, 3, 40, 48)
    assert "stride 8 cuts it into patches; include it by name" in reasons(model, example=x)["0"]
    assert antialias(model, include="0", example=x)["0"].after
    assert model(x).shape == (2, 8, 5, 6)


def test_kinds_and_geometries() -> None:
    """Each at sizes that are no multiple of anything."""
    layers: list[nn.Module] = [
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.MaxPool2d(2, stride=(2, 1)),
        nn.MaxPool2d((2, 1)),
        nn.MaxPool2d(1, 2),
        nn.MaxPool2d(3, 2, 1, dilation=2),
        nn.MaxPool2d(2, 3),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        nn.AvgPool2d((3, 2), (2, 1)),
        nn.Conv2d(4, 4, 3, 2, groups=4),
        nn.Conv2d(4, 4, (1, 3), (2, 1), (0, 1)),
        nn.Conv2d(4, 4, 2, 2),
        nn.Conv2d(4, 4, 1, 2, padding=1),
        nn.Conv2d(4, 4, 3, (1, 3), dilation=2, padding="valid"),
        nn.Conv2d(4, 4, 4, 4, padding_mode="circular", padding=1),
    ]
    for layer in layers:
        model = nn.Sequential(layer, nn.ReLU())
        before = [model(torch.ones(1, 4, h, w)).shape for h in range(9, 17) for w in (9, 14, 15)]
        (row,) = antialias(model, example=torch.randn(2, 4, 12, 13))
        assert row.after, layer
        after = [model(torch.ones(1, 4, h, w)).shape for h in range(9, 17) for w in (9, 14, 15)]
        assert after == before, layer


def test_adaptive_pools() -> None:
    model = nn.Sequential(nn.AdaptiveAvgPool2d((4, 3)), nn.AdaptiveMaxPool2d((2, None)))
    x, other = torch.randn(2, 4, 16, 9), torch.randn(2, 4, 17, 10)
    expected = model(other)
    report = antialias(model, example=x)
    assert len(report.converted) == 2
    assert model(x).shape == (2, 4, 2, 3)
    assert model(other).shape == expected.shape
    plain = nn.AdaptiveAvgPool2d((4, 3))
    assert torch.equal(model[0](other), plain(other))  # no whole ratio: as it was
    assert not torch.equal(model[0](x), plain(x))
    odd = nn.Sequential(nn.AdaptiveAvgPool2d(5))
    assert reasons(odd, example=x) == {"0": "its sizes have no whole ratio"}
    same = nn.Sequential(nn.AdaptiveAvgPool2d((16, 9)))
    assert reasons(same, example=x) == {}


def test_upsample_that_makes_smaller() -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=0.5), nn.Upsample(scale_factor=2))
    x = torch.randn(1, 2, 8, 8)
    (row,) = antialias(model, example=x)
    assert row.kind == "interpolate"
    assert torch.equal(model(x), F.interpolate(freqops.blur_pool2d(x), scale_factor=2))
    corners = nn.Sequential(nn.Upsample((4, 4), mode="bilinear", align_corners=True))
    assert "another kind of sampling" in reasons(corners, example=x)["0"]


def test_an_average_longer_than_the_taps_stays() -> None:
    """The power of an EEG in windows: a blur of 29 taps is no average of 75 samples."""
    model, x = nn.Sequential(nn.AvgPool1d(75, 15, ceil_mode=True)), torch.randn(2, 3, 500)
    expected = [model(torch.ones(1, 1, n)).shape for n in range(490, 510)]
    antialias(model, example=x)
    (taps,) = axis_taps(3, (15,))
    windows = [x[..., i : i + 75].mean(-1) for i in range(29 * 15 + 1)]  # the last ones shorter
    expected_values = freqops.blur_pool1d(torch.stack(windows, -1), taps, 15)
    torch.testing.assert_close(model(x), expected_values)
    assert [model(torch.ones(1, 1, n)).shape for n in range(490, 510)] == expected


def test_a_long_stride_that_cuts_no_patches() -> None:
    """As the first layer of networks for sound."""
    model, x = nn.Sequential(nn.Conv1d(1, 8, 80, 16), nn.ReLU()), torch.randn(2, 1, 1000)
    shape = model(x).shape
    (row,) = antialias(model, example=x)
    assert "taps=31, stride=16" in row.after
    assert model(x).shape == shape


class SamePool(nn.MaxPool2d):
    """A subclass that pads as TensorFlow does."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for size in (x.shape[-1], x.shape[-2]):
            total = max(0, (-(-size // self.stride) - 1) * self.stride + self.kernel_size - size)
            pads += [total // 2, total - total // 2]
        x = F.pad(x, pads, value=float("-inf"))
        return F.max_pool2d(x, self.kernel_size, self.stride)


def test_subclass_with_a_forward_of_its_own() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), SamePool(3, 2))
    inputs = [torch.randn(1, 3, size, size + 3) for size in (10, 11, 16)]
    before = [model(x).shape for x in inputs]
    report = antialias(model, example=inputs[0])
    assert [row.name for row in report] == ["1"]  # the call in its forward is the same site
    assert (
        report["1"].after
        == "stride 1, SameBlur(kernel_size=(3, 3), stride=(2, 2), taps=3) behind it"
    )
    assert [model(x).shape for x in inputs] == before


class OddStride(nn.Conv2d):
    """A subclass whose output does not follow from its stride as a convolution's does."""

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == (1, 1):
            return super().forward(F.pad(x, (4, 4, 4, 4)))
        return super().forward(x)


def test_a_size_that_would_change_is_a_row() -> None:
    model = nn.Sequential(OddStride(3, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2))
    x = torch.randn(1, 3, 16, 16)
    expected = F.max_pool2d(torch.relu(model[0](x)), 2, 1)
    report = antialias(model, example=x)
    assert report["0"].reason == "with it 1 would give [1, 4, 12, 12], not [1, 4, 8, 8]"
    assert report["2"].after
    assert torch.equal(model(x), freqops.blur_pool2d(expected))


def test_functions_in_places_of_all_kinds() -> None:
    model, x = Calls().eval(), torch.randn(2, 3, 128, 128)
    names = [row.name for row in antialias(model, example=x)]
    assert names == [
        "one",
        "_features:max_pool2d",
        "_features:avg_pool2d",
        "forward:max_pool2d",
        "forward:conv2d",
        "forward:interpolate",
    ]


class Looped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for kernel in (2, 2):
            x = F.max_pool2d(x, kernel)
        y = F.avg_pool2d(x, 2)
        for kernel in (2, 4):
            y = F.avg_pool2d(y, kernel)
        return y


def test_functions_in_loops() -> None:
    model, x = Looped(), torch.randn(1, 2, 64, 65)
    found = antialias(model, example=x)
    assert [row.name for row in found] == [
        "forward:max_pool2d",
        "forward:avg_pool2d",
        "forward:avg_pool2d#2",
    ]
    assert found[2].reason == "is called with different arguments in one forward"
    y = freqops.max_blur_pool2d(freqops.max_blur_pool2d(x))
    assert model(x).shape == F.avg_pool2d(F.avg_pool2d(F.avg_pool2d(y, 2), 2), 4).shape


def halved(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2)


class Helped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return halved(x)


class Contained(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(super().forward(x), 2)


class Global(nn.Module):
    """The whole map at once, as squeeze-and-excite was once written."""

    def forward(self, x: Tensor) -> Tensor:
        y = F.avg_pool2d(x, x.shape[2:])
        return y + F.avg_pool2d(x, kernel_size=x.size()[2:])


def test_averages_over_everything_are_left_alone() -> None:
    found = reasons(Global(), example=torch.randn(1, 3, 16, 18))
    assert set(found.values()) == {"global: one sample is left of an axis"}
    assert len(found) == 2


class BlurNet(nn.Module):
    """A name that says little, and kornia's layer, which has a pool inside."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2)
        self.low = BlurPool2D(4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.low(self.conv(x))
        return y


class BlurPool2D(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.Conv2d(channels, channels, 3, 1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.pool(x), 2)


def test_blurs_of_others() -> None:
    report = antialias(BlurNet(), example=torch.randn(1, 3, 16, 18))
    assert [(row.name, row.kind, bool(row.after)) for row in report] == [
        ("conv", "conv", True),
        ("low", "blur", False),
    ]


def test_unbatched_input() -> None:
    model, x = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.MaxPool2d(2)), torch.randn(5, 16, 8)
    report = antialias(model, example=x)
    assert len(report.converted) == 2
    assert model(x).shape == (5, 2, 2)


def test_functions_that_are_left_alone() -> None:
    x = torch.randn(1, 3, 16, 16)
    (reason,) = reasons(Helped(), example=x).values()
    assert "halved, which is no method of a module" in reason
    (reason,) = reasons(Contained(nn.ReLU()), example=x).values()
    assert reason == "its Contained would run a step as one of its own modules"


def test_without_a_trace() -> None:
    """Types alone are known; every row says so."""

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(10, 4)
            self.conv = nn.Conv1d(4, 4, 3, 2, 1)
            self.act = nn.ReLU()
            self.pool = nn.MaxPool1d(2)
            self.mean = nn.AvgPool1d(8)
            self.last = nn.AdaptiveAvgPool1d(1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.pool(self.act(self.conv(self.words(x).transpose(1, 2))))
            return y

    model, x = Words().eval(), torch.randint(10, (2, 33))
    shape = model(x).shape
    report = antialias(model)
    assert "without a trace" in str(report)
    assert report["conv"].after.startswith(
        "stride 1, BlurPool1d(taps=3, stride=2) before the activation: no trace"
    )
    assert report["mean"].reason == "may be global, which only a trace can tell"
    assert report["last"].reason == "global: one sample is left of an axis"
    assert model(x).shape == shape
    again = antialias(Words(), example=x)  # with one it is seen
    assert again["conv"].after.endswith("behind act")


def test_the_model_is_the_site() -> None:
    pool, x = nn.MaxPool2d(2), torch.randn(1, 2, 9, 9)
    report = antialias(pool, example=x)
    assert torch.equal(pool(x), freqops.max_blur_pool2d(x))
    assert "(model)" in str(report)
    report.undo()
    assert type(pool) is nn.MaxPool2d


def test_lazy_modules_are_left_for_later() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3, 2), nn.ReLU())
    assert "is lazy" in reasons(model, example=torch.randn(1, 3, 8, 8))["0"]
