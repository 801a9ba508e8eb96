"""flc_pool2d and FLCPool2d: the published layer, without its shift at sizes of 4 k + 2."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops.cases import (
    DTYPES,
    SIZES,
    assert_compiles,
    assert_differentiable,
    assert_keeps_alive,
    assert_maps_over,
    assert_matches,
    assert_pooled_layout,
    layouts,
    placed,
)
from ops.test_spectral_pool import METHODS, use
from torch import Tensor

import freqops
from freqops import reference

pytestmark = pytest.mark.usefixtures("device")

DOUBLE = torch.float64
ADJOINT = torch.ops.freqops.spectral_pool_adjoint


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tests that name it run once by matrices and once by transforms."""
    name: str = request.param
    use(monkeypatch, name)
    return name


def published(size: int) -> int:
    """What the layer's slice int(N / 4) : int(N / 4 * 3) holds; at least one."""
    return max(1, len(range(size)[int(size / 4) : int(size / 4 * 3)]))


# --- against the reference ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [*SIZES, (4, 4), (6, 10), (9, 12), (11, 13)], ids=str)
def test_matches_reference(method: str, size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    even = tuple(max(1, side // 2 * 2 - 2) for side in size)
    for target in (None, 1, even, (even[0], size[1]), (size[0], even[1])):
        if isinstance(target, int) or target is None:
            expected_size = [published(side) if target is None else target for side in size]
        else:
            expected_size = list(target)
        expected = reference.flc_pool2d(x.double(), target)
        for dtype in (DOUBLE, torch.float32):
            y = freqops.flc_pool2d(x.to(dtype), target)
            assert list(y.shape[-2:]) == expected_size
            assert_matches(y, expected, float(expected.abs().max()) + 1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_matches_reference_in_every_dtype_and_layout(method: str, dtype: torch.dtype) -> None:
    values = torch.randn(4, 3, 16, 20, dtype=DOUBLE).to(dtype)
    expected = reference.flc_pool2d(values.double())
    for _, x in layouts(values):
        y = freqops.flc_pool2d(x)
        assert_pooled_layout(x, y)
        assert_matches(y, expected)


@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.data())
@pytest.mark.parametrize("how", METHODS)
def test_adjoint_identity(how: str, size: tuple[int, int], data: st.DataObject) -> None:
    target = tuple(data.draw(st.integers(1, side)) for side in size)
    x = torch.randn(2, *size, dtype=DOUBLE)
    with pytest.MonkeyPatch.context() as patch:
        use(patch, how)
        y = freqops.flc_pool2d(x, target)
        assert_matches(y, reference.flc_pool2d(x, target), float(x.abs().max()))
        z = torch.randn_like(y)
        back = ADJOINT(z, list(size), "", "two_corner", "forward")
    assert abs((y * z).sum() - (x * back).sum()) <= 1e-12 * (1 + y.norm() * z.norm())


@pytest.mark.parametrize("shape", [(0, 3, 5, 6), (4, 0, 8, 8), (0, 1, 1)], ids=str)
def test_takes_empty_batches(method: str, shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape, requires_grad=True)
    y = freqops.flc_pool2d(x)
    assert y.shape == (*shape[:-2], published(shape[-2]), published(shape[-1]))
    y.sum().backward()
    assert x.grad is not None


# --- derivatives and registration ---------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (4, 8), (8, 6), (5, 7)], ids=str)
def test_gradients(method: str, size: tuple[int, int]) -> None:
    x = torch.randn(2, 2, *size, dtype=DOUBLE)
    assert_differentiable(freqops.flc_pool2d, x)
    y = torch.randn_like(freqops.flc_pool2d(x))
    assert_differentiable(lambda y: ADJOINT(y, list(size), "", "two_corner", "forward"), y)


def test_keeps_no_activation(method: str) -> None:
    assert_keeps_alive(freqops.flc_pool2d, torch.randn(2, 3, 16, 16, requires_grad=True))


def test_maps(method: str) -> None:
    x = torch.randn(3, 2, 4, 8, 12, dtype=DOUBLE)
    assert_maps_over(freqops.flc_pool2d, (x, [None, 0, 2, -1]))


def test_compiles() -> None:
    shapes = [(2, 3, 8, 9), (1, 2, 13, 12), (2, 2, 30, 7)]
    calls = [(torch.randn(*shape),) for shape in shapes]
    calls += [(x.to(memory_format=torch.channels_last),) for (x,) in calls[:1]]
    assert_compiles(freqops.flc_pool2d, *calls)
    assert_compiles(lambda x: freqops.flc_pool2d(x, 4), *calls)


def test_exports() -> None:
    dims = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height", min=4)}
    layer = freqops.FLCPool2d()
    program = torch.export.export(layer, (torch.randn(2, 3, 8, 10),), dynamic_shapes={"x": dims})
    for height in (12, 13, 14, 15):
        x = torch.randn(4, 3, height, 10)
        torch.testing.assert_close(program.module()(x), layer(x))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_autocast_changes_nothing(method: str, dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 8, 8).to(dtype)
    expected = freqops.flc_pool2d(x)
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        y = freqops.flc_pool2d(x)
    assert y.dtype == dtype
    assert torch.equal(y, expected)


# --- wrong input --------------------------------------------------------------------------------

X = torch.randn(2, 3, 6, 5)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((X.int(),), TypeError, "x must be float32, float64, float16 or bfloat16, got torch.int32"),
        ((X[0, 0, 0],), ValueError, "x must have at least 2 dimensions, got 1"),
        ((X[:, :, :0],), ValueError, "x must have at least 1 sample along each transformed axis"),
        ((X, 0), ValueError, "output_size must be at least 1, got 0"),
        ((X, 2.0), TypeError, "output_size must be an integer, got float"),
        ((X, (1, 2, 3)), ValueError, "output_size must be one integer or 2, one per axis, got 3"),
        ((X, 6), ValueError, "output_size must be at most [6, 5], the size of x, got [6, 6]"),
        ((X, (7, 1)), ValueError, "output_size must be at most [6, 5], the size of x, got [7, 1]"),
    ],
)
def test_rejects(arguments: tuple[Any, ...], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        freqops.flc_pool2d(*placed(arguments))
    assert str(caught.value).startswith(f"flc_pool2d: {sentence}")


def test_module_rejects() -> None:
    with pytest.raises(ValueError, match="FLCPool2d: output_size must be at least 1, got 0"):
        freqops.FLCPool2d(0)
    with pytest.raises(ValueError, match=r"flc_pool2d: output_size must be at most \[6, 5\]"):
        freqops.FLCPool2d(6)(placed(X))


# --- mathematics --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, 65))
def test_a_constant_stays_one(method: str, size: int) -> None:
    """From every size to every smaller one, and to the published one."""
    for target in range(1, size + 1):
        x = torch.full((size, size), 1.5, dtype=DOUBLE)
        y = freqops.flc_pool2d(x, (target, size + 1 - target))
        torch.testing.assert_close(y, torch.full_like(y, 1.5), rtol=0, atol=2e-14)
    y = freqops.flc_pool2d(torch.full((size, 14), -2.0, dtype=DOUBLE))
    torch.testing.assert_close(y, torch.full_like(y, -2.0), rtol=0, atol=2e-14)


def test_differs_from_half_in_one_bin() -> None:
    for size, target in (((16, 20), (8, 10)), ((13, 12), (6, 6)), ((16, 14), (8, 7))):
        x = torch.randn(3, *size, dtype=DOUBLE)
        spectra = [
            torch.fft.fft2(pool(x, target))
            for pool in (freqops.flc_pool2d, freqops.spectral_pool2d)
        ]
        differs = (spectra[0] - spectra[1]).abs() > 1e-10
        corner = torch.zeros_like(differs)
        if not any(side % 2 for side in target):
            corner[:, target[0] // 2, target[1] // 2] = True
        assert torch.equal(differs, corner)


def test_even_shifts_come_through_at_odd_outputs(method: str) -> None:
    x = torch.randn(2, 30, 14, dtype=DOUBLE)
    y = freqops.flc_pool2d(x)
    assert y.shape == (2, 15, 7)
    moved = freqops.flc_pool2d(x.roll((2, -4), (-2, -1)))
    torch.testing.assert_close(moved, y.roll((1, -2), (-2, -1)), rtol=0, atol=1e-12)


def test_the_same_size_is_the_identity(method: str) -> None:
    for size in ((1, 1), (6, 8), (7, 5)):
        x = torch.randn(2, 3, *size)
        assert torch.equal(freqops.flc_pool2d(x, size), x)


# --- module -------------------------------------------------------------------------------------


def test_module() -> None:
    x = torch.randn(2, 3, 8, 14)
    module = freqops.FLCPool2d()
    assert torch.equal(module(x), freqops.flc_pool2d(x))
    assert torch.equal(freqops.FLCPool2d((5, 3))(x), freqops.flc_pool2d(x, (5, 3)))
    assert not module.state_dict()
    assert repr(module) == "FLCPool2d()"
    assert repr(freqops.FLCPool2d(3)) == "FLCPool2d(output_size=3)"


def test_module_keeps_a_tensor_of_its_own() -> None:
    """What comes out may be written to, also where nothing had to be done."""
    x = torch.randn(2, 1, 1)
    y: Tensor = freqops.FLCPool2d()(x)
    before = x.clone()
    y.add_(1)
    assert torch.equal(x, before)
