"""freqops bench: words to rows, rows measured one by one, tables, a file and figures out."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from freqops.arguments import listed
from freqops.bench import comparison, measurement, record, screen
from freqops.bench.case import Row
from freqops.bench.cases import rows as rows_of
from freqops.bench.machine import describe_run
from freqops.cli.program import app, check_writable, console, note, stoppable
from freqops.evaluation import InputError

#: About how long a row is timed: quick, full.
SECONDS = {True: 0.6, False: 2.5}
INTERRUPTED = 130

bench = typer.Typer(no_args_is_help=False, context_settings=app.info.context_settings)
app.add_typer(bench, name="bench", invoke_without_command=True)


@bench.callback(invoke_without_command=True)
@stoppable
def measure(
    context: typer.Context,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    ops: Annotated[
        str | None,
        typer.Option(help="Operators by commas, as fft_filter,blur_pool.", show_default="all"),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few rows of each: two minutes on two cores.")
    ] = False,
    out: Annotated[
        Path, typer.Option(help="JSON file for the results; figures are written beside it.")
    ] = Path("freqops-bench.json"),
    threads: Annotated[
        int | None, typer.Option(help="Of ours and of the peers.", show_default="torch's")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="About how long to time each row.", show_default="2.5, quick: 0.6"),
    ] = None,
) -> None:
    """Times of every operator here, beside the fastest peer and a copy of the same bytes.

    All contenders of a row are first found to compute the same, then timed turn by turn. Ctrl-C
    keeps what was measured. freqops bench compare A.json B.json: what changed beyond the noise.
    """
    if context.invoked_subcommand is not None:
        return
    _check_words(device, out, threads, seconds)
    rows = rows_of(listed([ops]) if ops else (), quick=quick)
    measurement.set_threads(threads or torch.get_num_threads())
    settings = measurement.Settings(
        device, SECONDS[quick] if seconds is None else seconds, peaks=not quick
    )
    environment = describe_run(device)
    absent = measurement.absent_peers()
    for name, reason in absent.items():
        note(f"{name} takes no part: {reason}")
    start = time.perf_counter()
    cases, finished = _all_measured(rows, settings, environment)
    result = record.result_of(
        cases,
        environment,
        {"device": device, "ops": ops, "quick": quick, "seconds": settings.seconds},
        absent=absent,
        interrupted=not finished,
    )
    _finish(out, result, time.perf_counter() - start)
    if not finished:
        note(f"interrupted after {len(cases)} of {len(rows)} rows")
        raise typer.Exit(INTERRUPTED)


@bench.command()
@stoppable
def compare(
    before: Annotated[Path, typer.Argument(metavar="A.json", help="Results of before.")],
    after: Annotated[Path, typer.Argument(metavar="B.json", help="Results of now.")],
) -> None:
    """What changed from A to B beyond the noise of both; ends with 1 where a row became slower.

    Medians of the same row and contender are compared, with what peers and copies changed by
    divided out. A change counts beyond the larger of both spreads (first to third quartile, as a
    share of the median), and beyond 5 %.
    """
    found = comparison.compare(record.read(before), record.read(after))
    if found.unlike:
        note(f"these runs are not of the same conditions: {'; '.join(found.unlike)}")
    if not found.changes:
        raise InputError(f"{after}: has no row in common with {before}")
    page = console()
    page.print(screen.comparison_table(found))
    for sentence in screen.comparison_summary(found):
        page.print(sentence, highlight=False)
    if found.regressions:
        raise typer.Exit(1)


def _check_words(device: str, out: Path, threads: int | None, seconds: float | None) -> None:
    kind = device.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise InputError(f"device: must be cpu or cuda, got {device}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device: this torch ({torch.__version__}) finds no CUDA device here")
    if out.suffix != ".json":
        raise InputError(f"out: must end in .json, got {out}")
    if out.is_dir():
        raise InputError(f"out: {out} is a folder, not a file")
    check_writable("out", out.parent)
    if threads is not None and threads < 1:
        raise InputError(f"threads: must be at least 1, got {threads}")
    if seconds is not None and not 0 <= seconds < 3600:
        raise InputError(f"seconds: must be from 0 to 3600, got {seconds:g}")


def _all_measured(
    rows: Sequence[Row], settings: measurement.Settings, environment: dict[str, Any]
) -> tuple[list[dict[str, Any]], bool]:
    """The rows' records, and whether that is all of them; shows each operator when it is done."""
    cases: list[dict[str, Any]] = []
    page, shown = console(), 0
    finished = False
    with _bar(len(rows)) as advance:
        try:
            for index, row in enumerate(rows):
                advance(str(row))
                cases.append(measurement.measured(row, settings))
                if index + 1 == len(rows) or rows[index + 1].op != row.op:
                    page.print(screen.op_table(cases[shown:], environment, page.width))
                    shown = len(cases)
            finished = True
        except KeyboardInterrupt:
            if cases[shown:]:
                page.print(screen.op_table(cases[shown:], environment, page.width))
    return cases, finished


@contextmanager
def _bar(total: int) -> Iterator[Any]:
    """A progress bar on standard error, and what moves it on to a row of this name."""
    columns = (
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    # A table that is piped to a file must not be caught by the bar.
    bar = Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    )
    with bar:
        task = bar.add_task("", total=total)
        started = False

        def advance(name: str) -> None:
            nonlocal started
            bar.update(task, description=name, advance=int(started))
            started = True

        yield advance


def _finish(out: Path, result: dict[str, Any], seconds: float) -> None:
    from freqops import plots  # matplotlib takes a second to load: not for --help

    record.write(out, result)
    written = [out.name]
    for name, figure in plots.bench_figures(result).items():
        path = out.with_name(f"{out.stem}{name}.png")
        plots.save_figure(figure, path)
        written.append(path.name)
    page = console()
    for sentence in screen.summary(result):
        page.print(sentence, highlight=False)
    page.print(f"{seconds:.0f} s. Written to {out.parent}: {', '.join(written)}", highlight=False)
