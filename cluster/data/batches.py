"""Training batches through Ray Data: windows read by tasks anywhere in the cluster, in order."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice

import pyarrow as pa
import ray.data

from cluster.data.context import configure_ray_data
from cluster.data.window_reader import raise_if_damaged, read
from cluster.kinds.capacity import DATA_CPUS
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.reading.batches import Batch, assemble
from cpc_core.corpus.reading.order import ReadPlan, WindowRead, read_window
from cpc_core.corpus.reading.prefetch import prefetch

OWN_WINDOWS = 2
"""Windows that the worker reads itself, before those of the first execution.

Ray Data needs seconds to start, a window a fraction of one.
"""


EXECUTION_WINDOWS = 256
"""Windows of one Ray Data execution: it holds an object per window, and a long training has
millions.
"""


AHEAD_WINDOWS = 4
"""Windows left when the next execution starts, whose start-up then costs no waiting."""


READERS = 2
"""Windows read at the same time for one worker."""


def ray_batches(
    corpus: Corpus,
    seed: int,
    batch_size: int,
    start_step: int,
    stop_step: int,
    rank: int = 0,
    world: int = 1,
) -> Generator[Batch, None, None]:
    """Batches of steps [start_step, stop_step) for one worker, as of `batches_in_process`.

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


def read_tables(windows: Iterator[WindowRead]) -> Generator[pa.Table, None, None]:
    """Tables of the windows in order; reading starts with this call.

    The first ones are read here while Ray Data starts. The next execution starts while the last
    windows of the current one are used.

    Raises:
        CorpusError: While iterating, a shard is missing or damaged.
    """
    own = list(islice(windows, OWN_WINDOWS))
    starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ray-data-start")
    tables = _chained(
        own, windows, starter, starter.submit(_started, list(islice(windows, EXECUTION_WINDOWS)))
    )
    # Into its `try`: a generator that was never entered runs no `finally`, and would leave the
    # execution behind.
    next(tables)
    return tables


def _chained(
    own: list[WindowRead],
    windows: Iterator[WindowRead],
    starter: ThreadPoolExecutor,
    first: Future[_Execution | None],
) -> Generator[pa.Table, None, None]:
    """Tables after an empty one; closes the executions whenever it ends."""
    upcoming = first
    with starter:
        try:
            yield pa.table({})
            yield from prefetch(map(read_window, own))
            while (current := upcoming.result()) is not None:
                following = list(islice(windows, EXECUTION_WINDOWS))
                with closing(current.rest):
                    for position, table in enumerate(chain([current.first], current.rest)):
                        if position == max(0, current.windows - AHEAD_WINDOWS):
                            upcoming = starter.submit(_started, following)
                        yield raise_if_damaged(table)
        finally:
            if (unused := upcoming.result()) is not None:
                unused.rest.close()


@dataclass(frozen=True)
class _Execution:
    """A running execution: its number of windows, its first table, and those that follow."""

    windows: int
    first: pa.Table
    rest: Generator[pa.Table, None, None]


def _started(windows: list[WindowRead]) -> _Execution | None:
    """Starts an execution, and waits for its first table; None if there is nothing to read."""
    if not windows:
        return None
    tables = _tables(windows)
    return _Execution(len(windows), next(tables), tables)


def _tables(windows: list[WindowRead]) -> Generator[pa.Table, None, None]:
    """Tables of one execution, in order.

    Its scheduling loop runs in an actor (`streaming_split`). In a thread of this process, which
    trains, it would spin while a window waits to be used, and double the time of a step.
    """
    context = configure_ray_data()
    context.execution_options.preserve_order = True
    dataset = ray.data.from_items(
        [{"window": window} for window in windows], override_num_blocks=len(windows)
    )
    tables = dataset.map_batches(read, batch_size=1, num_cpus=DATA_CPUS, concurrency=READERS)
    (split,) = tables.streaming_split(1)
    yield from split.iter_batches(
        batch_size=None,  # type: ignore[arg-type]  # one block, a window; declared for datasets only
        batch_format="pyarrow",
        prefetch_batches=1,
    )
