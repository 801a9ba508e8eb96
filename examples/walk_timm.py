"""Converts every model of timm and writes down what came of it: docs/timm.md.

    pip install --no-deps timm torchvision
    python examples/walk_timm.py

Every architecture timm lists is built on the meta device (no memory, no weights), converted with
``freqops.antialias(model, "zhang")``, compared with what it was, and given back by ``undo()``. Each
model has a process of its own with a limit of time and of memory. A model that is in the file of
records is not walked again, so the walk can be interrupted and continued.
"""

from __future__ import annotations

import argparse
import fnmatch
import gc
import json
import logging
import multiprocessing
import resource
import warnings
from collections.abc import Callable, Iterable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from timm_check import blank, examined, family_of, listed, parameters_of
from timm_page import page
from timm_records import Record, append, read, to_do
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
#: Models of more parameters come last.
LARGE = 350e6
_GIB = 2**30


# --- the order ----------------------------------------------------------------------------------


def in_order(parameters: Mapping[str, int | None], family: Callable[[str], str]) -> list[str]:
    """The smallest of each family, then the next of each; the large ones behind them all.

    Args:
        parameters: number by name, None for models that can't be built, which are last.
        family: of a model, by name.
    """

    def size(name: str) -> float:
        number = parameters[name]
        return float("inf") if number is None else number

    rank, seen = {}, dict.fromkeys(map(family, parameters), 0)
    for name in sorted(parameters, key=size):
        rank[name] = seen[family(name)]
        seen[family(name)] += 1
    return sorted(parameters, key=lambda name: (size(name) > LARGE, rank[name], size(name)))


def _all_parameters(path: Path, names: Iterable[str], limits: _Limits) -> dict[str, int | None]:
    """Number of parameters by name, read from a file that is completed first."""
    known: dict[str, int | None] = json.loads(path.read_text()) if path.exists() else {}
    missing = [name for name in names if name not in known]
    for name in tqdm(missing, "sizes", dynamic_ncols=True):
        answer = in_child(parameters_of, name, limits)
        known[name] = None if isinstance(answer, Failure) else answer
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=0) + "\n")
    return known


# --- a process for each model -------------------------------------------------------------------


class _Limits:
    def __init__(self, seconds: float, gibibytes: float) -> None:
        self.seconds = seconds
        self.gibibytes = gibibytes


class Failure(str):
    """Why a process gave no answer."""


def in_child(function: Callable[[str], Any], name: str, limits: _Limits) -> Any:
    """What a function says about a model, in a process of its own; or a :class:`Failure`."""
    context = multiprocessing.get_context("fork")  # what is imported here need not be there
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(function, name, limits, sender), daemon=True)
    process.start()
    sender.close()
    try:
        if not receiver.poll(limits.seconds):
            return Failure(f"it took more than {limits.seconds:g} s")
        return receiver.recv()
    except EOFError:
        process.join()
        return Failure(f"its process ended without an answer (exit code {process.exitcode})")
    finally:
        process.kill()
        process.join()
        receiver.close()


def _answer(function: Callable[[str], Any], name: str, limits: _Limits, to: Connection) -> None:
    warnings.simplefilter("ignore")  # of the models; they would break the bar
    logging.disable(logging.WARNING)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (int(limits.gibibytes * _GIB), hard))
    to.send(function(name))


def walk(names: Iterable[str], path: Path, limits: _Limits) -> None:
    """Adds a record of each model to a file."""
    examined("test_resnet")  # what torch imports late and keeps is then there in every process
    gc.freeze()
    errors = 0
    bar = tqdm(list(names), "models", dynamic_ncols=True)
    for name in bar:
        answer = in_child(examined, name, limits)
        if isinstance(answer, Failure):
            answer, why = blank(name), answer
            answer.problem = str(why)
        record: Record = answer
        append(path, record)
        errors += bool(record.problem)
        bar.set_postfix(errors=errors)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("patterns", nargs="*", default=["*"], help="walk only these names (resnet*); default: all")
    add("--records", type=Path, default=ROOT / "build" / "timm-walk.jsonl", help="their file")
    add("--page", type=Path, default=ROOT / "docs" / "timm.md", help="what is rendered")
    add("--first", type=int, help="walk at most so many")
    add("--retry", action="store_true", help="walk those again that ended in an error")
    add("--render-only", action="store_true", help="walk nothing, render what there is")
    add("--seconds", type=float, default=120, help="a model's limit of time")
    add("--memory", type=float, default=8, help="a model's limit of memory in GiB")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    limits = _Limits(arguments.seconds, arguments.memory)
    tqdm.monitor_interval = 0  # its thread and a fork do not go together
    torch.set_num_threads(1)
    names = listed()
    if not arguments.render_only:
        sizes = arguments.records.with_suffix(".sizes.json")
        order = in_order(_all_parameters(sizes, names, limits), family_of)
        chosen = [
            name
            for name in order
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in arguments.patterns)
        ]
        left = to_do(chosen, read(arguments.records), retry=arguments.retry)
        walk(left[: arguments.first], arguments.records, limits)
    families = {name: family_of(name) for name in names}
    arguments.page.write_text(page(read(arguments.records).values(), families))


if __name__ == "__main__":
    main()
