"""Results as files: JSON with a version, and a reader for those of before there was one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from freqops.bench.layers import layer_of
from freqops.evaluation import InputError
from freqops.evaluation.checkpoint import write_atomically
from freqops.evaluation.errors import first_line

#: What a file says it is; benchmarks/README.md lists its fields.
SCHEMA = "freqops.bench/2"
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
    """Writes a result: the whole of it, or nothing."""
    write_atomically(path, (json.dumps(result, indent=1) + "\n").encode())


def read(path: Path) -> Result:
    """Reads a result of any version, and returns it as the present one.

    Raises:
        InputError: there is no such file, or it is no result of the benchmarks.
    """
    try:
        result = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read as JSON: {first_line(error)}") from error
    if not isinstance(result, dict) or not _is_result(result):
        raise InputError(f"{path}: is no result of freqops bench")
    schema = result.get("schema", _FORMER)
    if schema == SCHEMA:
        return result
    if schema != _FORMER:
        raise InputError(f"{path}: is of {schema}, which this freqops ({SCHEMA}) can't read")
    return _upgraded(result)


def _is_result(result: Result) -> bool:
    cases, environment = result.get("cases"), result.get("environment")
    return (
        isinstance(cases, list)
        and isinstance(environment, dict)
        and all(isinstance(case, dict) and {"table", "label"} <= set(case) for case in cases)
    )


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
