"""Clips to embed: their rows, and their audio as it is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpc_core.audio import printable, read_blocks
from cpc_core.corpus.importing.clips import clip_id, file_identity
from cpc_core.corpus.pcm import fill_floats, pcm_matrix
from cpc_core.corpus.row_groups import RowGroup, read_row_group
from cpc_core.corpus.sources.entry import Entry
from cpc_core.errors import AudioError
from cpc_core.geometry import SAMPLE_RATE_HZ

Blocks = Iterator[tuple[NDArray[np.float32], tuple[str, ...]]]
"""Consecutive samples at 16 kHz, and notes on them."""

DESCRIBED = ("path", "group", "label", "labels", "split", "fold", "task", "target")
"""Columns of a corpus that describe a clip, beside its id and start."""

_COLUMNS = ["clip_id", "audio", "num_samples", "start_s", *DESCRIBED]


@dataclass(eq=False)
class Clip:
    """Clip of a corpus, or a recording, whose audio is read once.

    Attributes:
        row: Columns of `DESCRIBED`.
        start_s: Its beginning in its recording.
        blocks: Its audio.
        identity: What its id is a hash of, but for the start; of a clip of a corpus, its id.
        place: Path that errors name.
        samples: Samples read so far.
        notes: Notes on them.
        error: What ended the reading before its end.
    """

    row: dict[str, Any]
    start_s: float
    blocks: Blocks
    identity: bytes | int
    place: str = ""
    samples: int = 0
    notes: dict[str, None] = field(default_factory=dict)
    error: AudioError | None = None

    def audio(self) -> Iterator[NDArray[np.float32]]:
        """Blocks `[L]` of its audio, to its end or to where it cannot be read any further."""
        try:
            for samples, notes in self.blocks:
                self.samples += len(samples)
                self.notes |= dict.fromkeys(notes)
                yield samples
        except AudioError as error:
            self.error = error

    @property
    def reason(self) -> str:
        """Text of the error, without the path."""
        text = "" if self.error is None else str(self.error)
        return text.removeprefix(f"{self.place}: ").removeprefix(f"{self.row['path']}: ")

    def id_at(self, start_s: float) -> int:
        """Id of the piece that begins at a second of its recording."""
        if isinstance(self.identity, bytes):
            return clip_id(self.identity, start_s)
        if start_s == self.start_s:
            return self.identity
        return clip_id(self.identity.to_bytes(8, "little", signed=True), start_s)


def clip_of_entry(folder: Path, entry: Entry) -> Clip:
    """Clip of an entry of a source; one that cannot be opened has an error instead of audio."""
    row = {
        "path": printable(entry.path),
        "group": entry.group,
        "label": entry.label,
        "labels": list(entry.tags),
        "split": entry.split,
        "fold": entry.fold,
        "task": entry.task,
        "target": entry.target,
    }
    notes = {entry.note: None} if entry.note else {}
    place = printable(folder / entry.path)
    try:
        identity = file_identity(folder, entry.path)
    except AudioError as error:
        return Clip(row, entry.start_s, iter(()), b"", place, notes=notes, error=error)
    max_s = None if entry.end_s is None else entry.end_s - entry.start_s
    blocks = read_blocks(folder / entry.path, start_s=entry.start_s, max_s=max_s)
    read = ((block.samples, block.notes) for block in blocks)
    return Clip(row, entry.start_s, read, identity, place, notes=notes)


def clips_of_row_group(group: RowGroup, clip_samples: int) -> Iterator[Clip]:
    """Clips of a corpus, without their padding.

    Raises:
        CorpusError: The shard is missing or damaged.
    """
    table = read_row_group(group, _COLUMNS)
    pcm = pcm_matrix(table["audio"].combine_chunks(), clip_samples)
    for place, row in enumerate(table.drop_columns("audio").to_pylist()):
        audio = np.empty((1, row["num_samples"]), np.float32)
        fill_floats(audio, pcm[place : place + 1, : row["num_samples"]])
        described = {name: row[name] for name in DESCRIBED}
        yield Clip(described, row["start_s"], iter([(audio[0], ())]), row["clip_id"])


def seconds(samples: int) -> float:
    """Seconds of so many samples."""
    return samples / SAMPLE_RATE_HZ
