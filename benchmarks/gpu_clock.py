"""Times on a GPU for short calls: graphs, whose launch is one for several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from gpu_ways import Way

from freqops.bench.timing import Contender, Rotation, Timing

# In a graph: below this many bytes a call may be over before the next is launched.
SHORT_BYTES = 100_000_000


def rotating(way: Way) -> Contender:
    """The way as a contender whose calls are launched one by one."""
    return Contender(way.name, Rotation(way.call, way.inputs), way.role)


def captured(way: Way) -> Contender:
    """The way as a contender that replays a graph of one call for each of its inputs."""
    rotation = Rotation(way.call, way.inputs)
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
        quartiles=timing.quartiles and tuple(one / calls for one in timing.quartiles),
    )
