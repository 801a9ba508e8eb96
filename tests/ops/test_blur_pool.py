"""blur_pool1d/2d/3d, their transposes and their modules."""

import math
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
from torch import Tensor, nn

import freqops
from freqops import filters, reference
from freqops.ops import _cuda, _pooling_composition

pytestmark = pytest.mark.usefixtures("device")

DOUBLE = torch.float64
SIZES = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 5), (8, 7), (1, 33), (40, 1), (16, 65), (31, 34)]
every_mode = pytest.mark.parametrize("mode", PADDING_MODES)


# --- against the reference ----------------------------------------------------------------------


@pytest.mark.sanitizer
@every_mode
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matches_reference(size: tuple[int, int], mode: str) -> None:
    """Every count of taps from 1 to 9 on maps of every size, down to one pixel."""
    for dtype in (DOUBLE, torch.float32):
        x = torch.randn(2, 3, *size, dtype=dtype)
        for count in range(1, 10):
            for stride in (1, 2, 3):
                y = freqops.blur_pool2d(x, count, stride, padding_mode=mode)
                assert list(y.shape[-2:]) == [math.ceil(side / stride) for side in size]
                expected = reference.blur_pool2d(x.double(), count, stride, padding_mode=mode)
                assert_matches(y, expected)
                line = freqops.blur_pool1d(x, count, stride, padding_mode=mode)
                expected = reference.blur_pool1d(x.double(), count, stride, padding_mode=mode)
                assert_matches(line, expected)


@pytest.mark.sanitizer
@every_mode
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_adjoint_matches_reference(size: tuple[int, int], mode: str) -> None:
    for dtype in (DOUBLE, torch.float32):
        for count in range(1, 10):
            for stride in (1, 2, 3):
                shape = [math.ceil(side / stride) for side in size]
                y = torch.randn(2, 3, *shape, dtype=dtype)
                x = freqops.blur_pool_adjoint2d(y, size, count, stride, padding_mode=mode)
                expected = reference.blur_pool_adjoint2d(
                    y.double(), size, count, stride, padding_mode=mode
                )
                assert_matches(x, expected, scale=2 * float(expected.abs().max()))


@every_mode
@pytest.mark.parametrize("size", [(1, 1, 1), (2, 1, 3), (5, 6, 7), (1, 9, 16)], ids=str)
def test_matches_reference_3d(size: tuple[int, int, int], mode: str) -> None:
    x = torch.randn(2, 3, *size, dtype=DOUBLE)
    for taps in (1, 3, 4, (2, 5, 1), torch.rand(3, 4, dtype=DOUBLE)):
        for stride in (1, 2, (1, 2, 3)):
            y = freqops.blur_pool3d(x, taps, stride, padding_mode=mode)
            assert_matches(y, reference.blur_pool3d(x, taps, stride, padding_mode=mode))


@every_mode
def test_adjoints_of_one_and_three_axes(mode: str) -> None:
    """<blur x, y> is <x, adjoint y>."""
    x = torch.randn(2, 3, 5, 6, 7, dtype=DOUBLE)
    kinds: list[Any] = [2, (2, 5, 1), torch.rand(3, 4, dtype=DOUBLE)]
    for taps in kinds:
        for stride in (1, 2, (1, 2, 3)):
            options: dict[str, Any] = {"padding": ((1, 2), 2, (-1, 4)), "padding_mode": mode}
            y = freqops.blur_pool3d(x, taps, stride, **options)
            z = torch.randn_like(y)
            back = freqops.blur_pool_adjoint3d(z, (5, 6, 7), taps, stride, **options)
            assert back.shape == x.shape
            assert_matches((x * back).sum()[None], (y * z).sum()[None], scale=1e3)
    line = x[0, :, 0, 0]
    for own in (3, kinds[-1]):
        y = freqops.blur_pool1d(line, own, 3, padding_mode=mode)
        z = torch.randn_like(y)
        back = freqops.blur_pool_adjoint1d(z, 7, own, 3, padding_mode=mode)
        assert_matches((line * back).sum()[None], (y * z).sum()[None], scale=1e3)


TAPS = [
    (3, 4),
    (1, 7),
    torch.randn(6, dtype=DOUBLE),
    (torch.randn(5, dtype=DOUBLE), 2),
    torch.randn(4, 5, dtype=DOUBLE),
    (torch.randn(4, 3, dtype=DOUBLE), torch.randn(2, dtype=DOUBLE)),
    (3, torch.randn(4, 1, dtype=DOUBLE)),
    torch.randn(4, 3, 2, dtype=DOUBLE),
]


@pytest.mark.sanitizer
@every_mode
@pytest.mark.parametrize("taps", TAPS, ids=range(len(TAPS)))
def test_takes_taps_of_every_kind(taps: Any, mode: str) -> None:
    taps = placed(taps)
    x = torch.randn(2, 4, 9, 10, dtype=DOUBLE)
    for stride in (1, 2, (3, 1)):
        for padding in (None, 0, 3, (2, 1), ((0, 1), (4, 2)), ((-2, 3), (1, -1)), (2, (1, 0))):
            options = {"padding": padding, "padding_mode": mode}
            expected = reference.blur_pool2d(x, taps, stride, **options)
            assert_matches(freqops.blur_pool2d(x, taps, stride, **options), expected)
            if isinstance(taps, Tensor) and taps.dim() > 2:
                continue
            y = torch.randn_like(expected)
            back = freqops.blur_pool_adjoint2d(y, (9, 10), taps, stride, **options)
            expected = reference.blur_pool_adjoint2d(y, (9, 10), taps, stride, **options)
            assert_matches(back, expected, scale=10)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("taps", [3, 4, 5, 8, torch.rand(3, 3)], ids=str)
def test_matches_reference_in_every_dtype(taps: Any, dtype: torch.dtype) -> None:
    """Half types compute in float32 and round once: the tolerance leaves room for no second one."""
    taps = placed(taps)
    x = torch.randn(4, 3, 33, 36, dtype=DOUBLE).to(dtype)
    exact = taps.double() if isinstance(taps, Tensor) else taps
    for memory_format in (torch.contiguous_format, torch.channels_last):
        y = freqops.blur_pool2d(x.to(memory_format=memory_format), taps)
        assert_matches(y, reference.blur_pool2d(x.double(), exact))
    assert_matches(freqops.blur_pool3d(x, 4), reference.blur_pool3d(x.double(), 4))
    assert_matches(freqops.blur_pool1d(x, 4), reference.blur_pool1d(x.double(), 4))


@pytest.mark.sanitizer
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(3, 5, 9, 14), (2, 16, 8, 8), (1, 33, 7, 5)], ids=str)
def test_matches_reference_in_every_layout(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    values = torch.randn(shape).to(dtype)
    cotangent = torch.randn(*shape[:2], math.ceil(shape[2] / 2), math.ceil(shape[3] / 2)).to(dtype)
    for taps in (3, 4, torch.rand(shape[1], 3)):
        exact = taps.double() if isinstance(taps, Tensor) else taps
        expected = reference.blur_pool2d(values.double(), exact)
        for name, x in layouts(values):
            y = freqops.blur_pool2d(x, taps)
            assert_pooled_layout(x, y)
            assert_matches(y, expected), name
        expected = reference.blur_pool_adjoint2d(cotangent.double(), shape[2:], exact)
        for name, y in layouts(cotangent):
            x = freqops.blur_pool_adjoint2d(y, shape[2:], taps)
            assert_pooled_layout(y, x)
            assert_matches(x, expected, scale=2 * float(expected.abs().max())), name


def test_keeps_channels_last_3d() -> None:
    x = torch.randn(2, 3, 4, 5, 6).contiguous(memory_format=torch.channels_last_3d)
    y = freqops.blur_pool3d(x)
    assert y.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(y, freqops.blur_pool3d(x.contiguous()))
    back = freqops.blur_pool_adjoint3d(y, (4, 5, 6))
    assert back.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 6), (2, 1, 3, 4, 5, 6)], ids=str)
def test_takes_any_leading_dimensions(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=DOUBLE)
    assert_matches(freqops.blur_pool2d(x), reference.blur_pool2d(x))
    assert_matches(freqops.blur_pool1d(x[0]), reference.blur_pool1d(x[0]))
    assert_matches(freqops.blur_pool1d(x.flatten()), reference.blur_pool1d(x.flatten()))
    if len(shape) > 2:
        assert_matches(freqops.blur_pool3d(x), reference.blur_pool3d(x))


@pytest.mark.parametrize("shape", [(0, 3, 5, 6), (4, 0, 5, 6), (0, 5, 6)], ids=str)
def test_takes_empty_batches(shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape, requires_grad=True)
    taps = torch.ones(3, requires_grad=True)
    y = freqops.blur_pool2d(x, taps)
    assert y.shape == (*shape[:-2], 3, 3)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == shape
    assert taps.grad is not None
    assert not taps.grad.any()


@every_mode
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nonfinite_reaches_the_windows_that_hold_it_only(mode: str, value: float) -> None:
    for memory_format in (torch.contiguous_format, torch.channels_last):
        for place in ((0, 0), (3, 8), (6, 16)):
            x = torch.randn(2, 3, 7, 17).contiguous(memory_format=memory_format)
            x[1, 2, place[0], place[1]] = value
            for taps in (3, 4, torch.tensor([0.0, 1.0, 0.5])):
                y = freqops.blur_pool2d(x, taps, padding_mode=mode)
                expected = reference.blur_pool2d(x.double(), taps, padding_mode=mode)
                assert torch.equal(y.isfinite(), expected.isfinite())
                kept = y.isfinite()
                assert_matches(y[kept], expected[kept])
            gradient = torch.zeros(2, 3, 4, 9)
            gradient[0, 1, place[0] // 2, place[1] // 2] = value
            back = freqops.blur_pool_adjoint2d(gradient, (7, 17), 3, padding_mode=mode)
            assert not back[0, 1].isfinite().all()
            others = torch.ones(2, 3, dtype=torch.bool)
            others[0, 1] = False
            assert not back[others].any()
            far = back[0, 1, (place[0] + 4) % 7 if mode != "circular" else place[0] - 3]
            assert far.isfinite().all()


# --- derivatives --------------------------------------------------------------------------------


@every_mode
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (4, 3)], ids=str)
def test_gradients(size: tuple[int, int], per_channel: bool, mode: str) -> None:
    channels = (2,) if per_channel else ()
    x = torch.randn(2, 2, *size, dtype=DOUBLE)
    taps_h = torch.randn(*channels, 3, dtype=DOUBLE)
    taps_w = torch.randn(*channels, 4, dtype=DOUBLE)

    def blurred(x: Tensor, taps_h: Tensor, taps_w: Tensor) -> Tensor:
        ends = ((2, 1), (3, -1 if size[1] > 1 else 0))
        return freqops.blur_pool2d(x, (taps_h, taps_w), (2, 1), padding=ends, padding_mode=mode)

    assert_differentiable(blurred, x, taps_h, taps_w)
    y = blurred(x, taps_h, taps_w)

    def spread(y: Tensor, taps_h: Tensor, taps_w: Tensor) -> Tensor:
        ends = ((2, 1), (3, -1 if size[1] > 1 else 0))
        return freqops.blur_pool_adjoint2d(
            y, size, (taps_h, taps_w), (2, 1), padding=ends, padding_mode=mode
        )

    assert_differentiable(spread, y, taps_h, taps_w)


def test_gradients_of_one_and_three_axes() -> None:
    x, taps = torch.randn(2, 2, 3, 4, 5, dtype=DOUBLE), torch.randn(2, 3, dtype=DOUBLE)
    assert_differentiable(freqops.blur_pool1d, x[0, :, 0], taps[0])
    assert_differentiable(freqops.blur_pool1d, x[0, :, :2, 0], taps[:, :2])
    assert_differentiable(freqops.blur_pool3d, x, taps)
    assert_differentiable(freqops.blur_pool2d, x[0], torch.randn(3, 3, 2, dtype=DOUBLE))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_gradients_in_low_precision(dtype: torch.dtype) -> None:
    """The gradient for taps stays in their own dtype, summed in float32."""
    x = torch.randn(4, 3, 16, 18).to(dtype).requires_grad_()
    taps = torch.randn(3, 4, requires_grad=True)
    wide = x.detach().double().requires_grad_()
    exact = taps.detach().double().requires_grad_()
    y = freqops.blur_pool2d(x, taps)
    cotangent = torch.randn(y.shape).to(dtype)
    y.backward(cotangent)
    reference.blur_pool2d(wide, exact).backward(cotangent.double())
    for actual, expected in ((x.grad, wide.grad), (taps.grad, exact.grad)):
        assert actual is not None
        assert expected is not None
        assert_matches(actual, expected, 4 * float(expected.abs().max()))
    assert taps.grad is not None
    assert taps.grad.dtype == torch.float32


def test_fixed_taps_keep_no_activation() -> None:
    x = torch.randn(2, 3, 16, 16, requires_grad=True)
    assert_keeps_alive(freqops.blur_pool2d, x)
    assert_keeps_alive(freqops.BlurPool2d(5), x)
    y = torch.randn(2, 3, 8, 8, requires_grad=True)
    assert_keeps_alive(lambda y: freqops.blur_pool_adjoint2d(y, (16, 16)), y)


# --- registration -------------------------------------------------------------------------------


def test_maps() -> None:
    x = torch.randn(3, 2, 4, 5, 6, dtype=DOUBLE)
    for channels in ((), (4,)):
        taps = torch.randn(3, *channels, 3, dtype=DOUBLE)
        assert_maps_over(freqops.blur_pool2d, (x, [None, 0, 2, -1]), (taps, [None, 0, -1]))
        assert_maps_over(
            lambda y, taps: freqops.blur_pool_adjoint2d(y, (10, 12), taps),
            (x, [None, 0, -1]),
            (taps, [None, 0]),
        )
    assert_maps_over(
        freqops.blur_pool1d, (x, [None, 1]), (torch.randn(3, 5, 2, dtype=DOUBLE), [None, 0])
    )


def test_maps_over_gradients_of_taps() -> None:
    x = torch.randn(3, 2, 4, 5, 6, dtype=DOUBLE)
    taps = torch.randn(3, dtype=DOUBLE)

    def gradient(x: Tensor) -> Tensor:
        result: Tensor = torch.func.grad(lambda taps: freqops.blur_pool2d(x, taps).square().sum())(
            taps
        )
        return result

    assert_matches(torch.vmap(gradient)(x), torch.stack([gradient(one) for one in x]))


BLUR, ADJOINT = torch.ops.freqops.blur_pool.default, torch.ops.freqops.blur_pool_adjoint.default
X, K = torch.randn(2, 3, 6, 5), torch.rand(3)
LAST = X.to(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("op", "arguments"),
    [
        (BLUR, (X.clone().requires_grad_(), K, K, [2, 2], [1, 1, 1, 1], "reflect")),
        (BLUR, (X, K.clone().requires_grad_(), K, [2, 1], [1, 1, 1, 1], "zeros")),
        (BLUR, (LAST, torch.rand(3, 4), torch.rand(3, 2), [2, 2], [1, 2, 0, 1], "circular")),
        (BLUR, (X.bfloat16(), K, K, [1, 1], [1, 1, 1, 1], "replicate")),
        (BLUR, (X[..., ::2].double(), K.double(), K.double(), [2, 2], [1, 1, 1, 1], "zeros")),
        (BLUR, (X[:0], K, K, [2, 2], [1, 1, 1, 1], "reflect")),
        (
            ADJOINT,
            (X.clone().requires_grad_(), K, K, [12, 10], [2, 2], [1, 1, 1, 1], "reflect"),
        ),
        (
            ADJOINT,
            (
                LAST.clone().requires_grad_(),
                torch.rand(3, 2, requires_grad=True),
                torch.rand(3, 3, requires_grad=True),
                [11, 5],
                [2, 1],
                [0, 1, 1, 1],
                "circular",
            ),
        ),
    ],
)
def test_registration(op: Any, arguments: tuple[Any, ...]) -> None:
    assert_registered(op, arguments)


def test_compiles() -> None:
    calls = [(torch.randn(shape),) for shape in ((2, 3, 8, 10), (3, 4, 12, 7), (3, 4, 5, 5))]
    calls.append((calls[0][0].to(memory_format=torch.channels_last),))
    for mode in ("reflect", "zeros"):  # a word for the op, which is not looked at above it
        assert_compiles(lambda x, mode=mode: freqops.blur_pool2d(x, 4, padding_mode=mode), *calls)
    assert_compiles(freqops.blur_pool1d, *calls)
    assert_compiles(freqops.blur_pool3d, *calls[:3])
    assert_compiles(freqops.blur_pool2d, *((x, torch.rand(x.shape[1], 3)) for (x,) in calls))
    assert_compiles(freqops.blur_pool2d, *((x, torch.rand(x.shape[1], 3, 2)) for (x,) in calls))
    assert_compiles(lambda y: freqops.blur_pool_adjoint2d(y, [2 * n for n in y.shape[-2:]]), *calls)


def test_compiles_with_inductor() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(freqops.BlurPool2d(4), fullgraph=True)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 3, 8, 10).to(memory_format=memory_format)
        y = compiled(x)
        assert_pooled_layout(x, y)
        torch.testing.assert_close(y, freqops.blur_pool2d(x, 4))


@pytest.mark.parametrize("separable", [False, True])
def test_compiles_backward(separable: bool) -> None:
    torch._dynamo.reset()
    x = torch.randn(2, 3, 8, 10, requires_grad=True)
    layer = freqops.BlurPool2d(learnable=True, channels=3, separable=separable)
    inputs = (x, *layer.parameters())
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    gradients = [
        torch.autograd.grad(function(x).square().sum(), inputs) for function in (compiled, layer)
    ]
    torch.testing.assert_close(*gradients)


def test_exports() -> None:
    dims = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height", min=4)}
    for layer in (freqops.BlurPool2d(4), freqops.BlurPool2d(learnable=True, channels=3)):
        program = torch.export.export(
            layer, (torch.randn(2, 3, 8, 10),), dynamic_shapes={"x": dims}
        )
        x = torch.randn(4, 3, 13, 10)
        torch.testing.assert_close(program.module()(x), layer(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast_changes_nothing(dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 8, 8).to(dtype)
    for layer in (freqops.BlurPool2d(), freqops.BlurPool2d(learnable=True, channels=3)):
        expected = layer(x)
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            y = layer(x)
        assert y.dtype == dtype
        assert torch.equal(y, expected)


def test_repeats_bit_for_bit() -> None:
    x = torch.randn(7, 5, 30, 31)
    threads = torch.get_num_threads()

    def both() -> list[Tensor]:
        y = freqops.blur_pool2d(x, 5)
        return [y, freqops.blur_pool_adjoint2d(y, (30, 31), 5)]

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
        ((X[0, 0, 0],), {}, ValueError, "x must have at least 2 dimensions, got 1"),
        ((X[:, :, :0],), {}, ValueError, "x must have at least 1 sample along each"),
        ((X, 0), {}, ValueError, "taps must be at least 1, got 0"),
        ((X, 2.5), {}, TypeError, "taps must be an integer or a floating-point Tensor, got float"),
        ((X, torch.ones(3).int()), {}, TypeError, "taps must be an integer or a floating-point"),
        ((X, (3, 3, 3)), {}, ValueError, "taps must be one for all axes or hold 2 entries, got 3"),
        ((X, torch.ones(0)), {}, ValueError, "taps must have shape [k], [C, k] or [C, k, k], none"),
        ((X, torch.ones(4, 3)), {}, ValueError, "x must have shape [..., 4, H, W] for taps of 4"),
        ((X[0, 0], torch.ones(1, 3)), {}, ValueError, "x must have shape [..., 1, H, W] for taps"),
        ((X, torch.ones(3, device="meta")), {}, ValueError, "taps must be on cpu like x, got meta"),
        ((X, torch.ones(2, 3, 3)), {}, ValueError, "x must have shape [..., 2, H, W] for taps of"),
        ((X, 3, 0), {}, ValueError, "stride must be at least 1, got 0"),
        ((X, 3, (1, 2, 3)), {}, ValueError, "stride must be one integer or 2, one per axis, got 3"),
        ((X, 3, 2.0), {}, TypeError, "stride must be an integer, got float"),
        ((X,), {"padding": 1.0}, TypeError, "padding must be an integer, got float"),
        ((X,), {"padding": (1, 2, 3)}, ValueError, "padding must be None, an integer, a pair"),
        ((X,), {"padding": ((1, 2, 3), 1)}, ValueError, "padding must be None, an integer, a pair"),
        ((X,), {"padding": -2}, ValueError, "padding must leave at least 3 samples of x for 3"),
        ((X, 6), {"padding": 0}, ValueError, "padding must leave at least 6 samples of x for 6"),
        ((X,), {"padding_mode": "wrap"}, ValueError, "padding_mode must be one of 'reflect', "),
    ],
)
def test_rejects(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        freqops.blur_pool2d(*placed(arguments), **options)
    sentence = sentence.replace("on cpu", f"on {placed(X).device}")
    assert str(caught.value).startswith(f"blur_pool2d: {sentence}")


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (
            (X, (6, 5)),
            ValueError,
            "y must have shape [..., 3, 3] for size [6, 5], got",
        ),
        ((X, 0), ValueError, "size must be at least 1, got 0"),
        ((X, (12, 10), torch.ones(3, 3, 3)), ValueError, "taps must have shape [k] or [C, k], got"),
        (("x", 3), TypeError, "y must be a Tensor, got str"),
    ],
)
def test_adjoint_rejects(arguments: tuple[Any, ...], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        freqops.blur_pool_adjoint2d(*placed(arguments))
    assert str(caught.value).startswith(f"blur_pool_adjoint2d: {sentence}")


# --- mathematics --------------------------------------------------------------------------------


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, tuple[Any, ...], dict[str, Any]]:
    size = draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    counts = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    taps = tuple(torch.randn(count, dtype=DOUBLE) for count in counts)
    ends = []
    for side, count in zip(size, counts, strict=True):
        before = draw(st.integers(-3, 10))
        ends.append((before, draw(st.integers(max(-3, count - side - before), 20))))
    mode = draw(st.sampled_from(PADDING_MODES))
    options = {"padding": ends, "padding_mode": mode}
    return torch.randn(2, 3, *size, dtype=DOUBLE), (taps, stride), options


@given(problems())
def test_adjoint_identity(problem: Any) -> None:
    x, arguments, options = problem
    y = freqops.blur_pool2d(x, *arguments, **options)
    assert_matches(y, reference.blur_pool2d(x, *arguments, **options), scale=100)
    z = torch.randn_like(y)
    back = freqops.blur_pool_adjoint2d(z, x.shape[-2:], *arguments, **options)
    assert abs((y * z).sum() - (x * back).sum()) <= 1e-11 * (1 + y.norm() * z.norm())


@given(problems(), st.floats(-3, 3))
def test_linearity(problem: Any, factor: float) -> None:
    x, arguments, options = problem
    z = torch.randn_like(x)
    both = freqops.blur_pool2d(x + factor * z, *arguments, **options)
    one, other = (freqops.blur_pool2d(t, *arguments, **options) for t in (x, z))
    assert_matches(both, one + factor * other, scale=1000)


@pytest.mark.parametrize("count", range(1, 10))
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_constant_stays_one(mode: str, count: int) -> None:
    for size in SIZES:
        x = torch.full((3, *size), 1.5)
        assert torch.equal(
            freqops.blur_pool2d(x, count, padding_mode=mode),
            torch.full((3, *((n + 1) // 2 for n in size)), 1.5),
        )


@pytest.mark.parametrize(("count", "decibels"), [(2, 8), (3, 16), (4, 25), (5, 33), (7, 50)])
def test_a_tone_above_the_new_nyquist_is_down(count: int, decibels: float) -> None:
    """By what the taps' frequency response says: 3/8 cycles per pixel alias to 1/4 of the new."""
    size, bin_ = 64, 24
    position = torch.arange(size, dtype=DOUBLE)
    tone = (2 * math.pi * bin_ / size * position).cos()
    response = filters.frequency_response(filters.binomial_taps(count, dtype=DOUBLE), size)
    expected = -20 * math.log10(float(response[bin_].abs()))
    assert expected > decibels
    power = tone.square().mean()
    for x, pool in (
        (tone, freqops.blur_pool1d),
        (tone.expand(3, size, size), freqops.blur_pool2d),
        (tone.expand(3, size, size).mT, freqops.blur_pool2d),
    ):
        y = pool(x, count, padding_mode="circular")
        assert math.isclose(10 * math.log10(power / y.square().mean()), expected, rel_tol=1e-9)
    plain = tone[::2].square().mean()
    assert math.isclose(plain, power, rel_tol=1e-9)  # without the blur it all folds back


@pytest.mark.parametrize("shift", [(2, 0), (0, 2), (4, 6)])
def test_circular_shift_equivariance(shift: tuple[int, int]) -> None:
    x = torch.randn(2, 8, 12, dtype=DOUBLE)
    y = freqops.blur_pool2d(x, 4, padding_mode="circular")
    moved = freqops.blur_pool2d(x.roll(shift, (-2, -1)), 4, padding_mode="circular")
    assert torch.equal(moved, y.roll([step // 2 for step in shift], (-2, -1)))


# --- compositions -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _cuda.POOLING)
def test_compositions_equal_the_kernels(name: str) -> None:
    """Kernels and compositions are two implementations of one function, layout included."""
    own = torch.randn(3, 4, dtype=DOUBLE), torch.randn(3, 3, dtype=DOUBLE)
    for taps in (own, tuple(one[0] for one in own)):
        for mode in PADDING_MODES:
            for memory_format in (torch.contiguous_format, torch.channels_last):
                x = torch.randn(2, 3, 9, 8, dtype=DOUBLE).contiguous(memory_format=memory_format)
                window = ([3, 2], [1, 0]) if name.startswith("max_") else ()
                rest = (*window, [2, 3], [-1, 2, 5, 4], mode)
                arguments: tuple[Any, ...] = (x, *taps, *rest)
                if name == "blur_pool_adjoint":
                    y = torch.randn(2, 3, 4, 5, dtype=DOUBLE).contiguous(
                        memory_format=memory_format
                    )
                    arguments = (y, *taps, [9, 8], *rest)
                elif name == "max_blur_pool_select":
                    arguments = (x, torch.randn_like(x), *taps, *rest)
                elif name == "max_blur_pool_backward":
                    pool = torch.ops.freqops.max_blur_pool
                    arguments = (x, torch.randn_like(pool(x, *taps, *rest)), *taps, *rest)
                composed = getattr(_pooling_composition, name)(*arguments)
                computed = getattr(torch.ops.freqops, name)(*arguments)
                assert composed.stride() == computed.stride()
                assert_matches(composed, computed, scale=100)


# --- modules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("taps", [3, (3, 4), torch.rand(5), torch.rand(3, 4), torch.rand(3, 2, 2)])
def test_module(taps: Any) -> None:
    taps = placed(taps)
    module = freqops.BlurPool2d(taps, (2, 1), padding_mode="circular")
    x = torch.randn(2, 3, 8, 9)
    assert torch.equal(module(x), freqops.blur_pool2d(x, taps, (2, 1), padding_mode="circular"))
    assert not module.state_dict()
    assert not list(module.parameters())
    assert all(buffer.dtype == torch.float32 for buffer in module.buffers())
    assert torch.equal(module.to(torch.bfloat16)(x.bfloat16()).isfinite(), module(x).isfinite())


def test_modules_of_one_and_three_axes() -> None:
    x = torch.randn(2, 3, 8, 9)
    assert torch.equal(freqops.BlurPool1d(4)(x), freqops.blur_pool1d(x, 4))
    assert torch.equal(freqops.BlurPool3d(4)(x), freqops.blur_pool3d(x, 4))
    assert not freqops.BlurPool3d((1, 2, 3)).state_dict()
    assert repr(freqops.BlurPool1d(4)) == "BlurPool1d(taps=4, stride=2, padding_mode='reflect')"
    assert repr(freqops.BlurPool2d((4, 3), padding=0)) == (
        "BlurPool2d(taps=(4, 3), stride=2, padding=0, padding_mode='reflect')"
    )


@pytest.mark.parametrize(
    ("separable", "shapes"),
    [
        (False, {"taps": (3, 4, 2)}),
        (True, {"taps_h": (3, 4), "taps_w": (3, 2)}),
    ],
)
def test_module_learns_its_taps(separable: bool, shapes: dict[str, tuple[int, ...]]) -> None:
    module = freqops.BlurPool2d((4, 2), learnable=True, channels=3, separable=separable)
    assert {name: tuple(one.shape) for name, one in module.state_dict().items()} == shapes
    assert not list(module.buffers())
    x = torch.randn(2, 3, 8, 9)
    torch.testing.assert_close(module(x), freqops.blur_pool2d(x, (4, 2)))
    module(x).square().sum().backward()
    gradients = [parameter.grad for parameter in module.parameters()]
    assert all(gradient is not None and gradient.any() for gradient in gradients)
    kinds = {False: "torch convolution", True: "fused blur_pool kernel"}
    if x.device.type == "cpu":
        assert freqops.explain(module, x).kernel.startswith(kinds[separable])
    assert "learned" in repr(module)


def test_module_learns_in_one_and_three_axes() -> None:
    line = freqops.BlurPool1d(learnable=True, channels=2)
    assert {name: tuple(one.shape) for name, one in line.state_dict().items()} == {"taps": (2, 3)}
    volume = freqops.BlurPool3d(2, learnable=True, channels=2)
    assert [tuple(one.shape) for one in volume.parameters()] == [(2, 2, 2, 2)]
    x = torch.randn(1, 2, 4, 5, 6)
    torch.testing.assert_close(volume(x), freqops.blur_pool3d(x, 2))
    apart = freqops.BlurPool3d(2, learnable=True, channels=2, separable=True)
    assert list(apart.state_dict()) == ["taps_d", "taps_h", "taps_w"]
    torch.testing.assert_close(apart(x), freqops.blur_pool3d(x, 2))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "sentence"),
    [
        ((0,), {}, ValueError, "taps must be at least 1, got 0"),
        ((3, 0), {}, ValueError, "stride must be at least 1, got 0"),
        ((3,), {"padding_mode": "same"}, ValueError, "padding_mode must be one of"),
        ((3,), {"padding": "same"}, TypeError, "padding must be an integer, got str"),
        ((3,), {"learnable": True}, TypeError, "channels must be an integer, got NoneType"),
        (
            (torch.ones(2, 3),),
            {"learnable": True, "channels": 3},
            ValueError,
            "taps must have 3 channels, got shape [2, 3]",
        ),
    ],
)
def test_module_rejects(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        freqops.BlurPool2d(*arguments, **options)
    assert str(caught.value).startswith(f"BlurPool2d: {sentence}")


def test_taps_move_with_their_module() -> None:
    module = nn.Sequential(freqops.BlurPool2d(4)).to("meta")
    assert all(buffer.device.type == "meta" for buffer in module.buffers())
