"""Fixed-length clips of one recording."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cpc_core.audio import Recording, printable, read_blocks, require_file
from cpc_core.corpus.manifest import ImportOptions
from cpc_core.corpus.pcm import quantise
from cpc_core.corpus.sources.entry import Entry
from cpc_core.errors import AudioError
from cpc_core.geometry import SAMPLE_RATE_HZ


@dataclass(frozen=True, eq=False)
class Clip:
    """Clip of a recording.

    Attributes:
        clip_id: Signed 64-bit hash of the file's bytes, its path and the start of the clip.
        pcm: `[clip_samples]` int16, padded.
        num_samples: Samples of the recording in the clip.
        start_s: Start of the clip in the recording.
        notes: Repairs to this part of the recording, as text.
    """

    clip_id: int
    pcm: NDArray[np.int16]
    num_samples: int
    start_s: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Rest:
    """Rest of a recording that is too short for a clip of its own.

    Attributes:
        num_samples: Its samples.
    """

    num_samples: int


def clip_samples(options: ImportOptions) -> int:
    """Samples of every clip of a corpus."""
    return round(options.clip_s * SAMPLE_RATE_HZ)


def cut_clips(source: Path, entry: Entry, options: ImportOptions) -> Iterator[Clip | Rest]:
    """Clips of one entry, in order, cut while its recording is being read, and its rest.

    Raises:
        AudioError: The recording cannot be used; the clips before the damaged block were yielded.
    """
    length = clip_samples(options)
    identity = file_identity(source, entry.path)
    begin = 0
    for samples, notes in _pieces(_blocks(source / entry.path, entry, options), length):
        shortest_s = options.shortest_rest_s if begin else options.shortest_recording_s
        if len(samples) < round(shortest_s * SAMPLE_RATE_HZ):
            if begin == 0:
                raise AudioError(
                    f"{printable(entry.path)}: {len(samples) / SAMPLE_RATE_HZ:g} s is shorter than "
                    f"{shortest_s:g} s"
                )
            yield Rest(len(samples))
            return
        start_s = entry.start_s + begin / SAMPLE_RATE_HZ
        filled = samples if options.padding == "zero" else np.resize(samples, length)
        own = filled if options.padding == "repeat" else samples
        pcm = quantise(np.pad(filled, (0, length - len(filled))))
        yield Clip(
            clip_id(identity, start_s), pcm, len(own), start_s, notes + _level_notes(samples)
        )
        begin += length


def file_identity(source: Path, path: Path) -> bytes:
    """Content and path of a recording, as clips of it are named by.

    Raises:
        AudioError: It is missing, or cannot be read.
    """
    return _file_hash(source / path) + printable(path).encode()


def clip_id(identity: bytes, start_s: float) -> int:
    """Signed 64-bit hash of a recording's identity and the start of a clip in it."""
    name = identity + f"@{round(start_s * SAMPLE_RATE_HZ)}".encode()
    digest = hashlib.blake2b(name, digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _blocks(path: Path, entry: Entry, options: ImportOptions) -> Iterator[Recording]:
    max_s = None if entry.end_s is None else entry.end_s - entry.start_s
    if options.long_files == "crop":
        max_s = options.clip_s if max_s is None else min(max_s, options.clip_s)
    return read_blocks(path, start_s=entry.start_s, max_s=max_s)


def _pieces(
    blocks: Iterator[Recording], length: int
) -> Iterator[tuple[NDArray[np.float32], tuple[str, ...]]]:
    """The joined blocks in pieces of `length`, with the notes of the block each piece ends in.

    The last piece may be shorter.
    """
    pending = np.empty(0, np.float32)
    notes: tuple[str, ...] = ()
    for block in blocks:
        pending = np.concatenate((pending, block.samples))
        notes = block.notes
        while len(pending) >= length:
            yield pending[:length], notes
            pending = pending[length:]
    if len(pending):
        yield pending, notes


def _level_notes(samples: NDArray[np.float32]) -> tuple[str, ...]:
    peak = float(np.abs(samples).max())
    if peak > 1:
        return (f"{peak:.4g} times full scale was clipped",)
    return ("has a clip of digital silence",) if peak == 0 else ()


@lru_cache(maxsize=1)
def _file_hash(path: Path) -> bytes:
    """SHA-256 of a file, cached for recordings that are listed in many parts in a row.

    Of the file, not of the samples: decoders and resamplers differ in the last bit between
    machines.
    """
    try:
        require_file(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise AudioError(f"{printable(path)}: cannot be read ({error.strerror})") from error
