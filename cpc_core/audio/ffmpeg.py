"""FFmpeg, for what libsndfile does not read: AAC, Opus in WebM, WMA, the sound of videos."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.error
import av.logging
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from numpy.typing import NDArray

from cpc_core.audio.decoder import Damage

_TIMED = "mov"
"""Containers (MP4, M4A) that time each packet to a sample: in others a seek lands beside it."""

_WITH_DURATION = frozenset({"asf", "caf", "matroska", "mov"})
"""Containers that write how long they are."""

_RUN_IN_S = 1.0
"""Seconds decoded before a part of a recording, whose first packets need earlier ones."""


class FfmpegDecoder:
    """Recording that FFmpeg reads.

    Args:
        container: The open file, with at least one audio stream.
    """

    frames: int | None = None
    notes: tuple[str, ...] = ()

    def __init__(self, container: InputContainer) -> None:
        self._container = container
        self._stream = container.streams.audio[0]

    @property
    def rate_hz(self) -> int:
        """Frames a second, at the beginning."""
        return int(self._stream.rate)

    @property
    def promised_s(self) -> float | None:
        """See `Decoder`; of other containers FFmpeg estimates it."""
        written = _WITH_DURATION.intersection(self._container.format.name.split(","))
        return self.duration_s if written else None

    @property
    def duration_s(self) -> float:
        """Seconds that the file promises; 0 where it promises nothing."""
        stream, container = self._stream, self._container
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return (container.duration or 0) / av.time_base

    def packets_s(self) -> float:
        """Seconds of audio in the file's packets, of which none is decoded."""
        ticks = 0
        try:
            for packet in self._container.demux(self._stream):
                ticks += packet.duration or 0
        except av.error.FFmpegError:
            pass  # What lies behind cannot be read.
        return float(ticks * (self._stream.time_base or 0))

    def chunks(self, start: int, stop: int | None, most: int) -> Iterator[NDArray[np.float32]]:
        """See `Decoder`."""
        seeks = start > _RUN_IN_S * self.rate_hz and self._seek(start / self.rate_hz - _RUN_IN_S)
        position: int | None = None if seeks else 0
        for at, samples in self._decoded():
            if position is None:
                position = at
            wanted = samples[max(0, start - position) :]
            if stop is not None:
                wanted = wanted[: max(0, stop - max(start, position))]
            position += len(samples)
            for first in range(0, len(wanted), most):
                yield wanted[first : first + most]
            if stop is not None and position >= stop:
                return

    def _seek(self, seconds: float) -> bool:
        """Goes to a packet before `seconds`; False if the file does not time its packets."""
        if _TIMED not in self._container.format.name.split(","):
            return False
        assert self._stream.time_base is not None
        ticks = (self._stream.start_time or 0) + int(seconds / self._stream.time_base)
        self._container.seek(ticks, stream=self._stream)
        return True

    def _decoded(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Blocks `[L, channels]` as the file has them, at the first rate, with their positions."""
        resampler, shape = None, None
        frame: AudioFrame | None
        try:
            for frame in self._container.decode(self._stream):
                given = frame.format.name, frame.layout.name, frame.sample_rate
                if given != shape:  # Streams in a row may differ.
                    yield from _flushed(resampler)
                    resampler = av.AudioResampler("fltp", frame.layout, self.rate_hz)
                    shape = given
                assert resampler is not None
                at = self._position(frame)
                for converted in resampler.resample(frame):
                    yield at, _samples(converted)
            yield from _flushed(resampler)
        except (av.error.FFmpegError, ValueError) as error:
            raise Damage(getattr(error, "strerror", None) or str(error)) from error

    def _position(self, frame: AudioFrame) -> int:
        if frame.pts is None or frame.time_base is None:
            return 0
        begins = (self._stream.start_time or 0) * (self._stream.time_base or 0)
        return max(0, round((frame.pts * frame.time_base - begins) * self.rate_hz))


@contextmanager
def opened(path: Path) -> Iterator[FfmpegDecoder]:
    """Opens a file; FFmpeg's messages in the block are kept from the terminal.

    Raises:
        av.error.FFmpegError: FFmpeg does not read it.
        Damage: It has no sound.
    """
    # An open file, and no protocols: a playlist opens no other file and no address.
    with (
        path.open("rb") as file,
        av.logging.Capture(local=True),
        av.open(file, "r", options={"protocol_whitelist": "none"}) as container,
    ):
        if not container.streams.audio:
            raise Damage("it has no sound")
        if getattr(container.streams.audio[0], "codec_context", None) is None:
            raise Damage("its codec is not known")
        yield FfmpegDecoder(container)


def _samples(frame: AudioFrame) -> NDArray[np.float32]:
    return np.ascontiguousarray(frame.to_ndarray().T, dtype=np.float32)


def _flushed(resampler: av.AudioResampler | None) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for frame in resampler.resample(None) if resampler is not None else ():
        yield 0, _samples(frame)
