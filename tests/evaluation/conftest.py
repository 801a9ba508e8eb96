"""A tiny network, tiny images, and data in every form the loaders read."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class TinyNet(nn.Module):
    """Untrained, but with answers that differ from image to image."""

    def __init__(self, classes: int = 6, channels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 8, 3, padding=1)
        self.norm = nn.BatchNorm1d(8, momentum=None)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.conv(images).relu().mean((2, 3)))
        scores: Tensor = self.head(self.drop(features))
        return scores


@pytest.fixture
def images() -> Tensor:
    """Coloured noise: every band has energy, every image another mixture."""
    rng = np.random.default_rng(0)
    noise = rng.random((22, 3, 16, 16))
    smooth = np.stack([np.roll(noise, shift, axis) for shift in (1, 2) for axis in (2, 3)]).mean(0)
    mixture, tint = rng.random((22, 1, 1, 1)), rng.random((22, 3, 1, 1))
    return torch.from_numpy(tint * (mixture * noise + (1 - mixture) * smooth)).float()


@pytest.fixture
def net(images: Tensor) -> TinyNet:
    torch.manual_seed(1)
    net = TinyNet()
    flat = images.mean((2, 3), keepdim=True)
    net(torch.cat([images, images - flat]))  # running statistics that suit filtered images too
    return net


@pytest.fixture
def labels() -> Tensor:
    return torch.arange(22) % 6


@pytest.fixture
def loader(images: Tensor, labels: Tensor) -> DataLoader:
    """Batches of 5, the last one smaller."""
    return DataLoader(TensorDataset(images, labels), batch_size=5)
