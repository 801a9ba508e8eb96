"""What a function does without an op of ours is noted here for freqops.explain, and only for it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

import torch
from torch import Tensor

# (function, what runs, why, the tensor it runs on)
Listener = Callable[[str, str, str, Tensor], None]
LISTENER: ContextVar[Listener | None] = ContextVar("LISTENER", default=None)


def note(function: str, kernel: str, reason: str, x: Tensor) -> None:
    """Tells :func:`freqops.explain`, if it is what calls."""
    if torch.compiler.is_compiling():
        return
    listener = LISTENER.get()
    if listener is not None:
        listener(function, kernel, reason, x)
