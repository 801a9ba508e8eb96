"""fft_filter_padded: planes followed by zeros, filtered on a larger grid. Internal."""

import itertools
from typing import Any

import pytest
import torch
from ops.cases import (
    DTYPES,
    assert_compiles,
    assert_differentiable,
    assert_maps_over,
    assert_matches,
    assert_pooled_layout,
    assert_registered,
    layouts,
)
from torch import Tensor
from torch.nn import functional

from freqops import reference
from freqops.ops import _composition

pytestmark = pytest.mark.usefixtures("device")

OP: Any = torch.ops.freqops.fft_filter_padded
KEYS = itertools.count(2**62)  # nobody else in this process counts as far
# (plane, grid, output)
SIZES = [
    ((1, 1), (1, 1), (1, 1)),
    ((5, 4), (5, 4), (5, 4)),
    ((5, 4), (9, 8), (7, 2)),
    ((7, 9), (14, 10), (14, 10)),
    ((1, 37), (1, 48), (1, 40)),
    ((14, 14), (28, 28), (14, 14)),
    ((37, 12), (101, 17), (64, 13)),
    # Lines: as lanes, as planes of whole rows and a part of one (four-step), of a prime length.
    ((1,), (1,), (1,)),
    ((5,), (8,), (7,)),
    ((100,), (120,), (120,)),
    ((1000,), (1024,), (1000,)),
    ((37,), (2048,), (2011,)),
    ((1024,), (2048,), (1024,)),
    ((600,), (1009,), (5,)),
]


def expectation(x: Tensor, real: Tensor, imag: Tensor, grid: Any, size: Any) -> Tensor:
    x, response = x.double(), torch.complex(real.double(), imag.double())
    behind = [0, grid[-1] - x.shape[-1]]
    if len(grid) == 1:
        return reference.fft_filter1d(functional.pad(x, behind), response)[..., : size[0]]
    behind += [0, grid[0] - x.shape[-2]]
    filtered = reference.fft_filter2d(functional.pad(x, behind), response)
    return filtered[..., : size[0], : size[1]]


def responses(*shape: int, grid: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    work = torch.float64 if dtype == torch.float64 else torch.float32
    sides = (*grid[:-1], grid[-1] // 2 + 1)
    real, imag = (torch.randn(*shape, *sides, dtype=work) for _ in range(2))
    return real, imag


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("channels", [(), (3,)], ids=["shared", "per_channel"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_matches_reference(sizes: Any, channels: tuple[int, ...], dtype: torch.dtype) -> None:
    plane, grid, size = sizes
    x = torch.randn(2, 3, *plane, dtype=dtype)
    pair = responses(*channels, grid=grid, dtype=dtype)
    expected = expectation(x, *pair, grid, size)
    y = OP(x, *pair, grid, size)
    assert y.dtype == dtype
    scale = float(x.abs().max()) * 4
    assert_matches(y, expected, scale=scale)
    assert_matches(_composition.fft_filter_padded(x, *pair, grid, size), expected, scale=scale)


def test_memory_formats() -> None:
    x = torch.randn(3, 4, 9, 10)
    pair = responses(4, grid=(12, 16), dtype=x.dtype)
    expected = OP(x, *pair, [12, 16], [11, 5])
    for name, moved in layouts(x):
        y = OP(moved, *pair, [12, 16], [11, 5])
        assert_pooled_layout(moved, y)
        torch.testing.assert_close(y, expected, msg=name)
    assert OP(x[:0], *pair, [12, 16], [11, 5]).shape == (0, 4, 11, 5)


@pytest.mark.parametrize("channels", [(), (2,)], ids=["shared", "per_channel"])
def test_gradients(channels: tuple[int, ...]) -> None:
    x = torch.randn(2, 2, 4, 3, dtype=torch.float64)
    pair = responses(*channels, grid=(6, 5), dtype=torch.float64)
    assert_differentiable(lambda x, r, i: OP(x, r, i, [6, 5], [5, 4]), x, *pair)
    assert_differentiable(lambda x, r: OP(x, r, None, [6, 5], [2, 5]), x, pair[0])
    lines = responses(*channels, grid=(7,), dtype=torch.float64)
    assert_differentiable(lambda x, r, i: OP(x, r, i, [7], [5]), x[:, :, 0], *lines)


@pytest.mark.parametrize("channels", [(), (2,)], ids=["shared", "per_channel"])
def test_vmap(channels: tuple[int, ...]) -> None:
    x = torch.randn(3, 2, 2, 4, 3, dtype=torch.float64)
    real, imag = responses(3, *channels, grid=(6, 5), dtype=torch.float64)
    assert_maps_over(
        lambda x, r, i: OP(x, r, i, [6, 5], [5, 4]),
        (x, (0, 1, None)),
        (real, (0, 1, None)),
        (imag, (0, None)),
    )
    real, imag = responses(3, *channels, grid=(6,), dtype=torch.float64)
    assert_maps_over(
        lambda x, r, i: OP(x, r, i, [6], [5]),
        (x[..., 0, :], (0, 1, None)),
        (real, (0, None)),
        (imag, (0, None)),
    )


@pytest.mark.parametrize("recorded", [False, True])
def test_registration(recorded: bool) -> None:
    x = torch.randn(2, 3, 4, 3, requires_grad=recorded)
    real, imag = responses(3, grid=(6, 5), dtype=x.dtype)
    if recorded:
        real, imag = real.requires_grad_(), imag.requires_grad_()
    assert_registered(OP.default, (x, real, imag, [6, 5], [5, 4]))
    assert_registered(OP.default, (x, real[0].detach(), None, [6, 5], [5, 4]))


def test_lines_that_are_not_contiguous() -> None:
    """A line cut into rows of the grid is gathered row by row from where its samples lie."""
    x = torch.randn(2, 3, 700, 2)[..., 1]
    pair = responses(3, grid=(1024,), dtype=x.dtype)
    torch.testing.assert_close(OP(x, *pair, [1024], [900]), OP(x.clone(), *pair, [1024], [900]))
    assert OP(x[:0], *pair, [1024], [900]).shape == (0, 3, 900)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_a_key_stands_for_contents(dtype: torch.dtype) -> None:
    """What has a key is read once; another key, form, size or number of parts is another table."""
    x = torch.randn(2, 3, 9, 10, dtype=dtype, device="cpu")
    real, imag = (part.to("cpu") for part in responses(3, grid=(12, 16), dtype=dtype))
    sizes = [12, 16], [11, 5]
    key = next(KEYS)
    expected = OP(x, real, imag, *sizes)
    for moved in (x, x, x[:, :2], x.contiguous(memory_format=torch.channels_last), x[:1]):
        channels = moved.shape[1]
        y = OP.kept(moved, real[:channels], imag[:channels], *sizes, key=key)
        torch.testing.assert_close(y, expected[: len(moved), :channels])
    torch.testing.assert_close(OP.kept(x, real, None, *sizes, key=key), OP(x, real, None, *sizes))
    smaller = real[:, :11, :8].contiguous(), imag[:, :11, :8].contiguous()
    y = OP.kept(x, *smaller, [11, 14], [11, 5], key=key)
    torch.testing.assert_close(y, OP(x, *smaller, [11, 14], [11, 5]))
    # The promise, kept by nobody here: were the contents read, the first of these would differ.
    torch.testing.assert_close(OP.kept(x, -real, -imag, *sizes, key=key), expected)
    torch.testing.assert_close(OP.kept(x, -real, -imag, *sizes, key=next(KEYS)), -expected)
    torch.testing.assert_close(OP.kept(x, -real, -imag, *sizes, key=0), -expected)


def test_compiles() -> None:
    real, imag = responses(3, grid=(16, 18), dtype=torch.float32)
    calls = [(torch.randn(2, 3, *size),) for size in ((5, 6), (8, 3))]
    assert_compiles(lambda x: OP(x, real, imag, [16, 18], [7, 9]), *calls)


X, K = torch.randn(2, 3, 4, 3), torch.randn(6, 3)


@pytest.mark.parametrize(
    "arguments",
    [
        (X, K, None, [6], [5, 4]),
        (X, K, None, [6, 5], [5]),
        (X, K, None, [], []),
        (X, K, None, [2, 6, 5], [2, 5, 4]),
        (X, K[0], None, [5], [6]),
        (X, K[0], None, [2], [2]),
        (X, K[0], None, [5], [0]),
        (X, K[0], None, [7], [5]),
        (X, K, None, [3, 5], [3, 4]),
        (X, K, None, [6, 5], [7, 4]),
        (X, K, None, [6, 5], [0, 4]),
        (X, K, None, [2**62, 5], [5, 4]),
        (X, K[:5], None, [6, 5], [5, 4]),
        (X, K.double(), None, [6, 5], [5, 4]),
        (X, K, K[:5], [6, 5], [5, 4]),
        (X, torch.randn(2, 6, 3), None, [6, 5], [5, 4]),
        (X[0, 0, 0], K, None, [6, 5], [5, 4]),
        (X.int(), K, None, [6, 5], [5, 4]),
    ],
)
def test_rejects(arguments: Any) -> None:
    with pytest.raises(RuntimeError):
        OP(*arguments)
