"""What is measured: a file per operator, whose ``ROWS`` are found by its being here."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Sequence

from freqops.bench.case import Row
from freqops.evaluation import InputError
from freqops.evaluation.words import nearest


@functools.cache
def operators() -> dict[str, tuple[Row, ...]]:
    """The rows of every operator, by its word."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            rows: Sequence[Row] = importlib.import_module(f"{__name__}.{module.name}").ROWS
            found[module.name] = tuple(rows)
    return found


def rows(ops: Sequence[str] = (), *, quick: bool = False) -> list[Row]:
    """Rows in their files' order.

    Args:
        ops: words of operators, in this order; none: all of them.
        quick: only what a quick run measures.

    Raises:
        InputError: there is no such operator.
    """
    known = operators()
    for op in ops:
        if op not in known:
            hint = nearest(op, known)
            raise InputError(f"ops: must be of {', '.join(known)}, got {op!r}{hint}")
    chosen = [row for op in ops or known for row in known[op]]
    return [row for row in chosen if row.quick or not quick]
