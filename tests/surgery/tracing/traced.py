"""Traces of small models, and what to ask of them."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from freqops.surgery.tracing.graph import Call, Trace
from freqops.surgery.tracing.trace import trace

SMALL = torch.Size([2, 4, 16, 16])


def traced(model: nn.Module, example: Any = SMALL) -> Trace:
    found = trace(model, example)
    assert found.error is None, found.error
    return found


def only(calls: tuple[Call, ...]) -> Call:
    assert len(calls) == 1, [(call.path, call.name) for call in calls]
    return calls[0]


def names(calls: tuple[Call, ...]) -> list[str]:
    return [call.path if call.module is not None else call.name for call in calls]


class Lambda(nn.Module):
    """A model of one function; `conv` and the others are there to be called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.other = nn.Conv2d(4, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.inplace = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.pool = nn.MaxPool2d(2)
        self.identity = nn.Identity()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)

    def add(self, **modules: nn.Module) -> "Lambda":
        for name, module in modules.items():
            self.add_module(name, module)
        return self


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.body(x), 2, padding=1)
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class NormAct(nn.BatchNorm2d):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(super().forward(x))
