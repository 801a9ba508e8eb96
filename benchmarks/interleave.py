"""Times contenders turn by turn: a busy moment of the machine then meets them all."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

_WHOLE_TURN = 2e-3  # seconds of calls that make a turn of a short operation
_MOST_CALLS = 10
_SLOW = 2.0  # seconds a call; such a contender, a Python loop say, is called twice only
_SLOW_ROUNDS = 2
_MOST_ROUNDS = 60


@dataclass(frozen=True)
class Contender:
    """One way of computing what the others compute too; an iterator is exhausted while timed.

    A floor computes nothing, and ``other`` something else: to compare times with, not results.
    """

    name: str
    run: Callable[[], Any]
    role: Literal["ours", "peer", "other", "floor"] = "peer"


@dataclass(frozen=True)
class Timing:
    """What a contender's calls took, in milliseconds.

    Attributes:
        minimum: what the code can do.
        median: what a user of this machine got.
        spread: from the first quartile to the third.
        samples: number of calls.
    """

    minimum: float
    median: float
    spread: float
    samples: int


# (contender, untimed, calls): the seconds of each of `calls` calls, made after `untimed` others.
Clock = Callable[[Contender, int, int], list[float]]


def wall_clock(contender: Contender, untimed: int, calls: int) -> list[float]:
    """For what is done when its call returns."""
    times = []
    for _ in range(untimed + calls):
        start = time.perf_counter()
        # Letting go of the result belongs to the price: large ones go back to the system.
        consume(contender.run())
        times.append(time.perf_counter() - start)
    return times[untimed:]


def interleave(
    contenders: Sequence[Contender],
    *,
    seconds: float,
    least_rounds: int = 5,
    clock: Clock = wall_clock,
    patient: bool = False,
) -> dict[str, Timing]:
    """Each contender's times over rounds in which all take a turn, in random order.

    A turn of a short operation is several calls after one that is not timed: every contender is
    seen in its steady state, with its own data and code in the caches, not its predecessor's.

    Args:
        contenders: what to time.
        seconds: about how long the rounds may take together.
        least_rounds: rounds that are made even where they take longer.
        clock: what takes the time.
        patient: that of contenders which take seconds, all take part in every round, and one call
            of each warms up.

    Returns:
        The timing by contender's name.
    """
    slow = math.inf if patient else _SLOW
    costs = {one.name: _cost(one, clock, 0 if patient else _SLOW) for one in contenders}
    rounds = _rounds(costs, seconds, least_rounds, slow)
    order = list(contenders)
    shuffle = random.Random(0).shuffle
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for index in range(rounds):
        shuffle(order)
        for contender in order:
            cost = costs[contender.name]
            if cost <= slow or index < _SLOW_ROUNDS:
                untimed = 1 if cost < 10 * _WHOLE_TURN else 0
                times[contender.name] += clock(contender, untimed, _calls(cost))
    return {name: _timing(values) for name, values in times.items()}


def _timing(seconds: Sequence[float]) -> Timing:
    values = [1e3 * value for value in seconds]
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    return Timing(min(values), median, third - first, len(values))


def check_agreement(contenders: Sequence[Contender], tolerance: float) -> None:
    """Checks that every peer computes what the first contender computes.

    Args:
        contenders: ours first; those that compute nothing or something else are left out.
        tolerance: largest difference, relative to the largest value.

    Raises:
        AssertionError: a contender's outputs differ by more.
    """
    first, *others = [one for one in contenders if one.role in ("ours", "peer")]
    for other in others:
        # Side by side, so that of a long sweep two outputs are alive at a time, not all.
        pairs = zip(_outputs(first.run()), _outputs(other.run()), strict=True)
        error = max(_difference(expected, got) for expected, got in pairs)
        assert error <= tolerance, f"{other.name} and {first.name} differ by {error:.1e}"


def _cost(contender: Contender, clock: Clock, slow: float) -> float:
    """Seconds a call takes, after warming up where that one did not take long."""
    (cost,) = clock(contender, 0, 1)
    if cost < slow:
        cost = min(clock(contender, 0, 2))
    return cost


def _rounds(costs: dict[str, float], seconds: float, least: int, slow: float) -> int:
    once = sum(cost * (_calls(cost) + 1) for cost in costs.values() if cost <= slow)
    return max(least, min(_MOST_ROUNDS, int(seconds / once))) if once else least


def _calls(cost: float) -> int:
    return max(1, min(_MOST_CALLS, math.ceil(_WHOLE_TURN / cost)))


def consume(result: Any) -> None:
    """Takes what an iterator yields and lets go of it, one by one; anything else at once."""
    if isinstance(result, Iterator):
        deque(result, maxlen=0)


def _outputs(result: Any) -> Iterator[torch.Tensor]:
    if isinstance(result, (tuple, list, Iterator)):
        for output in result:
            yield from _outputs(output)
    else:
        yield torch.as_tensor(result)


def _difference(expected: torch.Tensor, got: torch.Tensor) -> float:
    assert expected.shape == got.shape, f"{list(got.shape)} where {list(expected.shape)} is due"
    expected = expected.detach().float()
    error = (got.detach().float() - expected).abs_().max() / expected.abs().max()
    return float(error)
