"""The small CNN of the embedded default."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("demo_net.safetensors")


class DemoNet(nn.Module):
    """Four 3x3 convolutions with pooling between them, a mean over the plane, one linear layer.

    Pixels in [0, 1] go in: the shift and scale of the input are part of the network. Any size from
    8x8 up works, because the mean over the plane comes before the linear layer.

    Args:
        classes: number of outputs.
        widths: channels of the four convolutions.
    """

    def __init__(self, classes: int = 10, widths: tuple[int, ...] = (16, 32, 64, 96)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in widths:
            layers += [nn.MaxPool2d(2)] if layers else []
            layers += [
                nn.Conv2d(before, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            before = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(before, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Returns class scores [N, classes] for images [N, 3, H, W]."""
        # torch's CPU max pooling is four times faster on this layout, and it is most of the time
        inputs = ((images - 0.45) / 0.25).contiguous(memory_format=torch.channels_last)
        scores: Tensor = self.classifier(self.features(inputs).mean((2, 3)))
        return scores


def model() -> DemoNet:
    """Returns the trained network, in eval mode."""
    network = DemoNet()
    network.load_state_dict(load_file(WEIGHTS))
    return network.eval()
