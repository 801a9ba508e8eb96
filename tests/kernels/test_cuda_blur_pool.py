"""The CUDA kernels of anti-aliased pooling, forwards, replayed on the host, against float64."""

import itertools
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from kernels.cuda_replay import device, ops
from torch import Tensor

TOLERANCE = {
    torch.float64: 1e-14,
    torch.float32: 5e-7,
    torch.float16: 5e-4,
    torch.bfloat16: 4e-3,
}
DTYPES = tuple(TOLERANCE)
MODES = ("reflect", "replicate", "zeros", "circular")
# Aligned rows and others, threads that move left, one thread, several strips; then what is left to
# the tiled form.
SIZES = (
    *((7, 7), (8, 8), (9, 12), (5, 15), (16, 16), (17, 24), (40, 20), (33, 31), (12, 48), (6, 33)),
    *((1, 1), (2, 2), (1, 16), (16, 1), (3, 5), (2, 9)),
)


class Pool(NamedTuple):
    """Arguments of the ops beside the images."""

    taps_h: Tensor
    taps_w: Tensor
    window: tuple[int, int] = (1, 1)
    max_padding: tuple[int, int] = (0, 0)
    stride: tuple[int, int] = (2, 2)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    mode: str = "reflect"

    def fits(self, height: int, width: int) -> bool:
        """Whether there is an output at all."""
        sizes = [
            (size + 2 * self.max_padding[i] - self.window[i] + 1, self.padding[2 * i : 2 * i + 2])
            for i, size in enumerate((height, width))
        ]
        taps = (self.taps_h.shape[-1], self.taps_w.shape[-1])
        return all(
            n >= 1 and n + sum(padding) >= k for (n, padding), k in zip(sizes, taps, strict=True)
        )


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def draw_taps(*shape: int, seed: int = 1) -> Tensor:
    """Not symmetric, so that their order shows."""
    return 0.25 + torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def usual(taps: int, window: int, mode: str = "reflect") -> Pool:
    """The default padding of the public ops."""
    before, after = (taps - 1) // 2, taps // 2
    return Pool(
        draw_taps(taps),
        draw_taps(taps, seed=2),
        (window, window),
        (window // 3, window // 3),
        padding=(before, after, before, after),
        mode=mode,
    )


# --- the reference --------------------------------------------------------------------------------


def padded(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    size = x.shape[axis]
    places = torch.arange(-before, size + after, device=x.device)
    if mode == "zeros":
        kept = (places >= 0) & (places < size)
        taken = x.index_select(axis, places.clamp(0, size - 1)).movedim(axis, -1)
        return torch.where(kept, taken, 0).movedim(-1, axis)
    if mode == "replicate":
        places = places.clamp(0, size - 1)
    elif mode == "circular":
        places = places.remainder(size)
    else:
        period = max(2 * (size - 1), 1)
        places = torch.minimum(places.remainder(period), (-places).remainder(period))
    return x.index_select(axis, places)


def filtered(x: Tensor, taps: Tensor, stride: int) -> Tensor:
    """Along the last axis; taps [k] or [C, k]."""
    seen = x.unfold(-1, taps.shape[-1], stride)
    if taps.dim() == 2:
        taps = taps[:, None, None]
    return (seen * taps.to(x)).sum(-1)


def blurred(x: Tensor, pool: Pool) -> Tensor:
    y = padded(x, -1, *pool.padding[2:], pool.mode)
    y = filtered(padded(y, -2, *pool.padding[:2], pool.mode), pool.taps_w, pool.stride[1])
    return filtered(y.mT, pool.taps_h, pool.stride[0]).mT


def maxima(x: Tensor, pool: Pool, v: Tensor | None = None) -> Tensor:
    values, places = torch.nn.functional.max_pool2d(
        x.double(), pool.window, 1, pool.max_padding, return_indices=True
    )
    if v is None:
        return values
    return v.double().flatten(-2).gather(-1, places.flatten(-2)).view(values.shape)


def expected(x: Tensor, pool: Pool, v: Tensor | None = None) -> Tensor:
    return blurred(maxima(x, pool, v), pool)


# --- the kernels ----------------------------------------------------------------------------------


def laid_out(x: Tensor, *, channels_last: bool, shift: int = 0) -> Tensor:
    """A copy between NaN: what is read beside it shows. It starts `shift` elements off a vector."""
    inside = x.permute(0, 2, 3, 1) if channels_last else x
    margin = 1024 + shift
    buffer = torch.full((x.numel() + 2 * margin,), torch.nan, dtype=x.dtype, device=x.device)
    copy = buffer[margin : margin + x.numel()].view(inside.shape).copy_(inside)
    return copy.permute(0, 3, 1, 2) if channels_last else copy


def between_nan(taps: Tensor, dtype: torch.dtype) -> Tensor:
    buffer = torch.full((taps.numel() + 64,), torch.nan, dtype=dtype, device=taps.device)
    return buffer[32 : 32 + taps.numel()].view(taps.shape).copy_(taps)


def pooled(x: Tensor, pool: Pool, v: Tensor | None = None) -> Tensor:
    """On the device of x: replayed on the CPU."""
    kernels = ops() if x.device.type == "cpu" else torch.ops.freqops
    compute = torch.float64 if x.dtype == torch.float64 else torch.float32
    taps = [between_nan(one.to(x.device), compute) for one in (pool.taps_h, pool.taps_w)]
    rest: tuple[Any, ...] = (pool.stride, pool.padding, pool.mode)
    if v is not None:
        y = kernels.max_blur_pool_select(x, v, *taps, pool.window, pool.max_padding, *rest)
    elif pool.window == (1, 1):
        y = kernels.blur_pool(x, *taps, *rest)
    else:
        y = kernels.max_blur_pool(x, *taps, pool.window, pool.max_padding, *rest)
    assert isinstance(y, Tensor)
    return y


def check(x: Tensor, pool: Pool, v: Tensor | None = None) -> None:
    """Against float64; the error is measured by what was summed up, as sums may cancel."""
    y, summed = pooled(x, pool, v), maxima(x, pool, v)
    reference, scale = blurred(summed, pool), blurred(summed.abs(), pool)
    assert y.shape == reference.shape
    assert y.dtype == x.dtype
    error = float((y.double() - reference).norm() / scale.norm().clamp(min=1e-30))
    assert error < TOLERANCE[x.dtype], (error, x.shape, x.stride(), x.dtype, pool)


def layouts(x: Tensor) -> Iterator[Tensor]:
    for shift in (0, 1):
        yield laid_out(x, channels_last=False, shift=shift)
        if x.shape[1] > 1 and x.shape[2] * x.shape[3] > 1:
            yield laid_out(x, channels_last=True, shift=shift)


def same_bits(a: Tensor, b: Tensor) -> bool:
    integers = {8: torch.int64, 4: torch.int32, 2: torch.int16}[a.element_size()]
    return torch.equal(a.contiguous().view(integers), b.contiguous().view(integers))


every_window = pytest.mark.parametrize("window", [1, 2, 3], ids="window_{}".format)
stencil_taps = pytest.mark.parametrize("taps", [3, 4, 5], ids="{}_taps".format)


@every_window
@stencil_taps
@pytest.mark.parametrize("mode", MODES)
def test_usual_pools(taps: int, window: int, mode: str) -> None:
    pool = usual(taps, window, mode)
    for number, (height, width) in enumerate(SIZES):
        if not pool.fits(height, width):
            continue
        for dtype, channels in itertools.product(DTYPES, (1, 3, 8)):
            for x in layouts(draw(2, channels, height, width, seed=number).to(dtype)):
                check(x, pool)


@every_window
@stencil_taps
@pytest.mark.parametrize("mode", MODES)
def test_stencils_with_other_padding(taps: int, window: int, mode: str) -> None:
    """Every maximum padding there may be, asymmetric padding, crops, more than the taps."""
    paddings = [
        (0, 0),
        (1, 0),
        (2, 2),
        (1, -2),
        (2, -2),
        (-1, 2),
        (2, -3),
        (-5, -1),
        (3, 1),
        (1, 9),
    ]
    for number, (rows, columns) in enumerate(itertools.product(paddings, paddings)):
        for max_padding in {0, window // 2}:
            pool = usual(taps, window, mode)._replace(
                padding=(*rows, *columns), max_padding=(max_padding, max_padding)
            )
            channels, height, width = [(1, 19, 24), (4, 13, 16), (3, 14, 21)][number % 3]
            dtype = DTYPES[1:][number // 3 % 3]
            for x in layouts(draw(1, channels, height, width, seed=number).to(dtype)):
                check(x, pool)


def draw_pool(generator: random.Random, channels: int) -> Pool:
    window = (generator.randint(1, 4), generator.randint(1, 4))
    taps = [generator.randint(1, 8) for _ in range(2)]
    shapes = [(channels, k) if generator.random() < 0.5 else (k,) for k in taps[:1]]
    shapes.append((*shapes[0][:-1], taps[1]))
    return Pool(
        draw_taps(*shapes[0]),
        draw_taps(*shapes[1], seed=2),
        window,
        (generator.randint(0, window[0] // 2), generator.randint(0, window[1] // 2)),
        (generator.randint(1, 3), generator.randint(1, 3)),
        tuple(generator.randint(-2, 9) for _ in range(4)),  # type: ignore[arg-type]
        generator.choice(MODES),
    )


@pytest.mark.parametrize("seed", range(40))
def test_any_pool(seed: int) -> None:
    generator = random.Random(seed)
    for number in range(12):
        channels = generator.randint(1, 5)
        pool = draw_pool(generator, channels)
        height, width = generator.randint(1, 14), generator.randint(1, 14)
        if not pool.fits(height, width):
            continue
        for dtype in DTYPES:
            images = draw(2, channels, height, width, seed=number).to(dtype)
            v = draw(2, channels, height, width, seed=number + 100).to(dtype)
            for x in layouts(images):
                check(x, pool)
                check(x, pool, v)


@every_window
@stencil_taps
def test_every_way_gives_the_same_bits(taps: int, window: int) -> None:
    """Sums have one order in all of them; half types are rounded once."""
    pool = usual(taps, window)
    generic = pool._replace(taps_h=pool.taps_h.expand(8, -1), taps_w=pool.taps_w.expand(8, -1))
    for height, width in ((40, 16), (16, 24), (17, 12), (11, 13)):
        for dtype in DTYPES[1:]:
            images = draw(2, 8, height, width).to(dtype)
            wanted = pooled(images.float(), generic).to(dtype)
            for x in layouts(images):
                assert same_bits(pooled(x, pool), wanted)
                with device(backwards=True):
                    assert same_bits(pooled(x, pool), wanted)
                    assert same_bits(pooled(x, generic), wanted)


@every_window
@stencil_taps
def test_long_strips(taps: int, window: int) -> None:
    """Of so many planes that the device is full without cutting each into short pieces."""
    for height, width in ((61, 24), (31, 16)):
        for dtype in (torch.float32, torch.bfloat16):
            for x in layouts(draw(80, 8, height, width).to(dtype)):
                check(x, usual(taps, window))


@every_window
@stencil_taps
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf], ids=str)
def test_nonfinite_reaches_only_windows_that_hold_it(taps: int, window: int, value: float) -> None:
    """Taps are positive, so that the reference has an infinity where one of its windows has it."""
    for mode, (height, width) in itertools.product(MODES, ((16, 16), (9, 12), (2, 2))):
        pool = usual(taps, window, mode)
        if not pool.fits(height, width):
            continue
        clean = draw(1, 8, height, width, seed=taps)
        for row, column in ((0, 0), (height - 1, width - 1), (height // 2, width // 2), (1, 0)):
            for dtype in DTYPES[1:]:
                x = clean.to(dtype)
                x[0, 5, row, column] = value
                x[0, 2] = value
                reference = expected(x, pool)
                for image in layouts(x):
                    y = pooled(image, pool).double()
                    assert torch.equal(y.isnan(), reference.isnan())
                    infinite = reference.isinf()
                    assert torch.equal(y[infinite], reference[infinite])
                    assert y[reference.isfinite()].isfinite().all()


@pytest.mark.parametrize("window", [(2, 2), (3, 3), (1, 3), (4, 2)], ids=str)
def test_selects_the_first_maximum_and_the_last_nan(window: tuple[int, int]) -> None:
    """Ties everywhere; and where all is -inf, padding never wins."""
    for mode, max_padding in itertools.product(MODES, (0, 1)):
        pool = usual(4, 1, mode)._replace(
            window=window, max_padding=tuple(min(max_padding, n // 2) for n in window)
        )
        x, v = draw(2, 4, 9, 12).mul(1.5).round(), draw(2, 4, 9, 12, seed=3)
        x[0, 1, 3:6, 2:7] = torch.nan
        x[1, 2] = -torch.inf
        for dtype in DTYPES:
            for image in layouts(x.to(dtype)):
                check(image, pool, v.to(dtype))


def test_results_have_the_layout_of_x() -> None:
    pool = usual(3, 2)
    x, v = draw(2, 4, 8, 8).float(), draw(2, 4, 8, 8, seed=1).float()
    for channels_last in (False, True):
        image = laid_out(x, channels_last=channels_last)
        for y in (pooled(image, pool), pooled(image, pool, v), pooled(image, usual(3, 1))):
            assert y.shape == (2, 4, 4, 4)
            order = y.permute(0, 2, 3, 1) if channels_last else y
            assert order.is_contiguous()
    strided = draw(2, 4, 16, 8).float()[:, :, ::2]
    assert pooled(strided, pool).is_contiguous()
    assert torch.equal(pooled(strided, pool), pooled(strided.contiguous(), pool))
    for shape in ((8, 9), (3, 8, 9), (2, 3, 5, 8, 9)):
        image = draw(*shape).float()
        y = pooled(image, pool)
        assert y.shape == (*shape[:-2], 4, 4)
        planes = image.reshape(1, -1, 8, 9)
        assert torch.equal(y.reshape(1, -1, 4, 4), pooled(planes, pool))


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (2, 0, 8, 8)], ids=str)
def test_no_planes(shape: tuple[int, ...]) -> None:
    assert pooled(torch.zeros(shape), usual(3, 2)).shape == (*shape[:2], 4, 4)


X = torch.zeros(2, 3, 8, 8)
T = torch.ones(3)


@pytest.mark.parametrize(
    "arguments",
    [
        (X, T, T, (2,), (1, 1, 1, 1), "reflect"),
        (X, T, T, (2, 0), (1, 1, 1, 1), "reflect"),
        (X, T, T, (2, 2), (1, 1, 1), "reflect"),
        (X, T, T, (2, 2), (-4, -3, 1, 1), "reflect"),
        (X, T, T, (2, 2), (2**62, 2**62, 1, 1), "reflect"),
        (X, T, T, (2**62, 2), (1, 1, 1, 1), "reflect"),
        (X, T, T, (2, 2), (1, 1, 1, 1), "constant"),
        (X, T.double(), T, (2, 2), (1, 1, 1, 1), "reflect"),
        (X.double(), T, T, (2, 2), (1, 1, 1, 1), "reflect"),
        (X, T.repeat(2)[::2], T, (2, 2), (1, 1, 1, 1), "reflect"),
        (X, T[:0], T, (2, 2), (1, 1, 1, 1), "reflect"),
        (X, T.expand(3, 3).contiguous(), T, (2, 2), (1, 1, 1, 1), "reflect"),
        (X, *[T.expand(2, 3).contiguous()] * 2, (2, 2), (1, 1, 1, 1), "reflect"),
        (X[0, 0], *[T.expand(3, 3).contiguous()] * 2, (2, 2), (1, 1, 1, 1), "reflect"),
        (X[0, 0, 0], T, T, (2, 2), (1, 1, 1, 1), "reflect"),
        (X[..., :0], T, T, (2, 2), (1, 1, 1, 1), "reflect"),
        (X.int(), T, T, (2, 2), (1, 1, 1, 1), "reflect"),
        (X, T, T.to("meta"), (2, 2), (1, 1, 1, 1), "reflect"),
    ],
)
def test_refuses_what_would_read_out_of_bounds(arguments: tuple[Any, ...]) -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        ops().blur_pool(*arguments)
    x, taps_h, taps_w, *rest = arguments
    with pytest.raises((RuntimeError, NotImplementedError)):
        ops().max_blur_pool(x, taps_h, taps_w, (2, 2), (0, 0), *rest)


@pytest.mark.parametrize(
    ("window", "max_padding"),
    [((2,), (0, 0)), ((2, 2), (2, 0)), ((0, 2), (0, 0)), ((9, 2), (0, 0)), ((2, 2), (-1, 0))],
)
def test_refuses_windows(window: tuple[int, ...], max_padding: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError):
        ops().max_blur_pool(X, T, T, window, max_padding, (2, 2), (1, 1, 1, 1), "reflect")


@pytest.mark.parametrize("v", [X[:1], X.double(), X[..., :7], X[0]], ids=lambda v: str(v.shape))
def test_refuses_another_second_image(v: Tensor) -> None:
    with pytest.raises(RuntimeError):
        ops().max_blur_pool_select(X, v, T, T, (2, 2), (0, 0), (2, 2), (1, 1, 1, 1), "reflect")
