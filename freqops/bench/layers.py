"""Where a benchmark's shapes come from: layers of networks that people train."""

from __future__ import annotations

from collections.abc import Sequence

# (channels, height, width) at the networks' usual input: 224, Inception's 299.
_LAYERS: dict[tuple[int, int, int], str] = {
    (3, 32, 32): "CIFAR image",
    (3, 224, 224): "ImageNet image",
    (3, 299, 299): "Inception image",
    (64, 224, 224): "VGG-16 block 1",
    (128, 112, 112): "VGG-16 block 2",
    (64, 112, 112): "ResNet stem",
    (64, 56, 56): "ResNet-18 layer1",
    (128, 28, 28): "ResNet-18 layer2",
    (256, 56, 56): "ResNet-50 layer1",
    (256, 28, 28): "ResNet-50 layer3.0",
    (512, 14, 14): "ResNet-50 layer4.0",
    (64, 147, 147): "Inception v3 stem",
    (192, 71, 71): "Inception v3 stem, end",
    (96, 56, 56): "ConvNeXt-T stage 1",
    (192, 28, 28): "ConvNeXt-T stage 2",
    (384, 14, 14): "ConvNeXt-T stage 3",
    (160, 28, 28): "UniRepLKNet-T stage 2",
    (320, 14, 14): "UniRepLKNet-T stage 3",
    (256, 14, 14): "GFNet-Ti",
}


def layer_of(shape: Sequence[int]) -> str:
    """The layer whose maps have this shape, whatever the batch; "" for none that is known."""
    if len(shape) != 4:
        return ""
    channels, height, width = shape[1:]
    return _LAYERS.get((channels, height, width), "")
