"""Times of every operator beside the best peers and the memory floor: what `freqops bench` runs.

A row is a shape of an operator; who takes part in it stands in :mod:`freqops.bench.cases`, a file
per operator. Every contender is first found to compute the same, then all are timed turn by turn
(:mod:`freqops.bench.measurement`, :mod:`freqops.bench.timing`). benchmarks/README.md states the
method and the form of the results. Nothing is imported here: on a GPU machine,
which has torch and little else, the timing is used alone.
"""
