"""Single rows of the results, by what their table and label say."""

from __future__ import annotations

from kept import Result

from freqops.bench.verdict import Verdict, first_verdict


class NoSuchRow(LookupError):
    """A block is about a row that the results don't have."""


def row_of(result: Result, table: str, label: str) -> Result:
    """A row by its table and what its label begins with."""
    for row in result["cases"]:
        if row["table"] == table and f"{row['label']} ".startswith(f"{label} "):
            return dict(row)
    raise NoSuchRow(f"{result['file']} has no row {table}, {label}")


def verdict_of(result: Result, table: str, label: str) -> Verdict:
    """Of a user's plain call in a row that has peers."""
    verdict = first_verdict(row_of(result, table, label), result["environment"])
    if verdict is None:
        raise NoSuchRow(f"{result['file']}: {table}, {label} has no peer")
    return verdict
