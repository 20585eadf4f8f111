"""Batches of the training steps, assembled from windows that this process or Ray tasks read."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.pcm import fill_floats, pcm_matrix
from cpc_core.corpus.reading.order import ReadPlan, read_window
from cpc_core.corpus.reading.prefetch import prefetch
from cpc_core.errors import ConfigError, CorpusError
from cpc_core.stateless_random import Key, Purpose, uniform_integers

_ORDER = "read every window of this worker once and keep their order"


@dataclass(frozen=True, eq=False)
class Batch:
    """Clips of one training step for one worker.

    Attributes:
        step: Optimizer step, counted from 0.
        clip_ids: `[B]` int64.
        audio: `[B, L]` float32 in [−1, 1), 16 kHz.
        num_samples: Own samples of each clip, behind which it is padded, `[B]` int64 on the CPU;
            None where all clips are full.
    """

    step: int
    clip_ids: Tensor
    audio: Tensor
    num_samples: Tensor | None = None


def batches_in_process(
    corpus: Corpus,
    seed: int,
    batch_size: int,
    start_step: int,
    stop_step: int,
    rank: int = 0,
    world: int = 1,
) -> Generator[Batch, None, None]:
    """Batches of steps [start_step, stop_step) for one worker, with windows prefetched in a thread.

    Args:
        corpus: The training clips.
        seed: The trial's seed, which determines their order.
        batch_size: Clips of a step over all workers; this worker gets `batch_size / world`.
        start_step: First step; any step can be the first, with the same continuation.
        stop_step: End of the steps, exclusive.
        rank: Index of this worker.
        world: Number of workers.

    Raises:
        ConfigError: The batch is larger than the training split or does not divide among the
            workers.
        CorpusError: While iterating, a shard is missing or damaged.
    """
    plan = ReadPlan(corpus.row_groups("train"), seed, batch_size)
    tables = (read_window(read) for read in plan.windows(start_step, stop_step, rank, world))
    return assemble(prefetch(tables), batch_size // world, corpus.clip_samples)


def assemble(
    tables: Iterable[pa.Table], batch_size: int, clip_samples: int
) -> Generator[Batch, None, None]:
    """Divides a stream of clips in training order into its steps.

    Args:
        tables: Results of `read_window` in step order, divided or joined anywhere: a step may span
            several tables.
        batch_size: Clips of a step of this worker.
        clip_samples: Samples of every clip.

    Raises:
        CorpusError: A step does not get exactly its clips, or does not follow the one before.
    """
    pending: list[_Piece] = []
    clips = 0
    expected: int | None = None
    for step, piece in _pieces(tables, clip_samples):
        if expected is not None and step != expected:
            raise CorpusError(
                f"clips of step {step} arrived with {clips} of {batch_size} of step {expected}: "
                f"{_ORDER}"
            )
        pending.append(piece)
        clips, expected = clips + len(piece.clip_ids), step
        if clips > batch_size:
            raise CorpusError(f"step {step} got {clips} clips instead of {batch_size}: {_ORDER}")
        if clips == batch_size:
            yield _batch(step, pending)
            pending, clips, expected = [], 0, step + 1
    if clips:
        raise CorpusError(
            f"the stream ended with {clips} of the {batch_size} clips of step {expected}: {_ORDER}"
        )


def crop(batch: Batch, crop_samples: int, seed: int) -> Batch:
    """The batch with each clip cut to `crop_samples` at a start drawn per (seed, step, clip).

    The crop is within the clip's own samples; a clip that has fewer is whole, and padded.

    Raises:
        ConfigError: The clips are shorter than the crop.
    """
    clips, samples = batch.audio.shape
    if crop_samples > samples:
        raise ConfigError(
            f"data.crop_s asks for {crop_samples} samples, but the corpus has clips of {samples}: "
            "lower data.crop_s or set it to null"
        )
    own, device = batch.num_samples, batch.audio.device
    starts: int | Tensor = samples - crop_samples + 1
    if own is not None:
        starts = (own - crop_samples).clamp_min(0).to(device) + 1
    start = uniform_integers(Key(seed, batch.step, Purpose.CROP), batch.clip_ids, (), starts)
    rows = torch.arange(clips, device=device)
    return replace(
        batch,
        audio=batch.audio.unfold(1, crop_samples, 1)[rows, start],
        num_samples=None if own is None else own.clamp_max(crop_samples),
    )


class _Piece(NamedTuple):
    """Clips of one step: ids `[n]`, own samples `[n]` and samples `[n, L]`."""

    clip_ids: NDArray[np.int64]
    num_samples: NDArray[np.int32]
    pcm: NDArray[np.int16]


def _pieces(tables: Iterable[pa.Table], clip_samples: int) -> Iterator[tuple[int, _Piece]]:
    """Runs of adjacent rows of one step, with that step."""
    for table in tables:
        for rows in table.to_batches():
            steps = rows.column("step").to_numpy()
            ids, lengths = (rows.column(name).to_numpy() for name in ("clip_id", "num_samples"))
            pcm = pcm_matrix(rows.column("audio"), clip_samples)
            cuts = [0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(steps)]
            for begin, end in pairwise(cuts):
                if end > begin:
                    run = slice(begin, end)
                    yield int(steps[begin]), _Piece(ids[run], lengths[run], pcm[run])


def _batch(step: int, pieces: list[_Piece]) -> Batch:
    clip_ids = np.concatenate([piece.clip_ids for piece in pieces])
    num_samples = np.concatenate([piece.num_samples for piece in pieces], dtype=np.int64)
    audio = torch.empty(len(clip_ids), pieces[0].pcm.shape[1])
    begin = 0
    for piece in pieces:
        fill_floats(audio[begin : begin + len(piece.pcm)].numpy(), piece.pcm)
        begin += len(piece.pcm)
    return Batch(step, torch.from_numpy(clip_ids), audio, torch.from_numpy(num_samples))
