"""What the rows of anti-aliased and of spectral pooling have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from freqops.bench.case import Goal, Row, sizes
from freqops.bench.timing import Contender
from freqops.bench.ways import Way, contenders, tolerance

Shape = tuple[int, int, int, int]
Pool = Callable[[Tensor], Tensor]


class Pooling(ABC):
    """What a row is about; a dataclass of these and of what else tells it from others.

    Attributes:
        shape: of x.
        layout: of x: NCHW or NHWC.
        backward: whether the gradient for x is taken as well.
        dtype: of x.
        compiled: whether torch.compile takes part, which takes its time to compile.
        rotated: whether inputs take turns.
    """

    shape: Shape
    layout: str
    backward: bool
    dtype: torch.dtype
    compiled: bool
    rotated: bool

    @property
    @abstractmethod
    def op(self) -> str:
        """The operator's word."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Of the function, as the tables' headings begin."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Of the row in its table."""

    @property
    @abstractmethod
    def moved_bytes(self) -> int:
        """What has to be read and written at least."""

    @abstractmethod
    def ways(self, x: Tensor) -> list[Way]:
        """Those of the same function, and for information what computes something else."""

    @property
    def table(self) -> str:
        """Heading of the table that the row belongs to."""
        direction = "forward and backward" if self.backward else "forward"
        turns = ", inputs beyond the cache" if self.rotated else ""
        kind = str(self.dtype).removeprefix("torch.")
        return f"{self.name}, {kind}, {self.layout}, {direction}{turns}"

    def contenders(self) -> list[Contender]:
        """On tensors of the row."""
        x = torch.rand(self.shape).to(self.dtype)
        return contenders(
            self.ways(x),
            x,
            self.moved_bytes,
            layout=self.layout,
            backward=self.backward,
            rotated=self.rotated,
        )

    def row(self, *goals: Goal, quick: bool = False) -> Row:
        """The row, as it is listed."""
        return Row(
            self.op,
            self.table,
            f"{sizes(self.shape)} {self.label}",
            self.shape,
            self.contenders,
            dtype=self.dtype,
            layout=self.layout,
            backward=self.backward,
            goals=goals,
            tolerance=tolerance(self.dtype, self.backward),
            moved_bytes=self.moved_bytes,
            quick=quick,
            compiled=self.compiled,
            rotated=self.rotated,
        )
