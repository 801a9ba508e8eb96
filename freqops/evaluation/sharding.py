"""Which batches a process evaluates, and how the processes' totals come together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import Any

import torch.distributed as dist
from torch.utils.data import DataLoader, DistributedSampler, RandomSampler, Sampler

from freqops.evaluation.errors import InputError

Batch = tuple[Any, Any]


def world() -> tuple[int, int]:
    """Returns (rank, number of processes); (0, 1) outside torch.distributed."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather(value: Any) -> list[Any]:
    """Returns every process's value, in the order of ranks, on every process."""
    _, processes = world()
    if processes == 1:
        return [value]
    values: list[Any] = [None] * processes
    dist.all_gather_object(values, value)
    return values


class _Slice(Sampler[list[int]]):
    """Batches start, start + step, ... below stop of another batch sampler."""

    def __init__(self, batches: Iterable[list[int]], start: int, stop: int | None, step: int):
        self.batches, self.start, self.stop, self.step = batches, start, stop, step

    def __iter__(self) -> Iterator[list[int]]:
        return islice(iter(self.batches), self.start, self.stop, self.step)


def numbered_batches(
    data: Iterable[Batch], start: int, stop: int | None, step: int
) -> Iterator[tuple[int, Batch]]:
    """Yields (number, batch) for batches start, start + step, ... below stop.

    Where batches are left out, a map-style DataLoader is rebuilt over the wanted ones, so that the
    others are never read from disk; any other iterable is walked through.
    """
    sampler = data.batch_sampler if type(data) is DataLoader else None
    if isinstance(data, DataLoader) and sampler is not None and (start > 0 or step > 1):
        data = DataLoader(
            data.dataset,
            batch_sampler=_Slice(sampler, start, stop, step),
            num_workers=data.num_workers,
            collate_fn=data.collate_fn,
            pin_memory=data.pin_memory,
            timeout=data.timeout,
            worker_init_fn=data.worker_init_fn,
            multiprocessing_context=data.multiprocessing_context,
            generator=data.generator,
            prefetch_factor=data.prefetch_factor,
        )
        yield from zip(count(start, step), data, strict=False)
    else:
        yield from zip(count(start, step), islice(data, start, stop, step), strict=False)


def keeps_order(data: Iterable[Batch]) -> bool:
    """Returns False for a DataLoader that draws a new order each time."""
    sampler = getattr(data, "sampler", None)
    return not (isinstance(sampler, RandomSampler) and sampler.generator is None)


def check_order(data: Iterable[Batch], *, resumable: bool) -> None:
    """Raises InputError where sharding or resuming would mix up or repeat images."""
    sampler = getattr(data, "sampler", None)
    _, processes = world()
    if isinstance(sampler, DistributedSampler):
        raise InputError(
            "sweep: data must not carry a DistributedSampler: sweep shards the batches itself, "
            "and that sampler repeats images to fill the last batch"
        )
    if not keeps_order(data) and (resumable or processes > 1):
        raise InputError(
            "sweep: data must keep one order (shuffle=False) for resume or torch.distributed"
        )


def batch_count(data: Iterable[Batch], max_batches: int | None) -> int | None:
    """Returns the number of batches to evaluate in all processes together, None when unknown."""
    try:
        length = len(data)  # type: ignore[arg-type]
    except TypeError:
        return max_batches
    return length if max_batches is None else min(length, max_batches)
