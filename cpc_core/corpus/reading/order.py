"""Order of training: a function of the corpus, the seed and the batch size alone.

    an epoch:  all row groups, permuted by (seed, epoch)        g7 g2 g9 │ g0 g4 g1 │ …
    a window:  WINDOW_ROW_GROUPS of them in a row,              └ window ┘
               their rows permuted by (seed, epoch, window)     r5 r31 r2 r17 …
    a step:    the next batch_size rows of the epoch            [ s ][ s+1 ]…
    a worker:  its equal share of every step, by row group      [0 1 1 0]…

A worker takes the first share, or the second, …, of each step in the order of the epoch's row
groups, so that it reads few row groups beyond its share. The rows left over when an epoch no longer
fills a batch are not read in that epoch; they differ between epochs. A step belongs to epoch
`step // steps_per_epoch`, so reading can start at any step. Permutations sort the raw output of a
bit generator, which NumPy guarantees over its versions, unlike `Generator.permutation`. This module
does not import torch, so that processes that only read start fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cpc_core.corpus.row_groups import WINDOW_ROW_GROUPS, RowGroup, read_row_group
from cpc_core.errors import ConfigError


@dataclass(frozen=True)
class WindowRead:
    """Unit of reading: one worker's rows of a window. Small and picklable at any window size.

    Attributes:
        row_groups: The window's row groups, in the epoch's order.
        shuffle: (seed, epoch, window), which permutes their rows.
        first_position: Position of the window's first row in the epoch.
        epoch_step: First step of the epoch.
        start_step: First step to read.
        stop_step: End of the steps to read, exclusive; never beyond the epoch.
        batch_size: Clips of a step over all workers.
        rank: Index of the worker.
        world: Number of workers.
    """

    row_groups: tuple[RowGroup, ...]
    shuffle: tuple[int, int, int]
    first_position: int
    epoch_step: int
    start_step: int
    stop_step: int
    batch_size: int
    rank: int
    world: int

    def rows_and_steps(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """This worker's rows of the concatenated row groups, in order, and their steps: `[n]`."""
        rows = _permutation(sum(group.rows for group in self.row_groups), self.shuffle)
        position = self.first_position + np.arange(len(rows))
        step = self.epoch_step + position // self.batch_size
        owner = np.empty_like(position)
        owner[np.lexsort((rows, step))] = position % self.batch_size * self.world // self.batch_size
        mine = (owner == self.rank) & (step >= self.start_step) & (step < self.stop_step)
        return rows[mine], step[mine]


@dataclass(frozen=True)
class ReadPlan:
    """Order of training for one corpus, seed and batch size.

    Attributes:
        row_groups: All row groups of the split, in the manifest's order.
        seed: The trial's seed.
        batch_size: Clips of a step over all workers.

    Raises:
        ConfigError: The batch is larger than the split.
    """

    row_groups: tuple[RowGroup, ...]
    seed: int
    batch_size: int

    def __post_init__(self) -> None:
        if self.batch_size > self.rows:
            raise ConfigError(
                f"data.batch_size {self.batch_size} is larger than the {self.rows} training clips "
                f"of the corpus: lower data.batch_size to at most {self.rows} or import more audio"
            )

    @property
    def rows(self) -> int:
        """Clips of the split."""
        return sum(group.rows for group in self.row_groups)

    @property
    def steps_per_epoch(self) -> int:
        """Full batches of an epoch."""
        return self.rows // self.batch_size

    def windows(
        self, start_step: int, stop_step: int, rank: int = 0, world: int = 1
    ) -> Iterator[WindowRead]:
        """Windows of worker `rank` of `world` for steps [start_step, stop_step), in step order.

        Raises:
            ConfigError: The batch does not divide among the workers; raised by this call, before
                the first window.
            ValueError: `rank` is not one of `world`.
        """
        if self.batch_size % world:
            raise ConfigError(
                f"data.batch_size {self.batch_size} does not divide among {world} workers: "
                f"make it a multiple of {world}"
            )
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} is not one of {world} workers")
        return self._windows(start_step, stop_step, rank, world)

    def _windows(
        self, start_step: int, stop_step: int, rank: int, world: int
    ) -> Iterator[WindowRead]:
        for epoch in count(start_step // self.steps_per_epoch):
            epoch_step = epoch * self.steps_per_epoch
            first = max(start_step, epoch_step)
            last = min(stop_step, epoch_step + self.steps_per_epoch)
            if first >= last:
                return
            order = _permutation(len(self.row_groups), (self.seed, epoch))
            position = 0
            for window, begin in enumerate(range(0, len(order), WINDOW_ROW_GROUPS)):
                groups = tuple(
                    self.row_groups[group] for group in order[begin : begin + WINDOW_ROW_GROUPS]
                )
                end = position + sum(group.rows for group in groups)
                if (
                    position < (last - epoch_step) * self.batch_size
                    and end > (first - epoch_step) * self.batch_size
                ):
                    read = WindowRead(
                        row_groups=groups,
                        shuffle=(self.seed, epoch, window),
                        first_position=position,
                        epoch_step=epoch_step,
                        start_step=first,
                        stop_step=last,
                        batch_size=self.batch_size,
                        rank=rank,
                        world=world,
                    )
                    if len(read.rows_and_steps()[0]):
                        yield read
                position = end


def read_window(read: WindowRead) -> pa.Table:
    """Reads the clips of one window for one worker, in training order.

    Returns:
        Columns `step` int64, `clip_id` int64, `num_samples` int32 and `audio` binary.

    Raises:
        CorpusError: A shard is missing or a page of it does not match its checksum; names the shard
            and the row group.
    """
    rows, steps = read.rows_and_steps()
    sizes = [group.rows for group in read.row_groups]
    ends = np.cumsum(sizes)
    groups = np.searchsorted(ends, rows, side="right").tolist()
    tables = {
        group: read_row_group(read.row_groups[group], ["clip_id", "num_samples", "audio"])
        for group in sorted(set(groups))
    }
    begins = (ends - sizes).tolist()
    clips = [
        tables[group].slice(row - begins[group], 1)
        for group, row in zip(groups, rows.tolist(), strict=True)
    ]
    # Joined by one copy; `take` would need two.
    return pa.concat_tables(clips).combine_chunks().add_column(0, "step", pa.array(steps))


def _permutation(size: int, key: tuple[int, ...]) -> NDArray[np.int64]:
    words = np.random.PCG64(np.random.SeedSequence(key)).random_raw(size)
    return np.argsort(words, kind="stable")
