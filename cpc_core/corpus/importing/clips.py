"""From one recording to its fixed-length clips."""

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
    """One clip of a recording.

    Attributes:
        clip_id: Signed 64-bit hash of the file's bytes, its path and where the clip begins.
        pcm: `[clip_samples]` int16, padded.
        num_samples: Samples of the recording in it.
        start_s: Where it begins in the recording.
        notes: What was repaired in the part of the recording it was cut from.
    """

    clip_id: int
    pcm: NDArray[np.int16]
    num_samples: int
    start_s: float
    notes: tuple[str, ...]


def clip_samples(options: ImportOptions) -> int:
    """Samples of every clip of a corpus."""
    return round(options.clip_s * SAMPLE_RATE_HZ)


def cut(source: Path, entry: Entry, options: ImportOptions) -> Iterator[Clip]:
    """The clips of one entry, in order, made while its recording is being read.

    Raises:
        AudioError: The recording cannot be used; where that shows only behind a block, the clips
            before it were yielded.
    """
    length = clip_samples(options)
    shortest = round(options.shortest_s * SAMPLE_RATE_HZ)
    identity = _file_hash(source / entry.path) + printable(entry.path).encode()
    begin = 0
    for samples, notes in _pieces(_blocks(source / entry.path, entry, options), length):
        if len(samples) < shortest:
            if begin == 0:
                raise AudioError(
                    f"{printable(entry.path)}: {len(samples) / SAMPLE_RATE_HZ:g} s is shorter than {options.shortest_s:g} s"
                )
            return
        start_s = entry.start_s + begin / SAMPLE_RATE_HZ
        name = hashlib.blake2b(
            identity + f"@{round(start_s * SAMPLE_RATE_HZ)}".encode(), digest_size=8
        )
        padded = quantise(_padded(samples, length, options))
        clip_id = int.from_bytes(name.digest(), "little", signed=True)
        yield Clip(clip_id, padded, len(samples), start_s, notes + _level_notes(samples))
        begin += length


def _blocks(path: Path, entry: Entry, options: ImportOptions) -> Iterator[Recording]:
    max_s = None if entry.end_s is None else entry.end_s - entry.start_s
    if options.long_files == "crop":
        max_s = options.clip_s if max_s is None else min(max_s, options.clip_s)
    return read_blocks(path, start_s=entry.start_s, max_s=max_s)


def _pieces(
    blocks: Iterator[Recording], length: int
) -> Iterator[tuple[NDArray[np.float32], tuple[str, ...]]]:
    """The joined blocks in pieces of `length`, the last one shorter, each with the notes of the
    block it ends in.
    """
    rest = np.empty(0, np.float32)
    notes: tuple[str, ...] = ()
    for block in blocks:
        rest = np.concatenate((rest, block.samples))
        notes = block.notes
        while len(rest) >= length:
            yield rest[:length], notes
            rest = rest[length:]
    if len(rest):
        yield rest, notes


def _level_notes(samples: NDArray[np.float32]) -> tuple[str, ...]:
    peak = float(np.abs(samples).max())
    if peak > 1:
        return (f"{peak:.4g} times full scale was clipped",)
    return ("has a clip of digital silence",) if peak == 0 else ()


def _padded(
    samples: NDArray[np.float32], length: int, options: ImportOptions
) -> NDArray[np.float32]:
    if options.padding == "loop":
        return np.resize(samples, length)
    return np.pad(samples, (0, length - len(samples)))


@lru_cache(maxsize=1)
def _file_hash(path: Path) -> bytes:
    """SHA-256 of the file; the last one is kept for recordings that are listed in many parts, one
    after the other.
    """
    # Of the file, not of the samples: decoders and resamplers differ in the last bit between
    # machines.
    try:
        require_file(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise AudioError(f"{printable(path)}: cannot be read ({error.strerror})") from error
