"""Anti-aliased networks as Markdown: ours beside slices, peers and the plain network; recipes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from freqops.bench.tables import digits, line
from freqops.bench.verdict import Result, Row

_PACKAGES = ("torch", "torchvision", "antialiased-cnns", "timm", "kornia")
_ONLY = "pool_only, "
_PLAIN = "plain"


def models_section(result: Result) -> str:
    """What anti-aliasing costs end to end: medians, and the medians of the rounds' ratios."""
    environment = result["environment"]
    versions = ", ".join(f"{name} {environment[name]}" for name in _PACKAGES if name in environment)
    rows = [row for row in result["models"] if "recipes" not in row]
    parts = [
        "### Networks end to end, {allocator} allocator, {threads} threads".format(**environment),
        "{date}, {cpu}, {cores} cores, load {load} before; freqops at {commit}, {level}, "
        "{versions}, Python {python}".format(**environment, versions=versions),
        _summary(rows),
        _table(rows),
        _foot(result),
    ]
    if recipes := recipes_table(result):
        parts += ["### `freqops.antialias`, recipe by recipe", recipes]
    return "\n\n".join(filter(None, parts))


# --- architecture ---------------------------------------------------------------------------------


def _summary(rows: Sequence[Row]) -> str:
    """Losses first."""
    bounds = [bound for row in rows for bound in _bounds(row)]
    missed = [words for words, met in bounds if not met]
    lost = [
        f"- {row['label']}: {ratio:.2f}, {name}"
        for row in rows
        for name, ratio in _peers(row).items()
        if ratio < 1
    ]
    parts = [f"Within the bounds: {len(bounds) - len(missed)} of {len(bounds)}. Beyond:"]
    parts.append("\n".join(missed or ["- none"]))
    parts += ["Faster than ours, of the same function:", "\n".join(lost or ["- none"])]
    return "\n\n".join(parts)


def _bounds(row: Row) -> Iterator[tuple[str, bool]]:
    """What ours takes more than it may, and whether that is so."""
    pairs = (("freqops / slice", "zhang"), (f"{_ONLY}freqops / plain", "pool_only"))
    for pair, kind in pairs:
        if pair in row["ratios"]:
            more, most = row["ratios"][pair] - 1, row["allowed"][kind]
            yield f"- {row['label']}: {pair} {more:+.1%}, at most {most:+.1%}", more <= most


def _peers(row: Row) -> dict[str, float]:
    """How many times ours each takes that computes the same, the fastest first."""
    found = {
        entry["name"]: row["ratios"][f"{entry['name']} / freqops"]
        for entry in row["contenders"]
        if entry.get("role") == "peer" and not entry["name"].startswith(_ONLY)
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _table(rows: Sequence[Row]) -> str:
    head = ["", "images", "plain", "slice", "freqops", "more than slice", "fastest peer"]
    head += ["peer / freqops", "others", "pool_only: freqops", "more than plain", "torch, more"]
    lines = [line(head), line(["---"] + ["---:"] * (len(head) - 1))]
    lines += [line(_cells(row)) for row in rows]
    return "\n".join(lines)


def _cells(row: Row) -> list[str]:
    medians = {entry["name"]: digits(entry["median"]) for entry in row["contenders"]}
    ratios, allowed = row["ratios"], row["allowed"]
    best, *slower = _peers(row).items() or [("", 0.0)]
    others = [f"{name} {medians[name]} ({ratio:.2f})" for name, ratio in slower]
    others += [
        f"*{entry['name']}* {digits(entry['median'])} ({ratios[entry['name'] + ' / freqops']:.2f})"
        for entry in row["contenders"]
        if entry.get("role") == "other" and entry["name"] != _PLAIN
        and f"{entry['name']} / freqops" in ratios
    ]  # fmt: skip
    ratio = f"{best[1]:.2f}" if best[0] else ""
    return [
        row["label"],
        f"{row['images']} of {row['side']}",
        *(medians.get(name, "") for name in (_PLAIN, "slice", "freqops")),
        _more(ratios.get("freqops / slice"), allowed["zhang"]),
        f"{best[0]} {medians[best[0]]}" if best[0] else "",
        f"**{ratio}**" if best[0] and best[1] < 1 else ratio,
        ", ".join(others),
        medians.get(f"{_ONLY}freqops", ""),
        _more(ratios.get(f"{_ONLY}freqops / plain"), allowed["pool_only"]),
        _more(ratios.get(f"{_ONLY}torch / plain")),
    ]


def _more(ratio: float | None, most: float | None = None) -> str:
    """A percentage, ours with whether it is allowed."""
    if ratio is None:
        return ""
    words = f"{ratio - 1:+.1%}"
    return words if most is None else f"{words} {'met' if ratio - 1 <= most else '**missed**'}"


def _foot(result: Result) -> str:
    if "absent" not in result:
        return ""
    absent = [f"{name} (`{why}`)" for name, why in result["absent"].items()]
    words = (
        "*Slanted*: another function, for information, never the fastest peer: kornia has zeros "
        "around its maps. timm's filters of 4 taps start a sample earlier than the published ones "
        "and take no part. Compiled: `torch.compile` of each network."
    )
    return f"{words} Not at hand: {', '.join(absent) if absent else 'none, all were'}."


# --- recipes --------------------------------------------------------------------------------------


def recipes_table(result: Result) -> str | None:
    """Sites, operations, bytes and times of every recipe; None where none were measured."""
    rows = [row for row in result["models"] if "recipes" in row]
    if not rows:
        return None
    names = list(rows[0]["recipes"])
    lines = [line(["", _PLAIN, *(f"`{name}`" for name in names)])]
    lines.append(line(["---"] + ["---:"] * (len(names) + 1)))
    for network in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == network]
        lines += _counted(network, own[0], names)
        lines += [_timed(row, names) for row in own]
    return "\n".join(lines)


def _counted(network: str, row: Row, names: Sequence[str]) -> list[str]:
    found: list[Any] = [row["recipes"][name] for name in names]
    sites = [str(one["sites"]) for one in found]
    macs = [f"+{one['macs'] / 1e9:.3f} G" for one in found]
    moved = [f"+{one['bytes'] / 1e6:.3g}" for one in found]
    return [
        line([f"{network}, sites converted", f"{row['sites']} in all", *sites]),
        line(["MACs of an image", f"{row['macs'] / 1e9:.3f} G", *macs]),
        line(["MB written and read for it", "", *moved]),
    ]


def _timed(row: Row, names: Sequence[str]) -> str:
    medians = {entry["name"]: digits(entry["median"]) for entry in row["contenders"]}
    cells = [f"{medians[name]} ({row['ratios'][f'{name} / plain']:.2f}x)" for name in names]
    return line([f"ms of {row['images']} images, {row['layout']}", medians[_PLAIN], *cells])
