"""A result to show, draw and write."""

from typing import Any

import pytest
from bench_results import mixed


@pytest.fixture
def result() -> dict[str, Any]:
    return mixed()
