"""What a row of the results says: the best peer, the ratio, the share of the floor, the goals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Result = dict[str, Any]

# Goals were set for AVX-512; half as wide vectors may take a fifth from them.
LEVEL_ALLOWANCE = {"avx512": 1.0, "avx2": 0.8}
RESTLESS = 1.25
#: By so much may the ratio by medians be off that by minima; beyond, a row is not certain.
APART = 1.25
#: From quartile to quartile, as a share of the median; a run says where half its rows are beyond.
WIDE = 0.25


@dataclass(frozen=True)
class Aim:
    """A goal and what was reached.

    Attributes:
        number: how many times as fast ours is meant to be.
        ratio: how many times it is, against the fastest of the goal's peers.
        rival: that peer's name.
    """

    number: float
    ratio: float
    rival: str

    @property
    def met(self) -> bool:
        """Whether it is reached, to the printed digits."""
        return round(self.ratio, 2) >= round(self.number, 2)


@dataclass(frozen=True)
class Verdict:
    """How one of ours did.

    Attributes:
        name: of the contender.
        ours: its entry in the results.
        best: the fastest peer's entry.
        ratio: the best peer's minimum over ours.
        median_ratio: of the medians, against the same peer.
        of_floor: the copy's minimum over ours.
        aims: the goals that were set.
    """

    name: str
    ours: Row
    best: Row
    ratio: float
    median_ratio: float
    of_floor: float
    aims: Sequence[Aim]

    @property
    def lost(self) -> bool:
        """Whether the best peer is faster."""
        return self.ratio < 1

    @property
    def restless(self) -> bool:
        """Whether something else ran on the machine, to judge by our own calls."""
        return bool(self.ours["median"] > RESTLESS * self.ours["minimum"])

    @property
    def uncertain(self) -> bool:
        """Whether the minima tell another ratio than the medians.

        A spread alone does not make it so: what slows all contenders leaves their ratio as it is.
        """
        return not 1 / APART <= self.median_ratio / self.ratio <= APART


def relative_spread(entry: Row) -> float:
    """From quartile to quartile, as a share of the median.

    The first files did not record it: from the minimum to the median then.
    """
    spread = entry.get("spread", entry["median"] - entry["minimum"])
    return float(spread / entry["median"])


def verdicts(row: Row, environment: Row) -> list[Verdict]:
    """One verdict for each contender of ours; none for a row without a peer."""
    peers = [entry for entry in row["contenders"] if entry["role"] == "peer"]
    if not peers:
        return []
    best = min(peers, key=_minimum)
    return [
        Verdict(
            name=ours["name"],
            ours=ours,
            best=best,
            ratio=best["minimum"] / ours["minimum"],
            median_ratio=best["median"] / ours["median"],
            of_floor=share_of_floor(row, ours),
            aims=_aims(row["goals"], peers, ours, environment),
        )
        for ours in row["contenders"]
        if ours["role"] == "ours"
    ]


def share_of_floor(row: Row, entry: Row) -> float:
    """The copy's minimum over this entry's."""
    (floor,) = (one for one in row["contenders"] if one["role"] == "floor")
    return float(floor["minimum"] / entry["minimum"])


def first_verdict(row: Row, environment: Row) -> Verdict | None:
    """Of a user's plain call; None for a row that failed or has no peer."""
    return next(iter(verdicts(row, environment)), None)


def _minimum(entry: Row) -> float:
    return float(entry["minimum"])


def _aims(goals: Sequence[Row], peers: Sequence[Row], ours: Row, environment: Row) -> list[Aim]:
    """Those set for this allocator and level."""
    allocator = environment["allocator"]
    allowance = LEVEL_ALLOWANCE.get(environment["level"], 0.0)
    aims = []
    for goal in goals:
        number = goal["default" if allocator == "default" else "warm"] * allowance
        against = goal["against"]
        if allocator == "default" and goal["default_against"]:
            against = goal["default_against"]
        rivals = [peer for peer in peers if peer["name"] in against]
        if number:
            rival = min(rivals or peers, key=_minimum)
            aims.append(Aim(number, rival["minimum"] / ours["minimum"], rival["name"]))
    return aims
