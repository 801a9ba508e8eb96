"""What a sweep returns: a list of plain records and the settings they were made with."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from freqops.evaluation.checkpoint import write_atomically
from freqops.evaluation.conditions import Condition
from freqops.evaluation.errors import InputError

FORMAT = "freqops.sweep/1"
Record = dict[str, Any]
_IDENTITY = ("model", "kind", "cutoff", "samples")


@dataclass
class SweepResult:
    """Accuracy (or another metric) of each model under each condition.

    Attributes:
        records: one dict per model and condition, baseline first. Always "model", "kind" ("none"
            for the unfiltered baseline, "low", "high"), "cutoff" (None for the baseline) and
            "samples". With the default metric also "top1", "top5" (None with fewer than five
            classes), "balanced" (mean of the per-class accuracies), "per_class" (None for a class
            without images) and "nan_rows" (outputs that held a NaN; they count as wrong). With
            `metric=` its name ("metric" unless a mapping named it) and value.
        settings: what the numbers depend on: cutoffs, unit, norm, kind, models, image size, ...
        predictions: with `keep_predictions=True`, {(model, kind, cutoff): class numbers [N]} in
            the order of the data. Not saved by :meth:`save`.
    """

    records: list[Record]
    settings: dict[str, Any]
    predictions: dict[tuple[str, str, float | None], Tensor] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """The models' names, in the order they were given."""
        return list(dict.fromkeys(record["model"] for record in self.records))

    @property
    def metrics(self) -> list[str]:
        """Names of the fields that hold one number per record."""
        numeric: dict[str, None] = {}
        for record in self.records:
            for key, value in record.items():
                is_number = isinstance(value, int | float) and not isinstance(value, bool)
                if key not in (*_IDENTITY, "nan_rows") and is_number:
                    numeric[key] = None
        return list(numeric)

    def record(self, model: str, kind: str = "none", cutoff: float | None = None) -> Record:
        """Returns one record.

        Raises:
            KeyError: no such model or condition.
        """
        wanted = (model, *Condition(kind, cutoff))
        for record in self.records:
            if (record["model"], record["kind"], record["cutoff"]) == wanted:
                return record
        raise KeyError(wanted)

    def curve(self, model: str, kind: str, metric: str) -> tuple[list[float], list[float]]:
        """Returns (cutoffs, values) of one model and band, ascending; unknown values are NaN."""
        points = sorted(
            (record["cutoff"], float("nan") if record.get(metric) is None else record[metric])
            for record in self.records
            if record["model"] == model and record["kind"] == kind
        )
        return [point[0] for point in points], [point[1] for point in points]

    def save(self, path: str | Path) -> None:
        """Writes the records as CSV when the name ends in .csv, else everything as JSON.

        The file appears complete or not at all.
        """
        path = Path(path)
        text = self._csv() if path.suffix == ".csv" else self._json()
        write_atomically(path, text.encode())

    def _json(self) -> str:
        content = {"format": FORMAT, "settings": self.settings, "records": self.records}
        return json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"

    def _csv(self) -> str:
        names = self.settings.get("class_names")
        rows = [_flat(record, names) for record in self.records]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    @classmethod
    def load(cls, path: str | Path) -> SweepResult:
        """Reads what :meth:`save` wrote as JSON.

        Raises:
            InputError: no such file, or not a sweep.
        """
        try:
            content = json.loads(Path(path).read_text())
            if content["format"] != FORMAT:
                raise InputError(f"sweep: {path} has format {content['format']!r}, not {FORMAT!r}")
            return cls(content["records"], content["settings"])
        except FileNotFoundError as error:
            raise InputError(f"sweep: {path} doesn't exist") from error
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"sweep: {path} is not a saved sweep") from error

    def plot(self, path: str | Path | None = None, *, metric: str | None = None) -> Any:
        """Returns the curves as a matplotlib Figure, and writes it when a path is given.

        Args:
            path: .png, .pdf or .svg.
            metric: which field; None is "top1" where there is one, else the first metric.
        """
        from freqops import plots  # matplotlib is only loaded where a figure is wanted

        figure = plots.plot_sweep(self, metric=metric)
        if path is not None:
            plots.save_figure(figure, path)
        return figure

    def table(self, metric: str | None = None) -> str:
        """Returns a text table: one line per model and band, one column per cutoff."""
        metric = metric or self.default_metric()
        header, *rows = self.table_rows(metric)
        widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
        lines = [
            "  ".join(
                cell.ljust(w) if i < 2 else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (header, *rows)
        ]
        return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])

    def table_rows(self, metric: str) -> list[list[str]]:
        """Returns the header and the rows of :meth:`table` as text cells."""
        cutoffs = sorted({r["cutoff"] for r in self.records if r["cutoff"] is not None})
        header = ["model", "band", "all", *(f"{cutoff:g}" for cutoff in cutoffs)]
        rows = [header]
        for model in self.models:
            baseline = cell(self.record(model).get(metric), metric)
            for kind in self.settings["kinds"]:
                cells = [cell(self.record(model, kind, c).get(metric), metric) for c in cutoffs]
                rows.append([model, kind, baseline, *cells])
        return rows

    def default_metric(self) -> str:
        """Returns "top1" where there is one, else the first metric.

        Raises:
            InputError: no field holds one number per record.
        """
        if not self.metrics:
            raise InputError("sweep: no metric holds one number per condition")
        return "top1" if "top1" in self.metrics else self.metrics[0]


#: What a cutoff is counted in, for readers.
UNIT_LABELS = {
    "bins": "DFT bins",
    "cycles": "cycles per pixel",
    "nyquist": "fraction of Nyquist",
}
#: The metrics that are shares of images, with their names for readers.
METRIC_LABELS = {
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "balanced": "balanced accuracy",
}


def cell(value: float | None, metric: str) -> str:
    """Returns a value as text: a share in percent, anything else with four digits."""
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if metric in METRIC_LABELS else f"{value:.4g}"


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, list | tuple) else value


def _flat(record: Record, class_names: list[str] | None) -> Record:
    """Lists become one column per entry; per-class columns carry the class's name."""
    row: Record = {}
    for key, value in record.items():
        if not isinstance(value, list):
            row[key] = value
            continue
        for i, entry in enumerate(value):
            named = key == "per_class" and class_names is not None and i < len(class_names)
            row[f"{key}[{class_names[i] if named and class_names else i}]"] = entry
    return row
