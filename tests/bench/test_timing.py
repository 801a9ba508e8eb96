"""Rounds, agreement, rotation, by clocks that are made up."""

import itertools

import pytest
import torch

from freqops.bench import timing
from freqops.bench.timing import Contender, Rotation, Timing, difference, interleave


class FakeClock:
    """Seconds that are given beforehand, and who was asked for them in which order."""

    def __init__(self, **seconds: float) -> None:
        self.seconds = seconds
        self.asked: list[tuple[str, int, int]] = []

    def __call__(self, contender: Contender, untimed: int, calls: int) -> list[float]:
        self.asked.append((contender.name, untimed, calls))
        return [self.seconds[contender.name] * (1 + index) for index in range(calls)]


def contenders(*names: str) -> list[Contender]:
    return [Contender(name, lambda: None) for name in names]


def test_every_round_has_everybody_in_another_order() -> None:
    clock = FakeClock(a=1e-3, b=1e-3, c=1e-3)
    interleave(contenders("a", "b", "c"), seconds=0, least_rounds=6, clock=clock)
    turns = [name for name, *_ in clock.asked[-18:]]
    rounds = [tuple(turns[start : start + 3]) for start in range(0, 18, 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len(set(rounds)) > 1


def test_warm_up_comes_before_a_turn_of_several_calls() -> None:
    clock = FakeClock(short=1e-4, long=0.5)
    interleave(contenders("short", "long"), seconds=0, least_rounds=2, clock=clock)
    rounds = clock.asked[4:]
    assert {one for one in rounds if one[0] == "short"} == {("short", 1, 10)}
    assert {one for one in rounds if one[0] == "long"} == {("long", 0, 1)}


def test_median_and_quartiles() -> None:
    found = timing.timing([1e-3, 2e-3, 3e-3, 4e-3, 9e-3])
    assert found == Timing(1.0, 3.0, 2.0, 5, (2.0, 4.0))
    assert timing.timing([2e-3]) == Timing(2.0, 2.0, 0.0, 1, (2.0, 2.0))


def test_events_are_between_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """One before the first call, one behind each; what is queued before them is not timed."""
    log: list[str] = []

    class Event:
        now = itertools.count()

        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            log.append("event")
            self.at = next(self.now)

        def synchronize(self) -> None:
            log.append("wait")

        def elapsed_time(self, other: "Event") -> float:
            assert log[-1] == "wait"
            return 1000.0 * (other.at - self.at)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    contender = Contender("ours", lambda: log.append("call"))
    assert timing.event_clock(contender, 1, 2) == [1.0, 1.0]
    assert log == ["call", "event", "call", "event", "call", "event", "wait"]


def test_clock_of_a_device() -> None:
    assert timing.clock_of("cpu") is timing.wall_clock
    assert timing.clock_of("cuda:1") is timing.event_clock


@pytest.mark.parametrize(
    ("got", "sentence"),
    [
        (torch.tensor([1.0, 2.0]), None),
        (torch.tensor([1.0, 2.1]), "differ by 5.0e-02"),
        (torch.tensor([1.0, torch.nan]), "differ by nan"),
        (torch.ones(3), r"differ in shape: [3] where [2] is due"),
        ((torch.tensor([1.0, 2.0]),) * 2, "differ in the number of results"),
        ((), "differ in the number of results"),
    ],
    ids=str,
)
def test_difference_is_told(got: object, sentence: str | None) -> None:
    expected = Contender("ours", lambda: torch.tensor([1.0, 2.0]))
    assert difference(expected, Contender("peer", lambda: got), 1e-3) == sentence


def test_imaginary_parts_are_compared() -> None:
    z = torch.tensor([1 + 1j])
    ours, peer = Contender("ours", lambda: z), Contender("peer", lambda: z.conj())
    assert difference(ours, peer, 1e-3) == "differ by 2.0e+00"


def test_rotated_contenders_are_compared_on_one_input() -> None:
    inputs = [torch.full((2,), float(number)) for number in range(3)]
    ours, peer = (
        Contender(name, Rotation(lambda x: 2 * x, inputs), check=lambda: 2 * inputs[0] + 1)
        for name in ("ours", "peer")
    )
    ours.run()  # one is further round than the other
    assert difference(ours, peer, 1e-6) is None


def test_inputs_fill_the_cache_twice() -> None:
    x = torch.rand(1024)
    inputs = timing.inputs_beyond_cache(x, 16 * x.nbytes)
    assert inputs[0] is x
    assert len(inputs) == 32
    assert len({one.data_ptr() for one in inputs}) == 32
    assert len(timing.inputs_beyond_cache(x, 1)) == 2
