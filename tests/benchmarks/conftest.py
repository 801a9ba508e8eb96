"""The benchmarks' modules are scripts beside each other, not a package."""

import sys
from pathlib import Path

# Behind everything else: their names are short.
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path += [str(BENCHMARKS), str(BENCHMARKS / "ops")]
