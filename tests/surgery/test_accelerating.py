"""accelerate: which convolutions become FFT convolutions, and that nothing else changes."""

import copy
import io
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from surgery.large_kernels import LargeKernelCalls, RepLKNet, UniRepLKBlock
from surgery.models import Plain, Signals, Volumes
from surgery.test_treatment import attributes
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import freqops
from freqops import Conversion, FFTConv2d, accelerate, antialias
from freqops.surgery import Row
from freqops.surgery.treatment import layout_of

MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "RepLKNet": (RepLKNet, (2, 3, 96, 112)),
    "UniRepLKNet": (UniRepLKBlock, (2, 16, 56, 45)),
    "calls": (LargeKernelCalls, (2, 8, 56, 57)),
}
#: Those that are sooner by FFT wherever this runs.
LARGE = {
    "RepLKNet": {"one.kernels.large.0", "two.kernels.large.0"},
    "UniRepLKNet": {"kernels.large"},
    "calls": {"_kernels:conv2d"},
}


def made(name: str) -> tuple[nn.Module, Tensor]:
    """A model with random statistics in eval mode, and an input."""
    make, size = MODELS[name]
    model = make()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.running_mean)
    return model.eval(), torch.randn(size)


def close(y: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)


def large(site: Any) -> bool:
    return max(site.kernel_size) > 9


@pytest.fixture(params=list(MODELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# --- what it computes ----------------------------------------------------------------------------


def test_outputs_stay(name: str) -> None:
    model, x = made(name)
    expected = model(x)
    report = accelerate(model, example=x)
    assert isinstance(report, Conversion)
    assert {row.name for row in report.converted} >= LARGE[name]
    close(model(x), expected)


def test_outputs_stay_at_other_sizes(name: str) -> None:
    model, x = made(name)
    other = torch.randn(1, *x.shape[1:-2], 30, 49)
    expected = model(other)
    accelerate(model, example=x)
    close(model(other), expected)


def test_undo_gives_back_the_same_bits(name: str) -> None:
    model, x = made(name)
    before, classes = attributes(model), [type(module) for module in model.modules()]
    expected = model(x)
    report = accelerate(model, example=x)
    assert attributes(model) != before
    report.undo()
    assert attributes(model) == before
    assert [type(module) for module in model.modules()] == classes
    assert torch.equal(model(x), expected)
    report.undo()


def test_dry_run_changes_nothing(name: str) -> None:
    model, x = made(name)
    before, classes = attributes(model), [type(module) for module in model.modules()]
    report = accelerate(model, example=x, dry_run=True)
    assert {row.name for row in report.converted} >= LARGE[name]
    assert "would be converted by 'accelerate'" in str(report)
    assert attributes(model) == before
    assert [type(module) for module in model.modules()] == classes


def test_random_state_stays(name: str) -> None:
    model, x = made(name)
    state = torch.get_rng_state()
    accelerate(model, example=x, faster="measured", dry_run=True)
    accelerate(model, example=x)
    assert torch.equal(torch.get_rng_state(), state)


def test_checkpoints_both_ways(name: str) -> None:
    plain, x = made(name)
    other, _ = made(name)
    parameters, keys = list(plain.parameters()), list(plain.state_dict())
    before = {key: value.clone() for key, value in plain.state_dict().items()}
    accelerate(plain, example=x)
    assert all(a is b for a, b in zip(plain.parameters(), parameters, strict=True))
    assert list(plain.state_dict()) == keys
    assert all(torch.equal(before[key], value) for key, value in plain.state_dict().items())
    saved = {key: value.clone() for key, value in other.state_dict().items()}
    expected = other(x)
    plain.load_state_dict(saved, strict=True)
    close(plain(x), expected)
    other.load_state_dict(before, strict=True)
    close(other(x), made_again(name, before)(x))


def made_again(name: str, state: dict[str, Tensor]) -> nn.Module:
    model, x = made(name)
    accelerate(model, example=x)
    model.load_state_dict(state, strict=True)
    return model


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "save"])
def test_copies(name: str, way: str) -> None:
    model, x = made(name)
    report = accelerate(model, example=x)
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
    report.undo()  # the copy is on its own
    assert torch.equal(again(x), expected)
    assert len(accelerate(again, example=x, dry_run=True).converted) == 0


def test_compiles(name: str) -> None:
    model, x = made(name)
    expected = model(x)
    accelerate(model, example=x)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    close(compiled(x), expected)


def test_exports() -> None:
    model, x = made("calls")
    expected = model(x)
    accelerate(model, example=x)
    close(torch.export.export(model, (x,)).module()(x), expected)


def test_training_steps(name: str) -> None:
    """Two steps on the same batches: an optimizer made before goes on working."""
    model, x = made(name)
    model.train()
    plain = copy.deepcopy(model)
    rates = [torch.optim.SGD(one.parameters(), 0.01) for one in (plain, model)]
    accelerate(model, example=x)
    for _ in range(2):
        for one, optimizer in zip((plain, model), rates, strict=True):
            optimizer.zero_grad()
            one(x).square().mean().backward()
            optimizer.step()
    assert all(parameter.grad is not None for parameter in model.parameters())
    for was, now in zip(plain.state_dict().values(), model.state_dict().values(), strict=True):
        torch.testing.assert_close(now, was, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes(dtype: torch.dtype) -> None:
    model, x = made("UniRepLKNet")
    model, x = model.to(dtype), x.to(dtype)
    expected = model(x)
    accelerate(model, example=x)
    y = model(x)
    assert y.dtype == dtype
    bound = 1e-12 if dtype == torch.float64 else 0.05
    torch.testing.assert_close(y, expected, rtol=bound, atol=bound)


def test_channels_last() -> None:
    model, x = made("RepLKNet")
    x = x.contiguous(memory_format=torch.channels_last)
    model.to(memory_format=torch.channels_last)
    expected = model(x)
    report = accelerate(model, example=x)
    assert report["one.kernels.large.0"].after
    y = model.one(model.stem(x))
    assert y.is_contiguous(memory_format=torch.channels_last)
    close(model(x), expected)


@pytest.mark.parametrize("where", ["example", "model"])
def test_the_memory_format_counts(where: str) -> None:
    """The row says what :func:`fft_conv2d` does with a map of that format, which is not always one.

    What makes maps channels_last is the example, or another convolution's weight.
    """
    found = set()
    for kernel, side in ((9, 24), (13, 14), (27, 14), (31, 56)):
        conv = nn.Conv2d(64, 64, kernel, padding=kernel // 2, groups=64)
        model, x = (
            nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), conv),
            torch.randn(1, 64, side, side),
        )
        plain = accelerate(model, example=x, dry_run=True)["1"].after
        last = x.contiguous(memory_format=torch.channels_last)
        if where == "model":
            model.to(memory_format=torch.channels_last)
        row = accelerate(model, example=last if where == "example" else x, dry_run=True)["1"]
        arguments = (conv.weight, conv.bias, 1, kernel // 2, 1, 64)
        for after, image in ((plain, x), (row.after, last)):
            with torch.no_grad():  # as the model is traced: gradients shift the choice
                told = freqops.explain("fft_conv2d", image, *arguments).kernel
            assert bool(after) == (told != "torch convolution"), (kernel, side)
        found.add((bool(plain), bool(row.after)))
    assert (True, False) in found


# --- what becomes of a module --------------------------------------------------------------------


def test_module_keeps_its_identity() -> None:
    model = RepLKNet().eval()
    conv = model.one.kernels.large[0]
    seen: list[tuple[int, ...]] = []
    conv.register_forward_hook(lambda m, a, y: seen.append(tuple(y.shape)))
    accelerate(model, example=torch.randn(1, 3, 96, 96))
    assert model.one.kernels.large[0] is conv
    assert isinstance(conv, FFTConv2d)
    assert isinstance(conv, nn.Conv2d)
    assert repr(conv).startswith("FFTConv2d(16, 16, kernel_size=(31, 31)")
    assert not list(conv.children())
    model(torch.randn(1, 3, 96, 96))
    assert seen == [(1, 16, 48, 48)]
    assert "torch convolution" not in str(freqops.explain(conv, torch.randn(1, 16, 48, 48)))


def test_rows() -> None:
    report = accelerate(RepLKNet().eval(), example=torch.randn(1, 3, 112, 112))
    assert {row.name: row.reason for row in report.left_alone} == {
        "stem.0": "not depthwise",
        "one.first.0": "not depthwise",
        "one.kernels.small.0": "5x5 taps on 56x56: torch's own is sooner",
        "one.last.0": "not depthwise",
        "two.first.0": "not depthwise",
        "two.kernels.small.0": "5x5 taps on 56x56: torch's own is sooner",
        "two.last.0": "not depthwise",
    }
    assert report["one.kernels.large.0"] == Row(
        "one.kernels.large.0",
        "conv",
        "Conv2d(16, 16, kernel_size=(31, 31), stride=(1, 1), padding=(15, 15), groups=16, "
        "bias=False)",
        "FFTConv2d, transforms of 72x72",
        "",
    )
    assert str(report).splitlines()[-1].startswith("2 of 9 sites converted by 'accelerate'; seen")


def test_shared_module_stays_shared() -> None:
    conv = nn.Conv2d(8, 8, 27, padding=13, groups=8)
    model = nn.Sequential(conv, nn.ReLU(), conv).eval()
    x = torch.randn(1, 8, 56, 56)
    expected = model(x)
    report = accelerate(model, example=x)
    assert [row.name for row in report] == ["0"]
    assert model[0] is model[2]
    close(model(x), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "same", "dilation": (1, 2)},
        {"padding": "valid"},
        {"padding": (20, 3)},
        {"padding": 13, "padding_mode": "circular"},
        {"padding": "same", "padding_mode": "reflect", "bias": False},
    ],
    ids=str,
)
def test_paddings(options: dict[str, Any]) -> None:
    model = nn.Conv2d(6, 6, (27, 24), groups=6, **options)
    x = torch.randn(2, 6, 50, 61)
    expected = model(x)
    (row,) = accelerate(model, example=x)
    grid = row.after.removeprefix("FFTConv2d, transforms of ").replace("x", " x ")
    assert f"on a grid of {grid} samples" in str(freqops.explain(model, x))
    close(model(x), expected)


class Standardised(nn.Conv2d):
    """Changes its weight, and leaves the rest to torch."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight, self.bias)


class Padded(nn.Conv2d):
    """Pads by itself."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (13, 13, 13, 13), mode="reflect"))


class Own(nn.Conv2d):
    """Calls the function by itself."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, 2 * self.weight, self.bias, padding=13, groups=self.groups)


class AboveOwn(Own):
    """Leaves it to a class that calls the function by itself."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 1)


class Both(nn.Conv2d):
    """Leaves one half of the work to torch's class, calls the function for the other."""

    def forward(self, x: Tensor) -> Tensor:
        other = F.conv2d(x, self.weight.flip(3), padding=13, groups=self.groups)
        return self._conv_forward(F.pad(x, (13, 13, 13, 13)), self.weight, self.bias) + other


class AbovePadded(Padded):
    """Leaves it to a class that leaves it to torch."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 1)


@pytest.mark.parametrize("cls", [Standardised, Padded, AbovePadded])
def test_subclasses(cls: type[nn.Conv2d]) -> None:
    model = cls(6, 6, 27, groups=6)
    x = torch.randn(2, 6, 56, 56)
    expected = model(x)
    report = accelerate(model, example=x)
    assert type(model).__name__ == f"FFTConv2dOf{cls.__name__}"
    assert isinstance(model, FFTConv2d)
    assert isinstance(model, cls)
    close(model(x), expected)
    close(pickle.loads(pickle.dumps(model))(x), expected)
    report.undo()
    assert type(model) is cls
    assert torch.equal(model(x), expected)


@pytest.mark.parametrize("cls", [Own, AboveOwn, Both])
def test_subclass_with_a_forward_of_its_own(cls: type[nn.Conv2d]) -> None:
    model = cls(6, 6, 27, groups=6)
    (row,) = accelerate(model, example=torch.randn(1, 6, 56, 56))
    assert row.reason == "its class has a forward of its own"
    assert type(model) is cls


def test_attribute_of_the_same_name() -> None:
    model = Padded(6, 6, 27, groups=6)
    model.algorithm = "own"  # type: ignore[assignment]
    (row,) = accelerate(model, example=torch.randn(1, 6, 56, 56))
    assert row.reason == "has an attribute 'algorithm' of its own"
    assert model.algorithm == "own"


def test_weight_norm() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Conv2d(8, 8, 27, padding=13, groups=8)))
    x = torch.randn(1, 8, 56, 56)
    expected = model(x)
    report = accelerate(model, example=x)
    assert isinstance(model[0], FFTConv2d)
    close(model(x), expected)
    torch.nn.utils.parametrize.remove_parametrizations(model[0], "weight")
    assert isinstance(model[0], FFTConv2d)
    close(model(x), expected)
    report.undo()
    assert type(model[0]) is nn.Conv2d


# --- what decides --------------------------------------------------------------------------------


def test_left_alone() -> None:
    class Traps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = nn.Conv2d(8, 8, 27, padding=13, groups=8)
            self.fft = FFTConv2d(8, 8, 27, padding=13, groups=8)
            self.patched = nn.Conv2d(8, 8, 27, padding=13, groups=8)
            self.patched.forward = lambda x: x  # type: ignore[method-assign]
            self.unused = nn.Conv2d(8, 8, 27, padding=13, groups=8)
            self.one = nn.Conv2d(8, 8, 1, groups=8)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.one(self.patched(self.fft(self.kernel(x))))
            return y

    report = accelerate(Traps(), example=torch.randn(1, 8, 56, 56), exclude="kernel")
    assert {row.name: row.reason for row in report} == {
        "kernel": "excluded",
        "fft": "is an FFTConv2d already",
        "patched": "has a forward that was set on the object",
        "unused": "is never called on the example",
        "one": "one tap per channel",
    }


def test_other_numbers_of_axes() -> None:
    report = accelerate(Volumes().eval(), example=torch.randn(1, 1, 8, 32, 32))
    assert report["conv"].reason == "has 3 axes; only one or two can be transformed"
    report = accelerate(Signals().eval(), example=torch.randn(1, 4, 200))
    assert report["conv"].reason == "not depthwise"


def test_what_has_no_numbers_to_compute_with() -> None:
    lazy = nn.Sequential(nn.LazyConv2d(3, 3), nn.Conv2d(3, 3, 3, dtype=torch.complex64))
    assert [row.reason for row in accelerate(lazy)] == [
        "is lazy: run the model once, then convert it",
        "its numbers are complex64",
    ]


def test_on_the_meta_device() -> None:
    with torch.device("meta"):
        model, x = RepLKNet(), torch.empty(1, 3, 112, 112)
    report = accelerate(model, example=x)
    assert report["one.kernels.large.0"].after == "FFTConv2d, transforms of 72x72"
    assert model.one.kernels.large[0].weight.is_meta
    report.undo()
    report = accelerate(model, example=x, faster="measured")
    assert not report.converted
    assert "meta device" in report["one.kernels.large.0"].reason


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (1, 3), (4, 8)])
def test_several_kernels_per_channel(inputs: int, outputs: int) -> None:
    """Depthwise is what mixes no channels, as in torch's words for a multiplier."""
    model = nn.Conv2d(inputs, outputs, 31, padding=15, groups=inputs)
    x = torch.randn(2, inputs, 64, 64)
    expected = model(x)
    report = accelerate(model, example=x)
    assert report[0].after.startswith("FFTConv2d")
    close(model(x), expected)
    (site,) = report.cost(x, repeats=1).sites
    transforms = 2 * (2 * outputs) * 1.25 * 80 * 80 * math.log2(6400)
    products = 4 * (2 * outputs) * 80 * 41
    assert site.macs == round(transforms) + products - 2 * outputs * 64 * 64 * 31 * 31


def test_signals() -> None:
    model = nn.Conv1d(8, 8, 1025, padding=512, groups=8)
    x = torch.randn(2, 8, 4096)
    expected = model(x)
    (row,) = accelerate(model, example=x, faster=lambda site: True)
    assert row.after.startswith("FFTConv1d")
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-4)


def test_include_and_exclude() -> None:
    model, x = made("RepLKNet")
    report = accelerate(model, example=x, include="two")
    assert [row.name for row in report.converted] == ["two.kernels.large.0"]
    report.undo()
    report = accelerate(model, example=x, exclude="one*")
    assert [row.name for row in report.converted] == ["two.kernels.large.0"]
    report.undo()
    report = accelerate(model, example=x, include=large, exclude=["two"])
    assert [row.name for row in report.converted] == ["one.kernels.large.0"]


def test_a_predicate_decides() -> None:
    """Any convolution can be computed so: strided, dense, of one tap."""
    model, x = made("RepLKNet")
    expected = model(x)
    report = accelerate(model, example=x, faster=lambda site: True)
    assert len(report.converted) == len(report)
    assert model.stem[0].algorithm == "fft"
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-4)
    report.undo()
    report = accelerate(model, example=x, faster=lambda site: False)
    assert {row.reason for row in report} == {"the predicate says no"}


def test_measured() -> None:
    """By a factor of a hundred either way, so that a busy machine can't turn it around."""
    model = nn.Sequential(
        nn.Conv2d(16, 16, 31, padding=15, groups=16), nn.Conv2d(16, 16, (1, 2), groups=16)
    )
    report = accelerate(model, example=torch.randn(1, 16, 64, 64), faster="measured")
    assert report["0"].after.startswith("FFTConv2d, transforms of 80x80: ")
    assert report["1"].reason.startswith("1x2 taps on 64x64: torch's own takes ")
    assert model[0].algorithm == "fft"


def test_without_a_trace() -> None:
    class Choosing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(8, 8, 27, padding=13, groups=8)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(x) if x.sum() > 0 else x
            return y

    (row,) = accelerate(Choosing())
    assert row.reason == "its sizes are known in a trace only: give example="


# --- with other conversions ----------------------------------------------------------------------


def test_twice(name: str) -> None:
    model, x = made(name)
    first = accelerate(model, example=x)
    second = accelerate(model, example=x)
    assert not second.converted
    already = {"is an FFTConv2d already", "already an FFT convolution"}
    assert len([row for row in second if row.reason in already]) == len(first.converted)
    second.undo()
    first.undo()
    assert all(layout_of(module) == layout_of(nn.ReLU()) for module in model.modules())


@pytest.mark.parametrize("undone", [("anti", "fft"), ("fft", "anti")])
@pytest.mark.parametrize("order", [("anti", "fft"), ("fft", "anti")])
def test_antialiased_too(order: tuple[str, str], undone: tuple[str, str]) -> None:
    """A strided convolution gets stride 1 and a blur, and is computed by FFT, in any order."""
    model = nn.Sequential(nn.Conv2d(8, 8, 27, 2, 13, groups=8), nn.ReLU()).eval()
    x = torch.randn(1, 8, 57, 56)
    plain = model(x)
    antialias(model, "vasconcelos", example=x)
    expected = model(x)
    antialiased = copy.deepcopy(model)
    model = nn.Sequential(nn.Conv2d(8, 8, 27, 2, 13, groups=8), nn.ReLU()).eval()
    model.load_state_dict(antialiased.state_dict())
    reports: dict[str, Conversion] = {}
    for what in order:
        if what == "anti":
            reports[what] = antialias(model, "vasconcelos", example=x)
        else:
            reports[what] = accelerate(model, example=x, faster=lambda site: True)
        assert len(reports[what].converted) == 1
    assert type(model[0]).__name__ == "AntialiasedFFTConv2d"
    close(model(x), expected)
    close(pickle.loads(pickle.dumps(model))(x), expected)
    for what in undone:
        reports[what].undo()
    assert type(model[0]) is nn.Conv2d
    assert torch.equal(model(x), plain)


def test_antialias_knows_converted_calls() -> None:
    """A call that is computed by FFT samples nothing, so it is no row there."""
    model, x = made("calls")
    accelerate(model, example=x)
    assert not list(antialias(model, example=x))


# --- cost ----------------------------------------------------------------------------------------


def test_cost() -> None:
    """By hand: 48x48 pixels take transforms of 64x64, 33 columns of which are left."""
    model = nn.Conv2d(4, 4, 31, padding=15, groups=4).eval()
    x = torch.randn(2, 4, 48, 48)
    report = accelerate(model, example=x)
    cost = report.cost(x, repeats=1)
    (site,) = cost.sites
    transforms = 2 * (2 * 4) * 1.25 * 64 * 64 * 12
    assert site.macs == transforms + 4 * (2 * 4) * 64 * 33 - (2 * 4) * 48 * 48 * 31 * 31
    assert site.bytes == 4 * 64 * 33 * 8
    assert cost.milliseconds_after > 0
    assert isinstance(model, FFTConv2d)


def test_cost_where_channels_meet() -> None:
    model = nn.Conv2d(3, 5, 9, padding=4, groups=1).eval()
    x = torch.randn(2, 3, 28, 28)
    report = accelerate(model, example=x, faster=lambda site: True)
    (site,) = report.cost(x, repeats=1).sites
    planes, bins = 2 * (3 + 5), 32 * 17
    assert site.macs == planes * 1.25 * 1024 * 10 + 4 * bins * 2 * 15 - 2 * 5 * 28 * 28 * 3 * 81
    assert site.bytes == 8 * bins * (2 * planes + 15)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"faster": "guessed"}, "accelerate: faster must be 'predicted' or 'measured'"),
        ({"include": "layer9"}, "accelerate: include must name sites of the model, got 'layer9'"),
    ],
)
def test_rejects(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        accelerate(Plain(), **options)


def test_rejects_models() -> None:
    with pytest.raises(TypeError, match=r"accelerate: model must be an nn\.Module, got function"):
        accelerate(close)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="accelerate: model must be a plain module, but it is com"):
        accelerate(torch.compile(Plain()))  # type: ignore[arg-type]
