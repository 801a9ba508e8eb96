"""freqops bench: words to rows, rows measured one by one, tables, a file and figures out."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

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

#: About how long a row is timed, and rounds that are made even so: quick, full.
SECONDS = {True: 0.4, False: 2.5}
LEAST_ROUNDS = {True: 4, False: 5}
FAILED, INTERRUPTED, TERMINATED = 1, 130, 143
# More are no use to anybody, and ever so many end the process.
_THREADS_PER_CORE = 4

bench = typer.Typer(no_args_is_help=False, context_settings=app.info.context_settings)
app.add_typer(bench, name="bench", invoke_without_command=True)


@bench.callback(invoke_without_command=True)
@stoppable
def measure(
    context: typer.Context,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
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
        typer.Option(help="About how long to time each row.", show_default="2.5, quick: 0.4"),
    ] = None,
) -> None:
    """Times of every operator here, beside the fastest peer and a copy of the same bytes.

    All contenders of a row are first found to compute the same, then timed
    turn by turn. Peers are those that are installed; absent ones are named.
    Shown are the fastest calls, the ratio of the fastest peer's to ours, and
    the copy's time as a share of ours. LOSS: the peer is faster. ~: the
    medians tell another ratio. Ctrl-C keeps what was measured. Ends with 1
    where an operator of ours failed.

    freqops bench compare A.json B.json: what changed beyond the noise.
    """
    if context.invoked_subcommand is not None:
        return
    _check_words(device, out, threads, seconds)
    rows = rows_of(_asked(ops), quick=quick)
    measurement.set_threads(threads or torch.get_num_threads())
    settings = measurement.Settings(
        device,
        SECONDS[quick] if seconds is None else seconds,
        LEAST_ROUNDS[quick],
        peaks=not quick,
        compiles=not quick,
    )
    environment = describe_run(device)
    absent = measurement.absent_peers(settings)
    for name, reason in absent.items():
        note(f"{name} takes no part: {reason}")
    start = time.perf_counter()
    asked = {"device": device, "ops": ops, "quick": quick, "seconds": settings.seconds}

    def result(cases: Sequence[dict[str, Any]], *, interrupted: bool) -> dict[str, Any]:
        return record.result_of(cases, environment, asked, absent=absent, interrupted=interrupted)

    def keep(cases: Sequence[dict[str, Any]]) -> None:
        with contextlib.suppress(InputError):  # a full disk, which may have room again at the end
            record.write(out, result(cases, interrupted=True))

    with _claimed(out), _terminated() as terminated:
        cases = _all_measured(rows, settings, environment, keep)
        finished = len(cases) == len(rows)
        if cases:
            _finish(out, result(cases, interrupted=not finished), time.perf_counter() - start)
    failed = [f"{case['table']}, {case['label']}" for case in cases if "failed" in case]
    if failed:
        note(f"failed, {len(failed)} of {len(cases)} rows: {'; '.join(failed)}")
    if not finished:
        kept = "" if cases else "; nothing was written"
        note(f"interrupted after {len(cases)} of {len(rows)} rows{kept}")
        raise typer.Exit(TERMINATED if terminated else INTERRUPTED)
    if failed:
        raise typer.Exit(FAILED)


@bench.command()
@stoppable
def compare(
    before: Annotated[Path, typer.Argument(metavar="A.json", help="Results of before.")],
    after: Annotated[Path, typer.Argument(metavar="B.json", help="Results of now.")],
) -> None:
    """What changed from A to B beyond the noise of both; ends with 1 where a row became slower.

    What peers and copies changed by is the machine, and is divided out: that
    of all, and that of the same row. A change counts where medians and
    fastest calls both show it: beyond 5 %, beyond the row's spread in both
    runs (first to third quartile, as a share of the median), and beyond
    twice what 19 of 20 peers and copies changed by. A row that fails in B
    alone became slower.
    """
    found = comparison.compare(record.read(before), record.read(after))
    if found.unlike:
        note(f"these runs are not of the same conditions: {'; '.join(found.unlike)}")
    if not found.changes and not found.broken:
        raise InputError(f"{after}: has no row in common with {before}")
    page = console()
    page.print(screen.comparison_table(found))
    for sentence in screen.comparison_summary(found):
        page.print(sentence, highlight=False, markup=False)
    if found.regressions or found.broken:
        raise typer.Exit(FAILED)


def _check_words(device: str, out: Path, threads: int | None, seconds: float | None) -> None:
    _check_device(device)
    if out.suffix != ".json":
        raise InputError(f"out: must end in .json, got {out}")
    if out.exists():
        raise InputError(
            f"out: {out} is there already; move it away, or give the results another name"
        )
    check_writable("out", out.parent)
    most = _THREADS_PER_CORE * (os.cpu_count() or 1)
    if threads is not None and not 1 <= threads <= most:
        raise InputError(f"threads: must be from 1 to {most} on this machine, got {threads}")
    if seconds is not None and not 0 <= seconds < 3600:
        raise InputError(f"seconds: must be from 0 to 3600, got {seconds:g}")


def _check_device(device: str) -> None:
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise InputError(f"device: must be cpu, cuda or cuda:N, got {device}")
    if device == "cpu":
        return
    if not torch.cuda.is_available():
        raise InputError(f"device: this torch ({torch.__version__}) finds no CUDA device here")
    index, count = int(device.partition(":")[2] or 0), torch.cuda.device_count()
    if index >= count:
        raise InputError(f"device: there is no {device}, the last one is cuda:{count - 1}")


def _asked(ops: str | None) -> list[str]:
    """The operators' words, each once; none for all."""
    if ops is None:
        return []
    words = list(dict.fromkeys(listed([ops])))
    if not words:
        raise InputError("ops: names no operator; leave it out for all of them")
    return words


def _all_measured(
    rows: Sequence[Row],
    settings: measurement.Settings,
    environment: dict[str, Any],
    keep: Callable[[Sequence[dict[str, Any]]], None],
) -> list[dict[str, Any]]:
    """The rows' records, fewer where Ctrl-C ends it.

    An operator that is done is shown, and all up to it kept: should a peer bring the process down,
    that is on disk.
    """
    cases: list[dict[str, Any]] = []
    page, shown = console(), 0

    def show() -> None:
        nonlocal shown
        new, shown = cases[shown:], len(cases)
        if new:
            page.print(screen.op_table(new, environment, page.width))

    with contextlib.suppress(KeyboardInterrupt), _bar(len(rows)) as advance:
        for index, row in enumerate(rows):
            advance(str(row))
            cases.append(measurement.measured(row, settings))
            if index + 1 == len(rows) or rows[index + 1].op != row.op:
                keep(cases)
                show()
    show()
    return cases


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Any]:
    """A progress bar on standard error, and what moves it on to a row of this name."""
    # The row's name comes last: a narrow terminal cuts that.
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


@contextlib.contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """The file is there, empty, until it is written: a second run does not take its name."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.touch(exist_ok=False)
    except FileExistsError as error:
        raise InputError(f"out: {out} was just made by another run") from error
    except OSError as error:
        raise InputError(f"out: {out} can't be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if not out.stat().st_size:
                out.unlink()


@contextlib.contextmanager
def _terminated() -> Iterator[list[int]]:
    """Makes SIGTERM end the measurement as Ctrl-C does, and says whether it did."""
    seen: list[int] = []

    def stop(number: int, frame: object) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGTERM, before)


def _finish(out: Path, result: dict[str, Any], seconds: float) -> None:
    from freqops import plots  # matplotlib takes a second to load: not for --help

    try:
        record.write(out, result)
    except InputError as error:
        _rescue(out, result, error)
    written = [out.name]
    for name, figure in plots.bench_figures(result).items():
        path = out.with_name(f"{out.stem}{name}.png")
        try:
            plots.save_figure(figure, path)
            written.append(path.name)
        except OSError as error:
            note(f"{path} can't be written: {error.strerror or error}")
    page = console()
    for sentence in screen.summary(result):
        page.print(sentence, highlight=False, markup=False)
    names = ", ".join(written)
    page.print(f"{seconds:.0f} s. Written to {out.parent}: {names}", highlight=False, markup=False)


def _rescue(out: Path, result: dict[str, Any], error: InputError) -> NoReturn:
    """Writes what took so long to another disk, and ends."""
    for sentence in screen.summary(result):
        console().print(sentence, highlight=False, markup=False)
    handle, name = tempfile.mkstemp(prefix=f"{out.stem}-", suffix=out.suffix)
    os.close(handle)
    try:
        record.write(Path(name), result)
    except InputError as second:
        os.unlink(name)
        raise InputError(f"{error}; neither can {second}") from second
    raise InputError(f"{error}; the results are in {name}")
