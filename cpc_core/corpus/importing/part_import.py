"""Import of one part: its recordings decoded, cut and written as its shard by any process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from cpc_core.audio import printable
from cpc_core.audio.messages import NativeMessages, native_messages
from cpc_core.corpus.importing.clips import Clip, Rest, clip_samples, cut_clips
from cpc_core.corpus.importing.parts import Part
from cpc_core.corpus.importing.shard_writer import ShardWriter
from cpc_core.corpus.importing.workspace import (
    Note,
    PartResult,
    Rejection,
    Workspace,
    storage_errors,
)
from cpc_core.corpus.pcm import BYTES_PER_SAMPLE
from cpc_core.corpus.sources.entry import Entry
from cpc_core.errors import AudioError
from cpc_core.geometry import SAMPLE_RATE_HZ


def import_part(
    work: Workspace, name: str, on_recordings: Callable[[int], None] = lambda count: None
) -> None:
    """Writes the shard of one part of an import, unless it is finished already.

    Writing it again gives the same bytes. One block of a recording and one row group are in memory,
    whatever the size of the part.

    Args:
        work: The import's workspace, to which the part was added.
        name: The part.
        on_recordings: Called with the number of recordings finished since the last call.

    Raises:
        StorageError: The shard cannot be written.
    """
    with storage_errors(work.target), _one_thread():
        part, key = work.part(name)
        if work.is_finished(name, key):
            on_recordings(len(part.entries))
            return
        clip_bytes = clip_samples(part.options) * BYTES_PER_SAMPLE
        with (
            ShardWriter(work.shards, name, part.split, clip_bytes) as writer,
            native_messages() as messages,
        ):
            part_writer = _PartWriter(part, writer, messages)
            for entry in part.entries:
                part_writer.add(entry)
                on_recordings(1)
            work.finish(name, part_writer.result(key))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limits torch to one thread: the last bit of a convolution depends on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class _PartWriter:
    """Writer of one part: its shard, and the rejections and notes so far."""

    part: Part
    writer: ShardWriter
    messages: NativeMessages
    label_rows: Counter[str] = field(default_factory=Counter)
    clip_ids: set[int] = field(default_factory=set)
    rejected: list[Rejection] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    samples: int = 0
    left_out: int = 0

    def add(self, entry: Entry) -> None:
        """Writes the clips of one entry, or records the reason for its rejection."""
        path = printable(entry.path)
        notes = dict.fromkeys([entry.note] if entry.note else ())
        end_s = None
        self.messages.take()
        try:
            for clip in cut_clips(self.part.folder, entry, self.part.options):
                if isinstance(clip, Rest):
                    self.left_out += clip.num_samples
                    continue
                if clip.clip_id in self.clip_ids:
                    raise AudioError(f"{path}: the part from {clip.start_s:g} s on is listed twice")
                self._write(entry, clip)
                notes |= dict.fromkeys(clip.notes)
                end_s = clip.start_s + clip.num_samples / SAMPLE_RATE_HZ
            notes |= dict.fromkeys(self.messages.take())
        except AudioError as error:
            notes |= dict.fromkeys(self.messages.take())
            reason = (
                str(error)
                .removeprefix(f"{path}: ")
                .removeprefix(f"{printable(self.part.folder / entry.path)}: ")
            )
            if end_s is None:
                cause = error.__cause__ if error.__cause__ is not None else error
                reason = "; ".join((reason, *notes))
                notes.clear()
                self.rejected.append(
                    Rejection(path=path, reason=reason, exception=type(cause).__name__)
                )
            else:
                notes[f"used only up to {end_s:g} s: {reason}"] = None
        if notes:
            self.notes.append(Note(path=path, note="; ".join(notes)))

    def _write(self, entry: Entry, clip: Clip) -> None:
        self.writer.add(
            {
                "clip_id": clip.clip_id,
                "audio": clip.pcm.tobytes(),
                "num_samples": clip.num_samples,
                "sample_rate_hz": SAMPLE_RATE_HZ,
                "labels": list(entry.tags),
                "label": entry.label,
                "split": self.part.split,
                "group": entry.group,
                "path": printable(entry.path),
                "source": entry.source,
                "license": entry.license,
                "start_s": clip.start_s,
                "fold": entry.fold,
                "task": entry.task,
                "target": entry.target,
            }
        )
        self.label_rows.update(entry.tags)
        self.clip_ids.add(clip.clip_id)
        self.samples += clip.num_samples

    def result(self, key: str) -> PartResult:
        """Closes the shard and returns the result of the part."""
        return PartResult(
            part=key,
            shards=self.writer.finish(),
            label_rows=dict(sorted(self.label_rows.items())),
            rejected=self.rejected,
            notes=self.notes,
            recordings=len(self.part.entries),
            samples=self.samples,
            left_out=self.left_out,
        )
