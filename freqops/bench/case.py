"""One row of the results: contenders for the same outputs, and the goal set for ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from freqops.bench import compiled
from freqops.bench.layers import layer_of
from freqops.bench.timing import Contender, Timing

# Peers the goals were set against, before the kernels were written; the results name the best of
# all peers as well, which may be a cleverer composition.
GOAL_PEERS = ("torch", "scipy", "ducc0")


@dataclass(frozen=True)
class Goal:
    """How many times faster than the fastest of these peers ours is meant to be.

    Attributes:
        warm: where memory is at hand, or with ``out=``.
        default: with the system's malloc; 0: no goal.
        against: the peers meant.
        default_against: the peers meant with the system's malloc, default: the same.
    """

    warm: float
    default: float = 0.0
    against: tuple[str, ...] = GOAL_PEERS
    default_against: tuple[str, ...] = ()


@dataclass(frozen=True)
class Point:
    """Where a row stands on a curve of its op.

    Attributes:
        axis: what changes along the curve: "size", "batch", "radii" or "taps".
        at: where the row is.
        work: by what its times are divided: pixels, images; 1 for nothing.
    """

    axis: str
    at: float
    work: float = 1.0


@dataclass(frozen=True)
class Variant:
    """How a row calls its function where it is not forward, in float32, on NCHW maps.

    Attributes:
        dtype: of the input.
        layout: of the input, NCHW or NHWC.
        backward: whether the gradient is taken as well.
    """

    dtype: torch.dtype = torch.float32
    layout: str = "NCHW"
    backward: bool = False

    @property
    def suffix(self) -> str:
        """What a table's heading says of it, behind the function's name."""
        words = [str(self.dtype).removeprefix("torch.")] * (self.dtype != torch.float32)
        words += [self.layout] * (self.layout != "NCHW")
        words += ["forward and backward"] * self.backward
        return "".join(f", {word}" for word in words)

    def moved_bytes(self, elements: int) -> int:
        """Of so many read and written forward: back, as many again."""
        return elements * self.dtype.itemsize * (2 if self.backward else 1)


#: As everything is measured: forward, with the gradient, in a half type, on channels_last maps.
PLAIN, GRADIENT = Variant(), Variant(backward=True)
HALF, LAST = Variant(dtype=torch.bfloat16), Variant(layout="NHWC")


@dataclass(frozen=True)
class Row:
    """What is measured, without its tensors yet.

    Attributes:
        op: the operator's word, that of its file in :mod:`freqops.bench.cases`.
        table: heading of the table it belongs to.
        label: of the row in that table.
        shape: of the input.
        contenders: makes the tensors, on torch's default device, and who takes part: ours first,
            the peers, a floor last.
        dtype: of the input.
        layout: of the input, NCHW or NHWC.
        backward: whether the gradient is taken as well.
        goals: for every contender that is ours.
        tolerance: of the agreement check, relative to the largest value.
        moved_bytes: what has to be read and written at least.
        quick: whether it is part of a quick run.
        compiled: whether torch.compile is a peer; not in quick runs.
        rotated: whether inputs take turns that no cache holds together.
        point: of a curve.
        layer: where the shape comes from; default: what :mod:`freqops.bench.layers` knows it as.
    """

    op: str
    table: str
    label: str
    shape: tuple[int, ...]
    contenders: Callable[[], Sequence[Contender]]
    dtype: torch.dtype = torch.float32
    layout: str = "NCHW"
    backward: bool = False
    goals: Sequence[Goal] = ()
    tolerance: float = 1e-4
    moved_bytes: int | None = None
    quick: bool = False
    compiled: bool = False
    rotated: bool = False
    point: Point | None = None
    layer: str = ""

    def __str__(self) -> str:
        return f"{self.table}: {self.label}"

    def case(self, device: str = "cpu", *, compiles: bool = False) -> Case:
        """The contenders on tensors of the row.

        Args:
            device: of the tensors.
            compiles: whether torch.compile may be one of them.
        """
        with torch.device(device):
            found = self.contenders()
        if not (compiles and self.compiled):
            found = [one for one in found if one.name != compiled.NAME]
        return Case(self, tuple(found))


@dataclass(frozen=True)
class Case:
    """A row with its tensors.

    Attributes:
        row: what is measured.
        contenders: ours first; the peers; a floor last.
    """

    row: Row
    contenders: Sequence[Contender]

    def record(
        self,
        timings: Mapping[str, Timing],
        *,
        not_compared: Mapping[str, str] | None = None,
        peaks: Mapping[str, int] | None = None,
    ) -> dict[str, Any]:
        """What is written to the results; see benchmarks/README.md.

        Args:
            timings: by contender's name.
            not_compared: why a peer was left out, by its name.
            peaks: bytes that a call needs, by contender's name, where measured.
        """
        row = self.row
        return {
            "op": row.op,
            "table": row.table,
            "label": row.label,
            "shape": list(row.shape),
            "layer": row.layer or layer_of(row.shape),
            "dtype": str(row.dtype).removeprefix("torch."),
            "layout": row.layout,
            "backward": row.backward,
            "rotated": row.rotated,
            "point": None if row.point is None else asdict(row.point),
            "goals": [asdict(goal) for goal in row.goals],
            "moved_bytes": row.moved_bytes,
            "not_compared": dict(not_compared or {}),
            "contenders": [
                {
                    "name": one.name,
                    "role": one.role,
                    **asdict(timings[one.name]),
                    "peak_bytes": (peaks or {}).get(one.name),
                }
                for one in self.contenders
                if one.name in timings
            ],
        }


def sizes(shape: Sequence[int] | Tensor) -> str:
    """The shape as the labels show it."""
    sides = shape.shape if isinstance(shape, Tensor) else shape
    return "x".join(str(side) for side in sides)
