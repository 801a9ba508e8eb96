"""Pages made of results: README.md here, docs/benchmarks.md, its pictures, tables elsewhere.

Pictures are made of the runs with the allocator that users get, of each suite one of the forward
passes and one of the gradients, and curves where the results have points of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import page_blocks
import results_page
from kept import FOLDER, SUITES, Kept, Result

from freqops.bench import model_tables, tables
from freqops.bench.machine import ROOT
from freqops.bench.verdict import first_verdict

README = FOLDER / "README.md"
PAGE = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def write(kept: Kept) -> None:
    """Writes every page that has changed, and draws the pictures anew."""
    for path, text in rendered(kept).items():
        path.write_text(text)
    drawings = pictures(kept)
    for path in IMAGES.glob("bench_*.png"):
        if path not in drawings:
            path.unlink()
    for path, draw in drawings.items():
        draw(path)


def rendered(kept: Kept) -> dict[Path, str]:
    """The text of every page that has something made of results, by its path."""
    names = [path.name for path in pictures(kept)]
    pages = {README: _tables(kept), PAGE: results_page.page(kept, names)}
    for path in page_blocks.pages():
        pages[path] = page_blocks.filled(path.read_text(), path, kept)
    return pages


def _tables(kept: Kept) -> str:
    """README.md here, with the tables of everything between its marks."""
    sections = [tables.section(result) for result in kept.suites]
    sections += [model_tables.models_section(result) for result in kept.models]
    sections += [tables.evaluation_section(result) for result in kept.evaluation]
    sections += [tables.accelerated_section(result) for result in kept.accelerated]
    sections += [tables.memory_section(result) for result in kept.memory]
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + "\n\n".join([BEGIN, *sections, END]) + after


# --- pictures -------------------------------------------------------------------------------------


def pictures(kept: Kept) -> dict[Path, Callable[[Path], None]]:
    """What draws each picture, by its path; nothing is drawn and matplotlib is not imported."""
    found = {}
    for suite in SUITES:
        result = kept.suite(suite, "default")
        if result is not None:
            for name, draw in _of_suite(result):
                found[IMAGES / f"bench_{suite}{name}.png"] = draw
    if kept.crossover is not None:
        found[IMAGES / "convolution_crossover.png"] = _crossover(kept.crossover)
    return found


def _of_suite(result: Result) -> Iterator[tuple[str, Callable[[Path], None]]]:
    bars = {
        "": [row for row in result["cases"] if not row["backward"]],
        "_gradient": [row for row in result["cases"] if row["backward"]],
    }
    for name, rows in bars.items():
        shown = [row for row in rows if row["point"] is None]
        if any(first_verdict(row, result["environment"]) for row in shown):
            yield name, _drawn("plot_bars", {**result, "cases": shown})
    for name, function, axes in (
        ("_scaling", "plot_scaling", ("size", "batch")),
        ("_radii", "plot_radii", ("radii",)),
    ):
        points = [(row["point"] or {}).get("axis") for row in result["cases"]]
        if any(points.count(axis) > 1 for axis in axes):
            yield name, _drawn(function, result)


def _drawn(function: str, result: Result) -> Callable[[Path], None]:
    def draw(path: Path) -> None:
        from freqops.plots import bench, save_figure

        figure = getattr(bench, function)(result)
        assert figure is not None, f"{function} has nothing to draw for {path.name}"
        save_figure(figure, path)

    return draw


def _crossover(result: Result) -> Callable[[Path], None]:
    def draw(path: Path) -> None:
        import convolution_plot

        convolution_plot.draw(result, path)

    return draw
