"""Models under evaluation: their names, their mode, and one forward pass."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from freqops.evaluation.errors import InputError, first_line

Model = Callable[[Tensor], Any]
Statistics = tuple[tuple[float, ...], tuple[float, ...]]


def named_models(models: Model | Mapping[str, Model]) -> dict[str, Model]:
    """Returns {name: model}; a single model is called by its class or function name.

    Raises:
        InputError: nothing to evaluate, or something that can't be called.
    """
    if isinstance(models, Mapping):
        named = {str(name): model for name, model in models.items()}
    else:
        named = {getattr(models, "__name__", type(models).__name__): models}
    if not named:
        raise InputError("sweep: models must name at least one model, got an empty mapping")
    for name, model in named.items():
        if not callable(model):
            raise InputError(f"sweep: model {name!r} must be callable, got {type(model).__name__}")
    return named


def normalizations(normalize: Any, names: Sequence[str]) -> dict[str, Statistics | None]:
    """Returns each model's (mean, std) per channel.

    Args:
        normalize: None, (mean, std) for all models, or {name: (mean, std) or None}. mean and std
            are numbers or one number per channel.
        names: the models.

    Raises:
        InputError: another shape, a standard deviation of zero, a name that is no model's.
    """
    if isinstance(normalize, Mapping):
        strangers = [name for name in normalize if name not in names]
        if strangers:
            raise InputError(f"sweep: normalize names {strangers[0]!r}, which is no model here")
        return {name: _statistics(normalize.get(name)) for name in names}
    return dict.fromkeys(names, _statistics(normalize))


def _statistics(pair: Any) -> Statistics | None:
    if pair is None:
        return None
    try:
        mean, std = pair
        numbers = tuple(
            tuple(float(v) for v in torch.as_tensor(side, dtype=torch.float64).flatten().tolist())
            for side in (mean, std)
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"sweep: normalize must be a pair (mean, std), got {pair!r}") from error
    if len(numbers[0]) != len(numbers[1]) or not all(value > 0 for value in numbers[1]):
        raise InputError(
            "sweep: normalize must hold as many means as standard deviations above 0, got "
            f"{len(numbers[0])} means and deviations {list(numbers[1])}"
        )
    return numbers[0], numbers[1]


def normalized(images: Tensor, statistics: Statistics | None) -> Tensor:
    """Returns (images - mean) / std per channel."""
    if statistics is None:
        return images
    channels = images.shape[1]
    if len(statistics[0]) not in (1, channels):
        raise InputError(
            f"sweep: normalize has {len(statistics[0])} channels, the images have {channels}"
        )
    mean, std = (images.new_tensor(side).view(1, -1, 1, 1) for side in statistics)
    return (images - mean).div_(std)


@contextlib.contextmanager
def evaluation_mode(models: Mapping[str, Model]) -> Iterator[None]:
    """Puts modules into eval mode without gradients; gives every submodule its old flag back."""
    modules = [model for model in models.values() if isinstance(model, nn.Module)]
    flags = [(module, module.training) for model in modules for module in model.modules()]
    for model in modules:
        # an exported program has its mode built in and refuses the call
        with contextlib.suppress(NotImplementedError):
            model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in flags:
            module.training = training


def device_of(models: Mapping[str, Model], device: torch.device | str | None) -> torch.device:
    """Returns where to evaluate: the given device (modules move there) or the first module's."""
    if device is not None:
        try:
            chosen = torch.device(device)
            torch.empty(0, device=chosen)
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                f"sweep: device {device} can't be used ({first_line(error)})"
            ) from error
        for model in models.values():
            if isinstance(model, nn.Module):
                model.to(chosen)
        return chosen
    for model in models.values():
        for parameter in model.parameters() if isinstance(model, nn.Module) else ():
            return parameter.device
    return torch.device("cpu")


def autocast_dtype(autocast: Any, device: torch.device) -> torch.dtype | None:
    """Returns the dtype models run in: None is off, True is the device's default."""
    if autocast is None or autocast is False:
        return None
    if autocast is True:
        return torch.get_autocast_dtype(device.type)
    names = {"bfloat16": torch.bfloat16, "bf16": torch.bfloat16}
    names |= {"float16": torch.float16, "fp16": torch.float16}
    dtype = names.get(autocast, autocast) if isinstance(autocast, str) else autocast
    if dtype not in (torch.bfloat16, torch.float16):
        raise InputError(f"sweep: autocast must be bfloat16 or float16, got {autocast}")
    return dtype


@dataclass
class Runner:
    """One model with its normalisation, called with filtered pixels."""

    name: str
    model: Model
    statistics: Statistics | None
    autocast: torch.dtype | None

    def __post_init__(self) -> None:
        self.dtype: torch.dtype | None = None
        for parameter in self.model.parameters() if isinstance(self.model, nn.Module) else ():
            if parameter.dtype.is_floating_point:
                self.dtype = parameter.dtype
                break

    def __call__(self, images: Tensor) -> Any:
        """Returns the model's outputs for pixels [N, C, H, W] in [0, 1].

        Raises:
            InputError: the model refused them; its own words are in the sentence.
        """
        inputs = normalized(images, self.statistics)
        inputs = inputs if self.dtype is None else inputs.to(self.dtype)
        try:
            with self._precision(images.device.type):
                return self.model(inputs)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"sweep: model {self.name!r} failed on images {list(images.shape)}: "
                f"{type(error).__name__}: {first_line(error)}"
            ) from error

    def _precision(self, device: str) -> contextlib.AbstractContextManager[Any]:
        """Where nothing is to be changed, nothing: that is dear beside a small network."""
        if self.autocast is None and not torch.is_autocast_enabled(device):
            return contextlib.nullcontext()
        return torch.autocast(device, dtype=self.autocast, enabled=self.autocast is not None)
