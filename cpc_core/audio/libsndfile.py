"""libsndfile, with the lengths that it takes on trust checked.

It accepts what training must never receive: a rate of 1 Hz, a truncated Ogg that reads as empty.
And it reads no further than the length that a header writes or, of an MP3 without one, than the
first frame's bit rate suggests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from cpc_core.audio.decoder import CHUNK_SAMPLES, ENCODER_PADDING_S, Damage
from cpc_core.audio.files import printable
from cpc_core.errors import AudioError

STREAMED = frozenset({"FLAC", "MP3", "OGG"})
"""Formats whose audio may go on behind the length that libsndfile reads."""

_OGG_PAGE = 2**16
"""Bytes of a page of an Ogg file at most, about."""

_RIFF = frozenset({"WAV", "WAVEX"})

_DAMAGE_FRAMES = 256
"""Frames decoded at a time once a chunk has failed, to come near the damage."""

_LONGEST = 2**62
"""Frames from which a length stands for an unknown one."""

_DATA = re.compile(r"^ *(?:data|SSND|Data Size) *: (\d+)(?: \(should be (\d+)\))?$", re.MULTILINE)
"""Bytes of samples by the header, and what libsndfile has found instead, in its log."""

_LENGTH = re.compile(r"^Length *: (\d+)$", re.MULTILINE)

_UNKNOWN_SIZE_SLACK = 2**16
"""Bytes below 2³¹ or 2³² from which the size in a WAV's header says that it was streamed.

Writers that do not know the length take the largest one, rounded, or without the header.
"""


class _NonSeekingFile(soundfile.SoundFile):  # type: ignore[misc]
    """File that is only read forwards.

    soundfile seeks to the current position after every read of a seekable file. The MP3 decoder
    then lacks the bits that earlier frames carry for the next one, which was wrong by up to half of
    full scale. Other decoders only lose time.
    """

    def seekable(self) -> bool:
        return False


class LibsndfileDecoder:
    """Recording that libsndfile reads.

    Args:
        path: The file.

    Raises:
        soundfile.SoundFileError: libsndfile does not read it.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, _open(path)
        self._is_mpeg = self._file.subtype.startswith("MPEG")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    @property
    def rate_hz(self) -> int:
        """Frames a second."""
        return int(self._file.samplerate)

    @property
    def frames(self) -> int | None:
        """Frames that the header promises; an estimate is no promise."""
        estimated = self._is_mpeg and not _says_its_length(self._path)
        return None if estimated or self._file.frames >= _LONGEST else int(self._file.frames)

    @property
    def promised_s(self) -> float | None:
        """See `Decoder`: `frames` says it."""
        return None

    @property
    def duration_s(self) -> float:
        """Seconds behind which libsndfile does not read."""
        return float(self._file.frames / self._file.samplerate)

    @property
    def may_go_on(self) -> bool:
        """True if there may be audio behind that; a streamed WAV may say that it has none."""
        streamed = self._file.format in STREAMED or self._file.frames == 0
        return bool(streamed and self._file.frames < _LONGEST)

    @property
    def slack_s(self) -> float:
        """Seconds by which the file's packets exceed its length: what encoders add to fill them."""
        return 0.0 if self._file.format == "FLAC" else ENCODER_PADDING_S

    @property
    def notes(self) -> tuple[str, ...]:
        """A truncated file, which libsndfile reports only in its log, or a WAV that goes on."""
        log = self._file.extra_info
        data, length = _DATA.search(log), _LENGTH.search(log)
        if data is not None and length is not None:
            promised, there = int(data[1]), int(data[2] or length[1])
            if there < promised and not _is_unknown(promised):
                promise = f"its header promises {promised} bytes of samples, {there} are there"
                return (f"ends early: {promise}",)
        if self._file.format == "OGG" and not _has_last_page(self._path):
            return ("ends early: its last page is missing",)
        unread = _bytes_behind_samples(self._path) if self._file.format in _RIFF else 0
        return (f"{unread} bytes behind its samples were not read",) if unread else ()

    def chunks(self, start: int, stop: int | None, most: int) -> Iterator[NDArray[np.float32]]:
        """See `Decoder`."""
        if start:
            # An MP3 decoder is also wrong right after a seek, for up to a second.
            run_in = min(start, self._file.samplerate) if self._is_mpeg else 0
            self._file.seek(start - run_in)
            self._file.read(run_in)
        position, size = start, min(most, max(1, CHUNK_SAMPLES // self._file.channels))
        while stop is None or position < stop:
            frames = size if stop is None else min(size, stop - position)
            try:
                chunk = self._file.read(frames, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                if size <= _DAMAGE_FRAMES or self._is_mpeg:
                    raise Damage(reason(error, self._path)) from error
                # A failed read keeps nothing of what it has decoded, and the file is of no use.
                size = _DAMAGE_FRAMES
                self._reopen(position)
                continue
            if not len(chunk):
                return
            position += len(chunk)
            yield chunk

    def _reopen(self, position: int) -> None:
        """Opens the file again and decodes it up to a place that it has reached before."""
        self._file.close()
        self._file = _open(self._path)
        at_once = max(1, CHUNK_SAMPLES // self._file.channels)
        for first in range(0, position, at_once):
            self._file.read(min(at_once, position - first), dtype="float32")


def _open(path: Path) -> soundfile.SoundFile:
    # As bytes, because soundfile refuses names that are not UTF-8.
    return _NonSeekingFile(os.fsencode(path))


def reason(error: BaseException, path: Path) -> str:
    """The reason of an error, without the name of the file."""
    return str(error).removeprefix(f"Error opening {os.fsencode(path)!r}: ").rstrip(".")


def _is_unknown(size: int) -> bool:
    return any(0 <= limit - size <= _UNKNOWN_SIZE_SLACK for limit in (2**31, 2**32))


def _has_last_page(path: Path) -> bool:
    """True if the last page of an Ogg file says that it is the last."""
    with path.open("rb") as file:
        file.seek(-min(2 * _OGG_PAGE, path.stat().st_size), os.SEEK_END)
        end = file.read()
    page = end.rfind(b"OggS")
    return page >= 0 and len(end) > page + 5 and bool(end[page + 5] & 4)


def _bytes_behind_samples(path: Path) -> int:
    """Bytes behind the samples of a WAV that are no chunk: its header was written early."""
    with path.open("rb") as file:
        file.seek(12)
        size = path.stat().st_size
        while len(head := file.read(8)) == 8:
            chunk, length = head[:4], int.from_bytes(head[4:], "little")
            end = file.tell() + length + length % 2
            if not chunk.isascii() or not chunk.decode().isprintable():
                return size - file.tell() + 8
            if end >= size:
                return 0
            file.seek(end)
    return 0


def _says_its_length(path: Path) -> bool:
    """True if the first frame of an MP3 counts the others."""
    try:
        with path.open("rb") as file:
            head = file.read(10)
            if head.startswith(b"ID3") and len(head) == 10:
                sevens = zip(head[6:], (21, 14, 7, 0), strict=True)
                file.seek(sum((byte & 127) << shift for byte, shift in sevens), os.SEEK_CUR)
            else:
                file.seek(0)
            frame = file.read(4096)
    except OSError as error:
        raise AudioError(f"{printable(path)}: cannot be read ({error.strerror})") from error
    return any(tag in frame for tag in (b"Xing", b"Info", b"VBRI"))
