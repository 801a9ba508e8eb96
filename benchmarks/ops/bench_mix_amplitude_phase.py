"""mix_amplitude_phase2d: amplitude of one image, phase of another (APR)."""

from __future__ import annotations

from collections.abc import Callable

from freqops.bench.case import Row


def bench_mix_amplitude_phase(measure: Callable[[Row], None], row: Row) -> None:
    measure(row)
