"""freqops info: what is installed and what runs where."""

from __future__ import annotations

import torch
from rich import box
from rich.table import Table

import freqops
from freqops import _C, _libraries
from freqops.cli.program import app, console, versions


@app.command()
def info() -> None:
    """Versions, CPU capability, the CUDA library and why it isn't loaded, and what runs where."""
    table = Table(box=box.SIMPLE, show_header=False, padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    packages = ("torch", "numpy", "torchvision", "timm", "matplotlib", "scipy")
    for name, version in versions(*packages).items():
        table.add_row(name, version)
    levels = ", ".join(_C.cpu_levels())
    table.add_row("CPU", f"{_C.cpu_level()} kernels (built: {levels}; FREQOPS_CPU chooses)")
    table.add_row("threads", str(torch.get_num_threads()))
    table.add_row("compiler", f"{_C.compiler}, built against torch {_C.torch_version}")
    table.add_row("CUDA library", _libraries.CUDA.reason)
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    table.add_row("CUDA devices", ", ".join(devices) or "none")
    for side in (32, 224, 299):
        images = torch.zeros(1, 3, side, side)
        plan = freqops.explain(freqops.low_high2d, images, [8.0], unit="bins")
        table.add_row(f"{side} x {side}", str(plan))
    console().print(table)
