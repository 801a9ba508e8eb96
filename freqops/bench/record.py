"""Results as files: JSON with a version, and a reader for those of before there was one."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from freqops.bench.layers import layer_of
from freqops.evaluation import InputError
from freqops.evaluation.checkpoint import write_atomically
from freqops.evaluation.errors import first_line

#: What a file says it is; benchmarks/README.md lists its fields.
SCHEMA = "freqops.bench/2"
_WIDTH = 320  # a contender with its quartiles, a trial of benchmarks/convolution_trials.py
_FORMER = "freqops.bench/1"  # by a reader's word: its files do not say

Result = dict[str, Any]


def result_of(
    cases: Sequence[Mapping[str, Any]],
    environment: Mapping[str, Any],
    settings: Mapping[str, Any],
    *,
    absent: Mapping[str, str] | None = None,
    interrupted: bool = False,
) -> Result:
    """A run's result, as it is written.

    Args:
        cases: the rows' records.
        environment: where it ran.
        settings: what was asked for.
        absent: peers that took no part, and why.
        interrupted: whether rows are missing because it was stopped.
    """
    return {
        "schema": SCHEMA,
        "environment": dict(environment),
        "settings": dict(settings),
        "absent": dict(absent or {}),
        "interrupted": interrupted,
        "cases": [dict(case) for case in cases],
    }


def write(path: Path, result: Result) -> None:
    """Writes a result: the whole of it, or nothing.

    Raises:
        InputError: the system does not let it be written.
    """
    try:
        write_atomically(path, text(result).encode())
    except OSError as error:
        raise InputError(f"{path}: can't be written: {error.strerror or error}") from error


def text(content: Any) -> str:
    """JSON to keep and to compare by lines: what fits in one is one, such as a contender.

    Args:
        content: lists, dictionaries by strings, and plain values.
    """
    return "\n".join(_lines(content, "")) + "\n"


def _lines(content: Any, start: str) -> Iterator[str]:
    """Of a value behind its indentation and key."""
    line = start + json.dumps(content)
    if len(line) < _WIDTH or not isinstance(content, (dict, list)) or not content:
        yield line
        return
    indent = " " * (len(start) - len(start.lstrip(" ")))
    if isinstance(content, dict):
        brackets = "{}"
        items = [(f"{json.dumps(key)}: ", value) for key, value in content.items()]
    else:
        brackets = "[]"
        items = [("", value) for value in content]
    yield start + brackets[0]
    for position, (key, value) in enumerate(items, 1):
        *lines, last = _lines(value, f"{indent} {key}")
        yield from lines
        yield last + "," * (position < len(items))
    yield indent + brackets[1]


def read(path: Path) -> Result:
    """Reads a result of any version, and returns it as the present one.

    Raises:
        InputError: there is no such file, or it is no result of the benchmarks.
    """
    try:
        content = path.read_text()
        result: Any = json.loads(content) if content else None
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: can't be read as JSON: {first_line(error)}") from error
    if not content:
        raise InputError(f"{path}: is empty; its run goes on still, or was killed")
    schema = result.get("schema", _FORMER) if isinstance(result, dict) else None
    if schema not in (SCHEMA, _FORMER) and str(schema).startswith(SCHEMA.partition("/")[0]):
        raise InputError(f"{path}: is of {schema}, which this freqops ({SCHEMA}) can't read")
    if schema not in (SCHEMA, _FORMER) or not _is_result(result):
        raise InputError(f"{path}: is no result of freqops bench")
    if schema == _FORMER:
        return _upgraded(result)
    if not all(isinstance(case.get("op"), str) for case in result["cases"]):
        raise InputError(f"{path}: has rows without an operator, so it is not whole")
    return dict(result)


def _is_result(result: Result) -> bool:
    cases, environment = result.get("cases"), result.get("environment")
    if not (isinstance(environment, dict) and isinstance(result.get("settings", {}), dict)):
        return False
    return isinstance(cases, list) and all(map(_is_case, cases))


def _is_case(case: Any) -> bool:
    if not isinstance(case, dict) or not _has_words(case, "table", "label"):
        return False
    entries = case.get("contenders")
    return isinstance(entries, list) and all(map(_is_entry, entries))


def _is_entry(entry: Any) -> bool:
    """Whether it has a name, a role, a spread, and times that can be divided by."""
    if not isinstance(entry, dict) or not _has_words(entry, "name", "role"):
        return False
    if not isinstance(entry.get("spread", 0.0), (int, float)):  # the first files have none
        return False
    times = [entry.get(name) for name in ("minimum", "median")]
    return all(isinstance(time, (int, float)) and 0 < time < math.inf for time in times)


def _has_words(entry: Mapping[str, Any], *names: str) -> bool:
    return all(isinstance(entry.get(name), str) for name in names)


# --- files of before ------------------------------------------------------------------------------


def _upgraded(result: Result) -> Result:
    """With the fields that were added since, as far as the words of a row say them."""
    environment = {"device": "cpu", **result["environment"]}
    suite = environment.get("suite", "filters")
    cases = [_case_of_former(case) for case in result["cases"]]
    return result_of(cases, environment, {"suite": suite, "quick": False})


def _case_of_former(case: Mapping[str, Any]) -> dict[str, Any]:
    table, label = case["table"], case["label"]
    sides = re.match(r"\d+(x\d+)*", label)
    shape = [int(side) for side in sides.group().split("x")] if sides else []
    word = re.match(r"\w+", table)
    kind = re.search(r"\b(bfloat16|float16|float64|float32)\b", f"{table} {label}")
    channels_last = "NHWC" in table or "channels_last" in table or "NHWC" in label
    return {
        "op": re.sub(r"\dd$", "", word.group()) if word else "",
        "shape": shape,
        "layer": layer_of(shape),
        "dtype": kind.group() if kind else "float32",
        "layout": "NHWC" if channels_last else "NCHW",
        "backward": "backward" in table,
        "rotated": False,
        "point": None,
        "not_compared": {},
        **case,
        "contenders": [
            {"quartiles": None, "peak_bytes": None, **entry} for entry in case["contenders"]
        ],
    }
