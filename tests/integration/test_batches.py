from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.reading.batches import batches_in_process
from cpc_core.corpus.reading.order import ReadPlan, WindowRead
from tests.helpers.damage import flip_audio_bit
from tests.helpers.processes import Marked
from tests.helpers.ray_nodes import RunningRay
from tests.helpers.recordings import noise_corpus
from tests.helpers.stream_batches import BATCH_SIZE, SEED, line

CLIPS, STEPS, KILLED_AFTER = 640, 128, 75
"""32 steps an epoch, from three windows; four epochs."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return noise_corpus(tmp_path_factory.mktemp("stream"), train=CLIPS, clip_s=0.06)


def streaming(ray: RunningRay, marked: Marked, jobs: list[list[object]]) -> subprocess.Popen[str]:
    module = "tests.helpers.stream_batches"
    return subprocess.Popen(
        [sys.executable, "-m", module, ray.address, json.dumps(jobs)],
        env=ray.environment(marked),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def streamed(
    ray: RunningRay, marked: Marked, jobs: list[list[object]]
) -> tuple[list[list[Any]], list[str | None]]:
    """The steps of each job, and how each ended."""
    out, errors = streaming(ray, marked, jobs).communicate(timeout=300)
    steps: list[list[Any]] = [[]]
    endings: list[str | None] = []
    for value in map(json.loads, out.splitlines()):
        if isinstance(value, list):
            steps[-1].append(value)
        else:
            steps.append([])
            endings.append(value)
    assert len(endings) == len(jobs), errors
    return steps[:-1], endings


def expected(corpus: Corpus, start: int, rank: int = 0, world: int = 1) -> list[list[object]]:
    return [
        line(batch)
        for batch in batches_in_process(corpus, SEED, BATCH_SIZE, start, STEPS, rank, world)
    ]


def clips(ids: list[int], own_samples: list[int]) -> list[tuple[int, int]]:
    """The clips of a step and their own samples, in an order that all streams share."""
    return sorted(zip(ids, own_samples, strict=True))


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The same clips with a flipped bit in a row group of the first epoch's last window."""
    copy = noise_corpus(tmp_path_factory.mktemp("damaged"), train=CLIPS, clip_s=0.06)
    group = last_window(copy).row_groups[0]
    flip_audio_bit(Path(group.shard), [group.index])
    return copy


def last_window(corpus: Corpus) -> WindowRead:
    *_, last = ReadPlan(corpus.row_groups("train"), SEED, BATCH_SIZE).windows(
        0, CLIPS // BATCH_SIZE
    )
    return last


@pytest.fixture(scope="module")
def before(corpus: Corpus, cache: Path, idle_ray: RunningRay) -> list[list[Any]]:
    """The first steps of a stream whose process was then killed."""
    marked = Marked(cache)
    killed = streaming(idle_ray, marked, [[str(corpus.folder), 0, 10**9, 0, 1]])
    assert killed.stdout is not None
    steps = [json.loads(text) for text in islice(killed.stdout, KILLED_AFTER)]
    killed.kill()
    killed.communicate()
    marked.end()
    return steps


@pytest.fixture(scope="module")
def after(
    corpus: Corpus, damaged: Corpus, cache: Path, idle_ray: RunningRay
) -> tuple[list[list[Any]], list[str | None]]:
    """The rest for one worker and for each of two, and the damaged corpus from the beginning; and
    how each of these ended.
    """
    marked = Marked(cache)
    rest = [
        [str(corpus.folder), KILLED_AFTER, STEPS, rank, world]
        for rank, world in ((0, 1), (0, 2), (1, 2))
    ]
    try:
        return streamed(idle_ray, marked, [*rest, [str(damaged.folder), 0, STEPS, 0, 1]])
    finally:
        marked.end()


def test_a_killed_stream_goes_on_with_the_very_next_clips(
    corpus: Corpus, before: list[list[Any]], after: tuple[list[list[Any]], list[str | None]]
) -> None:
    (rest, *_), endings = after
    assert endings[:3] == [None] * 3
    assert before + rest == expected(corpus, 0)
    for epoch in range(STEPS * BATCH_SIZE // CLIPS):
        steps = (before + rest)[32 * epoch : 32 * (epoch + 1)]
        ids = [clip_id for _, clip_ids, *_ in steps for clip_id in clip_ids]
        assert len(set(ids)) == len(ids) == CLIPS


def test_two_workers_see_the_clips_of_one_in_every_step(
    corpus: Corpus, after: tuple[list[list[Any]], list[str | None]]
) -> None:
    (alone, first, second, _), _ = after
    assert [first, second] == [expected(corpus, KILLED_AFTER, rank, 2) for rank in range(2)]
    joined = [
        (left[0], clips([*left[1], *right[1]], [*left[3], *right[3]]))
        for left, right in zip(first, second, strict=True)
    ]
    assert joined == [(step, clips(clip_ids, own)) for step, clip_ids, _, own in alone]


def test_a_flipped_byte_ends_the_stream_and_is_located(
    corpus: Corpus, damaged: Corpus, after: tuple[list[list[Any]], list[str | None]]
) -> None:
    """The error names shard and row group."""
    (*_, steps), (*_, ending) = after
    last = last_window(damaged)
    assert ending is not None
    group = last.row_groups[0]
    assert ending.startswith(
        f"CorpusError: row group {group.index} of shard {group.shard} cannot be read ("
    )
    assert steps == expected(corpus, 0)[: last.first_position // BATCH_SIZE]
