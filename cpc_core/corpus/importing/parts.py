"""Parts of an import, each of which becomes one shard, independent of process and order.

    entries   sorted by split, then by a hash of their path: neighbours in a shard are unrelated
    parts     end where the clips expected so far fill a shard; a recording is never divided

Parts depend on the source and the options alone, and so do the shards.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from cpc_core.audio import duration_s, printable
from cpc_core.audio.messages import native_messages
from cpc_core.corpus.importing.clips import clip_samples
from cpc_core.corpus.manifest import (
    CORPUS_SCHEMA,
    LARGEST_SHARD_BYTES,
    SHARD_BYTES,
    SPLITS,
    ImportOptions,
    Split,
)
from cpc_core.corpus.pcm import BYTES_PER_SAMPLE
from cpc_core.corpus.sources.entry import Entry
from cpc_core.errors import AudioError

_HEADER_READERS, _HEADER_BLOCK = 16, 4096


@dataclass(frozen=True)
class Part:
    """Entries of one split that go into one shard.

    Attributes:
        name: Name of its shard, such as `train-00003`.
        split: The split.
        folder: The source's folder, to which the paths of the entries are relative.
        entries: In the order of their clips.
        versions: Size in bytes and modification time in nanoseconds of every entry's file, (−1, −1)
            where it is missing.
        options: Settings of the import.
    """

    name: str
    split: Split
    folder: Path
    entries: tuple[Entry, ...]
    versions: tuple[tuple[int, int], ...]
    options: ImportOptions

    def to_json(self) -> bytes:
        """Everything that determines the shard; equal parts have equal bytes.

        Paths that are not UTF-8 are preserved as escapes.
        """
        content = {
            "schema": CORPUS_SCHEMA,
            "folder": str(self.folder),
            "options": self.options.model_dump(mode="json"),
            "versions": self.versions,
            "entries": [asdict(entry) | {"path": str(entry.path)} for entry in self.entries],
            "name": self.name,
            "split": self.split,
        }
        return json.dumps(content).encode("ascii")

    @classmethod
    def from_json(cls, content: bytes) -> Part:
        """The part that `to_json` has written."""
        data = json.loads(content)
        return cls(
            name=data["name"],
            split=data["split"],
            folder=Path(data["folder"]),
            entries=tuple(
                Entry(**row | {"path": Path(row["path"]), "tags": tuple(row["tags"])})
                for row in data["entries"]
            ),
            versions=tuple((size, changed) for size, changed in data["versions"]),
            options=ImportOptions.model_validate(data["options"]),
        )


def plan_parts(folder: Path, entries: Sequence[Entry], options: ImportOptions) -> Iterator[Part]:
    """Divides entries, each with its split, into parts.

    Reads the header of every recording whose length the source does not give.
    """
    for split in SPLITS:
        mine = sorted((entry for entry in entries if entry.split == split), key=_order)
        with native_messages():  # Each comes again when the recording is read.
            expected = _expected_clips(folder, mine, options)
        for number, share in enumerate(_shares(mine, expected, options)):
            versions = tuple(_version(folder / entry.path) for entry in share)
            yield Part(f"{split}-{number:05d}", split, folder, tuple(share), versions, options)


def _order(entry: Entry) -> tuple[bytes, float, float]:
    digest = hashlib.sha256(printable(entry.path).encode()).digest()
    return digest, entry.start_s, entry.end_s or 0.0


def _shares(
    entries: Sequence[Entry], clips: Sequence[int], options: ImportOptions
) -> Iterator[list[Entry]]:
    """Runs of entries with about equally many clips, each about as many as fill a shard."""
    total = max(1, sum(clips))
    total_bytes = total * clip_samples(options) * BYTES_PER_SAMPLE
    count = max(1, round(total_bytes / SHARD_BYTES))
    if total_bytes > count * LARGEST_SHARD_BYTES:
        count += 1
    share: list[Entry] = []
    before, number = 0, 0
    for _, recording in groupby(zip(entries, clips, strict=True), key=lambda pair: pair[0].path):
        if share and number + 1 < count and before * count >= total * (number + 1):
            yield share
            share, number = [], before * count // total
        for entry, expected in recording:
            share.append(entry)
            before += expected
    if share:
        yield share


def _expected_clips(folder: Path, entries: Sequence[Entry], options: ImportOptions) -> list[int]:
    def clips(entry: Entry) -> int:
        if options.long_files == "crop":
            return 1
        try:
            end_s = duration_s(folder / entry.path) if entry.end_s is None else entry.end_s
        except AudioError:
            return 0
        rests = math.ceil((end_s - entry.start_s - options.shortest_rest_s) / options.clip_s)
        return max(1, rests)

    expected: list[int] = []
    with ThreadPoolExecutor(_HEADER_READERS) as pool:
        # In blocks, because `map` submits all of its items at once, and there may be millions.
        for begin in range(0, len(entries), _HEADER_BLOCK):
            expected += pool.map(clips, entries[begin : begin + _HEADER_BLOCK])
    return expected


def _version(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns
