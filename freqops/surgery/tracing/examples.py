"""What a model is run with to be traced: the user's example, or a guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils._pytree import tree_map


@dataclass(frozen=True)
class Arguments:
    """Arguments of a model's forward; a torch.Size stands for a tensor of that shape.

    Attributes:
        args: by position.
        kwargs: by name.
        dtype: of the tensors that are made.
        device: of the tensors that are made.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"

    def is_real(self) -> bool:
        """Whether there are tensors, and nothing has to be made."""
        leaves = self._leaves()
        return any(isinstance(leaf, Tensor) for leaf in leaves) and not any(
            isinstance(leaf, torch.Size) for leaf in leaves
        )

    def is_batch_of_one(self) -> bool:
        """Whether every tensor begins with a one."""
        sizes = [tuple(leaf.shape) for leaf in self._leaves() if isinstance(leaf, Tensor)]
        sizes += [tuple(leaf) for leaf in self._leaves() if isinstance(leaf, torch.Size)]
        return bool(sizes) and all(size[:1] == (1,) for size in sizes)

    def doubled(self) -> Arguments:
        """The same with twice as many examples, as shapes."""

        def twice(leaf: Any) -> Any:
            if isinstance(leaf, Tensor):
                return leaf.detach().repeat(2, *[1] * (leaf.dim() - 1))
            return torch.Size([2, *leaf[1:]]) if isinstance(leaf, torch.Size) else leaf

        return self._map(twice)

    def made(self, convert: Callable[[Tensor], Tensor]) -> Arguments:
        """Only tensors: those given are converted, the others zeros."""

        def make(leaf: Any) -> Any:
            if isinstance(leaf, Tensor):
                return convert(leaf)
            if isinstance(leaf, torch.Size):
                return torch.zeros(leaf, dtype=self.dtype, device=self.device)
            return leaf

        return self._map(make)

    def _map(self, function: Callable[[Any], Any]) -> Arguments:
        def is_leaf(node: Any) -> bool:
            return isinstance(node, torch.Size)  # a tuple, to pytree

        args, kwargs = tree_map(function, (self.args, dict(self.kwargs)), is_leaf=is_leaf)
        return replace(self, args=args, kwargs=kwargs)

    def _leaves(self) -> list[Any]:
        found: list[Any] = []
        self._map(found.append)
        return found


def as_arguments(model: nn.Module, example: Any) -> Arguments:
    """The arguments an example stands for: itself, a tuple of positional, a dict of named ones."""
    dtype, device = _kind(model)
    if isinstance(example, Mapping):
        return Arguments((), dict(example), dtype, device)
    if isinstance(example, tuple) and not isinstance(example, torch.Size):
        return Arguments(example, {}, dtype, device)
    return Arguments((example,), {}, dtype, device)


def guessed(model: nn.Module) -> list[Arguments]:
    """Arguments a model of images, signals or volumes may take, the likeliest first."""
    dtype, device = _kind(model)
    shapes = _configured(model) + _by_first_layer(model)
    unique = dict.fromkeys(torch.Size([2, *shape]) for shape in shapes)
    return [Arguments((size,), {}, dtype, device) for size in unique]


def _kind(model: nn.Module) -> tuple[torch.dtype, torch.device]:
    """dtype and device of the parameters."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            return tensor.dtype, tensor.device
    return torch.get_default_dtype(), torch.get_default_device()


def _configured(model: nn.Module) -> list[tuple[int, ...]]:
    """The input size timm's models come with."""
    for name in ("pretrained_cfg", "default_cfg"):
        config = getattr(model, name, None)
        size = config.get("input_size") if isinstance(config, Mapping) else None
        if size is not None:
            return [tuple(int(one) for one in size)]
    return []


def _by_first_layer(model: nn.Module) -> list[tuple[int, ...]]:
    for module in model.modules():
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
            return []  # takes words
        if isinstance(module, nn.Linear):
            return [(module.in_features,)]
        if isinstance(module, _ConvNd) and not isinstance(module, _ConvTransposeNd):
            dims = len(module.kernel_size)
            channels = dict.fromkeys((module.in_channels, 3, 1))
            return [(one, *size) for one in channels for size in _sizes(model, dims)]
    return [(3, *size) for size in _sizes(model, 2)]


def _sizes(model: nn.Module, dims: int) -> list[tuple[int, ...]]:
    if dims == 1:
        return [(1024,), (16384,)]
    if dims == 3:
        return [(16, 112, 112), (16, 224, 224), (32, 32, 32)]
    sides = [299, 224] if "Inception" in type(model).__name__ else [224, 299]
    return [(side, side) for side in (*sides, 64, 32)]
