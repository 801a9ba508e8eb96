"""The command line: a file per command, and `program` around them."""

# Each registers itself on import; help lists them in this order.
from freqops.cli import evaluate  # isort: skip
from freqops.cli import antialias  # isort: skip
from freqops.cli import bench  # isort: skip
from freqops.cli import info  # isort: skip
from freqops.cli.program import main

__all__ = ["antialias", "bench", "evaluate", "info", "main"]
