"""Which way an exact convolution takes, what is said of it, and calls known from before."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import freqops
from freqops.ops import _convolution_costs, _convolution_handover
from freqops.ops._convolution_costs import method
from freqops.ops._convolution_rules import Geometry

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


def chosen(size: int, kernel: Any, channels: int, groups: int, **more: Any) -> str:
    """For maps of size x size of as many channels as come out, 16 images unless told."""
    sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    dims, training = len(sides), more.get("training", False)
    shape = (more.get("images", 16), channels, *[size] * dims)
    x = torch.empty(shape, device="meta", dtype=more.get("dtype"))
    if more.get("last"):
        x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.empty(channels, channels // groups, *sides, device="meta")
    stride, dilation = more.get("stride", 1), more.get("dilation", 1)
    padding = tuple(dilation * (side // 2) for side in sides)
    geometry = Geometry((stride,) * dims, padding, (dilation,) * dims, groups)
    outputs = [
        (size + 2 * p - dilation * (side - 1) - 1) // stride + 1
        for p, side in zip(padding, sides, strict=True)
    ]
    weight.requires_grad_(training)
    return method(x, weight, outputs, geometry, more.get("device", "cpu"))


# (size, kernel, channels, groups), more, what was sooner by far wherever it was measured
CLEAR = [
    ((56, 3, 96, 96), {}, "direct"),
    ((28, 7, 192, 192), {}, "direct"),
    ((14, 9, 384, 384), {}, "direct"),
    ((7, 13, 768, 768), {}, "direct"),
    ((56, 31, 96, 96), {}, "fft"),
    ((28, 29, 192, 192), {}, "fft"),
    ((14, 27, 384, 384), {}, "fft"),
    ((56, (5, 51), 96, 96), {}, "fft"),
    ((112, 15, 48, 48), {}, "fft"),
    ((56, 7, 96, 96), {"last": True}, "direct"),
    ((56, 31, 96, 96), {"last": True}, "fft"),
    ((56, 13, 96, 96), {"last": True}, "fft"),
    ((14, 15, 384, 384), {"last": True}, "direct"),
    ((56, 7, 96, 96), {"stride": 2}, "direct"),
    ((28, 7, 96, 96), {"dilation": 2}, "direct"),
    ((56, 13, 96, 96), {"dilation": 3}, "fft"),
    ((28, 3, 96, 96), {"dtype": torch.bfloat16}, "direct"),
    ((28, 31, 96, 96), {"dtype": torch.bfloat16}, "fft"),
    ((28, 7, 96, 96), {"dtype": torch.float64}, "fft"),
    ((28, 5, 96, 96), {"dtype": torch.float64, "last": True}, "fft"),
    ((56, 3, 96, 96), {"training": True}, "direct"),
    ((56, 7, 96, 96), {"training": True}, "fft"),
    ((56, 15, 96, 96), {"training": True, "last": True}, "fft"),
    ((28, 5, 192, 192), {"training": True, "last": True, "images": 2}, "direct"),
    ((1024, (13,), 256, 256), {}, "direct"),
    ((1024, (127,), 256, 256), {}, "fft"),
    ((56, 3, 64, 1), {}, "direct"),
    ((56, 11, 64, 1), {}, "fft"),
    ((14, 7, 256, 1), {"training": True, "images": 2}, "direct"),
    ((56, 7, 64, 1), {"device": "cuda"}, "direct"),
    ((56, 31, 64, 64), {"device": "cuda"}, "fft"),
]


@pytest.mark.parametrize(("call", "more", "expected"), CLEAR, ids=str)
def test_clear_cases(call: tuple[Any, ...], more: dict[str, Any], expected: str) -> None:
    assert chosen(*call, **more) == expected


def test_float16_goes_by_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    neglected = (torch.float64, torch.float16)
    forget = _convolution_costs._prefers_fft.__wrapped__  # type: ignore[attr-defined]
    monkeypatch.setattr(_convolution_costs, "_prefers_fft", forget)  # past what is remembered
    for types, expected in ((neglected, "fft"), ((torch.float64,), "direct")):
        monkeypatch.setattr(_convolution_costs, "_UNSERVED", types)
        assert chosen(28, 5, 96, 96, dtype=torch.float16) == expected


def test_gradients_count_where_they_are_asked_for() -> None:
    """7x7 taps are torch's forward; the gradient of their weight is not."""
    call = (56, 7, 96, 96)
    assert chosen(*call) == "direct"
    assert chosen(*call, training=True) == "fft"
    with torch.no_grad():
        assert chosen(*call, training=True) == "direct"


@pytest.mark.parametrize("groups", [1, 24])
def test_costs_grow_with_what_is_computed(groups: int) -> None:
    """A longer kernel never turns a choice back from the spectrum, within one kind of kernels."""
    ways = [chosen(56, taps, 24, groups) for taps in (3, 5, 7, 9, 11, 15, 21, 31, 51)]
    assert ways == sorted(ways)  # "direct" before "fft"
    assert set(ways) == {"direct", "fft"}


def test_a_plane_too_large_for_transforms_is_torchs() -> None:
    assert chosen(8192, 31, 1, 1) == "direct"


def test_explain_sees_whether_gradients_are_asked_for() -> None:
    x, weight = torch.rand(8, 96, 56, 56), torch.rand(96, 1, 7, 7)
    numbers: dict[str, Any] = {"padding": "same", "groups": 96}
    forward = freqops.explain("fft_conv2d", x, weight, **numbers)
    assert forward.kernel == "torch convolution"
    trained = freqops.explain("fft_conv2d", x, weight.requires_grad_(), **numbers)
    assert trained.kernel != forward.kernel
    with torch.no_grad():
        assert freqops.explain("fft_conv2d", x, weight, **numbers) == forward


def test_explain_says_which_and_why() -> None:
    x, small, large = torch.rand(2, 8, 56, 56), torch.rand(8, 1, 3, 3), torch.rand(8, 1, 31, 31)
    for _ in range(2):  # known from before or not
        found = freqops.explain("fft_conv2d", x, small, padding="same", groups=8)
        assert found.kernel == "torch convolution"
        assert "torch's own convolution is sooner" in str(found)
        freqops.fft_conv2d(x, small, padding="same", groups=8)
    assert freqops.explain("fft_conv2d", x, large, padding="same", groups=8).kernel != found.kernel
    asked = freqops.explain("fft_conv2d", x, large, padding="same", groups=8, algorithm="direct")
    assert asked.kernel == "torch convolution"
    assert "asked for" in str(asked)


# --- calls that are known from before -----------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The choices that are made, in order; nothing is known at first."""
    monkeypatch.setattr(_convolution_handover, "_KINDS", {})
    made: list[str] = []

    def watched(*arguments: Any) -> str:
        made.append(method(*arguments))
        return made[-1]

    monkeypatch.setattr("freqops.ops.fft_conv.method", watched)
    return made


def test_a_known_call_is_not_chosen_for_again(calls: list[str]) -> None:
    weight, bias = torch.rand(4, 1, 3, 3), torch.rand(4)
    for x in torch.rand(3, 2, 4, 9, 7):
        y = freqops.fft_conv2d(x, weight, bias, 2, "valid", (1, 2), 4)
        assert torch.equal(y, functional.conv2d(x, weight, bias, 2, "valid", (1, 2), 4))
    assert calls == ["direct"]


def test_other_calls_are(calls: list[str]) -> None:
    x, weight = torch.rand(2, 4, 9, 7), torch.rand(4, 1, 3, 3)
    others: list[tuple[Tensor, Tensor, dict[str, Any]]] = [
        (x, weight, {}),
        (x[:1], weight, {}),
        (x.contiguous(memory_format=torch.channels_last), weight, {}),
        (x.double(), weight.double(), {}),
        (x, weight.clone().requires_grad_(), {}),
        (x, weight, {"padding": 1}),
        (x, weight, {"padding": "same"}),
        (x, weight, {"stride": 2}),
    ]
    for count, (one, other, numbers) in enumerate(others, 1):
        y = freqops.fft_conv2d(one, other, groups=4, **numbers)
        expected = functional.conv2d(one, other, groups=4, **numbers)
        torch.testing.assert_close(y, expected)
        assert y.stride() == expected.stride()
        assert len(calls) == count


def test_wrong_calls_are_refused_after_right_ones(calls: list[str]) -> None:
    x, weight = torch.rand(2, 4, 9, 7), torch.rand(4, 1, 3, 3)
    freqops.fft_conv2d(x, weight, groups=4)
    with pytest.raises(TypeError, match="groups"):
        freqops.fft_conv2d(x, weight, groups=4.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="stride"):
        freqops.fft_conv2d(x, weight, stride=True, groups=4)
    with pytest.raises(ValueError, match="algorithm"):
        freqops.fft_conv2d(x, weight, groups=4, algorithm="winograd")
    with pytest.raises(ValueError, match="weight must have shape"):
        freqops.fft_conv1d(x, weight, groups=4)


def test_autocast_is_kept_out_after_a_known_call(calls: list[str]) -> None:
    x, weight = torch.rand(2, 4, 9, 7), torch.rand(4, 1, 3, 3)
    expected = freqops.fft_conv2d(x, weight, groups=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(freqops.fft_conv2d(x, weight, groups=4), expected)


def test_what_is_known_is_bounded(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_convolution_handover, "_MOST_KINDS", 3)
    weight = torch.rand(1, 1, 3)
    for size in range(3, 12):
        freqops.fft_conv1d(torch.rand(1, 1, size), weight)
        assert len(_convolution_handover._KINDS) <= 3
