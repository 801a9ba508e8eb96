"""Results as Markdown: every contender, ratio to the best peer, the goal, and whether it is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Result = dict[str, Any]

# Goals were set for AVX-512; half as wide vectors may take a fifth from them.
LEVEL_ALLOWANCE = {"avx512": 1.0, "avx2": 0.8}
RESTLESS = 1.25


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
        goal: what was to be reached, None where nothing was set.
        goal_ratio: reached against the goal's own peers.
    """

    name: str
    ours: Row
    best: Row
    ratio: float
    median_ratio: float
    of_floor: float
    goal: float | None
    goal_ratio: float

    @property
    def met(self) -> bool:
        """Whether there is a goal and it is reached, to the printed digits."""
        return self.goal is not None and round(self.goal_ratio, 2) >= round(self.goal, 2)

    @property
    def restless(self) -> bool:
        """Whether something else ran on the machine, to judge by our own calls."""
        return bool(self.ours["median"] > RESTLESS * self.ours["minimum"])


def verdicts(row: Row, environment: Row) -> list[Verdict]:
    """One verdict for each contender of ours."""
    peers = [entry for entry in row["contenders"] if entry["role"] == "peer"]
    floor = next(entry for entry in row["contenders"] if entry["role"] == "floor")
    best = min(peers, key=_minimum)
    goal, against = _goal(row, environment)
    rival = min((peer for peer in peers if peer["name"] in against), key=_minimum, default=best)
    return [
        Verdict(
            name=ours["name"],
            ours=ours,
            best=best,
            ratio=best["minimum"] / ours["minimum"],
            median_ratio=best["median"] / ours["median"],
            of_floor=floor["minimum"] / ours["minimum"],
            goal=goal,
            goal_ratio=rival["minimum"] / ours["minimum"],
        )
        for ours in row["contenders"]
        if ours["role"] == "ours"
    ]


def _minimum(entry: Row) -> float:
    return float(entry["minimum"])


def _goal(row: Row, environment: Row) -> tuple[float | None, Sequence[str]]:
    goal = row["goal"]
    if goal is None:
        return None, ()
    allocator = environment["allocator"]
    number = goal["default" if allocator == "default" else "warm"]
    against = goal["against"]
    if allocator == "default" and goal["default_against"]:
        against = goal["default_against"]
    allowance = LEVEL_ALLOWANCE.get(environment["level"], 0.0)
    return (number * allowance or None), against


def section(result: Result) -> str:
    """A result file as Markdown: where it comes from, losses and misses first, then the tables."""
    environment = result["environment"]
    title = "### {allocator} allocator, {level}, {threads} threads".format(**environment)
    if environment["threads"] == 1:
        title = title.removesuffix("s")
    made = (
        "{date}, {cpu}, {cores} cores, load {load} before; freqops {freqops} at {commit} "
        "({compiler}), torch {torch}, numpy {numpy}, scipy {scipy}, ducc0 {ducc0}, Python {python}"
    ).format(**environment)
    parts = [title, made, _summary(result)]
    for name in dict.fromkeys(row["table"] for row in result["cases"]):
        rows = [row for row in result["cases"] if row["table"] == name]
        parts.append(f"**{name}**\n\n{_table(rows, environment)}")
    return "\n\n".join(parts)


def _summary(result: Result) -> str:
    judged = [
        (row, verdict)
        for row in result["cases"]
        for verdict in verdicts(row, result["environment"])
    ]
    aimed = [(row, verdict) for row, verdict in judged if verdict.goal is not None]
    met = sum(verdict.met for _, verdict in aimed)
    lost = [
        f"- {_where(row, verdict)}: {verdict.ratio:.2f} times {verdict.best['name']}"
        for row, verdict in judged
        if verdict.ratio < 1
    ]
    missed = [
        f"- {_where(row, verdict)}: {verdict.goal_ratio:.2f}, goal {verdict.goal:.2f}"
        for row, verdict in aimed
        if not verdict.met
    ]
    restless = sum(verdict.restless for _, verdict in judged)
    parts = [
        f"In {restless} of {len(judged)} rows our median is above {RESTLESS} times our minimum: "
        "the more, the less quiet the machine was.",
        f"Goals met: {met} of {len(aimed)}. Missed:",
        "\n".join(missed or ["- none"]),
        "Slower than the best peer:",
        "\n".join(lost or ["- none"]),
    ]
    return "\n\n".join(parts)


def _where(row: Row, verdict: Verdict) -> str:
    return f"{row['table']}, {row['label']}, {verdict.name}"


def _table(rows: Sequence[Row], environment: Row) -> str:
    names = dict.fromkeys(
        entry["name"] for row in rows for entry in row["contenders"] if entry["role"] != "ours"
    )
    head = ["shape", "ours", "min / median", *names, "best peer", "ratio", "goal", "of copy"]
    lines = [_line(head), _line(["---", "---"] + ["---:"] * (len(head) - 2))]
    for row in rows:
        others = {entry["name"]: entry for entry in row["contenders"]}
        for position, verdict in enumerate(verdicts(row, environment)):
            cells = [_other(others.get(name), verdict, position == 0) for name in names]
            first = [row["label"], verdict.name, _time(verdict.ours)]
            lines.append(_line([*first, *cells, *_judged(verdict)]))
    return "\n".join(lines)


def _other(entry: Row | None, verdict: Verdict, with_time: bool) -> str:
    """A peer's times, once a row, and how many times ours they are."""
    if entry is None:
        return ""
    words = [_time(entry)] if with_time else []
    if entry["role"] == "peer":
        words.append(f"({_digits(entry['minimum'] / verdict.ours['minimum'])}x)")
    return " ".join(words)


def _judged(verdict: Verdict) -> list[str]:
    goal = ""
    if verdict.goal is not None:
        word = "met" if verdict.met else "**missed**"
        goal = f"{verdict.goal:.1f} {word}"
        if verdict.goal_ratio != verdict.ratio:
            goal += f" ({verdict.goal_ratio:.2f})"
    ratio = f"{verdict.ratio:.2f} ({verdict.median_ratio:.2f})"
    if verdict.ratio < 1:
        ratio = f"**{ratio}**"
    return [verdict.best["name"], ratio, goal, f"{verdict.of_floor:.0%}"]


def _time(entry: Row) -> str:
    return f"{_digits(entry['minimum'])} / {_digits(entry['median'])}"


def _digits(number: float) -> str:
    return f"{number:.3g}" if number < 100 else f"{number:.0f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def memory_section(result: Result) -> str:
    """The memory table."""
    lines = [
        "### Memory: growth of the peak over one call of fft_filter2d, 64x3x224x224 float32",
        "",
        _line(["", "MB", "outputs"]),
        _line(["---", "---:", "---:"]),
    ]
    for row in result["memory"]:
        lines.append(_line([row["name"], f"{row['bytes'] / 1e6:.1f}", f"{row['outputs']:.2f}"]))
    return "\n".join(lines)
