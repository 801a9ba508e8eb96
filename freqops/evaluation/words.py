"""The command line's words for objects: `package.module:attribute`, and names that nearly exist."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from freqops.evaluation.errors import InputError, first_line


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns " (did you mean ...?)" for a misspelt name, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f" (did you mean {', '.join(close)}?)" if close else ""


def optional_import(module: str, why: str) -> ModuleType:
    """Imports a package that freqops doesn't depend on.

    Raises:
        InputError: it isn't installed, or doesn't load (torchvision's compiled part, say).
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"{why} needs {module}, which is not installed") from error
    except Exception as error:
        raise InputError(f"{why} needs {module}, which can't load: {first_line(error)}") from error


def made_by_factory(word: str, what: str) -> Any:
    """Imports `package.module:attribute` and returns what calling it without arguments gives.

    The current folder is searched too, as `python -m` does. An attribute that isn't callable, or
    is an `nn.Module` already, is returned as it is.

    Raises:
        InputError: no such module or attribute, or the factory failed.
    """
    module_name, _, attribute = word.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        raise InputError(f"{what} {word}: there is no module {missing!r}") from error
    except Exception as error:
        reason = _named(error)
        raise InputError(f"{what} {word}: importing {module_name} failed: {reason}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = nearest(part, dir(found))
            raise InputError(f"{what} {word}: {module_name} has no {part!r}{known}")
        found = getattr(found, part)
    if not callable(found) or (not isinstance(found, type) and hasattr(found, "parameters")):
        return found
    try:
        return found()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{what} {word}: the factory failed: {_named(error)}") from error


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)}"


def is_factory(word: str) -> bool:
    """Returns whether a word looks like `package.module:attribute`."""
    module, colon, attribute = word.partition(":")
    parts = [*module.split("."), *attribute.split(".")]
    return bool(colon) and all(part.isidentifier() for part in parts)
