"""How figures look, and how they become files.

Figures are built without pyplot: no window, no global state. Colours are Okabe and Ito's, which
stay apart for colour-blind readers and in grey; marks and line styles say the same once more.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from freqops.evaluation.checkpoint import write_atomically

BLUE, VERMILLION, GREEN, BLACK, GREY = "#0072B2", "#D55E00", "#009E73", "#000000", "#767676"
PALETTE = (BLUE, "#E69F00", GREEN, "#CC79A7", VERMILLION, "#56B4E9", "#8C6D1F", "#5B3A8C")
MARKERS = "osD^vPX*"
DPI = 200

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """What everything of freqops is drawn in."""
    with mpl.rc_context(STYLE):
        yield


def figure_bytes(figure: Figure, form: str = "png") -> bytes:
    """Returns a figure as a PNG, PDF or SVG file's content."""
    content = io.BytesIO()
    with style():
        figure.savefig(content, format=form, dpi=DPI, facecolor="white")
    return content.getvalue()


def save_figure(figure: Figure, path: str | Path) -> None:
    """Writes a figure; the file's ending is its format, and it appears complete or not at all."""
    path = Path(path)
    write_atomically(path, figure_bytes(figure, path.suffix.lstrip(".") or "png"))
