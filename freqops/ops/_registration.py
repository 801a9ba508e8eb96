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


_library = torch.library.Library("freqops", "FRAGMENT")  # type: ignore[no-untyped-call]


def define(schema: str, implementation: Callable[..., Any]) -> None:
    """Declares an op that is a composition of torch's on every device, and no kernel of ours."""
    name = schema.partition("(")[0]
    _library.define(schema)  # type: ignore[no-untyped-call]
    for device in ("CPU", "CUDA"):
        _library.impl(name, implementation, device)  # type: ignore[no-untyped-call]
