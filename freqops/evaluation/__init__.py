"""How a network's accuracy depends on the frequencies it is shown.

:func:`sweep` filters images at many cutoffs and evaluates any number of models on all of them;
:func:`example_grid` shows what the models saw; :func:`load_model` and :func:`load_data` turn the
command line's MODEL and DATA words into objects.
"""

from freqops.evaluation.auc import MacroAUC
from freqops.evaluation.data import ImageData, load_data
from freqops.evaluation.errors import InputError, SweepInterrupted
from freqops.evaluation.examples import ExampleGrid, example_grid
from freqops.evaluation.models import LoadedModel, load_model, load_models
from freqops.evaluation.result import SweepResult
from freqops.evaluation.sweep import sweep

__all__ = [
    "ExampleGrid",
    "ImageData",
    "InputError",
    "LoadedModel",
    "MacroAUC",
    "SweepInterrupted",
    "SweepResult",
    "example_grid",
    "load_data",
    "load_model",
    "load_models",
    "sweep",
]
