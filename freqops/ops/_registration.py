"""torch.library's decorators with types: they are untyped, and would untype what they decorate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

_Function = TypeVar("_Function", bound=Callable[..., Any])


def fake(name: str) -> Callable[[_Function], _Function]:
    """Registers what an op returns for tensors without contents: shapes, strides and dtypes."""
    decorator: Callable[[_Function], _Function] = torch.library.register_fake(f"freqops::{name}")
    return decorator


def vmap(name: str) -> Callable[[_Function], _Function]:
    """Registers an op's rule for a batch axis on any of its arguments."""
    decorator: Callable[[_Function], _Function] = torch.library.register_vmap(f"freqops::{name}")
    return decorator
