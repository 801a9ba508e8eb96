"""The matrices and gains of an axis: their formula, their exactness, and what is kept of them."""

import itertools
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from freqops.ops import _axis_maps
from freqops.ops._axis_maps import Rule
from freqops.ops._responses import CACHE

pytestmark = pytest.mark.usefixtures("device")

DOUBLE = torch.float64
PAIRS = [(1, 1), (2, 1), (1, 2), (3, 2), (2, 3), (4, 4), (5, 5), (8, 4), (4, 8), (9, 4), (4, 9)]
PAIRS += [(10, 7), (7, 10), (12, 8), (13, 6), (37, 18), (18, 37), (64, 32), (64, 48), (97, 96)]
RULES = list(itertools.product(("", "hamming"), ("half", "ortho", "sum", "zero"), _axis_maps.NORMS))
PLAIN: Rule = ("", "half", "forward")


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    CACHE.clear()
    yield
    CACHE.clear()


def matrix(size: int, target: int, rule: Rule = PLAIN, *, transposed: bool = False) -> Tensor:
    """In float64, of the shape [target, size] or its transpose."""
    return _axis_maps.kept_matrix(torch.zeros(1, dtype=DOUBLE), size, target, rule, transposed)


def by_formula(size: int, target: int) -> Iterator[tuple[Rule, Tensor]]:
    """The sum over frequencies as it is written, in extended precision where there is one."""
    kept = min(size, target)
    m, n = (np.arange(count, dtype=np.longdouble) for count in (target, size))
    phase = 2 * np.arccos(np.longdouble(-1)) * (m[:, None] / target - n / size)
    waves = [np.cos(k * phase) for k in range(kept // 2 + 1)]
    last = {"half": 0.5, "ortho": math.sqrt(0.5), "sum": 1.0 if target < size else 0.5, "zero": 0}
    factor = {"forward": size, "ortho": math.sqrt(size * target), "backward": target}
    for window, nyquist, norm in RULES:
        total = np.zeros_like(phase)
        for k in range(-(kept // 2), kept // 2 + 1):
            gain = math.sqrt(0.54 + 0.46 * math.cos(2 * math.pi * k / size)) if window else 1.0
            if 2 * abs(k) == kept:
                gain *= 0.5 if size == target else last[nyquist]
            total += gain * waves[abs(k)]
        values = torch.tensor((total / factor[norm]).astype(np.float64))
        yield (window, nyquist, norm), values


@pytest.mark.parametrize(("size", "target"), PAIRS)
def test_matrix_is_the_sum_over_frequencies(size: int, target: int) -> None:
    for rule, expected in by_formula(size, target):
        error = (matrix(size, target, rule) - expected).abs().max()
        assert error <= 1e-15 * math.sqrt(min(size, target)) * max(1.0, float(expected.max()))


@pytest.mark.parametrize(("size", "target"), PAIRS)
def test_matrix_is_mirrored_bit_by_bit(size: int, target: int) -> None:
    for rule in RULES:
        A = matrix(size, target, rule)
        m, n = torch.arange(target), torch.arange(size)
        assert torch.equal(A[-m % target][:, -n % size], A)
        # And it depends on the distance of a sample and an output alone.
        common = math.gcd(size, target)
        assert torch.equal(A.roll((target // common, size // common), (0, 1)), A)


@pytest.mark.parametrize(("size", "target"), PAIRS)
def test_transpose_is_the_rule_with_sizes_exchanged(size: int, target: int) -> None:
    """With the same gains, which for the norm "ortho" and nyquist "ortho" is the same rule."""
    for rule in RULES:
        A, T = matrix(size, target, rule), matrix(size, target, rule, transposed=True)
        assert torch.equal(T, A.T)
        assert T.is_contiguous()
    rule = ("", "ortho", "ortho")
    torch.testing.assert_close(matrix(target, size, rule), matrix(size, target, rule).T)


def test_what_cancels_is_exactly_zero() -> None:
    """Halving an even axis keeps every second sample, so to say, and interpolates the others."""
    for target in range(1, 65):
        A = matrix(2 * target, target)
        even = A[:, ::2]
        assert torch.equal(even != 0, torch.eye(target, dtype=torch.bool))
        assert torch.equal(even.diagonal(), torch.full((target,), even[0, 0].item(), dtype=DOUBLE))
        assert (A[:, 1::2] != 0).all()


def test_zeros_are_those_of_the_formula() -> None:
    """Every sum that cancels is an exact zero, and nothing else is one."""
    rules = [("", nyquist, "backward") for nyquist in ("half", "sum", "zero")]
    found = 0
    for size, target in itertools.product(range(1, 33), repeat=2):
        for rule in rules:
            A = matrix(size, target, rule)
            gains = _axis_maps.axis_gains(size, target, rule, A.device)
            summed = _axis_maps.axis_matrix(gains, size, target)
            assert torch.equal(A == 0, summed.abs() < 1e-13), (size, target)
            assert torch.equal(A, torch.where(A == 0, 0.0, summed))
            found += int((A == 0).sum())
    assert found > 10**4


def test_cosines_are_reduced_exactly() -> None:
    """Angles of many turns are as good as those of one: reduced as integers."""
    period = 720720
    numerator = torch.arange(0, period * 1000, 7 * period // 3 + 11)
    found = _axis_maps._cosines(numerator, period)
    exact = np.cos(
        2
        * np.arccos(np.longdouble(-1))
        * (numerator % period).cpu().numpy().astype(np.longdouble)
        / period
    )
    error = np.abs(found.cpu().numpy() - exact).max()
    assert error < 1.7e-16
    eighths = _axis_maps._cosines(torch.arange(8), 8)
    root = math.sqrt(0.5)
    expected = torch.tensor([1, root, 0, -root, -1, -root, 0, root], dtype=DOUBLE)
    torch.testing.assert_close(eighths, expected, rtol=0, atol=2e-16)
    assert eighths[2] == eighths[6] == 0


def test_matrix_is_differentiable_in_its_gains() -> None:
    for size, target in PAIRS:
        gains = torch.randn(min(size, target) // 2 + 1, dtype=DOUBLE, requires_grad=True)
        assert torch.autograd.gradcheck(
            lambda gains, n=size, m=target: _axis_maps.axis_matrix(gains, n, m),
            gains,
            fast_mode=True,
        )


# --- what is kept -------------------------------------------------------------------------------


def test_is_built_once_per_rule_dtype_and_direction() -> None:
    double, single, half = (
        torch.zeros(1, dtype=dtype) for dtype in (DOUBLE, torch.float32, torch.half)
    )
    first = _axis_maps.kept_matrix(double, 8, 4, PLAIN, False)
    assert _axis_maps.kept_matrix(double, 8, 4, PLAIN, False) is first
    others = [
        _axis_maps.kept_matrix(single, 8, 4, PLAIN, False),
        _axis_maps.kept_matrix(double, 8, 4, PLAIN, True),
        _axis_maps.kept_matrix(double, 4, 8, PLAIN, False),
        _axis_maps.kept_matrix(double, 8, 4, ("hamming", "half", "forward"), False),
        _axis_maps.kept_matrix(double, 8, 4, ("", "sum", "forward"), False),
        _axis_maps.kept_matrix(double, 8, 4, ("", "half", "ortho"), False),
    ]
    assert len({id(one) for one in (first, *others)}) == 7
    assert others[0].dtype == torch.float32
    assert _axis_maps.kept_matrix(half, 8, 4, PLAIN, False) is others[0]  # both compute in float32
    assert all(one.device == double.device for one in others)


def test_is_no_inference_tensor() -> None:
    """What is first needed without gradients serves training afterwards."""
    with torch.inference_mode():
        built = matrix(8, 4)
    assert not built.is_inference()
    assert matrix(8, 4) is built


def test_what_is_kept_is_bounded() -> None:
    for size in range(2, 100):
        matrix(size, size)
    assert len(CACHE) <= 64
    for size in range(2048, 2068, 2):  # 16 MiB each
        assert matrix(size, size // 2).nbytes <= CACHE.nbytes <= 128 << 20
    assert 1 < len(CACHE) < 10


def test_threads_share_what_is_kept() -> None:
    pairs = [(size, size // 2) for size in range(10, 30)] * 5
    expected = [matrix(*pair).clone() for pair in pairs]
    CACHE.clear()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: matrix(*pair), pairs))
    assert all(map(torch.equal, found, expected))


def test_nothing_of_a_trace_is_kept() -> None:
    with torch._subclasses.FakeTensorMode():
        _axis_maps.kept_matrix(torch.zeros(1), 8, 4, PLAIN, False)
    assert len(CACHE) == 0
