"""records: what reports consist of, and how they are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One site.

    Attributes:
        name: path of the module, or "path.method:function" of a call in a method.
        kind: "conv", "max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool",
            "interpolate", "blur" or "other_pool".
        before: what it was.
        after: what it is now, "" where it was left alone.
        reason: why it was left alone, else "".
    """

    name: str
    kind: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class SiteCost:
    """What one site costs more than before.

    Attributes:
        name: of the site.
        macs: multiplications with additions.
        bytes: written and read; every map counts once for each, whatever a cache holds.
        milliseconds: of the modules that were changed (not of what lies between a convolution and
            the blur behind its activation); noise can make it negative.
    """

    name: str
    macs: int
    bytes: int
    milliseconds: float


@dataclass(frozen=True)
class Cost:
    """What a conversion costs on one input.

    Attributes:
        sites: one entry per converted site.
        macs: sum over the sites.
        bytes: sum over the sites.
        milliseconds_before: median time of the whole model as it was.
        milliseconds_after: as it is.
    """

    sites: tuple[SiteCost, ...]
    macs: int
    bytes: int
    milliseconds_before: float
    milliseconds_after: float

    def to_json(self) -> str:
        """All of it as JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def __str__(self) -> str:
        total = self.milliseconds_after - self.milliseconds_before
        lines = (*self.sites, SiteCost("total", self.macs, self.bytes, total))
        numbers = [(one.macs / 1e6, one.bytes / 1e6, one.milliseconds) for one in lines]
        body = [
            [one.name, f"{macs:.2f}", f"{megabytes:.2f}", f"{milliseconds:+.2f}"]
            for one, (macs, megabytes, milliseconds) in zip(lines, numbers, strict=True)
        ]
        table = text_table(["site", "+ million MACs", "+ MB", "+ ms"], body)
        return (
            f"{table}\nwhole model: {self.milliseconds_before:.2f} ms before, "
            f"{self.milliseconds_after:.2f} ms after"
        )


def text_table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Cells in columns, with a line under the header."""
    widths = [max(len(row[i]) for row in (header, *body)) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *body)
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])
