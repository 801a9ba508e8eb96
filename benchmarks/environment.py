"""freqops/bench/machine.py by its path: without freqops, which may not be built yet, or torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def _machine() -> Any:
    path = ROOT / "freqops" / "bench" / "machine.py"
    spec = importlib.util.spec_from_file_location("freqops_bench_machine", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


describe = _machine().describe
