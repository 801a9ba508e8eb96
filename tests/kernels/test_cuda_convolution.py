"""The CUDA kernels of convolutions by transforms, replayed on the host, against float64."""

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from kernels import cuda_replay
from torch import Tensor

TOLERANCE = {torch.float32: 1e-6, torch.float16: 5e-4, torch.bfloat16: 2.5e-3}


class Padding(NamedTuple):
    """The sizes of x, of the grid and of the result."""

    image: tuple[int, int]
    grid: tuple[int, int]
    size: tuple[int, int]


def same(image: int, grid: int) -> Padding:
    return Padding((image, image), (grid, grid), (image, image))


PADDINGS = [
    same(7, 14),
    same(14, 28),
    same(28, 42),
    same(56, 64),
    same(56, 72),
    same(9, 9),  # nothing is padded
    Padding((5, 8), (12, 9), (7, 9)),
    Padding((6, 3), (6, 10), (1, 1)),
    Padding((1, 1), (4, 6), (4, 6)),
    Padding((1, 30), (1, 45), (1, 40)),
    Padding((20, 17), (37, 41), (30, 35)),  # Bluestein's algorithm
    Padding((100, 150), (160, 200), (120, 140)),  # beyond shared memory: rows, columns, rows
]
IDS = ["-".join("x".join(map(str, size)) for size in padding) for padding in PADDINGS]
every_padding = pytest.mark.parametrize("padding", PADDINGS, ids=IDS)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + 0.25


def responses(grid: tuple[int, int], *channels: int) -> tuple[Tensor, Tensor]:
    """Nothing is symmetric: the kernel has to make DC and Nyquist columns Hermitian itself."""
    shape = (*channels, grid[0], grid[1] // 2 + 1)
    return draw(*shape, seed=1), draw(*shape, seed=2)


def reference(x: Tensor, response: Tensor, imag: Tensor | None, padding: Padding) -> np.ndarray:
    gain = response.double().numpy()
    if imag is not None:
        gain = gain + 1j * imag.double().numpy()
    spectrum = np.fft.rfft2(x.double().numpy(), s=padding.grid)
    y: np.ndarray = np.fft.irfft2(spectrum * gain, s=padding.grid)
    return y[..., : padding.size[0], : padding.size[1]]


def filtered(
    x: Tensor,
    response: Tensor,
    imag: Tensor | None,
    padding: Padding,
    form: str = "",
    *,
    backwards: bool = False,
) -> Tensor:
    x = cuda_replay.inside_margins(x)
    with cuda_replay.device(backwards=backwards):
        y: Tensor = cuda_replay.ops().fft_filter_padded_planes(
            x, response, imag, padding.grid, padding.size, form
        )
    return y


def forms_of(padding: Padding) -> list[str]:
    chosen = cuda_replay.ops().fft_filter_padded_form(*padding)
    return ["lines"] if chosen == "lines" else [chosen, "lines"]


def relative_error(y: Tensor, expected: np.ndarray) -> float:
    difference = np.linalg.norm(y.double().numpy() - expected)
    return float(difference / np.linalg.norm(expected))


@every_padding
@pytest.mark.parametrize("images", [1, 2, 5])
def test_matches_float64(padding: Padding, images: int) -> None:
    for form in forms_of(padding):
        x = draw(images, 3, *padding.image)
        for channels in ((), (3,)):
            real, imag = responses(padding.grid, *channels)
            for part in (imag, None):
                y = filtered(x, real, part, padding, form)
                assert y.shape == (images, 3, *padding.size)
                error = relative_error(y, reference(x, real, part, padding))
                assert error < TOLERANCE[torch.float32], (form, channels)


@pytest.mark.parametrize("padding", [same(7, 14), same(14, 28), same(28, 42)], ids=str)
def test_blocks_have_several_rounds_of_work(padding: Padding) -> None:
    """Slices of the images, of which the last ones are smaller or empty."""
    for images in (40, 71):
        x = draw(images, 3, *padding.image)
        for channels in ((), (3,)):
            real, imag = responses(padding.grid, *channels)
            y = filtered(x, real, imag, padding, "plane")
            error = relative_error(y, reference(x, real, imag, padding))
            assert error < TOLERANCE[torch.float32], channels


@every_padding
def test_order_of_threads_does_not_matter(padding: Padding) -> None:
    for form in forms_of(padding):
        x = draw(3, 2, *padding.image)
        real, imag = responses(padding.grid, 2)
        y = filtered(x, real, imag, padding, form)
        again = filtered(x, real, imag, padding, form, backwards=True)
        assert torch.equal(y.view(torch.int32), again.view(torch.int32)), form


@pytest.mark.parametrize("padding", [PADDINGS[1], PADDINGS[6], PADDINGS[11]], ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_round_once(padding: Padding, dtype: torch.dtype) -> None:
    for form in forms_of(padding):
        x = draw(3, 2, *padding.image).to(dtype)
        real, imag = responses(padding.grid, 2)
        y = filtered(x, real, imag, padding, form)
        assert y.dtype == dtype
        assert torch.equal(y, filtered(x.float(), real, imag, padding, form).to(dtype))
        assert relative_error(y, reference(x, real, imag, padding)) < TOLERANCE[dtype]


@pytest.mark.parametrize("padding", [*PADDINGS[:5], PADDINGS[6], PADDINGS[11]], ids=str)
@pytest.mark.parametrize("value", [math.nan, math.inf, 3e38])
def test_what_is_not_finite_stays_in_its_plane(padding: Padding, value: float) -> None:
    for form in forms_of(padding):
        x = draw(5, 2, *padding.image)
        real, imag = responses(padding.grid, 2)
        clean = filtered(x, real, imag, padding, form)
        x[2, 1, -1, -1] = x[2, 1, 0, 0] = value
        y = filtered(x, real, imag, padding, form)
        assert not y[2, 1].isfinite().any()
        y[2, 1] = clean[2, 1]
        torch.testing.assert_close(y, clean, rtol=0, atol=1e-5)


def test_is_a_convolution() -> None:
    """The response of a 13 x 13 kernel, as a depthwise convolution with padding of 6 has it."""
    x, weight = draw(3, 4, 14, 14), draw(4, 1, 13, 13, seed=3)
    padding = same(14, 28)
    on_grid = torch.zeros(4, 28, 28, dtype=torch.float64)
    on_grid[:, :13, :13] = weight[:, 0]
    spectrum = torch.fft.rfft2(on_grid.roll((-6, -6), (-2, -1)))
    parts = spectrum.real.float().contiguous(), -spectrum.imag.float().contiguous()
    expected = torch.nn.functional.conv2d(x.double(), weight.double(), padding=6, groups=4)
    for form in forms_of(padding):
        y = filtered(x, *parts, padding, form)
        assert relative_error(y, expected.numpy()) < 1e-6, form


@every_padding
@pytest.mark.parametrize("per_channel", [False, True])
def test_gradient_of_the_response(padding: Padding, per_channel: bool) -> None:
    """Padded planes by the op for padded planes, and by that for whole ones."""
    x, g = draw(5, 3, *padding.image), draw(5, 3, *padding.size, seed=4)
    channels = 3 if per_channel else 0
    result = cuda_replay.ops().spectral_correlation_padded_planes(
        cuda_replay.inside_margins(x), cuda_replay.inside_margins(g), channels, padding.grid
    )
    whole = [
        torch.nn.functional.pad(
            planes, (0, padding.grid[1] - planes.shape[-1], 0, padding.grid[0] - planes.shape[-2])
        )
        for planes in (x, g)
    ]
    expected = cuda_replay.ops().spectral_correlation_planes(*whole, channels)
    for part, other in zip(result, expected, strict=True):
        assert torch.equal(part, other)
    spectra = [np.fft.rfft2(planes.double().numpy()) for planes in whole]
    sums = (spectra[0].conj() * spectra[1]).sum(axis=0 if per_channel else (0, 1))
    weight = np.full(padding.grid[1] // 2 + 1, 2.0)
    weight[0] = 1
    if padding.grid[1] % 2 == 0:
        weight[-1] = 1
    sums *= weight / math.prod(padding.grid)
    error = np.linalg.norm(torch.complex(*result).numpy() - sums) / np.linalg.norm(sums)
    assert error < 2e-6


def test_empty_batch() -> None:
    real, imag = responses((8, 8), 3)
    y = filtered(torch.empty(0, 3, 4, 5), real, imag, Padding((4, 5), (8, 8), (3, 3)))
    assert y.shape == (0, 3, 3, 3)


def test_forms() -> None:
    form, takes = (
        cuda_replay.ops().fft_filter_padded_form,
        cuda_replay.ops().fft_filter_padded_takes,
    )
    for padding in PADDINGS:
        assert form(*padding) != "none"
        assert takes(*padding)
    assert form([7, 7], [6, 8], [7, 7]) == "none"
    assert not takes([7], [8, 8], [7, 7])
    assert not takes([1, 9], [1, 2**20], [1, 9])
    assert not takes([0, 9], [12, 12], [9, 9])


@pytest.mark.parametrize(
    ("side", "least", "side_of_grid"),
    [
        (7, 7, 14), (7, 14, 14), (7, 15, None), (14, 17, 28), (28, 42, 42), (28, 43, None),
        (56, 56, 64), (56, 64, 64), (56, 65, 72), (56, 72, 72), (56, 73, None), (55, 60, None),
    ],
)  # fmt: skip
def test_smallest_grid_of_the_plane_form(side: int, least: int, side_of_grid: int | None) -> None:
    choose = cuda_replay.ops().fft_filter_padded_grid
    expected = [] if side_of_grid is None else [side_of_grid] * 2
    assert choose([side, side], [least, least], [side, side]) == expected
    assert choose([side, side], [side, least], [side, side]) == expected
    assert choose([side, side], [least, least], [side, side - 1]) == []
    assert choose([side, side + 1], [80, 80], [side, side + 1]) == []
    assert choose([side], [least, least], [side, side]) == []
    with cuda_replay.device(shared_bytes=1024):
        assert choose([side, side], [least, least], [side, side]) == []
    if expected:
        form = cuda_replay.ops().fft_filter_padded_form([side, side], expected, [side, side])
        assert form == "plane"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_unaligned_images_are_taken(dtype: torch.dtype) -> None:
    for padding in (PADDINGS[0], PADDINGS[2], PADDINGS[6]):
        real, imag = responses(padding.grid)
        x = draw(3, *padding.image).to(dtype)
        filters = cuda_replay.ops().fft_filter_padded_planes
        expected = filters(x, real, imag, padding.grid, padding.size)
        for offset in (1, 3):
            memory = torch.empty(offset + x.numel(), dtype=dtype)
            shifted = memory[offset:].view(x.shape).copy_(x)
            y = filters(shifted, real, imag, padding.grid, padding.size)
            assert torch.equal(y, expected)


X, GAIN = torch.zeros(2, 3, 6, 8), torch.ones(3, 10, 6)
WRONG = [
    ((X.double(), GAIN, None, [10, 10], [6, 8]), "x must be float32, float16 or bfloat16"),
    ((X.mT, GAIN, None, [10, 10], [6, 8]), "x must be a contiguous CPU tensor"),
    ((X, GAIN, None, [10], [6, 8]), "grid and size must hold 2 numbers"),
    ((X, GAIN, None, [5, 10], [5, 8]), "grid must hold x and the output, got 5 x 10"),
    ((X, GAIN, None, [10, 10], [11, 8]), "grid must hold x and the output"),
    ((X, GAIN, None, [10, 10], [0, 8]), "the output must have 1 to"),
    ((X, GAIN, None, [0, 10], [6, 8]), "the grid must have 1 to"),
    ((X, GAIN, None, [10, 12], [6, 8]), "response must be 10 x 7 for this grid"),
    ((X, GAIN[0, 0], None, [10, 10], [6, 8]), "response must have 2 or 3 dimensions, got 1"),
    ((X, GAIN[:2], None, [10, 10], [6, 8]), "response must have the channels of x"),
    ((X, GAIN.double(), None, [10, 10], [6, 8]), "response must be contiguous, float32"),
    ((X, GAIN, GAIN[:2], [10, 10], [6, 8]), "imag must have the shape of response"),
    ((X, GAIN, None, [10, 10], [6, 8], "rows"), "form must be plane or lines, got rows"),
    ((X, GAIN, None, [10, 10], [6, 8], "plane"), "does not fit this device"),
    ((X[..., 1:], GAIN, None, [10, 10], [6, 8]), "x must be a contiguous CPU tensor"),
    ((X, GAIN, None, [2**27, 1], [6, 1]), "the grid must have 1 to"),
    ((X, GAIN, None, [2**62, 2**62], [6, 8]), "the grid must have 1 to"),
    ((X, GAIN, None, [-10, -10], [6, 8]), "the grid must have 1 to"),
    ((torch.zeros(1, 4), torch.ones(1, 2**19 + 1), None, [1, 2**20], [1, 4]), "does not fit"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_calls(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(RuntimeError, match=f"fft_filter_padded_planes: .*{message}"):
        cuda_replay.ops().fft_filter_padded_planes(*arguments)


G = torch.zeros(2, 3, 5, 7)
WRONG_GRADIENTS = [
    ((X, G, 3, [10]), "grid must hold 2 numbers"),
    ((X, G, 3, [5, 10]), "grid must hold the planes of x and g"),
    ((X, G, 2, [10, 10]), "channels must be 0 or those of x"),
    ((X, G[:1], 3, [10, 10]), "but for the planes' size, its shape"),
    ((X, G.half(), 3, [10, 10]), "g must have the dtype"),
    ((X[:0], G[:0], 3, [10, 10]), "x must not be empty"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), WRONG_GRADIENTS, ids=[message for _, message in WRONG_GRADIENTS]
)
def test_wrong_gradients(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(RuntimeError, match=f"spectral_correlation_padded_planes: .*{message}"):
        cuda_replay.ops().spectral_correlation_padded_planes(*arguments)
