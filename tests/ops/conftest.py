"""The device that a test of an op runs on."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where torch makes tensors until the module's tests are through (``usefixtures("device")``).

    On the CPU that is left as it is: a default device, once set, costs every call of torch some.
    """
    if request.param != "cpu":
        torch.set_default_device(request.param)
    yield request.param
    torch.set_default_device(None)
