"""Small models of the kinds that make surgery hard."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Plain(nn.Module):
    """Strided convolution, normalisation, activation as modules; a pool; a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.norm(self.conv(x))))
        y: Tensor = self.head(x.mean((2, 3)))
        return y


class Block(nn.Module):
    """torchvision's BasicBlock: one activation object for two places, a 1x1 shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.shortcut(x)
        z: Tensor = self.relu(y)
        return z


class Residual(nn.Module):
    """Two blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 1, 1)
        self.one = Block(8, 16, 2)
        self.two = Block(16, 32, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.two(self.one(self.stem(x)))
        return y


class Calls(nn.Module):
    """Downsampling by functions, some of it in a method that forward calls."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3, 2)
        self.two = nn.Conv2d(8, 8, 3, padding=1)
        self.weight = nn.Parameter(torch.randn(8, 8, 3, 3) / 9)

    def _features(self, x: Tensor) -> Tensor:
        x = F.relu(self.one(x))
        x = F.max_pool2d(x, kernel_size=3, stride=2)
        return F.avg_pool2d(self.two(x), 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self._features(x)
        x = torch.max_pool2d(x, 2, 2)
        x = F.conv2d(x, self.weight, None, 2, 1)
        return F.interpolate(x, scale_factor=0.5, mode="bilinear")


class Signals(nn.Module):
    """A 1-D network as for EEG."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 7, stride=4)
        self.act = nn.ELU()
        self.pool = nn.AvgPool1d(4)
        self.max = nn.MaxPool1d(3, 2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.max(self.pool(self.act(self.conv(x))))
        return y


class Volumes(nn.Module):
    """A 3-D network whose first pool leaves the depth alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 4, 3, stride=(1, 2, 2), padding=1)
        self.act = nn.ReLU()
        self.flat = nn.MaxPool3d((1, 2, 2), ceil_mode=True)
        self.deep = nn.MaxPool3d(3, 2, padding=1)
        self.mean = nn.AvgPool3d(2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.mean(self.deep(self.flat(self.act(self.conv(x)))))
        return y


class Parallel(nn.Module):
    """CoConv: branches of several dilations that read one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.act = nn.ReLU()
        self.branches = nn.ModuleList(
            nn.Conv2d(8, 4, 3, 2, padding=d, dilation=d) for d in (1, 2, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.stem(x))
        return torch.cat([branch(x) for branch in self.branches], 1)


class Shared(nn.Module):
    """One convolution for two places (DACNN), one pool under two names, called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.conv = nn.Conv2d(8, 8, 3, 2, 1)
        self.pool = nn.MaxPool2d(2)
        self.other_pool = self.pool

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(self.pool(self.stem(x))))
        x = torch.relu(self.conv(self.pool(x)))
        y: Tensor = self.other_pool(x)
        return y


def sizes_inside(model: nn.Module, x: Any) -> dict[str, list[tuple[int, ...]]]:
    """Shapes of what every module of a model gives, in order of the calls."""
    found: dict[str, list[tuple[int, ...]]] = {}

    def note(name: str) -> Any:
        def hook(module: nn.Module, args: Any, result: Any) -> None:
            if isinstance(result, Tensor):
                found.setdefault(name, []).append(tuple(result.shape))

        return hook

    hooks = [
        module.register_forward_hook(note(name))
        for name, module in model.named_modules()
        if "antialias" not in name
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return found
