"""What every test shares: seeds, hypothesis settings, torchvision on a CPU-only torch."""

import os

# Before torch is loaded: threads that wait by spinning take the processor from those that work as
# soon as anything else runs beside the tests; ten times the time was seen on two busy cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import importlib.util
from pathlib import Path

import hypothesis
import pytest
import torch

# No deadline: the first call of a size builds a plan. CI replays the same examples each time.
hypothesis.settings.register_profile("local", deadline=None, max_examples=50)
hypothesis.settings.register_profile(
    "ci", parent=hypothesis.settings.get_profile("local"), derandomize=True
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

_TORCHVISION_OPS = (
    "nms",
    "qnms",
    "roi_align",
    "_roi_align_backward",
    "roi_pool",
    "_roi_pool_backward",
    "ps_roi_align",
    "_ps_roi_align_backward",
    "ps_roi_pool",
    "_ps_roi_pool_backward",
    "deform_conv2d",
    "_deform_conv2d_backward",
)


def _declare_torchvision_ops() -> torch.library.Library | None:
    """Lets torchvision be imported where its compiled ops do not load.

    Its wheels are made for CUDA builds of torch; on a CPU build only those ops are missing, and of
    them only the schemas are needed, by the fake kernels it registers on import. No model
    definition calls one. Where the ops do load, nothing is declared and the real ones are used.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return None
    libraries = list(Path(spec.submodule_search_locations[0]).glob("_C*.so"))
    try:
        for path in libraries:
            torch.ops.load_library(path)
    except OSError:
        libraries = []
    if libraries:
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in _TORCHVISION_OPS:
        library.define(f"{name}(Tensor x) -> Tensor")
    return library


# Kept alive: the schemas go when the library object does.
_torchvision_library = _declare_torchvision_ops()


def pytest_pycollect_makemodule() -> None:
    """Inputs drawn while a module is imported are the same in every run, alone or in the suite."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def pytest_runtest_setup(item: pytest.Item) -> None:
    # Raised here, all of them are one line of the summary; as marks they would be one per test.
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
