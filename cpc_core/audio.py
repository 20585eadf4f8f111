"""Recordings of any format, rate and channel count, decoded to mono float32 samples at 16 kHz.

libsndfile accepts what training must never receive: non-finite samples, a rate of 1 Hz, a truncated
Ogg that reads as empty. Those become an `AudioError` here. The format is recognised by content,
whatever the suffix.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torchaudio.transforms import Resample

from cpc_core.errors import AudioError
from cpc_core.geometry import SAMPLE_RATE_HZ

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 2_000, 768_000
"""Rates outside these are damage: a header of 1 Hz turns 2000 samples into 32 million."""

BLOCK_S = 60
"""Seconds decoded at a time: bounds memory for recordings of any length."""

_KERNEL_TAPS = 20_000_000
"""Largest resampling filter: 44 099 Hz has no common factor with 16 kHz and would need 2.8 GB."""

_DECODE_SAMPLES = 2**19
"""Samples of all channels decoded at a time: bounds memory for recordings of many channels."""

_TRUNCATED_DATA = re.compile(r"^data : (\d+) \(should be (\d+)\)$", re.MULTILINE)

_UNKNOWN_SIZE = 0xFFFFFFFF
"""Size in the header of a WAV that was streamed: its length was not yet known."""

_Block: TypeAlias = tuple[NDArray[np.float32], tuple[str, ...], bool]
"""Samples, the notes about them, and True if more are expected."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Decoded samples of a recording or of a part of one.

    Attributes:
        samples: `[L]` float32, mono; full scale is 1, which float files may exceed.
        sample_rate_hz: Rate of `samples`: 16 000.
        source_rate_hz: Rate of the file.
        notes: Repairs, as text; empty where there were none.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    source_rate_hz: int
    notes: tuple[str, ...]


def read_audio(path: Path, *, start_s: float = 0.0, max_s: float | None = None) -> Recording:
    """Reads a recording, or at most `max_s` seconds of it from `start_s` on.

    Raises:
        AudioError: It cannot be decoded, has no samples or non-finite ones, or an absurd rate;
            names file and reason.
    """
    blocks = list(read_blocks(path, start_s=start_s, max_s=max_s))
    notes = dict.fromkeys(note for block in blocks for note in block.notes)
    samples = np.concatenate([block.samples for block in blocks])
    return Recording(samples, SAMPLE_RATE_HZ, blocks[0].source_rate_hz, tuple(notes))


def read_blocks(
    path: Path, *, start_s: float = 0.0, max_s: float | None = None
) -> Iterator[Recording]:
    """Reads a recording in consecutive blocks of about `BLOCK_S` seconds.

    Joined, the blocks are the samples of `read_audio`.

    Raises:
        AudioError: As `read_audio`, at the block that cannot be used.
    """
    with _decoding(path) as file:
        rate, header_notes = _usable_rate(path, file.samplerate)
        header_notes += _truncation_notes(file)
        start, stop = _frame_range(path, file, start_s, max_s)
        blocks = _mono_blocks(path, file, start, stop, BLOCK_S * rate)
        for samples, notes, _ in _resampled(blocks, rate):
            yield Recording(samples, SAMPLE_RATE_HZ, file.samplerate, header_notes + notes)


def duration_s(path: Path) -> float:
    """Seconds of a recording according to its header, which may promise more than there is.

    Raises:
        AudioError: It cannot be opened as audio.
    """
    with _decoding(path) as file:
        return float(file.frames / file.samplerate)


def require_file(path: Path) -> None:
    """Checks that a path is a regular file: opening a named pipe would block for ever.

    Raises:
        AudioError: It is missing, or is something else.
    """
    if not path.is_file():
        problem = "is not a regular file" if path.exists() else "there is no such file"
        raise AudioError(f"{printable(path)}: {problem}")


def printable(path: Path) -> str:
    """The path as valid UTF-8: other bytes are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class _NonSeekingFile(soundfile.SoundFile):  # type: ignore[misc]
    """File that is only read forwards.

    soundfile seeks to the current position after every read of a seekable file. The MP3 decoder
    then lacks the bits that earlier frames carry for the next one, which was wrong by up to half of
    full scale. Other decoders only lose time.
    """

    def seekable(self) -> bool:
        return False


@contextmanager
def _decoding(path: Path) -> Iterator[soundfile.SoundFile]:
    """Opens a file; decoder errors in the block become an `AudioError`."""
    try:
        require_file(path)
        # As bytes, because soundfile refuses names that are not UTF-8.
        with _NonSeekingFile(os.fsencode(path)) as file:
            yield file
    except (soundfile.SoundFileError, OSError) as error:
        reason = str(error).removeprefix(f"Error opening {os.fsencode(path)!r}: ").rstrip(".")
        raise AudioError(f"{printable(path)}: cannot be decoded ({reason})") from error


def _usable_rate(path: Path, rate: int) -> tuple[int, tuple[str, ...]]:
    """The rate to resample from, rounded where the filter would be too large, and notes on it."""
    if not LOWEST_RATE_HZ <= rate <= HIGHEST_RATE_HZ:
        raise AudioError(
            f"{printable(path)}: a rate of {rate} Hz is not audio; "
            f"{LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz are read"
        )
    common = gcd(rate, SAMPLE_RATE_HZ)
    if rate // common * (SAMPLE_RATE_HZ // common) <= _KERNEL_TAPS:
        return rate, ()
    rounded = round(rate, -2)
    return rounded, (f"its rate of {rate} Hz was rounded to {rounded} Hz",)


def _truncation_notes(file: soundfile.SoundFile) -> tuple[str, ...]:
    """Notes on a truncated WAV, which libsndfile reports only in its log."""
    found = _TRUNCATED_DATA.search(file.extra_info)
    if found is None or int(found[1]) == _UNKNOWN_SIZE:
        return ()
    return (f"ends early: its header promises {found[1]} bytes of samples, {found[2]} are there",)


def _frame_range(
    path: Path, file: soundfile.SoundFile, start_s: float, max_s: float | None
) -> tuple[int, int]:
    start = round(start_s * file.samplerate)
    if file.frames == 0:
        raise AudioError(f"{printable(path)}: holds no samples")
    if start >= file.frames:
        end_s = file.frames / file.samplerate
        raise AudioError(
            f"{printable(path)}: start_s {start_s:g} lies behind its end at {end_s:g} s"
        )
    if max_s is None:
        return start, file.frames
    return start, min(file.frames, start + round(max_s * file.samplerate))


def _mono_blocks(
    path: Path, file: soundfile.SoundFile, start: int, stop: int, block_frames: int
) -> Iterator[_Block]:
    """Frames [start, stop) in blocks of `block_frames`, the last one shorter."""
    if start:
        # An MP3 decoder is also wrong right after a seek, for up to a second.
        run_in = min(start, file.samplerate) if file.subtype.startswith("MPEG") else 0
        file.seek(start - run_in)
        file.read(run_in)
    position = start
    while position < stop:
        frames = min(block_frames, stop - position)
        mono, cancelled = _decode_mono(file, frames)
        position += len(mono)
        notes = ["its channels cancel each other: the mono mix is silent"] if cancelled else []
        if not np.isfinite(mono).all():
            raise AudioError(f"{printable(path)}: has samples that are not finite numbers")
        if len(mono) < frames:
            notes.append(
                f"ends early: its header promises {file.frames} frames, {position} are there"
            )
            stop = position
        if position == start:
            raise AudioError(f"{printable(path)}: holds no samples")
        yield mono, tuple(notes), position < stop


def _decode_mono(file: soundfile.SoundFile, frames: int) -> tuple[NDArray[np.float32], bool]:
    """Channel mean of the next `frames` frames, and True if only the mean is silent."""
    mono = np.empty(frames, np.float32)
    filled, channels_sound, mean_sounds = 0, False, False
    while filled < frames:
        channels = file.read(
            min(_DECODE_SAMPLES // file.channels, frames - filled), dtype="float32", always_2d=True
        )
        if not len(channels):
            break
        mean = mono[filled : filled + len(channels)]
        _mean_over_channels(channels, mean)
        mean_sounds = mean_sounds or bool(mean.any())
        channels_sound = channels_sound or mean_sounds or bool(channels.any())
        filled += len(channels)
    return mono[:filled], channels_sound and not mean_sounds


def _mean_over_channels(channels: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Writes the mean of `[L, channels]` into `out` `[L]`.

    `channels.mean(axis=1)` takes ten times as long for few columns: two thirds of the decoding.
    """
    if channels.shape[1] == 1:
        out[:] = channels[:, 0]
        return
    np.add(channels[:, 0], channels[:, 1], out=out)
    for column in range(2, channels.shape[1]):
        out += channels[:, column]
    out /= channels.shape[1]


def _resampled(blocks: Iterator[_Block], rate: int) -> Iterator[_Block]:
    """Blocks of whole seconds at `rate`, resampled to 16 kHz as if in one piece.

    Every inner edge is resampled with a second of neighbours on both sides, far more than the
    filter reaches; a second is a whole number of samples at both rates, so that nothing shifts.
    """
    if rate == SAMPLE_RATE_HZ:
        yield from blocks
        return
    pending = np.empty(0, np.float32)
    done = 0
    for block, notes, more in blocks:
        pending = np.concatenate((pending, block)) if len(pending) else block
        if not more:
            yield _resample(pending, rate)[done:], notes, False
        elif len(pending) > 2 * rate:
            yield _resample(pending, rate)[done:-SAMPLE_RATE_HZ], notes, True
            pending, done = pending[-2 * rate :], SAMPLE_RATE_HZ


def _resample(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    resampled: NDArray[np.float32] = _resampler(rate)(torch.from_numpy(samples)).numpy()
    return resampled


@lru_cache(maxsize=4)
def _resampler(rate: int) -> Resample:
    return Resample(rate, SAMPLE_RATE_HZ)
