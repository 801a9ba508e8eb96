"""What takes part in a row of `make gpu`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from torch import Tensor


class Way(NamedTuple):
    """One way to compute a row's result from an input; or the copy, which computes nothing."""

    name: str
    role: Literal["ours", "peer", "floor"]
    call: Callable[[Any], Any]
    inputs: Sequence[Any]


@dataclass(frozen=True)
class Scene:
    """A row's tensors.

    Attributes:
        ways: ours first.
        exact: the result in float64 for the images with these numbers, of a way's first input;
            where the row is a filter or a pool.
        moved_bytes: what has to be read and written at least.
    """

    ways: Sequence[Way]
    exact: Callable[[list[int]], Tensor] | None
    moved_bytes: int
