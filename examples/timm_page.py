"""The records of a walk through timm as a page of Markdown."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from timm_records import Record

#: What a reason is called in a table's cell; one that is not here is quoted.
_SHORT = (
    (r"global: ", "global pool"),
    (r"stride \d+ cuts it into patches", "patch embedding"),
    (r"low-passes already", "blur of its own"),
    (r"is never called on the example", "never called"),
    (r".* is called \d+ times", "its activation is called several times"),
    (r"already anti-aliased", "already anti-aliased"),
    (r"its sizes have no whole ratio", "no whole ratio"),
    (r"with it .* would give|the model could not be run with it", "taken back by the check"),
)

_METHOD = """Each was built
without weights on the meta device, converted by `freqops.antialias(model, "zhang")`, and given back
by `undo()`. An **error** is an exception, a `state_dict` with other keys or shapes, other output
sizes, a pool, convolution or interpolation that still samples more coarsely and has no row in the
report (both in a run that is not freqops' own), an attribute that `undo()` leaves changed, or a
limit of time or memory. Whether the numbers are right is not asked here, but in `tests/surgery`.
Slices (`x[..., ::2, ::2]`), rearrangements (patch merging, space to depth) and attention are no
sites."""


def page(records: Iterable[Record], families: Mapping[str, str]) -> str:
    """The page.

    Args:
        records: of the models walked.
        families: of every model timm lists, by name.
    """
    known = sorted(records, key=lambda record: record.name)
    by_family: dict[str, list[Record]] = defaultdict(list)
    for record in known:
        by_family[record.family].append(record)
    listed = Counter(families.values())
    parts = [_introduction(known, len(families)), _totals(known), _errors(known)]
    parts.append("## Families")
    parts += [_family(name, by_family[name], listed[name]) for name in sorted(by_family)]
    missing = sorted(families.keys() - {record.name for record in known})
    if missing:
        parts.append("## Not walked yet\n\n" + ", ".join(missing))
    return "\n\n".join(part for part in parts if part) + "\n"


def short(reason: str) -> str:
    """A reason in a few words."""
    for pattern, words in _SHORT:
        if re.match(pattern, reason):
            return words
    return reason


# --- the top ------------------------------------------------------------------------------------


def _introduction(records: Sequence[Record], listed: int) -> str:
    dates = sorted({record.date for record in records}) or ["never"]
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    versions = "; ".join(sorted({record.versions for record in records}))
    return f"""# timm's models, converted

Made by `python examples/walk_timm.py`, which also continues it; not to be edited by hand.

**{len(records)} of the {listed} models** that `timm.list_models()` lists were walked, {when},
with {versions}. {_METHOD}"""


def _totals(records: Sequence[Record]) -> str:
    outcomes = Counter(record.outcome for record in records)
    blind = [record.name for record in records if record.trace.startswith("without a trace")]
    compared = sum(record.sizes is not None for record in records)
    searched = sum(record.missed is not None for record in records)
    rows = [
        ["models walked", str(len(records))],
        *([name, str(outcomes[name])] for name in ("converted", "nothing to convert", "error")),
        ["output sizes compared by another run", str(compared)],
        ["searched for places without a row by another run", str(searched)],
        ["converted without a trace, by the types of modules alone", _named(blind)],
    ]
    kinds = _sum(record.converted for record in records)
    reasons = _sum({short(why): n} for record in records for why, n in record.left.items())
    early = _sum({short(why): n} for record in records for why, n in record.early.items())
    parts = ["## Totals", _table(["", "models"], rows)]
    parts += [_table(["sites converted", str(kinds.total())], _counted(kinds))]
    parts += [_table(["sites left alone, because", str(reasons.total())], _counted(reasons))]
    if early:
        header = ["converted, blur before the activation, because", str(early.total())]
        parts.append(_table(header, _counted(early)))
    return "\n\n".join(parts)


def _errors(records: Sequence[Record]) -> str:
    rows = [[record.name, _cell(record.problem)] for record in records if record.problem]
    return "## Errors\n\n" + _table(["model", "what happened"], rows) if rows else ""


# --- families -----------------------------------------------------------------------------------


def _family(name: str, records: Sequence[Record], listed: int) -> str:
    """A line for all models with the same facts."""
    lines: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for record in records:
        lines[_facts(record)].append(record.name)
    rows = [[", ".join(names), *facts] for facts, names in lines.items()]
    header = ["models", "converted", "left alone", "outcome"]
    count = f"{len(records)}" if len(records) == listed else f"{len(records)} of {listed}"
    return f"### {name} ({count})\n\n{_table(header, rows)}"


def _facts(record: Record) -> tuple[str, ...]:
    outcome = _cell(f"error: {record.problem}" if record.problem else record.outcome)
    if record.trace.startswith("without a trace"):
        outcome += f"; {_cell(record.trace)}"
    left = _sum({short(why): n} for why, n in record.left.items())
    return _in_words(record.converted), _in_words(left), outcome


def _in_words(counts: Mapping[str, int]) -> str:
    """Returns "7: 6 conv, 1 max_pool"."""
    parts = [f"{n} {_cell(what)}" for what, n in sorted(counts.items())]
    return f"{sum(counts.values())}: {', '.join(parts)}" if parts else "0"


# --- Markdown -----------------------------------------------------------------------------------


def _sum(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total


def _counted(counts: Counter[str]) -> list[list[str]]:
    return [[_cell(what), str(n)] for what, n in counts.most_common()]


def _named(names: Sequence[str]) -> str:
    return f"{len(names)}" + (f": {', '.join(names)}" if names else "")


def _cell(text: str) -> str:
    """Text that stays in its cell."""
    flat = " ".join(text.split()).replace("|", "\\|")
    return flat if len(flat) <= 200 else f"{flat[:196]} ..."


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
