"""The tiled form of the pooling kernels, replayed on the host against float64; when it runs."""

import random
from typing import Any

import pytest
import torch
from kernels.cuda_replay import device, last_launch, ops
from kernels.test_cuda_blur_pool import (
    DTYPES,
    MODES,
    Pool,
    check,
    draw,
    draw_taps,
    expected,
    laid_out,
    pooled,
    same_bits,
    usual,
)
from kernels.test_cuda_blur_pool_adjoint import check as check_adjoint
from kernels.test_cuda_blur_pool_adjoint import drawn, pulled_back
from torch import Tensor

CHANNELS = (1, 3, 17)
# What a launch shows of its form: threads of a block, and whether it has shared memory.
FORMS = {(128, False): "stencil", (256, True): "tiled", (256, False): "generic"}


def form_that_ran() -> str:
    threads, shared_bytes = last_launch()
    assert shared_bytes <= 48 * 1024
    return FORMS[threads, shared_bytes > 0]


def path(op: str, x: Tensor, pool: Pool) -> str:
    """Of a call on images like x."""
    like = torch.empty(0, dtype=x.dtype)
    channels_last = not x.is_contiguous()
    taps = [pool.taps_h.shape[-1], pool.taps_w.shape[-1]]
    per_channel = pool.taps_h.dim() > 1
    rest: tuple[Any, ...] = (pool.window, pool.max_padding, pool.stride, pool.padding, pool.mode)
    answer = ops().blur_pool_path(like, op, x.shape, channels_last, taps, per_channel, *rest)
    return str(answer)


def draw_problem(choose: random.Random, channels: int, window: int) -> tuple[Pool, int, int]:
    """Not of a stencil: other taps, strides or taps per channel, at sizes of one or more tiles."""
    while True:
        shape = (channels,) if choose.random() < 0.3 else ()
        pool = Pool(
            draw_taps(*shape, choose.randint(1, 9)),
            draw_taps(*shape, choose.randint(1, 9), seed=2),
            (choose.randint(1, window), choose.randint(1, window)),
            stride=(choose.randint(1, 5), choose.randint(1, 5)),
            padding=tuple(choose.randint(-3, 11) for _ in range(4)),  # type: ignore[arg-type]
            mode=choose.choice(MODES),
        )
        max_padding = [choose.randint(0, k // 2) for k in pool.window]
        pool = pool._replace(max_padding=(max_padding[0], max_padding[1]))
        sizes = [(1, 300), (300, 1), (71, 150), (1, 17), (23, 9), (6, 40), (2, 3), (1, 1)]
        height, width = choose.choice(sizes)
        if pool.fits(height, width):
            return pool, height, width


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("seed", range(10))
def test_drawn_pools_match_float64_in_any_order(seed: int, channels: int) -> None:
    choose = random.Random(100 * seed + channels)
    for number in range(6):
        pool, height, width = draw_problem(choose, channels, window=1 + 3 * (number % 2))
        dtype, last = choose.choice(DTYPES), choose.random() < 0.5
        images = draw(2, channels, height, width, seed=number).to(dtype)
        x = laid_out(images, channels_last=last and channels > 1)
        v = draw(*x.shape, seed=number + 1).to(dtype) if pool.window != (1, 1) else None
        for values in {None, v} if v is not None else {None}:
            check(x, pool, values)
            forwards = pooled(x, pool, values)
            with device(backwards=True):
                assert same_bits(pooled(x, pool, values), forwards)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("seed", range(10))
def test_drawn_adjoints_match_float64_in_any_order(seed: int, channels: int) -> None:
    choose = random.Random(100 * seed + channels)
    for number in range(6):
        pool, height, width = draw_problem(choose, channels, window=1)
        dtype = choose.choice(DTYPES)
        last = channels > 1 and choose.random() < 0.5
        x, y = drawn(pool, height, width, dtype, channels=channels, seed=number)
        forwards = check_adjoint(x, y, pool, channels_last=last)
        assert same_bits(forwards, check_adjoint(x, y, pool, channels_last=last, backwards=True))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "nhwc"])
def test_padding_beyond_a_tile(mode: str, *, channels_last: bool) -> None:
    """Outputs at a border read samples far from it; for the adjoint these are not staged."""
    pool = usual(6, 1, mode)._replace(padding=(90, 75, 200, 160), stride=(2, 3))
    for dtype in (torch.float32, torch.float64):
        x, y = drawn(pool, 71, 150, dtype, channels=3)
        check(laid_out(x, channels_last=channels_last), pool)
        assert form_that_ran() == "tiled"
        check_adjoint(x, y, pool, channels_last=channels_last)
        assert form_that_ran() == "tiled"


def test_signals_are_many_rows_of_a_tile() -> None:
    """Columns that are not blurred: planes are rows, each still multiplied by the one tap."""
    for shape in ((3, 5, 1, 40), (40, 1, 1, 9), (2, 17, 7, 30)):
        for channels in ((), (shape[1],)):
            pool = usual(7, 1)._replace(
                taps_h=draw_taps(*channels, 1, seed=5),
                taps_w=draw_taps(*channels, 7),
                padding=(0, 0, 3, 3),
                stride=(1, 2),
            )
            x = draw(*shape).float()
            for last in (False, True):
                check(laid_out(x, channels_last=last), pool)
                y = draw(*expected(x, pool).shape, seed=1).float()
                check_adjoint(x, y, pool, channels_last=last)


def test_path_is_what_runs() -> None:
    base = usual(4, 1)
    changes: list[dict[str, Any]] = [
        {},
        {"taps_h": draw_taps(6)},
        {"taps_h": draw_taps(8, 4), "taps_w": draw_taps(8, 4)},
        {"stride": (1, 1)},
        {"stride": (3, 2)},
        {"padding": (1, 2, 3, 2)},
        {"padding": (17, 2, 1, 2)},
        {"padding": (1, 2, 1, 17)},
        {"taps_h": draw_taps(150), "taps_w": draw_taps(150), "padding": (75, 75, 75, 75)},
        {"taps_w": draw_taps(90), "padding": (1, 2, 45, 45)},
        *({"window": (n, n), "max_padding": (n // 2, n // 2)} for n in (2, 3, 4)),
        {"window": (2, 2), "stride": (1, 1)},
    ]
    seen = set()
    for change in changes:
        pool = base._replace(**change)
        for dtype, (height, width) in ((dt, size) for dt in DTYPES for size in ((16, 24), (12, 7))):
            for last in (False, True):
                x, y = drawn(pool, height, width, dtype, channels=8)
                x, y = laid_out(x, channels_last=last), laid_out(y, channels_last=last)
                plain = pool.window == (1, 1)
                pooled(x, pool)
                ran = form_that_ran()
                assert path("blur_pool" if plain else "max_blur_pool", x, pool) == ran, pool
                seen.add(ran)
                pulled_back(x, y, pool)
                ran = form_that_ran()
                op = "blur_pool_adjoint" if plain else "max_blur_pool_backward"
                assert path(op, x, pool) == ran, pool
                if not plain:
                    pooled(x, pool, x)
                    assert path("max_blur_pool_select", x, pool) == form_that_ran()
    assert seen == {"stencil", "tiled", "generic"}


def test_path_of_what_the_stencils_leave() -> None:
    x = torch.zeros(2, 8, 16, 24)
    cases = {
        "stencil": [(x, usual(4, 2)), (x.half(), usual(5, 1))],
        "tiled": [
            (x.double(), usual(4, 1)),
            (x, usual(4, 1)._replace(stride=(1, 1))),
            (x, usual(7, 1)),
            (x, usual(4, 4)),
            (x[..., :5], usual(4, 1)),
        ],
        "generic": [(x, usual(150, 1))],
    }
    for form, problems in cases.items():
        for images, pool in problems:
            op = "blur_pool" if pool.window == (1, 1) else "max_blur_pool"
            assert path(op, images.contiguous(), pool) == form


def test_path_refuses_nonsense() -> None:
    pool = usual(4, 1)
    with pytest.raises(RuntimeError):
        path("blur", torch.zeros(1, 1, 8, 8), pool)
    with pytest.raises(RuntimeError):
        path("blur_pool", torch.zeros(8, 8), pool)
    with pytest.raises(RuntimeError):
        path("blur_pool", torch.zeros(1, 1, 8, 8), pool._replace(stride=(0, 2)))
