"""torch.func on every op: each transform, and transforms inside transforms, against the reference.

A rule registered at one level only would lose the inner tangents without a word.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

import freqops
from freqops import reference

COMPLEX = torch.complex128
RESPONSE = torch.randn(4, 3, dtype=COMPLEX)
RESPONSES = torch.randn(2, 4, 3, dtype=COMPLEX)
OTHER = torch.randn(4, 5, dtype=torch.float64)
TAPS = torch.randn(3, dtype=torch.float64)
OUTER = torch.randn(3 + 4 + 2 + 5, dtype=torch.float64)
Scalar = Callable[[Tensor], Tensor]


def scalar(function: Callable[[Tensor], Tensor]) -> Scalar:
    """Cubed, so that second derivatives are not zero."""
    return lambda x: function(x).pow(3).sum()


def separable(x: Tensor, rows: Tensor, columns: Tensor, outer: Tensor) -> Tensor:
    """An op without a function: it stands under several."""
    result: Tensor = torch.ops.freqops.separable(x, rows, columns, outer, False)
    return result


def by_products(x: Tensor, rows: Tensor, columns: Tensor, outer: Tensor) -> Tensor:
    p_h, q_h, p_w, q_w = outer.split([*rows.shape, *columns.shape])
    return rows @ x @ columns.mT + torch.outer(p_h, p_w) * (q_h @ x @ q_w)


PAIRS: dict[str, tuple[Scalar, Scalar]] = {
    "fft_filter": (
        scalar(lambda x: freqops.fft_filter2d(x, RESPONSE)),
        scalar(lambda x: reference.fft_filter2d(x, RESPONSE)),
    ),
    "fft_filter of both": (
        scalar(lambda x: freqops.fft_filter2d(x, RESPONSE * x[:, :3])),
        scalar(lambda x: reference.fft_filter2d(x, RESPONSE * x[:, :3])),
    ),
    "filter_bank": (
        scalar(lambda x: freqops.filter_bank2d(x, RESPONSES * x[:, :3])),
        scalar(lambda x: reference.filter_bank2d(x, RESPONSES * x[:, :3])),
    ),
    "low_high": (
        scalar(lambda x: freqops.low_high2d(x, x.mean() ** 2 + 0.2, kind="gaussian")[1]),
        scalar(lambda x: reference.low_high2d(x, x.mean() ** 2 + 0.2, kind="gaussian")[1]),
    ),
    "split_bands": (
        scalar(lambda x: freqops.split_bands2d(x, [0.1, 0.3])),
        scalar(lambda x: reference.split_bands2d(x, [0.1, 0.3])),
    ),
    "mix_amplitude_phase": (
        scalar(lambda x: freqops.mix_amplitude_phase2d(x, OTHER + x * x)),
        scalar(lambda x: reference.mix_amplitude_phase2d(x, OTHER + x * x)),
    ),
    "blur_pool": (
        scalar(lambda x: freqops.blur_pool2d(x, TAPS)),
        scalar(lambda x: reference.blur_pool2d(x, TAPS)),
    ),
    "blur_pool of both": (
        scalar(lambda x: freqops.blur_pool2d(x, (TAPS * x[:3, 0], x[0, :4]), (2, 1))),
        scalar(lambda x: reference.blur_pool2d(x, (TAPS * x[:3, 0], x[0, :4]), (2, 1))),
    ),
    "blur_pool_adjoint of both": (
        scalar(lambda x: freqops.blur_pool_adjoint2d(x, (7, 9), TAPS * x[:3, 0])),
        scalar(lambda x: reference.blur_pool_adjoint2d(x, (7, 9), TAPS * x[:3, 0])),
    ),
    "max_blur_pool": (
        scalar(lambda x: freqops.max_blur_pool2d(x, 2, TAPS)),
        scalar(lambda x: reference.max_blur_pool2d(x, 2, TAPS)),
    ),
    "max_blur_pool of both": (
        scalar(lambda x: freqops.max_blur_pool2d(x, 2, TAPS * x[0, :3])),
        scalar(lambda x: reference.max_blur_pool2d(x, 2, TAPS * x[0, :3])),
    ),
    "spectral_pool": (
        scalar(lambda x: freqops.spectral_pool2d(x, (2, 8), nyquist="sum")),
        scalar(lambda x: reference.spectral_pool2d(x, (2, 8), nyquist="sum")),
    ),
    "flc_pool": (
        scalar(lambda x: freqops.flc_pool2d(x, (2, 4))),
        scalar(lambda x: reference.flc_pool2d(x, (2, 4))),
    ),
    "separable of all": (
        scalar(lambda x: separable(x, OTHER[:3] @ x.mT, x[:2] + 1, OUTER * x[0, 0])),
        scalar(lambda x: by_products(x, OTHER[:3] @ x.mT, x[:2] + 1, OUTER * x[0, 0])),
    ),
}


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> tuple[Scalar, Scalar]:
    return PAIRS[request.param]


def check(pair: tuple[Scalar, Scalar], transform: Callable[[Scalar], Tensor]) -> None:
    ours, theirs = (transform(function) for function in pair)
    assert theirs.abs().max() > 1e-3  # zero would agree with a lost tangent
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(4, 5, dtype=torch.float64)


@pytest.fixture
def v() -> Tensor:
    return torch.randn(4, 5, dtype=torch.float64)


def test_grad(pair: tuple[Scalar, Scalar], x: Tensor) -> None:
    check(pair, lambda f: torch.func.grad(f)(x))


def test_jvp(pair: tuple[Scalar, Scalar], x: Tensor, v: Tensor) -> None:
    check(pair, lambda f: torch.func.jvp(f, (x,), (v,))[1])


def test_jvp_of_jvp(pair: tuple[Scalar, Scalar], x: Tensor, v: Tensor) -> None:
    def twice(f: Scalar) -> Tensor:
        inner = lambda x: torch.func.jvp(f, (x,), (v,))[1]  # noqa: E731
        result: Tensor = torch.func.jvp(inner, (x,), (v.flip(0),))[1]
        return result

    check(pair, twice)


def test_jvp_of_grad(pair: tuple[Scalar, Scalar], x: Tensor, v: Tensor) -> None:
    check(pair, lambda f: torch.func.jvp(torch.func.grad(f), (x,), (v,))[1])


def test_grad_of_jvp(pair: tuple[Scalar, Scalar], x: Tensor, v: Tensor) -> None:
    check(pair, lambda f: torch.func.grad(lambda x: torch.func.jvp(f, (x,), (v,))[1])(x))


def test_hessian(pair: tuple[Scalar, Scalar], x: Tensor) -> None:
    check(pair, lambda f: torch.func.hessian(f)(x))


def test_jacfwd_of_jacfwd(pair: tuple[Scalar, Scalar], x: Tensor) -> None:
    check(pair, lambda f: torch.func.jacfwd(torch.func.jacfwd(f))(x))


def test_gradient_per_sample(pair: tuple[Scalar, Scalar], x: Tensor) -> None:
    batch = torch.stack([x, 2 * x, x.flip(0)])
    check(pair, lambda f: torch.vmap(torch.func.grad(f))(batch))


def test_vjp_under_vmap(pair: tuple[Scalar, Scalar], x: Tensor) -> None:
    check(pair, lambda f: torch.func.jacrev(f)(x))


def test_dual_level(pair: tuple[Scalar, Scalar], x: Tensor, v: Tensor) -> None:
    def tangent(f: Scalar) -> Tensor:
        with forward_ad.dual_level():
            result = forward_ad.unpack_dual(f(forward_ad.make_dual(x, v))).tangent
            assert result is not None
            return result

    check(pair, tangent)


def test_third_order(pair: tuple[Scalar, Scalar], x: Tensor, v: Tensor) -> None:
    def third(f: Scalar) -> Tensor:
        tracked = x.clone().requires_grad_()
        (first,) = torch.autograd.grad(f(tracked), tracked, create_graph=True)
        (second,) = torch.autograd.grad((first * v).sum(), tracked, create_graph=True)
        return torch.autograd.grad((second * v.flip(1)).sum(), tracked)[0]

    check(pair, third)


def test_ops_called_directly_have_forward_mode(x: Tensor, v: Tensor) -> None:
    """Not the public functions only: the rule belongs to the op."""
    real = RESPONSE.real.contiguous()
    _, tangent = torch.func.jvp(
        lambda x: torch.ops.freqops.fft_filter(x, real, None, 2), (x,), (v,)
    )
    torch.testing.assert_close(tangent, reference.fft_filter2d(v, real))


@pytest.mark.parametrize("transform", [torch.func.grad, torch.func.jacfwd])
def test_transforms_compile(transform: Callable[[Scalar], Scalar], x: Tensor) -> None:
    torch._dynamo.reset()
    function = transform(PAIRS["fft_filter"][0])
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), function(x))


def test_inference_mode(x: Tensor) -> None:
    expected = freqops.fft_filter2d(x, RESPONSE)
    with torch.inference_mode():
        assert torch.equal(freqops.fft_filter2d(x, RESPONSE), expected)


def test_checkpointing_and_hooks(x: Tensor) -> None:
    tracked = x.clone().requires_grad_()
    y = torch.utils.checkpoint.checkpoint(
        lambda x: freqops.fft_filter2d(x, RESPONSE), tracked, use_reentrant=False
    )
    y.square().sum().backward()
    assert tracked.grad is not None
    expected = torch.func.grad(lambda x: reference.fft_filter2d(x, RESPONSE).square().sum())(x)
    torch.testing.assert_close(tracked.grad, expected)
