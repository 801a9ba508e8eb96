"""The files a sweep leaves behind: JSON, CSV, figures, and one self-contained HTML page."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from freqops import plots
from freqops.evaluation import ExampleGrid, InputError, SweepResult
from freqops.evaluation.conditions import BANDS
from freqops.evaluation.result import METRIC_LABELS, UNIT_LABELS, cell

#: What :func:`write_results` writes, in the order of the report.
FILES = ("sweep.json", "sweep.csv", "sweep.png", "examples.png", "report.html")


@dataclass(frozen=True)
class Run:
    """How the numbers came about, for the report's reader.

    Attributes:
        command: what was typed.
        data: name of the images.
        seconds: wall time of filtering and evaluation; of this run alone when it was resumed.
        versions: {"freqops": "0.1.0", ...}.
    """

    command: str
    data: str
    seconds: float
    versions: Mapping[str, str]


def write_results(
    folder: Path, result: SweepResult, grid: ExampleGrid | None, run: Run
) -> list[Path]:
    """Writes every file of `FILES` into a folder and returns their paths.

    The numbers come first, each file complete or absent, so that hours of evaluation don't hang on
    a figure; figures and report are made in a temporary folder and moved when all are complete.

    Raises:
        InputError: the folder can't be written.
    """
    try:
        result.save(folder / "sweep.json")
        result.save(folder / "sweep.csv")
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
            made = Path(temporary)
            _draw(made, result, grid, run)
            for name in FILES[2:]:
                if (made / name).exists():
                    (made / name).replace(folder / name)
                else:  # an earlier run's would contradict this one's
                    (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"out: {folder} can't be written ({error.strerror})") from error
    return [folder / name for name in FILES if (folder / name).exists()]


def _draw(folder: Path, result: SweepResult, grid: ExampleGrid | None, run: Run) -> None:
    """Writes figures and report."""
    curves = plots.figure_bytes(plots.plot_sweep(result))
    (folder / "sweep.png").write_bytes(curves)
    examples = None
    if grid is not None:
        examples = plots.figure_bytes(plots.plot_examples(grid))
        (folder / "examples.png").write_bytes(examples)
    per_class = {}
    for model in result.models:
        figure = plots.plot_per_class(result, model)
        if figure is not None:
            per_class[model] = plots.figure_bytes(figure)
    page = render(result, run, curves=curves, examples=examples, per_class=per_class)
    (folder / "report.html").write_text(page, encoding="utf-8")


def render(
    result: SweepResult,
    run: Run,
    *,
    curves: bytes,
    examples: bytes | None,
    per_class: Mapping[str, bytes],
) -> str:
    """Returns the report as one HTML page with its images inside."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        files(__package__).joinpath("report.html.jinja").read_text(encoding="utf-8")
    )
    metric = result.default_metric()
    return template.render(
        result=result,
        run=run,
        metric=METRIC_LABELS.get(metric, metric),
        share=metric in METRIC_LABELS,
        unit=UNIT_LABELS[result.settings["unit"]],
        table=result.table_rows(metric),
        findings=findings(result, metric),
        settings=_settings(result, run),
        curves=_inline(curves),
        examples=None if examples is None else _inline(examples),
        per_class={name: _inline(content) for name, content in per_class.items()},
    )


def findings(result: SweepResult, metric: str) -> list[str]:
    """Returns a sentence or two per model: the cutoffs at which half of its accuracy is left."""
    sentences = []
    for model in result.models:
        baseline = result.record(model).get(metric)
        if metric not in METRIC_LABELS or not baseline:
            continue
        bands = [kind for kind in BANDS if kind in result.settings["kinds"]]
        halves = [_half(result, model, kind, metric, baseline) for kind in bands]
        share = f"{cell(baseline, metric)} %"
        sentences.append(f"{model} reaches {share} on the images as they are. {' '.join(halves)}")
    return sentences


def _half(result: SweepResult, model: str, kind: str, metric: str, baseline: float) -> str:
    """Says where a band's curve crosses half of the baseline, as far as the cutoffs tell."""
    cutoffs, values = result.curve(model, kind, metric)
    enough = [c for c, v in zip(cutoffs, values, strict=True) if v >= baseline / 2]
    if not enough:
        return f"No {kind}-passed version keeps half of that."
    edge = min(enough) if kind == "low" else max(enough)
    where = f"below {edge:g} ({UNIT_LABELS[result.settings['unit']]})"
    if kind == "low":
        return f"The frequencies {where} are enough for half of that."
    return f"At least half is left when those {where} are taken away."


def _settings(result: SweepResult, run: Run) -> list[tuple[str, str]]:
    """Returns what the numbers depend on, as rows for a reader."""
    known: dict[str, Any] = result.settings
    size = known.get("image_size")
    edge = "up to and including" if known["inclusive"] else "below"
    filters = f"{known['kind']} filter, {known['norm']} norm, {edge} the cutoff"
    if known["kind"] == "butterworth":
        filters += f", order {known['order']}"
    unit = UNIT_LABELS[known["unit"]]
    shape = f"{size[1]} x {size[2]} pixels, {size[0]} channels" if size else ""
    rows = [
        ("Images", f"{known['samples']:,} from {run.data}"),
        ("Size", shape),
        ("Filter", filters),
        ("Cutoffs", f"{', '.join(map('{:g}'.format, known['cutoffs']))} ({unit})"),
        ("Device", f"{known['device']}, autocast {known['autocast'] or 'off'}"),
        ("Time", f"{run.seconds:.1f} s for filtering and evaluation"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in run.versions.items())),
    ]
    rows += [
        (f"Normalisation of {name}", f"mean {list(pair[0])}, std {list(pair[1])}, after the filter")
        for name, pair in (known.get("normalize") or {}).items()
    ]
    return [row for row in rows if row[1]]


def _inline(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
