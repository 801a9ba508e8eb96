"""fft_filter1d/2d and their modules."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops.cases import (
    DTYPES,
    LENGTHS,
    SIZES,
    assert_compiles,
    assert_differentiable,
    assert_isolates,
    assert_layout_of_input,
    assert_maps_over,
    assert_matches,
    assert_registered,
    half_size,
    layouts,
    placed,
    random_response,
)
from torch import Tensor, nn

import freqops
from freqops import filters, reference

pytestmark = pytest.mark.usefixtures("device")

OP = torch.ops.freqops.fft_filter
COMPLEX = torch.complex128


def response_for(shape: tuple[int, ...], dims: int, kind: str) -> Tensor:
    half = half_size(shape[-dims:])
    channels = (shape[-dims - 1],) if "per_channel" in kind else ()
    dtype = COMPLEX if "complex" in kind else torch.float64
    return random_response(*channels, *half, dtype=dtype)


KINDS = ["real", "complex", "real per_channel", "complex per_channel"]


@pytest.mark.sanitizer
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matches_reference_2d(size: tuple[int, int], kind: str) -> None:
    x = torch.randn(3, 5, *size, dtype=torch.float64)
    response = response_for(x.shape, 2, kind)
    expected = reference.fft_filter2d(x, response)
    assert_matches(freqops.fft_filter2d(x, response), expected, scale=float(expected.abs().max()))
    single = x.float()
    expected = reference.fft_filter2d(single.double(), response)
    # The response is rounded to float32 too, hence the factor.
    assert_matches(
        freqops.fft_filter2d(single, response), expected, 2 * float(expected.abs().max())
    )


@pytest.mark.sanitizer
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", LENGTHS)
def test_matches_reference_1d(length: int, kind: str) -> None:
    x = torch.randn(2, 3, length, dtype=torch.float64)
    response = response_for(x.shape, 1, kind)
    assert_matches(freqops.fft_filter1d(x, response), reference.fft_filter1d(x, response))
    x = x.float()
    expected = reference.fft_filter1d(x.double(), response)
    assert_matches(freqops.fft_filter1d(x, response), expected, 2 * float(expected.abs().max()))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [(9, 14), (16, 16), (37, 40)], ids=str)
def test_matches_reference_in_every_dtype(size: tuple[int, int], dtype: torch.dtype) -> None:
    """Half types compute in float32 and round once: the tolerance leaves room for no second one."""
    x = torch.randn(4, 3, *size, dtype=torch.float64).to(dtype)
    response = filters.low_pass(size, 0.2, kind="gaussian", dtype=torch.float32)
    y = freqops.fft_filter2d(x, response)
    assert_layout_of_input(x, y)
    assert_matches(y, reference.fft_filter2d(x.double(), response.double()))


@pytest.mark.sanitizer
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(3, 5, 9, 14), (2, 16, 8, 8), (1, 3, 33, 5)], ids=str)
def test_matches_reference_in_every_layout(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    values = torch.randn(shape).to(dtype)
    for kind in ("real", "complex per_channel"):
        response = response_for(shape, 2, kind).to(torch.complex64 if "complex" in kind else dtype)
        wide = response.to(COMPLEX) if response.is_complex() else response.double()
        expected = reference.fft_filter2d(values.double(), wide)
        for name, x in layouts(values):
            y = freqops.fft_filter2d(x, response)
            assert_layout_of_input(x, y)
            assert_matches(y, expected, 2 * float(expected.abs().max())), name
            line = freqops.fft_filter1d(x, wide[..., 0, :] if wide.dim() == 2 else wide[0, 0])
            assert_layout_of_input(x, line)


@pytest.mark.parametrize("shape", [(6,), (5, 6), (2, 5, 6), (2, 1, 3, 4, 5, 6)], ids=str)
def test_takes_any_leading_dimensions(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    line = random_response(4)
    assert_matches(freqops.fft_filter1d(x, line), reference.fft_filter1d(x, line))
    if len(shape) > 1:
        plane = random_response(5, 4)
        assert_matches(freqops.fft_filter2d(x, plane), reference.fft_filter2d(x, plane))


@pytest.mark.parametrize("shape", [(0, 5, 6), (0, 3, 5, 6), (4, 0, 5, 6)], ids=str)
def test_takes_empty_batches(shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape, requires_grad=True)
    response = torch.ones(5, 4, requires_grad=True)
    y = freqops.fft_filter2d(x, response)
    assert y.shape == shape
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == shape
    assert response.grad is not None
    assert not response.grad.any()


@pytest.mark.parametrize("shape", [(5, 3, 8, 8), (2, 2, 7, 5), (3, 1, 14, 20), (33, 1, 4, 4)])
def test_nonfinite_plane_stays_alone(shape: tuple[int, ...]) -> None:
    response = torch.rand(half_size(shape[-2:]))
    assert_isolates(lambda x: freqops.fft_filter2d(x, response), shape)
    per_channel = torch.rand(shape[1], *half_size(shape[-2:]))
    assert_isolates(lambda x: freqops.fft_filter2d(x, per_channel), shape)


@pytest.mark.parametrize("shape", [(3, 5, 16), (7, 9)])
def test_nonfinite_line_stays_alone(shape: tuple[int, ...]) -> None:
    response = torch.rand(half_size(shape[-1:]))
    assert_isolates(lambda x: freqops.fft_filter1d(x, response), shape, dims=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(3, 4), (4, 3), (1, 2)], ids=str)
def test_gradients_2d(size: tuple[int, int], kind: str) -> None:
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    response = response_for(x.shape, 2, kind)
    assert_differentiable(freqops.fft_filter2d, x, response)
    # Imaginary response alone: its real part needs no gradient.
    real, imag = torch.randn(2, *half_size(size), dtype=torch.float64)
    assert_differentiable(lambda x, im: freqops.fft_filter2d(x, torch.complex(real, im)), x, imag)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 4, 5])
def test_gradients_1d(length: int, kind: str) -> None:
    x = torch.randn(2, 2, length, dtype=torch.float64)
    assert_differentiable(freqops.fft_filter1d, x, response_for(x.shape, 1, kind))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_gradients_in_low_precision(dtype: torch.dtype) -> None:
    """The response's gradient stays in its own dtype, summed in float32."""
    x = torch.randn(4, 3, 8, 9).to(dtype).requires_grad_()
    response = torch.randn(8, 5, dtype=torch.complex64, requires_grad=True)
    wide = x.detach().double().requires_grad_()
    exact = response.detach().to(COMPLEX).requires_grad_()
    cotangent = torch.randn(x.shape).to(dtype)
    freqops.fft_filter2d(x, response).backward(cotangent)
    reference.fft_filter2d(wide, exact).backward(cotangent.double())
    assert x.grad is not None
    assert response.grad is not None
    assert wide.grad is not None
    assert exact.grad is not None
    assert_matches(x.grad, wide.grad, 2 * float(wide.grad.abs().max()))
    difference = (response.grad - exact.grad).abs().max() / exact.grad.abs().max()
    assert response.grad.dtype == torch.complex64
    assert difference < 2e-6


def test_fixed_response_keeps_no_activation() -> None:
    """What backward does not read is not kept alive."""
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        freqops.fft_filter2d(x, torch.ones(8, 5))
    assert all(tensor.shape != x.shape for tensor in kept)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("complex_", [False, True])
def test_maps(per_channel: bool, complex_: bool) -> None:
    x = torch.randn(3, 2, 4, 5, 6, dtype=torch.float64)
    dtype = COMPLEX if complex_ else torch.float64
    channels = (4,) if per_channel else ()
    response = random_response(3, *channels, 5, 4, dtype=dtype)
    assert_maps_over(freqops.fft_filter2d, (x, [None, 0, 2, -1]), (response, [None, 0, -1]))
    line = random_response(3, *((5,) if per_channel else ()), 4, dtype=dtype)
    assert_maps_over(freqops.fft_filter1d, (x, [None, 1]), (line, [None, 0]))


def test_maps_twice() -> None:
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    responses = random_response(4, 5, 4)
    table = torch.vmap(torch.vmap(freqops.fft_filter2d, (None, 0)), (0, None))(x, responses)
    assert_matches(table.transpose(0, 1), reference.filter_bank2d(x, responses))


@pytest.mark.parametrize(
    "arguments",
    [
        (torch.randn(2, 3, 6, 5, requires_grad=True), torch.randn(6, 3), None, 2),
        (torch.randn(2, 3, 6, 5), torch.randn(3, 6, 3, requires_grad=True), None, 2),
        (
            torch.randn(2, 3, 6, 5, requires_grad=True),
            torch.randn(6, 3, requires_grad=True),
            torch.randn(6, 3, requires_grad=True),
            2,
        ),
        (torch.randn(2, 3, 6, 5).to(memory_format=torch.channels_last), torch.randn(3), None, 1),
        (torch.randn(2, 3, 6, 10)[..., ::2], torch.randn(6, 3), None, 2),
        (torch.randn(2, 3, 6, 5).bfloat16(), torch.randn(6, 3), torch.randn(6, 3), 2),
        (torch.randn(0, 6, 5), torch.randn(6, 3), None, 2),
    ],
)
def test_registration(arguments: tuple[Any, ...]) -> None:
    assert_registered(OP.default, arguments)


def test_registration_of_out() -> None:
    """All of opcheck but functionalising: a returned alias of `out` is torch's own convention."""
    x = torch.randn(2, 6, 5)
    assert_registered(
        OP.out,
        (x, torch.randn(6, 3), None, 2),
        kwargs={"out": torch.empty_like(x)},
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
    )


def test_compiles() -> None:
    cases = [((2, 3, 8, 10), (8, 6)), ((3, 3, 12, 7), (12, 4)), ((3, 3, 5, 5), (5, 3))]
    calls = [(torch.randn(shape), torch.randn(half)) for shape, half in cases]
    calls.append((calls[0][0].to(memory_format=torch.channels_last), calls[0][1]))
    assert_compiles(freqops.fft_filter2d, *calls)
    assert_compiles(
        freqops.fft_filter2d, *((x, response.to(torch.complex64)) for x, response in calls)
    )
    assert_compiles(freqops.fft_filter1d, *((x, response[0]) for x, response in calls))


def test_compiles_with_inductor() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(freqops.fft_filter2d, fullgraph=True)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 3, 8, 10).to(memory_format=memory_format)
        response = torch.randn(8, 6)
        y = compiled(x, response)
        assert y.stride() == x.stride()
        torch.testing.assert_close(y, freqops.fft_filter2d(x, response))


def test_compiles_backward() -> None:
    torch._dynamo.reset()
    x = torch.randn(2, 3, 8, 10, requires_grad=True)
    response = torch.randn(3, 8, 6, dtype=torch.complex64, requires_grad=True)
    compiled = torch.compile(freqops.fft_filter2d, fullgraph=True, backend="aot_eager")
    gradients = [
        torch.autograd.grad(function(x, response).square().sum(), (x, response))
        for function in (compiled, freqops.fft_filter2d)
    ]
    torch.testing.assert_close(*gradients)


def test_exports() -> None:
    dims = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height", min=4)}
    program = torch.export.export(
        freqops.LowPass2d(0.2), (torch.randn(2, 3, 8, 10),), dynamic_shapes={"x": dims}
    )
    x = torch.randn(4, 3, 13, 10)
    torch.testing.assert_close(program.module()(x), freqops.LowPass2d(0.2)(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast_changes_nothing(dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    response = torch.randn(8, 5, requires_grad=True)
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        y = freqops.fft_filter2d(x.to(dtype), response)
        y.float().sum().backward()
    assert y.dtype == dtype
    assert response.grad is not None
    assert response.grad.dtype == torch.float32
    assert torch.equal(y, freqops.fft_filter2d(x.to(dtype), response))


def test_writes_to_out() -> None:
    x, response = torch.randn(2, 3, 8, 9), torch.randn(8, 5)
    expected = freqops.fft_filter2d(x, response)
    for name, out in layouts(torch.empty_like(x)):
        assert freqops.fft_filter2d(x, response, out=out) is out
        assert torch.equal(out, expected), name
    line = torch.empty_like(x)
    assert torch.equal(
        freqops.fft_filter1d(x, response[0], out=line), freqops.fft_filter1d(x, response[0])
    )
    assert_compiles(
        lambda x, k, out: freqops.fft_filter2d(x, k, out=out), (x, response, torch.empty_like(x))
    )


def test_repeats_bit_for_bit() -> None:
    x, response = torch.randn(7, 3, 30, 31), torch.randn(30, 16)
    threads = torch.get_num_threads()
    first = freqops.fft_filter2d(x, response)
    try:
        torch.set_num_threads(1)
        assert torch.equal(freqops.fft_filter2d(x, response), first)
    finally:
        torch.set_num_threads(threads)


X = torch.randn(2, 3, 17, 16)


@pytest.mark.parametrize(
    ("x", "response", "error", "sentence"),
    [
        (
            X,
            torch.ones(3, 4),
            ValueError,
            "fft_filter2d: response must have shape [17, 9] or [C, 17, 9], got [3, 4]",
        ),
        (
            X,
            torch.ones(2, 3, 17, 9),
            ValueError,
            "fft_filter2d: response must have shape [17, 9] or [C, 17, 9], got [2, 3, 17, 9]",
        ),
        (
            X,
            torch.ones(4, 17, 9),
            ValueError,
            "fft_filter2d: x must have shape [..., 4, 17, 16] for response of 4 channels, "
            "got [2, 3, 17, 16]",
        ),
        (
            X[0, 0],
            torch.ones(1, 17, 9),
            ValueError,
            "fft_filter2d: x must have shape [..., 1, 17, 16] for response of 1 channels, "
            "got [17, 16]",
        ),
        (
            X,
            torch.ones(17, 9, device="meta"),
            ValueError,
            "fft_filter2d: response must be on cpu like x, got meta",
        ),
        (X, 0.5, TypeError, "fft_filter2d: response must be a strided Tensor, got float"),
        (
            X,
            torch.ones(17, 9).to_sparse(),
            TypeError,
            "fft_filter2d: response must be a strided Tensor, got torch.sparse_coo",
        ),
        ([1.0], torch.ones(1), TypeError, "fft_filter2d: x must be a Tensor, got list"),
        (
            X.int(),
            torch.ones(17, 9),
            TypeError,
            "fft_filter2d: x must be float32, float64, float16 or bfloat16, got torch.int32",
        ),
        (
            X > 0,
            torch.ones(17, 9),
            TypeError,
            "fft_filter2d: x must be float32, float64, float16 or bfloat16, got torch.bool",
        ),
        (
            X + 0j,
            torch.ones(17, 9),
            TypeError,
            "fft_filter2d: x must be float32, float64, float16 or bfloat16, got torch.complex64",
        ),
        (
            X[0, 0].to_sparse(),
            torch.ones(17, 9),
            TypeError,
            "fft_filter2d: x must be a strided tensor, got layout torch.sparse_coo",
        ),
        (
            X[0, 0, 0],
            torch.ones(9),
            ValueError,
            "fft_filter2d: x must have at least 2 dimensions, got 1",
        ),
        (
            X[:, :, :0],
            torch.ones(0, 9),
            ValueError,
            "fft_filter2d: x must have at least 1 sample along each transformed axis, "
            "got shape [2, 3, 0, 16]",
        ),
    ],
)
def test_rejects(x: Any, response: Any, error: type[Exception], sentence: str) -> None:
    x, response = placed((x, response))
    with pytest.raises(error) as caught:
        freqops.fft_filter2d(x, response)
    assert str(caught.value) == sentence.replace("on cpu", f"on {placed(X).device}")


def test_rejects_planes_beyond_what_kernels_count() -> None:
    x = torch.empty(1).expand(2**13, 2**13 + 1)
    with pytest.raises(ValueError, match=r"x must have at most 2\*\*26 samples per plane"):
        freqops.fft_filter2d(x, torch.empty(1).expand(2**13, 2**12 + 1))


def test_rejects_in_one_dimension() -> None:
    with pytest.raises(
        ValueError, match=r"fft_filter1d: response must have shape \[9\] or \[C, 9\]"
    ):
        freqops.fft_filter1d(placed(X), torch.ones(8))
    with pytest.raises(ValueError, match="fft_filter1d: x must have at least 1 dimension, got 0"):
        freqops.fft_filter1d(torch.tensor(1.0), torch.ones(1))


@pytest.mark.parametrize(
    ("make_out", "error", "sentence"),
    [
        (lambda x: 1, TypeError, "fft_filter2d: out must be a Tensor, got int"),
        (lambda x: x.double(), TypeError, "fft_filter2d: out must be torch.float32 like x"),
        (lambda x: x[0].clone(), ValueError, "fft_filter2d: out must have shape [2, 3, 17, 16]"),
        (lambda x: x.to("meta"), ValueError, "fft_filter2d: out must be on cpu like x, got meta"),
        (lambda x: x, ValueError, "fft_filter2d: out must not share memory with x"),
        (
            lambda x: torch.zeros(1).expand(x.shape),
            ValueError,
            "fft_filter2d: out must not overlap itself",
        ),
    ],
)
def test_rejects_out(make_out: Any, error: type[Exception], sentence: str) -> None:
    x = placed(X)
    with pytest.raises(error) as caught:
        freqops.fft_filter2d(x, torch.ones(17, 9), out=make_out(x))
    assert str(caught.value).startswith(sentence.replace("on cpu", f"on {x.device}"))


def test_rejects_out_where_gradients_are_recorded() -> None:
    values = placed(X)
    x, out = values.clone().requires_grad_(), torch.empty_like(values)
    with pytest.raises(ValueError, match="out must be None where a gradient is recorded"):
        freqops.fft_filter2d(x, torch.ones(17, 9), out=out)
    with torch.no_grad():
        freqops.fft_filter2d(x, torch.ones(17, 9), out=out)
    with pytest.raises(ValueError, match="out must be None where a gradient is recorded"):
        torch.func.jvp(
            lambda x: freqops.fft_filter2d(x, torch.ones(17, 9), out=out), (values,), (values,)
        )


def test_rejects_while_compiled() -> None:
    """The same sentence, eager and compiled alike."""
    torch._dynamo.reset()
    compiled = torch.compile(freqops.fft_filter2d, backend="eager")
    with pytest.raises(ValueError, match=r"response must have shape \[17, 9\]"):
        compiled(placed(X), torch.ones(3, 4))


# --- properties ---------------------------------------------------------------------------------

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    size = draw(sizes)
    torch.manual_seed(draw(st.integers(0, 2**16)))
    x = torch.randn(draw(st.integers(1, 5)), draw(st.integers(1, 4)), *size, dtype=torch.float64)
    return x, response_for(x.shape, 2, draw(st.sampled_from(KINDS)))


@given(problems())
def test_any_shape_matches_reference(problem: tuple[Tensor, Tensor]) -> None:
    x, response = problem
    expected = reference.fft_filter2d(x, response)
    assert_matches(freqops.fft_filter2d(x, response), expected)
    assert_matches(
        freqops.fft_filter2d(x.float(), response), expected, 4 * float(expected.abs().max())
    )


@given(problems())
def test_conjugate_response_is_the_adjoint(problem: tuple[Tensor, Tensor]) -> None:
    x, response = problem
    y = torch.randn_like(x)
    forth = (freqops.fft_filter2d(x, response) * y).sum()
    back = (x * freqops.fft_filter2d(y, response.conj())).sum()
    assert abs(forth - back) <= 1e-12 * (1 + response.abs().max()) * x.numel()


@given(problems(), st.integers(-40, 40), st.integers(-40, 40))
def test_shift_equivariance(problem: tuple[Tensor, Tensor], down: int, right: int) -> None:
    x, response = problem
    shifted = freqops.fft_filter2d(torch.roll(x, (down, right), (-2, -1)), response)
    assert_matches(shifted, torch.roll(freqops.fft_filter2d(x, response), (down, right), (-2, -1)))


@given(problems(), st.floats(-3, 3))
def test_linearity(problem: tuple[Tensor, Tensor], factor: float) -> None:
    x, response = problem
    z = torch.randn_like(x)
    expected = freqops.fft_filter2d(x, response) + factor * freqops.fft_filter2d(z, response)
    scale = float(response.abs().max()) * 10
    assert_matches(freqops.fft_filter2d(x + factor * z, response), expected, scale)
    other = torch.randn_like(response)
    expected = freqops.fft_filter2d(x, response) + freqops.fft_filter2d(x, other)
    assert_matches(freqops.fft_filter2d(x, response + other), expected, scale)


@given(sizes, st.floats(-2, 2))
def test_gain_at_dc_scales_constants(size: tuple[int, int], gain: float) -> None:
    response = random_response(*half_size(size))
    response[0, 0] = gain
    y = freqops.fft_filter2d(torch.full((3, *size), 1.5, dtype=torch.float64), response)
    assert_matches(y, torch.full_like(y, 1.5 * gain), scale=10)


@given(sizes)
def test_gain_one_is_the_identity(size: tuple[int, int]) -> None:
    x = torch.randn(3, *size)
    assert_matches(freqops.fft_filter2d(x, torch.ones(half_size(size))), x.double())


@pytest.mark.parametrize("n", [8, 9])
def test_taps_convolve(n: int) -> None:
    """A tap filter's response gives the circular convolution with its taps."""
    x, taps = torch.randn(2, n, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    y = freqops.fft_filter1d(x, filters.frequency_response(taps, n))
    expected = sum(taps[j] * torch.roll(x, j, -1) for j in range(4))
    assert isinstance(expected, Tensor)
    assert_matches(y, expected)


# --- modules ------------------------------------------------------------------------------------


def test_module_with_fixed_response() -> None:
    response = torch.randn(8, 5)
    module = freqops.FFTFilter2d(response)
    x = torch.randn(2, 3, 8, 9)
    assert torch.equal(module(x), freqops.fft_filter2d(x, response))
    assert not module.state_dict()
    assert not list(module.parameters())
    assert "response=[8, 5]" in repr(module)
    line = freqops.FFTFilter1d(response[0])
    assert torch.equal(line(x), freqops.fft_filter1d(x, response[0]))


def test_module_with_learned_response() -> None:
    module = freqops.FFTFilter2d(nn.Parameter(torch.randn(8, 5, dtype=torch.complex64)))
    module(torch.randn(2, 8, 9)).sum().backward()
    assert list(module.state_dict()) == ["response"]
    assert module.response.grad is not None
    assert "learned" in repr(module)


class _FilteredImages(torch.utils.data.Dataset[Tensor]):
    """Filters where data loaders do: in a worker process."""

    def __init__(self, images: Tensor, response: Tensor) -> None:
        self.images = images
        self.response = response

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return freqops.fft_filter2d(self.images[index], self.response)


@pytest.mark.parametrize("device", ["cpu"], indirect=True)  # CUDA does not survive a fork
def test_runs_in_a_forked_worker_after_threads_were_used() -> None:
    """A worker forked from a process with a thread pool hangs if a kernel has a pool of its own."""
    images = torch.randn(6, 3, 96, 96)
    response = filters.low_pass((96, 96), 9, unit="bins")
    expected = freqops.fft_filter2d(images, response)  # large enough to wake the parent's threads
    loader = torch.utils.data.DataLoader(
        _FilteredImages(images, response),
        batch_size=3,
        num_workers=1,
        multiprocessing_context="fork",
        timeout=60,  # a hang is a failure, not a wait
    )
    torch.testing.assert_close(torch.cat(list(loader)), expected)
