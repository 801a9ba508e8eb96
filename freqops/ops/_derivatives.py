"""Gradients and tangents of the compiled ops, registered with torch's dispatcher.

Every op states two plain functions: what flows back (``backward``) and what flows forward
(``jvp``), both made of differentiable ops, so derivatives of every order and mixed kind exist.

Why not ``torch.library.register_autograd``: what it generates has no forward mode (a tangent is
dropped **silently**) and refuses ``torch.func.grad``. Unpacking dual tensors in the public function
mends one level of ``torch.func.jvp``, but a nested one hides its tangent inside the wrapper of the
outer and would be lost again. The Autograd dispatch key is where torch's own ops do this, once for
every level; so it is done there. Under ``torch.func`` the kernel below runs at each level in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad

Inputs: TypeAlias = tuple[Any, ...]
Needs: TypeAlias = tuple[bool, ...]
# (inputs, which of them need a gradient, gradient of each output or None) -> gradient per input
Backward: TypeAlias = Callable[..., tuple[Tensor | None, ...]]
# (inputs, tangent or None of each input) -> tangent of each output
Tangent: TypeAlias = Callable[[Inputs, Inputs], "Tensor | tuple[Tensor, ...]"]
# which inputs the backward reads, given which need a gradient
Reads: TypeAlias = Callable[[Needs], Needs]

_library = torch.library.Library("freqops", "FRAGMENT")  # type: ignore[no-untyped-call]


def register_derivatives(name: str, *, backward: Backward, jvp: Tangent, reads: Reads) -> None:
    """Makes torch.ops.freqops.<name> differentiable in both modes.

    Args:
        name: of the op, all of whose arguments are positional.
        backward: takes the op's inputs (for tensors that ``reads`` leaves out their shapes), a
            tuple that says which need a gradient, and the gradients of the outputs.
        jvp: takes the op's inputs and their tangents, None where there is none.
        reads: what ``backward`` reads, so that nothing else is kept alive.
    """
    op = getattr(torch.ops.freqops, name).default

    def below(keyset: torch._C.DispatchKeySet, inputs: Inputs) -> Any:
        inputs = tuple(map(_materialised, inputs))
        with torch._C._AutoDispatchBelowAutograd():
            return op.redispatch(keyset & torch._C._after_autograd_keyset, *inputs)

    class Differentiated(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, keyset: torch._C.DispatchKeySet, *inputs: Any) -> Any:
            if torch._C._are_functorch_transforms_active():
                # Function.apply turns gradients off, but the op still has the outer levels to pass
                # on its way down, and they record.
                with torch.enable_grad(), forward_ad._set_fwd_grad_enabled(True):
                    outputs = below(keyset, inputs)
            else:
                outputs = below(keyset, inputs)
            _keep(ctx, inputs, reads)
            return outputs

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor | None) -> Any:
            inputs = _kept(ctx, ctx.saved_tensors)
            return None, *backward(inputs, ctx.needs_input_grad[1:], *gradients)

        @staticmethod
        def jvp(ctx: Any, _: None, *tangents: Any) -> Any:
            # This level's tangents are in `tangents`; those of outer levels are still in both.
            with torch.enable_grad(), forward_ad._set_fwd_grad_enabled(True):
                return jvp(tuple(map(_primal, _kept(ctx, ctx.saved_tensors))), tangents)

    # Function's own apply would start torch.func's levels over; a dispatched call is one of them.
    apply = super(torch.autograd.Function, Differentiated).apply

    def kernel(keyset: torch._C.DispatchKeySet, *inputs: Any) -> Any:
        if not _on_record(inputs):
            return below(keyset, inputs)
        if torch._C._are_functorch_transforms_active():
            with enable_single_level_autograd_function():
                return apply(keyset, *inputs)  # type: ignore[no-untyped-call]
        return apply(keyset, *inputs)  # type: ignore[no-untyped-call]

    _library.impl(  # type: ignore[no-untyped-call]
        name, kernel, "Autograd", with_keyset=True
    )


def call(op: Callable[..., Any], *inputs: Any) -> Any:
    """``op(*inputs)``, past the kernel above where nothing is recorded: Python takes its time."""
    if torch.compiler.is_compiling() or recorded(inputs):
        return op(*inputs)
    with torch._C._AutoDispatchBelowAutograd():
        return op(*inputs)


def recorded(inputs: Inputs) -> bool:
    """Whether a gradient or a tangent of these inputs is, or may be, on record."""
    if torch.compiler.is_compiling():  # in words the tracer knows
        tensors = [value for value in inputs if isinstance(value, Tensor)]
        return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return _on_record(inputs)


def _materialised(value: Any) -> Any:
    """Tangents that are zero by nature have no memory; torch would lend them some, of stride 0."""
    if isinstance(value, Tensor) and value._is_zerotensor():
        return torch.zeros(value.shape, dtype=value.dtype, device=value.device)
    return value


def _on_record(inputs: Inputs) -> bool:
    if torch.is_grad_enabled() and torch._C._any_requires_grad(*inputs):
        return True
    return _tangents_possible()


def _tangents_possible() -> bool:
    # Not the level alone: a graph captured from torch.func.jvp enters levels without telling it.
    return forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active()


def _keep(ctx: Any, inputs: Inputs, reads: Reads) -> None:
    forward_mode = _tangents_possible()
    read = reads(ctx.needs_input_grad[1:])
    tensors = [
        value if isinstance(value, Tensor) and (forward_mode or used) else None
        for value, used in zip(inputs, read, strict=True)
    ]
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)
    ctx.constants = [value.shape if isinstance(value, Tensor) else value for value in inputs]
    ctx.set_materialize_grads(False)


def _kept(ctx: Any, tensors: Inputs) -> Inputs:
    pairs = zip(tensors, ctx.constants, strict=True)
    return tuple(constant if tensor is None else tensor for tensor, constant in pairs)


def _primal(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return forward_ad.unpack_dual(value, level=0).primal  # type: ignore[no-untyped-call]


def total(*terms: Tensor | None) -> Tensor:
    """The sum of the terms that are there; at least one is."""
    there = [term for term in terms if term is not None]
    result = there[0]
    for term in there[1:]:
        result = result + term
    return result
