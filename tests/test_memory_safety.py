"""Every op at the sizes where vectors overhang rows: small, odd, prime, strided, one plane more.

As ordinary tests these check values. Their purpose is `make asan`, which runs them on a build with
sanitizers at every CPU level: a store past the last row of the last plane ends the program there.
They call torch.ops.freqops directly, so that nothing in Python rounds a size up on the way.
"""

import itertools
import random
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import freqops  # noqa: F401  (registers the ops)

pytestmark = pytest.mark.sanitizer

SIZES_1D = [*range(1, 36), 63, 64, 65, 97, 127, 128, 131, 257]
SIZES_2D = [
    *itertools.product((1, 2, 3, 5), (1, 2, 3, 5, 7, 15, 16, 17, 31, 33)),
    *[(7, 7), (8, 8), (13, 9), (14, 14), (15, 16), (16, 15), (17, 17), (19, 6), (23, 13), (28, 28)],
    *[
        (31, 31),
        (32, 32),
        (33, 35),
        (37, 4),
        (41, 1),
        (56, 56),
        (61, 2),
        (64, 24),
        (97, 5),
        (131, 3),
    ],
]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-4, torch.bfloat16: 0.1, torch.float16: 0.02}


def sizes(dims: int) -> list[tuple[int, ...]]:
    return [(n,) for n in SIZES_1D] if dims == 1 else list(SIZES_2D)


def axes(dims: int) -> tuple[int, ...]:
    return tuple(range(-dims, 0))


def half(size: tuple[int, ...]) -> tuple[int, ...]:
    return (*size[:-1], size[-1] // 2 + 1)


def spectrum(x: Tensor, dims: int) -> Tensor:
    return torch.fft.rfftn(x.double(), dim=axes(dims))


def back(spectrum: Tensor, size: tuple[int, ...]) -> Tensor:
    # irfft along the width comes last and drops what no real image has: the symmetrised columns.
    columns = spectrum
    for axis in range(-len(size), -1):
        columns = torch.fft.ifft(columns, dim=axis)
    return torch.fft.irfft(columns, n=size[-1], dim=-1)


def check(actual: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    assert actual.dtype == dtype
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    torch.testing.assert_close(actual.double(), expected, atol=TOLERANCE[dtype] * scale, rtol=0)


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def layouts(x: Tensor, dims: int) -> list[Tensor]:
    """The same values as callers hand them over: dense, misaligned, permuted, with gaps."""
    shifted = torch.empty(x.numel() + 1, dtype=x.dtype)[1:].view(x.shape)
    return [
        x,
        shifted.copy_(x),
        x.transpose(0, -dims - 1).contiguous().transpose(0, -dims - 1),
        x.movedim(-dims - 1, -1).contiguous().movedim(-1, -dims - 1),
        torch.stack([x, x], -1)[..., 0],
    ]


def inputs(dims: int, dtype: torch.dtype, *lead: int) -> Iterator[tuple[Tensor, tuple[int, ...]]]:
    """Every size dense and in one other layout, another one for each size and dtype."""
    turn = list(TOLERANCE).index(dtype)
    for index, size in enumerate(sizes(dims)):
        dense, *others = layouts(torch.randn(*lead, *size, dtype=torch.float64).to(dtype), dims)
        yield dense, size
        yield others[(index + turn) % len(others)], size


every_dtype = pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: str(dtype)[6:])
both_dims = pytest.mark.parametrize("dims", [1, 2])


@every_dtype
@both_dims
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("is_complex", [False, True])
def test_fft_filter(dtype: torch.dtype, dims: int, per_channel: bool, is_complex: bool) -> None:
    for x, size in inputs(dims, dtype, 3, 3):
        shape = (3, *half(size)) if per_channel else half(size)
        real = torch.randn(shape, dtype=compute_dtype(dtype))
        imag = torch.randn(shape, dtype=compute_dtype(dtype)) if is_complex else None
        response = real.double() if imag is None else torch.complex(real.double(), imag.double())
        expected = back(spectrum(x, dims) * response, size)
        check(torch.ops.freqops.fft_filter(x, real, imag, dims), expected, dtype)
        out = torch.empty_like(x)
        torch.ops.freqops.fft_filter.out(x, real, imag, dims, out=out)
        check(out, expected, dtype)
        low, high = (x.new_full((1, *x.shape), torch.nan) for _ in range(2))
        if imag is None:
            torch.ops.freqops.low_high.out(x, real[None], dims, low=low, high=high)
            check(low[0], expected, dtype)
            check(high[0], x.double() - expected, dtype)


@every_dtype
@both_dims
@pytest.mark.parametrize("per_channel", [False, True])
def test_fft_filter_padded(dtype: torch.dtype, dims: int, per_channel: bool) -> None:
    """Zeros behind, none to more than twice the size; any part of the result given back."""
    draw = random.Random(0)
    for x, size in inputs(dims, dtype, 3, 3):
        grid = tuple(n + draw.choice([0, 1, 5, n, 2 * n + 3]) for n in size)
        kept = tuple(draw.randint(1, n) for n in grid)
        shape = (3, *half(grid)) if per_channel else half(grid)
        real, imag = (torch.randn(shape, dtype=compute_dtype(dtype)) for _ in range(2))
        behind = [
            amount for n, m in zip(size[::-1], grid[::-1], strict=True) for amount in (0, m - n)
        ]
        padded = spectrum(torch.nn.functional.pad(x, behind), dims)
        whole = back(padded * torch.complex(real.double(), imag.double()), grid)
        expected = whole[(..., *(slice(n) for n in kept))]
        y = torch.ops.freqops.fft_filter_padded(x, real, imag, grid, kept)
        assert y.dtype == dtype
        scale = max(1.0, float(whole.abs().max()))
        torch.testing.assert_close(y.double(), expected, atol=TOLERANCE[dtype] * scale, rtol=0)


@every_dtype
@pytest.mark.parametrize("channels", [4, 16, 17, 32, 40])
@pytest.mark.parametrize("per_channel", [False, True])
def test_channels_side_by_side(dtype: torch.dtype, channels: int, per_channel: bool) -> None:
    """Many channels of channels_last maps are read and written a vector of them at a time."""
    for size in [(1, 2), (3, 5), (7, 7), (14, 14), (5, 15), (6, 16), (4, 17), (9, 33), (56, 56)]:
        grid = tuple(n + n // 2 for n in size)
        x = torch.randn(3, channels, *size, dtype=torch.float64).to(dtype)
        last = torch.empty(3, *size, channels, dtype=dtype).permute(0, 3, 1, 2).copy_(x)
        lead = (channels,) if per_channel else ()
        parts = [torch.randn(*lead, *half(n), dtype=compute_dtype(dtype)) for n in (size, grid)]
        expected = torch.ops.freqops.fft_filter(x, parts[0], None, 2)
        y = torch.ops.freqops.fft_filter(last, parts[0], None, 2)
        assert y.stride() == last.stride()
        check(y, expected.double(), dtype)
        expected = torch.ops.freqops.fft_filter_padded(x, parts[1], None, grid, size)
        y = torch.ops.freqops.fft_filter_padded(last, parts[1], None, grid, size)
        check(y, expected.double(), dtype)


@every_dtype
@both_dims
@pytest.mark.parametrize("responses", [1, 3])
def test_banks(dtype: torch.dtype, dims: int, responses: int) -> None:
    for x, size in inputs(dims, dtype, 2, 3):
        gains = torch.rand(responses, *half(size), dtype=compute_dtype(dtype))
        bank = torch.stack([back(spectrum(x, dims) * gain.double(), size) for gain in gains])
        check(torch.ops.freqops.filter_bank(x, gains, None, dims), bank, dtype)
        low, high = torch.ops.freqops.low_high(x, gains, dims)
        check(low, bank, dtype)
        check(high, x.double() - bank, dtype)
        rest = x.double() - bank.sum(0)
        bands = torch.ops.freqops.split_bands(x, gains, dims)
        check(bands, torch.cat([bank, rest[None]]), dtype)
        adjoint = torch.ops.freqops.filter_bank_adjoint(bank.to(dtype), gains, None, dims)
        slabs = zip(bank.to(dtype), gains, strict=True)
        back_again = sum(back(spectrum(slab, dims) * gain.double(), size) for slab, gain in slabs)
        assert isinstance(back_again, Tensor)
        check(adjoint, back_again, dtype)


@every_dtype
@both_dims
@pytest.mark.parametrize("channels", [0, 3])
def test_spectral_correlation(dtype: torch.dtype, dims: int, channels: int) -> None:
    for x, size in inputs(dims, dtype, 2, 3):
        y = torch.randn(x.shape, dtype=torch.float64).to(dtype)
        weight = torch.full((half(size)[-1],), 2.0, dtype=torch.float64)
        weight[0] = 1.0
        if size[-1] % 2 == 0:
            weight[-1] = 1.0
        summed = (0,) if channels else (0, 1)
        product = (spectrum(x, dims).conj() * spectrum(y, dims)).sum(summed)
        expected = product * weight / torch.Size(size).numel()
        real, imag = torch.ops.freqops.spectral_correlation(x, y, channels, dims)
        check(real, expected.real, compute_dtype(dtype))
        check(imag, expected.imag, compute_dtype(dtype))


@every_dtype
@pytest.mark.parametrize("over_channels", [False, True])
def test_mix_amplitude_phase(dtype: torch.dtype, over_channels: bool) -> None:
    over = (-3, -2, -1) if over_channels else (-2, -1)
    for x, _ in inputs(2, dtype, 2, 3):
        phase = torch.randn(x.shape, dtype=torch.float64).to(dtype)
        amplitude_spectrum = torch.fft.fftn(x.double(), dim=over)
        angle = torch.fft.fftn(phase.double(), dim=over).angle()
        expected = torch.fft.ifftn(torch.polar(amplitude_spectrum.abs(), angle), dim=over).real
        actual = torch.ops.freqops.mix_amplitude_phase(x, phase, over_channels)
        if dtype in (torch.float32, torch.float64):
            check(actual, expected, dtype)
        else:  # a bin near zero has no phase to speak of in half precision; memory is at stake
            assert actual.isfinite().all()


@every_dtype
def test_polyphase_pool(dtype: torch.dtype) -> None:
    """Also that pool and unpool are each other's transpose, what lies behind odd axes included."""
    index = torch.tensor([0, 1, 2, 3])
    for x, size in inputs(2, dtype, 4, 3):
        evened = [torch.arange(side + side % 2) % side for side in size]
        wide = x.double()[..., evened[0][:, None], evened[1]]
        parts = torch.stack([wide[..., i % 2 :: 2, i // 2 :: 2] for i in range(4)])
        norms = torch.ops.freqops.polyphase_norms(x, "l1")
        assert norms.dtype == torch.float64  # of sums that are taken in the compute dtype
        work = compute_dtype(dtype)
        check(norms.to(work), parts.abs().sum((2, 3, 4)).T, work)
        largest = torch.ops.freqops.polyphase_norms(x, "non_abs_max")
        assert torch.equal(largest, parts.amax((2, 3, 4)).T)
        for circular in (True, False):
            y = torch.ops.freqops.polyphase_pool(x, index, circular)
            if circular:
                assert torch.equal(y.double(), torch.stack([parts[i, i] for i in range(4)]))
            other = torch.randn(y.shape, dtype=torch.float64).to(dtype)
            back = torch.ops.freqops.polyphase_unpool(other, index, size, circular)
            assert back.shape == x.shape
            products = (back.double() * x.double()).sum((1, 2, 3))
            torch.testing.assert_close(products, (y.double() * other.double()).sum((1, 2, 3)))


MODES = ("reflect", "replicate", "zeros", "circular")
STRIDES = ((2, 2), (1, 1), (3, 2))


def source(size: int, before: int, after: int, mode: str) -> Tensor:
    """Which sample stands where in a padded axis, as rows of a matrix; no row for a zero."""
    rows = torch.zeros(before + size + after, size, dtype=torch.float64)
    for row, i in enumerate(range(-before, size + after)):
        if mode == "zeros" and not 0 <= i < size:
            continue
        if mode == "reflect" and size > 1:
            i %= 2 * size - 2
            i = min(i, 2 * size - 2 - i)
        i = i % size if mode == "circular" else min(max(i, 0), size - 1)
        rows[row, i] = 1
    return rows


def blur_matrix(size: int, taps: Tensor, stride: int, mode: str) -> Tensor:
    """The blur of an axis with the default padding, [outputs, size]."""
    count = len(taps)
    padded = source(size, (count - 1) // 2, count // 2, mode)
    windows = padded.unfold(0, count, 1)  # [size, size, count]
    return (windows @ taps.double())[::stride]


def pooling_cases(dtype: torch.dtype) -> Iterator[tuple[Tensor, Tensor, tuple[int, int], str]]:
    """Images of every size and layout, with one count of taps, stride and mode after the other."""
    turns = itertools.count(list(TOLERANCE).index(dtype))
    for x, _ in inputs(2, dtype, 2, 5):
        turn = next(turns)
        taps = torch.rand(1 + turn % 7, dtype=compute_dtype(dtype))
        yield x, taps, STRIDES[turn % 3], MODES[turn % 4]


def ends(taps: Tensor) -> list[int]:
    return [(len(taps) - 1) // 2, len(taps) // 2] * 2


@every_dtype
def test_blur_pool(dtype: torch.dtype) -> None:
    for x, taps, stride, mode in pooling_cases(dtype):
        down, across = (
            blur_matrix(side, taps, step, mode)
            for side, step in zip(x.shape[-2:], stride, strict=True)
        )
        expected = down @ x.double() @ across.T
        own = taps.expand(x.shape[-3], -1).contiguous()
        for given in (taps, own):
            y = torch.ops.freqops.blur_pool(x, given, given, stride, ends(taps), mode)
            check(y, expected, dtype)
            back = torch.ops.freqops.blur_pool_adjoint(
                y, given, given, x.shape[-2:], stride, ends(taps), mode
            )
            check(back, down.T @ y.double() @ across, dtype)


@every_dtype
@pytest.mark.parametrize("window", [2, 3])
def test_max_blur_pool(dtype: torch.dtype, window: int) -> None:
    for x, taps, stride, mode in pooling_cases(dtype):
        maxima, places = torch.nn.functional.max_pool2d(
            x.double(), window, 1, 1, return_indices=True
        )
        down, across = (
            blur_matrix(side, taps, step, mode)
            for side, step in zip(maxima.shape[-2:], stride, strict=True)
        )
        rest = (taps, taps, [window] * 2, [1, 1], stride, ends(taps), mode)
        y = torch.ops.freqops.max_blur_pool(x, *rest)
        check(y, down @ maxima @ across.T, dtype)
        v = torch.randn(x.shape, dtype=torch.float64).to(dtype)
        selected = v.double().flatten(-2).gather(-1, places.flatten(-2)).view(maxima.shape)
        check(
            torch.ops.freqops.max_blur_pool_select(x, v, *rest),
            down @ selected @ across.T,
            dtype,
        )
        spread = down.T @ y.double() @ across
        expected = torch.zeros(x.shape, dtype=torch.float64).flatten(-2)
        expected.scatter_add_(-1, places.flatten(-2), spread.flatten(-2))
        back = torch.ops.freqops.max_blur_pool_backward(x, y, *rest)
        check(back, expected.view(x.shape), dtype)


def draw_axis(size: int, turn: int) -> tuple[int, Tensor, Tensor]:
    """Another size, gains from the one to the other, and the matrix they make."""
    target = (size, (size + 1) // 2, size // 2 + 1, 2 * size + 1, max(1, size - 3))[turn % 5]
    kept = min(size, target)
    gains = torch.rand(kept // 2 + 1, dtype=torch.float64)
    m, n = torch.arange(target) * size, torch.arange(size) * target
    weights = 2 * gains
    weights[0] = gains[0]
    if kept % 2 == 0 and size == target:
        weights[-1] = gains[-1]
    angles = 2 * torch.pi * ((m[:, None] - n) % (size * target)).double() / (size * target)
    waves = torch.cos(angles[..., None] * torch.arange(kept // 2 + 1))
    return target, gains, waves @ weights


@every_dtype
@both_dims
def test_resizing(dtype: torch.dtype, dims: int) -> None:
    """By matrices, mirrored or not, with vectors and without, and by transforms."""
    turns = itertools.count(list(TOLERANCE).index(dtype))
    work = compute_dtype(dtype)
    for x, size in inputs(dims, dtype, 2, 5):
        turn = next(turns)
        axes = [draw_axis(side, turn + 2 * i) for i, side in enumerate(size)]
        targets, gains = [axis[0] for axis in axes], [axis[1] for axis in axes]
        rows, columns = (axes[0][2] if dims == 2 else None), axes[-1][2]
        expected = x.double() @ columns.T
        if rows is not None:
            expected = rows @ expected
        matrices = (None if rows is None else rows.to(work), columns.to(work))
        for mirrored in (False, True):
            y = torch.ops.freqops.separable(x, *matrices, None, mirrored)
            check(y, expected, dtype)
        row_gains = gains[0] if dims == 2 else gains[0][:0]
        y = torch.ops.freqops.resize_spectrum(x, row_gains, gains[-1], targets, False)
        check(y, expected, dtype)
        if rows is None:
            continue
        alone = torch.ops.freqops.separable(x, matrices[0], None, None, bool(turn % 2))
        check(alone, rows @ x.double(), dtype)
        parts = [torch.rand(side, dtype=work) / side for side in (*rows.shape, *columns.shape)]
        p_h, q_h, p_w, q_w = (part.double() for part in parts)
        y = torch.ops.freqops.separable(x, *matrices, torch.cat(parts), bool(turn % 2))
        sums = (q_h[:, None] * x.double() * q_w).sum((-2, -1), keepdim=True)
        check(y, expected + torch.outer(p_h, p_w) * sums, dtype)


@both_dims
def test_empty(dims: int) -> None:
    size = (5, 6)[-dims:]
    x, gain = torch.empty(0, 3, *size), torch.ones(half(size))
    assert torch.ops.freqops.fft_filter(x, gain, None, dims).shape == x.shape
    assert torch.ops.freqops.filter_bank(x, gain[None], None, dims).shape == (1, *x.shape)
