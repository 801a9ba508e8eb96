"""max_blur_pool1d/2d, the ops that are their derivatives, and their modules."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops.cases import (
    DTYPES,
    PADDING_MODES,
    assert_compiles,
    assert_differentiable,
    assert_keeps_alive,
    assert_maps_over,
    assert_matches,
    assert_pooled_layout,
    assert_registered,
    layouts,
    placed,
)
from torch import Tensor
from torch.nn.functional import max_pool2d

import freqops
from freqops import reference

pytestmark = pytest.mark.usefixtures("device")

DOUBLE = torch.float64
NAN, INF = float("nan"), float("inf")
SIZES = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 5), (8, 7), (1, 33), (16, 65), (31, 34)]
WINDOWS = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), ((3, 1), (1, 0)), (5, 2)]
every_mode = pytest.mark.parametrize("mode", PADDING_MODES)


# --- against the reference ----------------------------------------------------------------------


@pytest.mark.sanitizer
@every_mode
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matches_reference(size: tuple[int, int], mode: str) -> None:
    """Size and values, with ceil_mode too: an output where torch's max pooling has one."""
    for dtype in (DOUBLE, torch.float32):
        x = torch.randn(2, 3, *size, dtype=dtype)
        for window, margin in WINDOWS:
            for ceil_mode in (False, True):
                for stride in (1, 2, 3):
                    options: dict[str, Any] = {"max_padding": margin, "ceil_mode": ceil_mode}
                    try:
                        plain = max_pool2d(x, window, stride, margin, ceil_mode=ceil_mode)
                    except RuntimeError:
                        with pytest.raises(ValueError, match="kernel_size must be at most"):
                            freqops.max_blur_pool2d(x, window, 3, stride, **options)
                        continue
                    for count in (1, 2, 3, 4, 5, 9):
                        y = freqops.max_blur_pool2d(
                            x, window, count, stride, padding_mode=mode, **options
                        )
                        assert y.shape == plain.shape
                        expected = reference.max_blur_pool2d(
                            x.double(), window, count, stride, padding_mode=mode, **options
                        )
                        assert_matches(y, expected)


@every_mode
@pytest.mark.parametrize("length", [1, 2, 3, 8, 33])
def test_matches_reference_1d(length: int, mode: str) -> None:
    x = torch.randn(2, 3, length, dtype=DOUBLE)
    for window, margin in ((1, 0), (2, 1), (3, 1)):
        for ceil_mode in (False, True):
            for taps in (1, 3, 4, torch.randn(3, 4, dtype=DOUBLE)):
                options = {"max_padding": margin, "ceil_mode": ceil_mode, "padding_mode": mode}
                y = freqops.max_blur_pool1d(x, window, taps, 2, **options)
                assert_matches(y, reference.max_blur_pool1d(x, window, taps, 2, **options))


@pytest.mark.sanitizer
@every_mode
@pytest.mark.parametrize(
    "taps", [(3, 4), torch.randn(6, dtype=DOUBLE), torch.randn(4, 3, dtype=DOUBLE)], ids=range(3)
)
def test_takes_taps_and_padding_of_every_kind(taps: Any, mode: str) -> None:
    taps = placed(taps)
    x = torch.randn(2, 4, 9, 10, dtype=DOUBLE)
    for stride in (1, 2, (3, 1)):
        for padding in (None, 0, 3, (2, 1), ((0, 1), (4, 2)), ((-1, 3), (1, -1))):
            options: dict[str, Any] = {"padding": padding, "padding_mode": mode}
            y = freqops.max_blur_pool2d(x, (2, 3), taps, stride, max_padding=(0, 1), **options)
            expected = reference.max_blur_pool2d(
                x, (2, 3), taps, stride, max_padding=(0, 1), **options
            )
            assert_matches(y, expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_matches_reference_in_every_dtype(dtype: torch.dtype) -> None:
    x = torch.randn(4, 3, 33, 36, dtype=DOUBLE).to(dtype)
    for window, margin in ((2, 0), (3, 1)):
        for memory_format in (torch.contiguous_format, torch.channels_last):
            y = freqops.max_blur_pool2d(
                x.to(memory_format=memory_format), window, 4, max_padding=margin
            )
            assert_matches(y, reference.max_blur_pool2d(x.double(), window, 4, max_padding=margin))


@pytest.mark.sanitizer
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(3, 5, 9, 14), (2, 16, 8, 8), (1, 33, 7, 5)], ids=str)
def test_matches_reference_in_every_layout(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Forward and backward; ties are there on purpose."""
    values = torch.randint(-3, 4, shape).to(dtype)
    wide = values.double().requires_grad_()
    expected = reference.max_blur_pool2d(wide, 3, max_padding=1)
    cotangent = torch.randn(expected.shape).to(dtype)
    expected.backward(cotangent.double())
    assert wide.grad is not None
    for name, x in layouts(values):
        x = x.detach().requires_grad_()
        y = freqops.max_blur_pool2d(x, 3, max_padding=1)
        assert_pooled_layout(x, y)
        assert_matches(y, expected), name
        for _, gradient in layouts(cotangent):
            (back,) = torch.autograd.grad(y, x, gradient, retain_graph=True)
            assert_pooled_layout(x, back)
            assert_matches(back, wide.grad, scale=2 * float(wide.grad.abs().max())), name


@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 6), (2, 1, 3, 4, 5, 6)], ids=str)
def test_takes_any_leading_dimensions(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=DOUBLE)
    assert_matches(freqops.max_blur_pool2d(x), reference.max_blur_pool2d(x))
    assert_matches(freqops.max_blur_pool1d(x), reference.max_blur_pool1d(x))


@pytest.mark.parametrize("shape", [(0, 3, 5, 6), (4, 0, 5, 6), (0, 5, 6)], ids=str)
def test_takes_empty_batches(shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape, requires_grad=True)
    y = freqops.max_blur_pool2d(x)
    assert y.shape == (*shape[:-2], 2, 3)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == shape


# --- the maximum's rules ------------------------------------------------------------------------


@pytest.mark.parametrize("window", [2, 3])
def test_the_first_maximum_takes_the_gradient(window: int) -> None:
    """Against torch's own pooling: one tap at stride 1 leaves the maximum alone."""
    for values in (torch.zeros(2, 3, 7, 8), torch.randint(-2, 3, (2, 3, 7, 8)).float()):
        ours, theirs = (values.clone().requires_grad_() for _ in range(2))
        y = freqops.max_blur_pool2d(ours, window, 1, 1, max_padding=1)
        expected = max_pool2d(theirs, window, 1, 1)
        assert torch.equal(y, expected)
        cotangent = torch.randint(-8, 9, y.shape).float()
        y.backward(cotangent)
        expected.backward(cotangent)
        assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize("poison", [NAN, INF, -INF])
@pytest.mark.parametrize("window", [2, 3, 5])
def test_nonfinite_values_go_where_torchs_pooling_takes_them(window: int, poison: float) -> None:
    for memory_format in (torch.contiguous_format, torch.channels_last):
        values = torch.randint(-2, 3, (2, 3, 9, 20)).float()
        values[0, 1, ::3, ::2] = poison
        values[1, 2, 4:, 3:9] = poison
        values = values.contiguous(memory_format=memory_format)
        ours, theirs = (values.clone().requires_grad_() for _ in range(2))
        y = freqops.max_blur_pool2d(ours, window, 1, 1, max_padding=window // 2)
        expected = max_pool2d(theirs, window, 1, window // 2)
        assert torch.equal(y.nan_to_num(99), expected.nan_to_num(99))
        cotangent = torch.randint(-8, 9, y.shape).float()
        y.backward(cotangent)
        expected.backward(cotangent)
        assert torch.equal(ours.grad, theirs.grad)


@every_mode
def test_nan_reaches_the_windows_that_hold_it_only(mode: str) -> None:
    for place in ((0, 0), (3, 8), (6, 16)):
        x = torch.randn(2, 3, 7, 17)
        x[1, 2, place[0], place[1]] = NAN
        y = freqops.max_blur_pool2d(x, 3, 3, max_padding=1, padding_mode=mode)
        expected = reference.max_blur_pool2d(x.double(), 3, 3, max_padding=1, padding_mode=mode)
        assert torch.equal(y.isnan(), expected.isnan())


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("count", range(1, 10))
def test_a_constant_stays_one(count: int, ceil_mode: bool) -> None:
    for size in SIZES:
        x = torch.full((3, *size), -1.5)
        y = freqops.max_blur_pool2d(x, 3, count, max_padding=1, ceil_mode=ceil_mode)
        assert torch.equal(y, torch.full_like(y, -1.5))


# --- derivatives --------------------------------------------------------------------------------


def distinct(*shape: int) -> Tensor:
    """Values far enough apart that a finite difference moves no maximum."""
    count = torch.Size(shape).numel()
    return (torch.randperm(count).to(DOUBLE) / count).reshape(shape)


@every_mode
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("size", [(2, 2), (4, 3)], ids=str)
def test_gradients(size: tuple[int, int], per_channel: bool, mode: str) -> None:
    channels = (2,) if per_channel else ()
    x, v = distinct(2, 2, *size), torch.randn(2, 2, *size, dtype=DOUBLE)
    taps = torch.randn(*channels, 3, dtype=DOUBLE), torch.randn(*channels, 4, dtype=DOUBLE)
    ends = {"padding": ((2, 1), (3, 0)), "padding_mode": mode}

    def pooled(x: Tensor, taps_h: Tensor, taps_w: Tensor) -> Tensor:
        return freqops.max_blur_pool2d(x, (2, 3), (taps_h, taps_w), (2, 1), max_padding=1, **ends)

    assert_differentiable(pooled, x, *taps)
    rest = ([2, 3], [1, 1], [2, 1], [2, 1, 3, 0], mode)
    select, backward = (
        torch.ops.freqops.max_blur_pool_select,
        torch.ops.freqops.max_blur_pool_backward,
    )
    assert_differentiable(lambda v, h, w: select(x, v, h, w, *rest), v, *taps)
    y = torch.randn_like(pooled(x, *taps))
    assert_differentiable(lambda y, h, w: backward(x, y, h, w, *rest), y, *taps)


def test_gradients_match_the_reference() -> None:
    x = torch.randint(-3, 4, (2, 3, 12, 13)).double()
    taps = torch.randn(3, 4, dtype=DOUBLE)
    inputs = [value.clone().requires_grad_() for value in (x, taps)]
    others = [value.clone().requires_grad_() for value in (x, taps)]
    y = freqops.max_blur_pool2d(inputs[0], 3, inputs[1], max_padding=1)
    expected = reference.max_blur_pool2d(others[0], 3, others[1], max_padding=1)
    gradients = torch.autograd.grad(y.pow(3).sum(), inputs)
    for actual, wanted in zip(
        gradients, torch.autograd.grad(expected.pow(3).sum(), others), strict=True
    ):
        assert_matches(actual, wanted, scale=10 * float(wanted.abs().max()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_gradients_in_low_precision(dtype: torch.dtype) -> None:
    x = torch.randn(4, 3, 16, 18).to(dtype).requires_grad_()
    taps = torch.rand(3, requires_grad=True)
    wide = x.detach().double().requires_grad_()
    exact = taps.detach().double().requires_grad_()
    y = freqops.max_blur_pool2d(x, 2, taps)
    cotangent = torch.randn(y.shape).to(dtype)
    y.backward(cotangent)
    reference.max_blur_pool2d(wide, 2, exact).backward(cotangent.double())
    for actual, expected in ((x.grad, wide.grad), (taps.grad, exact.grad)):
        assert actual is not None
        assert expected is not None
        assert_matches(actual, expected, 4 * float(expected.abs().max()))


def test_nothing_but_x_is_kept() -> None:
    x = torch.randn(2, 3, 16, 16, requires_grad=True)
    assert_keeps_alive(freqops.max_blur_pool2d, x, x)
    assert_keeps_alive(freqops.MaxBlurPool2d(3, 5, max_padding=1), x, x)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, tuple[Any, ...]]:
    size = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    window, margin, stride, padding = [], [], [], []
    taps = []
    for side in size:
        window.append(draw(st.integers(1, 4)))
        margin.append(draw(st.integers(0, window[-1] // 2)))
        if side + 2 * margin[-1] < window[-1]:
            window[-1], margin[-1] = 1, 0
        maxima = side + 2 * margin[-1] - window[-1] + 1
        count = draw(st.integers(1, 7))
        taps.append(torch.randn(count, dtype=DOUBLE))
        stride.append(draw(st.integers(1, 3)))
        before = draw(st.integers(-2, 8))
        padding += [before, draw(st.integers(max(-2, count - maxima - before), 15))]
    mode = draw(st.sampled_from(PADDING_MODES))
    x = torch.randint(-3, 4, (2, 3, *size)).double()
    return x, (*taps, window, margin, stride, padding, mode)


@given(problems())
def test_select_and_backward_are_transposes(problem: tuple[Tensor, tuple[Any, ...]]) -> None:
    x, rest = problem
    pool, select, backward = (
        getattr(torch.ops.freqops, f"max_blur_pool{end}") for end in ("", "_select", "_backward")
    )
    v = torch.randn_like(x)
    y = torch.randn_like(pool(x, *rest))
    forth = (select(x, v, *rest) * y).sum()
    back = (v * backward(x, y, *rest)).sum()
    assert abs(forth - back) <= 1e-11 * (1 + v.norm() * y.norm() * 10)
    assert_matches(select(x, x, *rest), pool(x, *rest), scale=100)


# --- registration -------------------------------------------------------------------------------


def test_maps() -> None:
    x = distinct(3, 2, 4, 5, 6)
    for channels in ((), (4,)):
        taps = torch.randn(3, *channels, 3, dtype=DOUBLE)
        assert_maps_over(
            lambda x, taps: freqops.max_blur_pool2d(x, 2, taps),
            (x, [None, 0, 2, -1]),
            (taps, [None, 0, -1]),
        )
    select, backward = (
        torch.ops.freqops.max_blur_pool_select,
        torch.ops.freqops.max_blur_pool_backward,
    )
    v, y = torch.randn_like(x), torch.randn(3, 2, 4, 2, 3, dtype=DOUBLE)
    rest = (taps[0], taps[0], [2, 2], [0, 0], [2, 2], [1, 1, 1, 1], "reflect")
    assert_maps_over(lambda x, v: select(x, v, *rest), (x, [None, 0, 2]), (v, [None, 0, 1]))
    assert_maps_over(lambda x, y: backward(x, y, *rest), (x, [None, 0, 2]), (y, [None, 0, 1]))


X, K = torch.randn(2, 3, 6, 5), torch.rand(3)
LAST = X.to(memory_format=torch.channels_last)
REST = ([2, 2], [1, 1], [2, 2], [1, 1, 1, 1], "reflect")


@pytest.mark.parametrize("end", ["", "_select", "_backward"])
@pytest.mark.parametrize(
    ("x", "taps"),
    [
        (X.clone().requires_grad_(), K),
        (X, K.clone().requires_grad_()),
        (LAST.clone().requires_grad_(), torch.rand(3, 3, requires_grad=True)),
        (X.bfloat16(), K),
        (X[..., ::2], K),
        (X[:0], K),
    ],
)
def test_registration(x: Tensor, taps: Tensor, end: str) -> None:
    op = getattr(torch.ops.freqops, f"max_blur_pool{end}").default
    other: tuple[Tensor, ...] = ()
    if end == "_select":
        other = (torch.randn_like(x, requires_grad=x.requires_grad),)
    elif end == "_backward":
        outputs = torch.ops.freqops.max_blur_pool(x.detach(), taps.detach(), taps.detach(), *REST)
        other = (torch.randn_like(outputs).requires_grad_(x.requires_grad),)
    assert_registered(op, (x, *other, taps, taps, *REST))


def test_compiles() -> None:
    calls = [(torch.randn(shape),) for shape in ((2, 3, 8, 10), (3, 4, 12, 7), (3, 4, 5, 5))]
    calls.append((calls[0][0].to(memory_format=torch.channels_last),))
    for ceil_mode in (False, True):
        layer = freqops.MaxBlurPool2d(3, 4, max_padding=1, ceil_mode=ceil_mode)
        assert_compiles(layer, *calls)
    assert_compiles(freqops.max_blur_pool1d, *calls)


def test_compiles_backward() -> None:
    torch._dynamo.reset()
    x = torch.randn(2, 3, 8, 10, requires_grad=True)
    taps = torch.rand(3, requires_grad=True)
    pool = lambda x, taps: freqops.max_blur_pool2d(x, 2, taps)  # noqa: E731
    compiled = torch.compile(pool, fullgraph=True, dynamic=True)
    gradients = [
        torch.autograd.grad(function(x, taps).square().sum(), (x, taps))
        for function in (compiled, pool)
    ]
    torch.testing.assert_close(*gradients)


def test_exports() -> None:
    dims = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height", min=4)}
    for ceil_mode in (False, True):
        layer = freqops.MaxBlurPool2d(3, max_padding=1, ceil_mode=ceil_mode)
        program = torch.export.export(
            layer, (torch.randn(2, 3, 8, 10),), dynamic_shapes={"x": dims}
        )
        for height in (13, 14):
            x = torch.randn(4, 3, height, 10)
            torch.testing.assert_close(program.module()(x), layer(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast_changes_nothing(dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 8, 8).to(dtype)
    layer = freqops.MaxBlurPool2d()
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype == dtype
    assert torch.equal(y, layer(x))


def test_repeats_bit_for_bit() -> None:
    x = torch.randint(-3, 4, (7, 5, 30, 31)).float().requires_grad_()
    threads = torch.get_num_threads()

    def both() -> list[Tensor]:
        y = freqops.max_blur_pool2d(x, 3, 5, max_padding=1)
        return [y, *torch.autograd.grad(y.pow(3).sum(), x)]

    first = both()
    try:
        torch.set_num_threads(1)
        assert all(map(torch.equal, both(), first))
    finally:
        torch.set_num_threads(threads)


# --- wrong input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "error", "sentence"),
    [
        ((X.int(),), {}, TypeError, "x must be float32, float64, float16 or bfloat16"),
        ((X, 0), {}, ValueError, "kernel_size must be at least 1, got 0"),
        ((X, (2, 2, 2)), {}, ValueError, "kernel_size must be one integer or 2, one per axis"),
        ((X, 6), {}, ValueError, "kernel_size must be at most 5, x with its padding, got 6"),
        ((X, 2), {"max_padding": 2}, ValueError, "max_padding must be at most half of kernel_size"),
        ((X, 2), {"max_padding": -1}, ValueError, "max_padding must be at least 0, got -1"),
        ((X, 2.0), {}, TypeError, "kernel_size must be an integer, got float"),
        ((X, 2, "3"), {}, TypeError, "taps must be an integer or a floating-point Tensor, got str"),
        ((X, 2, torch.ones(3, 3, 3)), {}, ValueError, "taps must have shape [k] or [C, k], got"),
        ((X, 2, 3, 0), {}, ValueError, "stride must be at least 1, got 0"),
        ((X,), {"padding": -2}, ValueError, "padding must leave at least 3 samples of the map of"),
        ((X,), {"padding_mode": "same"}, ValueError, "padding_mode must be one of 'reflect', "),
    ],
)
def test_rejects(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        freqops.max_blur_pool2d(*placed(arguments), **options)
    assert str(caught.value).startswith(f"max_blur_pool2d: {sentence}")


# --- modules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("taps", [3, (3, 4), torch.rand(5), torch.rand(3, 4)])
def test_module(taps: Any) -> None:
    taps = placed(taps)
    module = freqops.MaxBlurPool2d(3, taps, (2, 1), max_padding=1, padding_mode="circular")
    x = torch.randn(2, 3, 8, 9)
    expected = freqops.max_blur_pool2d(x, 3, taps, (2, 1), max_padding=1, padding_mode="circular")
    assert torch.equal(module(x), expected)
    assert not module.state_dict()
    assert not list(module.parameters())


def test_module_of_one_axis_and_repr() -> None:
    x = torch.randn(2, 3, 9)
    assert torch.equal(
        freqops.MaxBlurPool1d(3, 4, ceil_mode=True)(x),
        freqops.max_blur_pool1d(x, 3, 4, ceil_mode=True),
    )
    assert repr(freqops.MaxBlurPool2d(3, max_padding=1, ceil_mode=True)) == (
        "MaxBlurPool2d(kernel_size=3, max_padding=1, ceil_mode=True, taps=3, stride=2, "
        "padding_mode='reflect')"
    )


def test_module_rejects() -> None:
    with pytest.raises(ValueError, match="MaxBlurPool2d: max_padding must be at most half of"):
        freqops.MaxBlurPool2d(2, max_padding=2)
    with pytest.raises(ValueError, match="MaxBlurPool2d: taps must have shape"):
        freqops.MaxBlurPool2d(2, torch.ones(3, 3, 3))
