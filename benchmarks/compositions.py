"""The same results composed of torch.fft calls, on any device: as usually written, and better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


def torch_filter(x: Tensor, response: Tensor, dims: int = 2) -> Tensor:
    """The composition as it is usually written."""
    axes = tuple(range(-dims, 0))
    spectrum = torch.fft.rfftn(x, dim=axes)
    filtered: Tensor = torch.fft.irfftn(spectrum * response, s=x.shape[-dims:], dim=axes)
    return filtered


def torch_filter_in_place(x: Tensor, response: Tensor, dims: int = 2) -> Tensor:
    """The same with one temporary less."""
    axes = tuple(range(-dims, 0))
    spectrum = torch.fft.rfftn(x, dim=axes).mul_(response)
    filtered: Tensor = torch.fft.irfftn(spectrum, s=x.shape[-dims:], dim=axes)
    return filtered


def folded(response: Tensor, width: int) -> Tensor:
    """The response times what torch's inverse transform would scale by in a kernel of its own."""
    return response / (response.shape[-2] * width)


def torch_filter_folded(x: Tensor, response: Tensor) -> Tensor:
    """With a response of :func:`folded`, in place: no pass over memory that can be spared."""
    spectrum = torch.fft.rfft2(x).mul_(response)
    filtered: Tensor = torch.fft.irfft2(spectrum, s=x.shape[-2:], norm="forward")
    return filtered


def torch_filter_in_float(x: Tensor, response: Tensor) -> Tensor:
    """For half types, whose FFT torch does not have on the CPU."""
    return torch_filter_in_place(x.float(), response).to(x.dtype)


def torch_low_pass(x: Tensor, response: Tensor, radius: float) -> Tensor:
    """By axis, so that columns at or above the radius are neither transformed nor multiplied."""
    columns = min(math.ceil(radius), response.shape[-1])
    spectrum = torch.fft.fft(torch.fft.rfft(x)[..., :columns], dim=-2)
    spectrum.mul_(response[:, :columns])
    filtered: Tensor = torch.fft.irfft(torch.fft.ifft(spectrum, dim=-2), n=x.shape[-1])
    return filtered


def torch_bank(x: Tensor, responses: Sequence[Tensor]) -> list[Tensor]:
    """One image per response from one forward transform."""
    spectrum = torch.fft.rfft2(x)
    return [torch.fft.irfft2(spectrum * response, s=x.shape[-2:]) for response in responses]


def torch_bank_folded(x: Tensor, responses: Sequence[Tensor]) -> list[Tensor]:
    """The same with responses of :func:`folded`."""
    spectrum = torch.fft.rfft2(x)
    size = x.shape[-2:]
    return [torch.fft.irfft2(spectrum * k, s=size, norm="forward") for k in responses]


def torch_low_high(x: Tensor, masks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """(low, high) per mask, a transform forward and back for each mask."""
    for mask in masks:
        low = torch_filter_in_place(x, mask)
        yield low, x - low


def torch_low_high_sharing(x: Tensor, masks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """(low, high) per mask from one forward transform."""
    spectrum = torch.fft.rfft2(x)
    for mask in masks:
        low = torch.fft.irfft2(spectrum * mask, s=x.shape[-2:])
        yield low, x - low


def torch_mix(amplitude: Tensor, phase: Tensor) -> Tensor:
    """Amplitude of one and phase of the other, by magnitude and angle as published (APR)."""
    magnitude, angle = torch.fft.rfft2(amplitude).abs(), torch.fft.rfft2(phase).angle()
    mixed: Tensor = torch.fft.irfft2(torch.polar(magnitude, angle), s=amplitude.shape[-2:])
    return mixed


def torch_mix_without_angles(amplitude: Tensor, phase: Tensor) -> Tensor:
    """The same without trigonometry, for phases without a bin that is 0."""
    spectrum = torch.fft.rfft2(phase).sgn_().mul_(torch.fft.rfft2(amplitude).abs())
    mixed: Tensor = torch.fft.irfft2(spectrum, s=amplitude.shape[-2:])
    return mixed


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
        y = _both_axes(work, *self.real)
        if self.corner and self.low_rank:
            y = y - _between(work, *self.inputs)[..., None, None] * self.outputs
        elif self.corner:
            y = y - _both_axes(work, *self.imaginary)
        return y.to(x.dtype)


def nyquist_part(old: int, new: int) -> Tensor:
    """The bin new/2 of an axis cropped to even size, by the mean of both signs."""
    outputs = 1.0 - 2.0 * (torch.arange(new, dtype=torch.float64) % 2)
    inputs = torch.arange(old, dtype=torch.float64) * (math.pi * new / old)
    return torch.outer(outputs, inputs.cos()) / old


def _both_axes(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """rows x columns^T by torch.matmul, along channels where these lie behind each other."""
    if x.is_contiguous():
        return rows @ x @ columns.T
    pixels = x.permute(0, 2, 3, 1)
    along = (rows @ pixels.flatten(2)).unflatten(2, pixels.shape[2:])  # type: ignore[no-untyped-call]
    return (columns @ along).permute(0, 3, 1, 2)


def _between(x: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """down^T x across of every plane."""
    if x.is_contiguous():
        return (x @ across) @ down
    pixels = x.permute(0, 2, 3, 1)
    return across @ (down @ pixels.flatten(2)).unflatten(1, pixels.shape[2:])  # type: ignore[no-untyped-call]


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
