"""Parts of a source, each embedded by one process into one file: the unit that a resume keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cpc_core.audio import duration_s
from cpc_core.audio.messages import native_messages
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.row_groups import RowGroup
from cpc_core.corpus.sources.entry import Entry
from cpc_core.embed.clips import Clip, clip_of_entry, clips_of_row_group
from cpc_core.errors import AudioError

PART_S = 600.0
"""Seconds of audio of a part: about what an interruption costs. A recording is never divided."""

PART_RECORDINGS = 1000
"""Recordings of a part at most; those that cannot be read have no seconds."""

_HEADER_READERS, _HEADER_BLOCK = 16, 4096


class Part(Protocol):
    """Part of a source.

    Attributes:
        number: Its place among the parts.
        seconds: Expected audio.
    """

    @property
    def number(self) -> int: ...

    @property
    def seconds(self) -> float: ...

    @property
    def identity(self) -> str:
        """Hash of what determines its clips."""

    def clips(self) -> Iterator[Clip]:
        """Its clips in order; the audio of each is read before the next one comes."""


@dataclass(frozen=True)
class CorpusPart:
    """Row groups of a corpus.

    Attributes:
        number: See `Part`.
        seconds: See `Part`.
        corpus: Hash of the corpus.
        clip_samples: Samples of each clip, its padding included.
        row_groups: The row groups.
    """

    number: int
    seconds: float
    corpus: str
    clip_samples: int
    row_groups: tuple[RowGroup, ...]

    @property
    def identity(self) -> str:
        """See `Part`."""
        named = [(group.shard.name, group.index) for group in self.row_groups]
        return _hash(self.corpus, named)

    def clips(self) -> Iterator[Clip]:
        """See `Part`.

        Raises:
            CorpusError: A shard is missing or damaged.
        """
        for group in self.row_groups:
            yield from clips_of_row_group(group, self.clip_samples)


@dataclass(frozen=True)
class RecordingsPart:
    """Recordings of a folder or a list.

    Attributes:
        number: See `Part`.
        seconds: See `Part`.
        folder: Folder to which the paths of the entries are relative.
        entries: The recordings.
        versions: Size in bytes and modification time in nanoseconds of every recording's file,
            (−1, −1) where it is missing.
    """

    number: int
    seconds: float
    folder: Path
    entries: tuple[Entry, ...]
    versions: tuple[tuple[int, int], ...]

    @property
    def identity(self) -> str:
        """See `Part`."""
        return _hash(str(self.folder), self.entries, self.versions)

    def clips(self) -> Iterator[Clip]:
        """See `Part`."""
        for entry in self.entries:
            yield clip_of_entry(self.folder, entry)


def corpus_parts(corpus: Corpus) -> list[CorpusPart]:
    """Parts of a corpus: all splits, in the manifest's order."""
    groups = [group for split in corpus.splits for group in corpus.row_groups(split)]
    clip_s = corpus.clip_samples / corpus.manifest.sample_rate_hz
    lengths = [group.rows * clip_s for group in groups]
    return [
        CorpusPart(number, sum(lengths[run]), corpus.hash, corpus.clip_samples, tuple(groups[run]))
        for number, run in enumerate(_runs(lengths))
    ]


def recording_parts(folder: Path, entries: Sequence[Entry]) -> list[RecordingsPart]:
    """Parts of a folder or a list, in its order; reads the header of every recording."""
    with native_messages():  # Each comes again when the recording is read.
        lengths = _expected_s(folder, entries)
    return [
        RecordingsPart(
            number,
            sum(lengths[run]),
            folder,
            tuple(entries[run]),
            tuple(_version(folder / entry.path) for entry in entries[run]),
        )
        for number, run in enumerate(_runs(lengths))
    ]


def _runs(lengths: Sequence[float]) -> Iterator[slice]:
    """Runs of items that fill a part."""
    begin, seconds = 0, 0.0
    for place, length in enumerate(lengths):
        full = seconds + length > PART_S or place - begin == PART_RECORDINGS
        if full and place > begin:
            yield slice(begin, place)
            begin, seconds = place, 0.0
        seconds += length
    if len(lengths) > begin:
        yield slice(begin, len(lengths))


def _expected_s(folder: Path, entries: Sequence[Entry]) -> list[float]:
    def seconds(entry: Entry) -> float:
        try:
            end_s = duration_s(folder / entry.path) if entry.end_s is None else entry.end_s
        except AudioError:
            return 0.0
        return max(0.0, end_s - entry.start_s)

    expected: list[float] = []
    with ThreadPoolExecutor(_HEADER_READERS) as pool:
        # In blocks, because `map` submits all of its items at once, and there may be millions.
        for begin in range(0, len(entries), _HEADER_BLOCK):
            expected += pool.map(seconds, entries[begin : begin + _HEADER_BLOCK])
    return expected


def _version(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
