"""The program around the commands: how it ends, what it says on the way."""

from __future__ import annotations

import functools
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn, TextIO

import typer
from rich.console import Console

import freqops
from freqops.evaluation import InputError, SweepInterrupted

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Frequency-domain evaluation and anti-aliasing of image networks.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> NoReturn:
    """Runs the program: 0 done, 1 nothing to do, 2 a mistake in the words, 130 Ctrl-C."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = app(standalone_mode=False)
    except _Stopped as stop:
        _fail(str(stop), 130)
    except InputError as error:
        _fail(f"Error: {_sentence(error)}", 2)
    except Exception as error:
        # typer's own complaints about the arguments (their base class has moved between versions)
        if not hasattr(error, "format_message"):
            raise
        message = error.format_message()
        _fail(f"Error: {message}" if message else "", 2)
    sys.exit(code if isinstance(code, int) else 0)


class _Stopped(Exception):
    """Ctrl-C, as an exception that typer doesn't answer by itself."""


def stoppable(command: Callable[..., None]) -> Callable[..., None]:
    """Makes a command end in one sentence on Ctrl-C, as `main` shows it."""

    @functools.wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except SweepInterrupted as stop:
            raise _Stopped(_resume_hint(stop)) from stop
        except KeyboardInterrupt as stop:
            raise _Stopped("Interrupted.") from stop

    return wrapped


def _fail(sentence: str, code: int) -> NoReturn:
    if sentence:
        print(sentence, file=sys.stderr)
    sys.exit(code)


def _sentence(error: InputError) -> str:
    """The sentence itself where a DataLoader's worker has put its own traceback around it."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    text = lines[-1].partition("InputError: ")[2] if len(lines) > 1 else lines[0]
    return text if text.endswith((".", "?", ")")) else f"{text}."


def _resume_hint(stop: SweepInterrupted) -> str:
    if stop.resume is None:
        return "Interrupted before the first batch was finished; nothing was written."
    of = f" of {stop.total}" if stop.total is not None else ""
    return (
        f"Interrupted after {stop.done}{of} batches; "
        "the same command with --resume continues from there."
    )


@app.callback()
def _program() -> None:
    """Frequency-domain evaluation and anti-aliasing of image networks."""


# --- what commands share --------------------------------------------------------------------------


def console() -> Console:
    """Where tables go: as wide as the terminal, or wide enough for a file."""
    return Console(width=None if sys.stdout.isatty() else 160)


def note(message: str) -> None:
    """Says something that doesn't stop the command."""
    print(f"Note: {message}.", file=sys.stderr)


def check_writable(option: str, folder: Path) -> None:
    """Finds out before the work, without making the folder, whether it can be written."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise InputError(f"{option}: {nearest} is a file, not a folder")
    try:
        # Asked by doing it: root may write anywhere, but not on a read-only or virtual file system.
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise InputError(f"{option}: {nearest} can't be written") from error


def versions(*packages: str) -> dict[str, str]:
    """Returns those of freqops, Python and the packages that are installed."""
    found = {"freqops": freqops.__version__, "Python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


# --- warnings -------------------------------------------------------------------------------------


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Shows the sweep's own warnings as one line, all others as Python does."""
    text = str(message)
    if text.startswith("sweep: "):
        note(text.removeprefix("sweep: "))
    else:
        print(warnings.formatwarning(message, category, filename, lineno, line), file=sys.stderr)
