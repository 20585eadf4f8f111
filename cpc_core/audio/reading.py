"""Reading of a recording: decoded, mixed to mono, resampled to 16 kHz, in blocks.

Decoders accept what training must never receive: non-finite samples, a rate of 1 Hz, a truncated
Ogg that reads as empty. Those become an `AudioError` here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import av.error
import numpy as np
import soundfile
from numpy.typing import NDArray

from cpc_core.audio import ffmpeg, libsndfile
from cpc_core.audio.decoder import ENCODER_PADDING_S, Damage, Decoder
from cpc_core.audio.ffmpeg import FfmpegDecoder
from cpc_core.audio.files import printable, require_file
from cpc_core.audio.libsndfile import LibsndfileDecoder
from cpc_core.audio.resampling import Block, resampled, usable_rate
from cpc_core.errors import AudioError
from cpc_core.geometry import SAMPLE_RATE_HZ

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 2_000, 768_000
"""Rates outside these are damage: a header of 1 Hz turns 2000 samples into 32 million."""

BLOCK_S = 60
"""Seconds decoded at a time: bounds memory for recordings of any length."""

CANCELLED = 100.0
"""Ratio of powers, 20 dB, by which the mono mix must be below its channels to be noted."""


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
    with _decoding(path, None if max_s is None else start_s + max_s) as decoder:
        rate = _usable_rate(path, decoder.rate_hz)
        notes = decoder.notes
        if rate != decoder.rate_hz:
            notes += (f"its rate of {decoder.rate_hz} Hz was rounded to {rate} Hz",)
        start = round(start_s * decoder.rate_hz)
        stop = None if max_s is None else start + round(max_s * decoder.rate_hz)
        blocks = _mono_blocks(path, decoder, start, stop, BLOCK_S * rate)
        for samples, found, _ in resampled(blocks, rate):
            yield Recording(samples, SAMPLE_RATE_HZ, decoder.rate_hz, notes + found)


def duration_s(path: Path) -> float:
    """Seconds of a recording according to its header, which may promise more than there is.

    Raises:
        AudioError: It cannot be opened as audio.
    """
    with _decoding(path, 0.0) as decoder:
        return decoder.duration_s


@contextmanager
def _decoding(path: Path, end_s: float | None) -> Iterator[LibsndfileDecoder | FfmpegDecoder]:
    """Opens a file; decoders' errors in the block become an `AudioError`.

    FFmpeg reads what libsndfile does not know, and what goes on where libsndfile would stop.

    Args:
        path: The file.
        end_s: Second up to which it is to be read; None for its end.
    """
    require_file(path)
    try:
        with ExitStack() as stack:
            known = stack.enter_context(_known_to_libsndfile(path))
            if isinstance(known, LibsndfileDecoder) and not _goes_on(path, known, end_s):
                yield known
                return
            try:
                decoder = stack.enter_context(ffmpeg.opened(path))
            except av.error.FFmpegError as error:
                refused = known if isinstance(known, Exception) else error
                raise Damage(libsndfile.reason(refused, path)) from refused
            yield decoder
    except (soundfile.SoundFileError, av.error.FFmpegError, OSError, Damage) as error:
        reason = libsndfile.reason(error, path)
        raise AudioError(f"{printable(path)}: cannot be decoded ({reason})") from (
            error.__cause__ or error
        )


@contextmanager
def _known_to_libsndfile(path: Path) -> Iterator[LibsndfileDecoder | soundfile.SoundFileError]:
    """The open file, or the reason why libsndfile refuses it."""
    with ExitStack() as stack:
        try:
            decoder = stack.enter_context(closing(LibsndfileDecoder(path)))
        except soundfile.SoundFileError as error:
            yield error
        else:
            yield decoder


def _goes_on(path: Path, decoder: LibsndfileDecoder, end_s: float | None) -> bool:
    """True if there is audio up to `end_s` behind the last frame that libsndfile reads."""
    if not decoder.may_go_on or (end_s is not None and end_s <= decoder.duration_s):
        return False
    try:
        with ffmpeg.opened(path) as whole:
            return whole.packets_s() > decoder.duration_s + decoder.slack_s
    except (av.error.FFmpegError, Damage):
        return False


def _usable_rate(path: Path, rate_hz: int) -> int:
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise AudioError(
            f"{printable(path)}: a rate of {rate_hz} Hz is not audio; "
            f"{LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz are read"
        )
    return usable_rate(rate_hz)


def _mono_blocks(
    path: Path, decoder: Decoder, start: int, stop: int | None, block_frames: int
) -> Iterator[Block]:
    """Frames [start, stop) in blocks of `block_frames`, the last one shorter.

    What was decoded before a damage is yielded, with a note.
    """
    promised = decoder.frames
    if promised == 0:
        raise AudioError(f"{printable(path)}: holds no samples")
    if promised is not None and start >= promised:
        raise _behind_the_end(path, start, promised, decoder.rate_hz)
    if promised is not None:
        stop = promised if stop is None else min(stop, promised)
    mix = _Mix(path, decoder.chunks(start, stop, block_frames))
    position, (mono, notes) = start, mix.block(block_frames)
    while len(mono):
        position += len(mono)
        following = mix.block(block_frames)
        more = len(following[0]) > 0 or isinstance(mix.end, AudioError)
        if not more and isinstance(mix.end, Damage):
            at_s = position / decoder.rate_hz
            notes += (f"damaged at {at_s:.4g} s, and used up to there ({mix.end})",)
        elif not more and promised is not None and stop is not None and position < stop:
            notes += (f"ends early: its header promises {promised} frames, {position} are there",)
        elif not more and stop is None:
            notes += _early_end(decoder, position / decoder.rate_hz)
        yield mono, notes, more
        mono, notes = following
    if mix.end is not None and (position == start or isinstance(mix.end, AudioError)):
        raise mix.end
    if position == start:
        raise (
            _behind_the_end(path, start, start, decoder.rate_hz)
            if start
            else AudioError(f"{printable(path)}: holds no samples")
        )


def _early_end(decoder: Decoder, end_s: float) -> tuple[str, ...]:
    promised_s = decoder.promised_s
    if promised_s is None or end_s >= promised_s - ENCODER_PADDING_S:
        return ()
    return (f"ends early: its header promises {promised_s:.4g} s, {end_s:.4g} s are there",)


def _behind_the_end(path: Path, start: int, end: int, rate_hz: int) -> AudioError:
    return AudioError(
        f"{printable(path)}: start_s {start / rate_hz:g} lies behind its end at {end / rate_hz:g} s"
    )


class _Mix:
    """Mean over the channels of chunks, in blocks.

    Args:
        path: For messages.
        chunks: `[L, channels]`.

    Attributes:
        end: Error that ended the chunks before their last one; None while there is none.
    """

    def __init__(self, path: Path, chunks: Iterator[NDArray[np.float32]]) -> None:
        self.end: Damage | AudioError | None = None
        self._path, self._chunks = path, chunks
        self._pending = np.empty((0, 1), np.float32)

    def block(self, frames: int) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Next `frames` frames, fewer at the end, and the notes on them."""
        mono, filled = np.empty(frames, np.float32), 0
        of_channels = of_mean = 0.0
        while filled < frames and len(self._next()):
            chunk = self._pending[: frames - filled]
            self._pending = self._pending[len(chunk) :]
            mean = mono[filled : filled + len(chunk)]
            _mean_over_channels(chunk, mean)
            if not np.isfinite(mean).all():
                self.end = AudioError(
                    f"{printable(self._path)}: has samples that are not finite numbers"
                )
                break
            if chunk.shape[1] > 1:
                of_channels += float(np.vdot(chunk, chunk)) / chunk.shape[1]
                of_mean += float(np.vdot(mean, mean))
            filled += len(chunk)
        notes: tuple[str, ...] = ()
        if of_mean * CANCELLED < of_channels:
            level = "more than 20 dB below them" if of_mean else "silent"
            notes = (f"its channels cancel each other: the mono mix is {level}",)
        return mono[:filled], notes

    def _next(self) -> NDArray[np.float32]:
        """Frames that are not mixed yet; empty at the end."""
        if not len(self._pending) and self.end is None:
            try:
                self._pending = next(self._chunks, self._pending)
            except Damage as damage:
                self.end = damage
        return self._pending if self.end is None else self._pending[:0]


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
