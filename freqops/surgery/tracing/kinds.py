"""What a call is to those that move a low-pass past it: activation, normalisation, scaling, ..."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules import batchnorm, conv, dropout, instancenorm, normalization, pooling
from torch.nn.modules.lazy import LazyModuleMixin

from freqops.surgery.steps.window import PARAMETERS


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ACTIVATIONS = _words(
    """celu clamp clamp_max clamp_min clip elu gelu glu hardshrink hardsigmoid hardswish hardtanh
    leaky_relu logsigmoid mish prelu relu relu6 rrelu selu sigmoid silu softplus softshrink
    softsign tanh tanhshrink threshold"""
)
NORMALISATIONS = _words(
    """batch_norm group_norm instance_norm layer_norm local_response_norm native_batch_norm
    native_group_norm native_layer_norm rms_norm"""
)
ARITHMETIC = _words(
    """add div divide iadd imul isub itruediv mul multiply radd rmul rsub rtruediv sub subtract
    true_divide truediv"""
)
# What leaves every sample where it is; dropout counts because it does nothing at inference.
UNCHANGING = _words(
    """alias alpha_dropout bfloat16 clone contiguous detach double dropout dropout1d dropout2d
    dropout3d feature_alpha_dropout feature_dropout float half to type type_as"""
)
# Sample by sample, and not linear; found in activations that are written out.
_POINTWISE = _words("abs exp log log1p maximum minimum neg pow reciprocal rsqrt sqrt square")

_NO_ACTIVATION = (nn.MultiheadAttention, nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin)
_NORM_MODULES = (
    batchnorm._NormBase,
    instancenorm._InstanceNorm,
    normalization.GroupNorm,
    normalization.LayerNorm,
    normalization.LocalResponseNorm,
)
_KEPT_WHOLE = (
    conv._ConvNd,
    pooling._MaxPoolNd,
    pooling._AvgPoolNd,
    pooling._AdaptiveAvgPoolNd,
    pooling._AdaptiveMaxPoolNd,
    pooling._LPPoolNd,
    nn.Linear,
    nn.Upsample,
)
_TRANSPARENT = ("container", "module", "loss", "transformer", "lazy")
# timm's modules that normalise and activate in one formula.
_NORM_AND_ACTIVATION = re.compile(r"(EvoNorm|FilterResponseNorm)")


def looked_at_whole(module: nn.Module) -> bool:
    """Whether a call of the module is one step of the graph, whatever happens inside.

    So are the layers of torch.nn and freqops and their subclasses. One with children of its own
    (timm's BatchNormAct2d holds its activation) is looked into, unless it is a convolution, a pool,
    or the children are steps of ours or torch's parametrizations.
    """
    if _NORM_AND_ACTIVATION.match(type(module).__name__) or isinstance(
        module, torch.jit.ScriptModule
    ):
        return True
    if not any(_of_library(cls) for cls in type(module).__mro__):
        return False
    return isinstance(module, _KEPT_WHOLE) or all(
        type(child).__module__.startswith(("freqops.", "torch.nn.utils.parametrize"))
        or name == "parametrizations"
        for name, child in module.named_children()
    )


def _of_library(cls: type) -> bool:
    where = cls.__module__
    if where.startswith("torch.nn.modules."):
        return not where.endswith(_TRANSPARENT) and cls is not nn.MultiheadAttention
    return where.startswith("freqops.ops.") and issubclass(cls, nn.Module)


def is_lazy(module: nn.Module) -> bool:
    """Whether a module has no parameters before its first run."""
    return isinstance(module, LazyModuleMixin) and module.has_uninitialized_params()


def is_activation(name: str, module: nn.Module | None) -> bool:
    """Whether a call activates, by its name or its module."""
    if module is None:
        return name in ACTIVATIONS
    if _NORM_AND_ACTIVATION.match(type(module).__name__):
        return getattr(module, "apply_act", True) is not False
    return not isinstance(module, _NO_ACTIVATION) and any(
        cls.__module__ == "torch.nn.modules.activation" for cls in type(module).__mro__
    )


def is_passed(name: str, module: nn.Module | None) -> bool:
    """Whether an activation is still looked for behind a call: it keeps samples in their place."""
    if module is None:
        return name in NORMALISATIONS or name in ARITHMETIC or name in UNCHANGING
    if _NORM_AND_ACTIVATION.match(type(module).__name__):
        return True
    return isinstance(module, (*_NORM_MODULES, dropout._DropoutNd, nn.Identity))


def is_pointwise(name: str, module: nn.Module | None) -> bool:
    """Whether a call can be a step of an activation that is written out."""
    if is_activation(name, module) or (module is None and name in _POINTWISE):
        return True
    return is_passed(name, module) and name not in NORMALISATIONS


# --- names --------------------------------------------------------------------------------------

_INDICES = "_with_indices"  # what F.max_pool2d(..., return_indices=True) is in truth


def function_name(function: Callable[..., Any]) -> str:
    """Returns "relu" for F.relu, torch.relu_, Tensor.relu_ and aten's relu; "T" for x.T."""
    return _plain_name(function).removesuffix(_INDICES)


def _plain_name(function: Callable[..., Any]) -> str:
    if isinstance(function, torch._ops.OpOverload):
        return str(function.overloadpacket.__name__).strip("_")
    name = getattr(function, "__name__", type(function).__name__)
    if name == "__get__":
        name = getattr(getattr(function, "__self__", None), "__name__", name)
    return name.strip("_") or name


def named_arguments(
    function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns arguments by name, or by position where the names are not known ("0", "1", ...)."""
    # Builtins do not say how their arguments are called.
    names = ["input", *PARAMETERS[name]] if name in PARAMETERS else _parameters(function)
    labels = [names[i] if i < len(names) else str(i) for i in range(len(args))]
    named = {**dict(zip(labels, args, strict=True)), **kwargs}
    if _plain_name(function).endswith(_INDICES):
        named["return_indices"] = True
    return named


@functools.lru_cache(maxsize=1024)
def _parameters(function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
