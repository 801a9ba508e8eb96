"""Anti-aliased networks end to end: what their pools cost, against slices that cost nothing.

    python benchmarks/models.py                             prints a table
    python benchmarks/models.py --quick                     small images, two rounds: does it work?
    python benchmarks/models.py --only "resnet18 training"   rows whose labels have these words

The architecture is the one of Zhang 2019: every convolution of stride 2 in a block at stride 1, the
blur behind its ReLU, a blur before the shortcut's convolution, the maximum at stride 1 and blurred.
"slice" is that architecture with ``x[..., ::2, ::2]`` for every blur and torch's own pool of 2x2 at
stride 2 at the stem, which gives the values of the maximum at stride 1, sliced, and takes less time
than it: the least the architecture can cost. "plain" is torchvision's network, "pool_only" the same
with its max pool alone replaced, window and padding kept.

Blurs have 3 taps, so that timm's layer takes part: with an even number it pads otherwise. kornia's
layers have zeros around the map, which is another function, and are there for information. Rows of
"recipes" are the plain network as `freqops.antialias` converts it, recipe by recipe.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from whole_jobs import Effort, Rounds, by_rounds, median_ratio, run

import freqops
from freqops.bench import model_tables, peers
from freqops.bench import pooling_compositions as compositions
from freqops.bench.timing import Contender, Role, Timing, check_agreement
from freqops.surgery.recipes.named import RECIPES as NAMED_RECIPES

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
import torchvision_ops

_torchvision_library = torchvision_ops.declare_missing()
import torchvision  # noqa: E402

TAPS = 3
PUBLISHED_TAPS = 4
NETWORKS = ("resnet18", "resnet50")
FORMATS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}
# Images per call; training keeps every map, and takes three times as long.
IMAGES = {"inference": 16, "inference, AMP": 16, "training": 8}
COMPILED = "inference, compiled"
RECIPES = "inference, recipes"
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

    def __init__(self, channels: int, taps: int, window: int = 1, max_padding: int = 0) -> None:
        super().__init__()
        self.window = window
        self.max_padding = max_padding
        weight = compositions.blur_weight(torch.empty(1, channels, 1, 1), taps)
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


def behind_maximum(blur: Callable[[int], nn.Module]) -> Pools:
    """As published: the stem's maximum is torch's layer, at stride 1."""
    return Pools(blur, lambda channels: nn.Sequential(nn.MaxPool2d(2, 1), blur(channels)))


def pools(taps: int) -> dict[str, Pools]:
    """By maker, of those that are installed."""
    found = {
        "freqops": Pools(
            lambda _: freqops.BlurPool2d(taps), lambda _: freqops.MaxBlurPool2d(2, taps)
        ),
        "torch": Pools(
            lambda channels: ComposedPool(channels, taps),
            lambda channels: ComposedPool(channels, taps, window=2),
        ),
    }
    if published := peers.library("antialiased-cnns"):
        found["antialiased-cnns"] = behind_maximum(
            lambda channels: published.BlurPool(channels, filt_size=taps, stride=2)
        )
    if (layers := peers.library("timm")) and taps % 2:  # even filters start a sample earlier
        found["timm"] = behind_maximum(lambda channels: layers.BlurPool2d(channels, taps, 2))
    if filters := peers.library("kornia"):
        found["kornia"] = Pools(
            lambda _: filters.BlurPool2D(taps, 2),
            lambda _: filters.MaxBlurPool2D(taps, 2, max_pool_size=2),
        )
    return {**found, "slice": Pools(lambda _: Slice(), lambda _: nn.MaxPool2d(2, 2))}


# Of those that are no peers.
ROLES: dict[str, Role] = {
    "freqops": "ours",
    "pool_only, freqops": "ours",
    "kornia": "other",
    "plain": "other",
    "slice": "floor",
}


def absent() -> dict[str, str]:
    """Peers that could take part and are not here, and what to do about it."""
    wanted = ("antialiased-cnns", "timm", "kornia")
    return {name: why for name, why in peers.missing().items() if name in wanted}


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


def networks(name: str, taps: int = TAPS) -> dict[str, nn.Module]:
    """All of them with the same weights."""
    plain = torchvision.models.get_model(name, weights=None)
    only: dict[str, nn.Module] = {"freqops": freqops.MaxBlurPool2d(3, taps, max_padding=1)}
    only["torch"] = ComposedPool(plain.bn1.num_features, taps, window=3, max_padding=1)
    return {
        **{maker: antialiased(plain, made) for maker, made in pools(taps).items()},
        **{f"pool_only, {maker}": pool_only(plain, pool) for maker, pool in only.items()},
        "plain": plain,
    }


# --- calls ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A network, what is done with it, how its maps lie in memory, and the taps of its blurs."""

    network: str
    mode: str
    layout: str
    taps: int = TAPS

    @property
    def label(self) -> str:
        """Of the row in its table."""
        taps = f", {self.taps} taps" if self.taps != TAPS else ""
        return f"{self.network} {self.mode}, {self.layout}{taps}"

    def has(self, name: str) -> bool:
        """Whether a network takes part: what takes long is not asked everywhere."""
        if self.mode == COMPILED:  # the peers' layers and torch's are compiled to the same
            return name in ("freqops", "torch", "slice")
        if self.taps != TAPS:
            return "pool_only" not in name and name != "kornia"
        return name != "kornia" or self.mode == "inference"

    def x(self, effort: Effort) -> Tensor:
        """What the networks are called with."""
        images, side = (2, 64) if effort.quick else (IMAGES.get(self.mode, 16), 224)
        made = torch.rand(images, 3, side, side)
        return made.contiguous(memory_format=FORMATS[self.layout])


def rows() -> list[Row]:
    """All there are."""
    return [
        *(
            Row(network, mode, layout)
            for network in NETWORKS
            for mode in IMAGES
            for layout in FORMATS
        ),
        *(Row("resnet18", "inference", layout, PUBLISHED_TAPS) for layout in FORMATS),
        Row("resnet18", COMPILED, "NCHW"),  # more of them take minutes to compile
        *(Row(network, RECIPES, "NCHW") for network in NETWORKS),
    ]


def called(network: nn.Module, row: Row, x: Tensor) -> Callable[[], Tensor]:
    """One inference, or one training step; its result is what the network says."""
    network.to(memory_format=FORMATS[row.layout])  # type: ignore[call-overload]
    if row.mode != "training":
        network.eval()
        if row.mode == COMPILED:
            network = torch.compile(network, dynamic=False)
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
    """Checks that ours and the peers agree, then times all turn by turn."""
    torch.manual_seed(0)
    torch.compiler.reset()
    x = row.x(effort)
    if row.mode == RECIPES:
        return measured_recipes(row, x, effort)
    found = {key: one for key, one in networks(row.network, row.taps).items() if row.has(key)}
    contenders = [
        Contender(name, called(network, row, x), ROLES.get(name, "peer"))
        for name, network in found.items()
    ]
    if row.mode != "training":  # steps take long, and their networks are those of inference
        _check(contenders, row)
    timings, rounds = by_rounds(contenders, effort)
    return {
        **_described(row, x, contenders, timings),
        "taps": row.taps,
        "ratios": ratios(rounds),
        "allowed": ALLOWED,
    }


def _described(
    row: Row, x: Tensor, contenders: Sequence[Contender], timings: dict[str, Timing]
) -> dict[str, Any]:
    return {
        "label": row.label,
        "network": row.network,
        "layout": row.layout,
        "images": x.shape[0],
        "side": x.shape[-1],
        "contenders": [
            {"name": one.name, "role": one.role, **asdict(timings[one.name])} for one in contenders
        ],
    }


def _check(contenders: list[Contender], row: Row) -> None:
    """Bare slices are 5 % off; in half precision a few last bits of 20 to 50 layers may differ."""
    tolerance = 0.02 if "AMP" in row.mode else 1e-3
    kinds = [[one for one in contenders if one.name.startswith("pool_only") == only]
             for only in (False, True)]  # fmt: skip
    for kind in filter(None, kinds):
        check_agreement(kind, tolerance)


def ratios(rounds: Rounds) -> dict[str, float]:
    """Medians of the rounds' ratios, for what tables show."""
    pairs = [(name, "freqops") for name in rounds if name != "freqops" and "pool_only" not in name]
    pairs += [(name, "plain") for name in rounds if "pool_only" in name]
    pairs.append(("freqops", "slice"))
    return {f"{first} / {second}": median_ratio(rounds, first, second) for first, second in pairs}


# --- recipes --------------------------------------------------------------------------------------


def measured_recipes(row: Row, x: Tensor, effort: Effort) -> dict[str, Any]:
    """The plain network and what each recipe makes of it: counted for an image, timed in turns."""
    plain = torchvision.models.get_model(row.network, weights=None).eval()
    contenders = [Contender("plain", called(plain, row, x), "other")]
    counted, sites = {}, 0
    for recipe in NAMED_RECIPES:
        network = copy.deepcopy(plain)
        report = freqops.antialias(network, recipe)
        cost = report.cost(x[:1], repeats=1)
        sites = len(report)
        converted = len(report.converted)
        counted[recipe] = {"sites": converted, "macs": cost.macs, "bytes": cost.bytes}
        contenders.append(Contender(recipe, called(network, row, x), "ours"))
    with FlopCounterMode(display=False) as flops, torch.inference_mode():
        plain(x[:1])
    timings, rounds = by_rounds(contenders, effort)
    return {
        **_described(row, x, contenders, timings),
        "sites": sites,
        "macs": flops.get_total_flops() // 2,
        "recipes": counted,
        "ratios": {f"{name} / plain": median_ratio(rounds, name, "plain") for name in counted},
    }


if __name__ == "__main__":
    words = __doc__.splitlines()[0]
    run("models", words, rows(), measured, model_tables.models_section, absent=absent())
