"""A row's tensors, and who takes part: the kernel in every form, the op, torch.fft, a copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gpu_convolutions
import gpu_pools
import gpu_spectral
import torch
from gpu_plan import RADII, Plan
from gpu_ways import Scene, Way
from torch import Tensor

import freqops
from freqops import reference
from freqops.bench import compositions
from freqops.filters import low_pass

FORMS = ("plane", "even_odd", "lines")


def scene(plan: Plan, inputs: Sequence[Tensor], kernels: Any) -> Scene:
    """The contenders of a row.

    Args:
        plan: of the row.
        inputs: tensors of its shape and dtype, to be taken in turn.
        kernels: torch.ops namespace of the CUDA library, or of the host replay; None: left out.
    """
    if plan.pools:
        return gpu_pools.scene(plan, inputs, kernels)
    if plan.convolves:
        return gpu_convolutions.scene(plan, inputs, kernels)
    if plan.op == "spectral_pool":
        return gpu_spectral.scene(plan, inputs, kernels)
    make = {"filter": _filter, "bank": _bank, "low_high": _low_high, "mix": _mix}[plan.op]
    ours, others, moved, exact = make(plan, inputs[0], kernels)
    ways = [Way(name, "ours", call, inputs) for name, call in ours.items()]
    ways += [Way(name, "peer", call, inputs) for name, call in others.items()]
    ways.append(Way("copy", "floor", torch.clone, _copied(inputs, moved)))
    return Scene(ways, exact, moved * inputs[0].nbytes)


Calls = dict[str, Callable[[Tensor], Any]]
Parts = tuple[Calls, Calls, int, Callable[[list[int]], Tensor] | None]


def _copied(inputs: Sequence[Tensor], moved: int) -> Sequence[Tensor]:
    """What to copy so that as many bytes are read and written as the op needs."""
    if moved == 2:
        return inputs
    return [torch.empty(moved * x.numel() // 2, dtype=x.dtype, device=x.device) for x in inputs]


def _forms(kernels: Any, size: int) -> list[str]:
    if kernels is None:
        return []
    return [form for form in FORMS if kernels.fft_filter_form_takes(form, size, size)]


def _through_forms(
    kernels: Any, size: int, responses: Tensor, finish: Callable[[list[Tensor]], Any], **flags: bool
) -> Calls:
    """The kernel alone, its table made before: every form that takes the size."""

    def through(form: str) -> Callable[[Tensor], Any]:
        table = kernels.fft_filter_table(responses, None, form, size)
        count = responses.shape[0] if responses.dim() == 3 else 1
        return lambda x: finish(
            kernels.fft_filter_planes(x, table, form, count, 0, False, flags.get("high", False))
        )

    return {form: through(form) for form in _forms(kernels, size)}


def _filter(plan: Plan, x: Tensor, kernels: Any) -> Parts:
    """A real response without zeros, the same for all planes."""
    size = (plan.size, plan.size)
    response = low_pass(size, 0.1, kind="butterworth", device=x.device)
    folded = compositions.folded(response, plan.size)
    wide = response.double()
    ours: Calls = {"freqops": lambda x: freqops.fft_filter2d(x, response)}
    ours |= _through_forms(kernels, plan.size, response, lambda results: results[0][0])
    if plan.dtype == "float32":
        others: Calls = {
            "naive": lambda x: compositions.torch_filter(x, response),
            "tuned": lambda x: compositions.torch_filter_folded(x, folded),
        }
    else:
        others = {
            "naive": lambda x: compositions.torch_filter(x.float(), response).to(x.dtype),
            "tuned": lambda x: compositions.torch_filter_folded(x.float(), folded).to(x.dtype),
        }
    return ours, others, 2, lambda images: reference.fft_filter2d(x[images].double(), wide)


def _bank(plan: Plan, x: Tensor, kernels: Any) -> Parts:
    """Low passes at eight radii."""
    radii = torch.tensor(RADII, device=x.device) * (plan.size / 32)
    masks = low_pass((plan.size, plan.size), radii, unit="bins", device=x.device)
    folded = [compositions.folded(mask, plan.size) for mask in masks]
    ours: Calls = {"freqops": lambda x: freqops.filter_bank2d(x, masks).unbind()}
    ours |= _through_forms(kernels, plan.size, masks, lambda results: results[0].unbind())
    others: Calls = {
        "naive": lambda x: compositions.torch_bank(x, list(masks)),
        "tuned": lambda x: compositions.torch_bank_folded(x, folded),
    }
    return ours, others, 1 + len(RADII), None


def _low_high(plan: Plan, x: Tensor, kernels: Any) -> Parts:
    """One radius, H / 8."""
    radius = plan.size / 8
    mask = low_pass((plan.size, plan.size), radius, unit="bins", device=x.device)
    folded = compositions.folded(mask, plan.size)

    def tuned(x: Tensor) -> tuple[Tensor, Tensor]:
        low = compositions.torch_filter_folded(x, folded)
        return low, x - low

    ours: Calls = {"freqops": lambda x: freqops.low_high2d(x, radius, unit="bins")}
    ours |= _through_forms(
        kernels, plan.size, mask, lambda results: (results[0][0], results[1][0]), high=True
    )
    others: Calls = {
        "naive": lambda x: next(compositions.torch_low_high(x, [mask])),
        "tuned": tuned,
    }
    return ours, others, 3, None


def _mix(plan: Plan, x: Tensor, kernels: Any) -> Parts:
    """Phases of other images, all the same ones."""
    phase = torch.rand_like(x)
    ours: Calls = {"freqops": lambda x: freqops.mix_amplitude_phase2d(x, phase)}
    others: Calls = {
        "naive": lambda x: compositions.torch_mix(x, phase),
        "tuned": lambda x: compositions.torch_mix_without_angles(x, phase),
    }
    return ours, others, 3, None
