"""What was found out about each model of timm: a JSON line each, in a file that only grows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Record:
    """One model, built, converted and given back.

    Attributes:
        name: the model's, in timm.
        family: the file of timm that defines it.
        date: of the conversion, as 2026-11-30.
        versions: of freqops, timm and torch, in words.
        parameters: how many; None where the model could not be built.
        input_size: channels, height and width it was run with.
        device: "meta", or "cpu" where timm can't build it without memory.
        trace: how its structure was seen, or why it could not be.
        converted: number of sites by kind.
        early: number of converted sites whose blur stands before the activation, by reason.
        left: number of sites left alone, by reason.
        sizes: the model gave the same output sizes before and after; None: not to be compared.
        missed: places that still sample more coarsely in the converted model, by kind, as far as
            they are more than the sites that were left alone; None: it can't be told.
        problem: what went wrong, as a sentence; "" if nothing did.
        traceback: the last lines of the exception's, "" without one.
        seconds: it took.
    """

    name: str
    family: str
    date: str
    versions: str
    parameters: int | None = None
    input_size: list[int] = field(default_factory=list)
    device: str = ""
    trace: str = ""
    converted: dict[str, int] = field(default_factory=dict)
    early: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    sizes: bool | None = None
    missed: dict[str, int] | None = None
    problem: str = ""
    traceback: str = ""
    seconds: float = 0.0

    @property
    def outcome(self) -> str:
        """One of "converted", "nothing to convert", "error"."""
        if self.problem:
            return "error"
        return "converted" if self.converted else "nothing to convert"


def read(path: Path) -> dict[str, Record]:
    """The records of a file by name, of each model the last; a line cut off by a kill is none."""
    if not path.exists():
        return {}
    records = {}
    for line in path.read_text().splitlines():
        try:
            content = json.loads(line)
        except json.JSONDecodeError:
            continue
        records[content["name"]] = Record(**content)
    return records


def append(path: Path, record: Record) -> None:
    """Adds a line; behind one that was cut off, on a new line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cut = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
    with path.open("a") as file:
        file.write("\n" * bool(cut) + json.dumps(asdict(record)) + "\n")


def to_do(names: Iterable[str], known: dict[str, Record], *, retry: bool = False) -> list[str]:
    """The names there is no record of; with `retry`, those whose record is of an error too."""
    return [name for name in names if name not in known or (retry and known[name].problem)]
