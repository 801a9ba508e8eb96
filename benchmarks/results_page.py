"""docs/benchmarks.md: what the results say, losses first; every contender is in README.md here."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import gpu_report
from kept import SUITES, Kept, Result, suite_of

from freqops.bench import model_tables, tables
from freqops.bench.tables import digits, line
from freqops.bench.verdict import Aim, Verdict, first_verdict, verdicts

# Nearer than this, who is faster may be another one tomorrow.
LEVEL = 0.95

TITLES = {
    "filters": "Filters",
    "pooling": "Anti-aliased pooling",
    "spectral": "Spectral pooling",
    "convolution": "Convolution in the frequency domain",
}
HEAD = """\
# Benchmarks

<!-- all of this page is written by `python benchmarks/run.py --render` from benchmarks/results/ -->

What freqops takes beside the fastest alternative that computes the same numbers, losses first.
A *ratio* is the fastest peer's time over ours: 2.00 is twice as fast as the peer, below 1.00 we
are slower. *Of copy* is the time of a copy of the same bytes as a share of ours, and 100 % is
the most that a filter can reach. A *goal* is a ratio that was set before the kernels were
written, in brackets what was reached against the goal's own peer where that is not the fastest.
`~` marks rows whose medians tell another ratio, by more than a quarter. Times are the least of
many interleaved calls, in milliseconds.

[How it is measured, and every peer in every row](../benchmarks/README.md). On your machine:
`freqops bench --quick`."""

NO_GPU = """\
## GPU

**Not measured: no GPU has been at hand.** The CUDA kernels are checked by replaying them on the
CPU and by counting their instructions; what those predict is in [kernels.md](kernels.md), and
is a prediction. `make gpu` measures where there is a GPU."""


@dataclass(frozen=True)
class Judged:
    """One of ours in a row."""

    environment: Result
    row: Result
    verdict: Verdict

    @property
    def where(self) -> str:
        """Which row, of which run."""
        name = "" if self.verdict.name == "freqops" else f", {self.verdict.name}"
        return f"{self.row['table']}, {self.row['label']}{name} ({state(self.environment)})"


def page(kept: Kept, pictures: Sequence[str]) -> str:
    """The page.

    Args:
        kept: the results.
        pictures: names of those that there are, of docs/images.
    """
    parts = [HEAD, _machines(kept), "## At a glance", _glance(kept), _losses(kept)]
    for name in SUITES:
        parts += _suite(name, kept, pictures)
    parts += _crossover(kept, pictures)
    networks = (
        ("Anti-aliased networks", "models", model_tables.models_section),
        ("Filtered evaluation", "evaluation", tables.evaluation_section),
        ("Accelerated networks", "accelerated", tables.accelerated_section),
        ("Memory", "memory", tables.memory_section),
    )
    for title, name, section in networks:
        found = [section(result) for result in getattr(kept, name)]
        parts += [f"## {title}", _NOTES[name], *(found or [_not_yet(name)])]
    parts += _gpu(kept)
    parts += _runs(kept)
    return "\n\n".join(parts) + "\n"


_NOTES = {
    "models": (
        "torchvision's ResNets in Zhang's architecture, 3 taps where a row does not say otherwise: "
        "with our pools, with the layers of antialiased-cnns, timm and kornia, with the same made "
        "of torch's calls, and with bare slices for every blur, the least that the architecture "
        "can take. Those that compute the same are checked to give the same numbers; the fastest "
        "of them is named, with how many times ours it takes. Medians in milliseconds, ratios are "
        "medians of those within a round; percentages are what it takes more. *pool_only* is the "
        "plain network with its max pool alone replaced."
    ),
    "evaluation": (
        "Images as they are and under 8 radii, low- and high-passed, through a network: one "
        "call of `freqops.evaluation.sweep` beside the loops that people write. All give the "
        "same shares of right answers. *network* is the network alone, on images that nobody "
        "filtered: no evaluation can take less. Ratios are medians of those within a round; `~` "
        "marks those whose quartiles lie on both sides of 1: who is faster is not certain."
    ),
    "accelerated": (
        "Networks with large depthwise kernels as they are and after `freqops.accelerate`, "
        "inference, in turns; medians in milliseconds. *converted* counts convolutions, in "
        "NCHW / channels_last."
    ),
    "memory": "What a call needs besides its input.",
}


def _not_yet(name: str) -> str:
    return f"Not measured yet: `python benchmarks/run.py --suites {name}`."


def _image(name: str, words: str) -> str:
    return f"![{words}](images/{PurePosixPath(name).name})"


# --- where it comes from --------------------------------------------------------------------------


def _machines(kept: Kept) -> str:
    """Each, with the versions and when and of what it was measured."""
    machines: dict[str, list[Result]] = {}
    for environment in _environments(kept):
        machines.setdefault(environment["cpu"], []).append(environment)
    return "\n".join(_machine(found) for found in machines.values())


def _environments(kept: Kept) -> list[Result]:
    return [one["environment"] for one in kept.everything() if "steps" not in one]


def _machine(found: Sequence[Result]) -> str:
    """All versions that its runs name; who wants to know of which run looks at the list of runs."""
    dates = sorted(environment["date"] for environment in found)
    until = f" to {dates[-1]}" if dates[-1] != dates[0] else ""
    versions = dict.fromkeys(
        f"{name} {environment[name]}"
        for name in (*tables.PACKAGES, "antialiased-cnns", "torchvision")
        for environment in found
        if name in environment
    )
    pythons = dict.fromkeys(f"Python {environment['python']}" for environment in found)
    commits = dict.fromkeys(environment["commit"] for environment in found)
    return (
        f"- **{found[0]['cpu']}**, {found[0]['cores']} cores; {', '.join([*versions, *pythons])}; "
        f"{dates[0]}{until}, at {', '.join(commits)}"
    )


def _runs(kept: Kept) -> list[str]:
    """Of when each part is, and where its numbers are."""
    head = ["", "state", "date", "commit", "load before", "file"]
    lines = [line(head), line(["---"] * len(head))]
    for result in kept.everything():
        if "steps" in result:
            continue
        environment = result["environment"]
        file = f"[json](../benchmarks/results/{result['file']})"
        cells = [_part(result), state(environment), environment["date"], environment["commit"]]
        lines.append(line([*cells, f"{environment['load']:g}", file]))
    words = "With a `+`: something was not committed yet when it was measured."
    return ["## Runs", "\n".join(lines), words]


def _part(result: Result) -> str:
    if "cases" in result:
        return suite_of(result["environment"])
    kinds = [kind for kind in _NOTES if kind in result]
    return kinds[0] if kinds else "convolution, crossover"


def state(environment: Result) -> str:
    """The allocator, the level of the kernels and the threads, as far as a file says them."""
    words = [f"{environment['allocator']} allocator"]
    words += [str(environment["level"])] if "level" in environment else []
    threads = environment.get("threads")
    words += [f"{threads} thread{'s' if threads > 1 else ''}"] if threads else []
    return ", ".join(words)


# --- at a glance ----------------------------------------------------------------------------------


def _judged(result: Result) -> list[Judged]:
    environment = result["environment"]
    return [
        Judged(environment, row, verdict)
        for row in result["cases"]
        for verdict in verdicts(row, environment)
    ]


def _glance(kept: Kept) -> str:
    head = ["", "state", "calls", "faster than the fastest peer", "ratio, least", "median", "most"]
    head += ["of copy, median", "goals met", "`~`"]
    lines = [line(head), line(["---", "---"] + ["---:"] * (len(head) - 2))]
    for result in kept.suites:
        found = _judged(result)
        if not found:
            continue
        ratios = sorted(one.verdict.ratio for one in found)
        aims = [aim for one in found for aim in one.verdict.aims]
        cells = [
            suite_of(result["environment"]),
            state(result["environment"]),
            str(len(found)),
            str(sum(not one.verdict.lost for one in found)),
            f"{ratios[0]:.2f}",
            f"{statistics.median(ratios):.2f}",
            digits(ratios[-1]),
            f"{statistics.median(one.verdict.of_floor for one in found):.0%}",
            f"{sum(aim.met for aim in aims)} of {len(aims)}" if aims else "",
            str(sum(one.verdict.uncertain for one in found)),
        ]
        lines.append(line(cells))
    return "\n".join(lines)


def _losses(kept: Kept) -> str:
    found = [one for result in kept.suites for one in _judged(result)]
    lost = sorted((one for one in found if one.verdict.lost), key=lambda one: one.verdict.ratio)
    clear = [one for one in lost if one.verdict.ratio < LEVEL]
    near = [one for one in lost if one.verdict.ratio >= LEVEL]
    broken = [
        f"- {row['table']}, {row['label']}: ours does not run: {row['failed']}"
        for result in kept.suites
        for row in result["cases"]
        if row.get("failed")
    ]
    apart = [
        f"- {row['table']}, {row['label']}: {name} {why}"
        for result in kept.suites
        for row in result["cases"]
        for name, why in row["not_compared"].items()
    ]
    parts = [f"### Losses: {len(clear)} of {len(found)}"]
    parts += [_listed(clear) if clear else "**No losses**: no peer was more than 5 % faster."]
    if near:
        parts += [f"Level, but behind, by 5 % at most: {len(near)}", _listed(near)]
    if broken:
        parts += ["Failed:", "\n".join(broken)]
    if apart:
        parts += ["Not compared, because they compute something else:", "\n".join(apart)]
    return "\n\n".join(parts)


def _listed(lost: Sequence[Judged]) -> str:
    return "\n".join(
        f"- {one.where}: {'~' * one.verdict.uncertain}{one.verdict.ratio:.2f}, "
        f"{digits(one.verdict.ours['minimum'])} ms against {one.verdict.best['name']}'s "
        f"{digits(one.verdict.best['minimum'])} ms"
        for one in lost
    )


# --- suites ---------------------------------------------------------------------------------------


def _suite(name: str, kept: Kept, pictures: Sequence[str]) -> Iterator[str]:
    yield f"## {TITLES[name]}"
    default, warm = kept.suite(name, "default"), kept.suite(name, "warm")
    result = default or warm
    if result is None:
        yield _not_yet(name)
        return
    for one in pictures:
        if _of_suite(one, name):
            kind = PurePosixPath(one).stem.removeprefix(f"bench_{name}")
            yield _image(one, f"{TITLES[name]}{_SHOWN[kind]}")
    beside = "; on the right the same with page faults tuned away (warm allocator)"
    yield f"{state(result['environment']).capitalize()}{beside if default and warm else ''}."
    yield _table(result, warm if default else None)


# What a picture shows, by the end of its name.
_SHOWN = {
    "": ": times as multiples of a copy's, beside the fastest peer, losses in another colour",
    "_gradient": ", forward and backward: times as multiples of a copy's, losses in another colour",
    "_scaling": ": time per pixel over the size of the images and over the batch",
    "_radii": ": time over the number of radii, which share their forward transform",
}


def _of_suite(picture: str, name: str) -> bool:
    return PurePosixPath(picture).stem.split("_")[:2] == ["bench", name]


def _table(result: Result, warm: Result | None) -> str:
    """A line per row: of a user's plain call."""
    others = {(row["table"], row["label"]): row for row in (warm or {"cases": []})["cases"]}
    head = ["", "shape", "freqops", "fastest peer", "ratio", "of copy", "goal"]
    head += ["warm: freqops", "ratio", "of copy", "goal"] if warm else []
    lines = [line(head), line(["---", "---"] + ["---:"] * (len(head) - 2))]
    before = None
    order = list(dict.fromkeys(row["table"] for row in result["cases"]))
    for row in sorted(result["cases"], key=lambda row: order.index(row["table"])):
        verdict = first_verdict(row, result["environment"])
        if verdict is None:
            continue
        peer = f"{verdict.best['name']} {digits(verdict.best['minimum'])}"
        ours = digits(verdict.ours["minimum"])
        table = "" if row["table"] == before else row["table"]
        cells = [table, row["label"], ours, peer, *_figures(verdict)]
        before = row["table"]
        if warm:
            other = others.get((row["table"], row["label"]))
            again = first_verdict(other, warm["environment"]) if other else None
            cells += [digits(again.ours["minimum"]), *_figures(again)] if again else [""] * 4
        lines.append(line(cells))
    return "\n".join(lines)


def _figures(verdict: Verdict) -> list[str]:
    ratio = f"{'~' * verdict.uncertain}{verdict.ratio:.2f}"
    goal = "; ".join(_goal(aim, verdict) for aim in verdict.aims)
    return [f"**{ratio}**" if verdict.lost else ratio, f"{verdict.of_floor:.0%}", goal]


def _goal(aim: Aim, verdict: Verdict) -> str:
    words = f"{aim.number:.1f} {'met' if aim.met else '**missed**'}"
    return words if aim.ratio == verdict.ratio else f"{words} ({aim.ratio:.2f})"


def _crossover(kept: Kept, pictures: Sequence[str]) -> list[str]:
    if kept.crossover is None:
        return []
    words = "Milliseconds of torch's convolution and of the one by FFT over the kernel's size"
    images = [_image(one, words) for one in pictures if "crossover" in one]
    text = (
        "Which way `fft_conv2d` takes, kernel by kernel: rings are the call as a user makes it. "
        f"{state(kept.crossover['environment']).capitalize()}."
    )
    return ["### Where the ways cross", text, *images]


def _gpu(kept: Kept) -> list[str]:
    if not kept.gpu:
        return [NO_GPU]
    parts = ["## GPU"]
    for result in kept.gpu:
        environment: Any = result["environment"]
        if "steps" not in result:
            parts.append(tables.section(result))
            continue
        rows = result["steps"].get("measure", {}).get("rows", [])
        made = f"{environment['gpu']['name']}, [json](../benchmarks/results/{result['file']})"
        parts += [f"### {made}", f"```text\n{gpu_report.table(rows)}\n```"]
        parts.append(gpu_report.summary(rows))
    return parts
