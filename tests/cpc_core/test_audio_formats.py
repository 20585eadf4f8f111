"""Recordings of which one decoder reads a part, or nothing."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from cpc_core.audio import duration_s, read_audio, read_blocks, reading
from cpc_core.errors import AudioError
from tests.helpers.recordings import noise, write_recording

SECONDS = 3.0


def tone(seconds: float = SECONDS, rate: int = 16_000) -> NDArray[np.float32]:
    """Rises from 300 Hz, so that every moment is another."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * (300 + 100 * time) * time)).astype(np.float32)


def encoded(path: Path, codec: str, rate: int = 48_000, seconds: float = SECONDS) -> Path:
    """A tone, encoded by FFmpeg."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = 64_000
        samples = tone(seconds, rate)
        wanted = stream.format.name
        resampler = av.AudioResampler(wanted, "mono", rate)
        for first in range(0, len(samples), 4_800):
            frame = av.AudioFrame.from_ndarray(
                samples[None, first : first + 4_800], format="flt", layout="mono"
            )
            frame.sample_rate, frame.pts = rate, first
            for converted in resampler.resample(frame):
                container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
    return path


FORMATS = {
    "a.m4a": "aac",
    "a.mp4": "aac",
    "a.aac": "aac",
    "a.webm": "libopus",
    "a.mka": "flac",
    "a.wma": "wmav2",
    "a.ac3": "ac3",
    "a.wv": "wavpack",
    "a.tta": "tta",
}


@pytest.mark.parametrize("name", FORMATS)
def test_what_downloaders_leave_is_read(tmp_path: Path, name: str) -> None:
    path = encoded(tmp_path / name, FORMATS[name])
    recording = read_audio(path)
    assert recording.source_rate_hz == 48_000
    assert recording.notes == ()
    assert len(recording.samples) / 16_000 == pytest.approx(SECONDS, abs=0.15)
    assert duration_s(path) == pytest.approx(SECONDS, abs=0.15)
    length = min(len(recording.samples), 40_000)
    # Encoders may delay the sound by a packet.
    products = np.correlate(recording.samples[:length], tone()[:length], "full")
    level = np.linalg.norm(recording.samples[:length]) * np.linalg.norm(tone()[:length])
    assert products.max() / level > 0.95


@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.aac"])
@pytest.mark.parametrize("start_s", [0.5, 2.25])
def test_a_part_of_them_is_the_part_of_the_whole(tmp_path: Path, name: str, start_s: float) -> None:
    path = encoded(tmp_path / name, FORMATS[name])
    whole = read_audio(path).samples
    part = read_audio(path, start_s=start_s, max_s=0.5).samples
    begin = round(start_s * 16_000)
    assert len(part) == 8_000
    # The resampler's ends differ from the middle of a recording.
    assert np.abs(part - whole[begin : begin + 8_000])[50:-50].max() < 1e-3


def test_blocks_of_them_joined_are_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encoded(tmp_path / "a.m4a", "aac", seconds=5.3)
    whole = read_audio(path).samples
    monkeypatch.setattr(reading, "BLOCK_S", 3)
    blocks = [block.samples for block in read_blocks(path)]
    assert len(blocks) > 1
    assert np.abs(np.concatenate(blocks) - whole).max() < 1e-6


def without_length(path: Path, rate: int = 16_000) -> Path:
    """An MP3 that begins with noise and goes on in silence, without the frame that counts."""
    samples = np.concatenate((noise(0.5, rate=rate), np.zeros(round(2.5 * rate), np.float32)))
    soundfile.write(
        path, samples, rate, format="MP3", bitrate_mode="VARIABLE", compression_level=0.0
    )
    content = path.read_bytes()
    second = next(
        place
        for place in range(100, len(content))
        if content[place] == 0xFF and content[place + 1] & 0xE0 == 0xE0
    )
    assert b"Xing" in content[:second]
    path.write_bytes(content[second:])
    return path


def chained(path: Path) -> Path:
    soundfile.write(path, tone(SECONDS / 2), 16_000, format="OGG", subtype="VORBIS")
    path.write_bytes(2 * path.read_bytes())
    return path


def chained_opus(path: Path) -> Path:
    soundfile.write(path, tone(SECONDS / 2), 16_000, format="OGG", subtype="OPUS")
    path.write_bytes(2 * path.read_bytes())
    return path


def flac_that_counts(share: float) -> Callable[[Path], Path]:
    """A FLAC whose header counts a part of its samples; 0 stands for an unknown number."""

    def write(path: Path) -> Path:
        soundfile.write(path, tone(), 16_000, format="FLAC")
        content = bytearray(path.read_bytes())
        counted = int.from_bytes(content[21:26], "big")
        total = counted & (2**36 - 1)
        assert total == 48_000
        content[21:26] = (counted - total + round(share * total)).to_bytes(5, "big")
        path.write_bytes(content)
        return path

    return write


def wav(data: int, riff: int | None = None) -> Callable[[Path], Path]:
    """A WAV with these sizes in its header."""

    def write(path: Path) -> Path:
        samples = (tone() * 32_767).astype("<i2").tobytes()
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
        body = b"WAVE" + form + struct.pack("<4sI", b"data", data) + samples
        path.write_bytes(struct.pack("<4sI", b"RIFF", len(body) if riff is None else riff) + body)
        return path

    return write


WHOLE: dict[str, Callable[[Path], Path]] = {
    "mp3 without a length": without_length,
    "chained ogg": chained,
    "chained opus": chained_opus,
    "flac that counts half": flac_that_counts(0.5),
    "flac of unknown length": flac_that_counts(0),
    "wav of SoX": wav(0x7FFFF000, 0x7FFFF024),
    "wav of the largest size": wav(0x7FFFFFFF, 0x7FFFFFFF),
    "wav of 2 GiB": wav(0x80000000),
    "wav of FFmpeg": wav(0xFFFFFFFF, 0xFFFFFFFF),
    "wav of 4 GiB with its header": wav(0xFFFFFFDB, 0xFFFFFFFF),
    "wav of no size": wav(0, 0),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_all_is_read_whatever_the_header_counts(tmp_path: Path, kind: str) -> None:
    recording = read_audio(WHOLE[kind](tmp_path / "a"))
    assert recording.notes == ()
    assert len(recording.samples) / 16_000 == pytest.approx(SECONDS, abs=0.15)


@pytest.mark.parametrize("riff", [None, 24_036])
def test_what_lies_behind_a_wavs_samples_is_noted(tmp_path: Path, riff: int | None) -> None:
    recording = read_audio(wav(24_000, riff)(tmp_path / "a.wav"))
    assert len(recording.samples) == 12_000
    assert recording.notes == ("72000 bytes behind its samples were not read",)


def test_chunks_behind_a_wavs_samples_are_no_samples(tmp_path: Path) -> None:
    path = wav(96_000)(tmp_path / "a.wav")
    path.write_bytes(path.read_bytes() + struct.pack("<4sI4s", b"LIST", 4, b"INFO"))
    assert read_audio(path).notes == ()


@pytest.mark.parametrize("form", ["FLAC", "WAV", "OGG", "MP3", "AIFF", "AU", "W64", "CAF"])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_truncated_recording_is_used_up_to_its_end(
    tmp_path: Path, form: str, share: float
) -> None:
    path = tmp_path / "a"
    soundfile.write(path, noise(10.0), 16_000, format=form)
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])
    recording = read_audio(path)
    assert len(recording.samples) / 160_000 == pytest.approx(share, abs=0.15)
    assert len(recording.notes) == (form != "CAF")


def test_a_flac_is_used_up_to_a_damaged_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(10.0), 16_000)
    content = bytearray(path.read_bytes())
    content[round(0.7 * len(content))] ^= 0xFF
    path.write_bytes(content)
    whole, recording = noise(10.0), read_audio(path)
    used = len(recording.samples)
    assert 0.6 < used / len(whole) < 0.75
    assert np.abs(recording.samples - whole[:used]).max() < 1e-4
    (note,) = recording.notes
    assert note.startswith(f"damaged at {used / 16_000:.4g} s, and used up to there (")


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 32
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(AudioError, match=r"a\.mp4: cannot be decoded \(it has no sound\)"):
        read_audio(path)


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    write_recording(tmp_path / "secret.wav", tone())
    (tmp_path / "a.m4a").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{tmp_path}/secret.wav\n"
    )
    (tmp_path / "b.m4a").write_text(f"ffconcat version 1.0\nfile '{tmp_path}/secret.wav'\n")
    for name in ("a.m4a", "b.m4a"):
        with pytest.raises(AudioError):
            read_audio(tmp_path / name)
