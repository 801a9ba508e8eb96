"""What programs that time whole jobs have in common: networks, training, an evaluation."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from freqops.bench.machine import describe_run
from freqops.bench.timing import Contender, Timing, interleave, wall_clock

Rounds = dict[str, list[float]]


class Effort(NamedTuple):
    """How long a row is looked at.

    Attributes:
        seconds: about how long.
        least_rounds: however long they take.
        quick: whether only to show that it works: rows may be made smaller.
    """

    seconds: float
    least_rounds: int
    quick: bool = False


class Labelled(Protocol):
    """A row, as far as this file knows it."""

    @property
    def label(self) -> str:
        """Of the row in its table."""


def by_rounds(contenders: Sequence[Contender], effort: Effort) -> tuple[dict[str, Timing], Rounds]:
    """Times contenders turn by turn; also each round's seconds, but for the first, a warm-up."""
    times: Rounds = defaultdict(list)

    def clock(contender: Contender, untimed: int, calls: int) -> list[float]:
        taken = wall_clock(contender, untimed, calls)
        times[contender.name].append(min(taken))
        return taken

    timings = interleave(
        contenders,
        seconds=2 * effort.seconds,  # it allows for untimed calls, which long ones do not have
        least_rounds=effort.least_rounds,
        clock=clock,
        patient=True,
    )
    return timings, {name: values[1:] for name, values in times.items()}


def median_ratio(rounds: Rounds, first: str, second: str) -> float:
    """Of the rounds' ratios: what the machine does in a round meets both of a pair."""
    return statistics.median(a / b for a, b in zip(rounds[first], rounds[second], strict=True))


def run(
    suite: str,
    words: str,
    rows: Iterable[Labelled],
    measured: Callable[[Any, Effort], dict[str, Any]],
    section: Callable[[dict[str, Any]], str],
    absent: Mapping[str, str] | None = None,
) -> None:
    """The program around a suite of such rows: prints its table, or writes --out.

    Args:
        suite: its name, which its rows have in the JSON too.
        words: what the help says first.
        rows: all there are.
        measured: what is written of one.
        section: the table of a result.
        absent: peers that take no part, and why; None where none could.
    """
    parser = argparse.ArgumentParser(description=words)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0, help="about how long for each row")
    parser.add_argument("--least-rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small images, two rounds")
    parser.add_argument("--only", default="", help="words that a row's label has")
    parser.add_argument("--out", type=Path, help="JSON instead of a table")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    effort = Effort(arguments.seconds, arguments.least_rounds)
    if arguments.quick:
        effort = Effort(0.0, 2, quick=True)
    result: dict[str, Any] = {"environment": {**describe_run("cpu"), "suite": suite}, suite: []}
    if absent is not None:
        result["absent"] = dict(absent)
    for row in rows:
        if not set(arguments.only.split()) <= set(row.label.replace(",", "").split()):
            continue
        print(row.label, file=sys.stderr, flush=True)
        result[suite].append(measured(row, effort))
    if arguments.out is None:
        print(section(result))
    else:
        arguments.out.write_text(json.dumps(result, indent=1) + os.linesep)
