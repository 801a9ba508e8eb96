"""The ops of the CUDA library, replayed on CPU tensors: what they return and what they refuse."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from kernels.cuda_replay import FORMS, device, ops
from torch import Tensor

HUGE = 2**62
X = torch.randn(2, 3, 8, 8)
K = torch.randn(8, 5)


def table(response: Tensor = K, form: str = "plane", width: int = 8) -> Tensor:
    filled: Tensor = ops().fft_filter_table(response, None, form, width)
    return filled


def planes(x: Any = X, of: Any = None, form: str = "plane", **changes: Any) -> list[Tensor]:
    """fft_filter_planes with arguments that fit each other, but for the changes."""
    arguments = {"responses": 1, "channels": 0, "complex_response": False, "high": False} | changes
    results: list[Tensor] = ops().fft_filter_planes(
        x, table() if of is None else of, form, *arguments.values()
    )
    return results


def test_results_are_new_slabs() -> None:
    for x in (X, X[0, 0], X[0], X[None]):
        (y,) = planes(x)
        assert y.shape == (1, *x.shape)
        low, high = planes(x, table(torch.randn(4, 8, 5)), responses=4, high=True)
        assert low.shape == high.shape == (4, *x.shape)
        for result in (y, low, high):
            assert result.is_contiguous()
            assert result.dtype == x.dtype


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_unaligned_images_are_taken(dtype: torch.dtype) -> None:
    """Kernels may load several elements at once, views start anywhere."""
    for form, size in (("plane", 8), ("lines", 9)):
        k = table(torch.randn(size, size // 2 + 1), form, size)
        x = torch.randn(3, size, size).to(dtype)
        expected = planes(x, k, form)
        for offset in range(1, 9):
            shifted = torch.empty(offset + x.numel(), dtype=dtype)[offset:].view(x.shape).copy_(x)
            assert torch.equal(planes(shifted, k, form)[0], expected[0])


@pytest.mark.parametrize("shape", [(0, 8, 8), (2, 0, 8, 8), (0, 3, 8, 8)])
def test_empty_batches(shape: tuple[int, ...]) -> None:
    (y,) = planes(torch.zeros(shape))
    assert y.shape == (1, *shape)
    per_channel = torch.randn(3, 8, 5)
    if shape[-3] == 3:
        low, high = planes(torch.zeros(shape), table(per_channel), channels=3, high=True)
        assert low.shape == high.shape == (1, *shape)


def test_forms() -> None:
    form, takes = ops().fft_filter_form, ops().fft_filter_form_takes
    assert form(8, 8) == "plane"
    assert form(9, 1) == "lines"
    for height, width in (
        (0, 8),
        (8, 0),
        (-8, -8),
        (1, HUGE),
        (HUGE, HUGE),
        (2**13, 2**14),
        (1, 0),
    ):
        assert form(height, width) == "none"
        assert not any(takes(name, height, width) for name in FORMS)
    for name in ("", "none", "Plane", "plane\0", "x" * 10000):
        with pytest.raises(RuntimeError, match="form must be plane, even_odd or lines, got"):
            takes(name, 8, 8)


def float_table(*numbers: int) -> Tensor:
    return torch.zeros(numbers)


REFUSED_TABLES: list[tuple[Any, str]] = [
    ((K.double(), None, "plane", 8), "response must be a contiguous float32 CPU tensor"),
    ((K.half(), None, "plane", 8), "response must be a contiguous float32 CPU tensor"),
    ((K.cfloat(), None, "plane", 8), "response must be a contiguous float32 CPU tensor"),
    ((torch.zeros(5, 8).t(), None, "plane", 8), "response must be a contiguous float32"),
    ((K[:, :1].expand(8, 5), None, "plane", 8), "response must be a contiguous float32"),
    ((K[0], None, "plane", 8), "response must have at least 2 dimensions, got 1"),
    ((torch.tensor(1.0), None, "plane", 8), "response must have at least 2 dimensions, got 0"),
    ((K, None, "plane", 10), "response must have 6 columns for a width of 10, got 5"),
    ((K, None, "plane", -8), "a plane of response must have 1 to 67108864 elements, got 8 x -8"),
    ((K, None, "plane", 0), "a plane of response must have 1 to 67108864 elements"),
    ((K, None, "plane", HUGE), "a plane of response must have 1 to 67108864 elements"),
    ((K, None, "plane", -(2**63)), "a plane of response must have 1 to 67108864 elements"),
    ((torch.zeros(0, 5), None, "plane", 8), "a plane of response must have 1 to 67108864"),
    ((torch.zeros(0, 8, 5), None, "plane", 8), "response must not be empty"),
    ((K, K[:7], "plane", 8), "imag must have the shape and the device of response"),
    ((K, K[None], "plane", 8), "imag must have the shape and the device of response"),
    ((K, K.double(), "plane", 8), "imag must be a contiguous float32 CPU tensor"),
    ((K, torch.zeros(5, 8).t(), "plane", 8), "imag must be a contiguous float32 CPU tensor"),
    ((K, None, "planes", 8), "form must be plane, even_odd or lines, got planes"),
    ((torch.zeros(9, 5), None, "plane", 9), "the form plane does not take planes of 9 x 9"),
]


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED_TABLES)
def test_table_refuses(arguments: Any, sentence: str) -> None:
    with pytest.raises(RuntimeError, match=f"fft_filter_table: .*{sentence}"):
        ops().fft_filter_table(*arguments)


def call(*args: Any, **changes: Any) -> Callable[[], Any]:
    """Built when it is called: the replay library is not needed to collect tests."""
    return lambda: planes(*args, **changes)


REFUSED_PLANES: list[tuple[Callable[[], Any], str]] = [
    (call(X.double()), "x must be float32, float16 or bfloat16"),
    (call(X.int()), "x must be float32, float16 or bfloat16"),
    (call(X.cfloat()), "x must be float32, float16 or bfloat16"),
    (call(X.mT), "x must be a contiguous CPU tensor of at least 2 dimensions"),
    (call(X[0, 0, 0]), "x must be a contiguous CPU tensor of at least 2 dimensions"),
    (call(torch.tensor(0.0)), "x must be a contiguous CPU tensor of at least 2 dimensions"),
    (call(torch.zeros(2, 0, 8)), "a plane of x must have 1 to 67108864 elements, got 0 x 8"),
    (call(torch.zeros(0, 2**14, 2**14)), "a plane of x must have 1 to 67108864 elements"),
    (call(torch.zeros(0, 2**31, 2**31)), "a plane of x must have 1 to 67108864 elements"),
    (call(responses=0), "responses must be 1 to 1048576, got 0"),
    (call(responses=-1), "responses must be 1 to 1048576, got -1"),
    (call(responses=HUGE), "responses must be 1 to 1048576, got"),
    (call(responses=2), "table must be what fft_filter_table makes of these responses, 128 number"),
    (call(responses=2**20), "table must be what fft_filter_table makes of these responses"),
    (call(channels=-1), r"channels must be 0 or those of x \[..., C, H, W\], got -1"),
    (call(channels=2), r"channels must be 0 or those of x \[..., C, H, W\], got 2"),
    (call(channels=HUGE), r"channels must be 0 or those of x \[..., C, H, W\], got"),
    (call(X[0, 0], channels=8), r"channels must be 0 or those of x \[..., C, H, W\], got 8"),
    (call(channels=3), "table must be .*, 192 numbers, got 64"),
    (call(torch.zeros(0, HUGE, 1, 1), channels=HUGE), "channels must be at most 2147483647, got"),
    (call(torch.zeros(1).expand(2**31, 1, 1)), "x must be a contiguous CPU tensor"),
    (
        call(torch.zeros(0, 2**30, 2**13, 2**13), channels=2**30, responses=2**20),
        "at most 281474976710656 elements can be asked for",
    ),
    (call(complex_response=True), "table must be .*, 128 numbers, got 64"),
    (call(of=torch.zeros(64).double()), "table must be a contiguous float32 CPU tensor"),
    (call(of=torch.zeros(128)[::2]), "table must be a contiguous float32 CPU tensor"),
    (call(of=torch.zeros(8, 8)), "table must be what fft_filter_table makes"),
    (call(of=torch.zeros(65)[1:]), "table must be what fft_filter_table makes"),
    (call(of=torch.zeros(80)), "table must be .*, 64 numbers, got 80"),
    (call(of=torch.zeros(0)), "table must be .*, 64 numbers, got 0"),
    (call(form="none"), "form must be plane, even_odd or lines, got none"),
    (call(form="lines"), "table must be what fft_filter_table makes of these responses"),
    (
        call(torch.zeros(2, 9, 9), torch.zeros(81)),
        "the form plane does not take planes of 9 x 9 on this device",
    ),
    (
        call(torch.zeros(1, 1, 2**20), torch.zeros(0), form="lines"),
        "table must be .* numbers, got 0",
    ),
]


@pytest.mark.parametrize(("bad_call", "sentence"), REFUSED_PLANES)
def test_planes_refuse(bad_call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(RuntimeError, match=f"fft_filter_planes: .*{sentence}"):
        bad_call()


REFUSED_PAIRS: list[tuple[str, tuple[Any, ...], str]] = [
    ("spectral_correlation", (X.double(), X.double(), 0), "x must be float32, float16 or bfloat16"),
    ("spectral_correlation", (X.mT, X, 0), "x must be a contiguous CPU tensor"),
    ("spectral_correlation", (X, X.mT, 0), "g must be a contiguous CPU tensor"),
    ("spectral_correlation", (X, X[:1], 0), "g must have the shape, the dtype and the device"),
    ("spectral_correlation", (X, X.half(), 0), "g must have the shape, the dtype and the device"),
    ("spectral_correlation", (X, X, 2), "channels must be 0 or those of x"),
    ("spectral_correlation", (X, X, -1), "channels must be 0 or those of x"),
    ("spectral_correlation", (X, X, HUGE), "channels must be 0 or those of x"),
    ("spectral_correlation", (X[:0], X[:0], 0), "x must not be empty"),
    ("spectral_correlation", (X[..., :0], X[..., :0], 0), "a plane of x must have 1 to 67108864"),
    ("spectral_correlation", (*[torch.zeros(1, 2**20)] * 2, 0), "1 x 1048576 do not fit"),
    ("mix_amplitude_phase", (X.int(), X.int(), False), "x must be float32, float16 or bfloat16"),
    ("mix_amplitude_phase", (X, X.mT, False), "phase must be a contiguous CPU tensor"),
    ("mix_amplitude_phase", (X, X[:, :2].contiguous(), False), "phase must have the shape"),
    ("mix_amplitude_phase", (X[0, 0], X[0, 0], True), r"amplitude must be \[..., C, H, W\], got 2"),
    ("mix_amplitude_phase", (*[torch.zeros(1, 2**20)] * 2, False), "1 x 1048576 do not fit"),
    ("mix_amplitude_phase", (*[torch.zeros(1, 99, 8, 8)] * 2, True), "99 channels of 8 x 8 do not"),
]


@pytest.mark.parametrize(("name", "arguments", "sentence"), REFUSED_PAIRS)
def test_ops_of_two_images_refuse(name: str, arguments: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(RuntimeError, match=f"{name}_planes: .*{sentence}"):
        getattr(ops(), f"{name}_planes")(*arguments)


def test_a_device_that_cannot_run_a_form_says_so() -> None:
    x, size = torch.randn(2, 128, 128), 128
    filled = table(torch.randn(size, size // 2 + 1), "plane", size)
    with device(shared_bytes=64 * 1024, clusters=False):
        assert not ops().fft_filter_form_takes("plane", size, size)
        with pytest.raises(RuntimeError, match="the form plane does not take planes of 128 x 128"):
            planes(x, filled)


def test_nonsense_never_reaches_a_kernel() -> None:
    """Every combination of wrong numbers either raises a sentence or returns slabs of x's shape."""
    numbers = (-(2**63), -1, 0, 1, 2, 3, 5, 2**31, 2**63 - 1)
    tables = [torch.full((n,), torch.nan) for n in (0, 1, 64, 128, 192, 384)]
    returned = 0
    sentences = set()
    for form, x, of, responses, channels, complex_, high in itertools.product(
        FORMS, (X, X[0, 0], X[:0]), tables, numbers, numbers, (False, True), (False, True)
    ):
        options = {"complex_response": complex_, "high": high}
        try:
            results = planes(x, of, form, responses=responses, channels=channels, **options)
        except RuntimeError as error:
            sentences.add(str(error))
        else:
            assert [tuple(y.shape) for y in results] == (1 + high) * [(responses, *x.shape)]
            returned += 1
    assert returned
    assert sentences
    assert [sentence for sentence in sentences if "fft_filter_planes: " not in sentence] == []
