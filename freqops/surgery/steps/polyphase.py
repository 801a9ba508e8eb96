"""polyphase: sampling on the grid the content picks, in branches that meet on one grid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from freqops.ops import polyphase_pool2d
from freqops.surgery.steps.blurs import BlurPool2d


class SharedIndex:
    """The components one branch picked, for the branches that meet it; nothing of it is saved.

    A branch that is computed again in a backward pass (torch.utils.checkpoint) may only take what
    was picked again in the same pass: what was picked before may be of another input by then.
    """

    def __init__(self) -> None:
        self._picked: Tensor | None = None
        self._backward = -1

    def put(self, picked: Tensor) -> None:
        """What the first branch picked."""
        self._picked = picked
        self._backward = _backward_pass()

    def take(self) -> Tensor:
        """What the others have to take.

        Raises:
            RuntimeError: the first branch was not run, or not again.
        """
        if self._picked is None:
            raise RuntimeError(
                "antialias: the branch that picks the samples for this one was not run"
            )
        if self._backward != _backward_pass():
            raise RuntimeError(
                "antialias: a checkpoint computes this branch again without the one that picks its "
                "samples: put both into one checkpointed part"
            )
        return self._picked

    def __getstate__(self) -> dict[str, Any]:
        return {"_picked": None, "_backward": -1}


def _backward_pass() -> int:
    """The number of the backward pass this thread is in; -1 in none."""
    if torch.compiler.is_compiling():  # a graph keeps the branches together
        return -1
    return torch._C._current_graph_task_id()


class Polyphase(nn.Module):
    """Samples on the grid the content picks; see :func:`freqops.polyphase_pool2d`.

    Args:
        taps: of the blur before the choice; 1 is none.
        padding_mode: of that blur.
        shared: where branches that are added together leave the index for each other.
        leads: this one picks; the others follow.
    """

    def __init__(
        self, taps: Any, padding_mode: str, shared: SharedIndex | None = None, leads: bool = True
    ) -> None:
        super().__init__()
        self.padding_mode = padding_mode
        self.shared = shared
        self.leads = leads
        self.blur = None if isinstance(taps, int) and taps == 1 else BlurPool2d(taps, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Samples x [..., C, H, W]."""
        taps: Any = 1 if self.blur is None else self.blur._taps()
        follows = self.shared is not None and not self.leads
        index = self.shared.take() if self.shared is not None and follows else None
        y, index = polyphase_pool2d(x, taps, padding_mode=self.padding_mode, index=index)
        if self.shared is not None and self.leads:
            self.shared.put(index)
        return y

    def extra_repr(self) -> str:
        """Whether the index is shared."""
        if self.shared is None:
            return ""
        return "shares its index" if self.leads else "takes the index of another"
