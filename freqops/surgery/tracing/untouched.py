"""Running a model in such a way that nothing of the run is left."""

from __future__ import annotations

import random
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)
_OURS = -1  # torch counts from 0


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Inside, the model may be run and changed; afterwards it is what it was.

    What its modules hold comes back: attributes, the contents of dicts and lists among them,
    training flags, hooks, buffers and parameters as objects. The numbers in a buffer are not
    copied: that is for :func:`kept_buffers`. Random states come back too.
    """
    with ExitStack() as stack:
        stack.enter_context(_kept_random_states())
        for module in model.modules():
            stack.callback(_restorer(vars(module)))
        yield


def _restorer(attributes: dict[str, Any]) -> Callable[[], None]:
    kept = dict(attributes)
    contents = [(value, value.copy()) for value in kept.values() if _is_plain(value)]

    def restore() -> None:
        attributes.clear()
        attributes.update(kept)
        for value, content in contents:
            value.clear()
            (value.extend if isinstance(value, list) else value.update)(content)

    return restore


def _is_plain(value: Any) -> bool:
    return type(value) in (dict, list, set, OrderedDict)


@contextmanager
def kept_buffers(model: nn.Module) -> Iterator[None]:
    """Afterwards every buffer holds the numbers it held."""
    kept = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, numbers in kept:
            with torch.inference_mode(buffer.is_inference()), torch.no_grad():
                buffer.copy_(numbers)


@contextmanager
def _kept_random_states() -> Iterator[None]:
    numpy_random = getattr(sys.modules.get("numpy"), "random", None)
    state = random.getstate()
    numpy_state = numpy_random.get_state() if numpy_random is not None else None
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=list(devices)):
        try:
            yield
        finally:
            random.setstate(state)
            if numpy_random is not None:
                numpy_random.set_state(numpy_state)


def set_hooks(
    model: nn.Module, before: Callable[..., None], after: Callable[..., None], *, keep: bool
) -> None:
    """Gives every module these two hooks, to be taken back by `untouched`.

    Both are called in pairs: `after` with None where a forward raises, which the model may catch.

    Args:
        model: the model.
        before: called with the module and its arguments.
        after: called with the module, its arguments and its result.
        keep: calls the modules' own hooks too, inside these. They may keep the fake tensors.
    """
    for module in model.modules():
        attributes = vars(module)
        for name in _HOOKS:
            attributes[name] = OrderedDict(attributes[name] if keep else ())
        attributes["_forward_pre_hooks"][_OURS] = before
        # The first of all, or there would be an `after` for what another one refuses.
        attributes["_forward_pre_hooks"].move_to_end(_OURS, last=False)
        attributes["_forward_pre_hooks_with_kwargs"][_OURS] = True
        attributes["_forward_hooks"][_OURS] = after
        attributes["_forward_hooks_always_called"][_OURS] = True
        attributes["_compiled_call_impl"] = None  # Module.compile: run the module's own code


def set_training(model: nn.Module, training: bool) -> None:
    """Sets the flags alone: a `train` method of the model's own may do more (merge weights)."""
    for module in model.modules():
        vars(module)["training"] = training


def set_tensors(model: nn.Module, convert: Callable[[Tensor], Tensor]) -> None:
    """Puts other tensors in the place of parameters and buffers, to be taken back by `untouched`.

    Fake tensors alone do not keep the real ones from being written to: torch updates the counter of
    a batch norm in earnest, because it is a number that control flow may depend on.
    """
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and type(tensor) in (Tensor, nn.Parameter):
                    tensors[name] = convert(tensor)  # type: ignore[assignment]
