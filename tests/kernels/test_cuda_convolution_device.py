"""The kernels of convolutions on a GPU, against float64."""

import pytest
import torch
from kernels.test_cuda_convolution import (
    TOLERANCE,
    Padding,
    draw,
    every_padding,
    reference,
    relative_error,
    responses,
    same,
)

pytestmark = pytest.mark.cuda

OPS = torch.ops.freqops


def forms_of(padding: Padding) -> list[str]:
    chosen = OPS.fft_filter_padded_form(*padding)
    return ["lines"] if chosen == "lines" else [chosen, "lines"]


@every_padding
def test_matches_float64(padding: Padding) -> None:
    exact = draw(37, 3, *padding.image)
    for channels in ((), (3,)):
        real, imag = responses(padding.grid, *channels)
        for dtype, tolerance in TOLERANCE.items():
            x = exact.to(dtype)
            wanted = reference(x, real, imag, padding)
            for form in forms_of(padding):
                y = OPS.fft_filter_padded_planes(
                    x.cuda(), real.cuda(), imag.cuda(), padding.grid, padding.size, form
                )
                assert relative_error(y.cpu(), wanted) < tolerance, (form, dtype)


@pytest.mark.parametrize("padding", [same(7, 14), same(14, 28), same(28, 42), same(56, 72)])
def test_blocks_have_many_rounds_of_work(padding: Padding) -> None:
    """More planes than the device has room for at a time; every result the same."""
    x = draw(1, 64, *padding.image).expand(300, -1, -1, -1).contiguous().cuda()
    real, imag = responses(padding.grid, 64)
    y = OPS.fft_filter_padded_planes(
        x, real.cuda(), imag.cuda(), padding.grid, padding.size, "plane"
    )
    wanted = reference(x[:1].cpu(), real, imag, padding)
    assert relative_error(y[:1].cpu(), wanted) < TOLERANCE[torch.float32]
    assert torch.equal(y, y[:1].expand_as(y))


@every_padding
def test_gradient_of_the_response(padding: Padding) -> None:
    x, g = draw(5, 3, *padding.image), draw(5, 3, *padding.size, seed=4)
    result = OPS.spectral_correlation_padded_planes(x.cuda(), g.cuda(), 3, padding.grid)
    spectra = [torch.fft.rfft2(planes.double(), s=padding.grid) for planes in (x, g)]
    sums = (spectra[0].conj() * spectra[1]).sum(dim=0)
    weight = torch.full((padding.grid[1] // 2 + 1,), 2.0, dtype=torch.float64)
    weight[0] = 1
    if padding.grid[1] % 2 == 0:
        weight[-1] = 1
    sums *= weight / (padding.grid[0] * padding.grid[1])
    error = (torch.complex(*result).cpu() - sums).norm() / sums.norm()
    assert error < 2e-6
