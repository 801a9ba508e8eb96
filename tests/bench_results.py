"""Made-up results of the benchmarks: no test depends on how long anything takes."""

from typing import Any

from freqops.bench import record
from freqops.bench.case import Case, Goal, Point, Row
from freqops.bench.timing import Contender, Timing

ROLES: dict[str, Any] = {"freqops": "ours", "copy": "floor", "average": "other"}


def made_up_row(
    op: str = "blur_pool",
    label: str = "2x64x56x56",
    *,
    spread: float = 0.02,
    point: Point | None = None,
    not_compared: dict[str, str] | None = None,
    goals: tuple[Goal, ...] = (),
    **medians: float,
) -> dict[str, Any]:
    """A row's record, times in milliseconds by contender; `spread` is a share of each median."""
    times = medians or {"freqops": 1.0, "torch": 4.0, "copy": 0.5}
    contenders = [Contender(name, lambda: None, ROLES.get(name, "peer")) for name in times]
    shape = tuple(int(side) for side in label.split()[0].split("x"))
    table = f"{op}2d, float32, forward"
    row = Row(op, table, label, shape, lambda: contenders, goals=goals, moved_bytes=8, point=point)
    timings = {
        name: Timing(
            0.9 * median,
            median,
            spread * median,
            9,
            (median * (1 - spread / 2), median * (1 + spread / 2)),
        )
        for name, median in times.items()
    }
    return Case(row, contenders).record(timings, not_compared=not_compared)


ENVIRONMENT = {
    "device": "cpu",
    "cpu": "Some CPU",
    "cores": 2,
    "threads": 2,
    "allocator": "default",
    "level": "avx512",
    "torch": "2.13.0",
}


def made_up(*rows: dict[str, Any], **environment: Any) -> dict[str, Any]:
    """A whole result."""
    return record.result_of(rows or [made_up_row()], {**ENVIRONMENT, **environment}, {})


def mixed() -> dict[str, Any]:
    """Wins, a loss, a row without a peer, one that failed, and the points of four curves."""
    curves = [
        made_up_row(
            "fft_filter",
            f"4x3x{at}x{at} {axis}",
            point=Point(axis, at, work),
            **{"freqops": 1.0 * at, "torch": 5.0 * at, "copy": 0.2 * at},
        )
        for axis, work in (("size", 1000.0), ("batch", 10.0), ("radii", 1.0), ("taps", 1000.0))
        for at in (1, 2, 4)
    ]
    failed = {**made_up_row(label="9x9"), "contenders": [], "failed": "no kernel"}
    return made_up(
        made_up_row(),
        made_up_row(label="2x3x7x7", freqops=2.0, torch=1.5, copy=0.5),
        made_up_row(label="2x3x9x9", freqops=2.0, copy=0.5),
        failed,
        *curves,
    )
