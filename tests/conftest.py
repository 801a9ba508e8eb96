"""What every test shares: seeds, hypothesis settings, torchvision on a CPU-only torch."""

import gc
import os

# Before torch is loaded: threads that wait by spinning take the processor from those that work as
# soon as anything else runs beside the tests; ten times the time was seen on two busy cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import hypothesis
import pytest
import torch
import torchvision_ops

# No deadline: the first call of a size builds a plan. CI replays the same examples each time.
hypothesis.settings.register_profile("local", deadline=None, max_examples=50)
hypothesis.settings.register_profile(
    "ci", parent=hypothesis.settings.get_profile("local"), derandomize=True
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

_torchvision_library = torchvision_ops.declare_missing()


def pytest_pycollect_makemodule() -> None:
    """Inputs drawn while a module is imported are the same in every run, alone or in the suite."""
    torch.manual_seed(0)


def pytest_collection_finish() -> None:
    """Spares the garbage collector a million objects of torch's.

    What was imported stays, and what traces and compilations make by the hundred thousand is looked
    through less often: a quarter of the time of the tests of large models.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def pytest_runtest_setup(item: pytest.Item) -> None:
    # Raised here, all of them are one line of the summary; as marks they would be one per test.
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
