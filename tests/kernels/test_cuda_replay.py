"""The CUDA kernels, replayed on the host thread by thread, against numpy in float64."""

import numpy as np
import pytest
import torch
from kernels.cuda_replay import PlanePlan, fft_filter_plane, plane_plans

# What the CUDA library promises for images of its sizes (relative L2 error).
TOLERANCE = {torch.float32: 1e-6, torch.float16: 5e-4, torch.bfloat16: 2.5e-3}
SIZES = (7, 8, 14, 16, 28, 32, 56, 64, 96, 112, 128)
every_size = pytest.mark.parametrize("size", SIZES)


def plan_of(size: int) -> PlanePlan:
    return next(plan for plan in plane_plans() if (plan.height, plan.width) == (size, size))


def draw_images(*shape: int, seed: int = 0) -> torch.Tensor:
    """A mean beside the noise, as images have."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + 0.5


def draw_response(*shape: int, seed: int = 1) -> torch.Tensor:
    """Nothing is symmetric: the kernel has to make DC and Nyquist columns Hermitian itself."""
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 1


def expected(x: torch.Tensor, real: torch.Tensor, imag: torch.Tensor | None = None) -> np.ndarray:
    response = real.double().numpy()
    if imag is not None:
        response = response + 1j * imag.double().numpy()
    spectrum = np.fft.rfft2(x.double().numpy())
    return np.fft.irfft2(response * spectrum, s=x.shape[-2:])


def relative_error(y: torch.Tensor, reference: np.ndarray) -> float:
    difference = np.linalg.norm(y.double().numpy() - reference)
    return float(difference / np.linalg.norm(reference))


def test_sizes_are_those_of_the_plans() -> None:
    assert [(plan.height, plan.width) for plan in plane_plans()] == [(n, n) for n in SIZES]


def test_unknown_size_is_refused() -> None:
    with pytest.raises(ValueError, match="no plane plan for 9x9"):
        fft_filter_plane(torch.zeros(2, 9, 9), torch.zeros(9, 5))


@every_size
@pytest.mark.parametrize("with_imag", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("per_channel", [False, True], ids=["shared", "per_channel"])
def test_matches_float64(size: int, with_imag: bool, per_channel: bool) -> None:
    # One block and a part of the next, for an even and an odd number of planes per response.
    planes = 2 * plan_of(size).pairs
    channels = 3 if per_channel else 1
    shape = (channels, size, size // 2 + 1) if per_channel else (size, size // 2 + 1)
    real = draw_response(*shape)
    imag = draw_response(*shape, seed=2) if with_imag else None
    for images in (planes // channels + 2, planes // channels + 3):
        x = draw_images(images, channels, size, size, seed=images)
        y = fft_filter_plane(x, real, imag)
        error = relative_error(y, expected(x, real, imag))
        assert error < TOLERANCE[torch.float32], (images, error)


@every_size
def test_one_plane(size: int) -> None:
    x, real = draw_images(size, size), draw_response(size, size // 2 + 1)
    assert relative_error(fft_filter_plane(x, real), expected(x, real)) < TOLERANCE[torch.float32]


@every_size
def test_order_of_threads_changes_no_bit(size: int) -> None:
    x = draw_images(2 * plan_of(size).pairs + 1, size, size)
    x[1, 2, 3] = torch.nan  # the redone pair too
    real, imag = draw_response(size, size // 2 + 1), draw_response(size, size // 2 + 1, seed=2)
    for response in ((real, None), (real, imag)):
        forwards = fft_filter_plane(x, *response)
        backwards = fft_filter_plane(x, *response, backwards=True)
        assert torch.equal(forwards.view(torch.int32), backwards.view(torch.int32))


@every_size
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("gain", [1.0, 1e-6, 1e5], ids=["unit", "subnormal", "overflowing"])
def test_half_precision_rounds_once(size: int, dtype: torch.dtype, gain: float) -> None:
    x = draw_images(3, size, size).to(dtype)
    real = gain * draw_response(size, size // 2 + 1)
    y = fft_filter_plane(x, real)
    in_float32 = fft_filter_plane(x.float(), real)
    assert torch.equal(y.view(torch.int16), in_float32.to(dtype).view(torch.int16))
    if gain == 1.0:
        assert relative_error(y, expected(x, real)) < TOLERANCE[dtype]


@every_size
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("images", [2, 5], ids=["even", "odd"])
def test_nonfinite_pixel_stays_in_its_plane(size: int, value: float, images: int) -> None:
    clean = draw_images(images, 2, size, size)
    real = draw_response(2, size, size // 2 + 1)
    before = fft_filter_plane(clean, real)
    for bad in range(images):
        x = clean.clone()
        x[bad, 1, size // 2, bad] = value
        y = fft_filter_plane(x, real)
        assert not y[bad, 1].isfinite().any()
        # The partner is redone alone and may round differently; no other plane may change.
        partner = bad ^ 1
        for image in range(images):
            for channel in range(2):
                if channel == 0 or image not in (bad, partner):
                    assert torch.equal(y[image, channel], before[image, channel])
        if partner < images:
            reference = expected(clean[partner, 1], real[1])
            assert relative_error(y[partner, 1], reference) < TOLERANCE[torch.float32]


@every_size
def test_nonfinite_pixel_shows_through_a_response_of_zeros(size: int) -> None:
    x = draw_images(2, size, size)
    x[0, 0, 0] = torch.inf
    y = fft_filter_plane(x, torch.zeros(size, size // 2 + 1))
    assert not y[0].isfinite().any()
    assert torch.equal(y[1], torch.zeros(size, size))


@every_size
def test_overflow_stays_in_its_plane(size: int) -> None:
    """Finite pixels, a spectrum that is not: the DC bin may be finite, so it would not tell."""
    x = draw_images(2, size, size)
    x[1] = 3e38 * (1 - 2 * (torch.arange(size) % 2))
    real = draw_response(size, size // 2 + 1)
    y = fft_filter_plane(x, real)
    assert not y[1].isfinite().any()
    assert relative_error(y[0], expected(x[0], real)) < TOLERANCE[torch.float32]


def test_nonfinite_response_reaches_only_its_channel() -> None:
    x, real = draw_images(4, 3, 14, 14), draw_response(3, 14, 8)
    before = fft_filter_plane(x, real)
    real[1, 2, 3] = torch.nan
    y = fft_filter_plane(x, real)
    assert not y[:, 1].isfinite().any()
    assert torch.equal(y[:, ::2], before[:, ::2])
