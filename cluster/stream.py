"""The training stream through Ray Data: windows read by tasks anywhere in the cluster, in the plan's order."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import pyarrow as pa
import ray.data
from ray.data import DataContext
from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.data._internal.execution.streaming_executor import StreamingExecutor

from cluster.profile import DATA_CPUS
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.plan import ReadPlan, WindowRead, read_window
from cpc_core.corpus.stream import Batch, assemble

EXECUTION_WINDOWS = 256
"""Windows of one Ray Data execution: it holds an object per window, and a long training has millions."""

AHEAD_WINDOWS = 4
"""Windows left when the next execution starts, so that its start-up seconds pass unseen."""

ROUND_S = 0.02
"""Rest between two rounds of an execution's scheduling loop: short against reading a window, long against a round."""

READERS = 2
"""Windows read at the same time for one worker."""


def ray_batches(
    corpus: Corpus, seed: int, batch_size: int, start_step: int, stop_step: int, rank: int = 0, world: int = 1
) -> Iterator[Batch]:
    """Batches of steps [start_step, stop_step) for one worker: the same as `batches_in_process`, read by Ray Data.

    Args:
        corpus: Where the training clips are; every node sees its folder.
        seed: The trial's seed, which orders them.
        batch_size: Clips of a step over all workers; this worker gets `batch_size / world`.
        start_step: First step; any step can be the first, with the same continuation.
        stop_step: End of the steps, exclusive.
        rank: This worker.
        world: Number of workers.

    Raises:
        ConfigError: The batch is larger than the training split or does not divide among the workers.
    """
    plan = ReadPlan(corpus.row_groups("train"), seed, batch_size)
    tables = read_tables(plan.windows(start_step, stop_step, rank, world))
    return assemble(tables, batch_size // world, corpus.clip_samples)


def read_tables(windows: Iterator[WindowRead]) -> Iterator[pa.Table]:
    """Tables of the windows in order, read from the moment of this call on.

    Executions follow each other without a pause: the next one starts while the last windows of the current one are used.
    """
    starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ray-data-start")
    return _chained(starter, starter.submit(_started, list(islice(windows, EXECUTION_WINDOWS))), windows)


def _chained(starter: ThreadPoolExecutor, first: Future[_Execution | None], windows: Iterator[WindowRead]) -> Iterator[pa.Table]:
    upcoming = first
    with starter:
        while (current := upcoming.result()) is not None:
            following = list(islice(windows, EXECUTION_WINDOWS))
            begun: Future[_Execution | None] | None = None
            for position, table in enumerate(current.tables):
                if begun is None and position >= current.windows - AHEAD_WINDOWS:
                    begun = starter.submit(_started, following)
                yield table
            upcoming = begun or starter.submit(_started, following)


@dataclass(frozen=True)
class _Execution:
    """A running execution and the number of windows it reads."""

    windows: int
    tables: Iterator[pa.Table]


def _started(windows: list[WindowRead]) -> _Execution | None:
    """Starts reading; returns once the first table is there. None if there is nothing to read."""
    if not windows:
        return None
    tables = iter(_tables(windows))
    return _Execution(len(windows), chain(list(islice(tables, 1)), tables))


def _tables(windows: list[WindowRead]) -> Iterable[pa.Table]:
    _configure()
    dataset = ray.data.from_items([{"window": window} for window in windows], override_num_blocks=len(windows))
    read = dataset.map_batches(_read, batch_size=1, num_cpus=DATA_CPUS, concurrency=READERS)
    return read.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)


def _read(batch: dict[str, Any]) -> pa.Table:
    return read_window(batch["window"][0])


class Paced(ExecutionCallback):
    """Lets the scheduling loop rest after each round.

    While a window waits for the consumer to make room, the loop finds it ready again at once and spins. It is a thread of
    the training process, and would take its interpreter for more than half of the time.
    """

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        """Rests."""
        time.sleep(ROUND_S)


def _configure() -> None:
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    if Paced not in context.custom_execution_callback_classes:
        context.custom_execution_callback_classes.append(Paced)
