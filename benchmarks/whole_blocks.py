"""Tables of whole jobs: networks anti-aliased, recipe by recipe, filtered evaluations."""

from __future__ import annotations

from kept import Kept, Result

from freqops.bench.model_tables import recipes_table
from freqops.bench.tables import digits, line

# Labels of rows, as the script of each job has them.
_NETWORKS = (
    "resnet18 inference, NCHW",
    "resnet18 training, NCHW",
    "resnet50 inference, NCHW",
    "resnet50 training, NCHW",
    "resnet50 inference, NHWC",
    "resnet50 training, NHWC",
)


def whole(kept: Kept) -> str | None:
    """What users wait for, in milliseconds and in seconds."""
    if not kept.models or not kept.evaluation:
        return None
    rows = {row["label"]: row for row in kept.models[0]["models"]}
    if any("role" not in entry for label in _NETWORKS for entry in rows[label]["contenders"]):
        return None  # of before the peers' layers took part
    head = ["anti-aliased, ms", "plain", "bare slices", "freqops", "other pools, the fastest"]
    lines = [line(head), line(["---"] + ["---:"] * (len(head) - 1))]
    lines += [line(_network(rows[label])) for label in _NETWORKS]
    head = ["filtered evaluation, s", "network alone", "freqops", "torch.fft loop", "numpy loop"]
    lines += ["", line(head), line(["---"] + ["---:"] * (len(head) - 1))]
    lines += [line(_evaluation(row)) for row in kept.evaluation[0]["evaluation"]]
    return "\n".join(lines)


def _network(row: Result) -> list[str]:
    medians = {entry["name"]: entry["median"] for entry in row["contenders"]}
    peers = [
        entry["name"]
        for entry in row["contenders"]
        if entry["role"] == "peer" and not entry["name"].startswith("pool_only")
    ]
    best = min(peers, key=lambda name: float(row["ratios"][f"{name} / freqops"]))
    ratio = row["ratios"][f"{best} / freqops"]
    more = row["ratios"]["freqops / slice"] - 1
    words = [digits(medians[name]) for name in ("plain", "slice", "freqops")]
    return [
        f"{row['label']}, {row['images']} images",
        *words[:2],
        f"{words[2]} ({more:+.1%} on slices)",
        f"{best} {digits(medians[best])} ({ratio:.2f}x)",
    ]


def _evaluation(row: Result) -> list[str]:
    seconds = {entry["name"]: digits(entry["median"] / 1e3) for entry in row["contenders"]}
    cells = [row["label"], seconds["network"], seconds["freqops"]]
    for name in ("torch.fft", "numpy"):
        cells.append(f"{seconds[name]} ({_ratio(row, name)})" if name in seconds else "")
    return cells


def _ratio(row: Result, name: str) -> str:
    """A ratio, with `~` where the quartiles of its rounds lie on both sides of 1."""
    ratio = row["ratios"][name]
    first, third = row.get("ratio_quartiles", {}).get(name, (ratio, ratio))
    return f"{'~' * (first < 1 < third)}{ratio:.2f}x"


def recipes(kept: Kept) -> str | None:
    """What every recipe adds to a network, counted, and what that takes."""
    table = recipes_table(kept.models[0]) if kept.models else None
    if table is None:
        return None
    environment = kept.models[0]["environment"]
    made = (
        "Times are medians, float32, in brackets the median of the ratios to the plain network "
        "within a round: {threads} threads of {cpu}, {date}, load {load} before, {allocator} "
        "allocator."
    ).format(**environment)
    return f"{table}\n\n{made}"
