"""What nvcc left behind: the CUDA library, and what ptxas says about each kernel of it."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from freqops import _libraries

PACKAGE = Path(_libraries.__file__).parent
LIBRARY = PACKAGE / "libfreqops_cuda.so"
NVCC = shutil.which("nvcc") or shutil.which(
    "nvcc", path=Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin")
)
needs_cuda_library = pytest.mark.skipif(
    NVCC is None or os.environ.get("FREQOPS_CUDA") == "0",
    reason="no CUDA library was built: nvcc is absent, or FREQOPS_CUDA=0",
)


class Filter(NamedTuple):
    """What the name of a filter kernel says."""

    form: str
    height: int
    width: int
    threads: int
    blocks_per_sm: int
    cluster_blocks: int
    element: str
    complex_response: bool
    many: bool


class Stencil(NamedTuple):
    """What the name of a kernel of anti-aliased pooling in its stencil form says.

    Attributes:
        layout: "planes" (NCHW) or "channels" (NHWC).
        element: of the images.
        taps: along either axis.
        window: of the maximum; 1 for none.
        outputs: of a thread, in a row of its plane or in the channels of a place.
        vectors: whether it reads several elements at a time.
    """

    layout: str
    element: str
    taps: int
    window: int
    outputs: int
    vectors: bool


class Kernel(NamedTuple):
    """An entry of ptxas's report.

    Attributes:
        symbol: the mangled name.
        program: the template of the kernel and its arguments, without namespaces.
        architecture: such as "90".
        spilled_bytes: stored and loaded.
        registers: of a thread.
        filter: None for a kernel that is not compiled for one size.
    """

    symbol: str
    program: str
    architecture: str
    spilled_bytes: int
    registers: int
    filter: Filter | None

    @property
    def stencil(self) -> Stencil | None:
        """None for a kernel that is none."""
        match = _STENCIL.fullmatch(self.program)
        if match is None:
            return None
        layout, element, taps, window, outputs, aligned = match.groups()
        vectors = aligned == "true" or (aligned is None and outputs != "1")
        return Stencil(
            "planes" if layout == "Plane" else "channels",
            element,
            int(taps),
            int(window),
            int(outputs),
            vectors,
        )

    def __str__(self) -> str:
        return f"{self.program}, sm_{self.architecture}: {self.registers} registers"


def report() -> Path:
    """ptxas's report: beside the package (make archs), or in the checkout's build folder."""
    places = (PACKAGE.parent / "ptxas-report.txt", PACKAGE.parent / "build" / "ptxas-report.txt")
    for path in places:
        if path.exists():
            return path
    raise FileNotFoundError(f"{places[-1]} is missing: run make build")


@cache
def kernels() -> tuple[Kernel, ...]:
    """The report has three lines for each kernel: its name, its spills, its registers."""
    text = report().read_text()
    entries = re.findall(
        r"Compiling entry function '(\S+)' for 'sm_(\w+)'.*?"
        r"(\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers",
        text,
        re.DOTALL,
    )
    assert len(entries) == text.count("Compiling entry function")
    return tuple(
        Kernel(
            symbol,
            program,
            architecture,
            int(stores) + int(loads),
            int(registers),
            filter_of(program),
        )
        for program, (symbol, architecture, stores, loads, registers) in zip(
            _programs([entry[0] for entry in entries]), entries, strict=True
        )
    )


def _programs(symbols: list[str]) -> list[str]:
    """The argument of program_kernel<...>, which every kernel is an instance of."""
    done = subprocess.run(
        ["c++filt"], input="\n".join(symbols), capture_output=True, text=True, check=True
    )
    names = re.sub(r"freqops::(cuda::)?", "", done.stdout).splitlines()
    programs = [re.match(r"void program_kernel<(.*?) ?>\(", name) for name in names]
    assert all(programs), [name for name, found in zip(names, programs, strict=True) if not found]
    return [found.group(1) for found in programs if found is not None]


_AXES = r"Axis<(\d+), (\d+)>, Axis<(\d+), (\d+)>"
_FILTER = re.compile(
    rf"(Plane|EvenOdd)Filter<\w+Plan<{_AXES}, (\d+), (\d+), (\d+)>, (\w+), (.*), (true|false)>"
)

_STENCIL = re.compile(
    r"BlurStencil<(Plane|Channel)Columns<(\w+), (\d+), (\d+), (\d+)(?:, (true|false))?> ?>"
)


def filter_of(program: str) -> Filter | None:
    """What the template arguments of a filter for a listed size say."""
    match = _FILTER.fullmatch(program)
    if match is None:
        return None
    form, h0, h1, w0, w1, share, threads, blocks, element, gain, many = match.groups()
    height, width = int(h0) * int(h1), int(w0) * int(w1)
    rest = (element, "Complex" in gain, many == "true")
    if form == "Plane":  # share: pairs of planes in a block
        return Filter("plane", height, width, int(threads), int(blocks), 1, *rest)
    cluster = int(share)  # a block has its rows of a plane of pairs of columns
    return Filter(
        "even_odd", cluster * height, 2 * width, int(threads), int(blocks), cluster, *rest
    )
