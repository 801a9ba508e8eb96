"""polyphase_pool2d: the grid follows the image (APS)."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_polyphase_pool(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
