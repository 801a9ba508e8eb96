"""One row measured: who computes the same, how long each takes, what each needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from freqops.bench import compiled, memory, peers
from freqops.bench.case import Case, Row
from freqops.bench.timing import (
    Clock,
    Contender,
    Timing,
    clock_of,
    consume,
    difference,
    interleave,
)
from freqops.evaluation.errors import first_line


@dataclass(frozen=True)
class Settings:
    """How rows are measured.

    Attributes:
        device: "cpu", "cuda" or "cuda:1".
        seconds: about how long a row is timed.
        least_rounds: rounds that are made even where they take longer.
        peaks: whether the memory that each contender needs is measured as well.
        compiles: whether torch.compile is a peer, which takes its time to compile.
    """

    device: str = "cpu"
    seconds: float = 2.5
    least_rounds: int = 5
    peaks: bool = False
    compiles: bool = True


def measured(row: Row, settings: Settings, clock: Clock | None = None) -> dict[str, Any]:
    """Returns a row's record; one that says why where ours does not run.

    Args:
        row: what to measure.
        settings: how.
        clock: what takes the time; default: the device's.
    """
    try:
        compiles = settings.compiles and not compiled.problem(settings.device)
        case, not_compared = compared(row.case(settings.device, compiles=compiles))
        case, timings, stopped = _timed(case, settings, clock or clock_of(settings.device))
    except Exception as error:  # a row must not end the run: it says why, and the next is measured
        return Case(row, ()).record({}) | {"failed": first_line(error)}
    not_compared |= stopped
    peaks = memory.peaks(row, case, settings.device) if settings.peaks else {}
    return case.record(timings, not_compared=not_compared, peaks=peaks)


def compared(case: Case) -> tuple[Case, dict[str, str]]:
    """Leaves out the peers that compute something else, or nothing.

    Returns:
        The case without them, and by their names why.
    """
    first, *others = case.contenders
    consume(first.result())  # what it raises is the row's failure, not a peer's
    kept: list[Contender] = [first]
    reasons = {}
    for other in others:
        reason = _reason(first, other, case.row.tolerance)
        if reason is None:
            kept.append(other)
        elif other.role == "ours":
            raise RuntimeError(f"{other.name} and {first.name} {reason}")
        else:
            reasons[other.name] = reason
    return Case(case.row, tuple(kept)), reasons


class _StoppedError(RuntimeError):
    """A contender raised while it was timed."""

    def __init__(self, contender: Contender, error: Exception) -> None:
        super().__init__(f"{contender.name} stopped while it was timed: {first_line(error)}")
        self.contender, self.reason = contender, f"stopped while it was timed: {first_line(error)}"


def _timed(
    case: Case, settings: Settings, clock: Clock
) -> tuple[Case, dict[str, Timing], dict[str, str]]:
    """The contenders' times; a peer that raises is left out, and the others are timed anew.

    Returns:
        The case without such peers, the timings, and by the peers' names why.
    """

    def watched(contender: Contender, untimed: int, calls: int) -> list[float]:
        try:
            return clock(contender, untimed, calls)
        except Exception as error:
            raise _StoppedError(contender, error) from error

    reasons: dict[str, str] = {}
    while True:
        try:
            timings = interleave(
                case.contenders,
                seconds=settings.seconds,
                least_rounds=settings.least_rounds,
                clock=watched,
            )
        except _StoppedError as stop:
            if stop.contender.role in ("ours", "floor"):
                raise
            reasons[stop.contender.name] = stop.reason
            left = tuple(one for one in case.contenders if one is not stop.contender)
            case = Case(case.row, left)
        else:
            return case, timings, reasons


def _reason(first: Contender, other: Contender, tolerance: float) -> str | None:
    if other.role == "floor":
        return None
    try:
        if other.role == "other":
            other.result()
            return None
        return difference(first, other, tolerance)
    except Exception as error:  # whatever a peer does
        return f"does not run: {first_line(error)}"


def absent_peers(settings: Settings) -> dict[str, str]:
    """Peers that take no part: the command that installs each, or why it can't be used."""
    absent = peers.missing()
    if settings.compiles and (reason := compiled.problem(settings.device)):
        absent[compiled.PEER] = reason
    return absent


def set_threads(threads: int) -> None:
    """Pins ours and the peers, which are given as many."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
