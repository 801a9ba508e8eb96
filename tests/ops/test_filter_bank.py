"""filter_bank1d/2d, and the adjoint of the bank."""

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
from torch import Tensor

import freqops
from freqops import filters, reference

pytestmark = pytest.mark.usefixtures("device")

BANK = torch.ops.freqops.filter_bank
ADJOINT = torch.ops.freqops.filter_bank_adjoint
KINDS = ["real", "complex", "real per_channel", "complex per_channel"]


def responses_for(shape: tuple[int, ...], count: int, kind: str, dims: int = 2) -> Tensor:
    channels = (shape[-dims - 1],) if "per_channel" in kind else ()
    dtype = torch.complex128 if "complex" in kind else torch.float64
    return random_response(count, *channels, *half_size(shape[-dims:]), dtype=dtype)


def parts(responses: Tensor) -> tuple[Tensor, Tensor | None]:
    if responses.is_complex():
        return responses.real.contiguous(), responses.imag.contiguous()
    return responses, None


@pytest.mark.sanitizer
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matches_reference_2d(size: tuple[int, int], kind: str) -> None:
    x = torch.randn(3, 2, *size, dtype=torch.float64)
    responses = responses_for(x.shape, 3, kind)
    expected = reference.filter_bank2d(x, responses)
    assert_matches(freqops.filter_bank2d(x, responses), expected)
    single = freqops.filter_bank2d(x.float(), responses)
    assert_matches(single, expected, 4 * float(expected.abs().max()))


@pytest.mark.sanitizer
@pytest.mark.parametrize("length", LENGTHS)
def test_matches_reference_1d(length: int) -> None:
    x = torch.randn(2, 3, length, dtype=torch.float64)
    for kind in KINDS:
        responses = responses_for(x.shape, 2, kind, dims=1)
        assert_matches(freqops.filter_bank1d(x, responses), reference.filter_bank1d(x, responses))


@pytest.mark.sanitizer
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_adjoint_matches_reference(size: tuple[int, int], kind: str) -> None:
    y = torch.randn(3, 3, 2, *size, dtype=torch.float64)
    responses = responses_for(y.shape, 3, kind)
    expected = reference.filter_bank_adjoint(y, responses, 2)
    assert_matches(ADJOINT(y, *parts(responses), 2), expected)
    line = responses_for(y.shape, 3, kind, dims=1)
    assert_matches(ADJOINT(y, *parts(line), 1), reference.filter_bank_adjoint(y, line, 1))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_matches_reference_in_every_dtype_and_layout(dtype: torch.dtype) -> None:
    values = torch.randn(3, 4, 9, 14, dtype=torch.float64).to(dtype)
    cutoffs = torch.tensor([0.1, 0.2, 0.4])
    responses = filters.low_pass((9, 14), cutoffs, kind="gaussian", dtype=torch.float32)
    expected = reference.filter_bank2d(values.double(), responses.double())
    for name, x in layouts(values):
        bank = freqops.filter_bank2d(x, responses)
        assert_layout_of_input(x, *bank)
        assert bank.stride(0) == x.numel()
        assert_matches(bank, expected), name


def test_one_response_equals_the_filter() -> None:
    x, response = torch.randn(2, 3, 12, 20), torch.randn(12, 11)
    bank = freqops.filter_bank2d(x, response[None])
    assert_matches(bank[0], freqops.fft_filter2d(x, response).double())


@pytest.mark.parametrize("shape", [(0, 5, 6), (2, 0, 5, 6)], ids=str)
def test_takes_empty_batches(shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape, requires_grad=True)
    responses = torch.ones(3, 5, 4, requires_grad=True)
    bank = freqops.filter_bank2d(x, responses)
    assert bank.shape == (3, *shape)
    bank.sum().backward()
    assert responses.grad is not None
    assert not responses.grad.any()


@pytest.mark.parametrize("shape", [(3, 3, 8, 8), (2, 2, 7, 5), (17, 1, 6, 20)], ids=str)
def test_nonfinite_plane_stays_alone(shape: tuple[int, ...]) -> None:
    responses = torch.rand(2, *half_size(shape[-2:]))
    assert_isolates(lambda x: freqops.filter_bank2d(x, responses), shape, slabs=True)
    per_channel = torch.rand(2, shape[1], *half_size(shape[-2:]))
    assert_isolates(lambda x: freqops.filter_bank2d(x, per_channel), shape, slabs=True)


@pytest.mark.parametrize("shape", [(2, 2, 3, 8, 8), (3, 5, 1, 7, 5)], ids=str)
def test_adjoint_keeps_a_nonfinite_plane_alone(shape: tuple[int, ...]) -> None:
    responses = torch.rand(shape[0], *half_size(shape[-2:]))

    def adjoint(x: Tensor) -> Tensor:
        return ADJOINT(torch.stack([x, *torch.ones(shape[0] - 1, *x.shape)]), responses, None, 2)

    assert_isolates(adjoint, shape[1:])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind: str) -> None:
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    assert_differentiable(freqops.filter_bank2d, x, responses_for(x.shape, 2, kind))
    line = torch.randn(2, 2, 5, dtype=torch.float64)
    assert_differentiable(freqops.filter_bank1d, line, responses_for(line.shape, 2, kind, dims=1))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_adjoint(kind: str) -> None:
    y = torch.randn(2, 2, 2, 4, 3, dtype=torch.float64)

    def adjoint(y: Tensor, responses: Tensor) -> Tensor:
        result: Tensor = ADJOINT(y, *parts(responses), 2)
        return result

    assert_differentiable(adjoint, y, responses_for(y.shape, 2, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_maps(kind: str) -> None:
    x = torch.randn(3, 2, 2, 4, 5, dtype=torch.float64)
    responses = torch.stack([responses_for(x.shape, 2, kind) for _ in range(3)])
    assert_maps_over(freqops.filter_bank2d, (x, [None, 0, 2, -1]), (responses, [None, 0, 1, -1]))


@pytest.mark.parametrize("kind", KINDS)
def test_maps_adjoint(kind: str) -> None:
    y = torch.randn(3, 2, 2, 2, 4, 5, dtype=torch.float64)
    responses = torch.stack([responses_for(y.shape, 2, kind) for _ in range(3)])

    def adjoint(y: Tensor, responses: Tensor) -> Tensor:
        result: Tensor = ADJOINT(y, *parts(responses), 2)
        return result

    assert_maps_over(adjoint, (y, [None, 0, 1, -1]), (responses, [None, 0, -1]))


@pytest.mark.parametrize(
    "arguments",
    [
        (torch.randn(2, 3, 6, 5, requires_grad=True), torch.randn(4, 6, 3), None, 2),
        (torch.randn(2, 3, 6, 5), torch.randn(2, 3, 6, 3, requires_grad=True), None, 2),
        (torch.randn(2, 3, 6, 5).half(), torch.randn(2, 6, 3), torch.randn(2, 6, 3), 2),
        (torch.randn(2, 3, 6, 5).to(memory_format=torch.channels_last), torch.randn(2, 3), None, 1),
        (torch.randn(2, 3, 6, 10)[..., ::2], torch.randn(2, 6, 3), None, 2),
    ],
)
def test_registration(arguments: tuple[Any, ...]) -> None:
    arguments = placed(arguments)
    assert_registered(BANK.default, arguments)
    slabs = BANK(*arguments).detach().requires_grad_(arguments[0].requires_grad)
    assert_registered(ADJOINT.default, (slabs, *arguments[1:]))


def test_compiles() -> None:
    calls = [
        (torch.randn(2, 3, 8, 10), torch.randn(3, 8, 6)),
        (torch.randn(3, 3, 12, 7), torch.randn(3, 12, 4)),
        (torch.randn(2, 4, 8, 10).to(memory_format=torch.channels_last), torch.randn(2, 8, 6)),
    ]
    assert_compiles(freqops.filter_bank2d, *calls)
    assert_compiles(freqops.filter_bank1d, *((x, responses[:, 0]) for x, responses in calls))


def test_autocast_changes_nothing() -> None:
    x, responses = torch.randn(2, 3, 8, 8).bfloat16(), torch.randn(2, 8, 5)
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        bank = freqops.filter_bank2d(x, responses)
    assert torch.equal(bank, freqops.filter_bank2d(x, responses))


X = torch.randn(2, 3, 17, 16)


@pytest.mark.parametrize(
    ("responses", "sentence"),
    [
        (
            torch.ones(17, 9),
            "filter_bank2d: responses must have shape [R, 17, 9] or [R, C, 17, 9], got [17, 9]",
        ),
        (
            torch.ones(2, 16, 9),
            "filter_bank2d: responses must have shape [R, 17, 9] or [R, C, 17, 9], got [2, 16, 9]",
        ),
        (
            torch.ones(2, 4, 17, 9),
            "filter_bank2d: x must have shape [..., 4, 17, 16] for responses of 4 channels, "
            "got [2, 3, 17, 16]",
        ),
        (
            torch.ones(0, 17, 9),
            "filter_bank2d: responses must hold at least 1 response, got shape [0, 17, 9]",
        ),
    ],
)
def test_rejects(responses: Tensor, sentence: str) -> None:
    with pytest.raises(ValueError, match="filter_bank2d") as caught:
        freqops.filter_bank2d(placed(X), placed(responses))
    assert str(caught.value) == sentence


def test_rejects_other_types() -> None:
    with pytest.raises(TypeError, match="filter_bank1d: x must be float32"):
        freqops.filter_bank1d(X.long(), torch.ones(2, 9))
    with pytest.raises(TypeError, match="filter_bank2d: responses must be a strided Tensor"):
        freqops.filter_bank2d(X, [torch.ones(17, 9)])  # type: ignore[arg-type]


# --- properties ---------------------------------------------------------------------------------


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    size = draw(st.tuples(st.integers(1, 33), st.integers(1, 33)))
    torch.manual_seed(draw(st.integers(0, 2**16)))
    x = torch.randn(draw(st.integers(1, 3)), draw(st.integers(1, 3)), *size, dtype=torch.float64)
    return x, responses_for(x.shape, draw(st.integers(1, 4)), draw(st.sampled_from(KINDS)))


@given(problems())
def test_any_shape_matches_reference(problem: tuple[Tensor, Tensor]) -> None:
    x, responses = problem
    expected = reference.filter_bank2d(x, responses)
    assert_matches(freqops.filter_bank2d(x, responses), expected)
    single = freqops.filter_bank2d(x.float(), responses)
    assert_matches(single, expected, 4 * float(expected.abs().max()))


@given(problems())
def test_adjoint_identity(problem: tuple[Tensor, Tensor]) -> None:
    x, responses = problem
    y = torch.randn(len(responses), *x.shape, dtype=torch.float64)
    forth = (freqops.filter_bank2d(x, responses) * y).sum()
    back = (x * ADJOINT(y, *parts(responses), 2)).sum()
    assert abs(forth - back) <= 1e-12 * (1 + responses.abs().max()) * y.numel()
