"""What an exact convolution costs each way: by torch's own kernels, or through the spectrum.

All numbers are nanoseconds of one core of a Zen 4 with AVX-512, fitted to the measurements that
benchmarks/convolution_costs.py repeats; it also says where the choice is wrong. Only their ratios
matter. Where both ways are close, torch's own is kept (_MARGIN): nobody is to lose by having asked.

Torch's own goes by whether oneDNN has a kernel. Depthwise in float32 and bfloat16 it does have one,
while the taps of a row reach less than 14 samples, contiguous, or are not spread apart,
channels_last. Beyond, and always in float64 and (on most processors) float16, a plain loop is 20
to 200 times slower. The gradient of a depthwise weight takes a slow loop in every case but 3x3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from freqops.ops._checks import LARGEST_PLANE
from freqops.ops._convolution_rules import Geometry, grids
from freqops.ops._layout import is_channels_last
from freqops.ops._taps import remembered

ALGORITHMS = (None, "direct", "fft")

_MARGIN = 1.15
_MANY_MARGIN = 1.3  # products of spectra wait for memory, which more cores do not make faster
_LONG = 13  # samples from the first tap of a row to the last: oneDNN's depthwise kernels end here
# On CUDA, multiplications per sample of the grid: estimated from the traffic of both ways, with
# torch's depthwise kernels as fast as they could be. Other convolutions are cuDNN's.
_CUDA_DEPTHWISE = 60
# A traced graph serves all sizes: it is made for these.
_SOME_IMAGES, _SOME_SIDE = 16, 56

# --- torch's own --------------------------------------------------------------------------------

# A multiplication of a depthwise convolution, forward, contiguous and channels_last.
_SERVED = (0.0225, 0.0187)
_ROWS = (0.0225, 0.022)  # of taps that reach further, channels_last
_LOOP = (0.55, 0.24)  # the same where a plain loop takes over: spread apart, channels_last
_FORWARD_SAMPLE = 0.45  # of input or output, beside
# All weights of a kernel of 12 or 13 taps a row lie in the innermost loop of the channels_last one,
# which takes several times as long where they leave the first cache.
_CROWDED_TAPS, _CROWDED_BYTES, _CROWDED = 12, 48 << 10, 0.068
# Forward and both gradients: of 3x3 taps side by side, of others, of those beyond _LONG, all of
# them; then of taps spread apart, and what a stride makes more expensive.
_TRAINED = {
    "narrow": (0.55, 0.42),
    "served": (0.83, 0.42),
    "long": (1.38, 0.90),
    "dilated": (1.80, 0.80),
}
_TRAINED_STRIDE = 1.25
# Channels_last again: of weights of so many numbers together, and of taps spread apart at a stride.
_TRAINED_CROWDED_WEIGHTS, _TRAINED_CROWDED, _TRAINED_SPARSE = 1 << 16, 1.6, 3.4
# Types without kernels of their own: forward, and with both gradients.
_NEGLECTED = {
    (torch.float64, False): (0.55, 3.9),
    (torch.float64, True): (1.6, 10.0),
    (torch.float16, False): (0.75, 4.0),
    (torch.float16, True): (2.8, 12.5),
}
# A multiplication of a convolution of many channels: of the processor's matrix kernels, and of
# rows of taps beyond _LONG, contiguous. Forward, and with both gradients.
_DENSE = {False: 0.0172, True: 0.055}
_DENSE_LONG = {False: 0.0270, True: 0.095}
# Channels_last, the gradient of a long kernel's weight is left to a plain loop for a few images of
# 16 to 64 channels; those of 3 channels, say, are twice as dear as others in either format.
_DENSE_LOOP, _DENSE_LOOP_IMAGES, _DENSE_LOOP_CHANNELS = 4.0, 4, range(16, 65)
_DENSE_FEW, _DENSE_FEW_CHANNELS = 0.12, 8
_DENSE_OUTPUT = 0.6
_DENSE_TYPES = {torch.bfloat16: 0.5, torch.float64: 4.8, torch.float16: 30.0}

# --- through the spectrum -----------------------------------------------------------------------

# What an op has more of than torch's convolution: Python, and its own code and tables, which a
# network's other layers have driven out of the caches. Then a sample of a kept spectrum, which has
# to come from memory for the same reason.
_CALL = 120_000.0
_KEPT_SAMPLE = 0.7
_TRAINED_CALL = 300_000.0
# A sample of the grid of a depthwise plane there and back, contiguous and channels_last, times that
# in float64; a plane. Two images share a transform.
_GRID_SAMPLE = (2.0, 2.8)
_IN_DOUBLE = 2.4
_PLANE = 180.0
# In training: a sample of every plane's grid, and of every kernel's, whose spectra are made anew.
_TRAINED_SAMPLE = (6.5, 13.0)
_TRAINED_KERNEL = (27.0, 28.0)
_TRAINED_CHANNEL = 2000.0
_TRAINED_IN_DOUBLE = 1.7
# A sample of a line's grid: forward, in training.
_LINE_SAMPLE = {False: 3.0, True: 25.0}
# Channels with one another: a sample of a plane's grid; one of a kernel's, whose spectrum is read
# once; one of every product of the two. Forward, and in training.
_MANY = {False: (5.0, 0.43, 0.034), True: (20.0, 11.0, 0.2)}
# In training the spectra of a kernel are made anew, in memory that the system takes back each time
# where they are large: samples of all its grids together, and what one costs then.
_LARGE_KERNEL, _LARGE = 8 << 20, 28.0


class _Call(NamedTuple):
    """What the costs depend on: plain numbers, so that answers can be remembered.

    Attributes:
        dtype: of x.
        last: whether x is channels_last.
        training: whether gradients will be asked for.
        images: N.
        inputs: channels of x.
        outputs: channels of the result.
        share: channels of x that meet in one output.
        taps: of a kernel.
        width: taps of a row.
        dilation: largest distance of the taps.
        spread: distance of the taps of a row.
        stride: product of the strides.
        sides: axes of a plane.
        sources: samples of a plane of x.
        samples: of a plane of the result.
        grid: samples of the transforms.
    """

    dtype: torch.dtype
    last: bool
    training: bool
    images: int
    inputs: int
    outputs: int
    share: int
    taps: int
    width: int
    dilation: int
    spread: int
    stride: int
    sides: int
    sources: int
    samples: int
    grid: int


def method(
    x: Tensor, weight: Tensor, outputs: Sequence[Any], geometry: Geometry, device: str
) -> str:
    """Which way an exact convolution takes: "direct", torch's own, or "fft".

    Args:
        x: the planes; their memory format counts, and whether a gradient is asked for.
        weight: the kernel; likewise.
        outputs: sizes of the result.
        geometry: of the convolution.
        device: type of the device they lie on.
    """
    call = _described(x, weight, outputs, geometry)
    if call.grid > LARGEST_PLANE:
        return "direct"
    if device != "cpu":
        work = call.taps * call.samples / call.grid
        return "fft" if call.share == 1 and work >= _CUDA_DEPTHWISE else "direct"
    return "fft" if _prefers_fft(call) else "direct"


def _described(x: Tensor, weight: Tensor, outputs: Sequence[Any], geometry: Geometry) -> _Call:
    kernel, dims = tuple(weight.shape[2:]), len(geometry.stride)
    if torch.compiler.is_compiling():
        sides: tuple[Any, ...] = (_SOME_SIDE,) * dims
        made: tuple[Any, ...] = tuple(-(-_SOME_SIDE // step) for step in geometry.stride)
        reaches = [d * (k - 1) // 2 for k, d in zip(kernel, geometry.dilation, strict=True)]
        images, grid = _SOME_IMAGES, math.prod([_SOME_SIDE + reach for reach in reaches])
    else:
        sides, made = tuple(x.shape[-dims:]), tuple(outputs)
        images = math.prod(x.shape[: -dims - 1])
        grid = math.prod(grids(sides, kernel, made, geometry))
    wanted = x.requires_grad or weight.requires_grad
    return _Call(
        dtype=x.dtype,
        last=is_channels_last(x),
        training=wanted and torch.is_grad_enabled(),
        images=images,
        inputs=weight.shape[1] * geometry.groups,
        outputs=weight.shape[0],
        share=weight.shape[1],
        taps=math.prod(kernel),
        width=kernel[-1],
        dilation=max(geometry.dilation),
        spread=geometry.dilation[-1],
        stride=math.prod(geometry.stride),
        sides=dims,
        sources=math.prod(sides),
        samples=math.prod(made),
        grid=grid,
    )


@remembered
def _prefers_fft(call: _Call) -> bool:
    if call.share > 1:
        return _dense(call) > _MANY_MARGIN * _dense_by_fft(call)
    return _depthwise(call) > _MARGIN * _depthwise_by_fft(call)


def _float16_served() -> bool:
    """Whether oneDNN computes in float16 here, as it does from Sapphire Rapids on."""
    return torch._C._has_mkldnn and bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())


_UNSERVED = (torch.float64,) if _float16_served() else (torch.float64, torch.float16)


def _depthwise(call: _Call) -> float:
    """By torch, an axis or two."""
    planes = call.images * call.outputs
    products = planes * call.samples * call.taps
    if call.dtype in _UNSERVED:
        return products * _NEGLECTED[call.dtype, call.training][call.last]
    reach, apart = call.spread * (call.width - 1), call.dilation > 1
    weights = call.outputs * call.taps
    if call.training:
        kind = "long" if reach >= _LONG else "narrow" if call.width <= 3 else "served"
        kind = "dilated" if apart else kind
        if call.last and apart and call.stride > 1:
            return products * _TRAINED_SPARSE
        if call.last and kind == "served" and weights > _TRAINED_CROWDED_WEIGHTS:
            return products * _TRAINED_CROWDED
        return products * _TRAINED[kind][call.last] * (_TRAINED_STRIDE if call.stride > 1 else 1)
    rate = _SERVED[call.last]
    if reach >= _LONG:
        rate = (_LOOP if apart or not call.last else _ROWS)[call.last]
    elif call.last and not apart and call.stride == 1 and call.width >= _CROWDED_TAPS:
        crowded = weights * call.dtype.itemsize > _CROWDED_BYTES
        rate = _CROWDED if crowded else rate
    return products * rate + planes * _FORWARD_SAMPLE * (call.sources + call.samples)


def _depthwise_by_fft(call: _Call) -> float:
    planes, double = call.images * call.outputs, call.dtype == torch.float64
    if call.sides == 1:
        sample = _LINE_SAMPLE[call.training] * (_IN_DOUBLE if double else 1)
        return (_TRAINED_CALL if call.training else _CALL) + planes * call.grid * sample
    if call.training:
        sample = call.images * _TRAINED_SAMPLE[call.last] + _TRAINED_KERNEL[call.last]
        channel = call.grid * sample * (_TRAINED_IN_DOUBLE if double else 1) + _TRAINED_CHANNEL
        return _TRAINED_CALL + call.outputs * channel
    sample = _GRID_SAMPLE[call.last] * (_IN_DOUBLE if double else 1)
    paired = 2 * -(-call.images // 2) * call.outputs
    kept = call.outputs * call.grid * _KEPT_SAMPLE
    return _CALL + kept + planes * _PLANE + paired * call.grid * sample


def _dense_rate(call: _Call) -> float:
    """Of a multiplication in float32."""
    long, whole = call.spread * (call.width - 1) >= _LONG, call.share == call.inputs
    if long and not call.last:
        return _DENSE_LONG[call.training]
    if call.training and call.share < _DENSE_FEW_CHANNELS:
        return _DENSE_FEW
    few = call.images <= _DENSE_LOOP_IMAGES and call.share in _DENSE_LOOP_CHANNELS
    if call.training and long and whole and few:
        return _DENSE_LOOP
    return _DENSE[call.training]


def _dense(call: _Call) -> float:
    """By torch, channels with one another."""
    outputs = call.images * call.outputs * call.samples
    rate = _dense_rate(call)
    scale = 1.0 if call.dtype == torch.float32 else _DENSE_TYPES[call.dtype]
    if call.dtype == torch.float16 and call.dtype not in _UNSERVED:
        scale = _DENSE_TYPES[torch.bfloat16]
    return outputs * (call.share * call.taps * rate * scale + _DENSE_OUTPUT)


def _dense_by_fft(call: _Call) -> float:
    plane, kernel, product = _MANY[call.training]
    pairs = call.outputs * call.share
    if call.training and pairs * call.grid > _LARGE_KERNEL:
        kernel = _LARGE
    samples = call.images * (call.inputs + call.outputs) * plane
    samples += pairs * (kernel + product * call.images)
    scale = _IN_DOUBLE if call.dtype == torch.float64 else 1.0
    return (_TRAINED_CALL if call.training else _CALL) + scale * samples * call.grid
