"""conversion: what was done to a model, site by site, and the way back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from freqops.surgery.cost import measure
from freqops.surgery.recipes.recipe import Planned
from freqops.surgery.records import Cost, Row, text_table
from freqops.surgery.treatment import Treatment

FORMAT = "freqops.conversion/1"


class Conversion:
    """What a conversion did; iterating gives a :class:`Row` per site, ``print`` a table.

    Attributes:
        rows: in the order in which the model calls the sites.
        recipe: by which they were converted.
        how: how the model was run to see its structure, or why it could not be.
        dry_run: nothing was done.
    """

    def __init__(
        self,
        model: nn.Module,
        rows: Sequence[Row],
        planned: Sequence[Planned],
        treatment: Treatment,
        *,
        recipe: str,
        how: str,
        dry_run: bool = False,
    ) -> None:
        self.rows = tuple(rows)
        self.recipe = recipe
        self.how = how
        self.dry_run = dry_run
        self._model = model
        self._planned = tuple(planned)
        self._treatment = treatment
        self._undone = dry_run

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | str) -> Row:
        """A row by its number or by the site's name."""
        if isinstance(key, int):
            return self.rows[key]
        for row in self.rows:
            if row.name == key:
                return row
        raise KeyError(key)

    @property
    def converted(self) -> tuple[Row, ...]:
        """The rows of sites that were converted."""
        return tuple(row for row in self.rows if row.after)

    @property
    def left_alone(self) -> tuple[Row, ...]:
        """The rows of sites that were not."""
        return tuple(row for row in self.rows if not row.after)

    def undo(self) -> None:
        """Gives the model back as it was, to the bit; a second call does nothing.

        Raises:
            RuntimeError: a module was changed otherwise since; then nothing is undone.
        """
        if not self._undone:
            self._treatment.revert()
            self._undone = True

    def cost(self, example: Any, *, repeats: int = 5) -> Cost:
        """What the conversion costs on an input: operations, memory traffic and time.

        The model is run as it is and as it was, in turns, in eval mode without gradients; it is
        as before afterwards.

        Args:
            example: a tensor, a tuple of positional or a dict of named arguments.
            repeats: runs of each; times are medians.

        Raises:
            RuntimeError: the conversion was undone or a dry run.
        """
        if self._undone:
            raise RuntimeError("cost: this conversion was undone or a dry run: nothing to compare")
        return measure(self._model, example, self._planned, self._treatment, repeats)

    def to_json(self) -> str:
        """The rows and the recipe as JSON."""
        content = {
            "format": FORMAT,
            "recipe": self.recipe,
            "trace": self.how,
            "dry_run": self.dry_run,
            "rows": [asdict(row) for row in self.rows],
        }
        return json.dumps(content, indent=1) + "\n"

    def save(self, path: str | Path) -> None:
        """Writes :meth:`to_json` to a file."""
        Path(path).write_text(self.to_json())

    def table(self) -> str:
        """The rows as text: a line per site."""
        header = ["site", "was", "is"]
        body = [
            [row.name or "(model)", row.before, row.after or f"left alone: {row.reason}"]
            for row in self
        ]
        return text_table(header, body)

    def __str__(self) -> str:
        done = "would be converted" if self.dry_run else "converted"
        count = f"{len(self.converted)} of {len(self.rows)} sites {done} by {self.recipe!r}"
        return f"{self.table()}\n{count}; {self.how}"

    def __repr__(self) -> str:
        return f"Conversion({len(self.converted)} of {len(self.rows)} sites, {self.recipe!r})"
