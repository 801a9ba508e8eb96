"""explain: the kernel and the reasons, without running anything."""

import re
from typing import Any

import pytest
import torch
from kernels.cuda_replay import ops
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import freqops
from freqops import _C
from freqops.explain import Explanation
from freqops.ops import _cuda, spectral_pool
from freqops.ops._cuda import Kernels

X = torch.randn(4, 3, 32, 20)
K = torch.randn(32, 11)
EVERY: list[tuple[str, tuple[Any, ...]]] = [
    ("fft_filter1d", (X, K[0])),
    ("fft_filter2d", (X, K)),
    ("filter_bank1d", (X, K)),
    ("filter_bank2d", (X, K[None])),
    ("low_high2d", (X, [0.1, 0.2])),
    ("split_bands2d", (X, [0.1, 0.2])),
    ("mix_amplitude_phase2d", (X, X)),
    ("blur_pool1d", (X,)),
    ("blur_pool2d", (X, 4, 3)),
    ("blur_pool3d", (X,)),
    ("blur_pool_adjoint2d", (X, (64, 40))),
    ("max_blur_pool1d", (X,)),
    ("max_blur_pool2d", (X, 3)),
    ("upfirdn2d", (X, torch.ones(4), 2, 1, 2)),
    ("spectral_pool1d", (X,)),
    ("spectral_pool2d", (X, (50, 20))),
    ("flc_pool2d", (X,)),
    ("filtered_leaky_relu2d", (X, torch.ones(4), torch.ones(4), None, 2, 2, 4)),
]


@pytest.mark.parametrize(("name", "arguments"), EVERY)
def test_every_function_has_a_kernel_on_the_cpu(name: str, arguments: tuple[Any, ...]) -> None:
    by_name = freqops.explain(name, *arguments)
    assert by_name == freqops.explain(getattr(freqops, name), *arguments)
    assert by_name.op == name
    assert by_name.device == "cpu"
    assert by_name.kernel.endswith(_C.cpu_level())
    assert by_name.kernel.startswith("fused ")


def test_tells_the_plan() -> None:
    found = freqops.explain("fft_filter2d", X, K)
    assert found.reasons == (_C.fft_filter_plan(32, 20, "float32", 12),)
    per_channel = freqops.explain("fft_filter2d", X.double(), K.expand(3, -1, -1))
    assert per_channel.reasons == (_C.fft_filter_plan(32, 20, "float64", 4),)
    line = freqops.explain("fft_filter1d", X, K[0])
    assert line.reasons == (_C.fft_filter_plan(1, 20, "float32", 4 * 3 * 32),)


def test_reads_as_text() -> None:
    lines = str(freqops.explain("low_high2d", X.bfloat16(), 0.2)).splitlines()
    assert re.fullmatch(r"low_high2d on cpu: fused low_high kernel, [\w-]+", lines[0])
    assert all(line.startswith("  ") for line in lines[1:])
    assert lines[-1] == "  bfloat16 is computed in float32 and rounded once, on store"


def test_tells_where_a_copy_is_made() -> None:
    five = torch.randn(2, 5, 3, 8, 8)
    assert "copied" not in str(freqops.explain("fft_filter2d", five, torch.ones(8, 5)))
    swapped = five.transpose(0, 1)
    assert "x is copied first" in str(freqops.explain("fft_filter2d", swapped, torch.ones(8, 5)))
    last = X.to(memory_format=torch.channels_last)
    assert "copied" not in str(freqops.explain("fft_filter2d", last, K))


def test_explains_modules() -> None:
    found = freqops.explain(freqops.LowPass2d(0.2), X)
    assert found.op == "LowPass2d"
    assert found.kernel == freqops.explain("fft_filter2d", X, K).kernel
    assert freqops.explain(freqops.GlobalFilter2d(3, (32, 20)), X).kernel == found.kernel
    several = freqops.explain(nn.Sequential(freqops.LowPass2d(0.2), freqops.FFTFilter2d(K)), X)
    assert len([line for line in several.reasons if line.startswith("fft_filter: fused")]) == 2
    nothing = freqops.explain(nn.ReLU(), X)
    assert nothing.kernel == "none"


def test_tells_along_which_axis_a_pooling_goes() -> None:
    assert freqops.explain("blur_pool2d", X).reasons == ("contiguous: vectors lie along the width",)
    last = X.to(memory_format=torch.channels_last)
    assert freqops.explain(freqops.MaxBlurPool2d(), last).reasons == (
        "channels_last: vectors lie along the channels",
    )
    assert "x is copied first" in str(freqops.explain("max_blur_pool2d", X.mT))


def test_tells_how_a_size_changes() -> None:
    """By matrices or by transforms: the method that the op itself asks for."""
    small, large = X, torch.empty(1, 1, 20, 1000)
    for x, kernel, words in (
        (small, "separable", "32 x 20 to 16 x 10: a matrix along each axis"),
        (large, "resize_spectrum", "20 x 1000 to 10 x 500: through the spectrum"),
    ):
        for found in (
            freqops.explain("spectral_pool2d", x),
            freqops.explain(freqops.FLCPool2d(), x),
            freqops.explain(torch.ops.freqops.spectral_pool_adjoint, x, _half(x), *RULE),
        ):
            assert found.kernel == f"fused {kernel} kernel, {_C.cpu_level()}"
            assert found.reasons[0].startswith(words)
            assert found.reasons[1] == "contiguous: vectors lie along the width"
    same = freqops.explain("spectral_pool2d", small, (32, 20))
    assert same.kernel == "torch copy"
    assert same.reasons == (
        "32 x 20 to 32 x 20: the size stays and there is no window: x is copied",
    )
    windowed = freqops.explain("spectral_pool1d", small.half(), 20, window="hamming")
    assert windowed.kernel.startswith("fused separable kernel")
    assert windowed.reasons[-1].startswith("float16 is computed in float32")


def test_what_explain_tells_is_what_runs() -> None:
    """The op calls the one that is named, small and large."""
    calls = []

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            calls.append(func.name())
            return func(*args, **(kwargs or {}))

    named = set()
    for side in (8, 16, 31, 64, 96, 128, 224):
        x = torch.randn(1, side, side)
        told = freqops.explain("spectral_pool2d", x).kernel.split()[1]
        calls.clear()
        with Seen():  # of the implementation: a mode does not see what is called within an op
            spectral_pool._pool(x, _half(x), *RULE)
        assert f"freqops::{told}" in calls
        named.add(told)
    assert named == {"separable", "resize_spectrum"}


RULE = ("", "half", "forward")


def _half(x: torch.Tensor) -> list[int]:
    return [side // 2 for side in x.shape[-2:]]


def test_names_what_torch_does_instead() -> None:
    """Filters that are not separable, and the steps around a kernel."""
    for name, arguments in (
        ("blur_pool2d", (X, torch.ones(3, 3, 3))),
        ("upfirdn2d", (X, torch.ones(4, 4), 2, 1, 2)),
    ):
        found = freqops.explain(name, *arguments)
        assert found.kernel == "torch convolution"
        assert len(found.reasons) == 1
    learned = freqops.BlurPool2d(learnable=True, channels=3)
    assert freqops.explain(learned, X).kernel == "torch convolution"
    found = freqops.explain("polyphase_pool2d", X, 3)
    for kernel in ("blur_pool", "polyphase_norms", "polyphase_pool"):
        assert any(reason.startswith(f"{kernel}: fused") for reason in found.reasons)
    lines = freqops.explain("filtered_leaky_relu2d", X, torch.ones(4), None, None, 2).reasons
    assert "filtered_leaky_relu2d: torch composition" in lines
    assert freqops.blur_pool2d(X, torch.ones(3, 3, 3)).shape == (4, 3, 16, 10)  # nobody listens


def test_computes_nothing() -> None:
    """Not even the values it is given matter, only shapes."""
    huge = torch.empty(1, device="cpu").expand(10**6, 3, 1024, 1024)
    assert freqops.explain("fft_filter2d", huge, torch.empty(1024, 513)).device == "cpu"


def test_raises_what_the_op_raises() -> None:
    with pytest.raises(ValueError, match=r"fft_filter2d: response must have shape \[32, 11\]"):
        freqops.explain("fft_filter2d", X, K[1:])
    with pytest.raises(TypeError, match="low_high2d: x must be float32"):
        freqops.explain("low_high2d", X.int(), 0.2)
    with pytest.raises(ValueError, match=r"op must be one of band_for_energy, .*, got 'conv'"):
        freqops.explain("conv", X)


# --- CUDA, described on a machine that need not have one ----------------------------------------


def on_cuda(name: str, *arguments: Any) -> Explanation:
    """The explanation for CUDA tensors, which a fake mode can make anywhere."""
    with FakeTensorMode():
        moved = [
            torch.empty(value.shape, dtype=value.dtype, device="cuda")
            if isinstance(value, torch.Tensor)
            else value
            for value in arguments
        ]
    return freqops.explain(name, *moved)


@pytest.fixture
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host replay stands for the CUDA library, and for its device."""
    kernels = Kernels(ops())
    monkeypatch.setattr(kernels, "_answer", lambda question, _, *sizes: question(*sizes))
    monkeypatch.setattr(_cuda, "KERNELS", kernels)


def test_cuda_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cuda, "KERNELS", None)
    found = on_cuda("fft_filter2d", X, K)
    assert found.device == "cuda:0"
    assert found.kernel == "torch.fft composition"
    assert "not loaded" in found.reasons[0]


def test_cuda_pooling_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cuda, "HAS_POOLING", False)
    found = on_cuda("max_blur_pool2d", X)
    assert found.kernel == "torch composition"
    assert "not loaded" in found.reasons[0]


def test_cuda_spectral_pooling_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cuda, "HAS_SEPARABLE", False)
    monkeypatch.setattr(_cuda, "KERNELS", None)
    small, large = torch.empty(2, 3, 64, 64), torch.empty(2, 3, 512, 512)
    found = on_cuda("spectral_pool2d", small)
    assert found.device == "cuda:0"
    assert found.kernel == "torch composition"
    assert "64 x 64 to 32 x 32: a matrix along each axis" in found.reasons[0]
    assert "not loaded" in found.reasons[1]
    found = on_cuda("flc_pool2d", large)
    assert found.kernel == "torch.fft composition"
    assert "512 x 512 to 256 x 256: through the spectrum" in found.reasons[0]
    assert "not loaded" in found.reasons[1]
    assert on_cuda("spectral_pool2d", small, 64).kernel == "torch copy"


@pytest.mark.usefixtures("_library")
def test_cuda_transforms_with_their_library() -> None:
    large = torch.empty(2, 3, 512, 300)
    for name, arguments in (
        ("spectral_pool2d", (large,)),
        ("spectral_pool2d", (large, (512, 150))),
        ("spectral_pool1d", (large.half(), 100)),
        ("flc_pool2d", (large,)),
    ):
        found = on_cuda(name, *arguments)
        assert found.kernel == "CUDA kernels"
        assert found.reasons[1].startswith("rows and columns are transformed by kernels each")
    for x, reason in (
        (large.double(), "the kernels compute in float32, x is float64"),
        (torch.empty(2**20), "a line of planes of 1 x 1048576 must fit"),
    ):
        found = on_cuda("spectral_pool1d", x)
        assert found.kernel == "torch.fft composition"
        assert reason in found.reasons[1]


def test_cuda_spectral_pooling_with_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is asked with the numbers of each call in their places."""
    monkeypatch.setattr(_cuda, "HAS_SEPARABLE", True)
    asked: list[tuple[Any, ...]] = []

    def path(dtype: torch.dtype, device: torch.device, *numbers: Any) -> str:
        assert device.type == "cuda"
        asked.append((dtype, *numbers))
        return "plane"

    monkeypatch.setattr(_cuda, "_separable_path", path)
    single, half = torch.float32, torch.float16
    x = torch.empty(2, 3, 64, 48)
    for name, arguments, numbers in (
        ("spectral_pool2d", (x,), (single, [2, 3, 64, 48], [32, 24], False, False, True)),
        ("spectral_pool2d", (x, (64, 20)), (single, [2, 3, 64, 48], [0, 20], False, False, True)),
        ("spectral_pool1d", (x.half(), 20), (half, [2, 3, 64, 48], [0, 20], False, False, True)),
        ("spectral_pool1d", (x[0, 0, 0], 20), (single, [1, 1, 1, 48], [0, 20], False, False, True)),
        ("flc_pool2d", (x[0, 0],), (single, [1, 1, 64, 48], [32, 24], False, True, True)),
        ("flc_pool2d", (x, 31), (single, [2, 3, 64, 48], [31, 31], False, False, True)),
    ):
        found = on_cuda(name, *arguments)
        assert found.kernel == "fused separable CUDA kernel, plane path"
        assert found.reasons[1].startswith("a block holds planes in its shared memory")
        assert asked[-1] == numbers
    with FakeTensorMode():
        there = torch.empty(2, 3, 32, 24, device="cuda").to(memory_format=torch.channels_last)
        rows = torch.empty(20, 32, device="cuda")
    back = (there, [64, 48], "", "two_corner", "forward")
    freqops.explain(torch.ops.freqops.spectral_pool_adjoint, *back)
    assert asked[-1] == (single, [2, 3, 32, 24], [64, 48], True, True, True)
    freqops.explain(torch.ops.freqops.separable, there, rows, None, None, False)
    assert asked[-1] == (single, [2, 3, 32, 24], [20, 0], True, False, False)


_FORMS = {
    "blur_pool": "tiled",
    "blur_pool_adjoint": "stencil",
    "max_blur_pool": "stencil",
    "max_blur_pool_select": "tiled",
    "max_blur_pool_backward": "generic",
}


def test_cuda_pooling_with_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is asked with the numbers of each op in their places."""
    monkeypatch.setattr(_cuda, "HAS_POOLING", True)
    asked: list[tuple[Any, ...]] = []

    def path(dtype: torch.dtype, device: torch.device, *numbers: Any) -> str:
        assert device.type == "cuda"
        asked.append((dtype, *numbers))
        return _FORMS[numbers[0]]

    monkeypatch.setattr(_cuda, "_pooling_path", path)
    ops = torch.ops.freqops
    taps = (torch.ones(3), torch.ones(4))
    own = (torch.ones(3, 3), torch.ones(3, 4))
    blur, window = ([2, 3], [1, 1, 1, 2], "reflect"), ([3, 2], [1, 0])
    y = ops.blur_pool(X, *taps, *blur)
    pooled = ops.max_blur_pool(X, *own, *window, *blur)
    rest = ((1, 1), (0, 0), *blur)
    for op, arguments, expected in (
        (ops.blur_pool, (X, *taps, *blur), (False, [3, 4], False, *rest)),
        (ops.blur_pool_adjoint, (y, *taps, [32, 20], *blur), (False, [3, 4], False, *rest)),
        (
            ops.max_blur_pool,
            (X.half(), *own, *window, *blur),
            (False, [3, 4], True, *window, *blur),
        ),
        (
            ops.max_blur_pool_select,
            (X, X, *own, *window, *blur),
            (False, [3, 4], True, *window, *blur),
        ),
        (
            ops.max_blur_pool_backward,
            (X, pooled, *own, *window, *blur),
            (False, [3, 4], True, *window, *blur),
        ),
    ):
        with FakeTensorMode():
            there = [
                torch.empty(value.shape, dtype=value.dtype, device="cuda")
                if isinstance(value, torch.Tensor)
                else value
                for value in arguments
            ]
        found = freqops.explain(op, *there)
        name = op.default._schema.name.removeprefix("freqops::")
        assert found.kernel == f"fused CUDA kernel, {_FORMS[name]} path"
        assert asked[-1] == (arguments[0].dtype, name, list(X.shape), *expected)


@pytest.mark.usefixtures("_library")
def test_cuda_with_its_library() -> None:
    images = torch.randn(4, 3, 32, 32)
    for name, arguments, form in (
        ("fft_filter2d", (images, torch.ones(32, 17)), "plane"),
        ("fft_filter2d", (images.half(), torch.ones(32, 17)), "plane"),
        ("filter_bank2d", (images, torch.ones(5, 32, 17)), "plane"),
        ("low_high2d", (images, 0.2), "plane"),
        ("split_bands2d", (images, [0.2]), "plane"),
        ("fft_filter2d", (X, K), "lines"),
        ("fft_filter1d", (X, K[0]), "lines"),
        ("fft_filter2d", (torch.ones(331, 331), torch.ones(331, 166)), "lines"),
    ):
        found = on_cuda(name, *arguments)
        assert found.kernel == f"fused CUDA kernel, {form} form", name
    assert on_cuda("mix_amplitude_phase2d", images, images).kernel == "CUDA kernels"
    with FakeTensorMode():
        five = torch.empty(2, 5, 8, 8, device="cuda")
    found = freqops.explain("mix_amplitude_phase2d", five, five, over_channels=True)
    assert found.kernel == "torch.fft composition"
    assert "at most 4 channels" in found.reasons[0]


@pytest.mark.usefixtures("_library")
def test_cuda_library_says_what_it_leaves_to_torch() -> None:
    for name, arguments, reason in (
        ("fft_filter2d", (X.double(), K), "the kernels compute in float32, x is float64"),
        ("fft_filter1d", (torch.ones(2**20), torch.ones(2**19 + 1)), "a line of planes of 1 x 104"),
        ("mix_amplitude_phase2d", (X.double(), X.double()), "the kernels compute in float32"),
    ):
        found = on_cuda(name, *arguments)
        assert found.kernel == "torch.fft composition"
        assert reason in found.reasons[0]
    with FakeTensorMode():
        many = torch.empty(1, device="cuda").expand(2**31, 8, 8)
    found = freqops.explain("fft_filter2d", many, torch.ones(8, 5))
    assert found.kernel == "torch.fft composition"
    assert "at most 2**31 - 1 planes" in found.reasons[0]


@pytest.mark.usefixtures("_library")
def test_cuda_library_says_whether_a_table_is_kept() -> None:
    for name, arguments, kept in (
        ("low_high2d", (X, 0.2), True),
        ("split_bands2d", (X, [0.1, 0.2]), True),
        ("low_high2d", (X, torch.tensor([0.2])), False),
        ("fft_filter2d", (X, K), False),
        ("filter_bank2d", (X, K[None]), False),
    ):
        table = on_cuda(name, *arguments).reasons[1]
        assert table.startswith("the response's table is kept" if kept else "the response's table")
        assert ("filled in every call" in table) is not kept


@pytest.mark.usefixtures("_library")
def test_cuda_library_says_where_a_copy_is_made() -> None:
    with FakeTensorMode():
        last = torch.empty(4, 3, 32, 32, device="cuda").to(memory_format=torch.channels_last)
    found = freqops.explain("fft_filter2d", last, torch.ones(32, 17))
    assert any(reason.startswith("x is copied first") for reason in found.reasons)


def test_devices_without_kernels() -> None:
    with FakeTensorMode():
        x, k = torch.empty(4, 4, device="xpu"), torch.empty(4, 3, device="xpu")
    found = freqops.explain("fft_filter2d", x, k)
    assert found.kernel == "none"
    assert "none for xpu" in found.reasons[0]
