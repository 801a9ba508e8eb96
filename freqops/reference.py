"""What every operator computes, in plain torch: the specification, read top to bottom.

Nothing here is fast. Each filter takes the full complex spectrum, applies one formula and comes
back; each pooling gathers its padding by index. All are in the dtype of their input (the tests ask
in float64) and differentiable by torch's own autograd. The signatures are those of the public
functions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from freqops import filters


def full_response(response: Tensor, size: Sequence[int]) -> Tensor:
    """The gain at every bin of the full spectrum that a half one stands for.

    The output is real, so the gain at -k is the conjugate of that at k. Interior columns state
    each pair once. The DC column and, for even widths, the Nyquist column hold both members of
    their pairs, which may contradict: the pair then gets the mean of one and the other's
    conjugate. This is what torch's CPU irfft2 and numpy compute; cuFFT leaves it undefined.

    Args:
        response: [..., W//2+1] (1-D) or [..., H, W//2+1], real or complex.
        size: (W,) or (H, W).

    Returns:
        Complex, [..., W] or [..., H, W], Hermitian: G[-k] = conj(G[k]), indices modulo the size.
    """
    axes = tuple(range(-len(size), 0))
    width = size[-1]
    real = not response.is_complex()
    half = torch.complex(response, response * 0) if real else response.resolve_conj()
    # Stated once: every column up to W//2. Stated by its mirror: the rest.
    once = torch.nn.functional.pad(torch.view_as_real(half), (0, 0, 0, width - half.shape[-1]))
    column = torch.arange(width, device=response.device)
    interior = (column > 0) & (2 * column < width)
    weight = torch.where(interior, 1.0, 0.5).to(once.dtype)
    stated = torch.view_as_complex(once.contiguous()) * weight * (2 * column <= width)
    return stated + _mirrored(stated, axes).conj()


def _mirrored(spectrum: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The value at -k, indices modulo the size, in the place of that at k."""
    return torch.roll(torch.flip(spectrum, axes), (1,) * len(axes), axes)


def _filtered(x: Tensor, response: Tensor, dims: int) -> Tensor:
    axes = tuple(range(-dims, 0))
    gain = full_response(response, x.shape[-dims:])
    filtered: Tensor = torch.fft.ifftn(torch.fft.fftn(x, dim=axes) * gain, dim=axes).real
    return filtered


def fft_filter1d(x: Tensor, response: Tensor) -> Tensor:
    """Re IFFT(FFT(x) G): [..., N] with [N//2+1], or [..., C, N] with [C, N//2+1]."""
    return _filtered(x, response, 1)


def fft_filter2d(x: Tensor, response: Tensor) -> Tensor:
    """Re IFFT2(FFT2(x) G): [..., H, W] with [H, W//2+1], or [..., C, H, W] with [C, H, W//2+1]."""
    return _filtered(x, response, 2)


def filter_bank1d(x: Tensor, responses: Tensor) -> Tensor:
    """Slab r is x filtered by responses[r]: [R, ..., N]."""
    return torch.stack([_filtered(x, response, 1) for response in responses])


def filter_bank2d(x: Tensor, responses: Tensor) -> Tensor:
    """Slab r is x filtered by responses[r]: [R, ..., H, W]."""
    return torch.stack([_filtered(x, response, 2) for response in responses])


def filter_bank_adjoint(y: Tensor, responses: Tensor, dims: int) -> Tensor:
    """The transpose of the bank: sum_r y[r] filtered by conj(responses[r])."""
    slabs = zip(y, responses, strict=True)
    return torch.stack([_filtered(slab, response.conj(), dims) for slab, response in slabs]).sum(0)


def low_high2d(
    x: Tensor,
    cutoff: filters.Cutoff,
    *,
    unit: filters.Unit = "cycles",
    norm: filters.Norm = "l2",
    inclusive: bool = False,
    kind: filters.Kind = "ideal",
    order: int = 2,
) -> tuple[Tensor, Tensor]:
    """(low, x - low): low-passed at one cutoff, or [R, ...] at R cutoffs."""
    response = filters.low_pass(
        x.shape[-2:],
        cutoff,
        unit=unit,
        norm=norm,
        inclusive=inclusive,
        kind=kind,
        order=order,
        dtype=x.dtype,
    )
    low = filter_bank2d(x, response) if response.dim() > 2 else fft_filter2d(x, response)
    return low, x - low


def split_bands2d(
    x: Tensor,
    cutoffs: Sequence[float],
    *,
    unit: filters.Unit = "cycles",
    norm: filters.Norm = "l2",
    inclusive: bool = False,
) -> Tensor:
    """Bands [0, c0), [c0, c1), ... [c_last, infinity) of x: [len(cutoffs)+1, ..., H, W]."""
    edges = [*cutoffs, float("inf")]
    below = [
        filters.low_pass(
            x.shape[-2:], edge, unit=unit, norm=norm, inclusive=inclusive, dtype=x.dtype
        )
        for edge in edges
    ]
    bands = [below[0], *(upper - lower for lower, upper in itertools.pairwise(below))]
    return filter_bank2d(x, torch.stack(bands))


def spectral_correlation(x: Tensor, y: Tensor, channels: int, dims: int) -> tuple[Tensor, Tensor]:
    """The gradient of <y, filter(x, K)> for K: what one half-spectrum number of K does, summed.

    A number in an interior column acts on its bin and the mirrored one, hence weight 2; those of
    the DC and Nyquist columns act once, as each of their pairs is stated twice.

    Args:
        x: [..., N] or [..., H, W].
        y: as x.
        channels: 0 sums over all planes; C keeps the axis in front of the transformed ones apart.
        dims: number of transformed axes, 1 or 2.

    Returns:
        Real and imaginary part of w / (H W) sum conj(X) Y, [(C,) H, W//2+1].
    """
    axes = tuple(range(-dims, 0))
    size = x.shape[-dims:]
    product = torch.fft.fftn(x, dim=axes).conj() * torch.fft.fftn(y, dim=axes)
    column = torch.arange(size[-1] // 2 + 1, device=x.device)
    interior = (column > 0) & (2 * column < size[-1])
    weight = torch.where(interior, 2.0, 1.0).to(x.dtype) / size.numel()
    product = product[..., : size[-1] // 2 + 1] * weight
    product = product.reshape(-1, *product.shape[-dims - (channels > 0) :]).sum(0)
    return product.real, product.imag


def mix_amplitude_phase2d(
    amplitude: Tensor, phase: Tensor, *, over_channels: bool = False
) -> Tensor:
    """Re IFFT(|FFT(amplitude)| exp(i angle(FFT(phase)))), over (H, W) or (C, H, W).

    The phase of a bin that is exactly 0 is 0, and nothing flows back through it.
    """
    axes = (-3, -2, -1) if over_channels else (-2, -1)
    spectrum = torch.fft.fftn(phase, dim=axes)
    unit = torch.sgn(spectrum) + (spectrum == 0)
    mixed: Tensor = torch.fft.ifftn(torch.fft.fftn(amplitude, dim=axes).abs() * unit, dim=axes).real
    return mixed


def resized_response(response: Tensor, old: Sequence[int], new: Sequence[int]) -> Tensor:
    """The half response of a filter trained at one size, for images of another.

    The kernel's spectrum is cropped, or continued with zeros, by signed frequency, one axis at a
    time. A Nyquist bin that only one of the sizes has is shared between +N/2 and -N/2: cropping to
    an even size takes their mean, padding gives each one half.

    Args:
        response: [..., W//2+1] or [..., H, W//2+1], real or complex.
        old: its (W,) or (H, W).
        new: size of the images.

    Returns:
        Complex, [..., w//2+1] or [..., h, w//2+1].
    """
    spectrum = full_response(response, old)
    for axis, (size, target) in enumerate(zip(old, new, strict=True), -len(old)):
        frequency = torch.arange(target, device=response.device)
        frequency = torch.where(2 * frequency < target, frequency, frequency - target)
        taken = torch.zeros(target, size, dtype=torch.double, device=response.device)
        smaller = min(size, target)
        for row, k in enumerate(frequency.tolist()):
            if 2 * abs(k) < smaller or size == target:
                taken[row, k % size] = 1
            elif 2 * abs(k) == smaller:
                # Cropping: two bins of the old spectrum meet in one. Padding: one becomes two.
                taken[row, k % size] += 0.5
                if target < size:
                    taken[row, -k % size] += 0.5
        spectrum = torch.tensordot(spectrum, taken.to(spectrum.dtype), ([axis], [1]))
        spectrum = spectrum.movedim(-1, axis)
    return spectrum[..., : new[-1] // 2 + 1]


# --- pooling ------------------------------------------------------------------------------------


def padding_source(position: int, size: int, mode: str) -> int | None:
    """The sample that stands at a position of a padded axis; None where that is a zero.

    Reflection goes back and forth between the borders, which are not repeated; a single sample is
    its own reflection.
    """
    if mode == "zeros":
        return position if 0 <= position < size else None
    if mode == "replicate":
        return min(max(position, 0), size - 1)
    if mode == "circular":
        return position % size
    while size > 1 and not 0 <= position < size:
        position = -position if position < 0 else 2 * (size - 1) - position
    return position if size > 1 else 0


def padded(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    """One axis with padding at its ends, by index; negative amounts crop."""
    size = x.shape[axis]
    sources = [padding_source(i, size, mode) for i in range(-before, size + after)]
    index = torch.tensor([0 if source is None else source for source in sources], device=x.device)
    there = torch.tensor([source is not None for source in sources], device=x.device)
    return torch.where(there.reshape(-1, *[1] * (-axis - 1)), x.index_select(axis, index), 0.0)


def _per_axis(value: Any, dims: int) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value] * dims


def _ends(padding: Any, counts: Sequence[int]) -> list[tuple[int, int]]:
    """(before, after) of each axis, from what the functions take as padding."""
    if padding is None:
        return [((k - 1) // 2, k - 1 - (k - 1) // 2) for k in counts]
    if isinstance(padding, (tuple, list)) and all(isinstance(entry, int) for entry in padding):
        return [(padding[0], padding[1])] * len(counts)
    pairs = (_per_axis(entry, 2) for entry in _per_axis(padding, len(counts)))
    return [(pair[0], pair[1]) for pair in pairs]


def _blurred(x: Tensor, taps: Any, stride: Any, padding: Any, mode: str, dims: int) -> Tensor:
    """Padding by index, windows of every stride-th position, sums of products with the taps."""
    steps = _per_axis(stride, dims)
    if isinstance(taps, Tensor) and taps.dim() > 2:  # [C, k, ...]: one filter for all axes
        counts = list(taps.shape[1:])
        ends = _ends(padding, counts)
        first = x.dim() - dims
        for i in range(dims):
            x = padded(x, i - dims, ends[i][0], ends[i][1], mode)
        for i in range(dims):
            x = x.unfold(first + i, counts[i], steps[i])
        products = x * taps.reshape(taps.shape[0], *[1] * dims, *counts)
        return products.flatten(-dims).sum(-1)
    each = [
        one if isinstance(one, Tensor) else filters.binomial_taps(one, dtype=torch.float64)
        for one in _per_axis(taps, dims)
    ]
    pairs = _ends(padding, [one.shape[-1] for one in each])
    for i, one in enumerate(each):
        before, after = pairs[i]
        windows = padded(x, i - dims, before, after, mode).unfold(i - dims, one.shape[-1], steps[i])
        own = one.to(x) if one.dim() == 1 else one.to(x).reshape(one.shape[0], *[1] * dims, -1)
        x = (windows * own).sum(-1)
    return x


def blur_pool1d(
    x: Tensor, taps: Any = 3, stride: Any = 2, *, padding: Any = None, padding_mode: str = "reflect"
) -> Tensor:
    """y[o] = sum_j taps[j] x[o s + j - before]: [..., N]."""
    return _blurred(x, taps, stride, padding, padding_mode, 1)


def blur_pool2d(
    x: Tensor, taps: Any = 3, stride: Any = 2, *, padding: Any = None, padding_mode: str = "reflect"
) -> Tensor:
    """Along height, then along width: [..., H, W]."""
    return _blurred(x, taps, stride, padding, padding_mode, 2)


def blur_pool3d(
    x: Tensor, taps: Any = 3, stride: Any = 2, *, padding: Any = None, padding_mode: str = "reflect"
) -> Tensor:
    """Along depth, height and width: [..., D, H, W]."""
    return _blurred(x, taps, stride, padding, padding_mode, 3)


def blur_pool_adjoint2d(
    y: Tensor,
    size: Any,
    taps: Any = 3,
    stride: Any = 2,
    *,
    padding: Any = None,
    padding_mode: str = "reflect",
) -> Tensor:
    """The transpose of :func:`blur_pool2d` for x of this size, by autograd."""
    x = y.new_zeros(*y.shape[:-2], *_per_axis(size, 2))
    transposed = torch.func.vjp(
        lambda x: blur_pool2d(x, taps, stride, padding=padding, padding_mode=padding_mode), x
    )[1]
    adjoint: Tensor = transposed(y)[0]
    return adjoint


def maxima2d(x: Tensor, kernel_size: Any, max_padding: Any = 0, v: Tensor | None = None) -> Tensor:
    """The maximum of each window at stride 1, or v where it is.

    A window is scanned row by row; a value replaces the one at hand if it is larger or NaN, so the
    first of several maxima stays and the last NaN. Padding is never taken.
    """
    window, margin = _per_axis(kernel_size, 2), _per_axis(max_padding, 2)
    there = torch.ones(x.shape[-2:], dtype=torch.bool, device=x.device)
    values = [x, x if v is None else v]
    for axis, pad in zip((-2, -1), margin, strict=True):
        there = padded(there, axis, pad, pad, "zeros").bool()
        values = [padded(one, axis, pad, pad, "zeros") for one in values]
    height, width = (n - k + 1 for n, k in zip(there.shape, window, strict=True))
    best = taken = found = None
    for down in range(window[0]):
        for right in range(window[1]):
            at = (..., slice(down, down + height), slice(right, right + width))
            candidate, selected = (one[at] for one in values)
            if best is None or taken is None or found is None:
                best, taken, found = selected, candidate, there[at].expand(candidate.shape)
                continue
            better = there[at] & (~found | (candidate > taken) | candidate.isnan())
            best = torch.where(better, selected, best)
            taken = torch.where(better, candidate, taken)
            found = found | there[at]
    assert best is not None
    return best


def max_blur_pool2d(
    x: Tensor,
    kernel_size: Any = 2,
    taps: Any = 3,
    stride: Any = 2,
    *,
    max_padding: Any = 0,
    ceil_mode: bool = False,
    padding: Any = None,
    padding_mode: str = "reflect",
) -> Tensor:
    """The maximum at stride 1, then the blur: [..., H, W].

    ceil_mode moves the end of the padding until there are as many outputs as torch's max pooling
    has in that mode.
    """
    window, margin, steps = (_per_axis(one, 2) for one in (kernel_size, max_padding, stride))
    counts = [one.shape[-1] if isinstance(one, Tensor) else one for one in _per_axis(taps, 2)]
    ends = _ends(padding, counts)
    if ceil_mode:
        plane = torch.zeros(1, *x.shape[-2:])
        like = torch.nn.functional.max_pool2d(plane, window, steps, margin, ceil_mode=True)
        window = [min(k, n + 2 * p) for k, n, p in zip(window, x.shape[-2:], margin, strict=True)]
        for i, outputs in enumerate(like.shape[-2:]):
            maxima = x.shape[i - 2] + 2 * margin[i] - window[i] + 1
            last = (outputs - 1) * steps[i] + counts[i] - 1  # position in the padded map
            ends[i] = (ends[i][0], last + 1 - maxima - ends[i][0])
    return _blurred(maxima2d(x, window, margin), taps, steps, ends, padding_mode, 2)


def max_blur_pool1d(
    x: Tensor,
    kernel_size: int = 2,
    taps: Any = 3,
    stride: int = 2,
    *,
    max_padding: int = 0,
    ceil_mode: bool = False,
    padding: Any = None,
    padding_mode: str = "reflect",
) -> Tensor:
    """As images of one row."""
    count = taps.shape[-1] if isinstance(taps, Tensor) else taps
    one = torch.ones_like(taps[..., :1]) if isinstance(taps, Tensor) else 1
    (ends,) = _ends(padding, [count])
    return max_blur_pool2d(
        x.unsqueeze(-2),
        (1, kernel_size),
        (one, taps),
        (1, stride),
        max_padding=(0, max_padding),
        ceil_mode=ceil_mode,
        padding=((0, 0), ends),
        padding_mode=padding_mode,
    ).squeeze(-2)


_PHASES = ((0, 0), (1, 0), (0, 1), (1, 1))  # (row, column) where components 0 to 3 begin


def polyphase_pool2d(
    x: Tensor,
    taps: Any = 1,
    *,
    criterion: str = "l2",
    padding_mode: str = "circular",
    index: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Each sample's component of the largest norm (or the smallest), [N, C, H, W]."""
    norms = {
        "l2": lambda one: one.square().sum(),
        "l1": lambda one: one.abs().sum(),
        "linf": lambda one: one.abs().max(),
        "non_abs_max": lambda one: one.max(),
        "l2_min": lambda one: -one.square().sum(),
        "l1_min": lambda one: -one.abs().sum(),
    }
    x = blur_pool2d(x, taps, 1, padding_mode=padding_mode)
    for axis in (-2, -1):
        x = padded(x, axis, 0, x.shape[axis] % 2, "circular")
    results, choices = [], []
    for number, sample in enumerate(x):
        components = [sample[..., row::2, column::2] for row, column in _PHASES]
        values = [float(norms[criterion](one.detach())) for one in components]
        choice = values.index(max(values)) if index is None else int(index[number])
        results.append(components[choice])
        choices.append(choice)
    return torch.stack(results), torch.tensor(choices, device=x.device)


def polyphase_unpool2d(
    y: Tensor,
    index: Tensor,
    output_size: Any,
    taps: Any = 1,
    *,
    padding_mode: str = "circular",
) -> Tensor:
    """Each sample put at its component of a grid of zeros, which is cut to size and blurred."""
    height, width = _per_axis(output_size, 2)
    grids = []
    for sample, choice in zip(y, index.tolist(), strict=True):
        row, column = _PHASES[choice]
        grid = y.new_zeros(*sample.shape[:-2], 2 * sample.shape[-2], 2 * sample.shape[-1])
        grid[..., row::2, column::2] = sample
        grids.append(grid[..., :height, :width])
    return blur_pool2d(torch.stack(grids), taps, 1, padding_mode=padding_mode)


def upfirdn2d(
    x: Tensor,
    f: Any,
    up: Any = 1,
    down: Any = 1,
    padding: Any = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Zeros after each sample, padding, a convolution, every down-th sample; x before y."""
    grid, (before_after_x, before_after_y) = x, _image_ends(padding)
    for axis, factor in zip((-1, -2), _per_axis(up, 2), strict=True):
        zeros = [torch.zeros_like(grid)] * (factor - 1)
        grid = torch.stack([grid, *zeros], axis).flatten(axis - 1, axis)
    grid = padded(padded(grid, -1, *before_after_x, "zeros"), -2, *before_after_y, "zeros")
    if f is None:
        f = torch.ones(1)
    if isinstance(f, Tensor) and f.dim() > 1:
        taps: Any = f if f.dim() > 2 else f.expand(x.shape[-3], -1, -1)
        mirrored = taps if flip_filter else taps.flip((-2, -1))
    else:
        across, along = _per_axis(f, 2)
        mirrored = [one if flip_filter else one.flip(-1) for one in (along, across)]
    mirrored = mirrored.to(x) if isinstance(mirrored, Tensor) else [one.to(x) for one in mirrored]
    return gain * _blurred(grid, mirrored, _per_axis(down, 2)[::-1], 0, "zeros", 2)


def _image_ends(padding: Any) -> list[tuple[int, int]]:
    """(before, after) along x and along y, from one number, (x, y) or all four."""
    if isinstance(padding, int):
        return [(padding, padding)] * 2
    if len(padding) == 2:
        return [(padding[0], padding[0]), (padding[1], padding[1])]
    return [(padding[0], padding[1]), (padding[2], padding[3])]


def filtered_leaky_relu2d(
    x: Tensor,
    fu: Any = None,
    fd: Any = None,
    bias: Tensor | None = None,
    up: Any = 1,
    down: Any = 1,
    padding: Any = 0,
    gain: float = 2**0.5,
    slope: float = 0.2,
    clamp: float | None = None,
    flip_filter: bool = False,
) -> Tensor:
    """Bias, upsampling filter, leaky ReLU with gain and limits, downsampling filter."""
    if bias is not None:
        x = x + bias.to(x)[:, None, None]
    rise_x, rise_y = _per_axis(up, 2)
    fine = upfirdn2d(x, fu, up, 1, padding, flip_filter, gain=rise_x * rise_y)
    bent = gain * torch.where(fine > 0, fine, slope * fine)
    if clamp is not None:
        bent = bent.clamp(-clamp, clamp)
    return upfirdn2d(bent, fd, 1, down, 0, flip_filter)


def diff_stride2d(
    x: Tensor, stride: Tensor, smoothness: float = 4.0, cropping: bool = True
) -> Tensor:
    """DiffStride: rows and columns faded beyond N / (2 stride) bins, cropped where nothing is left.

    Rows keep -k where they keep k - 1, so the Nyquist row of an even height is the negative one
    alone; columns keep one bin more, as their Nyquist column stands for both signs.

    Args:
        x: [..., H, W].
        stride: one per axis, within the limits of the layer.
        smoothness: bins over which a gain falls to 0.
        cropping: whether the result is as small as what is kept.
    """
    gains, waves, old = [], [], x.shape[-2:]
    for axis, size in enumerate(old):
        bins = torch.arange(size, device=x.device)
        bins = torch.where(2 * bins < size, bins, bins - size)
        place = torch.where(bins < 0, -bins - 1, bins)
        fading = (smoothness + size / stride[axis] / 2 - place) / smoothness
        new = int((fading > 0).sum()) if cropping else size
        if axis == 0:
            kept = bins[fading > 0] if cropping else bins
            gain = fading[kept].clamp(0, 1)
        else:
            kept = torch.arange(new // 2 + 1, device=x.device)
            gain = ((smoothness + size / stride[axis] / 2 + 1 - kept) / smoothness).clamp(0, 1)
            gain = torch.where((kept == 0) | (2 * kept == new), gain, 2 * gain)
        angle = 2 * torch.pi / new * torch.outer(torch.arange(new, device=x.device), kept).double()
        gains.append((kept, gain / new))
        waves.append(torch.polar(torch.ones_like(angle), angle))
    (rows, row_gains), (columns, column_gains) = gains
    spectrum = torch.fft.fft2(x)[..., rows, :][..., columns]
    weighted = row_gains[:, None] * spectrum * column_gains
    image: Tensor = (waves[0].to(weighted.dtype) @ weighted @ waves[1].T.to(weighted.dtype)).real
    return image


# --- pooling by the spectrum --------------------------------------------------------------------


def resized_spectrum(
    spectrum: Tensor, axis: int, target: int, window: str | None, nyquist: str, norm: str
) -> Tensor:
    """One axis of a full spectrum, unnormalised, as that of another number of samples.

    Bins are taken over by signed frequency. At the smaller size's Nyquist frequency two bins meet
    in one, or one becomes two; where the sizes are equal it is a bin as any other.

    Args:
        spectrum: complex, of N samples along the axis.
        axis: that changes.
        target: M, bins of the result.
        window: None or "hamming", whose square root is applied.
        nyquist: the weight of each bin at the Nyquist frequency of the smaller size.
        norm: which scale factors the two transforms have together.

    Returns:
        What torch's inverse transform with ``norm="forward"``, which has no factor, is to be given.
    """
    size = spectrum.shape[axis]
    kept = min(size, target)
    weights = {"half": 0.5, "ortho": 0.5**0.5, "sum": 1.0 if target < size else 0.5, "zero": 0.0}
    factor = {"forward": size, "ortho": math.sqrt(size * target), "backward": target}[norm]
    bins = spectrum.movedim(axis, 0)
    rows: list[Tensor] = [torch.zeros_like(bins[0])] * target
    for k in range(-(kept // 2), kept // 2 + 1):
        gain = 1 / factor
        if window is not None:
            gain *= math.sqrt(0.54 + 0.46 * math.cos(2 * math.pi * k / size))
        if 2 * abs(k) == kept:
            if size == target and k < 0:
                continue  # the same bin as +k
            gain *= 1.0 if size == target else weights[nyquist]
        rows[k % target] = rows[k % target] + gain * bins[k % size]
    return torch.stack(rows).movedim(0, axis)


def _spectral_pooled(
    x: Tensor,
    output_size: Any,
    scale_factor: Any,
    window: str | None,
    nyquist: str,
    norm: str,
    dims: int,
) -> Tensor:
    axes = tuple(range(-dims, 0))
    factors = zip(x.shape[-dims:], _per_axis(scale_factor, dims), strict=True)
    targets = [math.ceil(side * factor) for side, factor in factors]
    if output_size is not None:
        targets = _per_axis(output_size, dims)
    spectrum = torch.fft.fftn(x, dim=axes)
    for axis, target in zip(axes, targets, strict=True):
        spectrum = resized_spectrum(spectrum, axis, target, window, nyquist, norm)
    y: Tensor = torch.fft.ifftn(spectrum, dim=axes, norm="forward").real
    return y


def spectral_pool1d(
    x: Tensor,
    output_size: Any = None,
    *,
    scale_factor: Any = 0.5,
    window: str | None = None,
    nyquist: str = "half",
    norm: str = "forward",
) -> Tensor:
    """The spectrum cropped, or continued with zeros: [..., n]."""
    return _spectral_pooled(x, output_size, scale_factor, window, nyquist, norm, 1)


def spectral_pool2d(
    x: Tensor,
    output_size: Any = None,
    *,
    scale_factor: Any = 0.5,
    window: str | None = None,
    nyquist: str = "half",
    norm: str = "forward",
) -> Tensor:
    """The same along height and width: [..., h, w]."""
    return _spectral_pooled(x, output_size, scale_factor, window, nyquist, norm, 2)


def flc_pool2d(x: Tensor, output_size: Any = None) -> Tensor:
    """The shifted spectrum cropped around DC, and the real part of what comes back: [..., h, w].

    An even crop has the negative Nyquist frequency and not the positive one.
    """
    height, width = x.shape[-2:]
    if output_size is None:
        h, w = (max(1, 3 * side // 4 - side // 4) for side in (height, width))
    else:
        h, w = _per_axis(output_size, 2)
    top, left = height // 2 - h // 2, width // 2 - w // 2  # DC is at N // 2, and goes to n // 2
    spectrum = torch.fft.fftshift(torch.fft.fft2(x, norm="forward"), dim=(-2, -1))
    cropped = spectrum[..., top : top + h, left : left + w]
    y: Tensor = torch.fft.ifft2(torch.fft.ifftshift(cropped, dim=(-2, -1)), norm="forward").real
    return y


# --- convolutions -------------------------------------------------------------------------------


def _convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    dims: int,
) -> Tensor:
    """y[o, t] = bias[o] + sum of weight[o, c, k] x[c, s t + d k - p] over k, and c in o's group."""
    kernel = weight.shape[2:]
    steps, spread = _per_axis(stride, dims), _per_axis(dilation, dims)
    ends = _convolution_ends(padding, kernel, spread)
    for axis, (before, after) in enumerate(ends):
        x = padded(x, axis - dims, before, after, "zeros")
    counts = [
        (x.shape[axis - dims] - spread[axis] * (kernel[axis] - 1) - 1) // steps[axis] + 1
        for axis in range(dims)
    ]
    blocks = weight.reshape(groups, -1, *weight.shape[1:])
    grouped = x.reshape(*x.shape[: -dims - 1], groups, -1, *x.shape[-dims:])
    y = x.new_zeros(())
    for index, k in enumerate(itertools.product(*(range(count) for count in kernel))):
        met = grouped
        for axis in range(dims):
            start = spread[axis] * k[axis]
            places = torch.arange(counts[axis], device=x.device) * steps[axis] + start
            met = met.index_select(axis - dims, places)
        tap = blocks.flatten(3)[..., index]
        y = y + torch.einsum("goc,...gcs->...gos", tap, met.flatten(-dims))
    y = y.reshape(*x.shape[: -dims - 1], weight.shape[0], *counts)
    return y if bias is None else y + bias.reshape(-1, *[1] * dims)


def _convolution_ends(
    padding: Any, kernel: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    amounts = _per_axis(0 if padding == "valid" else padding, len(kernel))
    return [(amount, amount) for amount in amounts]


def fft_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The convolution of neural networks, tap by tap: [..., Cin, N] to [..., Cout, n]."""
    return _convolved(x, weight, bias, stride, padding, dilation, groups, 1)


def fft_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The convolution of neural networks, tap by tap: [..., Cin, H, W] to [..., Cout, h, w]."""
    return _convolved(x, weight, bias, stride, padding, dilation, groups, 2)


def band_limited_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    *,
    band: Any,
    fft_size: Any,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """x and weight at the start of one grid, of which the bins |k| <= band are multiplied.

    The circular correlation r[t] = sum_k weight[k] x[t + d k] of what is left of both has the
    outputs at t = s i - p; band and grid are given here.
    """
    steps, spread = _per_axis(stride, 2), _per_axis(dilation, 2)
    grid, most = _per_axis(fft_size, 2), _per_axis(band, 2)
    kernel = weight.shape[2:]
    ends = _convolution_ends(padding, kernel, spread)
    apart = weight.new_zeros(*weight.shape[:2], *grid)
    apart[..., : spread[0] * kernel[0] : spread[0], : spread[1] * kernel[1] : spread[1]] = weight
    k = [torch.fft.fftfreq(side, 1 / side, dtype=torch.float64).to(x.device) for side in grid]
    kept = [one.abs().round() <= bound for one, bound in zip(k, most, strict=True)]
    spectrum = torch.fft.fft2(x, s=grid) * (kept[0][:, None] & kept[1])
    share = [x.shape[-3] // groups, weight.shape[0] // groups]
    grouped = spectrum.reshape(*x.shape[:-3], groups, share[0], *grid)
    blocks = torch.fft.fft2(apart).conj().reshape(groups, share[1], share[0], *grid)
    product = torch.einsum("...gcuv,gocuv->...gouv", grouped, blocks).flatten(-4, -3)
    correlation: Tensor = torch.fft.ifft2(product).real
    for axis in range(2):
        before, after = ends[axis]
        length = x.shape[axis - 2] + before + after - spread[axis] * (kernel[axis] - 1) - 1
        places = torch.arange(length // steps[axis] + 1, device=x.device) * steps[axis] - before
        correlation = correlation.index_select(axis - 2, places % grid[axis])
    return correlation if bias is None else correlation + bias[:, None, None]


def band_limited_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    *,
    band: int,
    fft_size: int,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """As planes of height 1: [..., Cin, N] to [..., Cout, n]."""
    rows = x.unsqueeze(-2), weight.unsqueeze(-2)
    numbers = (1, stride), (0, padding)
    options: dict[str, Any] = {"band": (0, band), "fft_size": (1, fft_size), "groups": groups}
    return band_limited_conv2d(*rows, bias, *numbers, **options, dilation=(1, dilation)).squeeze(-2)


def band_for_energy(x: Tensor, share: float, fft_size: Sequence[int]) -> int:
    """The smallest n whose bins, |k| <= n along every axis, hold a share of sum |X|^2."""
    axes = tuple(range(-len(fft_size), 0))
    power = torch.fft.fftn(x, s=tuple(fft_size), dim=axes).abs().square()
    far = torch.zeros((), device=x.device)
    for axis, side in zip(axes, fft_size, strict=True):
        k = torch.fft.fftfreq(side, 1 / side, dtype=torch.float64).abs().round().to(x.device)
        far = torch.maximum(far, k.reshape(-1, *[1] * (-axis - 1)))
    for n in range(max(fft_size) // 2):
        if float(power[..., far <= n].sum()) >= share * float(power.sum()):
            return n
    return max(fft_size) // 2


def spectral_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    modes: Sequence[int],
    output_size: Any = None,
) -> Tensor:
    """One matrix per frequency: [..., Cin, H, W] to [..., Cout, H, W], then resized."""
    height, width = x.shape[-2:]
    spectrum = torch.fft.fft2(x, norm="forward")
    half = x.new_zeros(*x.shape[:-3], weight.shape[1], height, width // 2 + 1) * 1j
    for j, column in itertools.product(range(modes[0]), range(modes[1] // 2 + 1)):
        row = j - modes[0] // 2
        if not -(height // 2) <= row < (height + 1) // 2 or column > width // 2:
            continue
        matrix = torch.complex(weight[:, :, j, column, 0], weight[:, :, j, column, 1])
        half[..., row % height, column] = spectrum[..., row % height, column] @ matrix
    y: Tensor = torch.fft.ifft2(full_response(half, (height, width)), norm="forward").real
    if output_size is not None:
        y = spectral_pool2d(y, output_size)
    return y if bias is None else y + bias[:, None, None]
