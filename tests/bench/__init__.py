"""Benchmarks: `python -m tests.bench [NAME ...]` prints one JSON object a line.

    {"name": ..., "unit": ..., "ours": ..., "peer": ..., "peer_name": ..., "ratio": ...}

`ratio` is peer / ours, so above 1 ours is better. Where there is no other implementation to race, the peer is
the limit that the figure must stay under (`peer_name` "limit") or the same work under other conditions.
Absolute numbers belong to the machine they were measured on; ratios carry over, because both sides are
timed in the same run, in turns.

To add a benchmark, add a file `bench_<name>.py` with a function `records()` that yields `Record`s.
Nothing here is a test: a slow machine must not turn a build red.
"""
