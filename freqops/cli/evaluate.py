"""freqops evaluate: words to objects, one call of the evaluation, tables and files out."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich import box
from rich.table import Table

import freqops
from freqops.arguments import (
    class_numbers,
    cutoff_list,
    geometry,
    listed,
    metric_from,
    normalization,
    split_words,
)
from freqops.cli.program import app, check_writable, console, note, stoppable, versions
from freqops.evaluation import (
    ExampleGrid,
    ImageData,
    LoadedModel,
    SweepResult,
    example_grid,
    load_data,
    load_models,
    sweep,
)
from freqops.evaluation.result import METRIC_LABELS, UNIT_LABELS
from freqops.evaluation.sharding import keeps_order

STATE = ".sweep.state"


@app.command()
@stoppable
def evaluate(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL...] [DATA]",
            help="MODEL: demo, torchvision:NAME, timm:NAME, package.module:factory, FILE.pt2; "
            "several by commas or blanks, NAME=MODEL renames one. DATA, the last word when there "
            "are two or more: demo, a folder with class subfolders, torchvision:CIFAR10@ROOT, "
            "FILE.npz, package.module:factory. Neither: the network and photographs in freqops.",
        ),
    ] = None,
    cutoffs: Annotated[
        str | None,
        typer.Option(help="4,8,12 or 4:28:4 (ends included). Default: eight up to Nyquist."),
    ] = None,
    unit: Annotated[str, typer.Option(help="bins, cycles (per pixel) or nyquist.")] = "bins",
    kinds: Annotated[str, typer.Option(help="low, high or both.")] = "low,high",
    norm: Annotated[str, typer.Option(help="l2 (radial), linf (square) or l1.")] = "l2",
    kind: Annotated[str, typer.Option(help="ideal, butterworth or gaussian.")] = "ideal",
    inclusive: Annotated[bool, typer.Option(help="A frequency at the cutoff is low.")] = False,
    order: Annotated[int, typer.Option(help="Order of a Butterworth filter.")] = 2,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("freqops-evaluate"),
    weights: Annotated[
        list[str] | None,
        typer.Option(help="State dict (.safetensors, .pt) or DEFAULT; one, or one per model."),
    ] = None,
    metric: Annotated[
        str, typer.Option(help="accuracy, auc or package.module:factory of a metric.")
    ] = "accuracy",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    autocast: Annotated[
        str | None, typer.Option(help="bfloat16 or float16 inside the models.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Images per batch.")] = 64,
    workers: Annotated[
        int | None, typer.Option(help="Processes that read pictures.", show_default="up to 4")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="So many images, evenly spaced over the data.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Cut pictures to this square about their centre.")
    ] = None,
    resize: Annotated[
        int | None, typer.Option(help="Before that, scale their shorter side to this.")
    ] = None,
    normalize: Annotated[
        str,
        typer.Option(help="auto (what the weights ask for), none, imagenet, cifar10, cifar100."),
    ] = "auto",
    mean: Annotated[str | None, typer.Option(help="Per channel, as 0.5,0.5,0.5.")] = None,
    std: Annotated[str | None, typer.Option(help="Per channel, as 0.25,0.25,0.25.")] = None,
    class_index: Annotated[
        Path | None, typer.Option(help="JSON: class folder -> output number, or ImageNet's index.")
    ] = None,
    examples: Annotated[int, typer.Option(help="Images in examples.png.")] = 8,
    resume: Annotated[bool, typer.Option("--resume", help="Continue after Ctrl-C.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Accuracy on low- and high-passed images, cutoff by cutoff: a table, figures, a report.

    Writes sweep.json, sweep.csv, sweep.png, examples.png and report.html into the folder --out.
    """
    check_writable("out", out)
    model_words, data_word = split_words(words or [])
    models = load_models(model_words, listed(weights))
    _check_trained(models)
    data = load_data(
        data_word,
        batch_size=batch_size,
        workers=workers,
        geometry=geometry(image_size, resize, list(models.values())),
        limit=limit,
        class_index=None if class_index is None else class_numbers(class_index),
    )
    filters: dict[str, Any] = {"unit": unit, "norm": norm, "kind": kind}
    filters |= {"inclusive": inclusive, "order": order}
    radii = cutoff_list(cutoffs, data, unit)
    shared: dict[str, Any] = {
        "normalize": normalization(normalize, mean, std, models),
        "device": ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device,
        "class_names": data.class_names,
    }
    callables = {name: model.model for name, model in models.items()}
    grid = None
    if examples > 0 and metric == "accuracy":
        # before the sweep: what can't work shows here, after one batch
        options = {"rows": examples, "samples": data.samples, **filters, **shared}
        grid = example_grid(callables, data.batches, _three_of(radii), **options)
        _check_classes(grid, data)
    state = out / STATE
    if not resume:
        state.unlink(missing_ok=True)
    start = time.perf_counter()
    result = sweep(
        callables,
        data.batches,
        radii,
        kinds=listed([kinds]),
        metric=metric_from(metric),
        autocast=autocast,
        progress=not quiet,
        resume=state if resume or keeps_order(data.batches) else None,
        **filters,
        **shared,
    )
    _finish(out, result, grid, data, time.perf_counter() - start)


def _finish(
    out: Path, result: SweepResult, grid: ExampleGrid | None, data: ImageData, seconds: float
) -> None:
    from freqops import report  # matplotlib takes a second to load: not for --help

    command = shlex.join(["freqops", *sys.argv[1:]])
    run = report.Run(command, data.name, seconds, versions("torch", "numpy"))
    result.settings.update(data=data.name, command=command, freqops=freqops.__version__)
    paths = report.write_results(out, result, grid, run)
    screen = console()
    metric = result.default_metric()
    screen.print(_table(result, metric, data.name))
    for sentence in report.findings(result, metric):
        screen.print(sentence, highlight=False)
    written = ", ".join(path.name for path in paths)
    screen.print(f"{seconds:.1f} s. Written to {out}: {written}", highlight=False)


def _table(result: SweepResult, metric: str, data: str) -> Table:
    header, *rows = result.table_rows(metric)
    label = f"{METRIC_LABELS[metric]} in percent" if metric in METRIC_LABELS else metric
    title = (
        f"{label.capitalize()} on {result.settings['samples']:,} images of {data}, "
        f"by cutoff ({UNIT_LABELS[result.settings['unit']]})"
    )
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", padding=(0, 1))
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i < 2 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row, style="blue" if row[1] == "low" else "red")
    return table


def _three_of(cutoffs: Sequence[float]) -> list[float]:
    """Returns up to three cutoffs, spread over all: one column pair of examples.png each."""
    ordered = sorted(set(cutoffs))
    if len(ordered) <= 3:
        return ordered
    return [ordered[int((len(ordered) - 1) * part / 6)] for part in (1, 3, 5)]


def _check_trained(models: dict[str, LoadedModel]) -> None:
    """Warns about accuracies that mean nothing."""
    for name, model in models.items():
        if model.untrained:
            note(f"model {name} has random weights; give --weights PATH or --weights DEFAULT")


def _check_classes(grid: ExampleGrid, data: ImageData) -> None:
    """Warns where labels can hardly mean the model's outputs."""
    classes = None if data.class_names is None else len(data.class_names)
    if classes is not None and classes < grid.outputs:
        note(
            f"the data have {classes} classes, model {grid.model} {grid.outputs} outputs: labels "
            "are taken as output numbers (for class folders, --class-index says which)"
        )
