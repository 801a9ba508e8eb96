"""The CUDA kernels, replayed on the host thread by thread, against numpy in float64."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
import torch
from kernels.cuda_replay import FORMS, device, filtered, ops, programs, takes
from torch import Tensor

# What the CUDA library promises for images of its sizes (relative L2 error).
TOLERANCE = {torch.float32: 1e-6, torch.float16: 5e-4, torch.bfloat16: 2.5e-3}
SQUARES = (
    *range(1, 65),
    *(96, 112, 127, 128, 160, 192, 224, 229, 256, 299, 320, 331, 384, 480, 512),
)
OTHERS = (
    *((1, 2), (2, 1), (1, 37), (101, 1), (7, 8), (8, 7), (28, 32), (16, 33), (30, 56), (56, 30)),
    *((127, 6), (5, 257), (64, 160), (192, 224), (256, 192), (480, 640), (1, 1024), (1, 10007)),
)
SIZES = (*((n, n) for n in SQUARES), *OTHERS)
LARGE = 64 * 64  # pixels; larger planes get fewer cases
every_size = pytest.mark.parametrize(
    ("height", "width"), SIZES, ids=[f"{height}x{width}" for height, width in SIZES]
)
# One for every way through a kernel: each form, with and without a second stage along an axis.
FEW_SIZES = [
    *((7, 7), (9, 10), (13, 1), (1, 30), (32, 32), (37, 12), (56, 56), (112, 112), (128, 128)),
    *((96, 131), (160, 160), (224, 224), (256, 256), (127, 254)),
]
few_sizes = pytest.mark.parametrize(("height", "width"), FEW_SIZES, ids=str)
# And those whose transforms never multiply, so that the planes of a pair do not meet.
few_and_tiny_sizes = pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (2, 1), (2, 2), *FEW_SIZES], ids=str
)


def forms_of(height: int, width: int) -> list[str]:
    """Every form that takes planes of a size, not only the one that would be chosen."""
    forms = [form for form in FORMS if takes(form, height, width)]
    assert forms, f"no form takes planes of {height} x {width}"
    return forms


def planes_per_block(form: str, height: int, width: int) -> int:
    """Where it is known when compiling."""
    found = (p.planes for p in programs() if (p.form, p.height, p.width) == (form, height, width))
    return next(found, 2)


def draw_images(*shape: int, seed: int = 0) -> Tensor:
    """A mean beside the noise, as images have."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + 0.5


def draw_response(*shape: int, seed: int = 1) -> Tensor:
    """Nothing is symmetric: the kernel has to make DC and Nyquist columns Hermitian itself."""
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 1


class Case(NamedTuple):
    """One way to call the kernels."""

    complex_response: bool
    per_channel: bool
    bank: bool
    high: bool

    def responses(self, height: int, width: int, channels: int) -> tuple[Tensor, Tensor | None]:
        shape = [3] * self.bank + [channels] * self.per_channel + [height, width // 2 + 1]
        imag = draw_response(*shape, seed=2) if self.complex_response else None
        return draw_response(*shape), imag


EVERY_CASE = [Case(*flags) for flags in itertools.product((False, True), repeat=4)]
FEW_CASES = [
    Case(False, False, False, False),
    Case(True, True, True, True),
    Case(True, False, False, True),
    Case(False, True, True, False),
]


def expected(
    x: Tensor, real: Tensor, imag: Tensor | None = None, *, bank: bool = False
) -> np.ndarray:
    response = real.double().numpy()
    if imag is not None:
        response = response + 1j * imag.double().numpy()
    if bank:  # [R, (C,) ...] -> [R, 1, ..., (C,) ...]
        missing = x.dim() + 1 - response.ndim
        response = response.reshape(response.shape[0], *[1] * missing, *response.shape[1:])
    spectrum = np.fft.rfft2(x.double().numpy())
    return np.fft.irfft2(response * spectrum, s=x.shape[-2:])


def relative_error(y: Tensor, reference: np.ndarray) -> float:
    difference = np.linalg.norm(y.double().numpy() - reference)
    return float(difference / max(np.linalg.norm(reference), 1e-30))


def bits(tensors: tuple[Tensor, ...]) -> list[Tensor]:
    return [tensor.view(torch.int32) for tensor in tensors]


@every_size
def test_compiled_form_is_chosen_before_the_planned_one(height: int, width: int) -> None:
    chosen, forms = ops().fft_filter_form(height, width), forms_of(height, width)
    assert chosen in forms
    assert chosen != "lines" or forms == ["lines"]


def test_programs_are_taken() -> None:
    assert {program.form for program in programs()} == {"plane", "even_odd"}
    for program in programs():
        assert takes(program.form, program.height, program.width), program
        with device(shared_bytes=program.shared_bytes - 1):
            assert not takes(program.form, program.height, program.width), program


@every_size
def test_matches_float64(height: int, width: int) -> None:
    channels = 3
    for form in forms_of(height, width):
        large = height * width > LARGE
        # One block and a part of the next, in the plane form.
        images = 0 if large else planes_per_block(form, height, width) // channels
        for number, case in enumerate(FEW_CASES if large else EVERY_CASE):
            x = draw_images(images + 2 + number % 2, channels, height, width, seed=number)
            real, imag = case.responses(height, width, channels)
            reference = expected(x, real, imag, bank=case.bank)
            results = filtered(form, x, real, imag, bank=case.bank, high=case.high)
            assert relative_error(results[0], reference) < TOLERANCE[torch.float32], (form, case)
            if case.high:
                high = results[1].double().numpy()
                error = np.linalg.norm(high - (x.double().numpy() - reference))
                scale = np.linalg.norm(x.numpy()) + np.linalg.norm(reference)
                assert error < TOLERANCE[torch.float32] * scale, (form, case)


@few_sizes
@pytest.mark.parametrize("images", [1, 2, 5], ids="{}_images".format)
def test_few_planes(height: int, width: int, images: int) -> None:
    for form in forms_of(height, width):
        x, real = draw_images(images, height, width), draw_response(height, width // 2 + 1)
        (y,) = filtered(form, x, real)
        assert relative_error(y, expected(x, real)) < TOLERANCE[torch.float32], form


@pytest.mark.parametrize(
    ("height", "width", "images"), [(7, 7, 400), (14, 9, 130), (56, 56, 40), (60, 61, 40)]
)
def test_blocks_have_several_rounds_of_work(height: int, width: int, images: int) -> None:
    x, responses = draw_images(images, height, width), draw_response(2, height, width // 2 + 1)
    for form in forms_of(height, width):
        y, high = filtered(form, x, responses, bank=True, high=True)
        assert relative_error(y, expected(x, responses, bank=True)) < TOLERANCE[torch.float32]
        torch.testing.assert_close(high, x - y)


def test_spectra_beyond_the_cache_are_worked_off_in_chunks() -> None:
    size, images, bad = 256, 70, 67
    x, responses = draw_images(images, size, size), draw_response(3, size, size // 2 + 1)
    x[bad, 3, 4] = torch.inf
    good = [image for image in range(images) if image != bad]
    (single,) = filtered("lines", x, responses[0])
    (bank,) = filtered("lines", x, responses, bank=True)
    for y, reference in (
        (single[None, good], expected(x[good], responses[:1], bank=True)),
        (bank[:, good], expected(x[good], responses, bank=True)),
    ):
        assert relative_error(y, reference) < TOLERANCE[torch.float32]
    assert not single[bad].isfinite().any()
    assert not bank[:, bad].isfinite().any()


@every_size
def test_order_of_threads_changes_no_bit(height: int, width: int) -> None:
    for form in forms_of(height, width):
        large = height * width > LARGE
        images = 3 if large else planes_per_block(form, height, width) + 1
        x = draw_images(images, 1, height, width)
        x[1, 0, -1, -1] = torch.nan  # the redone pair too
        for case in FEW_CASES[:2]:
            real, imag = case.responses(height, width, 1)
            options = {"bank": case.bank, "high": case.high}
            forwards = filtered(form, x, real, imag, **options)
            backwards = filtered(form, x, real, imag, **options, backwards=True)
            for one, other in zip(bits(forwards), bits(backwards), strict=True):
                assert torch.equal(one, other), (form, case)


@few_sizes
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("gain", [1.0, 1e-6, 1e5], ids=["unit", "subnormal", "overflowing"])
def test_half_precision_rounds_once(
    height: int, width: int, dtype: torch.dtype, gain: float
) -> None:
    x = draw_images(3, height, width).to(dtype)
    responses = gain * draw_response(2, height, width // 2 + 1)
    for form in forms_of(height, width):
        halves = filtered(form, x, responses[0])
        halves += filtered(form, x, responses, bank=True, high=True)
        in_float32 = filtered(form, x.float(), responses[0])
        in_float32 += filtered(form, x.float(), responses, bank=True, high=True)
        for half, exact in zip(halves, in_float32, strict=True):
            assert torch.equal(half.view(torch.int16), exact.to(dtype).view(torch.int16)), form
        if gain == 1.0:
            assert relative_error(halves[0], expected(x, responses[0])) < TOLERANCE[dtype], form


@few_and_tiny_sizes
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf], ids=str)
@pytest.mark.parametrize("images", [2, 5], ids=["even", "odd"])
def test_nonfinite_pixel_stays_in_its_plane(
    height: int, width: int, value: float, images: int
) -> None:
    clean = draw_images(images, 2, height, width)
    real = draw_response(2, height, width // 2 + 1)
    for form in forms_of(height, width):
        (before,) = filtered(form, clean, real)
        for bad in range(images if height * width <= LARGE else 2):
            x = clean.clone()
            x[bad, 1, height // 2, bad % width] = value
            for high in (False, True):
                y, *rest = filtered(form, x, real, high=high)
                assert_alone(y, before, bad)
                if high:
                    assert not rest[0][bad, 1].isfinite().any()
                    others = [image for image in range(images) if image != bad]
                    torch.testing.assert_close(rest[0][others], (x - y)[others])


def assert_alone(y: Tensor, before: Tensor, bad: int) -> None:
    """Plane [bad, 1] is not finite anywhere, and all others are what they were."""
    assert not y[bad, 1].isfinite().any()
    kept = torch.ones(y.shape[:2], dtype=torch.bool)
    kept[bad, 1] = False
    # The partner is redone alone and may round differently; no other plane may change.
    partner = bad ^ 1
    if partner < y.shape[0]:
        kept[partner, 1] = False
        torch.testing.assert_close(y[partner, 1], before[partner, 1], rtol=0, atol=1e-5)
    assert torch.equal(y[kept], before[kept])


@few_and_tiny_sizes
def test_nonfinite_pixel_shows_through_a_response_of_zeros(height: int, width: int) -> None:
    x = draw_images(2, height, width)
    x[0, 0, 0] = torch.inf
    for form in forms_of(height, width):
        (y,) = filtered(form, x, torch.zeros(height, width // 2 + 1))
        assert not y[0].isfinite().any(), form
        assert torch.equal(y[1], torch.zeros(height, width)), form


@few_sizes
def test_overflow_stays_in_its_plane(height: int, width: int) -> None:
    """Finite pixels, a spectrum that is not: the DC bin may be finite, so it would not tell."""
    x = draw_images(2, height, width)
    sign = 1 - 2 * ((torch.arange(height)[:, None] + torch.arange(width)) % 2)
    x[1] = 3e38 * sign
    responses = draw_response(2, height, width // 2 + 1)
    for form in forms_of(height, width):
        for y in (*filtered(form, x, responses[0]), *filtered(form, x, responses, bank=True)):
            slab = y if y.dim() == 3 else y[0]
            assert not slab[1].isfinite().any(), form
            reference = expected(x[0], responses[0])
            assert relative_error(slab[0], reference) < TOLERANCE[torch.float32], form


@few_sizes
def test_nonfinite_response_reaches_only_its_slab_and_channel(height: int, width: int) -> None:
    x, real = draw_images(4, 3, height, width), draw_response(2, 3, height, width // 2 + 1)
    broken = real.clone()
    broken[1, 1, height // 2, 0] = torch.nan
    for form in forms_of(height, width):
        (before,) = filtered(form, x, real, bank=True)
        (y,) = filtered(form, x, broken, bank=True)
        assert not y[1, :, 1].isfinite().any(), form
        assert torch.equal(y[:, :, ::2], before[:, :, ::2]), form
        torch.testing.assert_close(y[0], before[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("shared_kilobytes", [64, 99, 163])
def test_devices_with_less_shared_memory(shared_kilobytes: int) -> None:
    """Compute capability 7.5, 8.6 and 8.0: every image size has a form, and lines are cut anew."""
    with device(shared_bytes=shared_kilobytes * 1024, clusters=False):
        for height, width in SIZES:
            if (height, width) != (1, 10007):
                assert ops().fft_filter_form(height, width) != "none", (height, width)
        for size in (96, 131, 224, 256):
            x, real = draw_images(3, size, size), draw_response(2, size, size // 2 + 1)
            form = ops().fft_filter_form(size, size)
            table = ops().fft_filter_table(real, None, form, size)
            for high in (False, True):
                y = ops().fft_filter_planes(x, table, form, 2, 0, False, high)[0]
                assert relative_error(y, expected(x, real, bank=True)) < TOLERANCE[torch.float32]
