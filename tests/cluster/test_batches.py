from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from cluster.data import batches
from cluster.data.batches import ray_batches
from cluster.data.window_reader import read
from cpc_core.corpus.reading.batches import Batch, batches_in_process
from cpc_core.corpus.reading.order import ReadPlan, WindowRead, read_window
from cpc_core.errors import CorpusError
from tests.helpers.damage import flip_audio_bit
from tests.helpers.recordings import noise_corpus


def same(ours: Iterable[Batch], theirs: Iterable[Batch]) -> bool:
    pairs = list(zip(ours, theirs, strict=True))
    return bool(pairs) and all(
        left.step == right.step
        and torch.equal(left.clip_ids, right.clip_ids)
        and torch.equal(left.audio, right.audio)
        and left.num_samples is not None
        and right.num_samples is not None
        and torch.equal(left.num_samples, right.num_samples)
        for left, right in pairs
    )


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Reads windows in this process, as Ray Data would, and notes the size of each execution when
    it starts.
    """
    sizes: list[int] = []

    def tables(windows: list[WindowRead]) -> Iterator[pa.Table]:
        sizes.append(len(windows))
        yield from map(read_window, windows)

    monkeypatch.setattr(batches, "_tables", tables)
    return sizes


@pytest.mark.parametrize(("start", "rank", "world"), [(0, 0, 1), (7, 0, 1), (0, 1, 2)])
def test_chained_executions_give_the_batches_of_one_process(
    tmp_path: Path,
    executions: list[int],
    monkeypatch: pytest.MonkeyPatch,
    start: int,
    rank: int,
    world: int,
) -> None:
    monkeypatch.setattr(batches, "EXECUTION_WINDOWS", 3)
    monkeypatch.setattr(batches, "AHEAD_WINDOWS", 1)
    corpus = noise_corpus(tmp_path, train=20, own_s=(0.1, 0.07))
    arguments = (corpus, 5, 4, start, 40, rank, world)
    assert same(ray_batches(*arguments), batches_in_process(*arguments))
    windows = list(ReadPlan(corpus.row_groups("train"), 5, 4).windows(start, 40, rank, world))
    assert sum(executions) == len(windows) - batches.OWN_WINDOWS
    assert max(executions) == 3


def test_next_execution_starts_while_the_last_windows_are_used(
    tmp_path: Path, executions: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "EXECUTION_WINDOWS", 4)
    monkeypatch.setattr(batches, "AHEAD_WINDOWS", 2)
    corpus = noise_corpus(tmp_path, train=20, own_s=(0.1, 0.07))
    tables = batches.read_tables(ReadPlan(corpus.row_groups("train"), 0, 20).windows(0, 12))
    list(islice(tables, batches.OWN_WINDOWS + 2))
    assert executions == [4]
    next(tables)
    tables.close()
    assert executions == [4, 4]


def test_windows_of_a_long_training_are_not_made_at_once(
    tmp_path: Path, executions: list[int]
) -> None:
    corpus = noise_corpus(tmp_path, train=20, own_s=(0.1, 0.07))
    taken = 0

    def counted() -> Iterator[WindowRead]:
        nonlocal taken
        for window in ReadPlan(corpus.row_groups("train"), 0, 20).windows(0, 10**9):
            taken += 1
            yield window

    tables = batches.read_tables(counted())
    next(tables)
    assert taken <= 2 * batches.EXECUTION_WINDOWS
    tables.close()


def test_what_was_started_is_closed_when_the_stream_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[int] = []
    # As a traceback may hold on to one: it must be closed, not only forgotten.
    held: list[Iterator[pa.Table]] = []

    def read_here(windows: list[WindowRead]) -> Iterator[pa.Table]:
        running.append(len(windows))
        try:
            yield from map(read_window, windows)
        finally:
            running.remove(len(windows))

    def tables(windows: list[WindowRead]) -> Iterator[pa.Table]:
        held.append(read_here(windows))
        return held[-1]

    monkeypatch.setattr(batches, "_tables", tables)
    monkeypatch.setattr(batches, "EXECUTION_WINDOWS", 4)
    corpus = noise_corpus(tmp_path, train=20, own_s=(0.1, 0.07))
    for taken in (0, 1, batches.OWN_WINDOWS + 1, batches.OWN_WINDOWS + 5):
        stream = ray_batches(corpus, 0, 20, 0, 20)
        assert len(list(islice(stream, taken))) == taken
        # A thread starts the execution.
        patience = time.monotonic() + 10
        while not running and time.monotonic() < patience:
            time.sleep(0.001)
        assert running
        del stream
        assert not running
        assert not [
            thread for thread in threading.enumerate() if thread.name.startswith("ray-data-start")
        ]


def test_damage_read_elsewhere_is_the_same_error_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = noise_corpus(tmp_path, train=20, own_s=(0.1, 0.07))
    monkeypatch.setattr(
        batches, "_tables", lambda windows: (read({"window": [window]}) for window in windows)
    )
    monkeypatch.setattr(batches, "OWN_WINDOWS", 0)
    flip_audio_bit(Path(corpus.folder) / "train-00000.parquet", [1])
    with pytest.raises(
        CorpusError,
        match=(
            r"row group 1 of shard .*train-00000\.parquet cannot be read \(.*\): "
            r"import the corpus again"
        ),
    ):
        next(ray_batches(corpus, 0, 20, 0, 20))
