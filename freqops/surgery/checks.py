"""checks: whether a model is one that surgery can be done on."""

from __future__ import annotations

from torch import nn

_WRAPPED = {
    "OptimizedModule": "is compiled: convert the model first, then compile it",
    "DistributedDataParallel": "is wrapped in DDP: convert model.module before wrapping it",
    "DataParallel": "is wrapped in DataParallel: convert model.module",
    "FullyShardedDataParallel": "is sharded by FSDP: convert the model before sharding it",
    "FSDPModule": "is sharded by fully_shard: convert the model before sharding it",
    "ScriptModule": "is compiled by torch.jit: convert the Python model, and use torch.export",
}


def check_model(op: str, model: object) -> None:
    """Checks that a model is a plain module.

    Args:
        op: name in messages.
        model: what was given.

    Raises:
        TypeError: it is no module.
        ValueError: it, or a part of it, is compiled, scripted or wrapped for several devices.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"{op}: model must be an nn.Module, got {type(model).__name__}")
    for name, module in model.named_modules():
        what = f"its {name}" if name else "it"
        for cls in type(module).__mro__:
            if cls.__name__ in _WRAPPED and cls.__module__.startswith("torch."):
                raise ValueError(
                    f"{op}: model must be a plain module, but {what} {_WRAPPED[cls.__name__]}"
                )
        if module._compiled_call_impl is not None:
            why = _WRAPPED["OptimizedModule"]
            raise ValueError(f"{op}: model must be a plain module, but {what} {why}")
