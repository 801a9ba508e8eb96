"""Rows of anti-aliased pooling: the kernel alone, the op as users call it, torch's composition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from gpu_plan import Plan
from gpu_ways import Scene, Way
from torch import Tensor

import freqops
from freqops import reference
from freqops.bench import pooling_compositions as compositions

TAPS, STRIDE, WINDOW = 4, 2, 2
_ENDS = [(TAPS - 1) // 2, TAPS // 2] * 2

Pool = Callable[[Tensor], Tensor]


class Step(NamedTuple):
    """What a backward pass starts from.

    Attributes:
        x: the pool's input.
        y: the gradient for its output.
        result: the output, whose graph is kept; None where the kernel is called alone.
    """

    x: Tensor
    y: Tensor
    result: Tensor | None = None


def scene(plan: Plan, inputs: Sequence[Tensor], kernels: Any) -> Scene:
    """The contenders of a row; the arguments are those of gpu_scene.scene."""
    x = inputs[0]
    window = 1 if plan.op == "blur" else WINDOW
    weight = compositions.blur_weight(x, TAPS)
    pools: dict[str, Pool] = {
        "freqops": _op(freqops, window),
        "naive": lambda x: compositions.torch_max_blur(x, weight, window),
    }
    outputs = pools["freqops"](x[:1]).numel() * len(x)
    if plan.backward:
        ways, exact = _backward(plan, inputs, pools, kernels)
        # Of a maximum x is read once more: which element it was is found anew.
        moved = outputs + x.numel() * (2 if window > 1 else 1)
    else:
        ways, exact = _forward(plan, inputs, pools, kernels)
        moved = x.numel() + outputs
    halves = [x.new_empty(moved // 2) for x in inputs]
    ways.append(Way("copy", "floor", torch.clone, halves))
    return Scene(ways, exact, moved * x.element_size())


Parts = tuple[list[Way], Callable[[list[int]], Tensor]]


def _op(module: Any, window: int) -> Pool:
    """The function of freqops, or of freqops.reference."""
    if window == 1:
        return lambda x: module.blur_pool2d(x, TAPS, STRIDE)
    return lambda x: module.max_blur_pool2d(x, window, TAPS, STRIDE)


def _forward(plan: Plan, inputs: Sequence[Tensor], pools: dict[str, Pool], kernels: Any) -> Parts:
    ways = [Way("freqops", "ours", pools["freqops"], inputs)]
    if hasattr(kernels, _name(plan)):
        ways.append(Way("kernel", "ours", _kernel(plan, inputs[0], kernels), inputs))
    ways.append(Way("naive", "peer", pools["naive"], inputs))
    pool = _op(reference, 1 if plan.op == "blur" else WINDOW)
    return ways, lambda images: pool(inputs[0][images].double())


def _backward(plan: Plan, inputs: Sequence[Tensor], pools: dict[str, Pool], kernels: Any) -> Parts:
    """Through autograd from a graph that is kept, and the kernel alone."""
    gradients = [torch.rand_like(pools["freqops"](x)) for x in inputs]
    steps = [Step(x, y) for x, y in zip(inputs, gradients, strict=True)]
    ways = [Way("freqops", "ours", _gradient, _recorded(pools["freqops"], steps))]
    if hasattr(kernels, _name(plan)):
        ways.append(Way("kernel", "ours", _kernel(plan, inputs[0], kernels), steps))
    ways.append(Way("naive", "peer", _gradient, _recorded(pools["naive"], steps)))
    pool = _op(reference, 1 if plan.op == "blur" else WINDOW)

    def exact(images: list[int]) -> Tensor:
        x = inputs[0][images].double().requires_grad_()
        (gradient,) = torch.autograd.grad(pool(x), x, gradients[0][images].double())
        return gradient

    return ways, exact


def _recorded(pool: Pool, steps: Sequence[Step]) -> list[Step]:
    """With the pool's own outputs."""
    recorded = []
    for step in steps:
        x = step.x.detach().requires_grad_()
        recorded.append(Step(x, step.y, pool(x)))
    return recorded


def _gradient(step: Step) -> Tensor:
    assert step.result is not None
    (gradient,) = torch.autograd.grad(step.result, step.x, step.y, retain_graph=True)
    return gradient


def _name(plan: Plan) -> str:
    """Of the compiled op."""
    if plan.op == "blur":
        return "blur_pool_adjoint" if plan.backward else "blur_pool"
    return "max_blur_pool_backward" if plan.backward else "max_blur_pool"


def _kernel(plan: Plan, x: Tensor, kernels: Any) -> Callable[[Any], Tensor]:
    """The compiled op without the functions and the autograd around it."""
    op = getattr(kernels, _name(plan))
    line = compositions.blur_weight(x[:, :1].float(), TAPS)[0, 0].sum(0)
    stride, size = [STRIDE, STRIDE], x.shape[-2:]
    if plan.op == "blur" and plan.backward:
        return lambda step: op(step.y, line, line, size, stride, _ENDS, "reflect")
    if plan.op == "blur":
        return lambda x: op(x, line, line, stride, _ENDS, "reflect")
    rest = (line, line, [WINDOW, WINDOW], [0, 0], stride, _ENDS, "reflect")
    if plan.backward:
        return lambda step: op(step.x, step.y, *rest)
    return lambda x: op(x, *rest)
