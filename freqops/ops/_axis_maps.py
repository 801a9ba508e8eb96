"""One axis of N samples as one of M with the same low frequencies: its gains, and its matrix.

With K = min(N, M), X[k] the unnormalised transform of x, and one real gain for +k and -k each:

    y[m] = sum_{|k| < K/2} gain_k X[k] exp(2 pi i k m / M)  +  the bin K/2, where K is even:
           M < N: gain (X[K/2] + X[-K/2]) there;  M > N: gain X[N/2] at +N/2 and at -N/2;  M == N:
           gain X[N/2].

Written out, y = A x, where A[m, n] depends on (m N - n M) mod (N M) alone. The transpose is the
same rule with N and M exchanged and the same gains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from freqops.ops._layout import compute_dtype
from freqops.ops._responses import kept_for

# Weight of the bin K/2 where M != N, for M < N and for M > N.
_NYQUIST = {
    "half": (0.5, 0.5),
    "ortho": (0.5**0.5, 0.5**0.5),
    "sum": (1.0, 0.5),
    "zero": (0.0, 0.0),
    # FLC: as "half", but where both axes have that bin its corner is the mean of two diagonal
    # corners of the spectrum instead of four: see `outer_vectors`.
    "two_corner": (0.5, 0.5),
}
NYQUIST_RULES = ("half", "ortho", "sum", "zero")
NORMS = ("forward", "ortho", "backward")
WINDOWS = ("hamming",)

Rule: TypeAlias = tuple[str, str, str]  # window ("" for none), nyquist, norm


def is_rule(rule: Rule) -> bool:
    """Whether there are such a window, treatment of the Nyquist bin and norm."""
    window, nyquist, norm = rule
    return window in ("", *WINDOWS) and nyquist in _NYQUIST and norm in NORMS


def is_identity(size: int, target: int, rule: Rule) -> bool:
    """Whether an axis stays as it is: the same length, and no window."""
    return size == target and not rule[0]


def axis_gains(size: int, target: int, rule: Rule, device: torch.device | str) -> Tensor:
    """The gain of each bin k = 0 .. K//2, all scale factors included, float64.

    Args:
        size: N, samples of the axis of the input.
        target: M, samples of that of the output.
        rule: window over the input's bins, treatment of bin K/2 for even K, norm.
        device: of the result.
    """
    window, nyquist, norm = rule
    kept = min(size, target)
    scale = {"forward": size, "ortho": math.sqrt(size * target), "backward": target}[norm]
    k = torch.arange(kept // 2 + 1, dtype=torch.float64, device=device)
    gains = torch.full_like(k, 1 / scale)
    if window == "hamming":  # centred on DC and periodic: one at DC, the same at +k and -k
        gains = gains * (0.54 + 0.46 * torch.cos(2 * math.pi / size * k)).sqrt()
    if kept % 2 == 0 and size != target:
        last = _NYQUIST[nyquist][target > size]
        gains = torch.where(2 * k == kept, last * gains, gains)
    return gains


def axis_matrix(gains: Tensor, size: int, target: int) -> Tensor:
    """A [M, N] of these gains, of which it is a linear function; "mirrored" to the last bit.

    ``A[-m, -n] == A[m, n]``, indices modulo the sizes: equal entries are one number, and there are
    only lcm(N, M) // 2 + 1 of them.

    Args:
        gains: [K//2+1] with K = min(N, M), float64; differentiable.
        size: N.
        target: M.
    """
    distance, period = _distances(size, target, gains.device)
    # sum_k gain_k cos(2 pi k d / period) over +k and -k: of a short spectrum, a long inverse
    # transform. Bin K/2 is counted once where it is the period's own Nyquist bin: for M == N.
    values: Tensor = torch.fft.irfft(gains.to(torch.complex128), n=period, norm="forward")
    return values[torch.minimum(distance, period - distance)]


def _distances(size: int, target: int, device: torch.device | str) -> tuple[Tensor, int]:
    """(m N - n M) / gcd(N, M) modulo lcm(N, M), and the latter: what an entry of A depends on."""
    common = math.gcd(size, target)
    period = size // common * target
    m = torch.arange(target, device=device)[:, None] * (size // common)
    n = torch.arange(size, device=device) * (target // common)
    return (m - n) % period, period


def _cosines(numerator: Tensor, period: int) -> Tensor:
    """cos(2 pi numerator / period): angles are reduced to [0, pi / 4] as integers."""
    half_turns = 2 * (numerator % period)  # of a circle of 2 * period
    half_turns = torch.minimum(half_turns, 2 * period - half_turns)
    turned = 2 * half_turns > period
    quarter = torch.where(turned, period - half_turns, half_turns)
    sine = 4 * quarter > period
    angle = torch.where(sine, period - 2 * quarter, 2 * quarter).double() * (math.pi / 2 / period)
    value = torch.where(sine, angle.sin(), angle.cos())
    return torch.where(turned, -value, value)


def cancels(size: int, target: int, rule: Rule, device: torch.device | str) -> Tensor:
    """Where the entries of A are zero, decided in integers: [M, N], bool.

    Without a window every bin has the same gain, save that of K/2. So an entry is the ratio of
    sin(B u) to sin(u) or tan(u), with u = pi (m N - n M) / (N M) and B bins.
    """
    window, nyquist, _ = rule
    kept = min(size, target)
    bins = kept
    if kept % 2 == 0 and size != target:
        weight = _NYQUIST[nyquist][target > size]
        bins = {0.0: kept - 1, 0.5: kept, 1.0: kept + 1}.get(weight, 0)
    distance, period = _distances(size, target, device)
    if window or not bins:
        return torch.zeros_like(distance, dtype=torch.bool)
    return (distance * bins % period == 0) & (distance != 0)


def has_corner(sizes: Sequence[int], targets: Sequence[int]) -> bool:
    """Whether the rule "two_corner" differs from "half": both axes are cropped to an even size."""
    return all(
        target < size and target % 2 == 0 for size, target in zip(sizes, targets, strict=True)
    )


def outer_vectors(
    sizes: Sequence[int], targets: Sequence[int], gains: Sequence[Tensor], *, transposed: bool
) -> Tensor:
    """p_h, q_h, p_w, q_w in one vector, for the corner bin of the rule "two_corner".

    Added to the separable map, ``p_h (q_h^T x q_w) p_w^T`` takes that bin from the mean of four
    corners of the spectrum to that of two: with (a, b) = (h/2, w/2), from
    (Re X[a, b] + Re X[a, -b]) / 2 to Re X[a, b].

    Args:
        sizes: (H, W) of what is cropped.
        targets: (h, w), both even and smaller.
        gains: of both axes.
        transposed: for the way back, from (h, w) to (H, W).
    """
    # Re X[a, b] - Re X[a, -b] = -2 sum x sin(2 pi a y / H) sin(2 pi b x / W), and the corner of a
    # real image of even sizes is seen once, with gain 2 per axis.
    signs = (-1.0, 1.0)
    parts = []
    for size, target, gain, sign in zip(sizes, targets, gains, signs, strict=True):
        m = torch.arange(target, device=gain.device)
        n = torch.arange(size, device=gain.device)
        p = sign * 2 * gain[-1] * (1.0 - 2.0 * (m % 2).double())
        # sin(pi M n / N) as the cosine of an angle less a quarter turn, in fourths of N.
        q = _cosines(2 * target * n - size, 4 * size)
        parts += [q, p] if transposed else [p, q]
    return torch.cat(parts)


# --- kept for calls to come ---------------------------------------------------------------------


def kept_gains(x: Tensor, size: int, target: int, rule: Rule) -> Tensor:
    """:func:`axis_gains` for tensors like x; shared between calls, not to be written to."""
    key = (axis_gains, size, target, rule, x.device)
    return kept_for(x, key, lambda: axis_gains(size, target, rule, x.device))


def kept_matrix(x: Tensor, size: int, target: int, rule: Rule, transposed: bool) -> Tensor:
    """:func:`axis_matrix` or its transpose, for tensors like x, in their compute dtype.

    Args:
        x: the map; its device and dtype count.
        size: N, of what is cropped; the transpose takes M samples and gives N.
        target: M.
        rule: as :func:`axis_gains` takes it.
        transposed: whether the transpose is wanted.
    """
    dtype = compute_dtype(x.dtype)

    def built() -> Tensor:
        gains = axis_gains(size, target, rule, x.device)
        matrix = axis_matrix(gains, size, target)
        # Sums that cancel leave rounding errors, which a kernel could not skip.
        matrix = torch.where(cancels(size, target, rule, x.device), 0.0, matrix).to(dtype)
        return matrix.T.contiguous() if transposed else matrix

    key = (axis_matrix, size, target, rule, transposed, dtype, x.device)
    return kept_for(x, key, built)


def kept_outer(
    x: Tensor, sizes: tuple[int, ...], targets: tuple[int, ...], rule: Rule, transposed: bool
) -> Tensor:
    """:func:`outer_vectors` for tensors like x, in their compute dtype."""
    dtype = compute_dtype(x.dtype)

    def built() -> Tensor:
        pairs = zip(sizes, targets, strict=True)
        gains = [axis_gains(size, target, rule, x.device) for size, target in pairs]
        return outer_vectors(sizes, targets, gains, transposed=transposed).to(dtype)

    key = (outer_vectors, sizes, targets, rule, transposed, dtype, x.device)
    return kept_for(x, key, built)
