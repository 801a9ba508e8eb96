"""Blocks with large depthwise kernels, as in the networks that people accelerate."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ReparamLargeKernel(nn.Module):
    """RepLKNet: a large and a small depthwise kernel side by side, each with its own norm."""

    def __init__(self, channels: int, kernel: int, small: int) -> None:
        super().__init__()
        self.large = self._branch(channels, kernel)
        self.small = self._branch(channels, small)

    def _branch(self, channels: int, kernel: int) -> nn.Sequential:
        conv = nn.Conv2d(
            channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False
        )
        return nn.Sequential(conv, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.large(x) + self.small(x)
        return y


class RepLKBlock(nn.Module):
    """RepLKNet's block: pointwise, large kernel, pointwise, around a shortcut."""

    def __init__(self, channels: int, kernel: int, small: int = 5) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.first = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.kernels = ReparamLargeKernel(channels, kernel, small)
        self.last = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.last(F.relu(self.kernels(self.first(self.norm(x)))))
        return y


class RepLKNet(nn.Module):
    """A strided stem, a block with 31x31 and one with 29x29 taps, a head."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.one = RepLKBlock(channels, 31)
        self.two = RepLKBlock(channels, 29)
        self.head = nn.Linear(channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.two(self.one(self.stem(x))).mean((2, 3)))
        return y


class DilatedReparam(nn.Module):
    """UniRepLKNet: one large kernel, and small ones of several dilations beside it."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.large = nn.Conv2d(
            channels, channels, kernel, padding="same", groups=channels, bias=False
        )
        self.dilated = nn.ModuleList(
            nn.Conv2d(
                channels, channels, taps, padding=dilation * (taps - 1) // 2, dilation=dilation,
                groups=channels, bias=False,
            )
            for taps, dilation in ((5, 1), (7, 2), (3, 3), (3, 4))
        )  # fmt: skip
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(5))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norms[0](self.large(x))
        for conv, norm in zip(self.dilated, self.norms[1:], strict=True):
            y = y + norm(conv(x))
        return y


class UniRepLKBlock(nn.Module):
    """UniRepLKNet's block: kernels, squeeze and excitation, a wide pointwise part with GRN."""

    def __init__(self, channels: int = 16, kernel: int = 31) -> None:
        super().__init__()
        self.kernels = DilatedReparam(channels, kernel)
        self.norm = nn.BatchNorm2d(channels)
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)
        self.wide, self.narrow = nn.Linear(channels, 32), nn.Linear(32, channels, bias=False)
        self.gamma, self.beta = (nn.Parameter(torch.zeros(1, 1, 1, 32)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.kernels(x))
        y = y * torch.sigmoid(self.up(F.relu(self.down(y.mean((2, 3), keepdim=True)))))
        z = F.gelu(self.wide(y.permute(0, 2, 3, 1)))
        strength = z.norm(dim=(1, 2), keepdim=True)
        z = self.gamma * (z * strength / (strength.mean(-1, keepdim=True) + 1e-6)) + self.beta + z
        return x + self.narrow(z).permute(0, 3, 1, 2)


class LargeKernelCalls(nn.Module):
    """A merged kernel that a forward convolves with by itself, and a small one."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.large = nn.Parameter(torch.randn(channels, 1, 27, 27) / 27)
        self.small = nn.Parameter(torch.randn(channels, 1, 3, 3) / 3)

    def _kernels(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, self.large, padding=13, groups=x.shape[1])
        return y + F.conv2d(x, self.small, None, 1, 1, 1, x.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self._kernels(x))
