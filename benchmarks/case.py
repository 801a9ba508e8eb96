"""One row of the results: contenders for the same outputs, and the goal set for ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from interleave import Contender, Timing
from torch import Tensor

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
class Case:
    """A row: its table, its label, who takes part (ours first).

    Attributes:
        table: heading of the table it belongs to.
        label: of the row.
        contenders: ours first; the peers; a floor last.
        goals: for every contender that is ours.
        tolerance: of the agreement check, relative to the largest value.
        moved_bytes: what has to be read and written at least, where tables show it.
    """

    table: str
    label: str
    contenders: Sequence[Contender]
    goals: Sequence[Goal] = ()
    tolerance: float = 1e-4
    moved_bytes: int | None = None

    def record(self, timings: dict[str, Timing]) -> dict[str, Any]:
        """What is written to the results."""
        return {
            "table": self.table,
            "label": self.label,
            "goals": [asdict(goal) for goal in self.goals],
            "moved_bytes": self.moved_bytes,
            "contenders": [
                {"name": contender.name, "role": contender.role, **asdict(timings[contender.name])}
                for contender in self.contenders
            ],
        }


def sizes(x: Tensor) -> str:
    """The shape as the labels show it."""
    return "x".join(str(side) for side in x.shape)
