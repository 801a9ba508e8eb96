"""The kernels of convolutions on a GPU, against float64, and what only a device can show."""

from typing import Any

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

import freqops

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


@every_padding
def test_results_do_not_depend_on_what_memory_held(padding: Padding) -> None:
    """torch gives freed memory out again: filled with NaN, it shows what is not written."""
    x = draw(5, 3, *padding.image).cuda()
    real, imag = (part.cuda() for part in responses(padding.grid, 3))
    for form in forms_of(padding):
        wanted = OPS.fft_filter_padded_planes(x, real, imag, padding.grid, padding.size, form)
        torch.cuda.synchronize()
        filled = [torch.full_like(wanted, torch.nan) for _ in range(3)]
        del filled
        y = OPS.fft_filter_padded_planes(x, real, imag, padding.grid, padding.size, form)
        assert torch.equal(y, wanted), form


@pytest.mark.parametrize("padding", [same(7, 14), same(28, 42), same(56, 72), same(9, 9)])
def test_what_is_not_finite_stays_in_its_plane(padding: Padding) -> None:
    x = draw(5, 2, *padding.image).cuda()
    real, imag = (part.cuda() for part in responses(padding.grid, 2))
    for form in forms_of(padding):
        rest = real, imag, padding.grid, padding.size, form
        clean = OPS.fft_filter_padded_planes(x, *rest)
        spoilt = x.clone()
        spoilt[2, 1, -1, -1] = torch.inf
        y = OPS.fft_filter_padded_planes(spoilt, *rest)
        assert not y[2, 1].isfinite().any()
        y[2, 1] = clean[2, 1]
        torch.testing.assert_close(y, clean, rtol=0, atol=1e-5)


def test_unaligned_images_are_taken() -> None:
    padding = same(14, 28)
    real, imag = (part.cuda() for part in responses(padding.grid))
    for dtype in TOLERANCE:
        x = draw(6, *padding.image).to(dtype).cuda()
        memory = torch.empty(1 + x.numel(), dtype=dtype, device="cuda")
        shifted = memory[1:].view(x.shape).copy_(x)
        y, wanted = (
            OPS.fft_filter_padded_planes(one, real, imag, padding.grid, padding.size)
            for one in (shifted, x)
        )
        assert torch.equal(y, wanted), dtype


def convolved(x: torch.Tensor, weight: torch.Tensor, g: torch.Tensor, **options: Any) -> Any:
    """y, and both gradients."""
    x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
    y = freqops.fft_conv2d(x, weight, algorithm="fft", **options)
    return y, *torch.autograd.grad(y, [x, weight], g)


@pytest.mark.parametrize(
    ("side", "kernel", "stride"),
    [(7, 13, 1), (14, 27, 1), (28, 29, 1), (56, 7, 1), (56, 31, 1), (57, 9, 1), (28, 9, 2)],
)
def test_depthwise_convolution(side: int, kernel: int, stride: int) -> None:
    """As users call it, on torch's stream of the moment and from a graph."""
    options = {"padding": kernel // 2, "groups": 4, "stride": stride}
    x, weight = draw(6, 4, side, side), draw(4, 1, kernel, kernel, seed=3)
    wide = [x.double().requires_grad_(), weight.double().requires_grad_()]
    y = torch.nn.functional.conv2d(*wide, **options)  # type: ignore[arg-type]
    g = draw(*y.shape, seed=4)
    exact = [y, *torch.autograd.grad(y, wide, g.double())]
    there = x.cuda(), weight.cuda(), g.cuda()
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        found = convolved(*there, **options)
    torch.cuda.current_stream().wait_stream(aside)
    for one, wanted in zip(found, exact, strict=True):
        assert (one.cpu() - wanted).norm() < 2e-6 * wanted.norm()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = freqops.fft_conv2d(there[0], there[1], algorithm="fft", **options)
    graph.replay()
    assert torch.equal(y, found[0])


def test_explain_names_the_form_that_runs() -> None:
    x, weight = draw(2, 4, 28, 28).cuda(), draw(4, 1, 13, 13).cuda()
    found = freqops.explain("fft_conv2d", x, weight, padding=6, groups=4, algorithm="fft")
    assert found.kernel == "fft_filter_padded kernel, plane form"
    assert "on a grid of 42 x 42 samples" in found.reasons
