"""From the command line's MODEL word to a callable with its own normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from freqops.evaluation.errors import InputError, first_line
from freqops.evaluation.images import Geometry
from freqops.evaluation.words import is_factory, made_by_factory, nearest, optional_import

FORMS = "demo, torchvision:NAME, timm:NAME, package.module:factory or PATH.pt2"
Statistics = tuple[Sequence[float], Sequence[float]]


@dataclass
class LoadedModel:
    """A model and what its weights expect of the images.

    Attributes:
        name: short name for tables and legends.
        model: pixels [N, C, H, W] (normalised) -> class scores.
        normalize: (mean, std) its weights were trained with; None when unknown or built in.
        geometry: resize and crop its weights were trained with.
        untrained: its weights are random.
    """

    name: str
    model: Callable[[Tensor], Any]
    normalize: Statistics | None = None
    geometry: Geometry | None = None
    untrained: bool = False


def load_model(word: str = "demo", weights: str | None = None) -> LoadedModel:
    """Returns the model a MODEL word stands for.

    Args:
        word: "demo" | "torchvision:resnet18" | "timm:resnet18" | "package.module:factory", a
            function without arguments | "model.pt2" from torch.export.save. "name=word" gives it
            another name.
        weights: None | "DEFAULT" (the weights torchvision or timm offer) | path of a .safetensors
            or .pt state dict. A last layer of another size is adopted for torchvision and timm.

    Raises:
        InputError: in one sentence, whatever is wrong with the model or its weights.
    """
    name, separator, rest = word.partition("=")
    if separator and name.replace("-", "_").replace(".", "_").isidentifier():
        loaded = load_model(rest, weights)
        loaded.name = name
        return loaded
    source, colon, rest = word.partition(":")
    if word == "demo":
        from freqops import demo

        _no_weights(word, weights)
        return LoadedModel("demo", demo.model())
    if colon and source in ("torchvision", "timm"):
        return (_torchvision if source == "torchvision" else _timm)(rest, weights)
    if word.endswith(".pt2"):
        _no_weights(word, weights)
        return LoadedModel(Path(word).stem, _exported(Path(word).expanduser()))
    if is_factory(word):
        return _from_factory(word, weights)
    raise InputError(f"model {word}: unknown; MODEL is {FORMS}{nearest(word, ['demo'])}")


def load_models(words: Sequence[str], weights: Sequence[str] = ()) -> dict[str, LoadedModel]:
    """Returns {name: model} for several words; equal names get #2, #3, ...

    Args:
        words: MODEL words.
        weights: none, one for all models, or one per model ("" or "none" for none).
    """
    if len(weights) not in (0, 1, len(words)):
        raise InputError(f"weights: give one for all models or one each, got {len(weights)}")
    each = list(weights) * len(words) if len(weights) == 1 else list(weights) or [""] * len(words)
    models: dict[str, LoadedModel] = {}
    for word, weight in zip(words, each, strict=True):
        loaded = load_model(word, None if weight.lower() in ("", "none") else weight)
        name, number = loaded.name, 1
        while loaded.name in models:
            number += 1
            loaded.name = f"{name}#{number}"
        models[loaded.name] = loaded
    return models


def _no_weights(word: str, weights: str | None) -> None:
    if weights is not None:
        raise InputError(f"model {word}: carries its own weights, it takes no --weights")


def _exported(path: Path) -> Callable[[Tensor], Any]:
    if not path.exists():
        raise InputError(f"model {path}: no such file")
    try:
        return torch.export.load(path).module()
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise InputError(f"model {path}: can't be read as an exported model ({reason})") from error


def _from_factory(word: str, weights: str | None) -> LoadedModel:
    model = made_by_factory(word, "model")
    if not callable(model):
        raise InputError(f"model {word}: must be callable, got {type(model).__name__}")
    if weights is not None:
        if not isinstance(model, nn.Module) or weights == "DEFAULT":
            raise InputError(f"model {word}: --weights {weights} doesn't apply to it")
        _load_strictly(model, _state_dict(weights), word, weights)
    return LoadedModel(word.rpartition(":")[2], model)


def _torchvision(name: str, weights: str | None) -> LoadedModel:
    zoo = optional_import("torchvision.models", f"model torchvision:{name}")
    if name not in zoo.list_models():
        raise InputError(f"model: torchvision has no {name!r}{nearest(name, zoo.list_models())}")
    if weights != "DEFAULT":
        return _built(name, f"torchvision:{name}", weights, lambda n: zoo.get_model(name, **n))
    try:
        chosen = zoo.get_model_weights(name).DEFAULT
        model = zoo.get_model(name, weights=chosen)
    except Exception as error:
        raise InputError(f"model torchvision:{name}: no weights ({first_line(error)})") from error
    preset = chosen.transforms()
    geometry = None
    if hasattr(preset, "crop_size"):
        geometry = Geometry(preset.resize_size[0], preset.crop_size[0])
    return LoadedModel(name, model, (preset.mean, preset.std), geometry)


def _timm(name: str, weights: str | None) -> LoadedModel:
    timm = optional_import("timm", f"model timm:{name}")
    if not timm.is_model(name.partition(".")[0]):
        raise InputError(f"model: timm has no {name!r}{nearest(name, timm.list_models())}")
    if weights != "DEFAULT":
        return _built(name, f"timm:{name}", weights, lambda n: timm.create_model(name, **n))
    try:
        model = timm.create_model(name, pretrained=True)
    except Exception as error:
        raise InputError(f"model timm:{name}: no weights ({first_line(error)})") from error
    preset = model.pretrained_cfg
    side = preset["input_size"][-1]
    geometry = Geometry(round(side / preset.get("crop_pct", 0.875)), side)
    return LoadedModel(name, model, (preset["mean"], preset["std"]), geometry)


def _built(
    name: str, word: str, weights: str | None, build: Callable[[dict[str, int]], nn.Module]
) -> LoadedModel:
    """Builds a model from a zoo and loads a file of weights, adopting its number of classes."""
    try:
        model = build({})
    except Exception as error:
        raise InputError(f"model {word}: can't be built ({first_line(error)})") from error
    if weights is None:
        return LoadedModel(name, model, untrained=True)
    state = _state_dict(weights)
    classes = _other_class_count(model, state)
    if classes is not None:
        model = build({"num_classes": classes})
    _load_strictly(model, state, word, weights)
    return LoadedModel(name, model)


def _other_class_count(model: nn.Module, state: Mapping[str, Tensor]) -> int | None:
    """Returns the one leading size by which all tensors of another shape differ, if it is one."""
    own = model.state_dict()
    differing = [k for k, v in state.items() if k in own and own[k].shape != v.shape]
    counts = {int(state[key].shape[0]) for key in differing if state[key].dim()}
    same_rest = all(own[key].shape[1:] == state[key].shape[1:] for key in differing)
    return counts.pop() if len(counts) == 1 and same_rest else None


def _state_dict(weights: str) -> dict[str, Tensor]:
    """Reads a state dict; wrappers that trainers put around it are taken off."""
    path = Path(weights).expanduser()
    if not path.exists():
        raise InputError(f"weights {weights}: no such file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"weights {weights}: can't be read ({first_line(error)})") from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not any(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"weights {weights}: hold no state dict")
    tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    for prefix in ("module.", "_orig_mod."):
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


def _load_strictly(model: nn.Module, state: Mapping[str, Tensor], word: str, weights: str) -> None:
    own = model.state_dict()
    missing = [key for key in own if key not in state]
    surplus = [key for key in state if key not in own]
    shaped = [key for key in own if key in state and own[key].shape != state[key].shape]
    if missing or surplus or shaped:
        problem = (
            f"{missing[0]} is missing"
            if missing
            else f"{surplus[0]} has no place"
            if surplus
            else f"{shaped[0]} is {list(state[shaped[0]].shape)}, not {list(own[shaped[0]].shape)}"
        )
        count = len(missing) + len(surplus) + len(shaped)
        more = f", and {count - 1} more" if count > 1 else ""
        raise InputError(f"weights {weights}: don't fit model {word}: {problem}{more}")
    model.load_state_dict(state)
