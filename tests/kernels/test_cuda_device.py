"""The CUDA kernels on a GPU, against float64; what only a device can show."""

import pytest
import torch
from kernels.test_cuda_replay import SIZES, TOLERANCE, draw_images, draw_response

import freqops  # noqa: F401  (registers the ops)

pytestmark = pytest.mark.cuda


def skip_if_unsupported(size: int) -> None:
    if not torch.ops.freqops.fft_filter_plane_supported(size, size):
        pytest.skip(f"{size}x{size} does not fit the shared memory of this device")


def expected(x: torch.Tensor, real: torch.Tensor, imag: torch.Tensor | None = None) -> torch.Tensor:
    """On the CPU: cuFFT leaves open what a response without Hermitian DC column means."""
    response = real.double() if imag is None else torch.complex(real.double(), imag.double())
    spectrum = torch.fft.rfft2(x.double().cpu())
    return torch.fft.irfft2(response.cpu() * spectrum, s=x.shape[-2:])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("with_imag", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("per_channel", [False, True], ids=["shared", "per_channel"])
def test_matches_float64(size: int, dtype: torch.dtype, with_imag: bool, per_channel: bool) -> None:
    skip_if_unsupported(size)
    shape = (3, size, size // 2 + 1) if per_channel else (size, size // 2 + 1)
    real = draw_response(*shape).cuda()
    imag = draw_response(*shape, seed=2).cuda() if with_imag else None
    for images in (1, 66, 131):
        x = draw_images(images, 3, size, size).to(dtype).cuda()
        y = torch.ops.freqops.fft_filter_plane(x, real, imag)
        again = torch.ops.freqops.fft_filter_plane(x, real, imag)
        reference = expected(x, real, imag)
        error = (y.double().cpu() - reference).norm() / reference.norm()
        assert error < TOLERANCE[dtype]
        assert torch.equal(y, again)


@pytest.mark.parametrize("size", SIZES)
def test_nonfinite_pixel_stays_in_its_plane(size: int) -> None:
    skip_if_unsupported(size)
    clean, real = draw_images(71, size, size).cuda(), draw_response(size, size // 2 + 1).cuda()
    x = clean.clone()
    x[8, 1, 2] = torch.nan
    before = torch.ops.freqops.fft_filter_plane(clean, real, None)
    y = torch.ops.freqops.fft_filter_plane(x, real, None)
    assert not y[8].isfinite().any()
    torch.testing.assert_close(y[9].cpu().double(), expected(clean[9], real), rtol=0, atol=1e-5)
    others = [i for i in range(71) if i not in (8, 9)]
    assert torch.equal(y[others], before[others])


def test_can_be_captured_in_a_graph() -> None:
    x, real = draw_images(5, 56, 56).cuda(), draw_response(56, 29).cuda()
    y = torch.ops.freqops.fft_filter_plane(x, real, None)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = torch.ops.freqops.fft_filter_plane(x, real, None)
    x.mul_(2)
    graph.replay()
    assert torch.equal(captured, 2 * y)


@pytest.mark.parametrize(
    ("x", "response", "sentence"),
    [
        ((2, 9, 9), (9, 5), "CUDA error: invalid argument"),
        ((2, 8, 8), (8, 8), "response must have the half spectrum's size of x"),
        ((2, 8, 8), (3, 8, 5), r"with the channels of x"),
    ],
)
def test_rejects(x: tuple[int, ...], response: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(RuntimeError, match=sentence):
        torch.ops.freqops.fft_filter_plane(
            torch.zeros(x, device="cuda"), torch.zeros(response, device="cuda"), None
        )
