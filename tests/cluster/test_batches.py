from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from cluster.data import batches
from cluster.data.batches import AHEAD_WINDOWS, OWN_WINDOWS, ray_batches, read_tables
from cpc_core.corpus.reading.batches import Batch, batches_in_process
from cpc_core.corpus.reading.order import ReadPlan, WindowRead, read_window
from tests.helpers.recordings import noise_corpus


def same(ours: Iterable[Batch], theirs: Iterable[Batch]) -> bool:
    pairs = list(zip(ours, theirs, strict=True))
    return bool(pairs) and all(
        left.step == right.step
        and torch.equal(left.clip_ids, right.clip_ids)
        and torch.equal(left.audio, right.audio)
        for left, right in pairs
    )


class Tasks:
    """Reads windows in this process, when their tables are needed, and counts them."""

    def __init__(self) -> None:
        self.submitted = self.fetched = 0

    def submit(self, window: WindowRead) -> Callable[[], pa.Table]:
        self.submitted += 1
        return partial(self._fetch, window)

    def _fetch(self, window: WindowRead) -> pa.Table:
        self.fetched += 1
        return read_window(window)


def windows(folder: Path, stop: int) -> Iterator[WindowRead]:
    return ReadPlan(noise_corpus(folder, train=20).row_groups("train"), 0, 20).windows(0, stop)


@pytest.mark.parametrize(("start", "rank", "world"), [(0, 0, 1), (7, 0, 1), (0, 1, 2)])
def test_windows_of_tasks_give_the_batches_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int, rank: int, world: int
) -> None:
    tasks = Tasks()
    monkeypatch.setattr(batches, "read_tables", partial(read_tables, submit=tasks.submit))
    corpus = noise_corpus(tmp_path, train=20)
    arguments = (corpus, 5, 4, start, 40, rank, world)
    assert same(ray_batches(*arguments), batches_in_process(*arguments))
    read = list(ReadPlan(corpus.row_groups("train"), 5, 4).windows(start, 40, rank, world))
    assert tasks.submitted == tasks.fetched == len(read) - OWN_WINDOWS > AHEAD_WINDOWS


def test_first_tasks_start_before_the_first_table_is_requested(tmp_path: Path) -> None:
    tasks = Tasks()
    tables = read_tables(windows(tmp_path, 12), tasks.submit)
    assert (tasks.submitted, tasks.fetched) == (AHEAD_WINDOWS, 0)
    tables.close()


def test_a_slow_consumer_has_few_windows_in_memory(tmp_path: Path) -> None:
    tasks = Tasks()
    tables = read_tables(windows(tmp_path, 10**9), tasks.submit)
    for _ in range(OWN_WINDOWS + 4):
        next(tables)
    # One is ready in the reading thread, one more may be on its way there.
    assert tasks.fetched <= 4 + 2
    assert tasks.submitted <= tasks.fetched + AHEAD_WINDOWS
    tables.close()
