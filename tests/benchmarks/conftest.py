"""The benchmarks' modules are scripts beside each other, not a package."""

import sys
from pathlib import Path

# Behind everything else: their names are short.
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
