"""torch.ops.freqops.separable and resize_spectrum, under spectral pooling."""

import itertools
from typing import Any

import pytest
import torch
from ops.cases import (
    DTYPES,
    SIZES,
    assert_compiles,
    assert_differentiable,
    assert_keeps_alive,
    assert_maps_over,
    assert_matches,
    assert_pooled_layout,
    assert_registered,
    layouts,
)
from torch import Tensor

import freqops  # noqa: F401  (registers the ops)
from freqops.ops import _axis_maps, _composition
from freqops.ops._layout import compute_dtype

pytestmark = pytest.mark.usefixtures("device")

DOUBLE = torch.float64
SEPARABLE = torch.ops.freqops.separable.default
RESIZE = torch.ops.freqops.resize_spectrum.default
Factors = tuple[Tensor | None, Tensor | None, Tensor | None]


def factors(size: tuple[int, int], target: tuple[int, int], dtype: torch.dtype) -> Factors:
    """Matrices of both axes and an outer product, values of order one in the result."""
    work = compute_dtype(dtype)
    rows, columns = (
        torch.randn(m, n, dtype=work) / n**0.5 for m, n in zip(target, size, strict=True)
    )
    lengths = (target[0], size[0], target[1], size[1])
    outer = torch.cat([torch.randn(n, dtype=work) / n**0.5 for n in lengths])
    return rows, columns, outer


def choices(each: Factors) -> list[Factors]:
    rows, columns, _ = each
    return [(rows, columns, None), each, (rows, None, None), (None, columns, None)]


def expected(x: Tensor, rows: Tensor | None, columns: Tensor | None, outer: Any) -> Tensor:
    """The formula, in float64."""
    y = x = x.double()
    if rows is not None:
        y = torch.einsum("ph,...hw->...pw", rows.double(), y)
    if columns is not None:
        y = torch.einsum("qw,...w->...q", columns.double(), y)
    if outer is None:
        return y
    assert rows is not None
    assert columns is not None
    p_h, q_h, p_w, q_w = outer.double().split([*rows.shape, *columns.shape])
    sums = torch.einsum("h,...hw,w->...", q_h, x, q_w)
    return y + torch.einsum("p,...,q->...pq", p_h, sums, p_w)


def mirrored(matrix: Tensor) -> Tensor:
    """Half the sum of a matrix and its mirror image."""
    m, n = (torch.arange(side) for side in matrix.shape)
    return (matrix + matrix[-m % len(m)][:, -n % len(n)]) / 2


# --- against the formula ------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matches_the_formula(size: tuple[int, int]) -> None:
    targets = [((size[0] + 1) // 2, (size[1] + 1) // 2), (size[0] + 3, size[1] // 3 + 1), (1, 1)]
    for target, dtype in itertools.product(targets, (DOUBLE, torch.float32)):
        x = torch.randn(2, 3, *size, dtype=dtype)
        for own in choices(factors(size, target, dtype)):
            y = SEPARABLE(x, *own, False)
            assert y.is_contiguous()
            assert_matches(y, expected(x, *own), float(x.abs().max()) + 4)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_mirrored_matrices_are_read_by_half(size: tuple[int, int]) -> None:
    """What the second half of the rows holds is without effect, or it is what the promise says."""
    target = (size[0] // 2 + 1, size[1] + 2)
    x = torch.randn(2, 3, *size, dtype=DOUBLE)
    rows, columns, outer = factors(size, target, DOUBLE)
    assert rows is not None
    assert columns is not None
    for own in choices((mirrored(rows), mirrored(columns), outer)):
        y = SEPARABLE(x, *own, True)
        assert_matches(y, expected(x, *own), float(x.abs().max()) + 4)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_keeps_dtype_and_layout(dtype: torch.dtype) -> None:
    for shape, target in (((4, 5, 18, 15), (9, 8)), ((3, 16, 8, 8), (5, 16))):
        values = torch.randn(shape, dtype=DOUBLE).to(dtype)
        for own in choices(factors((shape[2], shape[3]), target, dtype)):
            wanted = expected(values, *own)
            for _, x in layouts(values):
                y = SEPARABLE(x, *own, False)
                assert_pooled_layout(x, y)
                assert_matches(y, wanted, float(wanted.abs().max()) + 1)


def test_takes_any_leading_dimensions() -> None:
    for shape in ((7,), (6, 7), (2, 6, 7), (2, 1, 3, 4, 6, 7), (0, 6, 7), (2, 0, 6, 7)):
        x = torch.randn(shape, dtype=DOUBLE)
        for own in choices(factors((6, 7), (4, 9), DOUBLE)):
            if own[0] is None or len(shape) > 1:
                y = SEPARABLE(x, *own, False)
                assert_matches(y, expected(x, *own), 10)


def gains(size: int, target: int) -> Tensor:
    return torch.rand(min(size, target) // 2 + 1, dtype=DOUBLE)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_transforms_give_what_matrices_do(size: tuple[int, int]) -> None:
    """resize_spectrum with any gains, along one axis and two, with the corner and without."""
    for target in (tuple((n + 1) // 2 for n in size), (size[0] + 3, max(1, size[1] - 1)), size):
        axes = list(zip(size, target, strict=True))
        own = [gains(*axis) for axis in axes]
        rows, columns = (
            _axis_maps.axis_matrix(gain, *axis) for gain, axis in zip(own, axes, strict=True)
        )
        for dtype in (DOUBLE, torch.float32, torch.bfloat16):
            x = torch.randn(2, 3, *size).to(dtype)
            for back in (False, True):
                here = torch.randn(2, 3, *target).to(dtype) if back else x
                to = size if back else target
                matrices = (rows.mT, columns.mT) if back else (rows, columns)
                y = RESIZE(here, *own, list(to), False)
                wanted = expected(here, *matrices, None)
                assert_matches(y, wanted, float(wanted.abs().max()) + 1e-3)
                line = RESIZE(here, own[0][:0], own[1], [to[1]], False)
                wanted = expected(here, None, matrices[1], None)
                assert_matches(line, wanted, float(wanted.abs().max()) + 1e-3)
                if not _axis_maps.has_corner(size, target):
                    continue
                outer = _axis_maps.outer_vectors(size, target, own, transposed=back)
                y = RESIZE(here, *own, list(to), True)
                wanted = expected(here, *matrices, outer)
                assert_matches(y, wanted, float(wanted.abs().max()) + 1e-3)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_transforms_keep_dtype_and_layout(dtype: torch.dtype) -> None:
    values = torch.randn(4, 3, 18, 15).to(dtype)
    own = gains(18, 9), gains(15, 20)
    exact = RESIZE(values.double(), *own, [9, 20], False)
    line = RESIZE(values.double(), own[0], own[1], [20], False)
    for _, x in layouts(values):
        for y, wanted in (
            (RESIZE(x, *own, [9, 20], False), exact),
            (RESIZE(x, own[0], own[1], [20], False), line),
        ):
            assert_pooled_layout(x, y)
            assert_matches(y, wanted)


# --- derivatives --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize(("size", "target"), [((2, 3), (4, 2)), ((1, 1), (2, 1))], ids=str)
def test_gradients(number: int, size: tuple[int, int], target: tuple[int, int]) -> None:
    own = choices(factors(size, target, DOUBLE))[number]
    x = torch.randn(2, 2, *size, dtype=DOUBLE)
    there = [one for one in own if one is not None]

    def applied(x: Tensor, *factors: Tensor) -> Tensor:
        given = iter(factors)
        every = [None if one is None else next(given) for one in own]
        result: Tensor = SEPARABLE(x, *every, False)
        return result

    assert_differentiable(applied, x, *there)
    if own[0] is None:
        assert_differentiable(applied, x[0, 0, 0], *there)
    # Each alone: what the others would need is not kept.
    for i in range(len(there)):
        tracked = [one.clone().requires_grad_(i == j) for j, one in enumerate(there)]
        (alone,) = torch.autograd.grad(applied(x, *tracked).pow(2).sum(), tracked[i])
        tracked = [one.clone().requires_grad_() for one in there]
        together = torch.autograd.grad(applied(x, *tracked).pow(2).sum(), tracked)
        torch.testing.assert_close(alone, together[i])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_gradients_in_low_precision(dtype: torch.dtype) -> None:
    """Those of the matrices stay in their own dtype, summed in float32; with autocast as well."""
    size, target = (9, 8), (5, 12)
    own = factors(size, target, dtype)
    x = torch.randn(4, 3, *size).to(dtype)
    wide = [one.double().requires_grad_() for one in (x, *own) if one is not None]
    cotangent = torch.randn(4, 3, *target).to(dtype)
    expected(wide[0], wide[1], wide[2], wide[3]).backward(cotangent.double())
    for autocast in (False, True):
        narrow = [one.clone().requires_grad_() for one in (x, *own) if one is not None]
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=autocast):
            SEPARABLE(*narrow, False).backward(cotangent)
        for actual, other in zip(narrow, wide, strict=True):
            assert actual.grad is not None
            assert other.grad is not None
            assert actual.grad.dtype == actual.dtype
            assert_matches(actual.grad, other.grad, 2 * float(other.grad.abs().max()))


def test_fixed_matrices_keep_no_activation() -> None:
    rows, columns, outer = factors((16, 16), (8, 8), torch.float32)
    x = torch.randn(2, 3, 16, 16, requires_grad=True)
    assert_keeps_alive(lambda x: SEPARABLE(x, rows, columns, outer, False), x)


def test_mirrored_matrices_have_derivatives() -> None:
    """For those who make both halves of a matrix from the same numbers, as learned sizes do."""
    x = torch.randn(2, 6, 5, dtype=DOUBLE)
    own = gains(6, 3), gains(5, 4)

    def resized(x: Tensor, row_gains: Tensor, column_gains: Tensor) -> Tensor:
        rows = _axis_maps.axis_matrix(row_gains, 6, 3)
        columns = _axis_maps.axis_matrix(column_gains, 5, 4)
        result: Tensor = SEPARABLE(x, rows, columns, None, True)
        return result

    assert_differentiable(resized, x, *own)


# --- registration -------------------------------------------------------------------------------


def test_maps() -> None:
    x = torch.randn(3, 2, 6, 5, dtype=DOUBLE)
    rows = torch.randn(3, 4, 6, dtype=DOUBLE)
    columns = torch.randn(3, 7, 5, dtype=DOUBLE)
    outer = torch.randn(3, 4 + 6 + 7 + 5, dtype=DOUBLE)
    assert_maps_over(
        lambda x, rows, columns: SEPARABLE(x, rows, columns, None, False),
        (x, [None, 0, 2]),
        (rows, [None, 0]),
        (columns, [None, -1]),
    )
    assert_maps_over(
        lambda x, outer: SEPARABLE(x, rows[0], columns[0], outer, False),
        (x, [None, 0]),
        (outer, [None, 1]),
    )
    assert_maps_over(
        lambda x, columns: SEPARABLE(x, None, columns, None, False),
        (x[:, 0, 0], [None, 0]),
        (columns, [None, 0]),
    )
    assert_maps_over(
        lambda x, rows: SEPARABLE(x, rows, None, None, False), (x, [0, -1]), (rows, [None, 1])
    )


def test_maps_over_gradients_of_matrices() -> None:
    x = torch.randn(3, 2, 6, 5, dtype=DOUBLE)
    rows = torch.randn(4, 6, dtype=DOUBLE)

    def gradient(x: Tensor) -> Tensor:
        def loss(rows: Tensor) -> Tensor:
            result: Tensor = SEPARABLE(x, rows, None, None, False).square().sum()
            return result

        result: Tensor = torch.func.grad(loss)(rows)
        return result

    assert_matches(torch.vmap(gradient)(x), torch.stack([gradient(one) for one in x]))


X, R, C = torch.randn(2, 3, 6, 5), torch.randn(4, 6), torch.randn(3, 5)
O = torch.randn(4 + 6 + 3 + 5)  # noqa: E741
LAST = X.to(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "arguments",
    [
        (X.clone().requires_grad_(), R, C, O, False),
        (X.clone().requires_grad_(), R.clone().requires_grad_(), C, None, False),
        (LAST, R, C.clone().requires_grad_(), O.clone().requires_grad_(), False),
        (X.bfloat16(), None, C, None, False),
        (X[..., ::2].double(), R.double(), None, None, False),
        (X[:0], R, C, None, True),
        (X[0, 0, 0].clone().requires_grad_(), None, C, None, False),
    ],
    ids=range(7),
)
def test_registration(arguments: tuple[Any, ...]) -> None:
    assert_registered(SEPARABLE, arguments)


def test_compiles() -> None:
    calls = []
    for shape in ((2, 3, 8, 9), (1, 2, 13, 11), (2, 2, 30, 7)):
        x = torch.randn(shape)
        rows, columns, outer = factors(shape[2:], (5, 6), torch.float32)
        calls.append((x, rows, columns, outer))
        calls.append((x.to(memory_format=torch.channels_last), rows, columns, outer))
    assert_compiles(lambda *arguments: SEPARABLE(*arguments, False), *calls)
    assert_compiles(lambda x, rows, columns, _: SEPARABLE(x, None, columns, None, False), *calls)


def test_repeats_bit_for_bit() -> None:
    x = torch.randn(7, 5, 30, 31)
    own = factors((30, 31), (15, 40), torch.float32)
    threads = torch.get_num_threads()
    first = SEPARABLE(x, *own, False)
    try:
        torch.set_num_threads(1)
        assert torch.equal(SEPARABLE(x, *own, False), first)
    finally:
        torch.set_num_threads(threads)


# --- compositions -------------------------------------------------------------------------------


def test_autocast_changes_no_composition() -> None:
    x = torch.randn(2, 3, 6, 8)
    own = factors((6, 8), (4, 9), torch.float32)
    resizing = gains(6, 3), gains(8, 4), [3, 4], False

    def both() -> tuple[Tensor, Tensor]:
        return _composition.separable(x, *own, False), _composition.resize_spectrum(x, *resizing)

    plain = both()
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        assert all(map(torch.equal, both(), plain))


@pytest.mark.parametrize("dtype", [DOUBLE, torch.bfloat16], ids=str)
def test_compositions_equal_the_kernels(dtype: torch.dtype) -> None:
    """Kernels and compositions are two implementations of one function, layout included."""
    targets = [(3, 4), (6, 8), (12, 5), (12, 16)]
    targets += [(4, 4), (4, 8), (6, 4), (4, 16), (12, 4), (6, 16), (12, 8)]  # one axis each way
    for target in targets:
        for _, x in layouts(torch.randn(2, 3, 6, 8).to(dtype)):
            for own in choices(factors((6, 8), target, dtype)):
                composed = _composition.separable(x, *own, False)
                computed = SEPARABLE(x, *own, False)
                assert composed.stride() == computed.stride()
                assert_matches(composed, computed, 10)
            both = gains(6, target[0]), gains(8, target[1])
            for size, corner in ((list(target), False), (list(target), True), ([target[1]], False)):
                composed = _composition.resize_spectrum(x, *both, size, corner)
                computed = RESIZE(x, *both, size, corner)
                assert composed.stride() == computed.stride()
                assert_matches(composed, computed, 100)
