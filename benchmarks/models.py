"""Anti-aliased networks end to end: what their pools cost, against slices that cost nothing.

    python benchmarks/models.py                           prints a table
    python benchmarks/models.py --quick                   small images, two rounds: does it work?
    python benchmarks/models.py --only "resnet18 train"   rows whose labels have these words

The architecture is the one of Zhang 2019: every convolution of stride 2 in a block at stride 1, the
blur behind its ReLU, a blur before the shortcut's convolution, the maximum at stride 1 and blurred.
"slice" is that architecture with ``x[..., ::2, ::2]`` for every blur and torch's own pool of 2x2 at
stride 2 at the stem, which gives the values of the maximum at stride 1, sliced, and takes less time
than it: the least the architecture can cost. "plain" is torchvision's network, "pool_only" the same
with its max pool alone replaced, window and padding kept.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from whole_jobs import Effort, Rounds, by_rounds, median_ratio, run

import freqops
from freqops.bench import pooling_compositions as compositions
from freqops.bench import tables
from freqops.bench.timing import Contender, check_agreement

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
import torchvision_ops

_torchvision_library = torchvision_ops.declare_missing()
import torchvision  # noqa: E402

TAPS = 4
NETWORKS = ("resnet18", "resnet50")
FORMATS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}
# Images per call; training keeps every map, and takes three times as long.
IMAGES = {"inference": 16, "inference, AMP": 16, "training": 8}
# Shares of their time that ours may take longer than its own lower bound.
ALLOWED = {"zhang": 0.03, "pool_only": 0.04}


# --- pools ----------------------------------------------------------------------------------------


class Slice(nn.Module):
    """Every second row and column."""

    def forward(self, x: Tensor) -> Tensor:
        """Samples x."""
        return x[..., ::2, ::2]


class ComposedPool(nn.Module):
    """The blur, after a maximum at stride 1 where there is one, composed of torch's layers."""

    weight: Tensor

    def __init__(self, channels: int, window: int = 1, max_padding: int = 0) -> None:
        super().__init__()
        self.window = window
        self.max_padding = max_padding
        weight = compositions.blur_weight(torch.empty(1, channels, 1, 1), TAPS)
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Pools x."""
        if self.window > 1:
            x = F.max_pool2d(x, self.window, 1, self.max_padding)
        return compositions.torch_blur(x, self.weight)


@dataclass(frozen=True)
class Pools:
    """Where an architecture gets its pools from, given the channels."""

    blur: Callable[[int], nn.Module]
    maximum: Callable[[int], nn.Module]


POOLS = {
    "freqops": Pools(lambda _: freqops.BlurPool2d(TAPS), lambda _: freqops.MaxBlurPool2d(2, TAPS)),
    "torch": Pools(ComposedPool, lambda channels: ComposedPool(channels, window=2)),
    "slice": Pools(lambda _: Slice(), lambda _: nn.MaxPool2d(2, 2)),
}


def antialiased(plain: nn.Module, pools: Pools) -> nn.Module:
    """A copy of torchvision's ResNet with these pools in the places of its strides."""
    network: Any = copy.deepcopy(plain)
    network.maxpool = pools.maximum(network.bn1.num_features)
    for block in network.modules():
        _replace_stride(block, pools.blur)
    return network  # type: ignore[no-any-return]


def _replace_stride(block: Any, blur: Callable[[int], nn.Module]) -> None:
    """Of a block's own 3x3 convolution and its shortcut."""
    if isinstance(block, torchvision.models.resnet.BasicBlock):
        strided, behind = "conv1", "conv2"
    elif isinstance(block, torchvision.models.resnet.Bottleneck):
        strided, behind = "conv2", "conv3"
    else:
        return
    convolution = getattr(block, strided)
    if convolution.stride == (1, 1):
        return
    convolution.stride = (1, 1)
    setattr(block, behind, nn.Sequential(blur(convolution.out_channels), getattr(block, behind)))
    shortcut = block.downsample[0]
    shortcut.stride = (1, 1)
    block.downsample.insert(0, blur(shortcut.in_channels))


def pool_only(plain: nn.Module, pool: nn.Module) -> nn.Module:
    """A copy with another max pool; the rest is as it was."""
    network: Any = copy.deepcopy(plain)
    network.maxpool = pool
    return network  # type: ignore[no-any-return]


def networks(name: str) -> dict[str, nn.Module]:
    """All of them with the same weights."""
    plain = torchvision.models.get_model(name, weights=None)
    pools = {"freqops": freqops.MaxBlurPool2d(3, TAPS, max_padding=1)}
    pools["torch"] = ComposedPool(plain.bn1.num_features, window=3, max_padding=1)
    return {
        **{maker: antialiased(plain, POOLS[maker]) for maker in POOLS},
        **{f"pool_only, {maker}": pool_only(plain, pool) for maker, pool in pools.items()},
        "plain": plain,
    }


# --- calls ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A network, what is done with it, and how its maps lie in memory."""

    network: str
    mode: str
    layout: str

    @property
    def label(self) -> str:
        """Of the row in its table."""
        return f"{self.network} {self.mode}, {self.layout}"


def rows() -> list[Row]:
    """All there are."""
    return [
        Row(network, mode, layout) for network in NETWORKS for mode in IMAGES for layout in FORMATS
    ]


def called(network: nn.Module, row: Row, x: Tensor) -> Callable[[], Tensor]:
    """One inference, or one training step; its result is what the network says."""
    network.to(memory_format=FORMATS[row.layout])  # type: ignore[call-overload]
    if row.mode != "training":
        network.eval()
        half = row.mode == "inference, AMP"

        def infer() -> Tensor:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
                result: Tensor = network(x)
            return result

        return infer
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6, momentum=0.9)
    labels = torch.arange(x.shape[0])

    def step() -> Tensor:
        optimizer.zero_grad()
        result: Tensor = network(x)
        F.cross_entropy(result, labels).backward()
        optimizer.step()
        return result.detach()

    return step


def measured(row: Row, effort: Effort) -> dict[str, Any]:
    """Checks that ours and torch's composition agree, then times all turn by turn."""
    torch.manual_seed(0)
    images, side = (2, 64) if effort.quick else (IMAGES[row.mode], 224)
    x = torch.rand(images, 3, side, side).contiguous(memory_format=FORMATS[row.layout])
    calls = {name: called(network, row, x) for name, network in networks(row.network).items()}
    contenders = [Contender(name, call) for name, call in calls.items()]
    if row.mode != "training":  # steps take long, and their networks are those of inference
        _check(contenders, row)
    timings, rounds = by_rounds(contenders, effort)
    return {
        "label": row.label,
        "images": images,
        "side": side,
        "contenders": [{"name": name, **asdict(timing)} for name, timing in timings.items()],
        "ratios": ratios(rounds),
        "allowed": ALLOWED,
    }


def _check(contenders: list[Contender], row: Row) -> None:
    """In half precision the last bits of 20 to 50 layers differ."""
    tolerance = {"inference": 1e-3, "inference, AMP": 0.1}[row.mode]
    by_name = {contender.name: contender for contender in contenders}
    for kind in ("", "pool_only, "):
        check_agreement([by_name[f"{kind}freqops"], by_name[f"{kind}torch"]], tolerance)


def ratios(rounds: Rounds) -> dict[str, float]:
    """Medians of the rounds' ratios, for what tables show."""
    pairs = {
        "freqops / slice": ("freqops", "slice"),
        "torch / slice": ("torch", "slice"),
        "pool_only, freqops / plain": ("pool_only, freqops", "plain"),
        "pool_only, torch / plain": ("pool_only, torch", "plain"),
    }
    return {name: median_ratio(rounds, *pair) for name, pair in pairs.items()}


if __name__ == "__main__":
    run("models", __doc__.splitlines()[0], rows(), measured, tables.models_section)
