"""The CPU kernels behind spectral pooling over drawn arguments, against matrices in float64.

tests/ops asks what the operators promise; here the cuts inside the kernels are met: lines and rows
that are no whole vectors, planes put end to end, groups of channels, blocks of sums, single terms.
"""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import freqops  # noqa: F401  (registers the ops)

separable = torch.ops.freqops.separable.default
resize_spectrum = torch.ops.freqops.resize_spectrum.default
TOLERANCE = {
    torch.float32: 3e-6,
    torch.float64: 1e-13,
    torch.float16: 1.2e-3,
    torch.bfloat16: 8e-3,
}
LAYOUTS = ["contiguous", "channels_last", "transposed"]
SIZES = st.integers(1, 40) | st.sampled_from([47, 48, 56, 64, 79, 112, 130])
LEADING = st.sampled_from([(1, 1), (2, 3), (3, 17), (5, 8), (1, 70), (9, 16)])


def drawn(
    leading: tuple[int, int], height: int, width: int, dtype: torch.dtype, how: str
) -> Tensor:
    if how == "transposed":
        return torch.randn(*leading, width, height).to(dtype).mT
    x = torch.randn(*leading, height, width).to(dtype)
    return x.contiguous(memory_format=torch.channels_last) if how == "channels_last" else x


def resizing_matrix(size: int, target: int, gains: Tensor) -> Tensor:
    """The matrix of the map that kernels/resize_spectrum.h defines, summed up term by term."""
    kept = min(size, target)
    m = torch.arange(target, dtype=torch.float64)[:, None]
    n = torch.arange(size, dtype=torch.float64)
    turns = (m * size - n * target) % (size * target)
    matrix = gains[0].expand(target, size).clone()
    for k in range(1, (kept + 1) // 2):
        angle = k * turns % (size * target) / (size * target)
        matrix += 2 * gains[k] * torch.cos(2 * math.pi * angle)
    if kept % 2 == 0:
        row = torch.cos(math.pi * (m * kept % (2 * target)) / target)
        column = torch.cos(math.pi * (n * kept % (2 * size)) / size)
        matrix += (1 if size == target else 2) * gains[kept // 2] * row * column
    matrix[matrix.abs() < 1e-15] = 0  # exactly 0 where size is 2 target: sums of one term
    return (matrix + mirrored(matrix)) / 2


def mirrored(matrix: Tensor) -> Tensor:
    m, n = (-torch.arange(size) for size in matrix.shape)
    return matrix[m % len(m)][:, n % len(n)]


def assert_close(y: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    assert y.dtype == dtype
    assert y.shape == expected.shape
    scale = expected.abs().max().clamp_min(1e-30)
    torch.testing.assert_close(y.double() / scale, expected / scale, rtol=0, atol=TOLERANCE[dtype])


@given(
    height=SIZES, width=SIZES, rows=SIZES, columns=SIZES, leading=LEADING,
    dtype=st.sampled_from(list(TOLERANCE)), how=st.sampled_from(LAYOUTS),
    axes=st.sampled_from(["both", "both", "rows", "columns"]), is_mirrored=st.booleans(),
    has_outer=st.booleans(),
)  # fmt: skip
@settings(max_examples=120)
def test_separable(
    height: int, width: int, rows: int, columns: int, leading: tuple[int, int], dtype: torch.dtype,
    how: str, axes: str, is_mirrored: bool, has_outer: bool,
) -> None:  # fmt: skip
    compute = torch.float64 if dtype == torch.float64 else torch.float32

    def matrix(size: int, target: int) -> Tensor:
        if is_mirrored:
            gains = torch.randn(min(size, target) // 2 + 1, dtype=torch.float64) / size
            return resizing_matrix(size, target, gains).to(compute)
        return torch.randn(target, size, dtype=compute) / size**0.5

    x = drawn(leading, height, width, dtype, how)
    a = None if axes == "columns" else matrix(height, rows)
    b = None if axes == "rows" else matrix(width, columns)
    outer = torch.randn(rows + height + columns + width, dtype=compute) / 4
    outer_or_none = outer if has_outer and axes == "both" else None
    expected = x.double()
    if outer_or_none is not None:
        p_h, q_h, p_w, q_w = outer.double().split([rows, height, columns, width])
        inner = torch.einsum("h,...hw,w->...", q_h, expected, q_w)
    if a is not None:
        expected = a.double() @ expected
    if b is not None:
        expected = expected @ b.double().mT
    if outer_or_none is not None:
        expected = expected + inner[..., None, None] * p_h[:, None] * p_w
    y = separable(x, a, b, outer_or_none, is_mirrored)
    assert_close(y, expected, dtype)
    if how == "channels_last" and not x.is_contiguous():
        assert y.is_contiguous(memory_format=torch.channels_last)


@given(
    height=SIZES, width=SIZES, rows=SIZES, columns=SIZES, leading=LEADING,
    dtype=st.sampled_from(list(TOLERANCE)), how=st.sampled_from(LAYOUTS),
    factor=st.sampled_from([None, 0.5, 2]), corner=st.booleans(), dims=st.sampled_from([1, 2, 2]),
)  # fmt: skip
@settings(max_examples=120)
def test_resize_spectrum(
    height: int, width: int, rows: int, columns: int, leading: tuple[int, int], dtype: torch.dtype,
    how: str, factor: float | None, corner: bool, dims: int,
) -> None:  # fmt: skip
    if factor is not None:
        rows, columns = max(1, int(height * factor)), max(1, int(width * factor))
    x = drawn(leading, height, width, dtype, how)
    row_gains, column_gains = (
        torch.randn(min(size, target) // 2 + 1, dtype=torch.float64) / size
        for size, target in ((height, rows), (width, columns))
    )
    expected = x.double() @ resizing_matrix(width, columns, column_gains).mT
    size = [columns]
    if dims == 2:
        size = [rows, columns]
        expected = resizing_matrix(height, rows, row_gains) @ expected
        if corner and has_corner((height, width), (rows, columns)):
            scale = -4 * row_gains[-1] * column_gains[-1]
            expected = expected + scale * corner_term(x.double(), rows, columns)
    y = resize_spectrum(x, row_gains, column_gains, size, corner)
    assert_close(y, expected, dtype)
    if how == "channels_last" and not x.is_contiguous():
        assert y.is_contiguous(memory_format=torch.channels_last)


def has_corner(sizes: tuple[int, int], targets: tuple[int, int]) -> bool:
    pairs = list(zip(sizes, targets, strict=True))
    same_way = all(n > m for n, m in pairs) or all(n < m for n, m in pairs)
    return same_way and all(min(pair) % 2 == 0 for pair in pairs)


def corner_term(x: Tensor, rows: int, columns: int) -> Tensor:
    """What tells bins (K, L), (-K, -L) from (K, -L), (-K, L): a product of sines."""

    def vectors(size: int, target: int) -> tuple[Tensor, Tensor]:
        kept, longer = min(size, target), max(size, target)
        n = torch.arange(longer, dtype=torch.float64)
        sine = torch.sin(math.pi * (n * kept % (2 * longer)) / longer)
        alternating = torch.cos(math.pi * torch.arange(kept, dtype=torch.float64))
        return (alternating, sine) if target < size else (sine, alternating)

    p_h, q_h = vectors(x.shape[-2], rows)
    p_w, q_w = vectors(x.shape[-1], columns)
    inner = torch.einsum("h,...hw,w->...", q_h, x, q_w)
    return inner[..., None, None] * p_h[:, None] * p_w


@pytest.mark.parametrize("size", [[10, 12], [40, 48], [12]])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_stays_in_its_image(size: list[int], value: float) -> None:
    x = torch.randn(3, 5, 20, 24)
    x[1, 2, 7, 11] = value
    kept = [min(n, m) // 2 + 1 for n, m in zip(x.shape[-len(size) :], size, strict=True)]
    gains = [torch.full((count,), 0.05, dtype=torch.float64) for count in kept]
    y = resize_spectrum(x, gains[0], gains[-1], size, False)
    clean = resize_spectrum(x.nan_to_num(0, 0, 0), gains[0], gains[-1], size, False)
    hurt = y.isfinite().logical_not().flatten(-len(size)).any(-1)
    touched = torch.zeros_like(hurt)
    touched[(1, 2) if len(size) == 2 else (1, 2, 7)] = True
    assert torch.equal(hurt, touched)
    torch.testing.assert_close(y[~touched], clean[~touched], rtol=0, atol=1e-5)


def test_long_lines() -> None:
    x = torch.randn(3, 5000)
    gains = torch.randn(601, dtype=torch.float64) / 5000
    y = resize_spectrum(x, gains[:0], gains, [1200], False)
    spectrum = torch.fft.rfft(x.double())[:, :601] * gains
    spectrum[:, -1] *= 2  # both bins that meet at the Nyquist frequency; irfft takes the real part
    assert_close(y, torch.fft.irfft(spectrum, 1200, norm="forward"), torch.float32)


MANY_LINES = """
import resource, torch, freqops
x, matrix = torch.zeros(1 << 20, 24, dtype=torch.bfloat16), torch.ones(12, 24)
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
torch.ops.freqops.separable(x[:64], None, matrix, None, False)
before = most()
y = torch.ops.freqops.separable(x, None, matrix, None, False)
print((most() - before) / y.nbytes)
"""


def test_many_lines_take_little_scratch() -> None:
    """[lines, W] is one plane by its shape; the kernel takes it in parts, on all threads."""
    command = [sys.executable, "-c", MANY_LINES]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(run.stdout) < 2  # the result itself and little else; all lines in float32 are 4


WRONG = [
    (lambda x, g: separable(x, None, None, None, False), "rows or columns must be a matrix"),
    (lambda x, g: separable(x, torch.ones(2, 5), None, None, False), "a column for each of the 6"),
    (lambda x, g: separable(x, torch.ones(0, 6), None, None, False), "at least 1 row"),
    (lambda x, g: separable(x, torch.ones(2, 6).double(), None, None, False), "compute dtype"),
    (lambda x, g: separable(x, torch.ones(2, 6), None, torch.ones(9), False), "both axes"),
    (
        lambda x, g: separable(x, torch.ones(2, 6), torch.ones(3, 8), torch.ones(18), False),
        "outer must hold 19 numbers",
    ),
    (lambda x, g: separable(x[0, 0, 0], torch.ones(2, 6), None, None, False), "2 dimensions"),
    (lambda x, g: separable(x.int(), torch.ones(2, 6), None, None, False), "float32"),
    (lambda x, g: resize_spectrum(x, g, g, [4, 4, 4], False), "dims must be 1 or 2"),
    (lambda x, g: resize_spectrum(x, g, g, [], False), "dims must be 1 or 2"),
    (lambda x, g: resize_spectrum(x, g, g, [0, 4], False), "1 to"),
    (lambda x, g: resize_spectrum(x, g, g, [4, 8], False), "column_gains must hold 5"),
    (lambda x, g: resize_spectrum(x, g[:2], g, [4, 4], False), "row_gains must hold 3"),
    (lambda x, g: resize_spectrum(x, g.float(), g, [4, 4], False), "float64"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_wrong_calls_are_refused_before_anything_is_read(call, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RuntimeError, match=message):
        call(torch.randn(2, 3, 6, 8), torch.ones(3, dtype=torch.float64))
