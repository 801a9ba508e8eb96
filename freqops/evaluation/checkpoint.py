"""The state of an unfinished sweep on disk."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from freqops.evaluation.errors import InputError, first_line

FORMAT = "freqops.sweep.state/1"


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that at every moment it holds either its old or its new content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def digest(*values: Any) -> int:
    """Returns a checksum of tensors and plain values, to notice that something changed."""
    check = 0
    for value in values:
        if isinstance(value, Tensor):
            flat = value.detach().cpu().contiguous().flatten()
            check = zlib.crc32(flat.view(torch.uint8).numpy().data, check) if len(flat) else check
        else:
            check = zlib.crc32(repr(value).encode(), check)
    return check


def model_digest(model: Any) -> int:
    """Returns a checksum of a module's parameters and buffers; 0 for any other callable."""
    if not isinstance(model, nn.Module):
        return 0
    return digest(*(entry for entry in model.state_dict().values() if isinstance(entry, Tensor)))


class Checkpoint:
    """Saves and finds the state of one sweep; refuses a file that belongs to another one.

    Args:
        path: the file; None saves nothing. Each process of a distributed sweep has its own.
        fingerprint: everything that decides the numbers: settings, models, number of processes.
    """

    def __init__(self, path: str | Path | None, fingerprint: dict[str, str], rank: int) -> None:
        self.path = None if path is None else Path(path)
        self.fingerprint = fingerprint
        if self.path is not None and rank > 0:
            self.path = self.path.with_name(f"{self.path.name}.rank{rank}")

    def save(self, state: dict[str, Any]) -> None:
        """Replaces the file's content by `state`."""
        if self.path is None:
            return
        content = io.BytesIO()
        torch.save({"format": FORMAT, "fingerprint": self.fingerprint, **state}, content)
        write_atomically(self.path, content.getvalue())

    def load(self) -> dict[str, Any] | None:
        """Returns the saved state, None when there is no file.

        Raises:
            InputError: a file that isn't such a state, or comes from other settings.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
            known = isinstance(saved, dict) and saved.get("format") == FORMAT
        except Exception as error:
            raise InputError(
                f"sweep: {self.path} is not a readable sweep state ({first_line(error)})"
            ) from error
        if not known:
            raise InputError(f"sweep: {self.path} is not a sweep state")
        theirs = saved["fingerprint"]
        for key, value in self.fingerprint.items():
            if theirs.get(key) != value:
                raise InputError(
                    f"sweep: {self.path} comes from other settings: {key} was "
                    f"{theirs.get(key)}, now {value}; delete it to start afresh"
                )
        return dict(saved)

    def existing(self) -> str | None:
        """Returns the file's path where there is one."""
        return str(self.path) if self.path is not None and self.path.exists() else None

    def remove(self) -> None:
        """Deletes the file: the sweep is complete."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
