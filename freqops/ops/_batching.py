"""vmap: a batch axis on x and on the response at once becomes a channel axis, which the ops know.

A batch axis on x alone is one more leading dimension, on the response alone one more response of
a bank; only the two together need what is here.
"""

from __future__ import annotations

from torch import Tensor


def leading(tensor: Tensor, in_dim: int | None, size: int) -> Tensor:
    """The tensor with its batch axis in front, given one (of stride 0) if it has none."""
    if in_dim is None:
        return tensor.expand(size, *tensor.shape)
    return tensor.movedim(in_dim, 0)


def fold(tensor: Tensor, core: int, per_channel: bool) -> Tensor:
    """[B, ..., (C,) core axes] -> [..., B (C), core axes], for images and responses alike."""
    folded = tensor.movedim(0, -core - 1 - per_channel)
    return folded.flatten(-core - 2, -core - 1) if per_channel else folded


def unfold(tensor: Tensor, core: int, per_channel: bool, size: int) -> tuple[Tensor, int]:
    """Undoes :func:`fold` up to the place of the batch axis, which is returned with it."""
    if per_channel:
        tensor = tensor.unflatten(-core - 1, (size, -1))  # type: ignore[no-untyped-call]
    return tensor, tensor.dim() - core - 1 - per_channel
