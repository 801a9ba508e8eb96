"""The rows of `make gpu` judged, and as a short table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """How a row did, by medians.

    Attributes:
        form: the fastest of ours but the whole op: the kernel alone, or the op where it has none.
        microseconds: of a call.
        op_microseconds: of the op as users call it.
        times_naive: torch as usually written, over ours.
        times_tuned: torch.fft at its best, over ours; None for pools, which have one composition.
        share_of_copy: a copy of the same bytes over ours.
        error: against float64.
        met: whether the target is reached, None where there is none.
    """

    form: str
    microseconds: float
    op_microseconds: float
    times_naive: float
    times_tuned: float | None
    share_of_copy: float
    error: float | None
    met: bool | None


def verdict(row: Row) -> Verdict:
    """Judges a row that was measured."""
    by_name = {entry["name"]: entry for entry in row["contenders"]}
    ours = [entry for entry in row["contenders"] if entry["role"] == "ours"]
    kernels = [entry for entry in ours if entry["name"] != "freqops"]
    best = min(kernels or ours, key=lambda entry: float(entry["median"]))
    median = best["median"]
    times_naive = by_name["naive"]["median"] / median
    share_of_copy = by_name["copy"]["median"] / median
    target = row["plan"]["target"]
    met = None
    if target is not None:
        share = target["share_of_copy"]
        met = times_naive >= target["times_naive"] and (share is None or share_of_copy >= share)
    return Verdict(
        form=best["name"],
        microseconds=1e3 * median,
        op_microseconds=1e3 * by_name["freqops"]["median"],
        times_naive=times_naive,
        times_tuned=by_name["tuned"]["median"] / median if "tuned" in by_name else None,
        share_of_copy=share_of_copy,
        error=best["error"],
        met=met,
    )


def table(rows: Sequence[Row]) -> str:
    """A line for each row: what was reached, the target, what was predicted, the other forms."""
    head = ("row", "form", "us", "op us", "x naive", "x tuned", "of copy", "target", "met", "error")
    lines = [(*head, "predicted", "others, us")]
    lines += [_cells(row) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    plan = row["plan"]
    if "failed" in row:
        return (plan["label"], "FAILED", *[""] * 9, row["failed"])
    judged = verdict(row)
    target, predicted = plan["target"], plan["predicted_us"]
    words = ""
    if target is not None:
        share = target["share_of_copy"]
        words = f"{target['times_naive']:g}x" + ("" if share is None else f" {share:.0%}")
    shown = ("freqops", judged.form, "naive", "tuned", "copy")
    others = [
        f"{entry['name']} {1e3 * entry['median']:.0f}"
        for entry in row["contenders"]
        if entry["name"] not in shown
    ]
    return (
        plan["label"] + (" *" if row["in_graphs"] else ""),
        judged.form,
        _digits(judged.microseconds),
        _digits(judged.op_microseconds),
        f"{judged.times_naive:.2f}",
        "" if judged.times_tuned is None else f"{judged.times_tuned:.2f}",
        f"{judged.share_of_copy:.0%}",
        words,
        {None: "", True: "yes", False: "NO"}[judged.met],
        "" if judged.error is None else f"{judged.error:.1e}",
        "" if predicted is None else f"{predicted:g}",
        ", ".join(others),
    )


def _digits(number: float) -> str:
    return f"{number:.3g}" if number < 100 else f"{number:.0f}"


def summary(rows: Sequence[Row]) -> str:
    """How many targets were met, of the rows that were measured."""
    met = [judged.met for judged in (verdict(row) for row in rows if "failed" not in row)]
    aimed = [answer for answer in met if answer is not None]
    failed = sum("failed" in row for row in rows)
    return f"targets met: {sum(aimed)} of {len(aimed)}; rows that failed: {failed}"
