"""spectral_pool1d/2d, their transposes and their modules; by matrices and by transforms."""

import itertools
import math
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ops.cases import (
    DTYPES,
    LENGTHS,
    SIZES,
    assert_compiles,
    assert_differentiable,
    assert_isolates,
    assert_keeps_alive,
    assert_maps_over,
    assert_matches,
    assert_pooled_layout,
    assert_registered,
    layouts,
    placed,
)
from torch import Tensor

import freqops
from freqops import reference
from freqops.ops import _responses, spectral_pool
from freqops.ops._axis_maps import NORMS, NYQUIST_RULES
from freqops.ops._responses import CACHE

pytestmark = pytest.mark.usefixtures("device")

DOUBLE = torch.float64
METHODS = ["matrix", "fft"]
OPTIONS: list[dict[str, Any]] = [
    {"window": window, "nyquist": nyquist, "norm": norm}
    for window, nyquist, norm in itertools.product((None, "hamming"), NYQUIST_RULES, NORMS)
]
ADJOINT = torch.ops.freqops.spectral_pool_adjoint
PAIRED = ("sum", "ortho")  # nyquist rules whose way up is undone by the way down


def use(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """One method for planes of every size."""
    monkeypatch.setattr(spectral_pool, "_by_transforms", lambda *_: method == "fft")


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tests that name it run once by matrices and once by transforms."""
    name: str = request.param
    use(monkeypatch, name)
    return name


def adjoint(y: Tensor, size: Any, options: dict[str, Any]) -> Tensor:
    rule = options.get("window") or "", options.get("nyquist", "half"), options.get("norm")
    result: Tensor = ADJOINT(y, list(size), rule[0], rule[1], rule[2] or "forward")
    return result


def other_sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Smaller and larger, odd and even, of both axes, one, or none."""
    height, width = size
    drawn = random.Random(37 * height + width)
    return [
        ((height + 1) // 2, (width + 1) // 2),
        (drawn.randint(1, height), drawn.randint(1, 2 * width)),
        (drawn.randint(height, 2 * height), drawn.randint(1, width)),
        (height, drawn.randint(1, width)),
        (drawn.randint(1, height), width),
        (height, width),
        (2 * height, 3 * width - 1),
    ]


# --- against the reference ----------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matches_reference(method: str, size: tuple[int, int]) -> None:
    """Every option on maps of every size, to smaller and larger ones."""
    x = torch.randn(2, 3, *size)
    targets = itertools.cycle(other_sizes(size))
    for options in OPTIONS:
        for target in itertools.islice(targets, 2):
            expected = reference.spectral_pool2d(x.double(), target, **options)
            for dtype in (DOUBLE, torch.float32):
                y = freqops.spectral_pool2d(x.to(dtype), target, **options)
                assert_matches(y, expected, float(expected.abs().max()) + 1)


@pytest.mark.parametrize("length", LENGTHS)
def test_matches_reference_1d(method: str, length: int) -> None:
    x = torch.randn(2, 3, length)
    targets = itertools.cycle(
        [(length + 1) // 2, length, 2 * length, max(1, length - 1), length + 1, 1]
    )
    for options in OPTIONS:
        for target in itertools.islice(targets, 2):
            expected = reference.spectral_pool1d(x.double(), target, **options)
            for dtype in (DOUBLE, torch.float32):
                y = freqops.spectral_pool1d(x.to(dtype), target, **options)
                assert_matches(y, expected, float(expected.abs().max()) + 1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_matches_reference_in_every_dtype_and_layout(method: str, dtype: torch.dtype) -> None:
    """Half types compute in float32 and round once: the tolerance leaves room for no second one."""
    values = torch.randn(4, 3, 18, 15, dtype=DOUBLE).to(dtype)
    for target in ((9, 8), (7, 31), (18, 6), (6, 15), (18, 15)):
        expected = reference.spectral_pool2d(values.double(), target)
        for _, x in layouts(values):
            y = freqops.spectral_pool2d(x, target)
            assert_pooled_layout(x, y)
            assert_matches(y, expected)
            line = freqops.spectral_pool1d(x, target[1])
            assert_pooled_layout(x, line)
            assert_matches(line, reference.spectral_pool1d(values.double(), target[1]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_adjoint_in_every_dtype_and_layout(method: str, dtype: torch.dtype) -> None:
    values = torch.randn(4, 3, 9, 8, dtype=DOUBLE).to(dtype)
    for size in ((18, 15), (5, 16), (9, 8)):
        expected = transposed_reference(values.double(), size, {})
        for _, y in layouts(values):
            x = adjoint(y, size, {})
            assert_pooled_layout(y, x)
            assert_matches(x, expected)


def transposed_reference(y: Tensor, size: tuple[int, int], options: dict[str, Any]) -> Tensor:
    """By autograd through the reference."""
    x = torch.zeros(*y.shape[:-2], *size, dtype=DOUBLE)
    target = tuple(y.shape[-2:])
    back = torch.func.vjp(lambda x: reference.spectral_pool2d(x, target, **options), x)[1]
    result: Tensor = back(y)[0]
    return result


@pytest.mark.parametrize("size", SIZES[::2], ids=str)
def test_adjoint_matches_reference(method: str, size: tuple[int, int]) -> None:
    targets = itertools.cycle(other_sizes(size))
    for options in OPTIONS:
        target = next(targets)
        y = torch.randn(2, *target)
        expected = transposed_reference(y.double(), size, options)
        for dtype in (DOUBLE, torch.float32):
            x = adjoint(y.to(dtype), size, options)
            assert_matches(x, expected, float(expected.abs().max()) + 1)


@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 6), (2, 1, 3, 4, 5, 6)], ids=str)
def test_takes_any_leading_dimensions(method: str, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=DOUBLE)
    assert_matches(freqops.spectral_pool2d(x), reference.spectral_pool2d(x))
    assert_matches(freqops.spectral_pool1d(x), reference.spectral_pool1d(x))
    line = x.flatten()
    assert_matches(freqops.spectral_pool1d(line), reference.spectral_pool1d(line))


@pytest.mark.parametrize("shape", [(0, 3, 5, 6), (4, 0, 5, 6), (0, 5, 6)], ids=str)
@pytest.mark.parametrize("target", [(3, 3), (5, 6), (9, 4)], ids=str)
def test_takes_empty_batches(method: str, shape: tuple[int, ...], target: tuple[int, int]) -> None:
    x = torch.zeros(shape, requires_grad=True)
    y = freqops.spectral_pool2d(x, target)
    assert y.shape == (*shape[:-2], *target)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == shape


@pytest.mark.parametrize("target", [(4, 4), (3, 5), (12, 8), (8, 8)], ids=str)
def test_nonfinite_plane_stays_alone(method: str, target: tuple[int, int]) -> None:
    """Within its plane it goes anywhere, or (by an exact zero times it) to NaN."""
    for memory_format in (torch.contiguous_format, torch.channels_last):
        for value in (float("nan"), float("inf")):
            x = torch.randn(2, 3, 8, 8)
            clean = freqops.spectral_pool2d(x, target)
            x[1, 2, 3, 4] = value
            y = freqops.spectral_pool2d(x.contiguous(memory_format=memory_format), target)
            assert not y[1, 2].isfinite().all()
            y[1, 2] = clean[1, 2]
            assert_matches(y, clean.double())


def test_nonfinite_planes_of_the_same_size_stay_alone(method: str) -> None:
    def windowed(x: Tensor) -> Tensor:
        return freqops.spectral_pool2d(x, x.shape[-2:], window="hamming")

    assert_isolates(windowed, (2, 2, 5, 6))


def test_rows_stay_alone_where_the_height_stays(method: str) -> None:
    """An axis that keeps its size is left alone, not transformed there and back."""
    x = torch.randn(2, 5, 12)
    clean = freqops.spectral_pool2d(x, (5, 7))
    x[1, 3, 4] = float("inf")
    y = freqops.spectral_pool2d(x, (5, 7))
    assert not y[1, 3].isfinite().any()
    y[1, 3] = clean[1, 3]
    assert_matches(y, clean.double())


def test_output_size_is_the_ceiling() -> None:
    x = torch.zeros(1, 70, 33)
    factors = [0.5, 1, 2, 0.1, 0.3, 1 / 3, 1.5, 0.001, (0.1, 2), (1, 0.7)]
    for factor in factors:
        height, width = factor if isinstance(factor, tuple) else (factor, factor)
        expected = (1, math.ceil(70 * height), math.ceil(33 * width))
        assert freqops.spectral_pool2d(x, scale_factor=factor).shape == expected
    assert freqops.spectral_pool1d(x).shape == (1, 70, 17)
    assert freqops.spectral_pool1d(x, scale_factor=(2,)).shape == (1, 70, 66)
    assert freqops.spectral_pool2d(x, 7, scale_factor=0.3).shape == (1, 7, 7)
    assert freqops.spectral_pool2d(x, torch.Size([4, 5])).shape == (1, 4, 5)
    assert freqops.spectral_pool2d(x).shape == (1, 35, 17)
    sizes, factors = (np.int64(4), [3, 5]), (np.float32(0.5), Fraction(1, 3))
    assert [freqops.spectral_pool2d(x, size).shape[1:] for size in sizes] == [(4, 4), (3, 5)]
    assert [freqops.spectral_pool2d(x, scale_factor=one).shape[1] for one in factors] == [35, 24]
    assert freqops.flc_pool2d(x, np.int64(4)).shape == (1, 4, 4)


def test_takes_long_lines() -> None:
    """Axes of a large prime, by transforms of their own length."""
    line = torch.arange(100003, dtype=DOUBLE)
    tone = (2 * math.pi * 77 * line / 100003).cos()
    y = freqops.spectral_pool1d(tone, 501)
    expected = (2 * math.pi * 77 * torch.arange(501, dtype=DOUBLE) / 501).cos()
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-11)


# --- derivatives --------------------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS[::5], ids=str)
@pytest.mark.parametrize(
    ("size", "target"), [((1, 1), (2, 3)), ((4, 6), (2, 4)), ((5, 4), (6, 3))], ids=str
)
def test_gradients(
    method: str, size: tuple[int, int], target: tuple[int, int], options: dict[str, Any]
) -> None:
    x = torch.randn(2, 2, *size, dtype=DOUBLE)
    assert_differentiable(lambda x: freqops.spectral_pool2d(x, target, **options), x)
    assert_differentiable(lambda x: freqops.spectral_pool1d(x, target[1], **options), x)
    y = torch.randn(2, 2, *target, dtype=DOUBLE)
    assert_differentiable(lambda y: adjoint(y, size, options), y)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_gradients_in_low_precision(method: str, dtype: torch.dtype) -> None:
    x = torch.randn(4, 3, 16, 18).to(dtype).requires_grad_()
    wide = x.detach().double().requires_grad_()
    y = freqops.spectral_pool2d(x, (8, 31))
    cotangent = torch.randn(y.shape).to(dtype)
    y.backward(cotangent)
    reference.spectral_pool2d(wide, (8, 31)).backward(cotangent.double())
    assert x.grad is not None
    assert wide.grad is not None
    assert x.grad.dtype == dtype
    assert_matches(x.grad, wide.grad)


def test_keeps_no_activation(method: str) -> None:
    x = torch.randn(2, 3, 16, 16, requires_grad=True)
    assert_keeps_alive(freqops.spectral_pool2d, x)
    assert_keeps_alive(freqops.SpectralPool1d(40), x)
    assert_keeps_alive(lambda y: adjoint(y, (32, 32), {}), x)


# --- registration -------------------------------------------------------------------------------


def test_maps(method: str) -> None:
    x = torch.randn(3, 2, 4, 5, 6, dtype=DOUBLE)
    assert_maps_over(freqops.spectral_pool2d, (x, [None, 0, 2, -1]))
    assert_maps_over(lambda x: freqops.spectral_pool1d(x, 9), (x, [None, 0, -1]))
    assert_maps_over(lambda y: adjoint(y, (10, 12), {}), (x, [None, 1, -1]))


POOL = torch.ops.freqops.spectral_pool.default
X = torch.randn(2, 3, 6, 5)
LAST = X.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("op", [POOL, ADJOINT.default], ids=["pool", "adjoint"])
@pytest.mark.parametrize(
    "arguments",
    [
        (X.clone().requires_grad_(), [3, 4], "", "half", "forward"),
        (X.clone().requires_grad_(), [4], "hamming", "sum", "ortho"),
        (LAST.clone().requires_grad_(), [8, 5], "", "ortho", "backward"),
        (X.bfloat16(), [3, 2], "", "zero", "forward"),
        (X[..., ::2].double(), [2, 2], "", "two_corner", "forward"),
        (X[:0], [3, 3], "", "half", "forward"),
        (X.clone().requires_grad_(), [6, 5], "", "half", "forward"),
    ],
)
def test_registration(method: str, op: Any, arguments: tuple[Any, ...]) -> None:
    assert_registered(op, arguments)


def test_compiles() -> None:
    shapes = [(2, 3, 8, 9), (1, 2, 13, 11), (2, 2, 30, 7)]
    calls = [(torch.randn(*shape),) for shape in shapes]
    calls += [(x.to(memory_format=torch.channels_last),) for (x,) in calls[:1]]
    assert_compiles(freqops.spectral_pool2d, *calls)
    assert_compiles(lambda x: freqops.spectral_pool2d(x, scale_factor=(0.3, 1.7)), *calls)
    assert_compiles(lambda x: freqops.spectral_pool2d(x, x.shape[-1:] * 2), *calls)
    assert_compiles(lambda x: freqops.spectral_pool1d(x, 8, window="hamming"), *calls)


def test_compiles_with_inductor() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(freqops.SpectralPool2d((5, 6)), fullgraph=True)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 3, 8, 10).to(memory_format=memory_format)
        y = compiled(x)
        assert_pooled_layout(x, y)
        torch.testing.assert_close(y, freqops.spectral_pool2d(x, (5, 6)))


def test_compiles_backward() -> None:
    torch._dynamo.reset()
    layer = freqops.SpectralPool2d(nyquist="sum")
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    for shape in ((2, 3, 8, 10), (1, 3, 13, 9)):
        x = torch.randn(shape, requires_grad=True)
        gradients = [
            torch.autograd.grad(function(x).square().sum(), x) for function in (compiled, layer)
        ]
        torch.testing.assert_close(*gradients)


def test_exports() -> None:
    dims = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height", min=4)}
    for layer in (freqops.SpectralPool2d(), freqops.SpectralPool2d((5, 6), window="hamming")):
        program = torch.export.export(
            layer, (torch.randn(2, 3, 8, 10),), dynamic_shapes={"x": dims}
        )
        x = torch.randn(4, 3, 13, 10)
        torch.testing.assert_close(program.module()(x), layer(x))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_autocast_changes_nothing(method: str, dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 8, 8).to(dtype).requires_grad_()
    expected = freqops.spectral_pool2d(x)
    (gradient,) = torch.autograd.grad(expected.square().sum(), x)
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        y = freqops.spectral_pool2d(x)
        (back,) = torch.autograd.grad(y.square().sum(), x)
    assert y.dtype == dtype
    assert torch.equal(y, expected)
    assert torch.equal(back, gradient)


def test_repeats_bit_for_bit(method: str) -> None:
    x = torch.randn(7, 5, 30, 31)
    threads = torch.get_num_threads()

    def both() -> list[Tensor]:
        y = freqops.spectral_pool2d(x, (15, 40))
        return [y, adjoint(y, (30, 31), {})]

    first = both()
    try:
        torch.set_num_threads(1)
        assert all(map(torch.equal, both(), first))
    finally:
        torch.set_num_threads(threads)


def test_first_seen_in_inference_mode_then_trained(method: str) -> None:
    """What is kept from one mode serves the other, and nothing of a trace is kept."""
    x = torch.randn(2, 3, 23, 21)
    torch._dynamo.reset()
    compiled = torch.compile(freqops.spectral_pool2d, fullgraph=True, backend="aot_eager")
    with torch.inference_mode():
        expected = freqops.spectral_pool2d(x)
        assert torch.equal(compiled(x), expected)
    tracked = x.clone().requires_grad_()
    y = freqops.spectral_pool2d(tracked)
    assert torch.equal(y, expected)
    y.square().sum().backward()
    assert tracked.grad is not None
    for dtype in (DOUBLE, torch.float32):
        assert freqops.spectral_pool2d(x.to(dtype)).dtype == dtype


@pytest.mark.cuda
@pytest.mark.parametrize("seen_before", [False, True])
def test_is_captured_in_a_graph(method: str, seen_before: bool) -> None:
    """Also where the matrices are first made within the graph."""
    images = torch.rand(2, 4, 3, 30, 26, device="cuda")
    x = images[0].clone()
    torch.fft.fft2(x)  # torch prepares its own library before a capture
    if seen_before:
        freqops.flc_pool2d(x)
    else:
        CACHE.clear()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = freqops.flc_pool2d(x)
    CACHE.clear()
    for source in images:
        x.copy_(source)
        graph.replay()
        assert_matches(captured, reference.flc_pool2d(source.double()))
    CACHE._captured.clear()


def test_nothing_is_kept_while_a_graph_is_captured(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made then belongs to the graph; what was kept before is read, and never dropped."""
    x = torch.randn(2, 3, 12, 10)
    CACHE.clear()
    monkeypatch.setattr(_responses, "current_stream", lambda _: None)
    y = freqops.flc_pool2d(x)
    assert len(CACHE) == 0
    monkeypatch.undo()
    use(monkeypatch, method)
    assert torch.equal(freqops.flc_pool2d(x), y)
    assert len(CACHE) > 0
    CACHE._captured.clear()


# --- wrong input --------------------------------------------------------------------------------

NAN = float("nan")


@pytest.mark.parametrize(
    ("arguments", "options", "error", "sentence"),
    [
        ((X.int(),), {}, TypeError, "x must be float32, float64, float16 or bfloat16, got torch.i"),
        (("x",), {}, TypeError, "x must be a Tensor, got str"),
        ((X[0, 0, 0],), {}, ValueError, "x must have at least 2 dimensions, got 1"),
        ((X[:, :, :0],), {}, ValueError, "x must have at least 1 sample along each"),
        ((X, 0), {}, ValueError, "output_size must be at least 1, got 0"),
        ((X, (3, -1)), {}, ValueError, "output_size must be at least 1, got -1"),
        ((X, 2.5), {}, TypeError, "output_size must be an integer, got float"),
        ((X, True), {}, TypeError, "output_size must be an integer, got bool"),
        ((X, "3"), {}, TypeError, "output_size must be an integer, got str"),
        ((X, (3, 3, 3)), {}, ValueError, "output_size must be one integer or 2, one per axis, got"),
        ((X, 2**14), {}, ValueError, "output_size must give at most 2**26 samples per plane, got"),
        ((X,), {"scale_factor": 1e9}, ValueError, "output_size must give at most 2**26 samples"),
        ((X,), {"scale_factor": 0}, ValueError, "scale_factor must be above 0 and finite, got 0"),
        ((X,), {"scale_factor": -0.5}, ValueError, "scale_factor must be above 0 and finite, got"),
        ((X,), {"scale_factor": NAN}, ValueError, "scale_factor must be above 0 and finite, got"),
        ((X,), {"scale_factor": "2"}, TypeError, "scale_factor must be a number, got str"),
        ((X,), {"scale_factor": None}, TypeError, "scale_factor must be a number, got NoneType"),
        (
            (X,),
            {"scale_factor": (1, 2, 3)},
            ValueError,
            "scale_factor must be one number or 2, one",
        ),
        (
            (X,),
            {"scale_factor": 10**400},
            ValueError,
            "scale_factor must be above 0 and finite, got inf",
        ),
        ((X,), {"window": "hann"}, ValueError, "window must be one of None, 'hamming', got 'hann'"),
        ((X,), {"window": ["hann"]}, ValueError, "window must be one of None, 'hamming', got ["),
        ((X,), {"nyquist": "neg"}, ValueError, "nyquist must be one of 'half', 'ortho', 'sum', 'z"),
        ((X,), {"nyquist": "two_corner"}, ValueError, "nyquist must be one of 'half', 'ortho', 's"),
        ((X,), {"norm": None}, ValueError, "norm must be one of 'forward', 'ortho', 'backward', g"),
    ],
)
def test_rejects(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        freqops.spectral_pool2d(*placed(arguments), **options)
    assert str(caught.value).startswith(f"spectral_pool2d: {sentence}")
    if isinstance(arguments[0], Tensor) and arguments[0] is X:
        with pytest.raises(error) as caught:
            freqops.SpectralPool2d(*arguments[1:], **options)(placed(X))
        assert str(caught.value).lower().startswith(f"spectralpool2d: {sentence}".lower()) or (
            "2**26" in sentence
        )


def test_one_axis_has_one_number() -> None:
    with pytest.raises(ValueError, match="spectral_pool1d: output_size must be one integer or 1"):
        freqops.spectral_pool1d(X, (3, 3))
    with pytest.raises(ValueError, match="SpectralPool1d: scale_factor must be one number or 1"):
        freqops.SpectralPool1d(scale_factor=(2, 3))


# --- mathematics --------------------------------------------------------------------------------


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, tuple[int, int], dict[str, Any]]:
    size = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    target = draw(st.tuples(st.integers(1, 50), st.integers(1, 50)))
    x = torch.randn(2, 3, *size, dtype=DOUBLE)
    if draw(st.booleans()):
        x = x.to(memory_format=torch.channels_last)
    return x, target, draw(st.sampled_from(OPTIONS))


@pytest.mark.parametrize("how", METHODS)
@given(problem=problems())
def test_adjoint_identity(how: str, problem: Any) -> None:
    """<pool x, z> is <x, adjoint z>, for the forms that also agree with the reference."""
    x, target, options = problem
    with pytest.MonkeyPatch.context() as patch:
        use(patch, how)
        y = freqops.spectral_pool2d(x, target, **options)
        expected = reference.spectral_pool2d(x, target, **options)
        assert_matches(y, expected, float(expected.abs().max()) + 1)
        z = torch.randn_like(y)
        back = adjoint(z, x.shape[-2:], options)
    assert abs((y * z).sum() - (x * back).sum()) <= 1e-12 * (1 + y.norm() * z.norm())


@settings(max_examples=30)
@given(problem=problems(), factor=st.floats(-3, 3))
def test_linearity(problem: Any, factor: float) -> None:
    x, target, options = problem
    z = torch.randn_like(x)
    both = freqops.spectral_pool2d(x + factor * z, target, **options)
    one, other = (freqops.spectral_pool2d(t, target, **options) for t in (x, z))
    assert_matches(both, one + factor * other, scale=float(both.abs().max()) + 10)


def test_methods_agree_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 3, 96, 96)
    expected = reference.spectral_pool2d(x.double(), (48, 48))
    for how in METHODS:
        use(monkeypatch, how)
        assert_matches(freqops.spectral_pool2d(x, (48, 48)), expected)


@pytest.mark.parametrize("size", range(1, 65))
def test_a_constant_stays_one(method: str, size: int) -> None:
    """From every size to every size, and with every rule: rows and columns both change."""
    for target in range(1, 65):
        nyquist = NYQUIST_RULES[(size + target) % 4]
        x = torch.full((1, size, 65 - size), 1.5, dtype=DOUBLE)
        y = freqops.spectral_pool2d(x, (target, 65 - target), nyquist=nyquist)
        torch.testing.assert_close(y, torch.full_like(y, 1.5), rtol=0, atol=2e-14)


def test_norms_scale_the_mean() -> None:
    x = torch.randn(3, 12, 10, dtype=DOUBLE)
    forward = freqops.spectral_pool2d(x, (5, 20))
    torch.testing.assert_close(forward.mean((-2, -1)), x.mean((-2, -1)))
    torch.testing.assert_close(
        freqops.spectral_pool2d(x, (5, 20), norm="backward"), forward * (120 / 100)
    )
    torch.testing.assert_close(
        freqops.spectral_pool2d(x, (5, 20), norm="ortho"), forward * math.sqrt(120 / 100)
    )
    # Unitary: no energy is made, and below the new Nyquist frequency none is lost.
    low = freqops.spectral_pool1d(torch.randn(3, 5, dtype=DOUBLE), 12)
    small = freqops.spectral_pool1d(low, 7, norm="ortho")
    torch.testing.assert_close(small.square().sum(-1), low.square().sum(-1))


@pytest.mark.parametrize(("size", "target"), [((32, 24), (16, 12)), ((30, 14), (15, 7))], ids=str)
def test_shifts_come_through(method: str, size: Any, target: Any) -> None:
    """A circular shift by 2 before is one by 1 behind; odd outputs have no bin that minds."""
    x = torch.randn(2, 3, *size, dtype=DOUBLE)
    y = freqops.spectral_pool2d(x, target, nyquist="zero")
    for step in ((2, 0), (0, 2), (2, 4), (-6, 2)):
        moved = freqops.spectral_pool2d(x.roll(step, (-2, -1)), target, nyquist="zero")
        expected = y.roll([one // 2 for one in step], (-2, -1))
        torch.testing.assert_close(moved, expected, rtol=0, atol=1e-12)


def test_shifts_by_less_than_an_output_come_through() -> None:
    """By one sample, which is half an output: a phase of every bin, and no other change."""
    x = torch.randn(64, dtype=DOUBLE)
    power = [
        torch.fft.rfft(freqops.spectral_pool1d(one, nyquist="zero")).abs() for one in (x, x.roll(1))
    ]
    torch.testing.assert_close(*power, rtol=0, atol=1e-12)
    plain = [torch.fft.rfft(one[::2]).abs() for one in (x, x.roll(1))]
    assert float((plain[0] - plain[1]).abs().max()) > 1


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_same_size_is_the_identity(method: str, dtype: torch.dtype) -> None:
    """Bit by bit, NaN and all, into memory of its own."""
    for size in ((1, 1), (2, 2), (7, 8), (33, 20)):
        values = torch.randn(2, 3, *size).to(dtype)
        values[0, 0, 0, 0] = float("nan")
        for nyquist, norm in itertools.product(NYQUIST_RULES, NORMS):
            for _, x in layouts(values):
                y = freqops.spectral_pool2d(x, size, nyquist=nyquist, norm=norm)
                assert torch.equal(y.isnan(), x.isnan())
                assert torch.equal(y.nan_to_num(), x.nan_to_num())
                assert y.data_ptr() != x.data_ptr()
                assert_pooled_layout(x, y)
    one = freqops.spectral_pool2d(torch.ones(1, 4, 4), scale_factor=1, window="hamming")
    torch.testing.assert_close(one, torch.ones(1, 4, 4))  # its mean is kept, and only that
    wave = torch.tensor([1.0, -1.0]).repeat(3)
    weakened = freqops.spectral_pool1d(wave, 6, window="hamming")
    torch.testing.assert_close(weakened, wave * math.sqrt(0.08))


@pytest.mark.parametrize("size", [(5, 7), (8, 6), (12, 9), (31, 64)], ids=str)
def test_down_then_up_is_a_projection(method: str, size: tuple[int, int]) -> None:
    """The ideal low-pass: a second time it changes nothing, and up then down nothing at all."""
    x = torch.randn(2, *size, dtype=DOUBLE)
    for target in (*other_sizes(size)[:1], (3, 3), (4, 5), (5, 4)):
        for nyquist in (*PAIRED, "zero"):

            def passed(x: Tensor, target: Any = target, nyquist: str = nyquist) -> Tensor:
                small = freqops.spectral_pool2d(x, target, nyquist=nyquist)
                return freqops.spectral_pool2d(small, size, nyquist=nyquist)

            once = passed(x)
            torch.testing.assert_close(passed(once), once, rtol=0, atol=1e-13)
            y = torch.randn_like(x)
            torch.testing.assert_close((passed(x) * y).sum(), (x * passed(y)).sum())
    for nyquist in PAIRED:
        large = freqops.spectral_pool2d(x, [2 * side + 1 for side in size], nyquist=nyquist)
        small = freqops.spectral_pool2d(large, size, nyquist=nyquist)
        torch.testing.assert_close(small, x, rtol=0, atol=1e-13)


def test_upsampling_goes_through_the_samples(method: str) -> None:
    for size in (5, 8, 12):
        x = torch.randn(3, size, size, dtype=DOUBLE)
        for factor in (2, 3):
            y = freqops.spectral_pool2d(x, scale_factor=factor)
            torch.testing.assert_close(y[..., ::factor, ::factor], x, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("size", "target"), [(64, 32), (64, 31), (45, 20), (20, 45)])
def test_tones_pass_or_vanish(method: str, size: int, target: int) -> None:
    """Below the new Nyquist frequency a tone is the same tone; above it nothing is left of it."""
    for k in range(size // 2):
        phase = 0.3 + k
        tone, same = (
            (2 * math.pi * k * torch.arange(count, dtype=DOUBLE) / count + phase).cos()
            for count in (size, target)
        )
        y = freqops.spectral_pool1d(tone, target)
        expected = same if 2 * k < target else torch.zeros_like(same)
        if 2 * k != target:
            torch.testing.assert_close(y, expected, rtol=0, atol=1e-13)


def test_window_weakens_each_tone() -> None:
    size, target = 64, 32
    for k in range(target // 2):
        tone = (2 * math.pi * k * torch.arange(size, dtype=DOUBLE) / size).cos()
        plain = freqops.spectral_pool1d(tone, target)
        gain = math.sqrt(0.54 + 0.46 * math.cos(2 * math.pi * k / size))
        windowed = freqops.spectral_pool1d(tone, target, window="hamming")
        torch.testing.assert_close(windowed, gain * plain, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("down", "up"), [((24, 12), (12, 24)), ((13, 6), (6, 13))])
def test_nyquist_rules_scale_one_bin(method: str, down: Any, up: Any) -> None:
    weights = {"half": (0.5, 0.5), "ortho": (0.5**0.5,) * 2, "sum": (1, 0.5), "zero": (0, 0)}
    for (size, target), way in ((down, 0), (up, 1)):
        x = torch.randn(size, dtype=DOUBLE)
        kept = min(size, target)
        spectra = {
            nyquist: torch.fft.rfft(freqops.spectral_pool1d(x, target, nyquist=nyquist))
            for nyquist in NYQUIST_RULES
        }
        whole = torch.fft.rfft(x)[kept // 2] / size * target
        for nyquist, spectrum in spectra.items():
            torch.testing.assert_close(spectrum[: kept // 2], spectra["sum"][: kept // 2])
            expected = weights[nyquist][way] * (2 * whole.real if way == 0 else whole)
            found = spectrum[kept // 2]
            assert abs(found - expected) < 1e-13


# --- modules ------------------------------------------------------------------------------------


def test_module() -> None:
    x = torch.randn(2, 3, 8, 9)
    options = {"window": "hamming", "nyquist": "sum", "norm": "ortho"}
    module = freqops.SpectralPool2d((5, 12), **options)
    assert torch.equal(module(x), freqops.spectral_pool2d(x, (5, 12), **options))
    assert not module.state_dict()
    assert not list(module.parameters())
    assert torch.equal(freqops.SpectralPool2d()(x), freqops.spectral_pool2d(x))
    assert torch.equal(
        freqops.SpectralPool2d(None, (2, 0.3))(x),
        freqops.spectral_pool2d(x, scale_factor=(2, 0.3)),
    )
    assert torch.equal(freqops.SpectralPool1d(4)(x), freqops.spectral_pool1d(x, 4))
    assert torch.equal(torch.func.functional_call(module, {}, x), module(x))
    assert repr(freqops.SpectralPool1d()) == "SpectralPool1d(scale_factor=0.5)"
    assert repr(module) == (
        "SpectralPool2d(output_size=(5, 12), window='hamming', nyquist='sum', norm='ortho')"
    )


def test_module_trains_in_a_network(method: str) -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), freqops.SpectralPool2d(), torch.nn.Conv2d(4, 2, 3)
    )
    network(torch.randn(2, 3, 16, 16)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in network.parameters())


@pytest.mark.parametrize("lines", [1, 3, 40])
@pytest.mark.parametrize("target", [4001, 5000, 9000])
def test_long_lines_few_and_many(lines: int, target: int) -> None:
    x = torch.randn(lines, 5000)
    y = freqops.spectral_pool1d(x, target)
    expected = freqops.spectral_pool1d(x.double().repeat(16, 1), target)[:lines]
    torch.testing.assert_close(y.double(), expected, rtol=0, atol=3e-6)
    how = spectral_pool.method((5000,), (target,), ("", "half", "forward"), x, "cpu")
    assert how == ("copy" if target == 5000 else "torch" if lines < 16 else "fft")
    if how != "copy" and x.device.type == "cpu":
        kernel = freqops.explain("spectral_pool1d", x, target).kernel
        assert kernel.startswith("torch.fft" if how == "torch" else "fused resize_spectrum")
