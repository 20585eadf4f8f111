"""Embedding of one part: its clips read, embedded and written as its file by any process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cpc_core.audio.messages import NativeMessages, native_messages
from cpc_core.embed.clips import Clip, seconds
from cpc_core.embed.options import EmbedOptions
from cpc_core.embed.parts import Part
from cpc_core.embed.pooling import RunningPool
from cpc_core.embed.table import FeatureWriter, features_schema
from cpc_core.embed.workspace import PART, Note, PartResult, Workspace
from cpc_core.export.encoder import BATCH_SAMPLES, Encoder
from cpc_core.geometry import SAMPLE_RATE_HZ

Audio = NDArray[np.float32]


def embed_part(
    work: Workspace,
    part: Part,
    encoder: Encoder,
    on_seconds: Callable[[float], None] = lambda seconds: None,
) -> None:
    """Writes the file of one part, unless it is there already.

    A batch of clips, a piece of a long recording and a row group are in memory, whatever the size
    of the part.

    Args:
        work: The embedding's workspace.
        part: The part.
        encoder: The encoder.
        on_seconds: Called with the seconds of audio that were embedded since the last call; in all
            they are those of the part.

    Raises:
        CorpusError: A shard of a corpus is damaged.
        StorageError: The file cannot be written.
    """
    with work.storage_errors():
        if work.result(part) is not None:
            on_seconds(part.seconds)
            return
        schema = features_schema(work.options.dims(encoder))
        with FeatureWriter(work.part_file(part), schema) as writer, native_messages() as messages:
            embedding = _PartEmbedding(work.options, encoder, writer, messages, on_seconds)
            for clip in part.clips():
                embedding.add(clip)
            embedding.flush()
            on_seconds(part.seconds - embedding.told_s)
            writer.keep(PART, embedding.result(work.key(part)).model_dump())


@dataclass
class _PartEmbedding:
    """Embedding of one part so far."""

    options: EmbedOptions
    encoder: Encoder
    writer: FeatureWriter
    messages: NativeMessages
    on_seconds: Callable[[float], None]
    waiting: list[tuple[Clip, float, Audio]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    embedded: int = 0
    rejected: int = 0
    told_s: float = 0.0

    def add(self, clip: Clip) -> None:
        """Embeds a clip, now or with the next ones, or notes why it cannot be."""
        self.messages.take()
        if self.options.window_s is None:
            self._whole(clip)
        else:
            self._windows(clip, round(self.options.window_s * SAMPLE_RATE_HZ))
        notes = [*clip.notes, *self.messages.take()]
        if not clip.samples:
            self.rejected += 1
            self._note(clip, "rejected", "; ".join((clip.reason, *notes)))
            return
        self.embedded += 1
        if clip.error is not None:
            end_s = clip.start_s + seconds(clip.samples)
            notes.append(f"used only up to {end_s:g} s: {clip.reason}")
        if notes:
            self._note(clip, "noted", "; ".join(notes))

    def flush(self) -> None:
        """Embeds what waits, as one batch."""
        if not self.waiting:
            return
        out = self.encoder([audio for *_, audio in self.waiting], layer=self.options.layer)
        pooled = out.mean_std() if self.options.pooling == "mean_std" else out.mean()
        for place, (clip, start_s, audio) in enumerate(self.waiting):
            if self.options.pooling is None:
                self._write_frames(clip, out.frames[place], out.times[place])
            else:
                self._write_pooled(clip, start_s, len(audio), pooled[place])
            if out.short[place]:
                self._note(clip, "noted", "shorter than a frame: zeros were added", start_s)
            self._tell(len(audio))
        self.waiting = []

    def result(self, key: str) -> PartResult:
        """Result of the part."""
        return PartResult(
            part=key, embedded=self.embedded, rejected=self.rejected, notes=self.notes
        )

    def _whole(self, clip: Clip) -> None:
        audio = clip.audio()
        first, second = next(audio, None), next(audio, None)
        if first is None:
            return
        if second is None and len(first) <= BATCH_SAMPLES:
            self._wait(clip, clip.start_s, first)
            return
        blocks = chain((first,) if second is None else (first, second), audio)
        if self.encoder.model.whole:  # A norm over time needs all of it at once.
            self._wait(clip, clip.start_s, np.concatenate(list(blocks)))
            return
        self.flush()
        self._stream(clip, blocks)

    def _windows(self, clip: Clip, length: int) -> None:
        pending, begin = np.empty(0, np.float32), 0
        for block in clip.audio():
            pending = np.concatenate((pending, block))
            while len(pending) >= length:
                self._wait(clip, clip.start_s + seconds(begin), pending[:length])
                pending, begin = pending[length:], begin + length
        if len(pending):
            self._wait(clip, clip.start_s + seconds(begin), pending)

    def _wait(self, clip: Clip, start_s: float, audio: Audio) -> None:
        """Leaves a clip, or a window of one, to the next batch."""
        if sum(len(each) for *_, each in self.waiting) + len(audio) > BATCH_SAMPLES:
            self.flush()
        self.waiting.append((clip, start_s, audio))

    def _stream(self, clip: Clip, blocks: Iterator[Audio]) -> None:
        """Embeds a long clip as it is read, in bounded memory."""
        pool = RunningPool(self.options.pooling or "mean")
        told = 0
        for block in self.encoder.stream_samples(blocks, self.options.layer):
            if self.options.pooling is None:
                self._write_frames(clip, block.frames, block.times)
            else:
                pool.add(block.frames)
            self._tell(clip.samples - told)
            told = clip.samples
        if self.options.pooling is not None:
            self._write_pooled(clip, clip.start_s, clip.samples, pool.vector())

    def _write_pooled(self, clip: Clip, start_s: float, samples: int, vector: Tensor) -> None:
        span = {"start_s": np.array([start_s]), "end_s": np.array([start_s + seconds(samples)])}
        self._write(clip, start_s, vector[None], span)

    def _write_frames(self, clip: Clip, frames: Tensor, times: Tensor) -> None:
        centres = clip.start_s + times.double().numpy()
        half = self.encoder.frame_s(self.options.layer) / 2
        span = {"start_s": centres - half, "end_s": centres + half, "frame_s": centres}
        self._write(clip, clip.start_s, frames, span)

    def _write(
        self, clip: Clip, start_s: float, features: Tensor, varying: dict[str, NDArray[np.float64]]
    ) -> None:
        described = {**clip.row, "clip_id": clip.id_at(start_s), "layer": self.options.layer}
        self.writer.add_rows(described, features.cpu().numpy(), varying)

    def _note(self, clip: Clip, outcome: str, note: str, start_s: float | None = None) -> None:
        self.notes.append(
            Note(
                path=clip.row["path"],
                start_s=clip.start_s if start_s is None else start_s,
                outcome=outcome,
                note=note,
            )
        )

    def _tell(self, samples: int) -> None:
        self.told_s += seconds(samples)
        self.on_seconds(seconds(samples))
