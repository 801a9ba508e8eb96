"""antialiasing: makes a model's downsampling anti-aliased, in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from freqops.surgery.checks import check_model
from freqops.surgery.conversion import Conversion
from freqops.surgery.convert import convert
from freqops.surgery.recipes.named import RECIPES, Chosen
from freqops.surgery.recipes.placement import Placer
from freqops.surgery.recipes.recipe import Recipe
from freqops.surgery.sites.selection import Predicate, Selection, selected
from freqops.surgery.sites.site import Site
from freqops.surgery.sites.walk import find_sites
from freqops.surgery.tracing.trace import trace

_PADDING_MODES = ("reflect", "replicate", "zeros", "circular")


def antialias(
    model: nn.Module,
    recipe: str | Mapping[Predicate, Callable[[Site], nn.Module]] = "zhang",
    *,
    taps: int | Tensor | tuple[int | Tensor, ...] | None = None,
    padding_mode: str = "reflect",
    include: Selection = None,
    exclude: Selection = None,
    dry_run: bool = False,
    example: Any = None,
) -> Conversion:
    """Makes every downsampling site of a model anti-aliased, in place; a report comes back.

    The model is run once on fake tensors (nothing is computed) to see what calls what. Then pools,
    strided convolutions and calls such as ``F.max_pool2d`` in a forward get a low-pass, as the
    recipe has it. Parameters stay the same objects, ``state_dict`` keeps its keys and shapes, and
    every size behind a site is what it was, which a second run checks.

    From: `Zhang 2019, Making convolutional networks shift-invariant again
    <https://arxiv.org/abs/1904.11486>`_; `Vasconcelos et al. 2021, Impact of aliasing on
    generalization <https://arxiv.org/abs/2108.03489>`_; `Chaman and Dokmanic 2021, Truly
    shift-invariant convolutional neural networks <https://arxiv.org/abs/2011.14214>`_;
    `Grabinski et al. 2022, FrequencyLowCut pooling <https://arxiv.org/abs/2204.00491>`_;
    `composer's BlurPool <https://github.com/mosaicml/composer>`_.

    With an odd number of taps samples stay where they were. Averages are the exception, as in
    Zhang's code: in the place of an even window the taps are centred half a sample before it.

    Adaptive pools and interpolation are converted for the ratio seen in the run; at sizes with
    another one they are the function they were.

    Args:
        model: any module; changed in place.
        recipe: "zhang" (max pool: maximum at stride 1, then blur; strided convolution: at stride
            1, then blur behind its activation, before it where the kernel is 1x1; average: blur),
            "pool_only" (the same, pools only), "vasconcelos" (the blur directly behind the
            convolution), "composer" (blur at stride 1 in front of strided convolutions), "flc"
            (spectral pooling directly behind the convolution or maximum, or in the place of an
            average), "aps" (polyphase sampling), or {predicate of a site: factory of the module
            that samples it}.
        taps: how many (binomial for stride 2), or the taps [k] themselves, or one of these per
            axis; None is 3, for "aps" no blur; "flc" takes none. Axes of stride 1 are not blurred;
            interpolation that samples between two takes one more where that centres the taps.
        padding_mode: of the blurs: "reflect", "replicate", "zeros" or "circular".
        include: treats only these sites: a name, a pattern ("layer4*"), several, or a predicate of
            a site. Names are those of the report; a module's name stands for what is in it.
        exclude: leaves these alone, in the same words.
        dry_run: changes nothing; the report says what would be done.
        example: an input of the model (a tensor, a tuple or a dict of arguments) for the run;
            None guesses one.

    Returns:
        A :class:`Conversion`: what was done to each site or why it was left alone, with
        ``.undo()``, ``.cost(example)``, ``.to_json()``.

    Raises:
        TypeError: model is no module, or an argument is of another type.
        ValueError: the recipe, a mode or a name is unknown, the taps don't fit, or the model is
            compiled, scripted or wrapped for several devices.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2))
        >>> report = antialias(model)
        >>> report[0].after
        'stride 1, BlurPool2d(taps=3, stride=2) behind 1'
        >>> report[1].after
        'MaxBlurPool2d(kernel_size=2, taps=3, stride=2)'
        >>> report.undo()
    """
    check_model("antialias", model)
    _check_arguments(recipe, taps, padding_mode)
    seen = trace(model, example)
    sites = find_sites(model, seen)
    chosen = selected("antialias", sites, include, exclude)
    rules = _rules(recipe, Placer(model, seen), taps, padding_mode)
    return convert(model, sites, chosen, rules, seen=seen, example=example, dry_run=dry_run)


def _rules(recipe: Any, place: Placer, taps: Any, padding_mode: str) -> Recipe:
    if isinstance(recipe, str):
        return RECIPES[recipe](place, taps, padding_mode)
    return Chosen(place, recipe)


# --- checks -------------------------------------------------------------------------------------


def _check_arguments(recipe: object, taps: object, padding_mode: object) -> None:
    if isinstance(recipe, Mapping):
        if not recipe or not all(callable(one) for pair in recipe.items() for one in pair):
            raise TypeError("antialias: recipe must map predicates of a site to factories")
        if taps is not None:
            raise ValueError(
                "antialias: taps must be None where recipe has factories, which decide"
            )
    elif not isinstance(recipe, str) or recipe not in RECIPES:
        names = ", ".join(repr(name) for name in RECIPES)
        raise ValueError(f"antialias: recipe must be one of {names} or a mapping, got {recipe!r}")
    elif recipe == "flc" and (taps is not None or padding_mode != "reflect"):
        raise ValueError(
            "antialias: taps and padding_mode are those of a blur and must be left out for recipe "
            "'flc', which cuts the spectrum"
        )
    if padding_mode not in _PADDING_MODES:
        names = ", ".join(repr(name) for name in _PADDING_MODES)
        raise ValueError(f"antialias: padding_mode must be one of {names}, got {padding_mode!r}")
    for one in taps if isinstance(taps, (tuple, list)) else (taps,):
        _check_taps(one)


def _check_taps(taps: object) -> None:
    if taps is None or (isinstance(taps, int) and not isinstance(taps, bool) and taps >= 1):
        return
    if isinstance(taps, Tensor):
        if taps.dim() == 1 and taps.numel() and taps.is_floating_point():
            return
        raise ValueError(
            "antialias: taps must be floating-point of shape [k], got "
            f"{taps.dtype} of shape {list(taps.shape)}"
        )
    if isinstance(taps, int) and not isinstance(taps, bool):
        raise ValueError(f"antialias: taps must be at least 1, got {taps}")
    raise TypeError(
        f"antialias: taps must be an integer, a Tensor or one per axis, got {type(taps).__name__}"
    )
