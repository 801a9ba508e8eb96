"""What each recipe makes of a model, against the same thing written out by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from surgery.models import Block, Calls, Parallel, Plain, Residual, Shared, Signals, Volumes
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from freqops import (
    BlurPool2d,
    antialias,
    blur_pool1d,
    blur_pool2d,
    blur_pool3d,
    flc_pool2d,
    max_blur_pool1d,
    max_blur_pool2d,
    polyphase_pool2d,
    spectral_pool1d,
)
from freqops.surgery.sites.site import Site
from freqops.surgery.steps.blurs import axis_taps
from freqops.surgery.steps.polyphase import Polyphase
from freqops.surgery.steps.pools import AverageBlur
from freqops.surgery.steps.window import pool_window


def at_stride_1(conv: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = conv._conv_forward(x, conv.weight, conv.bias)  # its stride is 1 by now
    assert set(conv.stride) == {1}
    return y


def averaged(x: Tensor, kernel: int, taps: int = 3) -> Tensor:
    window = pool_window({"kernel_size": kernel}, x.dim() - 2)
    y: Tensor = AverageBlur(window, axis_taps(taps, window.stride), "reflect")(x)
    return y


# --- zhang --------------------------------------------------------------------------------------


def test_zhang() -> None:
    model, x = Plain().eval(), torch.randn(2, 3, 17, 20)
    antialias(model, example=x)
    y = blur_pool2d(torch.relu(model.norm(at_stride_1(model.conv, x))))
    y = max_blur_pool2d(y, 3, max_padding=1)
    assert torch.equal(model(x), model.head(y.mean((2, 3))))


def block(model: Block, x: Tensor, sampled: Callable[[Tensor], Tensor]) -> Tensor:
    y = sampled(torch.relu(model.bn1(at_stride_1(model.conv1, x))))
    y = model.bn2(at_stride_1(model.conv2, y))
    short: Any = model.shortcut
    z = F.conv2d(sampled(x), short[0].weight)
    return torch.relu(y + short[1](z))


def test_zhang_of_residual_blocks() -> None:
    """The activation is one object for two places: the blur stands before what reads it."""
    model, x = Residual().eval(), torch.randn(2, 3, 33, 30)
    report = antialias(model, example=x)
    y = block(model.two, block(model.one, model.stem(x), blur_pool2d), blur_pool2d)
    torch.testing.assert_close(model(x), y)
    assert "before one.conv2" in report["one.conv1"].after


def test_zhang_of_calls() -> None:
    model, x = Calls().eval(), torch.randn(2, 3, 129, 136)
    plain = model(x)
    antialias(model, example=x)
    y = torch.relu(blur_pool2d(at_stride_1(model.one, x)))
    y = max_blur_pool2d(y, 3)
    y = max_blur_pool2d(averaged(model.two(y), 2), 2)
    y = blur_pool2d(F.conv2d(y, model.weight, None, 1, 1))
    y = averaged(y, 2, taps=4)  # bilinear samples are between two
    torch.testing.assert_close(model(x), y)
    assert y.shape == plain.shape


def test_zhang_of_signals() -> None:
    model, x = Signals().eval(), torch.randn(2, 4, 501)
    antialias(model, example=x)
    (four,) = axis_taps(3, (4,))
    y = blur_pool1d(F.elu(at_stride_1(model.conv, x)), four, 4)
    window = pool_window({"kernel_size": 4}, 1)
    y = AverageBlur(window, (four,), "reflect")(y)
    torch.testing.assert_close(model(x), max_blur_pool1d(y, 3, max_padding=1))


def test_zhang_of_volumes() -> None:
    model, x = Volumes().eval(), torch.randn(1, 1, 9, 31, 30)
    shape = model(x).shape
    antialias(model, example=x)
    y = blur_pool3d(torch.relu(at_stride_1(model.conv, x)), (1, 3, 3), (1, 2, 2))
    size = F.max_pool3d(y, (1, 2, 2), ceil_mode=True).shape
    y = F.max_pool3d(y, (1, 2, 2), 1)
    ends = [(size[3] - 1) * 2 + 2 - y.shape[3], (size[4] - 1) * 2 + 2 - y.shape[4]]
    y = blur_pool3d(y, (1, 3, 3), (1, 2, 2), padding=[(0, 0), (1, ends[0]), (1, ends[1])])
    y = blur_pool3d(F.max_pool3d(y, 3, 1, 1))
    torch.testing.assert_close(model(x), averaged(y, 2))
    assert model(x).shape == shape


def test_one_blur_in_front_of_parallel_convolutions() -> None:
    model, x = Parallel().eval(), torch.randn(2, 3, 17, 17)
    report = antialias(model, example=x)
    y = blur_pool2d(torch.relu(model.stem(x)), 3, 1)
    convs: Any = model.branches
    parts = [F.conv2d(y, c.weight, c.bias, 2, c.padding, c.dilation) for c in convs]
    assert torch.equal(model(x), torch.cat(parts, 1))
    assert sum(isinstance(module, BlurPool2d) for module in model.modules()) == 1
    assert all(row.after.startswith("BlurPool2d(taps=3, stride=1)") for row in report)
    again = antialias(model, example=x)
    assert [row.reason for row in again] == ["already anti-aliased"] * 3


class ParallelAndMore(Parallel):
    """Somebody else reads the tensor too."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.stem(x))
        short = F.max_pool2d(x, 2, 2)
        return torch.cat([short, *(branch(x) for branch in self.branches)], 1)


def test_parallel_convolutions_that_are_not_alone() -> None:
    model, x = ParallelAndMore().eval(), torch.randn(2, 3, 16, 16)
    antialias(model, example=x)
    y = torch.relu(model.stem(x))
    parts = [blur_pool2d(at_stride_1(conv, y)) for conv in model.branches]
    torch.testing.assert_close(model(x), torch.cat([max_blur_pool2d(y), *parts], 1))


def test_shared_modules_are_treated_once() -> None:
    model, x = Shared().eval(), torch.randn(1, 3, 65, 65)
    report = antialias(model, example=x)
    assert [row.name for row in report] == ["pool", "conv"]
    assert model.pool is model.other_pool
    y = model.stem(x)
    for _ in range(2):
        y = torch.relu(blur_pool2d(at_stride_1(model.conv, max_blur_pool2d(y))))
    assert torch.equal(model(x), max_blur_pool2d(y))


class Twice(nn.Module):
    """One convolution, each time with an activation of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, 2, 1)
        self.one, self.two = nn.ReLU(), nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.two(self.conv(self.one(self.conv(x))))
        return y


def test_a_convolution_for_two_places() -> None:
    model, x = Twice().eval(), torch.randn(1, 3, 33, 33)
    (row,) = antialias(model, example=x)
    assert row.after.endswith("before the activation: it is called 2 times")
    y = torch.relu(blur_pool2d(at_stride_1(model.conv, x)))
    assert torch.equal(model(x), torch.tanh(blur_pool2d(at_stride_1(model.conv, y))))


# --- the others ---------------------------------------------------------------------------------


def test_pool_only() -> None:
    model, x = Plain().eval(), torch.randn(2, 3, 17, 20)
    report = antialias(model, "pool_only", example=x)
    y = torch.relu(model.norm(F.conv2d(x, model.conv.weight, None, 2, 1)))
    y = max_blur_pool2d(y, 3, max_padding=1)
    assert torch.equal(model(x), model.head(y.mean((2, 3))))
    assert report["conv"].reason == "pool_only leaves convolutions as they are"


def test_vasconcelos() -> None:
    model, x = Plain().eval(), torch.randn(2, 3, 17, 20)
    antialias(model, "vasconcelos", example=x)
    y = torch.relu(model.norm(blur_pool2d(at_stride_1(model.conv, x))))
    y = max_blur_pool2d(y, 3, max_padding=1)
    torch.testing.assert_close(model(x), model.head(y.mean((2, 3))))


def test_composer() -> None:
    model, x = Residual().eval(), torch.randn(2, 3, 33, 33)
    report = antialias(model, "composer", example=x)
    y, last = model.one(model.stem(x)), model.two
    z = F.conv2d(blur_pool2d(y, 3, 1), last.conv1.weight, None, 2, 1)
    z = last.bn2(last.conv2(torch.relu(last.bn1(z))))
    short: Any = last.shortcut
    z = torch.relu(z + short[1](F.conv2d(blur_pool2d(y, 3, 1), short[0].weight, None, 2)))
    torch.testing.assert_close(model(x), z)
    assert "fewer than 16 channels" in report["one.conv1"].reason


def flc(x: Tensor, stride: Any = 2) -> Tensor:
    pairs = zip(x.shape[-2:], (stride, stride) if isinstance(stride, int) else stride, strict=True)
    return flc_pool2d(x, [-(-size // step) for size, step in pairs])


def test_flc() -> None:
    model, x = Plain().eval(), torch.randn(2, 3, 17, 20)
    report = antialias(model, "flc", example=x)
    y = torch.relu(model.norm(flc(at_stride_1(model.conv, x))))
    y = flc(F.max_pool2d(y, 3, 1, 1))
    torch.testing.assert_close(model(x), model.head(y.mean((2, 3))))
    assert [row.after for row in report] == ["stride 1, FLCPool(stride=2) behind it"] * 2


def test_flc_of_residual_blocks() -> None:
    """The pooling is in front of the shortcut's convolution, where it is cheaper."""
    model, x = Residual().eval(), torch.randn(2, 3, 33, 30)
    report = antialias(model, "flc", example=x)
    y = model.stem(x)
    for part in (model.one, model.two):
        z = torch.relu(part.bn1(flc(at_stride_1(part.conv1, y))))
        short: Any = part.shortcut
        y = torch.relu(part.bn2(part.conv2(z)) + short[1](F.conv2d(flc(y), short[0].weight)))
    torch.testing.assert_close(model(x), y)
    assert report["one.shortcut.0"].after == "FLCPool(stride=2), then stride 1"


def test_flc_and_a_convolution_of_one_sample_commute() -> None:
    conv, x = nn.Conv2d(3, 5, 1, 2).double(), torch.randn(2, 3, 13, 10, dtype=torch.double)
    model = nn.Sequential(conv)
    behind = flc(F.conv2d(x, conv.weight, conv.bias))
    antialias(model, "flc", example=x)
    torch.testing.assert_close(model(x), behind)


def test_flc_of_calls() -> None:
    """An average of windows side by side is nothing but the pooling, as is interpolation."""
    model, x = Calls().eval(), torch.randn(2, 3, 129, 136)
    plain = model(x)
    antialias(model, "flc", example=x)
    y = torch.relu(flc(at_stride_1(model.one, x)))
    y = model.two(flc(F.max_pool2d(y, 3, 1)))
    y = flc_pool2d(y, [size // 2 for size in y.shape[2:]])
    y = flc(F.max_pool2d(y, 2, 1))
    y = flc(F.conv2d(y, model.weight, None, 1, 1))
    y = flc_pool2d(y, [size // 2 for size in y.shape[2:]])
    torch.testing.assert_close(model(x), y)
    assert y.shape == plain.shape


def test_flc_of_signals() -> None:
    model, x = Signals().eval(), torch.randn(2, 4, 501)
    antialias(model, "flc", example=x)
    y = at_stride_1(model.conv, x)
    y = F.elu(spectral_pool1d(y, -(-y.shape[-1] // 4)))
    y = F.max_pool1d(spectral_pool1d(y, y.shape[-1] // 4), 3, 1, 1)
    torch.testing.assert_close(model(x), spectral_pool1d(y, -(-y.shape[-1] // 2)))


def test_flc_of_volumes() -> None:
    """Height and width together, then the depth where it has a stride."""
    model, x = Volumes().eval(), torch.randn(1, 1, 9, 31, 30)
    shape = model(x).shape
    antialias(model, "flc", example=x)
    y = torch.relu(flc(at_stride_1(model.conv, x)))
    size = F.max_pool3d(y, (1, 2, 2), ceil_mode=True).shape
    full = [2 * size[3] - 1 + 1 - y.shape[3], 2 * size[4] - 1 + 1 - y.shape[4]]
    y = F.pad(y, (0, full[1], 0, full[0]), value=float("-inf"))  # the last windows reach beyond
    y = F.max_pool3d(flc(F.max_pool3d(y, (1, 2, 2), 1)), 3, 1, 1)

    def deep(y: Tensor, *sizes: int) -> Tensor:
        y = flc_pool2d(y, sizes[1:])
        return spectral_pool1d(y.movedim(2, 4), sizes[0]).movedim(4, 2)

    y = deep(y, *(-(-side // 2) for side in y.shape[2:]))
    torch.testing.assert_close(model(x), deep(y, *(side // 2 for side in y.shape[2:])))
    assert model(x).shape == shape


def test_flc_keeps_averages_that_overlap() -> None:
    """They low-pass more than the pooling does; with padding they also sit elsewhere."""
    x = torch.randn(1, 2, 12, 15)
    for pool in (nn.AvgPool2d(3, 2), nn.AvgPool2d(2, 2, 1), nn.AvgPool2d((3, 2), (1, 2))):
        model = nn.Sequential(pool)
        size = model(x).shape
        (row,) = antialias(model, "flc", example=x)
        y = flc_pool2d(F.avg_pool2d(x, pool.kernel_size, 1, pool.padding), size[2:])
        torch.testing.assert_close(model(x), y)
        assert "then FLCPool(stride=" in row.after


@pytest.mark.parametrize("layer", [nn.Conv2d(1, 1, 1, 2), nn.MaxPool2d(2), nn.AvgPool2d(2)])
def test_flc_of_a_wave_too_fine_for_the_samples(layer: nn.Module) -> None:
    """It is gone, where dropping samples makes another wave of it."""
    wave = torch.cos(2 * torch.pi * 11 * torch.arange(32) / 32).expand(1, 1, 32, 32)
    for parameter in layer.parameters():
        nn.init.ones_(parameter)
    model = nn.Sequential(layer)
    plain = model(wave)
    antialias(model, "flc", example=wave)
    is_pool = isinstance(layer, nn.MaxPool2d)
    y = model[0].antialias_instead.sampler(wave) if is_pool else model(wave)
    assert plain.std() > 0.1
    assert y.std() < 1e-6


def test_aps_shares_the_grid() -> None:
    """Both branches of a block keep the samples the first one picks."""
    model, x = Residual().eval(), torch.randn(6, 3, 32, 32)
    antialias(model, "aps", example=x)
    y = model.stem(x)
    for part in (model.one, model.two):
        indices: list[Tensor] = []

        def sampled(z: Tensor, indices: list[Tensor] = indices) -> Tensor:
            kept, index = polyphase_pool2d(z, index=indices[0] if indices else None)
            indices.append(index)
            return kept

        y = block(part, y, sampled)
        assert len(set(indices[0].tolist())) > 1
    torch.testing.assert_close(model(x), y)


class Checkpointed(Residual):
    """Computes its blocks, or parts of them, again in the backward pass."""

    reentrant: bool | None = None
    apart = False

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.again(self.two, self.again(self.one, self.stem(x)))
        return y

    def again(self, part: nn.Module, x: Tensor) -> Any:
        if self.reentrant is None:
            return part(x)
        if self.apart:
            part.shortcut.forward = partial(  # type: ignore[union-attr]
                checkpoint, nn.Sequential.forward, part.shortcut, use_reentrant=self.reentrant
            )
            return part(x)
        return checkpoint(part, x, use_reentrant=self.reentrant)


def gradients(model: nn.Module, x: Tensor) -> list[Tensor]:
    model.zero_grad()
    loss = model(x).square().mean()
    model(x.flip(0) + 1)  # picks other samples before the first run is computed again
    loss.backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize("reentrant", [True, False])
def test_shared_index_under_checkpointing(reentrant: bool) -> None:
    model, x = Checkpointed(), torch.randn(2, 3, 32, 32)
    antialias(model, "aps", example=x)
    plain = gradients(model, x)
    model.reentrant = reentrant
    for one, was in zip(gradients(model, x), plain, strict=True):
        torch.testing.assert_close(one, was)
    model.apart = True
    with pytest.raises(RuntimeError, match="put both into one checkpointed part"):
        gradients(model, x)


def test_nothing_of_the_run_on_fake_tensors_stays() -> None:
    model = Residual().eval()
    antialias(model, "aps")
    shared = [module.shared for module in model.modules() if isinstance(module, Polyphase)]
    assert len(shared) == 4
    assert shared[0] is shared[1] is not shared[2] is shared[3]
    assert all(one is not None and one._picked is None for one in shared)


class Circular(nn.Module):
    """Convolutions that know no border, so that a shift is a shift."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3, 2, 1, padding_mode="circular")
        self.relu = nn.ReLU()
        self.two = nn.Conv2d(8, 16, 3, 2, 1, padding_mode="circular")
        self.short = nn.Conv2d(8, 16, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.one(x))
        y = torch.relu(self.two(y)) + self.short(y)
        return y.mean((2, 3))


def test_aps_makes_circular_shifts_invisible() -> None:
    model, x = Circular().eval(), torch.randn(4, 3, 32, 32)
    moved = x.roll((3, 5), (2, 3))
    assert not torch.allclose(model(x), model(moved), rtol=1e-3, atol=1e-4)
    antialias(model, "aps", example=x)
    torch.testing.assert_close(model(x), model(moved), rtol=1e-4, atol=1e-5)


def test_aps_leaves_other_strides() -> None:
    report = antialias(Signals(), "aps", example=torch.randn(2, 4, 501))
    assert {row.reason.split(" for ")[0] for row in report} == {"polyphase sampling is"}


class Every(nn.Module):
    """A user's own sampler."""

    def __init__(self, stride: tuple[int, ...]) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return 10 * x[..., :: self.stride[0], :: self.stride[1]]


def test_mapping() -> None:
    model, x = Plain().eval(), torch.randn(2, 3, 17, 20)
    seen: list[Site] = []

    def factory(site: Site) -> nn.Module:
        seen.append(site)
        return Every(site.stride)

    report = antialias(model, {lambda site: site.kind == "max_pool": factory}, example=x)
    y = torch.relu(model.norm(F.conv2d(x, model.conv.weight, None, 2, 1)))
    y = 10 * F.max_pool2d(y, 3, 1, 1)[..., ::2, ::2]
    assert torch.equal(model(x), model.head(y.mean((2, 3))))
    assert report["conv"].reason == "no predicate of the recipe is true for it"
    assert [(site.name, site.channels, site.input_size) for site in seen] == [
        ("pool", 8, (2, 8, 9, 10))
    ]


def test_mapping_takes_the_first_that_is_true() -> None:
    model, x = Residual().eval(), torch.randn(2, 3, 33, 30)
    table = {
        lambda site: site.kernel_size == (1, 1): lambda site: Every(site.stride),
        lambda site: True: lambda site: BlurPool2d(5),
    }
    antialias(model, table, example=x)
    first = model.one
    y = model.stem(x)
    z = blur_pool2d(torch.relu(first.bn1(at_stride_1(first.conv1, y))), 5)
    short: Any = first.shortcut
    z = first.bn2(at_stride_1(first.conv2, z)) + short[1](
        F.conv2d(10 * y[..., ::2, ::2], short[0].weight)
    )
    torch.testing.assert_close(model.one(model.stem(x)), torch.relu(z))


def test_mapping_to_a_wrong_size_is_left_alone() -> None:
    """The second run finds it, and the rest is converted all the same."""
    model, x = Plain().eval(), torch.randn(2, 3, 17, 20)
    table = {
        lambda site: site.kind == "conv": lambda site: nn.Identity(),
        lambda site: True: lambda site: Every(site.stride),
    }
    report = antialias(model, table, example=x)
    assert report["conv"].reason == "with it relu would give [2, 8, 17, 20], not [2, 8, 9, 10]"
    assert report["pool"].after
    assert model.conv.stride == (2, 2)
    assert type(model.relu) is nn.ReLU


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (lambda site: torch.relu, TypeError, "must return an nn.Module, got builtin"),
        (lambda site: nn.Conv2d(8, 8, 3, 2), ValueError, "adds nothing to state_dict, got Conv2d"),
    ],
)
def test_mapping_rejects(made: Any, error: type[Exception], message: str) -> None:
    model = Plain()
    with pytest.raises(error, match=message):
        antialias(model, {lambda site: True: made})
    assert type(model.relu) is nn.ReLU
    assert model.conv.stride == (2, 2)


# --- taps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("taps", [2, 5, torch.tensor([0.25, 0.5, 0.25]), (3, 5)])
def test_taps_and_padding_mode(taps: Any) -> None:
    model, x = Plain().eval(), torch.randn(2, 3, 17, 20)
    antialias(model, taps=taps, padding_mode="zeros", example=x)
    own = taps if not isinstance(taps, Tensor) else (taps, taps)
    y = torch.relu(model.norm(at_stride_1(model.conv, x)))
    y = blur_pool2d(y, own, padding_mode="zeros")
    y = max_blur_pool2d(y, 3, own, max_padding=1, padding_mode="zeros")
    torch.testing.assert_close(model(x), model.head(y.mean((2, 3))))


@pytest.mark.parametrize("recipe", ["aps", "mapping"])
def test_ceil_mode_without_a_blur(recipe: str) -> None:
    """The last sample may be of a window that reaches beyond the map."""
    table = {lambda site: True: lambda site: Every(site.stride)}
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    model = nn.Sequential(pool)
    sizes = [(1, 2, h, w) for h in (6, 7, 8, 9) for w in (10, 11)]
    before = [model(torch.ones(size)).shape for size in sizes]
    x = torch.randn(1, 2, 8, 9)
    plain = model(x)
    antialias(model, table if recipe == "mapping" else recipe, example=x)
    assert [model(torch.ones(size)).shape for size in sizes] == before
    if recipe == "mapping":
        assert torch.equal(model(x), 10 * plain)


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (5, 3, 1)])
def test_ceil_mode_keeps_every_sample(
    kernel: int, stride: int, padding: int, include: bool
) -> None:
    """A sampler that takes what the pool took gives what the pool gave, to the last window."""
    table = {lambda site: True: lambda site: Every(site.stride)}
    for pool in (
        nn.MaxPool2d(kernel, stride, padding, ceil_mode=True),
        nn.AvgPool2d(kernel, stride, padding, ceil_mode=True, count_include_pad=include),
    ):
        for size in range(7, 12):
            model, x = nn.Sequential(pool), torch.randn(2, 3, size, size + 2)
            plain = model(x)
            report = antialias(model, table, example=x)
            torch.testing.assert_close(model(x), 10 * plain)
            report.undo()
