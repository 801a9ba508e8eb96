"""Loads the compiled libraries.

torch is imported first: their symbols are resolved in the torch already loaded.
"""

from pathlib import Path
from typing import NamedTuple

import torch

_FOLDER = Path(__file__).parent


class CudaLibrary(NamedTuple):
    """Whether the CUDA kernels are registered, and in words why (or why not)."""

    loaded: bool
    reason: str


def _reason(error: BaseException) -> str:
    """The linker's own words, which torch.ops.load_library hides behind a sentence of its own."""
    return " ".join(str(error.__cause__ or error).split())


def load_cpu() -> None:
    """Registers every schema and the CPU kernels.

    Raises:
        ImportError: torch is older than the stable ABI the library needs, the package was not
            built, or the library does not load; one sentence each.
    """
    if torch.__version__ < "2.10":  # not a comparison of strings: TorchVersion compares versions
        raise ImportError(f"freqops: torch >= 2.10 is needed, found {torch.__version__}")
    library = _FOLDER / "libfreqops_cpu.so"
    if not library.exists():
        raise ImportError(
            f"freqops: {library} is missing, the package was not built; run in its checkout: "
            "pip install --no-build-isolation -e ."
        )
    try:
        torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
    except OSError as error:
        raise ImportError(f"freqops: {library} does not load: {_reason(error)}") from None


def load_cuda() -> CudaLibrary:
    """Registers the CUDA kernels where torch itself has CUDA; the reason says what came of it."""
    from freqops import _C  # only importable once load_cpu has run

    if not _C.cuda_built:
        return CudaLibrary(False, "not built: no CUDA toolkit was found or FREQOPS_CUDA=0 was set")
    if torch.version.cuda is None:
        return CudaLibrary(False, f"not loaded: torch {torch.__version__} is a build without CUDA")
    library = _FOLDER / "libfreqops_cuda.so"
    try:
        torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
    except OSError as error:
        return CudaLibrary(False, f"failed to load: {_reason(error)}")
    return CudaLibrary(True, f"loaded, compiled for compute capability {', '.join(_C.cuda_archs)}")


def check_cpu_level() -> None:
    """Rejects a FREQOPS_CPU that cannot be followed: silently using another level tests nothing.

    Raises:
        ImportError: FREQOPS_CPU names no compiled level, or one this machine cannot run.
    """
    from freqops import _C

    problem = _C.cpu_level_problem()
    if problem is not None:
        raise ImportError(f"freqops: {problem}")


load_cpu()
check_cpu_level()
CUDA = load_cuda()
