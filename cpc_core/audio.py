"""Recordings of any format, rate and channel count, as mono float32 samples at 16 kHz.

libsndfile accepts what training must never see: non-finite samples, a rate of 1 Hz, an Ogg that was
cut and reads as empty. Those become an `AudioError` here. Files are decoded by content, whatever
their name ends in.
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

LOWEST_RATE_HZ = 2_000


HIGHEST_RATE_HZ = 768_000
"""Rates outside these are damage: a header of 1 Hz makes 32 million samples of 2000."""


BLOCK_S = 60
"""Seconds decoded at once: bounds memory for recordings of any length."""


_KERNEL_TAPS = 20_000_000
"""Largest resampling filter: 44 099 Hz has no common factor with 16 kHz and would take 2.8 GB of
them.
"""


_DECODE_SAMPLES = 2**19
"""Samples of all channels that are read at once: bounds memory for recordings of many channels."""


_SHORT_DATA = re.compile(r"^data : (\d+) \(should be (\d+)\)$", re.MULTILINE)


_STREAMED = 0xFFFFFFFF
"""Size that a program writes which does not know yet how long a recording will be."""


_Block: TypeAlias = tuple[NDArray[np.float32], tuple[str, ...], bool]
"""Samples, the notes about them, and whether more are expected."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A decoded recording or a part of one.

    Attributes:
        samples: `[L]` float32, mono; full scale is 1, which float files may exceed.
        sample_rate_hz: Rate of `samples`: 16 000.
        source_rate_hz: Rate of the file.
        notes: What was repaired, in words; empty where nothing was.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    source_rate_hz: int
    notes: tuple[str, ...]


def read_audio(path: Path, *, start_s: float = 0.0, max_s: float | None = None) -> Recording:
    """Read a recording whole, or at most `max_s` seconds of it from `start_s` on.

    Raises:
        AudioError: It cannot be decoded, holds no samples or non-finite ones, or has an absurd
            rate; names file and reason.
    """
    blocks = list(read_blocks(path, start_s=start_s, max_s=max_s))
    notes = dict.fromkeys(note for block in blocks for note in block.notes)
    samples = np.concatenate([block.samples for block in blocks])
    return Recording(samples, SAMPLE_RATE_HZ, blocks[0].source_rate_hz, tuple(notes))


def read_blocks(
    path: Path, *, start_s: float = 0.0, max_s: float | None = None
) -> Iterator[Recording]:
    """The samples of `read_audio` in consecutive blocks of about `BLOCK_S` seconds: joined, they
    are the same.

    Raises:
        AudioError: As `read_audio`, at the block where it is found.
    """
    with _decoding(path) as file:
        rate, header_notes = _usable_rate(path, file.samplerate)
        header_notes += _cut_wav(file)
        start, stop = _frame_range(path, file, start_s, max_s)
        for samples, notes, _ in _resampled(
            _mono_blocks(path, file, start, stop, BLOCK_S * rate), rate
        ):
            yield Recording(samples, SAMPLE_RATE_HZ, file.samplerate, header_notes + notes)


def duration_s(path: Path) -> float:
    """Seconds of a recording as its header has it, which may promise more than is there.

    Raises:
        AudioError: It cannot be opened as audio.
    """
    with _decoding(path) as file:
        return float(file.frames / file.samplerate)


def require_file(path: Path) -> None:
    """Check that a path can be read as a file: opening a named pipe would block for ever.

    Raises:
        AudioError: It is not there, or is something else.
    """
    if not path.is_file():
        raise AudioError(
            f"{printable(path)}: {'is not a regular file' if path.exists() else 'there is no such file'}"
        )


def printable(path: Path) -> str:
    """The path as it can be printed and stored: bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class _NonSeekingFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read on and on.

    soundfile seeks behind every read of a seekable file, to where it is. An MP3 frame that is
    decoded after that lacks what frames before it hold of it: it was wrong by up to half of full
    scale. Other decoders only lose time.
    """

    def seekable(self) -> bool:
        return False


@contextmanager
def _decoding(path: Path) -> Iterator[soundfile.SoundFile]:
    """The opened file; what its decoder raises in the block becomes an `AudioError`."""
    try:
        require_file(path)
        # As bytes, because soundfile refuses names that are not UTF-8.
        with _NonSeekingFile(os.fsencode(path)) as file:
            yield file
    except (soundfile.SoundFileError, OSError) as error:
        reason = str(error).removeprefix(f"Error opening {os.fsencode(path)!r}: ").rstrip(".")
        raise AudioError(f"{printable(path)}: cannot be decoded ({reason})") from error


def _usable_rate(path: Path, rate: int) -> tuple[int, tuple[str, ...]]:
    if not LOWEST_RATE_HZ <= rate <= HIGHEST_RATE_HZ:
        raise AudioError(
            f"{printable(path)}: a rate of {rate} Hz is not audio; {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz are read"
        )
    common = gcd(rate, SAMPLE_RATE_HZ)
    if rate // common * (SAMPLE_RATE_HZ // common) <= _KERNEL_TAPS:
        return rate, ()
    near = round(rate, -2)
    return near, (f"its rate of {rate} Hz was taken for {near} Hz",)


def _cut_wav(file: soundfile.SoundFile) -> tuple[str, ...]:
    """What libsndfile says only in its log: it reads a WAV that was cut off as if that were all."""
    found = _SHORT_DATA.search(file.extra_info)
    if found is None or int(found[1]) == _STREAMED:
        return ()
    return (f"ends early: its header promises {found[1]} bytes of samples, {found[2]} are there",)


def _frame_range(
    path: Path, file: soundfile.SoundFile, start_s: float, max_s: float | None
) -> tuple[int, int]:
    start = round(start_s * file.samplerate)
    if file.frames == 0:
        raise AudioError(f"{printable(path)}: holds no samples")
    if start >= file.frames:
        raise AudioError(
            f"{printable(path)}: start_s {start_s:g} lies behind its end at {file.frames / file.samplerate:g} s"
        )
    stop = (
        file.frames if max_s is None else min(file.frames, start + round(max_s * file.samplerate))
    )
    return start, stop


def _mono_blocks(
    path: Path, file: soundfile.SoundFile, start: int, stop: int, frames: int
) -> Iterator[_Block]:
    """Frames [start, stop) in blocks of `frames`, the last one shorter, and what is odd about
    each.
    """
    if start:
        # What an MP3's decoder gives right behind a seek is wrong, too: it runs in for a second.
        run_in = min(start, file.samplerate) if file.subtype.startswith("MPEG") else 0
        file.seek(start - run_in)
        file.read(run_in)
    position = start
    while position < stop:
        wanted = min(frames, stop - position)
        mono, cancelled = _decode_mono(file, wanted)
        position += len(mono)
        notes = ["its channels cancel each other: the mono mix is silent"] if cancelled else []
        if not np.isfinite(mono).all():
            raise AudioError(f"{printable(path)}: has samples that are not finite numbers")
        if len(mono) < wanted:
            notes.append(
                f"ends early: its header promises {file.frames} frames, {position} are there"
            )
            stop = position
        if position == start:
            raise AudioError(f"{printable(path)}: holds no samples")
        yield mono, tuple(notes), position < stop


def _decode_mono(file: soundfile.SoundFile, frames: int) -> tuple[NDArray[np.float32], bool]:
    """The mean of the channels of the next `frames` frames, and whether it is silent although the
    channels are not.
    """
    mono = np.empty(frames, np.float32)
    filled, sounding, audible = 0, False, False
    while filled < frames:
        channels = file.read(
            min(_DECODE_SAMPLES // file.channels, frames - filled), dtype="float32", always_2d=True
        )
        if not len(channels):
            break
        mix = mono[filled : filled + len(channels)]
        _mix(channels, mix)
        audible = audible or bool(mix.any())
        sounding = sounding or audible or bool(channels.any())
        filled += len(channels)
    return mono[:filled], sounding and not audible


def _mix(channels: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """`channels.mean(axis=1)`, which takes ten times as long where there are few columns: two
    thirds of the time of decoding.
    """
    if channels.shape[1] == 1:
        out[:] = channels[:, 0]
        return
    np.add(channels[:, 0], channels[:, 1], out=out)
    for column in range(2, channels.shape[1]):
        out += channels[:, column]
    out /= channels.shape[1]


def _resampled(blocks: Iterator[_Block], rate: int) -> Iterator[_Block]:
    """Blocks of whole seconds at `rate`, at 16 kHz, as if resampled in one piece.

    Every inner edge is resampled with a second of neighbours on both sides, far more than the
    filter reaches; a second is a whole number of samples at both rates, so that nothing shifts.
    """
    if rate == SAMPLE_RATE_HZ:
        yield from blocks
        return
    held = np.empty(0, np.float32)
    done = 0
    for block, notes, more in blocks:
        held = np.concatenate((held, block)) if len(held) else block
        if not more:
            yield _resample(held, rate)[done:], notes, False
        elif len(held) > 2 * rate:
            yield _resample(held, rate)[done:-SAMPLE_RATE_HZ], notes, True
            held, done = held[-2 * rate :], SAMPLE_RATE_HZ


def _resample(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    resampled: NDArray[np.float32] = _resampler(rate)(torch.from_numpy(samples)).numpy()
    return resampled


@lru_cache(maxsize=4)
def _resampler(rate: int) -> Resample:
    return Resample(rate, SAMPLE_RATE_HZ)
