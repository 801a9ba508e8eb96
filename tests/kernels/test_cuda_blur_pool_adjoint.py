"""The CUDA kernels of anti-aliased pooling, backwards, replayed on the host, against float64."""

import random
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from kernels.cuda_replay import device, ops
from kernels.test_cuda_blur_pool import (
    MODES,
    Pool,
    between_nan,
    draw,
    draw_taps,
    expected,
    laid_out,
    usual,
)
from torch import Tensor

# Errors of arithmetic, relative to the largest magnitude that a sum can have, and of rounding the
# result, relative to itself.
ARITHMETIC = {torch.float64: 2e-15, torch.float32: 4e-7}
ROUNDING = {torch.float64: 0.0, torch.float32: 0.0, torch.float16: 2**-11, torch.bfloat16: 2**-8}
DTYPES = tuple(ROUNDING)
HALVES = (torch.float16, torch.bfloat16)
# Vectors that fill rows, rows with half a thread at their end, rows that take single elements,
# several strips of rows, and maps of one or two samples.
SIZES = (
    *((8, 8), (9, 16), (16, 12), (7, 20), (40, 24), (11, 7), (5, 13), (33, 9)),
    *((1, 1), (2, 2), (1, 8), (8, 1), (2, 16), (3, 4)),
)
CHANNELS = (1, 4, 6, 8)  # one, whole vectors of channels, and others
every_mode = pytest.mark.parametrize("mode", MODES)
every_layout = pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "nhwc"])
every_window = pytest.mark.parametrize("window", [1, 2, 3], ids="window_{}".format)


def pulled_back(x: Tensor, y: Tensor, pool: Pool, *, backwards: bool = False) -> Tensor:
    """The gradient at x of the sum of y times the pooled x; on the CPU through the replay."""
    kernels = ops() if x.device.type == "cpu" else torch.ops.freqops
    compute = torch.float64 if x.dtype == torch.float64 else torch.float32
    taps = [between_nan(one.to(x.device), compute) for one in (pool.taps_h, pool.taps_w)]
    rest: tuple[Any, ...] = (pool.stride, pool.padding, pool.mode)
    with device(backwards=True) if backwards else nullcontext():
        if pool.window == (1, 1):
            v = kernels.blur_pool_adjoint(y, *taps, x.shape[-2:], *rest)
        else:
            v = kernels.max_blur_pool_backward(x, y, *taps, pool.window, pool.max_padding, *rest)
    assert isinstance(v, Tensor)
    return v


def reference(x: Tensor, y: Tensor, pool: Pool) -> Tensor:
    source = x.detach().double().contiguous().requires_grad_()
    (gradient,) = torch.autograd.grad(expected(source, pool), source, y.double())
    return gradient


def assert_close(v: Tensor, exact: Tensor, y: Tensor, pool: Pool) -> None:
    taps = pool.taps_h.abs().sum(-1).max() * pool.taps_w.abs().sum(-1).max()
    largest = max(float(exact.abs().max()), float(y.abs().max() * taps) / 4)
    allowed = ARITHMETIC.get(v.dtype, 4e-7) * largest + ROUNDING[v.dtype] * exact.abs()
    if v.dtype == torch.float16:
        allowed += 2**-25  # subnormal
    excess = float(((v.double() - exact).abs() - allowed).nan_to_num(torch.inf).max())
    assert excess <= 0, (excess, largest, pool, v.shape, v.dtype)


def drawn(
    pool: Pool, height: int, width: int, dtype: torch.dtype, *, channels: int, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """x, and y of the size that the pool gives."""
    x = draw(2, channels, height, width, seed=seed).to(dtype)
    y = draw(*expected(x, pool).shape, seed=seed + 1).to(dtype)
    return x, y


def check(
    x: Tensor,
    y: Tensor,
    pool: Pool,
    *,
    channels_last: bool = False,
    shift: int = 0,
    backwards: bool = False,
) -> Tensor:
    exact = reference(x, y, pool)
    own = laid_out(x, channels_last=channels_last, shift=shift)
    v = pulled_back(
        own, laid_out(y, channels_last=channels_last, shift=shift), pool, backwards=backwards
    )
    assert v.shape == x.shape
    assert v.dtype == x.dtype
    assert_close(v, exact, y, pool)
    return v


def with_taps(taps: int, window: int, mode: str) -> Iterator[Pool]:
    """The default padding, and others: none, too much, crops, sides that differ."""
    pool = usual(taps, window, mode)
    yield pool
    for padding in ((0, 0, 0, 0), (3, 1, 2, 5), (-1, 2, 1, -1), (6, 7, 5, 4), (18, 2, 1, 19)):
        yield pool._replace(padding=padding)
    if window > 1:
        yield pool._replace(max_padding=(1, 0))
        yield pool._replace(max_padding=(0, 1))


@every_window
@every_mode
@every_layout
def test_few_taps_match_float64(window: int, mode: str, *, channels_last: bool) -> None:
    """The kernels that march: strides of 2, shared taps of 3 to 5."""
    for taps in (3, 4, 5):
        for number, pool in enumerate(with_taps(taps, window, mode)):
            for index, (height, width) in enumerate(SIZES):
                if not pool.fits(height, width):
                    continue
                dtype = DTYPES[1 + (number + index) % 3]
                x, y = drawn(pool, height, width, dtype, channels=CHANNELS[index % 4])
                check(x, y, pool, channels_last=channels_last)


@pytest.mark.parametrize("taps", range(1, 9), ids="taps_{}".format)
@pytest.mark.parametrize("window", [(1, 1), (2, 2), (3, 3), (2, 3)], ids=str)
def test_any_taps_and_strides_match_float64(taps: int, window: tuple[int, int]) -> None:
    for number, mode in enumerate(MODES):
        for stride in ((1, 1), (2, 2), (3, 1), (2, 3)):
            pool = usual(taps, 1, mode)._replace(window=window, stride=stride)
            for index, (height, width) in enumerate(((9, 8), (2, 5), (1, 1), (3, 16))):
                if not pool.fits(height, width):
                    continue
                x, y = drawn(pool, height, width, DTYPES[(number + index) % 4], channels=3)
                check(x, y, pool, channels_last=index % 2 == 1)


@every_mode
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_taps_of_each_channel(mode: str, dtype: torch.dtype) -> None:
    channels = 5
    for taps_h, taps_w in ((3, 3), (4, 2), (1, 7)):
        pool = usual(3, 2, mode)._replace(
            taps_h=draw_taps(channels, taps_h),
            taps_w=draw_taps(channels, taps_w, seed=2),
            padding=(1, 1, 3, 2),
        )
        x, y = drawn(pool, 6, 11, dtype, channels=channels)
        check(x, y, pool)
        check(x, y, pool, channels_last=True)


def test_random_pools_match_float64() -> None:
    choose = random.Random(0)
    checked = 0
    while checked < 150:
        taps = (choose.randint(1, 6), choose.randint(1, 6))
        pool = Pool(
            draw_taps(taps[0]),
            draw_taps(taps[1], seed=2),
            window=(choose.randint(1, 3), choose.randint(1, 3)),
            stride=(choose.randint(1, 3), choose.randint(1, 3)),
            padding=tuple(choose.randint(-2, 8) for _ in range(4)),
            mode=choose.choice(MODES),
        )
        pool = pool._replace(max_padding=tuple(choose.randint(0, k // 2) for k in pool.window))
        height, width = choose.randint(1, 12), choose.randint(1, 20)
        if not pool.fits(height, width):
            continue
        x, y = drawn(pool, height, width, choose.choice(DTYPES), channels=choose.choice(CHANNELS))
        check(x, y, pool, channels_last=choose.random() < 0.5)
        checked += 1


@every_window
@every_layout
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_order_of_threads_changes_no_bit(
    window: int, dtype: torch.dtype, *, channels_last: bool
) -> None:
    integer = {8: torch.int64, 4: torch.int32, 2: torch.int16}[dtype.itemsize]
    for taps, (height, width) in ((3, (9, 16)), (4, (40, 24)), (5, (7, 13)), (6, (6, 6))):
        pool = usual(taps, window)
        x, y = drawn(pool, height, width, dtype, channels=8)
        forwards = check(x, y, pool, channels_last=channels_last)
        reverse = check(x, y, pool, channels_last=channels_last, backwards=True)
        assert torch.equal(forwards.view(integer), reverse.view(integer))


@every_window
@every_layout
def test_memory_that_starts_off_a_vector(window: int, *, channels_last: bool) -> None:
    pool = usual(4, window)
    for dtype in DTYPES:
        x, y = drawn(pool, 8, 16, dtype, channels=8)
        for shift in (1, 4):
            check(x, y, pool, channels_last=channels_last, shift=shift)


@every_window
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_half_precision_rounds_once(window: int, dtype: torch.dtype) -> None:
    pool = usual(5, window)
    for height, width in ((8, 16), (7, 13)):
        for channels_last in (False, True):
            x, y = drawn(pool, height, width, dtype, channels=4)
            half = pulled_back(*both(x, y, channels_last), pool)
            full = pulled_back(*both(x.float(), y.float(), channels_last), pool)
            assert torch.equal(half, full.to(dtype))


def both(x: Tensor, y: Tensor, channels_last: bool) -> tuple[Tensor, Tensor]:
    return laid_out(x, channels_last=channels_last), laid_out(y, channels_last=channels_last)


# --- which element of a window is the maximum -----------------------------------------------------

WINDOWS = [((2, 2), (0, 0)), ((2, 2), (1, 1)), ((3, 3), (0, 0)), ((3, 3), (1, 1)), ((2, 3), (1, 1))]
every_kind_of_window = pytest.mark.parametrize(("window", "max_padding"), WINDOWS, ids=str)


def choosing_pools(window: tuple[int, int], max_padding: tuple[int, int]) -> Iterator[Pool]:
    for taps in (3, 4, 5, 6):
        pool = usual(taps, 1)
        yield pool._replace(window=window, max_padding=max_padding)


@every_kind_of_window
@every_layout
def test_first_of_equal_maxima(
    window: tuple[int, int], max_padding: tuple[int, int], *, channels_last: bool
) -> None:
    for pool in choosing_pools(window, max_padding):
        for height, width in ((9, 16), (8, 9)):
            for values in (1, 2, 3):
                x, y = drawn(pool, height, width, torch.float32, channels=4)
                x = (x * 1e6).long().remainder(values).float()
                check(x, y, pool, channels_last=channels_last)


@every_kind_of_window
@every_layout
def test_last_nan_of_a_window(
    window: tuple[int, int], max_padding: tuple[int, int], *, channels_last: bool
) -> None:
    for pool in choosing_pools(window, max_padding):
        for height, width in ((9, 16), (8, 9)):
            for share in (0.1, 0.5, 1.0):
                for dtype in DTYPES:
                    x, y = drawn(pool, height, width, dtype, channels=4)
                    noise = draw(*x.shape, seed=7).abs() % 1
                    x[noise < share] = torch.nan
                    x[noise < share / 2] = torch.inf
                    check(x, y, pool, channels_last=channels_last)


@every_kind_of_window
@every_layout
def test_minus_infinity_is_above_what_stands_outside(
    window: tuple[int, int], max_padding: tuple[int, int], *, channels_last: bool
) -> None:
    for pool in choosing_pools(window, max_padding):
        for height, width in ((9, 16), (8, 9), (3, 8)):
            for share in (0.5, 1.0):
                for dtype in DTYPES:
                    x, y = drawn(pool, height, width, dtype, channels=4)
                    x[draw(*x.shape, seed=7).abs() % 1 < share] = -torch.inf
                    check(x, y, pool, channels_last=channels_last)


# --- NaN and infinity in y ------------------------------------------------------------------------


@every_window
@every_mode
@every_layout
def test_nonfinite_output_reaches_only_what_it_read(
    window: int, mode: str, *, channels_last: bool
) -> None:
    for taps in (3, 4, 5, 6):
        pool = usual(taps, window, mode)
        for height, width in ((9, 16), (8, 9)):
            x, y = drawn(pool, height, width, torch.float32, channels=4)
            clean = pulled_back(*both(x, y, channels_last), pool)
            for value in (torch.nan, torch.inf):
                for row, column in ((0, 0), (y.shape[2] - 1, y.shape[3] // 2), (1, 2)):
                    bad = y.clone()
                    bad[1, 2, row, column] = value
                    mark = torch.zeros_like(y)
                    mark[1, 2, row, column] = 1
                    reached = reference(x, mark, pool) != 0
                    v = pulled_back(*both(x, bad, channels_last), pool)
                    assert torch.equal(~v.isfinite(), reached)
                    assert torch.equal(v[~reached], clean[~reached])
