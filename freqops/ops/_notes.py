"""What a function does without an op of ours is noted here for freqops.explain, and only for it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

import torch
from torch import Tensor

# (function, what runs, why, the tensor it runs on)
Listener = Callable[[str, str, str, Tensor], None]
LISTENER: ContextVar[Listener | None] = ContextVar("LISTENER", default=None)
# Type of the device that is asked about, while a function is called on tensors without contents.
DEVICE: ContextVar[str | None] = ContextVar("DEVICE", default=None)


def note(function: str, kernel: str, reason: str, x: Tensor) -> None:
    """Tells :func:`freqops.explain`, if it is what calls."""
    if torch.compiler.is_compiling():
        return
    listener = LISTENER.get()
    if listener is not None:
        listener(function, kernel, reason, x)


def device_type(x: Tensor) -> str:
    """That of x, or of the tensor it stands for in :func:`freqops.explain`."""
    if torch.compiler.is_compiling():
        return x.device.type
    return DEVICE.get() or x.device.type
