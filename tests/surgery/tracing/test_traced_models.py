"""Traces of models that people use."""

from typing import Any

import pytest
import torch
from surgery.tracing.traced import names, traced
from torch import Tensor, nn

from freqops.surgery.tracing.activations import activation_after
from freqops.surgery.tracing.trace import trace


def zoo_model(word: str) -> nn.Module:
    library, name = word.split(":")
    zoo = pytest.importorskip("torchvision.models" if library == "torchvision" else library)
    if library == "timm":
        return zoo.create_model(name)
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return zoo.get_model(name, **options)


SEEN = {
    "torchvision:resnet18": torch.Size([2, 3, 64, 64]),
    "torchvision:inception_v3": torch.Size([2, 3, 96, 96]),
    "torchvision:shufflenet_v2_x1_0": torch.Size([2, 3, 64, 64]),
    "timm:hrnet_w18_small": torch.Size([2, 3, 64, 64]),
}


@pytest.mark.parametrize("word", SEEN)
def test_sizes_are_those_of_a_real_run(word: str) -> None:
    """Hooks on a run with numbers are the witness."""
    model = zoo_model(word).eval()
    paths = {id(module): path for path, module in model.named_modules()}
    real: list[tuple[str, torch.Size]] = []

    def hook(module: nn.Module, args: Any, result: Any) -> None:
        if isinstance(result, Tensor):
            real.append((paths[id(module)], tuple(result.shape)))

    handles = [module.register_forward_hook(hook) for module in model.modules()]
    with torch.no_grad():
        model(torch.rand(SEEN[word]))
    for handle in handles:
        handle.remove()
    found = [
        (call.path, call.output_size)
        for call in sorted(
            traced(model, SEEN[word]).calls, key=lambda call: (call.end, -call.index)
        )
        if call.single and call.module is not None
    ]
    assert found == real


def test_inception_mixed_pools() -> None:
    found = traced(zoo_model("torchvision:inception_v3"), torch.Size([2, 3, 299, 299]))
    pools = {call.path: call for call in found.functions("max_pool2d")}
    assert set(pools) == {"Mixed_6a", "Mixed_7a"}
    for path, size in (("Mixed_6a", 17), ("Mixed_7a", 8)):
        assert (pools[path].spot.owner, pools[path].spot.method) == (path, "_forward")
        assert pools[path].output_size[2:] == (size, size)
        assert [call.name for call in found.consumers(pools[path])] == ["cat"]
    assert "AuxLogits" in {call.path for call in found.functions("avg_pool2d")}
    conv = found.calls_of("Mixed_6a.branch3x3.conv")[0]
    one = activation_after(found, conv)
    assert (one.call.name, one.output_of.path) == ("relu", "Mixed_6a.branch3x3")
    assert found.merges(conv)[0] == found.merges(pools["Mixed_6a"])[0]


def test_resnet_block_with_one_relu() -> None:
    """torchvision's BasicBlock uses its relu twice; timm's has two."""
    found = traced(zoo_model("torchvision:resnet18"), torch.Size([2, 3, 224, 224]))
    conv, shortcut = found.calls_of("layer2.0.conv1")[0], found.calls_of("layer2.0.downsample.0")[0]
    one = activation_after(found, conv)
    assert (one.output_of, one.input_of.path) == (None, "layer2.0.conv2")
    assert names(found.readers_of_same_input(conv)) == ["layer2.0.downsample.0"]
    assert activation_after(found, shortcut) == "add comes first"
    assert found.merges(conv)[0] is found.merges(shortcut)[0]
    found = traced(zoo_model("timm:resnet18"), torch.Size([2, 3, 224, 224]))
    one = activation_after(found, found.calls_of("layer2.0.conv1")[0])
    assert one.output_of.path == "layer2.0.act1"


def test_norms_of_timm_that_activate() -> None:
    found = traced(zoo_model("timm:resnetv2_50d_evos"), torch.Size([2, 3, 64, 64]))
    one = activation_after(found, found.calls_of("stages.1.blocks.0.conv2")[0])
    assert one.output_of.path == "stages.1.blocks.0.norm3"
    found = traced(zoo_model("timm:tf_efficientnet_b0"), torch.Size([2, 3, 64, 64]))
    one = activation_after(found, found.calls_of("conv_stem")[0])
    assert one.output_of.path == "bn1.act"


@pytest.mark.filterwarnings("error")
def test_lazy_modules_have_no_trace() -> None:
    found = trace(nn.Sequential(nn.LazyConv2d(4, 3, 2), nn.ReLU()), torch.randn(1, 3, 8, 8))
    assert found.error == "the model has lazy modules: run it once, then convert it"


class Collector(nn.Module):
    """Returns nothing; a hook of its own fails."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.conv.register_forward_pre_hook(self.refuse)

    def refuse(self, module: nn.Module, args: Any) -> None:
        raise ValueError("refused")

    def forward(self, x: Tensor) -> None:
        self.conv(x)


@pytest.mark.filterwarnings("error")
def test_a_hook_that_raises() -> None:
    found = trace(Collector(), torch.randn(1, 3, 8, 8))
    assert not found.error
    assert [call.name for call in found.calls] == ["Collector", "Conv2d"]
