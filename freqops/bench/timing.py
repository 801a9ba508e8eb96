"""Times contenders turn by turn: a busy moment of the machine then meets them all."""

from __future__ import annotations

import itertools
import math
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

_WHOLE_TURN = 2e-3  # seconds of calls that make a turn of a short operation
_MOST_CALLS = 10
_SLOW = 2.0  # seconds a call; such a contender, a Python loop say, is called twice only
_SLOW_ROUNDS = 2
_MOST_ROUNDS = 60

Role = Literal["ours", "peer", "other", "floor"]


@dataclass(frozen=True)
class Contender:
    """One way of computing what the others compute too; an iterator is exhausted while timed.

    A floor computes nothing, and ``other`` something else: to compare times with, not results.

    Attributes:
        name: as tables show it.
        run: what is timed.
        role: see above.
        check: what gives the result to compare, where ``run`` takes another input each time.
    """

    name: str
    run: Callable[[], Any]
    role: Role = "peer"
    check: Callable[[], Any] | None = None

    def result(self) -> Any:
        """What is compared with the others' results."""
        return (self.check or self.run)()


@dataclass(frozen=True)
class Timing:
    """What a contender's calls took, in milliseconds.

    Attributes:
        minimum: what the code can do.
        median: what a user of this machine got.
        spread: from the first quartile to the third.
        samples: number of calls.
        quartiles: the first and the third; None in results of before they were kept.
    """

    minimum: float
    median: float
    spread: float
    samples: int
    quartiles: tuple[float, float] | None = None


# --- clocks ---------------------------------------------------------------------------------------

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


def event_clock(contender: Contender, untimed: int, calls: int) -> list[float]:
    """For a CUDA device: the calls are queued behind each other, events between them."""
    for _ in range(untimed):
        consume(contender.run())
    events = [
        torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        for _ in range(calls + 1)
    ]
    events[0].record()
    for event in events[1:]:
        consume(contender.run())
        event.record()
    events[-1].synchronize()
    return [start.elapsed_time(end) / 1e3 for start, end in itertools.pairwise(events)]


def clock_of(device: str) -> Clock:
    """Events on CUDA, the wall elsewhere."""
    return event_clock if torch.device(device).type == "cuda" else wall_clock


# --- rounds ---------------------------------------------------------------------------------------


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
    return {name: timing(values) for name, values in times.items()}


def timing(seconds: Sequence[float]) -> Timing:
    """Of one contender's calls."""
    values = [1e3 * value for value in seconds]
    if len(values) < 2:
        return Timing(values[0], values[0], 0.0, 1, (values[0], values[0]))
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    return Timing(min(values), median, third - first, len(values), (first, third))


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


# --- results --------------------------------------------------------------------------------------


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
        reason = difference(first, other, tolerance)
        assert reason is None, f"{other.name} and {first.name} {reason}"


def difference(first: Contender, other: Contender, tolerance: float) -> str | None:
    """In what the results of two differ: "differ by 1e-2", or None where they agree."""
    # Side by side, so that of a long sweep two outputs are alive at a time, not all.
    pairs = itertools.zip_longest(outputs_of(first.result()), outputs_of(other.result()))
    worst = 0.0
    for expected, got in pairs:
        if expected is None or got is None:
            return "differ in the number of results"
        if expected.shape != got.shape:
            return f"differ in shape: {list(got.shape)} where {list(expected.shape)} is due"
        error = _relative(expected, got)
        worst = error if math.isnan(error) else max(worst, error)
        if math.isnan(worst):
            break
    return None if worst <= tolerance else f"differ by {worst:.1e}"


def consume(result: Any) -> None:
    """Takes what an iterator yields and lets go of it, one by one; anything else at once."""
    if isinstance(result, Iterator):
        deque(result, maxlen=0)


def outputs_of(result: Any) -> Iterator[Tensor]:
    """The tensors of a result, one by one; complex ones as pairs of numbers."""
    if isinstance(result, (tuple, list, Iterator)):
        for output in result:
            yield from outputs_of(output)
    else:
        tensor = torch.as_tensor(result)
        yield torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _relative(expected: Tensor, got: Tensor) -> float:
    expected = expected.detach().float()
    if not expected.numel():
        return 0.0
    error = (got.detach().to(expected) - expected).abs_().max() / expected.abs().max()
    return float(error)


# --- inputs that no cache holds -------------------------------------------------------------------

_LEAST_INPUTS, _MOST_INPUTS = 2, 64
_CACHES = 2  # so many times what the cache holds are touched before an input comes up again


def inputs_beyond_cache(x: Tensor, cache_bytes: int) -> list[Tensor]:
    """Random tensors like x, enough of them that none is still in a cache when it is its turn."""
    count = math.ceil(_CACHES * cache_bytes / x.nbytes)
    count = max(_LEAST_INPUTS, min(_MOST_INPUTS, count))
    return [x, *(torch.rand_like(x) for _ in range(count - 1))]


class Rotation:
    """Calls a function on inputs in turn. As many results stay alive, so they go to other memory.

    Args:
        call: of one input.
        inputs: what it is called with.
    """

    def __init__(self, call: Callable[[Any], Any], inputs: Sequence[Any]) -> None:
        self._call = call
        self._inputs = itertools.cycle(inputs)
        self.results: deque[Any] = deque(maxlen=len(inputs))

    def __call__(self) -> None:
        """One call."""
        self.results.append(self._call(next(self._inputs)))
