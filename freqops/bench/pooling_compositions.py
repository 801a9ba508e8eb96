"""Pools composed of torch's own calls, on any device: as published, and better."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def blur_weight(x: Tensor, taps: int) -> Tensor:
    """The binomial filter for every channel of x, as torch's depthwise convolution takes it."""
    line = torch.tensor([math.comb(taps - 1, i) / 2 ** (taps - 1) for i in range(taps)])
    square = torch.outer(line, line).to(x)
    return square.repeat(x.shape[1], 1, 1, 1)


def torch_blur(x: Tensor, weight: Tensor) -> Tensor:
    """Anti-aliased downsampling by two as published: a copy padded by reflection, a convolution."""
    count = weight.shape[-1]
    before, after = (count - 1) // 2, count // 2
    framed = torch.nn.functional.pad(x, (before, after, before, after), mode="reflect")
    return torch.nn.functional.conv2d(framed, weight, stride=2, groups=x.shape[1])


def torch_max_blur(x: Tensor, weight: Tensor, window: int) -> Tensor:
    """The maximum at stride 1, where the window is not a single sample, then the blur."""
    maxima = torch.nn.functional.max_pool2d(x, window, stride=1) if window > 1 else x
    return torch_blur(maxima, weight)


# --- spectral pooling ---------------------------------------------------------------------------


def published_flc(x: Tensor) -> Tensor:
    """FLC pooling by its published formula, every axis shifted as there (Grabinski et al. 2022)."""
    shifted = torch.fft.fftshift(torch.fft.fft2(x, norm="forward"))
    rows, columns = (slice(int(side / 4), int(side / 4 * 3)) for side in x.shape[-2:])
    low = torch.fft.ifftshift(shifted[..., rows, columns])
    pooled: Tensor = torch.fft.ifft2(low, norm="forward").real
    return pooled


def crop_matrix(old: int, new: int) -> Tensor:
    """What a crop of the spectrum to -new/2 .. (new-1)/2 does to an axis, complex [new, old].

    Its real part takes the mean of both signs at an even Nyquist; the imaginary one is that bin.
    """
    bins = torch.arange(-(new // 2), (new + 1) // 2, dtype=torch.float64)
    outputs = torch.arange(new, dtype=torch.float64) / new
    inputs = torch.arange(old, dtype=torch.float64) / old
    angles = 2 * math.pi * (outputs[:, None, None] - inputs[:, None]) * bins
    return torch.polar(torch.full_like(angles, 1 / old), angles).sum(-1)


class AxisProducts:
    """Real(A x B^T) with complex matrices A, B as real products, in x's layout; as exact as x.

    Args:
        x: whose shape, type and layout count.
        size: (h, w) of the result.
        corner: with the imaginary parts: FLC; without: the mean at each Nyquist ("half").
        sum_nyquist: twice an even Nyquist, "sum".
        low_rank: the imaginary parts, which are one column times one row, as such.
    """

    def __init__(
        self,
        x: Tensor,
        size: Sequence[int],
        *,
        corner: bool = False,
        sum_nyquist: bool = False,
        low_rank: bool = False,
    ) -> None:
        pairs = list(zip(x.shape[-2:], size, strict=True))
        maps = [crop_matrix(old, new) for old, new in pairs]
        if sum_nyquist:
            maps = [
                one + nyquist_part(*pair) if pair[1] % 2 == 0 else one
                for one, pair in zip(maps, pairs, strict=True)
            ]
        self.real = [one.real.float() for one in maps]
        # An odd size has no Nyquist bin, and with one axis without, the product vanishes.
        self.corner = corner and all(new % 2 == 0 for new in size)
        self.imaginary = [one.imag.float() for one in maps]
        self.low_rank = low_rank
        # Im A[m, n] = (-1)^m q[n]
        self.inputs = [one[0].contiguous() for one in self.imaginary]
        signs = [1.0 - 2.0 * (torch.arange(new) % 2) for new in size]
        self.outputs = torch.outer(*signs)

    def __call__(self, x: Tensor) -> Tensor:
        """x pooled; half types in float32."""
        work = x.float()
        y = both_axes(work, *self.real)
        if self.corner and self.low_rank:
            y = y - _between(work, *self.inputs)[..., None, None] * self.outputs
        elif self.corner:
            y = y - both_axes(work, *self.imaginary)
        return y.to(x.dtype)


def nyquist_part(old: int, new: int) -> Tensor:
    """The bin new/2 of an axis cropped to even size, by the mean of both signs."""
    outputs = 1.0 - 2.0 * (torch.arange(new, dtype=torch.float64) % 2)
    inputs = torch.arange(old, dtype=torch.float64) * (math.pi * new / old)
    return torch.outer(outputs, inputs.cos()) / old


def both_axes(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """rows x columns^T by torch.matmul, along channels where these lie behind each other."""
    if x.is_contiguous():
        return rows @ x @ columns.T
    pixels = x.permute(0, 2, 3, 1)
    along: Tensor = (rows @ pixels.flatten(2)).unflatten(2, pixels.shape[2:])  # type: ignore[no-untyped-call]
    return (columns @ along).permute(0, 3, 1, 2)


def _between(x: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """down^T x across of every plane."""
    if x.is_contiguous():
        return (x @ across) @ down
    pixels = x.permute(0, 2, 3, 1)
    rows: Tensor = (down @ pixels.flatten(2)).unflatten(1, pixels.shape[2:])  # type: ignore[no-untyped-call]
    return across @ rows


def torch_crop(x: Tensor, size: Sequence[int], nyquist: str) -> Tensor:
    """rfft2, crop, irfft2, as usually written but for the Nyquist bins.

    Args:
        x: the map.
        size: (h, w), smaller.
        nyquist: "half", "sum", "flc" (as "half", but a corner of two bins); "" leaves the rows'
            Nyquist to its negative bin, another function.
    """
    spectrum = torch.fft.rfft2(x.float(), norm="forward")[..., : size[1] // 2 + 1]
    return _cropped(spectrum, size, nyquist).to(x.dtype)


def torch_crop_pruned(x: Tensor, size: Sequence[int], nyquist: str) -> Tensor:
    """The same by axis: columns that are cut are not transformed."""
    lines = torch.fft.rfft(x.float(), norm="forward")[..., : size[1] // 2 + 1]
    return _cropped(torch.fft.fft(lines, dim=-2, norm="forward"), size, nyquist).to(x.dtype)


def _cropped(spectrum: Tensor, size: Sequence[int], nyquist: str) -> Tensor:
    height, width = size
    half, old = height // 2, spectrum.shape[-2]
    parts = [spectrum[..., : height - half, :], spectrum[..., old - half :, :]]
    if nyquist and height % 2 == 0:
        both = (spectrum[..., half : half + 1, :], spectrum[..., old - half : old - half + 1, :])
        middle = both[0] + both[1] if nyquist == "sum" else (both[0] + both[1]) / 2
        if nyquist == "flc" and width % 2 == 0:
            middle = torch.cat([middle[..., :-1], both[0][..., -1:].real + 0j], -1)
        parts = [parts[0], middle, spectrum[..., old - half + 1 :, :]]
    kept = torch.cat(parts, -2)
    if nyquist == "sum" and width % 2 == 0:
        kept = torch.cat([kept[..., :-1], 2 * kept[..., -1:]], -1)
    pooled: Tensor = torch.fft.irfft2(kept, s=(height, width), norm="forward")
    return pooled


# --- polyphase sampling, strides that are learned -------------------------------------------------


def torch_polyphase(x: Tensor) -> Tensor:
    """The polyphase component of the largest norm, sample by sample (Chaman and Dokmanic 2021)."""
    parts = [x[..., row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]
    components = torch.stack(parts, 1)
    choice = components.flatten(2).norm(dim=2, dtype=torch.float32).argmax(1)
    return components[torch.arange(len(x), device=x.device), choice]


def torch_diff_stride(x: Tensor, stride: Tensor, smoothness: float) -> Tensor:
    """DiffStride: the half spectrum cropped, its edges faded by the stride (Riad et al. 2022)."""
    (height, width), sizes = x.shape[-2:], []
    for size, one in zip(x.shape[-2:], stride.detach().tolist(), strict=True):
        sizes.append(min(size, 2 * math.ceil(smoothness + size / one / 2)))
    half = sizes[0] // 2
    places = torch.arange(half, device=x.device)
    rows = _faded(torch.cat([places, places.flip(0)]), height, stride[0], smoothness)
    columns = _faded(
        torch.arange(sizes[1] // 2 + 1, device=x.device) - 1, width, stride[1], smoothness
    )
    spectrum = torch.fft.rfft2(x)[..., : sizes[1] // 2 + 1]
    kept = torch.cat([spectrum[..., :half, :], spectrum[..., height - half :, :]], -2)
    image: Tensor = torch.fft.irfft2(kept * (rows[:, None] * columns), s=sizes)
    return image


def _faded(places: Tensor, size: int, stride: Tensor, smoothness: float) -> Tensor:
    return ((smoothness + size / stride / 2 - places) / smoothness).clamp(0, 1)


# --- upsampling, filtering, downsampling ----------------------------------------------------------


def torch_upfirdn(
    x: Tensor, taps: Tensor, up: int = 1, down: int = 1, padding: Sequence[int] = (0, 0)
) -> Tensor:
    """Zeros between samples, zeros around, an axis after the other by a depthwise convolution.

    Args:
        x: [N, C, H, W].
        taps: [k], along both axes.
        up: 1 + zeros behind each sample.
        down: of how many samples one is kept.
        padding: zeros before and after, both axes.
    """
    if up > 1:
        batch, channels, height, width = x.shape
        grid = x.new_zeros(batch, channels, height * up, width * up)
        grid[..., ::up, ::up] = x
        x = grid
    framed = torch.nn.functional.pad(x, [*padding, *padding])
    line = taps.flip(0).repeat(x.shape[1], 1, 1, 1)
    rows = torch.nn.functional.conv2d(
        framed, line.mT.contiguous(), stride=(down, 1), groups=len(line)
    )
    return torch.nn.functional.conv2d(rows, line, stride=(1, down), groups=len(line))


def torch_up_transposed(x: Tensor, taps: Tensor, up: int, crop: int) -> Tensor:
    """The same upwards without a zero: transposed depthwise convolutions, `crop` off each end."""
    line = taps.repeat(x.shape[1], 1, 1, 1)
    rows = torch.nn.functional.conv_transpose2d(
        x, line.mT.contiguous(), stride=(up, 1), padding=(crop, 0), groups=len(line)
    )
    return torch.nn.functional.conv_transpose2d(
        rows, line, stride=(1, up), padding=(0, crop), groups=len(line)
    )


def torch_filtered_leaky_relu(
    x: Tensor, bias: Tensor, taps: Tensor, padding: Sequence[int], *, transposed: bool
) -> Tensor:
    """Bias, twice the size by a filter, leaky ReLU with StyleGAN3's gain, half the size.

    Args:
        x: [N, C, H, W].
        bias: [C].
        taps: of both filters.
        padding: zeros before and after, on the fine grid.
        transposed: whether the way up is a transposed convolution.
    """
    x = x + bias[:, None, None]
    if transposed:
        # Its result begins where a full convolution would: k - 1 zeros before, k - 2 behind.
        fine = torch_up_transposed(x, 2 * taps, 2, len(taps) - 1 - padding[0])
    else:
        fine = torch_upfirdn(x, 2 * taps, up=2, padding=padding)
    bent = torch.nn.functional.leaky_relu(fine, 0.2) * math.sqrt(2)
    return torch_upfirdn(bent, taps, down=2)
