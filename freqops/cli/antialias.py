"""freqops antialias: a model's word to a converted model, what was done as a table, weights out."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich import box
from rich.table import Table
from safetensors.torch import save
from torch import Tensor, nn

import freqops
from freqops.arguments import input_size, listed, taps_from
from freqops.cli.program import app, check_writable, console, note, stoppable
from freqops.evaluation import InputError, LoadedModel, load_model
from freqops.evaluation.checkpoint import write_atomically
from freqops.evaluation.errors import first_line
from freqops.surgery import Cost

#: What --cost runs on where neither the words nor the weights say a size.
USUAL_SIZE = (3, 224, 224)
#: How a conversion begins to say that the model could not be run to see its structure.
UNSEEN = "without a trace: "


@app.command()
@stoppable
def antialias(
    word: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="demo, torchvision:NAME, timm:NAME, package.module:factory; NAME=MODEL renames.",
        ),
    ],
    recipe: Annotated[
        str,
        typer.Option(
            help="zhang (blur behind max pools and strided convolutions), pool_only, composer "
            "(blur before convolutions), vasconcelos (directly behind them), flc (spectral pooling "
            "instead of a blur), aps (polyphase)."
        ),
    ] = "zhang",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    taps: Annotated[
        str | None,
        typer.Option(
            help="How many, or the taps, as 0.25,0.5,0.25.", show_default="3, for aps and flc none"
        ),
    ] = None,
    padding_mode: Annotated[
        str, typer.Option(help="Of the blurs: reflect, replicate, zeros or circular.")
    ] = "reflect",
    include: Annotated[
        list[str] | None,
        typer.Option(help="Only these sites: names as in the table, or patterns as 'layer4*'."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="All but these, in the same words.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="State dict (.safetensors, .pt) or DEFAULT.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--input-size",
            help="Of one input: 224 or 3,224,224.",
            show_default="what the weights were trained with, else a guess",
        ),
    ] = None,
    cost: Annotated[
        bool,
        typer.Option("--cost", help="Count and measure what it adds, on --batch-size inputs."),
    ] = False,
    batch_size: Annotated[int, typer.Option(help="Inputs per run of --cost.")] = 1,
    record: Annotated[
        Path | None, typer.Option("--json", help="File for the table as JSON.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File for the weights (.safetensors). Keys and shapes are those of the model "
            "before, and so is what code builds it: convert it again in your program, with the "
            "same recipe, before or after loading them."
        ),
    ] = None,
) -> None:
    """Makes a model's downsampling anti-aliased: a table of what changes where, and what it costs.

    Ends with 1 where nothing is converted.
    """
    _check_words(dry_run=dry_run, cost=cost, batch_size=batch_size, record=record, out=out)
    model = load_model(word, weights)
    network = _network(model, word)
    shape = input_size(size, model)
    settings: dict[str, Any] = {
        "recipe": recipe,
        "taps": taps_from(taps),
        "padding_mode": padding_mode,
        "include": listed(include) or None,
        "exclude": listed(exclude) or None,
    }
    conversion = _converted(network, shape, dry_run, settings)
    if size is not None and conversion.how.startswith(UNSEEN):
        raise InputError(f"input-size {size}: {conversion.how.removeprefix(UNSEEN)}")
    screen = console()
    screen.print(_headline(conversion, model.name), highlight=False)
    if len(conversion):
        screen.print(_table(conversion))
    if not conversion.converted:
        note("nothing is converted, and no file is written")
        raise typer.Exit(1)
    spent = None
    if cost:
        images = (batch_size, *(shape or USUAL_SIZE))
        spent = _cost(conversion, images)
        screen.print(_cost_table(spent, images))
        times = f"{spent.milliseconds_before:.1f} ms before, {spent.milliseconds_after:.1f} ms now"
        screen.print(f"Whole model: {times}.", highlight=False)
    if record is not None:
        _write_record(record, conversion, word, spent)
        screen.print(f"Written to {record}: the table", highlight=False)
    if out is not None:
        _write_weights(out, model, settings)
        screen.print(
            f"Written to {out}: the weights, for the model converted again", highlight=False
        )


def _check_words(
    *, dry_run: bool, cost: bool, batch_size: int, record: Path | None, out: Path | None
) -> None:
    if dry_run and (cost or out is not None):
        option = "cost" if cost else "out"
        raise InputError(f"{option}: there is nothing converted after a dry run; drop --dry-run")
    if batch_size < 1:
        raise InputError(f"batch size must be at least 1, got {batch_size}")
    if out is not None and out.suffix != ".safetensors":
        raise InputError(f"out: must end in .safetensors, got {out}")
    for option, path in (("json", record), ("out", out)):
        if path is not None:
            check_writable(option, path.parent)
            if path.is_dir():
                raise InputError(f"{option}: {path} is a folder, not a file")


def _network(model: LoadedModel, word: str) -> nn.Module:
    if word.endswith(".pt2"):
        raise InputError(
            f"model {word}: an exported program is a fixed graph; convert the model, then export it"
        )
    if not isinstance(model.model, nn.Module):
        kind = type(model.model).__name__
        raise InputError(f"model {word}: must be an nn.Module to be converted, got {kind}")
    return model.model


def _converted(
    network: nn.Module, shape: tuple[int, ...] | None, dry_run: bool, settings: dict[str, Any]
) -> freqops.Conversion:
    example = None if shape is None else torch.zeros(2, *shape)
    try:
        return freqops.antialias(network, **settings, dry_run=dry_run, example=example)
    except (TypeError, ValueError) as error:
        sentence = str(error)
        if not sentence.startswith("antialias: "):  # not about the words: a defect
            raise
        raise InputError(sentence.removeprefix("antialias: ")) from error


def _cost(conversion: freqops.Conversion, images: tuple[int, ...]) -> Cost:
    try:
        return conversion.cost(torch.rand(images))
    except Exception as error:
        raise InputError(
            f"cost: the model fails on {list(images)} ({first_line(error)}); "
            "give the size it takes by --input-size"
        ) from error


# --- what is shown and written --------------------------------------------------------------------


def _headline(conversion: freqops.Conversion, name: str) -> str:
    done = "would be converted" if conversion.dry_run else "converted"
    count = f"{len(conversion.converted)} of {len(conversion)}"
    return f"{count} sites of {name} {done} by {conversion.recipe}; {conversion.how}"


def _table(conversion: freqops.Conversion) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for header in ("site", "was", "is"):
        table.add_column(header, overflow="fold")
    for row in conversion:
        after = row.after or f"left alone: {row.reason}"
        table.add_row(row.name or "(model)", row.before, after, style="" if row.after else "dim")
    return table


def _cost_table(cost: Cost, images: tuple[int, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column(f"on {' x '.join(map(str, images))}", overflow="fold")
    for header in ("+ million MACs", "+ MB", "+ ms"):
        table.add_column(header, justify="right")
    total = cost.milliseconds_after - cost.milliseconds_before
    lines = [(site.name, site.macs, site.bytes, site.milliseconds) for site in cost.sites]
    for name, macs, moved, milliseconds in (*lines, ("total", cost.macs, cost.bytes, total)):
        numbers = (f"{macs / 1e6:.2f}", f"{moved / 1e6:.2f}", f"{milliseconds:+.2f}")
        table.add_row(name, *numbers, style="bold" if name == "total" else "")
    return table


def _write_record(path: Path, conversion: freqops.Conversion, word: str, cost: Cost | None) -> None:
    content = json.loads(conversion.to_json())
    content |= {"model": word, "command": shlex.join(["freqops", *sys.argv[1:]])}
    content |= {"freqops": freqops.__version__}
    if cost is not None:
        content["cost"] = json.loads(cost.to_json())
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def _write_weights(path: Path, model: LoadedModel, settings: dict[str, Any]) -> None:
    """Writes the state dict, and in the file's metadata how to convert the model again."""
    if model.untrained:
        note(f"model {model.name} has random weights; give --weights PATH or --weights DEFAULT")
    assert isinstance(model.model, nn.Module)
    # each its own memory: safetensors refuses tensors that share it, as tied weights do
    state = {
        key: value.detach().cpu().contiguous().clone()
        for key, value in model.model.state_dict().items()
    }
    taps = settings["taps"]
    settings = {**settings, "taps": taps.tolist() if isinstance(taps, Tensor) else taps}
    write_atomically(path, save(state, {"freqops.antialias": json.dumps(settings)}))
