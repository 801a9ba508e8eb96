"""Times on a GPU: events instead of a clock, inputs that no cache holds, graphs for short calls."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from gpu_ways import Way
from interleave import Contender, Timing, consume
from torch import Tensor

# In a graph: below this many bytes a call may be over before the next is launched.
SHORT_BYTES = 100_000_000
_LEAST_INPUTS, _MOST_INPUTS = 2, 64
_CACHES = 2  # so many times what the cache holds are touched before an input comes up again


def event_clock(contender: Contender, untimed: int, calls: int) -> list[float]:
    """A Clock (interleave.py): the calls are queued behind each other, events between them."""
    for _ in range(untimed):
        consume(contender.run())
    events = [torch.cuda.Event(enable_timing=True) for _ in range(calls + 1)]
    events[0].record()
    for event in events[1:]:
        consume(contender.run())
        event.record()
    events[-1].synchronize()
    return [start.elapsed_time(end) / 1e3 for start, end in itertools.pairwise(events)]


def inputs_beyond_cache(x: Tensor, cache_bytes: int) -> list[Tensor]:
    """Random tensors like x, enough of them that none is still in a cache when it is its turn."""
    count = math.ceil(_CACHES * cache_bytes / x.nbytes)
    count = max(_LEAST_INPUTS, min(_MOST_INPUTS, count))
    return [x, *(torch.rand_like(x) for _ in range(count - 1))]


class Rotation:
    """Runs a way on its inputs in turn. As many results stay alive, so they go to other memory."""

    def __init__(self, way: Way) -> None:
        self._call = way.call
        self._inputs = itertools.cycle(way.inputs)
        self.results: deque[Any] = deque(maxlen=len(way.inputs))

    def __call__(self) -> None:
        """One call."""
        self.results.append(self._call(next(self._inputs)))


def rotating(way: Way) -> Contender:
    """The way as a contender whose calls are launched one by one."""
    return Contender(way.name, Rotation(way), way.role)


def captured(way: Way) -> Contender:
    """The way as a contender that replays a graph of one call for each of its inputs."""
    rotation = Rotation(way)
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # plans and handles are made outside the graph
        rotation()
    torch.cuda.current_stream().wait_stream(aside)
    rotation.results.clear()  # of memory that is not the graph's
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in way.inputs:
            rotation()

    def replay() -> Rotation:
        graph.replay()
        return rotation  # and with it the results, whose memory the graph writes to

    return Contender(way.name, replay, way.role)


def per_call(timing: Timing, ways: Sequence[Way], name: str) -> Timing:
    """A captured contender's timing for one of the calls in its graph."""
    (calls,) = (len(way.inputs) for way in ways if way.name == name)
    return replace(
        timing,
        minimum=timing.minimum / calls,
        median=timing.median / calls,
        spread=timing.spread / calls,
    )
