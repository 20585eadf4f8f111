from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.reading.batches import Batch, assemble, batches_in_process, crop
from cpc_core.corpus.reading.order import ReadPlan, read_window
from cpc_core.corpus.reading.prefetch import prefetch
from cpc_core.errors import ConfigError, CorpusError
from tests.helpers.damage import flip_audio_bit
from tests.helpers.recordings import noise_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("stream")
    return noise_corpus(folder, train=70, own_s=(0.1, 0.06, 0.1, 0.083))


def ids(batches: Iterator[Batch]) -> list[tuple[int, list[int]]]:
    return [(batch.step, batch.clip_ids.tolist()) for batch in batches]


def test_batches_carry_each_clip_with_its_own_audio(corpus: Corpus) -> None:
    clips = corpus.read_split("train")
    audio = dict(zip(clips.clip_ids.tolist(), clips.audio, strict=True))
    lengths = dict(zip(clips.clip_ids.tolist(), clips.num_samples.tolist(), strict=True))
    assert set(lengths.values()) == {1600, 960, 1328}
    batches = list(batches_in_process(corpus, 0, 12, 0, 11))
    assert [batch.step for batch in batches] == list(range(11))
    for batch in batches:
        assert batch.audio.shape == (12, 1600)
        assert batch.audio.dtype == torch.float32
        assert torch.equal(
            batch.audio, torch.stack([audio[clip_id] for clip_id in batch.clip_ids.tolist()])
        )
        assert batch.num_samples is not None
        assert batch.num_samples.dtype == torch.int64
        assert batch.num_samples.tolist() == [lengths[one] for one in batch.clip_ids.tolist()]
    epoch = [clip_id for batch in batches[:5] for clip_id in batch.clip_ids.tolist()]
    assert len(set(epoch)) == 60


@pytest.mark.parametrize("world", [2, 4])
def test_workers_share_the_batches_of_one_worker(corpus: Corpus, world: int) -> None:
    alone = ids(batches_in_process(corpus, 3, 16, 2, 9))
    shares = [ids(batches_in_process(corpus, 3, 16, 2, 9, rank, world)) for rank in range(world)]
    joined = [
        (step, sorted(clip_id for share in shares for clip_id in share[at][1]))
        for at, (step, _) in enumerate(alone)
    ]
    assert joined == [(step, sorted(clip_ids)) for step, clip_ids in alone]


def test_a_worker_opens_only_the_row_groups_of_its_clips(tmp_path: Path) -> None:
    corpus = noise_corpus(tmp_path, train=64, clip_s=0.06)
    (read,) = ReadPlan(corpus.row_groups("train"), 0, 64).windows(0, 1, 1, 2)
    needless = [group.index for group in read.row_groups[:2]]
    flip_audio_bit(Path(corpus.folder) / "train-00000.parquet", needless)
    assert len(read_window(read)) == 32
    with pytest.raises(CorpusError, match=f"row group {needless[0]} of shard"):
        list(batches_in_process(corpus, 0, 64, 0, 1, 0, 2))


def test_a_window_may_be_empty_for_a_worker(tmp_path: Path) -> None:
    corpus = noise_corpus(tmp_path, train=258, clip_s=0.06)
    plan = ReadPlan(corpus.row_groups("train"), 0, 86)
    # The second window has a few clips, the last ones of the last step, and none of them belongs to
    # the first worker.
    assert [
        [len(read_window(read)) for read in plan.windows(0, 3, rank, 2)] for rank in range(2)
    ] == [[129], [113, 16]]
    shares = [ids(batches_in_process(corpus, 0, 86, 0, 3, rank, 2)) for rank in range(2)]
    assert [sorted(first[1] + second[1]) for first, second in zip(*shares, strict=True)] == [
        sorted(clip_ids) for _, clip_ids in ids(batches_in_process(corpus, 0, 86, 0, 3))
    ]


@pytest.mark.parametrize("start", [1, 4, 5, 7])
def test_a_resumed_run_gets_the_next_batches(corpus: Corpus, start: int) -> None:
    assert (
        ids(batches_in_process(corpus, 1, 14, start, 12))
        == ids(batches_in_process(corpus, 1, 14, 0, 12))[start:]
    )


@pytest.mark.parametrize("rows", [1, 3, 7, 1000])
def test_windows_may_arrive_cut_anywhere(corpus: Corpus, rows: int) -> None:
    plan = ReadPlan(corpus.row_groups("train"), 2, 10)
    whole = pa.concat_tables(read_window(read) for read in plan.windows(0, 9))
    cut = [whole.slice(begin, rows) for begin in range(0, len(whole), rows)]
    expected = list(batches_in_process(corpus, 2, 10, 0, 9))
    for batch, other in zip(assemble(cut, 10, 1600), expected, strict=True):
        assert batch.step == other.step
        assert torch.equal(batch.clip_ids, other.clip_ids)
        assert torch.equal(batch.audio, other.audio)


def pieces(corpus: Corpus) -> list[pa.Table]:
    plan = ReadPlan(corpus.row_groups("train"), 0, 10)
    return [read_window(read) for read in plan.windows(0, 14)]


def test_windows_out_of_order_or_missing_are_an_error(corpus: Corpus) -> None:
    first, second = pieces(corpus)
    with pytest.raises(CorpusError, match="clips of step 0 arrived with 0 of 10 of step 14"):
        list(assemble([second, first], 10, 1600))
    with pytest.raises(CorpusError, match="clips of step 3 arrived with 5 of 10 of step 2"):
        list(assemble([first.slice(0, 25), first.slice(30)], 10, 1600))
    with pytest.raises(CorpusError, match="the stream ended with 5 of the 10 clips of step 2"):
        list(assemble([first.slice(0, 25)], 10, 1600))
    with pytest.raises(CorpusError, match="step 2 got 15 clips instead of 10"):
        list(assemble([first.slice(0, 25), first.slice(20)], 10, 1600))
    with pytest.raises(CorpusError, match="clips of step 2 arrived with 0 of 10 of step 3"):
        list(
            assemble(
                [first.slice(0, 25), *(first.slice(row, 1) for row in range(20, 40))], 10, 1600
            )
        )


def test_clips_of_another_length_are_an_error(corpus: Corpus) -> None:
    with pytest.raises(
        CorpusError, match="a clip holds 3200 bytes of audio where the manifest says 6400"
    ):
        list(assemble(pieces(corpus), 10, 3200))


def test_a_flipped_byte_is_an_error_that_locates_it(tmp_path: Path) -> None:
    """The error names shard and row group."""
    corpus = noise_corpus(tmp_path, train=40)
    flip_audio_bit(Path(corpus.folder) / "train-00000.parquet", [1])
    with pytest.raises(
        CorpusError,
        match=r"row group 1 of shard .*train-00000\.parquet cannot be read \(.*\): "
        "import the corpus again",
    ):
        list(batches_in_process(Corpus.open(corpus.folder), 0, 8, 0, 5))


def test_a_shard_that_vanished_is_an_error_that_names_it(tmp_path: Path) -> None:
    corpus = noise_corpus(tmp_path, train=8)
    (Path(corpus.folder) / "train-00000.parquet").unlink()
    with pytest.raises(
        CorpusError, match=r"row group 0 of shard .*train-00000\.parquet cannot be read"
    ):
        next(batches_in_process(corpus, 0, 8, 0, 1))


def test_prefetching_preserves_order_and_is_bounded() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    for at, item in enumerate(prefetch(source())):
        assert item == at
        assert len(made) <= at + 1 + 2


def test_an_error_while_prefetching_follows_earlier_items() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise CorpusError("damaged")

    ahead = prefetch(source())
    assert next(ahead) == 1
    with pytest.raises(CorpusError, match="damaged"):
        next(ahead)


def test_the_prefetching_thread_ends_with_its_iterator(corpus: Corpus) -> None:
    batches = batches_in_process(corpus, 0, 8, 0, 10**6)
    next(batches)
    assert any(thread.name.startswith("prefetch") for thread in threading.enumerate())
    del batches
    assert not any(thread.name.startswith("prefetch") for thread in threading.enumerate())


def test_a_crop_is_a_part_of_its_clip_at_a_place_of_its_own(corpus: Corpus) -> None:
    batch = next(batches_in_process(corpus, 0, 64, 0, 1))
    cropped = crop(batch, 400, seed=5)
    assert cropped.audio.shape == (64, 400)
    starts = [
        int((clip.unfold(0, 400, 1) == part).all(dim=1).nonzero()[0])
        for clip, part in zip(batch.audio, cropped.audio, strict=True)
    ]
    assert len(set(starts)) > 50
    assert 0 <= min(starts) < 100
    assert 1100 < max(starts) <= 1200


def test_a_crop_depends_on_seed_step_and_clip(corpus: Corpus) -> None:
    """It does not depend on the batch."""
    batch = next(batches_in_process(corpus, 0, 8, 0, 1))
    cropped = crop(batch, 400, seed=5).audio
    assert batch.num_samples is not None
    half = Batch(batch.step, batch.clip_ids[4:], batch.audio[4:], batch.num_samples[4:])
    assert torch.equal(crop(half, 400, seed=5).audio, cropped[4:])
    assert not torch.equal(crop(batch, 400, seed=6).audio, cropped)
    assert not torch.equal(crop(replace(batch, step=1), 400, seed=5).audio, cropped)


def test_a_crop_is_at_most_the_whole_clip(corpus: Corpus) -> None:
    batch = next(batches_in_process(corpus, 0, 8, 0, 1))
    assert torch.equal(crop(batch, 1600, seed=0).audio, batch.audio)
    with pytest.raises(
        ConfigError, match=r"data\.crop_s asks for 1601 samples, but the corpus has clips of 1600"
    ):
        crop(batch, 1601, seed=0)
