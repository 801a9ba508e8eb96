"""torch.compile as a peer: a row's composition through it, compiled only where it takes part."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from freqops.evaluation.errors import first_line

#: The contender, one a row at most; and what the results call it where it takes no part.
NAME = "compiled"
PEER = "torch.compile"


class Compiled:
    """A function of x that is compiled when it is first called: who leaves it out pays nothing.

    Args:
        call: the function, a single graph.
    """

    def __init__(self, call: Callable[[Tensor], Any]) -> None:
        self._call = call
        self._compiled: Callable[[Tensor], Any] | None = None

    def __call__(self, x: Tensor) -> Any:
        """The function of x.

        Raises:
            RuntimeError: it can't be compiled; in one sentence.
        """
        if self._compiled is not None:
            return self._compiled(x)
        torch.compiler.reset()  # beyond a few shapes dynamo goes to eager without a word
        self._compiled = torch.compile(self._call, dynamic=False, fullgraph=True)
        try:
            with warnings.catch_warnings():
                # That it leaves complex numbers to eager kernels, in the middle of the tables.
                warnings.simplefilter("ignore")
                return self._compiled(x)
        except Exception as error:
            raise RuntimeError(f"{PEER}: {first_line(_innermost(error))}") from error


def _innermost(error: Exception) -> BaseException:
    """What went wrong, without what torch.compile puts around it ("backend='inductor' raised:")."""
    inner: BaseException = error
    while isinstance(cause := getattr(inner, "inner_exception", inner.__cause__), BaseException):
        inner = cause
    return inner


@functools.cache
def problem(device: str = "cpu") -> str:
    """Why it takes no part on this device: what is missing here to compile with; "" for nothing."""
    if torch.device(device).type == "cuda":
        missing = importlib.util.find_spec("triton") is None
        return "its backend writes Triton, which is not installed" if missing else ""
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler.split()[0]) is None:
        return f"its backend writes C++, and there is no {compiler} here (CXX names another)"
    return ""
