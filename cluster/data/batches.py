"""Training batches whose windows Ray tasks read anywhere in the cluster, in training order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import chain, islice

import pyarrow as pa
import ray
from ray.exceptions import RayTaskError

from cluster.kinds.capacity import DATA_CPUS
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.reading.batches import Batch, assemble
from cpc_core.corpus.reading.order import ReadPlan, WindowRead, read_window
from cpc_core.corpus.reading.prefetch import prefetch
from cpc_core.errors import CorpusError

OWN_WINDOWS = 2
"""Windows that the worker reads itself before the first task's: a task's process needs seconds to
start, a window a fraction of one.
"""


AHEAD_WINDOWS = 3
"""Windows that tasks read, or have ready, at the same time for one worker."""


Submit = Callable[[WindowRead], Callable[[], pa.Table]]
"""Begins to read a window; what it returns waits for the window's clips."""


def ray_batches(
    corpus: Corpus,
    seed: int,
    batch_size: int,
    start_step: int,
    stop_step: int,
    rank: int = 0,
    world: int = 1,
) -> Iterator[Batch]:
    """Batches of steps [start_step, stop_step) for one worker, as of `batches_in_process`.

    Plain tasks read them: a Ray Data execution schedules in a thread of its consumer, which took
    the interpreter from training for up to half of the time, and needs seconds to start.

    Args:
        corpus: Where the training clips are; every node reaches its folder.
        seed: The trial's seed, which orders them.
        batch_size: Clips of a step over all workers; this worker gets `batch_size / world`.
        start_step: First step; any step can be the first, with the same continuation.
        stop_step: End of the steps, exclusive.
        rank: This worker.
        world: Number of workers.

    Raises:
        ConfigError: The batch is larger than the training split or does not divide among the
            workers.
        CorpusError: While iterating, a shard is missing or damaged.
    """
    plan = ReadPlan(corpus.row_groups("train"), seed, batch_size)
    tables = read_tables(plan.windows(start_step, stop_step, rank, world))
    return assemble(tables, batch_size // world, corpus.clip_samples)


def submit_to_ray(window: WindowRead) -> Callable[[], pa.Table]:
    """Starts a task that reads a window on any node."""
    # Not inside the placement group of a trial: its CPUs are the workers'.
    task = ray.remote(num_cpus=DATA_CPUS, scheduling_strategy="DEFAULT")(read_window)
    return partial(_result, task.remote(window))


def read_tables(
    windows: Iterator[WindowRead], submit: Submit = submit_to_ray
) -> Generator[pa.Table, None, None]:
    """Tables of the windows in their order; the first ones are submitted at once.

    Raises:
        CorpusError: While iterating, a shard is missing or damaged.
    """
    own = list(islice(windows, OWN_WINDOWS))
    pending = deque(map(submit, islice(windows, AHEAD_WINDOWS)))
    return prefetch(chain(map(read_window, own), _submitted(pending, windows, submit)))


def _submitted(
    pending: deque[Callable[[], pa.Table]], windows: Iterator[WindowRead], submit: Submit
) -> Iterator[pa.Table]:
    while pending:
        table = pending.popleft()()
        pending.extend(map(submit, islice(windows, 1)))
        yield table


def _result(reading: ray.ObjectRef[pa.Table]) -> pa.Table:
    try:
        return ray.get(reading)
    except RayTaskError as error:
        if isinstance(error.cause, CorpusError):
            raise error.cause from None
        raise
