"""Results as Markdown: every contender, ratio to the best peer, the goal, and whether it is met."""

from __future__ import annotations

from collections.abc import Sequence

from freqops.bench.verdict import RESTLESS, Aim, Result, Row, Verdict, verdicts

# Whose versions a suite's results name.
PACKAGES = ("torch", "numpy", "scipy", "ducc0", "kornia", "timm")


def section(result: Result) -> str:
    """A result file as Markdown: where it comes from, losses and misses first, then the tables."""
    environment = result["environment"]
    title = "### {allocator} allocator, {level}, {threads} threads".format(**environment)
    if environment.get("suite", "filters") != "filters":
        title = f"{title}: {environment['suite']}"
    if environment["threads"] == 1:
        title = title.replace("threads", "thread")
    packages = [f"{name} {environment[name]}" for name in PACKAGES if name in environment]
    made = (
        "{date}, {cpu}, {cores} cores, load {load} before; freqops {freqops} at {commit} "
        "({compiler}), {packages}, Python {python}"
    ).format(**environment, packages=", ".join(packages))
    parts = [title, made, _summary(result)]
    for name in dict.fromkeys(row["table"] for row in result["cases"]):
        rows = [row for row in result["cases"] if row["table"] == name]
        parts.append(f"**{name}**\n\n{_table(rows, environment)}")
    return "\n\n".join(parts)


def _summary(result: Result) -> str:
    judged = [
        (row, verdict)
        for row in result["cases"]
        for verdict in verdicts(row, result["environment"])
    ]
    aimed = [(row, verdict, aim) for row, verdict in judged for aim in verdict.aims]
    met = sum(aim.met for _, _, aim in aimed)
    lost = [
        f"- {_where(row, verdict)}: {verdict.ratio:.2f} times {verdict.best['name']}"
        for row, verdict in judged
        if verdict.lost
    ]
    missed = [
        f"- {_where(row, verdict)}: {aim.ratio:.2f}, goal {aim.number:.2f}{_rival(verdict, aim)}"
        for row, verdict, aim in aimed
        if not aim.met
    ]
    restless = sum(verdict.restless for _, verdict in judged)
    parts = [
        f"In {restless} of {len(judged)} rows our median is above {RESTLESS} times our minimum: "
        "the more, the less quiet the machine was.",
        f"Goals met: {met} of {len(aimed)}. Missed:",
        "\n".join(missed or ["- none"]),
        "Slower than the best peer:",
        "\n".join(lost or ["- none"]),
    ]
    return "\n\n".join(parts)


def _where(row: Row, verdict: Verdict) -> str:
    return f"{row['table']}, {row['label']}, {verdict.name}"


def _table(rows: Sequence[Row], environment: Row) -> str:
    names = dict.fromkeys(
        entry["name"] for row in rows for entry in row["contenders"] if entry["role"] != "ours"
    )
    with_bytes = any(row.get("moved_bytes") for row in rows)
    head = ["shape", "ours", "min / median", *names, "best peer", "ratio", "goal", "of copy"]
    if with_bytes:
        head.append("floor, MB")
    lines = [line(head), line(["---", "---"] + ["---:"] * (len(head) - 2))]
    for row in rows:
        others = {entry["name"]: entry for entry in row["contenders"]}
        for position, verdict in enumerate(verdicts(row, environment)):
            cells = [_other(others.get(name), verdict, position == 0) for name in names]
            first = [row["label"], verdict.name, _time(verdict.ours)]
            last = [f"{row['moved_bytes'] / 1e6:.1f}"] if with_bytes else []
            lines.append(line([*first, *cells, *_judged(verdict), *last]))
    return "\n".join(lines)


def _other(entry: Row | None, verdict: Verdict, with_time: bool) -> str:
    """A peer's times, once a row, and how many times ours they are."""
    if entry is None:
        return ""
    words = [_time(entry)] if with_time else []
    if entry["role"] != "floor":
        words.append(f"({digits(entry['minimum'] / verdict.ours['minimum'])}x)")
    return " ".join(words)


def _judged(verdict: Verdict) -> list[str]:
    goal = "; ".join(_goal(verdict, aim) for aim in verdict.aims)
    ratio = f"{'~' * verdict.uncertain}{verdict.ratio:.2f} ({verdict.median_ratio:.2f})"
    if verdict.lost:
        ratio = f"**{ratio}**"
    return [verdict.best["name"], ratio, goal, f"{verdict.of_floor:.0%}"]


def _goal(verdict: Verdict, aim: Aim) -> str:
    """The goal, whether it is met, and the ratio where it is not the row's."""
    words = f"{aim.number:.1f} {'met' if aim.met else '**missed**'}"
    if aim.ratio != verdict.ratio:
        words += f" ({aim.ratio:.2f})"
    return words + _rival(verdict, aim)


def _rival(verdict: Verdict, aim: Aim) -> str:
    """Named where a row has several goals."""
    return f" vs {aim.rival}" if len(verdict.aims) > 1 else ""


def _time(entry: Row) -> str:
    return f"{digits(entry['minimum'])} / {digits(entry['median'])}"


def digits(number: float) -> str:
    """Three of them."""
    return f"{number:.3g}" if number < 100 else f"{number:.0f}"


def line(cells: Sequence[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(cells) + " |"


def memory_section(result: Result) -> str:
    """The memory tables."""
    lines = [
        "### Memory: growth of the peak over one call of fft_filter2d, 64x3x224x224 float32",
        "",
        line(["", "MB", "outputs"]),
        line(["---", "---:", "---:"]),
    ]
    for row in result["memory"]:
        lines.append(line([row["name"], f"{row['bytes'] / 1e6:.1f}", f"{row['outputs']:.2f}"]))
    if "pooling" in result:
        lines += ["", *_pooling_memory(result["pooling"])]
    return "\n".join(lines)


def _pooling_memory(rows: Sequence[Row]) -> list[str]:
    """What a call needs besides x, and what training keeps until the backward pass."""
    head = ["", "layout", "", "inference, peak", "training, kept", "of it x", "training, peak"]
    lines = [
        "### Memory: anti-aliased pooling, 16x64x112x112 float32 (51.4 MB), 4 taps; MB",
        "",
        line(head),
        line(["---"] * 3 + ["---:"] * 4),
    ]
    for row in rows:
        numbers = [row[key] for key in ("inference", "kept", "kept_input", "training")]
        cells = [f"{number / 1e6:.1f}" for number in numbers]
        lines.append(line([row["op"], row["layout"], row["name"], *cells]))
    return lines


def evaluation_section(result: Result) -> str:
    """Whole filtered evaluations: seconds, and the medians of the rounds' ratios to ours."""
    names = list(
        dict.fromkeys(entry["name"] for row in result["evaluation"] for entry in row["contenders"])
    )
    head = ["", "conditions", *(f"{name}, s" for name in names), "network / freqops"]
    lines = [
        *_networks_head("Filtered evaluations end to end", result["environment"]),
        line(head),
        line(["---"] + ["---:"] * (len(head) - 1)),
    ]
    for row in result["evaluation"]:
        entries = {entry["name"]: entry for entry in row["contenders"]}
        cells = [_evaluated(entries.get(name), row) for name in names]
        share = f"{row['ratios']['network']:.0%}"
        lines.append(line([row["label"], str(row["conditions"]), *cells, share]))
    return "\n".join(lines)


def _evaluated(entry: Row | None, row: Row) -> str:
    """Seconds; of a peer also how many times ours, in bold where less, with `~` where uncertain."""
    if entry is None:
        return ""
    words = digits(entry["median"] / 1e3)
    if entry["role"] != "peer":
        return words
    median = row["ratios"][entry["name"]]
    # results of before they were kept have none
    first, third = row.get("ratio_quartiles", {}).get(entry["name"], (median, median))
    ratio = f"({'~' * (first < 1 < third)}{median:.2f}x)"
    return f"{words} " + (f"**{ratio}**" if median < 1 else ratio)


def accelerated_section(result: Result) -> str:
    """Networks before and after freqops.accelerate: medians, and how many times as fast."""
    rows = result["accelerated"]
    layouts = list(rows[0]["converted"])
    head = ["", "converted"]
    head += [cell for layout in layouts for cell in (f"{layout}, as it is", "accelerated")]
    lines = [
        *_networks_head("Networks with large kernels, accelerated", result["environment"]),
        line(head),
        line(["---", "---"] + ["---:"] * (len(head) - 2)),
    ]
    for row in rows:
        medians = {entry["name"]: entry["median"] for entry in row["contenders"]}
        counts = " / ".join(f"{some} of {of}" for some, of in row["converted"].values())
        cells = []
        for layout in layouts:
            plain, ours = medians[f"plain, {layout}"], medians[f"accelerated, {layout}"]
            cells += [digits(plain), f"{digits(ours)} ({plain / ours:.2f}x)"]
        lines.append(line([row["label"], counts, *cells]))
    return "\n".join(lines)


def _networks_head(title: str, environment: Row) -> list[str]:
    """A heading and where the rows come from; what a file does not say is left out."""
    packages = [f"{name} {environment[name]}" for name in PACKAGES if name in environment]
    made = (
        "{date}, {cpu}, {cores} cores, load {load} before; freqops at {commit}, {packages}, "
        "Python {python}"
    ).format(**environment, packages=", ".join(packages))
    states = "{allocator} allocator, {threads} threads".format(**environment)
    return [f"### {title}, {states}", "", made, ""]
