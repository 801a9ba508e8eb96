"""Rows of convolutions with large kernels, and cut to a band: ours, torch's own, torch.fft.

*naive* is torch's convolution without TF32, *tuned* torch.fft on our grid with the weight's
spectrum made before. Backward rows make the gradients for x and for the weight, without autograd:
its kernels would run on another stream than the graph that is captured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from gpu_plan import Plan
from gpu_ways import Scene, Way
from torch import Tensor
from torch.nn import functional as F

import freqops
from freqops import reference
from freqops.ops._convolution_rules import fast_size

Pair = tuple[Tensor, Tensor]
_FORMS = ("plane", "lines")


class Sizes(NamedTuple):
    """Of a convolution that keeps the size: stride 1, odd kernels, half of them as padding."""

    side: int
    kernel: int
    groups: int
    band: int | None  # the highest index kept

    @property
    def padding(self) -> int:
        """Zeros on every side."""
        return self.kernel // 2

    @property
    def grid(self) -> int:
        """Side of the transforms: our ops' own choice, where no kernel has a list of them."""
        return fast_size(self.side + (self.padding if self.band is None else self.kernel - 1))

    @property
    def numbers(self) -> tuple[Any, ...]:
        """As the ops behind our functions take them."""
        grid, band = ([], []) if self.band is None else ([self.grid] * 2, [self.band] * 2)
        return [1, 1], [self.padding] * 2, [1, 1], self.groups, grid, band, 0.0


def scene(plan: Plan, inputs: Sequence[Tensor], kernels: Any) -> Scene:
    """The contenders of a row; the arguments are those of gpu_scene.scene."""
    x = inputs[0]
    sizes = _sizes(plan, x.shape[1])
    share = x.shape[1] // sizes.groups
    # Centred: sums of positive numbers would hide errors.
    weight = torch.rand(x.shape[1], share, plan.kernel, plan.kernel, device=x.device) - 0.5
    make = _backward if plan.backward else _forward
    ways, exact = make(sizes, inputs, weight.to(x.dtype), kernels)
    moved = x.numel() * (3 if plan.backward else 2)
    ways.append(Way("copy", "floor", torch.clone, [x.new_empty(moved // 2) for x in inputs]))
    return Scene(ways, exact, moved * x.element_size())


def _sizes(plan: Plan, channels: int) -> Sizes:
    dense = plan.op == "band_limited"
    whole = Sizes(plan.size, plan.kernel, 1 if dense else channels, 0 if dense else None)
    # Half of the frequencies along each axis.
    return whole._replace(band=whole.grid // 4) if dense else whole


Parts = tuple[list[Way], Callable[[list[int]], Tensor] | None]


# --- forward --------------------------------------------------------------------------------------


def _forward(sizes: Sizes, inputs: Sequence[Tensor], weight: Tensor, kernels: Any) -> Parts:
    ways = [Way("freqops", "ours", _ours(sizes, weight), inputs)]
    if sizes.band is None and kernels is not None:
        ways += [
            Way(form, "ours", call, inputs)
            for form, call in _through_forms(sizes, inputs[0], weight, kernels).items()
        ]
    role, first = _torch_is(sizes)
    wide = weight.to(memory_format=torch.channels_last)
    last = [x.to(memory_format=torch.channels_last) for x in inputs]
    ways += [
        Way(first, role, _torch(sizes, weight, tf32=False), inputs),
        Way("conv2d tf32", role, _torch(sizes, weight, tf32=True), inputs),
        Way("conv2d NHWC", role, _torch(sizes, wide, tf32=True), last),
        Way("tuned", "peer", _Spectra(sizes, weight).forward, inputs),
    ]
    if sizes.band is not None:
        ways.append(Way("naive", "peer", lambda x: _Spectra(sizes, weight).forward(x), inputs))

    def exact(images: list[int]) -> Tensor:
        y: Tensor = _reference(sizes, inputs[0][images].double().cpu(), weight.double().cpu())
        return y.to(inputs[0].device)

    return ways, exact


def _torch_is(sizes: Sizes) -> tuple[Any, str]:
    """A peer, or what a band-limited convolution stands in for without computing the same."""
    return ("peer", "naive") if sizes.band is None else ("floor", "conv2d")


def _ours(sizes: Sizes, weight: Tensor) -> Callable[[Tensor], Tensor]:
    options = {"padding": sizes.padding, "groups": sizes.groups}
    if sizes.band is None:
        return lambda x: freqops.fft_conv2d(x, weight, algorithm="fft", **options)
    limits = {"band": sizes.band, "fft_size": sizes.grid}
    return lambda x: freqops.band_limited_conv2d(x, weight, **options, **limits)


def _convolved(sizes: Sizes, x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, padding=sizes.padding, groups=sizes.groups)


def _reference(sizes: Sizes, x: Tensor, weight: Tensor) -> Tensor:
    if sizes.band is None:
        return _convolved(sizes, x, weight)
    limits = {"band": sizes.band, "fft_size": sizes.grid}
    return reference.band_limited_conv2d(x, weight, padding=sizes.padding, **limits)


def _torch(sizes: Sizes, weight: Tensor, *, tf32: bool) -> Callable[[Tensor], Tensor]:
    def call(x: Tensor) -> Tensor:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=tf32):
            if x.is_cpu:  # a dry run: half types would take minutes here
                return _convolved(sizes, x.float(), weight.float()).to(x.dtype)
            return _convolved(sizes, x, weight)

    return call


def _through_forms(
    sizes: Sizes, x: Tensor, weight: Tensor, kernels: Any
) -> dict[str, Callable[[Tensor], Tensor]]:
    """The kernel with the response made before, on the grid that each form would be given."""
    side = [sizes.side] * 2
    listed = kernels.fft_filter_padded_grid(side, [sizes.side + sizes.padding] * 2, side)

    def through(form: str, grid: list[int]) -> Callable[[Tensor], Tensor]:
        response = torch.fft.rfft2(_centred(sizes, weight.float(), grid[0])).conj()
        parts = response.real.contiguous(), response.imag.contiguous()
        return lambda x: kernels.fft_filter_padded_planes(x, *parts, grid, side, form)

    grids = dict(zip(_FORMS, (listed, [sizes.grid] * 2), strict=True))
    return {form: through(form, grid) for form, grid in grids.items() if grid}


def _centred(sizes: Sizes, weight: Tensor, grid: int) -> Tensor:
    """Depthwise kernels on the grid, the middle tap at the origin: [C, grid, grid]."""
    behind = [0, grid - sizes.kernel] * 2
    return F.pad(weight[:, 0], behind).roll((-sizes.padding,) * 2, (-2, -1))


# --- torch.fft ------------------------------------------------------------------------------------


class _Spectra:
    """A convolution by torch.fft; the weight's spectrum is made once."""

    def __init__(self, sizes: Sizes, weight: Tensor) -> None:
        self._sizes = sizes
        grid = [sizes.grid] * 2
        padded = F.pad(weight.float(), [0, grid[0] - sizes.kernel] * 2)
        padded = padded.roll((-sizes.padding,) * 2, (-2, -1))
        spectrum = torch.fft.rfft2(padded, norm="backward").conj()
        self._weight = self._kept(spectrum).resolve_conj()
        if sizes.band is not None:  # bins first, for a product of matrices each
            self._weight = _bins_first(self._weight.transpose(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """y of x."""
        spectrum = self._of(x)
        if self._sizes.band is None:
            product = spectrum * self._weight[:, 0]
        else:
            product = self._whole(torch.matmul(_bins_first(spectrum), self._weight))
        return self._back(product).to(x.dtype)

    def backward(self, pair: Pair) -> Pair:
        """The gradients for x and for the weight."""
        spectrum, gradient = (self._of(one) for one in pair)
        if self._sizes.band is None:
            product = gradient * self._weight[:, 0].conj()
            sums = (gradient.conj() * spectrum).sum(0)[:, None]
        else:
            spectrum, gradient = _bins_first(spectrum), _bins_first(gradient)
            product = self._whole(torch.matmul(gradient, self._weight.mH))
            sums = self._whole(torch.matmul(gradient.mH, spectrum))
        taps = torch.fft.irfft2(sums, s=[self._sizes.grid] * 2)
        taps = taps.roll((self._sizes.padding,) * 2, (-2, -1))
        kernel = self._sizes.kernel
        return self._back(product), taps[..., :kernel, :kernel]

    def _of(self, x: Tensor) -> Tensor:
        return self._kept(torch.fft.rfft2(x.float(), s=[self._sizes.grid] * 2))

    def _back(self, spectrum: Tensor) -> Tensor:
        side = self._sizes.side
        return torch.fft.irfft2(spectrum, s=[self._sizes.grid] * 2)[..., :side, :side]

    def _kept(self, spectrum: Tensor) -> Tensor:
        band = self._sizes.band
        if band is None:
            return spectrum
        rows = torch.cat([spectrum[..., : band + 1, :], spectrum[..., -band:, :]], -2)
        return rows[..., : band + 1]

    def _whole(self, products: Tensor) -> Tensor:
        kept = products.permute(2, 3, 0, 1)
        band, grid = self._sizes.band, self._sizes.grid
        assert band is not None
        whole = kept.new_zeros(*kept.shape[:2], grid, grid // 2 + 1)
        whole[..., : band + 1, : band + 1] = kept[..., : band + 1, :]
        whole[..., -band:, : band + 1] = kept[..., band + 1 :, :]
        return whole


def _bins_first(spectrum: Tensor) -> Tensor:
    """[a, b, bins...] as matrices [bins..., a, b]."""
    return spectrum.permute(2, 3, 0, 1).contiguous()


# --- backward -------------------------------------------------------------------------------------


def _backward(sizes: Sizes, inputs: Sequence[Tensor], weight: Tensor, kernels: Any) -> Parts:
    """Both gradients; that they are right is for the peers to say."""
    pairs = [(x, torch.rand_like(x) - 0.5) for x in inputs]
    wide = weight.to(memory_format=torch.channels_last)
    last = [tuple(one.to(memory_format=torch.channels_last) for one in pair) for pair in pairs]
    role, first = _torch_is(sizes)
    ways = [
        Way("freqops", "ours", _our_gradients(sizes, weight), pairs),
        Way(first, role, _torch_gradients(sizes, weight, tf32=False), pairs),
        Way("conv2d tf32", role, _torch_gradients(sizes, weight, tf32=True), pairs),
        Way("conv2d NHWC", role, _torch_gradients(sizes, wide, tf32=True), last),
        Way("tuned", "peer", _Spectra(sizes, weight).backward, pairs),
    ]
    if sizes.band is not None:
        ways.append(
            Way("naive", "peer", lambda pair: _Spectra(sizes, weight).backward(pair), pairs)
        )
    return ways, None


def _our_gradients(sizes: Sizes, weight: Tensor) -> Callable[[Pair], Pair]:
    ops, side, taps = torch.ops.freqops, [sizes.side] * 2, [sizes.kernel] * 2

    def call(pair: Pair) -> Pair:
        x, g = pair
        dx = ops.fft_conv_adjoint(g, weight, side, *sizes.numbers)
        return dx, ops.fft_conv_correlation(x, g, taps, *sizes.numbers)

    return call


def _torch_gradients(sizes: Sizes, weight: Tensor, *, tf32: bool) -> Callable[[Pair], Pair]:
    padding, wanted = [sizes.padding] * 2, [True, True, False]

    def call(pair: Pair) -> Pair:
        x, g = pair
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=tf32):
            dx, dw, _ = torch.ops.aten.convolution_backward(
                g, x, weight, None, [1, 1], padding, [1, 1], False, [0, 0], sizes.groups, wanted
            )
        return dx, dw

    return call
