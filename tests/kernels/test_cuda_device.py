"""The CUDA kernels on a GPU: numbers against float64, and what only a device can show."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from kernels.cuda_replay import FORMS
from kernels.test_cuda_blur_pool import (
    DTYPES,
    MODES,
    check,
    draw,
    draw_taps,
    every_window,
    layouts,
    pooled,
    stencil_taps,
    usual,
)
from kernels.test_cuda_blur_pool_adjoint import check as check_adjoint
from kernels.test_cuda_blur_pool_adjoint import drawn, pulled_back
from kernels.test_cuda_replay import (
    EVERY_CASE,
    FEW_CASES,
    LARGE,
    SIZES,
    TOLERANCE,
    Case,
    draw_images,
    draw_response,
    expected,
    relative_error,
)
from kernels.test_cuda_separable import Map, applied, draw_map, draw_matrix, path
from kernels.test_cuda_separable import check as check_separable
from torch import Tensor

import freqops
from freqops import reference

pytestmark = pytest.mark.cuda

OPS = torch.ops.freqops
CHANNELS = 3
# A plane in one block of each form, one spread over a cluster, one over several kernels.
SOME = [(7, 7), (28, 28), (56, 56), (60, 61), (112, 112), (224, 224), (256, 256), (299, 299)]
some_sizes = pytest.mark.parametrize(("height", "width"), SOME)


def forms_of(height: int, width: int) -> list[str]:
    """Every form that takes the size on this device, not only the one that would be chosen."""
    return [form for form in FORMS if OPS.fft_filter_form_takes(form, height, width)]


@contextmanager
def poisoned(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Iterator[None]:
    """Within, memory of these sizes is most likely given out full of NaN: torch keeps it by size.

    What a kernel leaves unwritten, or reads before it is written, then shows.
    """
    torch.cuda.synchronize()
    filled = [torch.full(shape, torch.nan, dtype=dtype, device="cuda") for shape in 3 * shapes]
    del filled
    yield


def filtered(
    form: str, x: Tensor, real: Tensor, imag: Tensor | None, case: Case
) -> tuple[Tensor, ...]:
    """Planes on the device through a form of the kernel; into poisoned memory, back on the CPU."""
    real = real.cuda()
    imag = None if imag is None else imag.cuda()
    responses, channels = (3 if case.bank else 1), (CHANNELS if case.per_channel else 0)
    with poisoned((real.numel() * 4,)):
        table = OPS.fft_filter_table(real, imag, form, x.shape[-1])
    with poisoned((responses, *x.shape), dtype=x.dtype):
        results = OPS.fft_filter_planes(
            x.cuda(), table, form, responses, channels, imag is not None, case.high
        )
    return tuple(result.cpu() if case.bank else result[0].cpu() for result in results)


def batch(height: int, width: int) -> int:
    """Images that fill more than a block, an odd number."""
    return 3 if height * width > LARGE else 23


@pytest.mark.parametrize(
    ("height", "width"), SIZES, ids=[f"{height}x{width}" for height, width in SIZES]
)
def test_matches_float64(height: int, width: int) -> None:
    forms = forms_of(height, width)
    assert OPS.fft_filter_form(height, width) == (forms[0] if forms else "none")
    for number, case in enumerate(EVERY_CASE if (height, width) in SOME else FEW_CASES):
        exact = draw_images(batch(height, width), CHANNELS, height, width, seed=number)
        real, imag = case.responses(height, width, CHANNELS)
        for dtype, tolerance in TOLERANCE.items():
            x = exact.to(dtype)
            wanted = expected(x, real, imag, bank=case.bank)
            for form in forms:
                y, *high = filtered(form, x, real, imag, case)
                assert relative_error(y, wanted) < tolerance, (form, case, dtype)
                for part in high:
                    # Rounded once, like y, but relative to what may be much larger than itself.
                    error = (part.double() - (x.double() - torch.from_numpy(wanted))).norm()
                    assert error < tolerance * (x.double().norm() + y.double().norm()), (form, case)


@some_sizes
def test_blocks_have_many_rounds_of_work(height: int, width: int) -> None:
    """More planes than the device has room for at a time, in both kernels of a form."""
    images = 60_000_000 // (CHANNELS * height * width) | 1
    x = torch.randn(images, CHANNELS, height, width, device="cuda")
    real = draw_response(2, CHANNELS, height, width // 2 + 1).cuda()
    for form in forms_of(height, width):
        table = OPS.fft_filter_table(real, None, form, width)
        (bank,) = OPS.fft_filter_planes(x, table, form, 2, CHANNELS, False, False)
        single_table = OPS.fft_filter_table(real[1], None, form, width)
        (single,) = OPS.fft_filter_planes(x, single_table, form, 1, CHANNELS, False, False)
        for part in torch.arange(images, device="cuda").split(images // 8 + 1):
            wanted = reference.fft_filter2d(x[part].double(), real[1].double())
            for y in (bank[1, part], single[0, part]):
                assert (y - wanted).norm() < TOLERANCE[torch.float32] * wanted.norm(), form


@some_sizes
@pytest.mark.parametrize("case", FEW_CASES, ids=str)
def test_repeats_bit_for_bit(height: int, width: int, case: Case) -> None:
    x = draw_images(200 if height * width < LARGE else 40, CHANNELS, height, width)
    real, imag = case.responses(height, width, CHANNELS)
    for form in forms_of(height, width):
        first = filtered(form, x, real, imag, case)
        for _ in range(3):
            for again, once in zip(filtered(form, x, real, imag, case), first, strict=True):
                assert torch.equal(again.view(torch.int32), once.view(torch.int32)), form


@some_sizes
@pytest.mark.parametrize("value", [torch.nan, torch.inf], ids=str)
def test_nonfinite_pixel_stays_in_its_plane(height: int, width: int, value: float) -> None:
    clean = draw_images(71, height, width)
    real = draw_response(height, width // 2 + 1)
    case = Case(False, False, False, False)
    x = clean.clone()
    x[8, height // 2, 2] = value
    others = [image for image in range(71) if image not in (8, 9)]
    for form in forms_of(height, width):
        (before,) = filtered(form, clean, real, None, case)
        (y,) = filtered(form, x, real, None, case)
        assert not y[8].isfinite().any(), form
        torch.testing.assert_close(y[9], before[9], rtol=0, atol=1e-4)
        assert torch.equal(y[others], before[others]), form


# --- anti-aliased pooling -------------------------------------------------------------------------


@every_window
@stencil_taps
@pytest.mark.parametrize("mode", MODES)
def test_pools_match_float64(taps: int, window: int, mode: str) -> None:
    """Aligned rows and others, bases off a vector, both layouts; stencils and the generic form."""
    for height, width in ((7, 7), (16, 24), (33, 31), (56, 56), (112, 112)):
        for dtype in DTYPES:
            exact = draw(2, 8, height, width).cuda()
            for x in layouts(exact.to(dtype)):
                with poisoned((2 * 8 * height * width // 4,), dtype=dtype):
                    check(x, usual(taps, window, mode))
                    check(x, usual(2, window, mode))


@every_window
def test_pools_select(window: int) -> None:
    pool = usual(4, window)
    x, v = draw(3, 5, 31, 40).mul(1.5).round().cuda(), draw(3, 5, 31, 40, seed=3).cuda()
    x[1, 2, 5:9, 3:8] = torch.nan
    for dtype in DTYPES:
        for image in layouts(x.to(dtype)):
            check(image, pool, v.to(dtype))


@every_window
@stencil_taps
def test_pools_of_many_planes(taps: int, window: int) -> None:
    """Strips of several lengths, and the same bits again."""
    pool = usual(taps, window)
    for shape in ((1, 3, 640, 480), (64, 64, 56, 56), (16, 256, 14, 14)):
        for dtype in (torch.float32, torch.bfloat16):
            for x in layouts(torch.randn(shape, device="cuda").to(dtype)):
                check(x, pool)
                assert torch.equal(pooled(x, pool), pooled(x, pool))


@every_window
@stencil_taps
def test_nonfinite_reaches_only_the_windows_that_hold_it(taps: int, window: int) -> None:
    pool, x = usual(taps, window), draw(2, 8, 56, 56).float().cuda()
    before = pooled(x, pool)
    x[1, 5, 20, 20] = torch.nan
    for image in layouts(x):
        y = pooled(image, pool)
        assert y[1, 5].isnan().sum() in range(1, 17)
        y[1, 5] = before[1, 5]
        torch.testing.assert_close(y, before)


@every_window
@stencil_taps
@pytest.mark.parametrize("mode", MODES)
def test_adjoints_of_pools_match_float64(taps: int, window: int, mode: str) -> None:
    """Aligned rows and others, bases off a vector, both layouts; marches and the generic form."""
    pool = usual(taps, window, mode)
    for height, width in ((7, 7), (16, 24), (33, 31), (56, 56), (112, 112)):
        for dtype in DTYPES:
            x, y = (one.cuda() for one in drawn(pool, height, width, dtype, channels=8))
            for shift in (0, 1):
                for channels_last in (False, True):
                    with poisoned(tuple(x.shape), dtype=dtype):
                        check_adjoint(x, y, pool, channels_last=channels_last, shift=shift)


@every_window
def test_adjoints_of_pools_give_the_same_bits_again(window: int) -> None:
    """Equal maxima, NaN and strips of several lengths among them."""
    pool = usual(4, window)
    for shape in ((1, 3, 640, 480), (64, 64, 56, 56), (16, 256, 14, 14)):
        for dtype in (torch.float32, torch.bfloat16):
            x = torch.randn(shape, device="cuda").mul(2).round()
            x = torch.where(x > 4, torch.nan, x).to(dtype)
            y = torch.randn_like(pooled(x, pool))
            v = check_adjoint(x, y, pool)
            assert torch.equal(v, pulled_back(x, y, pool))


def test_pools_can_be_captured_in_a_graph() -> None:
    """Taps are read by the kernels: nothing waits for them."""
    x, taps = torch.randn(4, 8, 56, 56, device="cuda"), draw_taps(4).cuda()
    arguments = (taps, taps, (2, 2), (0, 0), (2, 2), (1, 2, 1, 2), "reflect")
    OPS.max_blur_pool(x, *arguments)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = OPS.max_blur_pool(x, *arguments)
    x.normal_()
    taps.mul_(2)
    graph.replay()
    assert torch.equal(captured, OPS.max_blur_pool(x, *arguments))


# --- separable maps -------------------------------------------------------------------------------


@pytest.mark.parametrize("outer", [False, True], ids=["plain", "outer"])
@pytest.mark.parametrize("mirrored", [False, True], ids=["any", "mirrored"])
def test_separable_maps_match_float64(*, mirrored: bool, outer: bool) -> None:
    """Every form, both layouts, bases off a vector, blocks with many rounds."""
    forms = set()
    sizes = [(7, 7, 3, 4), (14, 14, 7, 7), (28, 28, 14, 14), (56, 56, 28, 28), (45, 96, 33, 17)]
    for numbers in (*sizes, (112, 112, 56, 56), (300, 260, 150, 131), (13, 5, 40, 1)):
        given = draw_map(*numbers, mirrored=mirrored, outer=outer)
        for dtype in DTYPES:
            images = draw(2 if numbers[0] > 200 else 40, 32, *numbers[:2]).cuda().to(dtype)
            for x in layouts(images):
                forms.add(path(x, given))
                with poisoned((images.numel() // 4,), dtype=dtype):
                    check_separable(x, given)
    assert forms == {"plane", "tensor_cores", "lines"}


@pytest.mark.parametrize("mirrored", [False, True], ids=["any", "mirrored"])
def test_separable_maps_of_one_axis(*, mirrored: bool) -> None:
    for size, outputs in ((14, 7), (300, 150), (4096, 2048)):
        matrix = draw_matrix(outputs, size, mirrored=mirrored)
        for dtype in DTYPES:
            x = draw(4, 6, size, 3).cuda().to(dtype)
            for image in layouts(x):
                check_separable(image, Map(matrix, None, None, mirrored))
                check_separable(image.mT.contiguous(), Map(None, matrix, None, mirrored))


def test_separable_maps_give_the_same_bits_again() -> None:
    for size in (14, 28, 56, 112, 224):
        given = draw_map(size, size, size // 2, size // 2, mirrored=True, outer=False)
        for dtype in (torch.float32, torch.bfloat16):
            for x in layouts(torch.randn(64, 64, size, size, device="cuda").to(dtype)):
                assert torch.equal(applied(x, given), applied(x, given))


# --- streams, devices, graphs ---------------------------------------------------------------------


def test_runs_on_the_current_stream() -> None:
    """A kernel on another stream than its input's would read it before it is there."""
    values, response = draw_images(8, 56, 56).cuda(), draw_response(56, 29).cuda()
    wanted = freqops.fft_filter2d(values, response)
    torch.cuda.synchronize()
    x = torch.zeros_like(values)
    with torch.cuda.stream(torch.cuda.Stream()):
        torch.cuda._sleep(50_000_000)
        x.copy_(values)
        y = freqops.fft_filter2d(x, response)
        torch.cuda.current_stream().synchronize()
    assert torch.equal(y, wanted)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_runs_on_the_device_of_its_tensor() -> None:
    x, response = draw_images(8, 56, 56), draw_response(56, 29)
    here, there = (
        freqops.fft_filter2d(x.to(device), response.to(device)) for device in ("cuda:0", "cuda:1")
    )
    assert there.device.index == 1
    assert torch.cuda.current_device() == 0
    assert torch.equal(here.cpu(), there.cpu())
    with pytest.raises(ValueError, match="response must be on cuda:1 like x, got cuda:0"):
        freqops.fft_filter2d(x.to("cuda:1"), response.to("cuda:0"))


@some_sizes
def test_can_be_captured_in_a_graph(height: int, width: int) -> None:
    """Nothing waits, nothing is allocated behind torch's back; the tables are made in the graph."""
    x, response = draw_images(5, height, width).cuda(), draw_response(height, width // 2 + 1).cuda()

    def every_op(x: Tensor) -> tuple[Tensor, ...]:
        bank = freqops.filter_bank2d(x, torch.stack([response, 2 * response]))
        mixed = freqops.mix_amplitude_phase2d(x, x.flip(0))
        return freqops.fft_filter2d(x, response), bank, *freqops.low_high2d(x, [0.1, 0.2]), mixed

    every_op(x)  # libraries and plans
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = every_op(x)
    x.copy_(draw_images(5, height, width, seed=7))
    response.mul_(2)
    graph.replay()
    for replayed, wanted in zip(captured, every_op(x), strict=True):
        torch.testing.assert_close(replayed, wanted)


def test_response_written_to_between_calls_counts() -> None:
    """A table must not outlive the values it was made of."""
    x, response = draw_images(5, 28, 28).cuda(), torch.ones(28, 15, device="cuda")
    torch.testing.assert_close(freqops.fft_filter2d(x, response), x)
    response.mul_(2)
    torch.testing.assert_close(freqops.fft_filter2d(x, response), 2 * x)


# --- what is said ---------------------------------------------------------------------------------


@some_sizes
def test_explain_names_the_form(height: int, width: int) -> None:
    x, response = torch.zeros(2, height, width, device="cuda"), torch.ones(height, width // 2 + 1)
    explanation = freqops.explain("fft_filter2d", x, response.cuda())
    assert explanation.kernel == f"fused CUDA kernel, {OPS.fft_filter_form(height, width)} form"


@pytest.mark.parametrize(
    ("numbers", "device", "form", "sentence"),
    [
        (64, "cpu", "plane", "table must be a contiguous float32 CUDA tensor"),
        (63, "cuda", "plane", "64 numbers, got 63"),
        (64, "cuda", "row", "form must be plane, even_odd or lines, got row"),
    ],
)
def test_rejects(numbers: int, device: str, form: str, sentence: str) -> None:
    x, table = torch.zeros(2, 8, 8, device="cuda"), torch.zeros(numbers, device=device)
    with pytest.raises(RuntimeError, match=sentence):
        OPS.fft_filter_planes(x, table, form, 1, 0, False, False)


def test_rejects_a_size_that_the_form_does_not_take() -> None:
    with pytest.raises(RuntimeError, match="the form plane does not take planes of 9 x 9"):
        OPS.fft_filter_table(torch.zeros(9, 5, device="cuda"), None, "plane", 9)
