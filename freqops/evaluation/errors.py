"""The one exception that stands for a user's mistake in what is to be evaluated."""

from __future__ import annotations


class InputError(ValueError):
    """A model, a data set or a setting that can't be used; the message is one sentence.

    The command line prints exactly that sentence and exits with code 2. Any other exception is a
    defect of the program and keeps its traceback.
    """


class SweepInterrupted(KeyboardInterrupt):
    """Raised in place of `KeyboardInterrupt` when a sweep is stopped by Ctrl-C.

    Attributes:
        done: batches that count as finished.
        total: batches in all, None when the data don't say.
        resume: path of the state from which the same call continues, None when none was written.
    """

    def __init__(self, done: int, total: int | None, resume: str | None) -> None:
        self.done, self.total, self.resume = done, total, resume
        of = f" of {total}" if total is not None else ""
        super().__init__(f"sweep: interrupted after {done}{of} batches")


def first_line(error: BaseException) -> str:
    """Returns the first non-empty line of an exception's text, or its type's name."""
    for line in str(error).splitlines():
        if line.strip():
            return line.strip().rstrip(".")
    return type(error).__name__
