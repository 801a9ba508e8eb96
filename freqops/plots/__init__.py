"""Figures from records. The only package that imports matplotlib."""

from freqops.plots.bench import bench_figures
from freqops.plots.evaluation import plot_examples, plot_per_class, plot_sweep, wilson
from freqops.plots.style import figure_bytes, save_figure

__all__ = [
    "bench_figures",
    "figure_bytes",
    "plot_examples",
    "plot_per_class",
    "plot_sweep",
    "save_figure",
    "wilson",
]
