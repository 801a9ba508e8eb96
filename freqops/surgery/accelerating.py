"""accelerating: depthwise convolutions with large kernels become FFT convolutions, in place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from freqops.surgery.checks import check_model
from freqops.surgery.conversion import Conversion
from freqops.surgery.convert import convert
from freqops.surgery.recipes.convolutions import Accelerated, BandLimited, Faster
from freqops.surgery.recipes.placement import Placer
from freqops.surgery.sites.convolutions import find_convolutions
from freqops.surgery.sites.selection import Selection, selected
from freqops.surgery.sites.site import Site
from freqops.surgery.tracing.recorder import tensors_in
from freqops.surgery.tracing.trace import trace

_FASTER = ("predicted", "measured")


def accelerate(
    model: nn.Module,
    *,
    include: Selection = None,
    exclude: Selection = None,
    dry_run: bool = False,
    example: Any = None,
    faster: Faster = "predicted",
) -> Conversion:
    """Computes depthwise convolutions with large kernels by FFT where that is sooner, in place.

    A kernel of 31x31 taps takes 961 multiplications per output, transforms some 30 whatever the
    kernel. The result is the same up to rounding, at every input size. A convolution stays the same
    object with the same parameters and becomes an :class:`FFTConv2d`, ``state_dict`` keeps its keys
    and shapes. Calls of ``F.conv2d`` in a forward are converted too.

    For networks such as those of: `Ding et al. 2022, Scaling up your kernels to 31x31
    <https://arxiv.org/abs/2203.06717>`_; `Ding et al. 2024, UniRepLKNet
    <https://arxiv.org/abs/2311.15599>`_.

    Args:
        model: any module; changed in place.
        include: treats only these convolutions, as far as they gain: a name, a pattern
            ("stages.2*"), several, or a predicate of a site. Names are those of the report; a
            module's name stands for what is in it.
        exclude: leaves these alone, in the same words.
        dry_run: changes nothing; the report says what would be done.
        example: an input of the model (a tensor, a tuple or a dict of arguments), whose sizes
            decide; None guesses one.
        faster: what decides: "predicted", the rule by which :func:`fft_conv2d` chooses, at each
            call again for its sizes; "measured", both ways timed here, on the sizes of the run; or
            a predicate of a site, for any convolution, depthwise or not. What the last two choose
            is computed by FFT at any size.

    Returns:
        A :class:`Conversion`: what became of each convolution or why it was left alone, with
        ``.undo()``, ``.cost(example)``, ``.to_json()``.

    Raises:
        TypeError: model is no module, or an argument is of another type.
        ValueError: a name or `faster` is unknown, or the model is compiled, scripted or wrapped for
            several devices.

    Example:
        >>> model = nn.Conv2d(32, 32, 31, padding=15, groups=32)
        >>> report = accelerate(model, example=torch.rand(1, 32, 56, 56))
        >>> report[0].after
        'FFTConv2d, transforms of 72x72'
        >>> report.undo()
    """
    check_model("accelerate", model)
    if not callable(faster) and faster not in _FASTER:
        names = " or ".join(map(repr, _FASTER))
        raise ValueError(f"accelerate: faster must be {names} or a predicate, got {faster!r}")
    seen = trace(model, example)
    sites = find_convolutions(model, seen)
    chosen = selected("accelerate", sites, include, exclude)
    place, last = Placer(model, seen), _is_channels_last(model, example)
    rules = Accelerated(place, faster, channels_last=last)
    return convert(model, sites, chosen, rules, seen=seen, example=example, dry_run=dry_run)


def band_limit(
    model: nn.Module,
    compression: float,
    *,
    include: Selection = None,
    exclude: Selection = None,
    dry_run: bool = False,
    example: Any = None,
) -> Conversion:
    """Cuts the high frequencies of what convolutions read and of their kernels, in place.

    A convolution stays the same object with the same parameters and becomes a
    :class:`BandLimitedConv2d`, which computes with the lowest frequencies only; sizes and
    ``state_dict`` stay. It can be trained so, or a trained one be looked at.

    From: `Dziedzic et al. 2019, Band-limited training and inference for convolutional neural
    networks <https://arxiv.org/abs/1911.09287>`_, who cut every convolution of a network alike.

    Args:
        model: any module; changed in place.
        compression: in [0, 1), the share of the half spectrum's area that is cut; with 0 each
            convolution computes what it did.
        include: treats only these convolutions: a name, a pattern ("layer4*"), several, or a
            predicate of a site. Names are those of the report; a module's name stands for what is
            in it. None takes all but those of one tap, to which a band is a mere low-pass.
        exclude: leaves these alone, in the same words.
        dry_run: changes nothing; the report says what would be done.
        example: an input of the model (a tensor, a tuple or a dict of arguments) for the run; None
            guesses one. The report has the bands at its sizes.

    Returns:
        A :class:`Conversion`: the band of each convolution or why it was left alone, with
        ``.undo()``, ``.cost(example)``, ``.to_json()``.

    Raises:
        TypeError: model is no module, or an argument is of another type.
        ValueError: compression or a name has no meaning, or the model is compiled, scripted or
            wrapped for several devices.

    Example:
        >>> model = nn.Conv2d(3, 8, 3, padding=1)
        >>> report = band_limit(model, 0.5, example=torch.rand(1, 3, 30, 30))
        >>> report[0].after
        'BandLimitedConv2d(compression=0.5), 0-11x0-11 of 0-16x0-16 frequencies of 32x32 samples'
        >>> report.undo()
    """
    check_model("band_limit", model)
    _check_compression(compression)
    seen = trace(model, example)
    sites = [_doubted(site) for site in find_convolutions(model, seen)]
    chosen = selected("band_limit", sites, include, exclude)
    place, last = Placer(model, seen), _is_channels_last(model, example)
    rules = BandLimited(place, {"compression": float(compression)}, channels_last=last)
    return convert(model, sites, chosen, rules, seen=seen, example=example, dry_run=dry_run)


def _doubted(site: Site) -> Site:
    if site.window is None or set(site.kernel_size) != {1} or site.doubt:
        return site
    return replace(site, doubt="one tap: a band would be a low-pass only; include it by name")


def _check_compression(compression: object) -> None:
    if isinstance(compression, bool) or not isinstance(compression, (int, float)):
        raise TypeError(
            f"band_limit: compression must be a number, got {type(compression).__name__}"
        )
    if not 0 <= compression < 1:
        raise ValueError(f"band_limit: compression must be in [0, 1), got {compression}")


def _is_channels_last(model: nn.Module, example: Any) -> bool:
    """Whether the example or a weight is; one is enough for a convolution to make such a map."""
    tensors = [*tensors_in(example), *model.parameters()]
    images = [tensor for tensor in tensors if not is_lazy(tensor) and tensor.dim() == 4]
    last = torch.channels_last
    return any(one.is_contiguous(memory_format=last) and not one.is_contiguous() for one in images)
