"""Rows of spectral pooling: the kernel alone, the op as users call it, torch's compositions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import compositions
import torch
from gpu_plan import Plan
from gpu_ways import Scene, Way
from torch import Tensor

import freqops
from freqops import reference


def scene(plan: Plan, inputs: Sequence[Tensor], kernels: Any) -> Scene:
    """To half the size; the arguments are those of gpu_scene.scene.

    *naive* crops between two FFTs, *tuned* is torch.matmul along either axis.
    """
    x = inputs[0]
    size = (plan.size // 2, plan.size // 2)
    products = compositions.AxisProducts(x, size)
    rows, columns = products.real = [one.to(x.device) for one in products.real]
    ways = [Way("freqops", "ours", freqops.spectral_pool2d, inputs)]
    if hasattr(kernels, "separable"):
        call = kernels.separable
        ways.append(Way("kernel", "ours", lambda x: call(x, rows, columns, None, True), inputs))
    ways += [
        Way("naive", "peer", lambda x: compositions.torch_crop(x, size, "half"), inputs),
        Way("tuned", "peer", products, inputs),
    ]
    moved = x.numel() + x.numel() // x[0, 0].numel() * size[0] * size[1]
    ways.append(Way("copy", "floor", torch.clone, [one.new_empty(moved // 2) for one in inputs]))

    def exact(images: list[int]) -> Tensor:
        pooled: Tensor = reference.spectral_pool2d(x[images].double())
        return pooled

    return Scene(ways, exact, moved * x.element_size())
